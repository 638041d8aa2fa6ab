//! A ledger that takes nothing: reported past the outbox, which is in the ledger.

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};

use super::sending::deliver_to;
use crate::{
    alerts::AlertMessage,
    app::App,
    domain::{AlertChange, AlertKind, Notice},
    error::{Code, Error},
    storage::ledger::LedgerError,
};

/// How often the ledger is tried, over all processes.
const TRY_INTERVAL: SignedDuration = SignedDuration::from_mins(1);
/// How long it must have failed.
const FAILED_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// What one process knows of whether usage can be recorded.
#[derive(Debug, Default)]
pub(super) struct Recording {
    /// Since when the ledger fails.
    since: Option<Timestamp>,
    /// The code of the failure that was reported, and the id of the message.
    reported: Option<(Code, String)>,
}

impl Recording {
    /// Tries the ledger, and reports to every destination where it fails for a minute, and when it works again.
    pub(super) async fn watch(&mut self, app: &App) {
        let now = app.now();
        match app.ledger().is_check_due("recording", TRY_INTERVAL, now) {
            Ok(_) => {
                self.since = None;
                if let Some((code, id)) = self.reported.take() {
                    tell(app, code, id, AlertChange::Resolved).await;
                }
            }
            Err(LedgerError::Busy { .. }) => {}
            Err(why) => {
                let since = *self.since.get_or_insert(now);
                let is_new = self.reported.is_none() && now.duration_since(since) >= FAILED_AFTER;
                if let (true, Ok(id)) = (is_new, app.random::<16>()) {
                    let (code, id) = (Error::from(why).code(), HEXLOWER.encode(&id));
                    tell(app, code, id.clone(), AlertChange::Firing).await;
                    self.reported = Some((code, id));
                }
            }
        }
    }
}

async fn tell(app: &App, code: Code, id: String, change: AlertChange) {
    let notice = Notice {
        id: 0,
        alert: 0,
        kind: AlertKind::RecordingFailed,
        subject: "ledger".to_owned(),
        change,
        severity: AlertKind::RecordingFailed.severity(),
        at: app.now(),
        text: format!(
            "usage cannot be recorded ({}): requests are in the journal until it can",
            code.as_str()
        ),
        command: "api-keys doctor --offline".to_owned(),
    };
    let message = AlertMessage::new(id, app.now(), std::slice::from_ref(&notice));
    for destination in &app.settings().current().alerts {
        if destination.accepts(&notice) {
            let verdict = deliver_to(app, destination, &message).await;
            tracing::warn!(
                destination = destination.name.as_str(),
                result = verdict.as_text(),
                "reported that usage cannot be recorded"
            );
        }
    }
}
