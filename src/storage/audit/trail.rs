//! The trail's files: appended to under a lock, rotated, verified line by line.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::{Action, AuditEntry, AuditError, AuditOutcome, Break, BreakKind, Record, TrailHead, TrailReport};
use crate::{
    domain::{KeyId, Label, ProviderId},
    storage::{
        files::{FileError, Folder, Stamp},
        lock::Lock,
    },
};

/// The file that lines are added to.
pub const FILE: &str = "audit.jsonl";

/// From which size on, in bytes, a file is closed and the next one begun.
const ROTATE_AT: u64 = 8 << 20;

/// The longest line that is read as one, in bytes; ours are far shorter.
const MAX_LINE: usize = 16 << 10;

/// The longest detail kept, in characters.
const MAX_DETAIL: usize = 300;

/// How a line ends: this, 64 hexadecimal digits, and `"}`.
const MAC_FIELD: &[u8] = b",\"mac\":\"";

/// The keyed MAC over a list of parts, each taken with its length.
///
/// Its key is the same for the whole life of the trail, also through a `rekey`: old lines must stay verifiable.
pub type Mac<'a> = &'a dyn Fn(&[&[u8]]) -> [u8; 32];

/// A line as it is written, without its MAC.
#[derive(Serialize)]
struct LineBody<'a> {
    seq: u64,
    at: Timestamp,
    actor: &'a str,
    action: Action,
    provider: Option<&'a ProviderId>,
    label: Option<&'a Label>,
    key_id: Option<KeyId>,
    outcome: AuditOutcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

/// Adds `entry` and returns once it is on the disk, with the new head.
///
/// A line that a crash cut short is taken off first, and that is recorded. A trail that was changed is carried
/// on: [`verify`] reports it ever after, and the vault goes on. So is one that does not reach the newest
/// line `known` from elsewhere: it goes on from that line, which makes a break of the place where it was cut.
pub fn append(
    _held: &Lock,
    folder: &Folder,
    mac: Mac<'_>,
    known: Option<&TrailHead>,
    entry: &AuditEntry,
) -> Result<TrailHead, AuditError> {
    append_rotating(folder, mac, known, entry, ROTATE_AT)
}

fn append_rotating(
    folder: &Folder,
    mac: Mac<'_>,
    known: Option<&TrailHead>,
    entry: &AuditEntry,
    rotate_at: u64,
) -> Result<TrailHead, AuditError> {
    let mut end = TrailEnd::of(folder)?;
    let mut lines = Vec::new();
    if let Some(known) = known.filter(|known| !end.reaches(known)) {
        let detail = format!(
            "it ended at {} where {} was known: lines are missing",
            end.seq, known.seq
        );
        end.seq = known.seq;
        end.line = known.mac.as_bytes().to_vec();
        lines = end.add(mac, &repair(entry.at, detail));
    }
    if end.torn > 0 {
        folder.shorten(&end.file, end.length)?;
        let detail = format!("took off {} bytes of a line cut short by a crash", end.torn);
        lines.extend(end.add(mac, &repair(entry.at, detail)));
    }
    if end.file == FILE && end.length >= rotate_at {
        let number = numbered(folder)?.last().map_or(Some(1), |last| last.0.checked_add(1));
        folder.rename_to_free(FILE, &file_name(number.ok_or(AuditError::Full)?))?;
    }
    lines.extend_from_slice(&end.add(mac, entry));
    folder.append(FILE, &lines)?;
    Ok(TrailHead {
        seq: end.seq,
        mac: end.mac,
    })
}

