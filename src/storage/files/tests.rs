use std::{
    fmt,
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        net::UnixListener,
    },
    path::Path,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

fn home() -> (tempfile::TempDir, Folder) {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::create(&home.path().join("data")).unwrap();
    (home, folder)
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn hazard<T: fmt::Debug>(outcome: Result<T, FileError>) -> Hazard {
    match outcome {
        Err(FileError::Unsafe { why, .. }) => why,
        other => panic!("should have been refused: {other:?}"),
    }
}

#[test]
fn a_new_folder_and_its_new_parents_are_private() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a/b/c");
    assert!(Folder::open(&path).unwrap().is_none());
    Folder::create(&path).unwrap();
    for made in ["a", "a/b", "a/b/c"] {
        assert_eq!(mode_of(&home.path().join(made)), 0o700, "{made}");
    }
    Folder::create(&path).unwrap();
}

#[test]
fn a_folder_that_others_can_only_read_is_closed_to_them() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("data");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("config.toml"), "").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    Folder::open(&path).unwrap().unwrap();
    assert_eq!(mode_of(&path), 0o700);
}

#[test]
fn a_folder_that_others_can_write_is_taken_only_while_it_is_empty() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("data");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
    Folder::create(&path).unwrap();
    assert_eq!(mode_of(&path), 0o700);

    fs::write(path.join("planted"), "").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o770)).unwrap();
    assert_eq!(hazard(Folder::create(&path)), Hazard::FolderOpenToOthers);
    assert_eq!(mode_of(&path), 0o770, "nothing was changed");
}

#[test]
fn a_folder_shared_on_purpose_is_refused_even_when_empty() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("tmp");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o1777)).unwrap();
    assert_eq!(hazard(Folder::create(&path)), Hazard::FolderOpenToOthers);
}

#[test]
fn a_link_or_a_file_in_place_of_the_folder_is_refused() {
    let (home, _folder) = home();
    symlink(home.path().join("data"), home.path().join("link")).unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    for (name, kind) in [("link", "a symbolic link"), ("file", "a file")] {
        let path = home.path().join(name);
        assert_eq!(hazard(Folder::create(&path)), Hazard::NotADirectory(kind));
        assert_eq!(hazard(Folder::open(&path)), Hazard::NotADirectory(kind));
    }
}

#[test]
fn what_is_written_is_read_back_and_private() {
    let (_home, folder) = home();
    assert!(folder.read("vault.json", 100).unwrap().is_none());
    assert!(folder.stamp("vault.json").unwrap().is_none());
    let mut stamps = Vec::new();
    for contents in ["one", "two", ""] {
        assert!(matches!(
            folder.replace("vault.json", contents.as_bytes()),
            Ok(Written::Durable)
        ));
        let (bytes, stamp) = folder.read("vault.json", 100).unwrap().unwrap();
        assert_eq!(bytes.as_slice(), contents.as_bytes());
        assert_eq!(folder.stamp("vault.json").unwrap(), Some(stamp));
        assert!(!stamps.contains(&stamp), "each state has its own stamp");
        stamps.push(stamp);
    }
    assert_eq!(mode_of(&folder.path().join("vault.json")), 0o600);
    assert_eq!(folder.names().unwrap(), ["vault.json"], "no temporary file stays");
}

#[test]
fn a_file_longer_than_the_limit_is_refused_unread() {
    let (_home, folder) = home();
    let _durable = folder.replace("vault.json", b"12345").unwrap();
    assert!(folder.read("vault.json", 5).is_ok());
    assert!(matches!(
        folder.read("vault.json", 4),
        Err(FileError::TooLarge { limit: 4, .. })
    ));
}

#[test]
fn what_is_appended_stays_in_order_and_private() {
    let (_home, folder) = home();
    folder.append("audit.jsonl", b"one\n").unwrap();
    folder.append("audit.jsonl", b"two\n").unwrap();
    let (bytes, _) = folder.read("audit.jsonl", 100).unwrap().unwrap();
    assert_eq!(bytes.as_slice(), b"one\ntwo\n");
    assert_eq!(mode_of(&folder.path().join("audit.jsonl")), 0o600);
}

