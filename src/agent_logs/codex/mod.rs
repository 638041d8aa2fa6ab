//! Codex: its command line, desktop and editor versions, and front ends of others.
//!
//! A line with `token_count` says what its thread has used in all, and may come again without any new request. Threads
//! that were forked, and those of subagents, begin with a copy of their parent's lines, or where the parent's counter
//! stood: what a thread used itself follows from its parent's lines alone ([`walk`]). A long thread is several files.

mod places;
mod thread;
mod threads;
mod walk;

pub(super) use self::places::AGENT;