/// Gives the trail's files names that tell `whose` they were, so that the next line begins a new one.
pub fn set_aside(_held: &Lock, folder: &Folder, whose: &str) -> Result<(), AuditError> {
    for name in names(folder)? {
        if folder.stamp(&name)?.is_none() {
            continue;
        }
        // One that was set aside before keeps its name.
        let free = (1_u64..).map(|time| match time {
            1 => name.replacen("audit", &format!("audit-{whose}"), 1),
            _ => name.replacen("audit", &format!("audit-{whose}-{time}"), 1),
        });
        for free in free {
            if folder.stamp(&free)?.is_none() {
                folder.rename_to_free(&name, &free)?;
                break;
            }
        }
    }
    Ok(())
}

/// A file of the trail, opened: it stays the same one when it is renamed because it is full.
#[derive(Debug)]
pub struct TrailFile {
    pub name: String,
    pub file: File,
    /// Its length in bytes when it was opened.
    pub length: u64,
}

/// The trail's files, oldest first. Under the lock, so that they belong together.
pub fn files(folder: &Folder) -> Result<Vec<TrailFile>, AuditError> {
    let mut files = Vec::new();
    for name in names(folder)? {
        if let Some((file, stamp)) = folder.open_to_read(&name)? {
            let length = stamp.length();
            files.push(TrailFile { name, file, length });
        }
    }
    Ok(files)
}

/// What is recorded of a trail that was repaired.
fn repair(at: Timestamp, detail: String) -> AuditEntry {
    AuditEntry {
        at,
        actor: "api-keys".to_owned(),
        action: Action::RepairTrail,
        provider: None,
        label: None,
        key_id: None,
        outcome: AuditOutcome::Done,
        detail: Some(detail),
    }
}

/// Checks every line of all files, and that the newest line `known` from elsewhere (and read before) is among them.
///
/// Takes no lock: an entry being written meanwhile looks torn, never broken.
pub fn verify(folder: &Folder, mac: Mac<'_>, known: Option<&TrailHead>) -> Result<TrailReport, AuditError> {
    let mut before = states(folder)?;
    loop {
        let report = verify_once(folder, mac, known)?;
        let after = states(folder)?;
        // A trail that went on meanwhile, perhaps in a new file, can look broken: only one that stood still is.
        if report.fault.is_none() || before == after {
            return Ok(report);
        }
        before = after;
    }
}

fn verify_once(folder: &Folder, mac: Mac<'_>, known: Option<&TrailHead>) -> Result<TrailReport, AuditError> {
    let mut report = TrailReport {
        entries: 0,
        head: None,
        fault: None,
        torn: false,
    };
    let mut before = Vec::new();
    let (mut file, mut line) = (FILE.to_owned(), 0);
    for name in names(folder)? {
        let Some((opened, _)) = folder.open_to_read(&name)? else {
            continue;
        };
        (file, line) = (name, 0);
        let mut lines = TrailLines::new(opened);
        while let Some(bytes) = lines.next(folder, &file)? {
            line += 1;
            if file == FILE && !bytes.ends_with(b"\n") && bytes.len() < MAX_LINE {
                report.torn = true;
                break;
            }
            match check_line(mac, &before, &bytes, known) {
                Ok(head) => report.head = Some(head),
                Err(why) => {
                    report.fault = Some(Break { file, line, why });
                    return Ok(report);
                }
            }
            report.entries += 1;
            before = bytes.trim_ascii_end().to_vec();
        }
    }
    let reached = report.head.as_ref().map_or(0, |head| head.seq);
    if known.is_some_and(|known| known.seq > reached) {
        report.fault = Some(Break {
            file,
            line: if report.torn { line } else { line + 1 },
            why: BreakKind::Shortened,
        });
    }
    Ok(report)
}

