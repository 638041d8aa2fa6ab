//! Files of logs read on all cores, from where reading ended if what stands before is still the same.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use crate::{
    agent_logs::{LogFault, LogFile, LogForm, LogReader, LogReading, LoggedRequest},
    error::Result,
    storage::ledger::LogPosition,
};

/// How many requests, and files, a message between threads holds at most.
const PARCEL: usize = 1_000;
/// How many messages may wait.
const WAITING: usize = 8;
/// How much of a file's beginning tells it from another.
const HEAD: u64 = 4 << 10;
/// How much before the place where reading ended tells whether it was rewritten.
const TAIL: u64 = 64;

/// A file that has to be read.
pub(super) struct DueFile {
    pub(super) file: LogFile,
    /// The number of its agent.
    pub(super) agent: usize,
    /// Where it was read to.
    pub(super) known: Option<LogPosition>,
}

/// What a thread that reads has to say.
pub(super) enum Parcel {
    Requests(usize, Vec<LoggedRequest>),
    /// A file is read; where it is read to.
    Done(usize, Result<(LogReading, LogPosition), LogFault>),
}

/// Reads the files on all cores, and gives what they tell to `take`.
pub(super) fn read_all(
    due: &[DueFile],
    readers: &[Box<dyn LogReader>],
    take: impl FnOnce(Receiver<Parcel>) -> Result<()>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let (sender, parcels) = sync_channel(WAITING);
    let workers = thread::available_parallelism().map_or(1, usize::from).min(due.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = due.get(index) else { return };
                    // Whoever takes the parcels has given up: there is nothing left to do.
                    if read_one(index, file, &*readers[file.agent], &sender).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        take(parcels)
    })
}

/// The parcels are not received any more.
struct ReceiverGone;

fn read_one(
    index: usize,
    due: &DueFile,
    reader: &dyn LogReader,
    sender: &SyncSender<Parcel>,
) -> std::result::Result<(), ReceiverGone> {
    let from = due.known.map_or(0, |known| where_to_go_on(&due.file, &known));
    let mut requests = Vec::new();
    let mut is_abandoned = false;
    let read = reader.read(&due.file, from, &mut |request| {
        requests.push(request);
        if requests.len() >= PARCEL {
            is_abandoned |= sender
                .send(Parcel::Requests(index, std::mem::take(&mut requests)))
                .is_err();
        }
    });
    if is_abandoned {
        return Err(ReceiverGone);
    }
    let outcome = read.and_then(|reading| Ok((reading, position(&due.file, reading.read_to)?)));
    let send = |parcel| sender.send(parcel).map_err(|_| ReceiverGone);
    if !requests.is_empty() {
        send(Parcel::Requests(index, requests))?;
    }
    send(Parcel::Done(index, outcome))
}

/// Where reading goes on: where it ended, if the file has only grown.
fn where_to_go_on(file: &LogFile, known: &LogPosition) -> u64 {
    let is_same = (known.device, known.inode) == (file.mark.device, file.mark.inode);
    match file.form {
        LogForm::Database if is_same => known.read_to,
        LogForm::Lines if is_same && known.read_to > 0 && file.mark.size >= known.read_to => {
            let is_as_it_was = checksum(&file.path, known.read_to).is_ok_and(|checksum| checksum == known.checksum);
            if is_as_it_was { known.read_to } else { 0 }
        }
        LogForm::Lines | LogForm::Database => 0,
    }
}

fn position(file: &LogFile, read_to: u64) -> Result<LogPosition, LogFault> {
    let checksum = match file.form {
        LogForm::Lines if read_to > 0 => checksum(&file.path, read_to)?,
        LogForm::Lines | LogForm::Database => 0,
    };
    Ok(LogPosition {
        device: file.mark.device,
        inode: file.mark.inode,
        size: file.mark.size,
        modified: file.mark.modified,
        read_to,
        checksum,
    })
}

/// A checksum of the file's beginning, and of what stands before `read_to`.
fn checksum(path: &Path, read_to: u64) -> std::io::Result<u32> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    (&mut file).take(HEAD.min(read_to)).read_to_end(&mut bytes)?;
    file.seek(SeekFrom::Start(read_to.saturating_sub(TAIL)))?;
    file.take(TAIL.min(read_to)).read_to_end(&mut bytes)?;
    Ok(crc32fast::hash(&bytes))
}
