//! Anthropic's messages.

mod request_reader;
mod request_writer;
mod response_reader;
mod response_writer;

pub(super) use request_reader::read_request;
pub(super) use request_writer::write_request;
pub(super) use response_reader::MessagesReader;
pub(super) use response_writer::{MessagesWriter, write_error, write_whole};
