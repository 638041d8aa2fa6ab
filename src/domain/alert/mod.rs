//! Alerts: what there is to say of the budgets, keys, providers and files, and how urgent it is.

mod kind;
mod new_alert;
mod notice;

pub use self::{
    kind::{AlertKind, AlertSeverity},
    new_alert::NewAlert,
    notice::{AlertChange, Notice},
};
