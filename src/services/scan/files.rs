//! Files and folders looked through, two at a time, in bounded memory.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::text::{LeakFinding, Needles, lines_in, look_through};
use crate::{providers::MAX_FOUND, settings::Machine};

/// How much of a file is read at a time, in bytes.
const PART: usize = 1 << 20;
/// How many files are searched at once.
const THREADS: usize = 2;
/// Folders that are not searched: of version control, and of dependencies and build output.
const SKIPPED: [&str; 8] = [
    ".git",
    ".hg",
    ".svn",
    "node_modules",
    "target",
    ".venv",
    "__pycache__",
    ".cache",
];
/// Where agents keep what was said, and shells what was typed, in the home folder.
const USUAL: [&str; 16] = [
    ".claude/projects",
    ".claude/history.jsonl",
    ".codex/sessions",
    ".codex/history.jsonl",
    ".gemini/tmp",
    ".cursor/projects",
    ".config/Code/User/workspaceStorage",
    ".local/share/opencode",
    ".aider.chat.history.md",
    ".bash_history",
    ".zsh_history",
    ".local/share/fish/fish_history",
    ".python_history",
    ".node_repl_history",
    ".psql_history",
    ".env",
];

/// What came of it.
#[derive(Debug, Default)]
pub struct Scanned {
    /// By file and line.
    pub findings: Vec<(PathBuf, LeakFinding)>,
    pub files: usize,
    pub bytes: u64,
    /// Files and folders that could not be read.
    pub unread: Vec<PathBuf>,
}

/// Where keys end up by accident: this folder, and what agents and shells keep at home.
pub fn usual_places(machine: &Machine) -> Vec<PathBuf> {
    let at_home = USUAL.iter().map(|name| machine.home().join(name));
    let mut places = vec![machine.working().to_owned()];
    places.extend(at_home.filter(|place| place.exists() && !place.starts_with(machine.working())));
    places
}

/// Looks through the files `paths` and all files below the folders among them; links are not followed.
pub fn scan_files(needles: &Needles, paths: &[PathBuf]) -> Scanned {
    let mut scanned = Scanned::default();
    let mut files = Vec::new();
    for path in paths {
        // What was named may be a link.
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => walk(path, &mut files, &mut scanned.unread),
            Ok(found) if found.is_file() => files.push(path.clone()),
            Ok(_) => {}
            Err(_) => scanned.unread.push(path.clone()),
        }
    }
    files.sort_unstable();
    files.dedup();
    let next = AtomicUsize::new(0);
    let shared = Mutex::new(&mut scanned);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let looked = look_at(needles, path);
                    let mut scanned = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    match looked {
                        Ok((findings, length)) => {
                            scanned.files += 1;
                            scanned.bytes += length;
                            scanned
                                .findings
                                .extend(findings.into_iter().map(|finding| (path.clone(), finding)));
                        }
                        Err(_) => scanned.unread.push(path.clone()),
                    }
                }
            });
        }
    });
    // Those of a line stay in their order.
    scanned
        .findings
        .sort_by(|(path, finding), (other, next)| (path, finding.line).cmp(&(other, next.line)));
    scanned.unread.sort_unstable();
    scanned
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>, unread: &mut Vec<PathBuf>) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            unread.push(folder);
            continue;
        };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_file() {
                files.push(entry.path());
            } else if kind.is_dir() && !SKIPPED.iter().any(|name| entry.file_name() == *name) {
                folders.push(entry.path());
            }
        }
    }
}

/// What is in one file, and how long it is: part by part, each with enough of the one before for a key that begins there.
fn look_at(needles: &Needles, path: &Path) -> io::Result<(Vec<LeakFinding>, u64)> {
    let mut file = File::open(path)?;
    // What a part needs of its neighbours: the longest key on either side, and what stands before it.
    let margin = 2 * MAX_FOUND;
    let mut buffer = vec![0; PART + 2 * margin];
    let (mut filled, mut from, mut line, mut length) = (0, 0, 1, 0);
    let mut findings = Vec::new();
    loop {
        let read = fill(&mut file, buffer.get_mut(filled..).unwrap_or_default())?;
        filled += read;
        length += u64::try_from(read).unwrap_or_default();
        let bytes = buffer.get(..filled).unwrap_or_default();
        let is_last = filled < buffer.len();
        let to = if is_last { filled } else { filled - margin };
        findings.extend(look_through(needles, bytes, from..to, line));
        if is_last {
            return Ok((findings, length));
        }
        let gone = to - margin;
        line += lines_in(bytes.get(..gone).unwrap_or_default());
        buffer.copy_within(gone..filled, 0);
        filled -= gone;
        from = margin;
    }
}

/// Fills `buffer` as far as there is something; less only at the end of the file.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest @ [_, ..]) = buffer.get_mut(filled..) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(filled)
}
