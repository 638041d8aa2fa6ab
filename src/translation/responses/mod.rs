//! OpenAI's responses: requests are written and responses read; what the client sends in this format goes on as it is.

mod request_writer;
mod response_reader;

pub(super) use request_writer::write_request;
pub(super) use response_reader::ResponsesReader;
