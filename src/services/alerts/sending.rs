//! Sending: one process at a time, one message after the other to each destination.

use std::{
    io::Write,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::destinations::reveal;
use crate::{
    alerts::{self, AlertMail, AlertMessage, AlertRequest, Destination, MailTls, Payload, SendVerdict},
    app::App,
    domain::{AlertChange, AlertKind, AlertSeverity, NewAlert, Notice, Secret},
    error::Result,
    providers::{MailFailure, OutgoingMail, OutgoingPost, send_mail},
    storage::ledger::{LedgerError, OutboundMessage},
};

/// The pause between two turns of a process that only sends what is left.
const LINGER_INTERVAL: Duration = Duration::from_secs(1);
/// How often commands start a process that sends.
const BACKGROUND_INTERVAL: SignedDuration = SignedDuration::from_secs(30);
/// How long a program may take.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(10);
/// Notices that are older and were sent to no destination are history.
const OLDEST_NEWS: SignedDuration = SignedDuration::from_hours(24);
/// The longest time ahead that an attempt is put off to; one beyond was, before the clock was set back.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(25);

/// A process that sends when no other one does.
#[derive(Debug)]
pub struct AlertSender {
    holder: String,
}

/// What came of an attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub destination: String,
    pub verdict: SendVerdict,
}

/// Whether a process is needed that sends: something waits, no process is at it, and none was started for that in the last
/// half minute.
pub fn needs_sender(app: &App) -> bool {
    if app.settings().current().alerts.is_empty() {
        return false;
    }
    let (ledger, now) = (app.ledger(), app.now());
    let needs = || {
        let waits = ledger.has_unsent_alerts()? && !ledger.has_alert_sender(now)?;
        Ok::<_, LedgerError>(waits && ledger.is_check_due("background", BACKGROUND_INTERVAL, now)?)
    };
    // A ledger that cannot be read is reported where it is needed.
    needs().unwrap_or(false)
}

impl AlertSender {
    pub fn new(app: &App) -> Result<Self> {
        Ok(Self {
            holder: HEXLOWER.encode(&app.random::<8>()?),
        })
    }

    /// Sends what is due, unless another process is at it; returns what came of each attempt.
    pub async fn turn(&self, app: &App) -> Result<Vec<Attempt>> {
        let ledger = app.ledger();
        let config = app.settings().current();
        if !ledger.has_unsent_alerts()? || !ledger.lead_sending(&self.holder, app.now())? {
            return Ok(Vec::new());
        }
        let now = app.now();
        ledger.plan_notices(now, |notice| {
            if now.duration_since(notice.at) > OLDEST_NEWS {
                return Vec::new();
            }
            let accepting = config.alerts.iter().filter(|destination| destination.accepts(notice));
            accepting.map(|destination| destination.name.to_string()).collect()
        })?;
        let mut attempts = Vec::new();
        for destination in &config.alerts {
            attempts.extend(self.send_to(app, destination).await?);
        }
        Ok(attempts)
    }

    /// Lets another process send.
    pub fn stop(&self, app: &App) -> Result<()> {
        Ok(app.ledger().stop_sending(&self.holder)?)
    }

    /// Sends what is due to one destination, where anything is.
    async fn send_to(&self, app: &App, destination: &Destination) -> Result<Option<Attempt>> {
        let (ledger, now, name) = (app.ledger(), app.now(), destination.name.as_str());
        let queue = ledger.queue(name, now)?;
        if queue.is_dead {
            return Ok(None);
        }
        let message = if let Some(message) = queue.pending {
            let wait = message.next_at.duration_since(now);
            if wait > SignedDuration::ZERO && wait < LONGEST_WAIT {
                return Ok(None);
            }
            message
        } else {
            let zone = &app.settings().current().budget.time_zone;
            let due = alerts::due(destination, &queue.waiting, &queue.made, now, zone);
            if due.is_empty() {
                return Ok(None);
            }
            let Some(message) = ledger.make_message(name, &due, now)? else {
                return Ok(None);
            };
            message
        };
        // Each message has the lease's whole time.
        if !ledger.lead_sending(&self.holder, now)? {
            return Ok(None);
        }
        let text = AlertMessage::new(message.stable_id.clone(), message.made_at, &message.notices);
        let verdict = deliver_to(app, destination, &text).await;
        settle(app, destination, &message, &verdict)?;
        Ok(Some(Attempt {
            destination: name.to_owned(),
            verdict,
        }))
    }
}

/// Notes what came of an attempt.
fn settle(app: &App, destination: &Destination, message: &OutboundMessage, verdict: &SendVerdict) -> Result<()> {
    let (ledger, now, name) = (app.ledger(), app.now(), destination.name.as_str());
    match verdict {
        SendVerdict::Accepted => return Ok(ledger.message_sent(message.id, "accepted")?),
        SendVerdict::Retry { why, after } => {
            if let Some(pause) = alerts::next_attempt(message.attempts + 1, *after) {
                let next_at = now.checked_add(pause).unwrap_or(Timestamp::MAX);
                return Ok(ledger.message_not_sent(message.id, why, Some(next_at))?);
            }
        }
        SendVerdict::Dead { .. } => {}
    }
    let why = verdict.as_text();
    ledger.message_not_sent(message.id, why, None)?;
    let text = format!(
        "alerts no longer reach {name} ({}): {why}",
        destination.channel.as_str()
    );
    let command = format!("api-keys alerts test {name}");
    let alert = NewAlert::new(AlertKind::DestinationDead, name, &text, &command);
    Ok(ledger.give_up_destination(name, why, &alert, now)?)
}

