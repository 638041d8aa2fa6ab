//! The thread of a process that runs for long, which looks and sends now and then.

use std::{
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use tokio::time::sleep;

use super::{conditions, recording::Recording, sending::AlertSender};
use crate::app::App;

/// The pause between two turns.
const TURN_INTERVAL: Duration = Duration::from_secs(5);

/// Looks and sends now and then in a thread of its own, until `app` is dropped.
pub fn start(app: &Arc<App>) {
    let app = Arc::downgrade(app);
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(keep_sending(&app));
        }
    };
    // Where there is no thread for it, another process sends.
    drop(thread::Builder::new().name("alerts".to_owned()).spawn(run));
}

async fn keep_sending(app: &Weak<App>) {
    let (mut sender, mut recording) = (None, Recording::default());
    loop {
        sleep(TURN_INTERVAL).await;
        let Some(app) = app.upgrade() else {
            return;
        };
        if app.settings().current().alerts.is_empty() {
            continue;
        }
        if sender.is_none() {
            sender = AlertSender::new(&app).ok();
        }
        recording.watch(&app).await;
        if let Some(sender) = &sender {
            conditions::look(&app).await;
            if let Err(why) = sender.turn(&app).await {
                tracing::warn!(error = why.code().as_str(), "alerts could not be sent");
            }
        }
    }
}