#[test]
fn nothing_but_a_private_file_of_ours_is_read_written_or_appended_to() {
    let (_home, folder) = home();
    let at = |name: &str| folder.path().join(name);
    let mut cases = vec![
        ("link", Hazard::NotAFile("a symbolic link")),
        ("loose-link", Hazard::NotAFile("a symbolic link")),
        ("pipe", Hazard::NotAFile("a pipe")),
        ("socket", Hazard::NotAFile("a socket")),
        ("folder", Hazard::NotAFile("a folder")),
        ("group-readable", Hazard::OpenToOthers),
        ("world-writable", Hazard::OpenToOthers),
    ];
    fs::write(at("target"), "secret").unwrap();
    symlink(at("target"), at("link")).unwrap();
    symlink(at("nowhere"), at("loose-link")).unwrap();
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _listening = UnixListener::bind(at("socket")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    for (name, mode) in [("group-readable", 0o640), ("world-writable", 0o602)] {
        fs::write(at(name), "").unwrap();
        fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
    }
    // Only the superuser can give files away and make devices.
    fs::write(at("foreign"), "").unwrap();
    fs::set_permissions(at("foreign"), Permissions::from_mode(0o600)).unwrap();
    if chown(at("foreign"), Some(65534), None).is_ok() {
        cases.push(("foreign", Hazard::ForeignOwner));
    }
    let zero = rustix::fs::makedev(1, 5);
    if mknodat(
        CWD,
        at("zero"),
        FileType::CharacterDevice,
        Mode::RUSR | Mode::WUSR,
        zero,
    )
    .is_ok()
    {
        cases.push(("zero", Hazard::NotAFile("a device")));
    }
    for (name, why) in cases {
        assert_eq!(hazard(folder.stamp(name)), why, "{name}: stamp");
        assert_eq!(hazard(folder.read(name, 100)), why, "{name}: read");
        assert_eq!(hazard(folder.replace(name, b"x")), why, "{name}: replace");
        assert_eq!(hazard(folder.append(name, b"x")), why, "{name}: append");
        assert_eq!(hazard(folder.open_lock(name)), why, "{name}: lock");
        assert_eq!(hazard(folder.remove(name)), why, "{name}: remove");
    }
    assert_eq!(fs::read(at("target")).unwrap(), b"secret");
    assert!(!at("nowhere").exists());
}

#[test]
fn only_our_own_temporary_files_are_cleaned_up() {
    let (_home, folder) = home();
    for kept in ["vault.json", ".vault.json.tmp", "vault.json.1-2.api-keys-tmp"] {
        let _durable = folder.replace(kept, b"").unwrap();
    }
    symlink("vault.json", folder.path().join(".link.api-keys-tmp")).unwrap();
    let mut before = folder.names().unwrap();
    for stale in [
        ".vault.json.0123456789abcdef.api-keys-tmp",
        ".state.json.fedcba9876543210.api-keys-tmp",
    ] {
        let _durable = folder.replace(stale, b"half").unwrap();
    }
    assert_eq!(folder.clean_stale().unwrap(), 2);
    before.sort_unstable();
    assert_eq!(folder.names().unwrap(), before);
    assert_eq!(folder.clean_stale().unwrap(), 0);
}

#[test]
fn errors_say_what_and_where_in_our_words() {
    let path = Path::new("/home/me/vault.json");
    let cases = [
        (
            io::Error::from(io::ErrorKind::ReadOnlyFilesystem),
            "no permission for /home/me/vault.json: read-only filesystem or storage medium",
        ),
        (
            rustix::io::Errno::NOSPC.into(),
            "no space to write /home/me/vault.json: no space left on device",
        ),
        (
            rustix::io::Errno::IO.into(),
            "could not write /home/me/vault.json: input/output error",
        ),
    ];
    for (source, text) in cases {
        assert_eq!(FileError::from_io(path, "write", source).to_string(), text);
    }
}
