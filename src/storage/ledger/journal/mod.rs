//! The journal: what requests of one process have begun and ended, appended before it is acknowledged.
//!
//! An append is one write to the page cache: it survives the end of the process, however sudden. The ledger takes over
//! what has ended ([`super::Ledger::fold`]), with the journal's position in the same transaction, so that each entry is
//! recorded once. A process holds a lock on its segments for as long as it lives; the next process that opens the ledger replays the
//! segments that no process holds ([`super::Ledger::replay`]).
//!
//! A segment is full of zeros when it is made: there is space for the end of each request that has begun, whatever
//! becomes of the disk. A segment in which that space is used up is followed by another one, which begins with the
//! requests that are under way.

mod entry;
mod replay;
mod segment;
mod writer;

use self::writer::FOLDER;
pub use self::{
    entry::EntryId,
    segment::{Position, Segment},
    writer::{Encoded, Journal},
};
pub(super) use self::{replay::LiveJournal, writer::open_folder};
