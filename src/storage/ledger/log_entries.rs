//! What logs report, and what becomes of it.

use std::{ops::AddAssign, path::PathBuf};

use crate::domain::{TokenCounts, UsageRecord, Usd};

/// A request from a log. Its identity is the record's `request_id`, and begins with the provider's id where the log has
/// that, and a colon.
#[derive(Debug, Clone)]
pub struct LogEntry {
    pub record: UsageRecord,
    /// The provider's own id of it.
    pub upstream_id: Option<String>,
    pub role: EntryRole,
}

/// What an entry is to the request that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryRole {
    Original,
    /// It may be a copy, which owns the request only where there is no original.
    Copy,
    /// It is another's: should it have been counted, it is taken back.
    NotOurs,
}

/// What a session had used in all when it was last read, and what that cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogCounter {
    pub counts: TokenCounts,
    pub cost: Usd,
}

/// Up to where a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPosition {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    /// In nanoseconds since 1970.
    pub modified: i64,
    /// Where reading goes on; 0 where it is read whole.
    pub read_to: u64,
    pub checksum: u32,
}

/// What one transaction takes in.
#[derive(Debug, Default)]
pub struct LogBatch {
    pub entries: Vec<LogEntry>,
    /// Counters as they are then: the agent, the session.
    pub counters: Vec<((String, String), LogCounter)>,
    /// The files that are read once `entries` are taken in.
    pub files: Vec<(PathBuf, LogPosition)>,
}

/// What becomes of a request from a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    New,
    /// More is known of it now.
    Updated,
    /// Nothing is new about it.
    Known,
    /// It passed the gateway, and was recorded there.
    Covered,
    /// It was reported, and is now recorded as the log has it.
    Replaces,
    /// It was counted, and turned out to be another's.
    TakenBack,
}

impl From<Fate> for Imported {
    fn from(fate: Fate) -> Self {
        let mut one = Self::default();
        *match fate {
            Fate::New => &mut one.new,
            Fate::Updated => &mut one.updated,
            Fate::Known => &mut one.known,
            Fate::Covered => &mut one.covered,
            Fate::Replaces => &mut one.replaced,
            Fate::TakenBack => &mut one.taken_back,
        } = 1;
        one
    }
}

/// What became of requests from logs: how many met each [`Fate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    pub new: u64,
    pub updated: u64,
    pub known: u64,
    pub covered: u64,
    pub replaced: u64,
    pub taken_back: u64,
}

impl AddAssign for Imported {
    fn add_assign(&mut self, other: Self) {
        self.new += other.new;
        self.updated += other.updated;
        self.known += other.known;
        self.covered += other.covered;
        self.replaced += other.replaced;
        self.taken_back += other.taken_back;
    }
}
