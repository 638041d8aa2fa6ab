//! `gateway`: the server that puts keys into the requests of programs that have none.

mod arguments;
mod reach;
mod serve;
mod service;

pub(super) use self::{
    arguments::{LISTEN, behind},
    reach::{expect_gateway, expect_key},
    serve::{COMMAND, Signals, open_vault, private, runtime},
};
