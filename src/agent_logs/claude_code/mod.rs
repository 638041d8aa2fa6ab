//! Claude Code, and the local mode of Claude Desktop, which writes the same.
//!
//! A line with `message.usage` is a state of one message: its output grows until the message is complete, and forks,
//! resumed sessions and background sessions copy the lines of their past into files of their own. The message's id and
//! the request's together identify a request; where a gateway in between drops the request's id, or gives every message
//! the same id, the time and the counts are needed as well.

mod line;
mod places;
mod transcript;

pub(super) use self::places::AGENT;
