//! `gateway`: the server that puts keys into the requests of programs that have none.

mod arguments;
mod serve;
mod service;

pub(super) use self::{
    arguments::LISTEN,
    serve::{COMMAND, Signals, open_vault, private, runtime},
};
