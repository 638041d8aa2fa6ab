//! The person at the dashboard as the caller of a tool: secrets are typed on the one-time page.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::{state::DashboardState, tools};
use crate::{
    domain::{Label, Secret},
    error::{Code, Error, Result},
    intake::{self, SecretOutcome, Ticket},
    services::keys,
    tools::{Caller, CallerKind, Question},
};

/// Shows what is there, and asks for nothing.
pub(super) struct Onlooker;

impl Caller for Onlooker {
    fn kind(&self) -> CallerKind {
        CallerKind::Dashboard
    }

    fn ask<'a>(&'a self, question: Question) -> Pin<Box<dyn Future<Output = Result<Secret>> + Send + 'a>> {
        Box::pin(async move { Err(no_page(&question)) })
    }

    fn progress(&self, _done: usize, _total: usize, _message: &str) {}
}

/// Asks for one key on a page of its own.
struct Typist {
    state: Arc<DashboardState>,
    opened: Mutex<Option<oneshot::Sender<String>>>,
    /// The page whose key is in use.
    ticket: Mutex<Option<Arc<Ticket>>>,
}

impl Caller for Typist {
    fn kind(&self) -> CallerKind {
        CallerKind::Dashboard
    }

    fn ask<'a>(&'a self, question: Question) -> Pin<Box<dyn Future<Output = Result<Secret>> + Send + 'a>> {
        Box::pin(async move {
            let Question::NewKey { provider, .. } = &question else {
                return Err(no_page(&question));
            };
            let provider = self.state.app.settings().current().provider(provider.as_str()).ok();
            let judged_by = provider.clone();
            let ticket = self.state.intake.open(intake::Request {
                question: question.clone(),
                provider_title: provider.as_ref().map(|it| it.title.clone()).unwrap_or_default(),
                console: provider
                    .as_ref()
                    .map(|it| it.def.console)
                    .filter(|console| console.starts_with("https://")),
                judge: Box::new(move |secret| keys::judge(judged_by.as_ref(), secret)),
            })?;
            *lock(&self.ticket) = Some(Arc::clone(&ticket));
            if let Some(opened) = lock(&self.opened).take() {
                // The dashboard may be closed by now; the page is good without it.
                let _ = opened.send(ticket.address().to_owned());
            }
            ticket.secret().await
        })
    }

    fn progress(&self, _done: usize, _total: usize, _message: &str) {}
}

/// The address of a page for a new key of `provider` and `label`; what is typed there is stored, or takes the place of
/// the key that is there.
pub(super) async fn open_key_page(state: &Arc<DashboardState>, wanted: &Value) -> Result<String> {
    let provider = wanted["provider"].as_str().unwrap_or_default().to_owned();
    let label: Label = match wanted["label"].as_str().unwrap_or_default() {
        "" => Label::default(),
        label => label.parse()?,
    };
    let tool = match wanted["action"].as_str() {
        Some("add") => "add_api_key",
        Some("rotate") => "rotate_key",
        _ => return Err(Error::new(Code::InvalidArgument, "no such action").hint("use `add` or `rotate`")),
    };
    let provider = state.app.settings().current().provider(&provider)?.id;
    let arguments: Map<String, Value> = [
        ("provider".to_owned(), json!(provider.as_str())),
        ("label".to_owned(), json!(label.as_str())),
    ]
    .into_iter()
    .collect();
    let (sender, opened) = oneshot::channel();
    let typist = Typist {
        state: Arc::clone(state),
        opened: Mutex::new(Some(sender)),
        ticket: Mutex::default(),
    };
    let work = tokio::spawn(async move {
        let done = tools::call(&typist.state.app, &typist, tool, arguments).await;
        if let Some(ticket) = lock(&typist.ticket).take() {
            ticket.finish(match &done {
                Ok(_) => SecretOutcome::Done,
                Err(error) => SecretOutcome::Failed {
                    message: error.message().to_owned(),
                    hint: error.hint_text().unwrap_or_default().to_owned(),
                },
            });
        }
        done
    });
    match opened.await {
        Ok(address) => Ok(address),
        // It ended without asking: the vault may be locked, or there is no such key.
        Err(_) => match work.await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) | Err(_) => Err(Error::new(Code::Internal, "the page was not opened")),
        },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_page(question: &Question) -> Error {
    match question {
        Question::NewKey { .. } => Error::new(Code::KeyRequired, "a key is needed"),
        Question::Passphrase => Error::new(Code::VaultLocked, "the vault is locked by a passphrase")
            .hint("stop the dashboard, and run `api-keys dashboard` in a terminal: it asks for the passphrase"),
        Question::NewPassphrase => Error::new(Code::VaultAbsent, "there is no vault yet").hint("run `api-keys setup`"),
    }
}
