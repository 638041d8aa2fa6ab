#![doc = include_str!("ROUTING.md")]

mod balance;
mod decide;
mod gather;
mod reason;
mod recommend;
mod route;
mod score;
mod stats;
mod supply;
mod tail;

pub use self::{
    balance::affinity,
    decide::{Candidate, Decision, Precedence, decide},
    gather::{RoutingSnapshot, open_for},
    reason::{phrase, reason},
    recommend::{Advice, Note, RoutingHealth, recommend},
    route::{Considered, Route, Wanted, look, route},
    score::CandidateCost,
    stats::{ProviderStats, Stats, overview, stats},
    supply::{Expected, KeySupply, Offer, Policy, Purse, RouteQuery, Supply, Variant, Verdict},
};
