//! Which files are of which thread, and which thread came from which.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;

use super::{
    thread::{Base, Thread},
    walk::{self, ThreadEvent},
};
use crate::agent_logs::{
    agent::LogReader,
    fault::LogFault,
    files::LogFile,
    json::{Count, LogText},
    lines,
    request::{LogReading, LoggedRequest},
};

/// How many ancestors a thread has at most.
const MAX_ANCESTORS: usize = 64;

/// All threads.
pub(super) struct Threads {
    threads: BTreeMap<String, Thread>,
    by_file: BTreeMap<PathBuf, String>,
    /// The events of threads that others came from, once they are read.
    read: Mutex<BTreeMap<String, Arc<Vec<ThreadEvent>>>>,
}

/// The first line of a file.
#[derive(Deserialize)]
struct HeadLine<'a> {
    #[serde(borrow)]
    payload: SessionMeta<'a>,
}

#[derive(Deserialize)]
struct SessionMeta<'a> {
    #[serde(borrow, default)]
    id: LogText<'a>,
    #[serde(borrow, default)]
    forked_from_id: LogText<'a>,
    #[serde(borrow, default)]
    parent_thread_id: LogText<'a>,
    #[serde(borrow, default)]
    cwd: LogText<'a>,
    #[serde(borrow, default)]
    model_provider: LogText<'a>,
    #[serde(default)]
    source: serde_json::Value,
    #[serde(borrow, default)]
    history_base: Option<HistoryBase<'a>>,
}

#[derive(Deserialize)]
struct HistoryBase<'a> {
    #[serde(borrow, default)]
    thread_id: LogText<'a>,
    #[serde(default)]
    end_ordinal_exclusive: Option<Count>,
    #[serde(default)]
    end_byte_offset: Option<Count>,
}

impl Threads {
    pub(super) fn of(files: &[LogFile]) -> Self {
        let mut threads: BTreeMap<String, Thread> = BTreeMap::new();
        let mut by_file = BTreeMap::new();
        for file in files {
            let (id, head) = head(&file.path).unwrap_or_else(|| (file.stem().to_owned(), Thread::default()));
            by_file.insert(file.path.clone(), id.clone());
            let thread = threads.entry(id).or_default();
            if thread.pages.is_empty() {
                thread.is_continued = head.is_continued;
            }
            thread.pages.push(file.path.clone());
            // Later pages continue the thread.
            thread.parent = thread.parent.take().or(head.parent);
            thread.base = thread.base.take().or(head.base);
            thread.folder = thread.folder.take().or(head.folder);
            thread.provider = thread.provider.take().or(head.provider);
        }
        for thread in threads.values_mut() {
            thread
                .pages
                .sort_by(|one, other| one.file_name().cmp(&other.file_name()));
        }
        Self {
            threads,
            by_file,
            read: Mutex::default(),
        }
    }

    /// All events of a thread in order, those copied from its ancestors first where it shares their history.
    fn events(&self, id: &str, deeper: usize) -> Result<Arc<Vec<ThreadEvent>>, LogFault> {
        let known = self
            .read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let Some(thread) = self.threads.get(id) else {
            return Ok(Arc::default());
        };
        let mut events = Vec::new();
        for (page, path) in thread.pages.iter().enumerate() {
            walk::read(path, page, &mut events)?;
        }
        if let (Some(base), Some(parent), true) = (&thread.base, &thread.parent, deeper > 0) {
            let mut before = walk::up_to(&self.events(parent, deeper - 1)?, base);
            before.extend(events);
            events = before;
        }
        let events = Arc::new(events);
        let is_needed_again =
            thread.pages.len() > 1 || self.threads.values().any(|it| it.parent.as_deref() == Some(id));
        if is_needed_again {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            read.insert(id.to_owned(), Arc::clone(&events));
        }
        Ok(events)
    }
}

impl LogReader for Threads {
    fn read(&self, file: &LogFile, _: u64, each: &mut dyn FnMut(LoggedRequest)) -> Result<LogReading, LogFault> {
        let Some(id) = self.by_file.get(&file.path) else {
            return Ok(LogReading::default());
        };
        let Some(thread) = self.threads.get(id) else {
            return Ok(LogReading::default());
        };
        let parent = match &thread.parent {
            Some(parent) if self.threads.contains_key(parent) => Some(self.events(parent, MAX_ANCESTORS)?),
            Some(_) | None => None,
        };
        let mut events = Vec::new();
        let mut unreadable = 0;
        let mut own_page = 0;
        for (page, path) in thread.pages.iter().enumerate() {
            let missed = walk::read(path, page, &mut events)?;
            if *path == file.path {
                unreadable = missed;
                own_page = page;
                // What follows changes nothing before it.
                break;
            }
        }
        walk::requests(
            &walk::Walked {
                id,
                thread,
                parent: parent.as_deref().map(Vec::as_slice),
                own_page,
            },
            &events,
            each,
        );
        Ok(LogReading { read_to: 0, unreadable })
    }

    fn follows_from(&self, changed: &BTreeSet<&Path>) -> Vec<PathBuf> {
        let mut threads: BTreeSet<&str> = BTreeSet::new();
        for path in changed {
            threads.extend(self.by_file.get(*path).map(String::as_str));
        }
        let mut following = Vec::new();
        // Descendants of descendants, too.
        loop {
            let before = threads.len();
            for (id, thread) in &self.threads {
                if thread.parent.as_deref().is_some_and(|parent| threads.contains(parent)) && threads.insert(id) {
                    following.extend(thread.pages.iter().cloned());
                }
            }
            if threads.len() == before {
                return following;
            }
        }
    }
}

/// The thread that a file is of, as its first line says.
fn head(path: &Path) -> Option<(String, Thread)> {
    let mut found = None;
    // Further such lines are copies of a parent's.
    let first = lines::first_with(path, b"\"session_meta\"").ok()??;
    if let Ok(line) = serde_json::from_slice::<HeadLine<'_>>(&first) {
        let meta = line.payload;
        let id = meta.id.get()?.to_owned();
        let owned = |text: &LogText<'_>| text.get().map(str::to_owned);
        let spawned = meta.source.pointer("/subagent/thread_spawn/parent_thread_id");
        let spawned = spawned.and_then(|id| id.as_str()).map(str::to_owned);
        let base = meta.history_base.as_ref();
        let base_of = base.and_then(|base| owned(&base.thread_id));
        let parent = owned(&meta.forked_from_id)
            .or_else(|| owned(&meta.parent_thread_id))
            .or(spawned)
            .or_else(|| base_of.clone())
            .filter(|parent| *parent != id);
        // One that points to the thread itself only says that this is a later page.
        let base = base
            .filter(|_| base_of.is_some() && base_of == parent)
            .map(|base| Base {
                ordinal: base.end_ordinal_exclusive.map(|count| count.0),
                offset: base.end_byte_offset.map(|count| count.0),
            });
        let thread = Thread {
            pages: Vec::new(),
            is_continued: base_of.as_deref() == Some(id.as_str()),
            parent,
            base,
            folder: owned(&meta.cwd),
            provider: owned(&meta.model_provider),
        };
        found = Some((id, thread));
    }
    found
}
