//! What the gateway and its service are both given.

use std::net::SocketAddr;

use clap::{Arg, ArgAction, value_parser};

/// Where it listens by default.
pub(in crate::cli) const LISTEN: &str = "127.0.0.1:8787";

pub(super) fn listen() -> Arg {
    Arg::new("listen")
        .long("listen")
        .value_name("ADDRESS:PORT")
        .value_parser(value_parser!(SocketAddr))
        .default_value(LISTEN)
        .help("Address to listen on")
}

/// The option of commands that work behind a gateway, which names the one that runs there.
pub(in crate::cli) fn behind(help: &'static str) -> Arg {
    Arg::new("gateway")
        .long("gateway")
        .value_name("ADDRESS:PORT")
        .value_parser(value_parser!(SocketAddr))
        .num_args(0..=1)
        .require_equals(true)
        .help(help)
}

pub(super) fn allow_remote() -> Arg {
    Arg::new("allow-remote")
        .long("allow-remote")
        .action(ArgAction::SetTrue)
        .help("Accept connections from other machines, unencrypted")
}