/// Whether the trail has the line `head`, by its MAC; the chain is not checked.
pub fn has(folder: &Folder, head: &TrailHead) -> Result<bool, AuditError> {
    let ending = [MAC_FIELD, head.mac.as_bytes(), b"\"}\n"].concat();
    // The newest file first, and the others' names only then: it may become one of them meanwhile.
    let has = |name: &str| {
        let Some((opened, _)) = folder.open_to_read(name)? else {
            return Ok::<_, AuditError>(false);
        };
        let mut lines = TrailLines::new(opened);
        while let Some(bytes) = lines.next(folder, name)? {
            if bytes.ends_with(&ending) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    if has(FILE)? {
        return Ok(true);
    }
    for (_, name) in numbered(folder)?.iter().rev() {
        if has(name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The head that the line `bytes`, its end included, makes after the line `before`.
fn check_line(mac: Mac<'_>, before: &[u8], bytes: &[u8], known: Option<&TrailHead>) -> Result<TrailHead, BreakKind> {
    let line = bytes.strip_suffix(b"\n").ok_or(BreakKind::Unreadable)?;
    let (seq, found) = read_chain_fields(line).ok_or(BreakKind::Unreadable)?;
    if mac_of(mac, before, body_of(line)) != found {
        return Err(BreakKind::WrongMac);
    }
    if known.is_some_and(|known| known.seq == seq && known.mac != found) {
        return Err(BreakKind::OtherTrail);
    }
    Ok(TrailHead { seq, mac: found })
}

/// The newest records, at most `most`, oldest first. Lines that cannot be read are left out: [`verify`] reports them.
pub fn recent(folder: &Folder, most: usize) -> Result<Vec<Record>, AuditError> {
    let mut found: VecDeque<Record> = VecDeque::new();
    for name in names(folder)?.iter().rev() {
        let Some((opened, _)) = folder.open_to_read(name)? else {
            continue;
        };
        let wanted = most - found.len();
        let mut of_file: VecDeque<Record> = VecDeque::new();
        let mut lines = TrailLines::new(opened);
        while let Some(bytes) = lines.next(folder, name)? {
            if let Ok(record) = serde_json::from_slice(&bytes) {
                of_file.push_back(record);
                if of_file.len() > wanted {
                    of_file.pop_front();
                }
            }
        }
        of_file.append(&mut found);
        found = of_file;
        if found.len() >= most {
            break;
        }
    }
    Ok(found.into())
}

/// Where the trail ends.
struct TrailEnd {
    /// The file with the last line.
    file: String,
    /// Its length without a torn line.
    length: u64,
    /// Bytes of a torn line.
    torn: u64,
    seq: u64,
    mac: String,
    /// The last whole line, without its end.
    line: Vec<u8>,
}

impl TrailEnd {
    fn of(folder: &Folder) -> Result<Self, AuditError> {
        let mut end = Self {
            file: FILE.to_owned(),
            length: 0,
            torn: 0,
            seq: 0,
            mac: String::new(),
            line: Vec::new(),
        };
        for name in names(folder)?.into_iter().rev() {
            let Some((file, stamp)) = folder.open_to_read(&name)? else {
                continue;
            };
            let tail = read_tail(file, stamp.length()).map_err(|source| failed(folder, &name, source))?;
            let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            if name == FILE {
                end.torn = u64::try_from(tail.len() - whole).unwrap_or_default();
                end.length = stamp.length() - end.torn;
            }
            let lines = tail.get(..whole).unwrap_or_default().trim_ascii_end();
            if lines.is_empty() {
                continue;
            }
            end.line = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
            // The last lines may have been changed; the newest that can be read says how far it went.
            (end.seq, end.mac) = lines
                .rsplit(|byte| *byte == b'\n')
                .find_map(read_chain_fields)
                .unwrap_or_default();
            break;
        }
        Ok(end)
    }

    /// Whether the trail may have the line `known`: a writer that was killed leaves one that is longer.
    fn reaches(&self, known: &TrailHead) -> bool {
        self.seq > known.seq || (self.seq == known.seq && self.mac == known.mac)
    }

    /// The line for `entry`, with its end; from now on the last one.
    fn add(&mut self, mac: Mac<'_>, entry: &AuditEntry) -> Vec<u8> {
        self.seq = self.seq.saturating_add(1);
        let detail: Option<String> = entry
            .detail
            .as_ref()
            .map(|detail| detail.chars().take(MAX_DETAIL).collect());
        let actor: String = entry.actor.chars().take(MAX_DETAIL).collect();
        let body = serde_json::to_vec(&LineBody {
            seq: self.seq,
            at: entry.at,
            actor: &actor,
            action: entry.action,
            provider: entry.provider.as_ref(),
            label: entry.label.as_ref(),
            key_id: entry.key_id,
            outcome: entry.outcome,
            detail: detail.as_deref(),
        })
        .expect("plain fields become JSON");
        let body = body.strip_suffix(b"}").unwrap_or(&body);
        self.mac = mac_of(mac, &self.line, body);
        let mut line = [body, MAC_FIELD, self.mac.as_bytes(), b"\"}"].concat();
        self.line.clone_from(&line);
        line.push(b'\n');
        line
    }
}

/// The lines of one file, each with its end; what is longer than a line can be comes in pieces.
struct TrailLines(BufReader<File>);

impl TrailLines {
    fn new(file: File) -> Self {
        Self(BufReader::new(file))
    }

    fn next(&mut self, folder: &Folder, name: &str) -> Result<Option<Vec<u8>>, AuditError> {
        let mut bytes = Vec::new();
        let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        self.0
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut bytes)
            .map_err(|source| failed(folder, name, source))?;
        Ok((!bytes.is_empty()).then_some(bytes))
    }
}

/// The last bytes of a file: more than a line can be long.
fn read_tail(mut file: File, length: u64) -> io::Result<Vec<u8>> {
    let most = 4 * u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut tail = Vec::with_capacity(usize::try_from(length.min(most)).unwrap_or_default());
    file.take(length.min(most)).read_to_end(&mut tail)?;
    Ok(tail)
}

/// The trail's files, oldest first.
fn names(folder: &Folder) -> Result<Vec<String>, AuditError> {
    let mut names: Vec<String> = numbered(folder)?.into_iter().map(|(_, name)| name).collect();
    names.push(FILE.to_owned());
    Ok(names)
}

fn numbered(folder: &Folder) -> Result<Vec<(u64, String)>, AuditError> {
    let mut found: Vec<(u64, String)> = folder
        .names()?
        .into_iter()
        .filter_map(|name| {
            let number = name.strip_prefix("audit.")?.strip_suffix(".jsonl")?.parse().ok()?;
            (file_name(number) == name).then_some((number, name))
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}

fn file_name(number: u64) -> String {
    format!("audit.{number}.jsonl")
}

/// Number and MAC of a line that ends as ours do.
fn read_chain_fields(line: &[u8]) -> Option<(u64, String)> {
    #[derive(Deserialize)]
    struct Fields {
        seq: u64,
        mac: String,
    }
    let Fields { seq, mac } = serde_json::from_slice(line).ok()?;
    let ending = [MAC_FIELD, mac.as_bytes(), b"\"}"].concat();
    (mac.len() == 64 && line.ends_with(&ending)).then_some((seq, mac))
}

/// The part of a line that its MAC covers.
fn body_of(line: &[u8]) -> &[u8] {
    line.get(..line.len().saturating_sub(MAC_FIELD.len() + 64 + 2))
        .unwrap_or_default()
}

fn mac_of(mac: Mac<'_>, before: &[u8], body: &[u8]) -> String {
    HEXLOWER.encode(&mac(&[before, body]))
}

fn states(folder: &Folder) -> Result<Vec<(String, Option<Stamp>)>, AuditError> {
    names(folder)?
        .into_iter()
        .map(|name| Ok((name.clone(), folder.stamp(&name)?)))
        .collect()
}

fn failed(folder: &Folder, name: &str, source: io::Error) -> AuditError {
    AuditError::File(FileError::Io {
        path: folder.path().join(name),
        doing: "read",
        source,
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
