//! Files as Unix has them: everything is reached from an open directory and no link is followed.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags},
    process::geteuid,
};

use super::metadata::{FileKind, FileMetadata, OpenFor, OthersAccess, Stamp};

/// An open directory.
#[derive(Debug)]
pub(super) struct Directory(File);

impl Directory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?.into()))
    }

    pub(super) fn metadata(&self) -> io::Result<FileMetadata> {
        metadata(&self.0)
    }

    pub(super) fn metadata_of(&self, name: &str) -> io::Result<Option<FileMetadata>> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileMetadata::from_stat(&stat))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    pub(super) fn open_file(&self, name: &str, how: OpenFor) -> io::Result<File> {
        let flags = match how {
            OpenFor::Read => OFlags::RDONLY,
            // Readable too, so that it can be locked and read.
            OpenFor::Append => OFlags::RDWR | OFlags::APPEND,
            OpenFor::CreateNew => OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL,
            OpenFor::Lock => OFlags::RDWR | OFlags::CREATE,
        };
        // NONBLOCK: a pipe in the file's place must not hold us. It means nothing to regular files.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = File::from(rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?);
        if matches!(how, OpenFor::CreateNew | OpenFor::Lock) && file.metadata()?.mode() & 0o600 != 0o600 {
            // A umask can only take bits away: give the owner's back.
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(file)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    pub(super) fn close_to_others(&self) -> io::Result<()> {
        self.0.set_permissions(Permissions::from_mode(0o700))
    }

    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." {
                names.push(OsString::from_vec(name.into_vec()));
            }
        }
        Ok(names)
    }
}

/// Makes a directory that is ours alone under any umask.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    if fs::symlink_metadata(path)?.mode() & 0o700 != 0o700 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Puts the directory entry of `path` on the disk.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| *parent != Path::new(""))
        .unwrap_or(Path::new("."));
    match File::open(parent) {
        Ok(parent) => parent.sync_all(),
        // A parent that we may write to but not read cannot be synced.
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(why) => Err(why),
    }
}

/// Exchanges what two names stand for, at once; `Unsupported` or `InvalidInput` where the file system cannot.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(super) fn swap_names(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(super) fn swap_names(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Gives `file` the mode of `model` and, where the system lets us, its group.
pub(super) fn dress_like(file: &File, model: &fs::Metadata) -> io::Result<()> {
    let _ = std::os::unix::fs::fchown(file, None, Some(model.gid()));
    file.set_permissions(model.permissions())
}

pub(super) fn metadata(file: &File) -> io::Result<FileMetadata> {
    Ok(FileMetadata::from_stat(&rustix::fs::fstat(file)?))
}

/// What is at `path` itself, without following a link; `None` where nothing is.
pub(super) fn metadata_at(path: &Path) -> io::Result<Option<FileMetadata>> {
    match rustix::fs::lstat(path) {
        Ok(stat) => Ok(Some(FileMetadata::from_stat(&stat))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(why) => Err(why.into()),
    }
}

impl FileMetadata {
    // The fields' types differ between systems: u32 here, i64 or u16 there.
    #[expect(
        clippy::useless_conversion,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap,
        clippy::unnecessary_cast,
        reason = "the fields' types differ between systems; a stamp is only compared for equality"
    )]
    fn from_stat(stat: &rustix::fs::Stat) -> Self {
        let mode = u32::from(stat.st_mode);
        Self {
            kind: FileKind::of(FileType::from_raw_mode(stat.st_mode)),
            ours: stat.st_uid == geteuid().as_raw(),
            others: match mode & 0o077 {
                0 => OthersAccess::None,
                access if access & 0o022 == 0 => OthersAccess::Read,
                _ => OthersAccess::Write,
            },
            sticky: mode & 0o1000 != 0,
            stamp: Stamp {
                device: stat.st_dev as u64,
                inode: stat.st_ino as u64,
                modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
                length: stat.st_size as u64,
            },
        }
    }
}

impl FileKind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Link,
            FileType::Fifo => Self::Pipe,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice | FileType::BlockDevice => Self::Device,
            FileType::Unknown => Self::Unknown,
        }
    }
}