/// Sends a message that says that it is a test; a destination that was given up is used again where it is accepted.
pub async fn test(app: &App, destination: &Destination) -> Result<SendVerdict> {
    let now = app.now();
    let notice = Notice {
        id: 0,
        alert: 0,
        kind: AlertKind::Test,
        subject: destination.name.to_string(),
        change: AlertChange::Firing,
        severity: AlertSeverity::Info,
        at: now,
        text: format!("Test of {}: alerts of API Key Manager arrive here", destination.name),
        command: "api-keys alerts list".to_owned(),
    };
    let id = HEXLOWER.encode(&app.random::<16>()?);
    let secret = reveal(app, destination).await?;
    let message = AlertMessage::new(id, now, &[notice]);
    let verdict = deliver(app, destination, secret.as_ref(), &message).await;
    if verdict == SendVerdict::Accepted {
        app.ledger().revive_destination(destination.name.as_str(), now)?;
    }
    Ok(verdict)
}

/// Sends `message` with the secret in the vault.
pub(super) async fn deliver_to(app: &App, destination: &Destination, message: &AlertMessage) -> SendVerdict {
    match reveal(app, destination).await {
        Ok(secret) => deliver(app, destination, secret.as_ref(), message).await,
        // The vault may be opened later, or the secret stored.
        Err(why) => SendVerdict::retry(why.message()),
    }
}

/// Sends `message`; what is answered is judged, and its text dropped.
async fn deliver(app: &App, destination: &Destination, secret: Option<&Secret>, message: &AlertMessage) -> SendVerdict {
    let none = Secret::new("");
    match alerts::payload(destination, secret.unwrap_or(&none), message, app.now()) {
        Err(why) => SendVerdict::Dead {
            why: format!("its secret is not of the right form: {why}"),
        },
        Ok(Payload::Http(requests)) => {
            for request in &requests {
                let verdict = post(app, destination, request).await;
                if verdict != SendVerdict::Accepted {
                    return verdict;
                }
            }
            SendVerdict::Accepted
        }
        Ok(Payload::Mail(mail)) => send(app, &mail, secret).await,
        Ok(Payload::Program {
            arguments,
            input,
            variables,
        }) => {
            let secret = app.settings().passphrase_variables();
            let run = move || run_program(&arguments, &input, &variables, &secret);
            match tokio::task::spawn_blocking(run).await {
                Ok(verdict) => verdict,
                Err(_) => SendVerdict::retry("the program could not be run"),
            }
        }
    }
}

async fn post(app: &App, destination: &Destination, request: &AlertRequest) -> SendVerdict {
    let post = OutgoingPost {
        url: &request.url,
        headers: &request.headers,
        body: &request.body,
        allow_private: destination.allow_private,
    };
    match app.messenger().post(&post, app.now()).await {
        Ok(answer) => SendVerdict::of_http(answer.status, answer.retry_after, &answer.body),
        Err(why) => SendVerdict::retry(format!("the server {}", why.message())),
    }
}

async fn send(app: &App, mail: &AlertMail, password: Option<&Secret>) -> SendVerdict {
    let settings = &mail.settings;
    let outgoing = OutgoingMail {
        host: &settings.host,
        port: settings.port,
        is_starttls: settings.tls == MailTls::Starttls,
        login: settings.user.as_deref().zip(password),
        from: &settings.from,
        to: &settings.to,
        message_id: &mail.message_id,
        date: mail.date,
        subject: &mail.subject,
        body: &mail.body,
    };
    match send_mail(&outgoing, &app.settings().environment().extra_certificates()).await {
        Ok(()) => SendVerdict::Accepted,
        Err(MailFailure::Passing(why)) => SendVerdict::retry(why),
        Err(MailFailure::Lasting(why)) => SendVerdict::Dead { why },
    }
}

/// Runs a program that reads `input`, and ends it where it takes too long. It inherits none of our secrets.
fn run_program(
    arguments: &[String],
    input: &str,
    variables: &[(&'static str, String)],
    secret: &[String],
) -> SendVerdict {
    let Some((program, rest)) = arguments.split_first() else {
        return SendVerdict::retry("there is no program to run");
    };
    let mut command = Command::new(program);
    command
        .args(rest)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for name in secret {
        command.env_remove(name);
    }
    let Ok(mut child) = command.spawn() else {
        return SendVerdict::retry("the program could not be started");
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A program may not read its input, and 64 kB fit into a pipe.
        let _ = stdin.write_all(input.as_bytes());
    }
    let tries = PROGRAM_TIMEOUT.as_millis() / 20;
    for _ in 0..tries {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return SendVerdict::Accepted,
            Ok(Some(_)) => return SendVerdict::retry("the program failed"),
            Ok(None) => thread::sleep(Duration::from_millis(20)),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    SendVerdict::retry("the program took longer than 10 s")
}

/// Sends what is due for as long as `patience`, and then lets other processes send.
pub async fn flush(app: &App, patience: Duration) -> Result<Vec<Attempt>> {
    let sender = AlertSender::new(app)?;
    let mut attempts = sender.turn(app).await?;
    let until = Instant::now() + patience;
    while Instant::now() < until && app.ledger().has_unsent_alerts()? {
        sleep(LINGER_INTERVAL).await;
        attempts.extend(sender.turn(app).await?);
    }
    sender.stop(app)?;
    Ok(attempts)
}
