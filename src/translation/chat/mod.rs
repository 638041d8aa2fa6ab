//! OpenAI's chat completions, which many providers have as well.

mod request_reader;
mod request_writer;
mod response_reader;
mod response_writer;

pub(super) use request_reader::read_request;
pub(super) use request_writer::{answer_format, tool_choice, write_request};
pub(super) use response_reader::{ChatReader, read_failure};
pub(super) use response_writer::{ChatWriter, write_error, write_whole};
