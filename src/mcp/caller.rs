//! The client as a caller: how the person behind it is prompted for a secret, and sees progress.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rmcp::{
    RoleServer,
    model::{
        CustomNotification, ElicitRequest, ElicitRequestParams, ElicitationAction, InputRequest, InputRequests,
        InputRequiredResult, ProgressNotificationParam, ProgressToken, ProtocolVersion, ServerNotification,
    },
    service::RequestContext,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::rounds::{INPUT, Resumed, Rounds};
use crate::{
    app::App,
    domain::{Label, Secret},
    error::{Code, Error, Result},
    intake::{self, Intake, SecretOutcome, Ticket},
    providers::looks_like_key,
    services::keys,
    storage::vault::{VaultError, VaultStatus},
    tools::{Caller, CallerKind, Question, ToolOutput},
};

/// How long a call waits for a person: some clients give up at 60 s without a word.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);

/// No person reads a question in less.
pub(super) const MIN_READING_TIME: Duration = Duration::from_millis(50);

/// The client behind one call.
pub(super) struct McpCaller<'a> {
    pub(super) app: &'a App,
    pub(super) desk: &'a CallerContext,
    pub(super) context: &'a RequestContext<RoleServer>,
    /// What the state between two rounds is bound to.
    pub(super) call: Vec<u8>,
    /// What the second round of this call brought.
    pub(super) resumed: Mutex<Option<Resumed>>,
    /// What the client must do before it calls again.
    pub(super) needed: Mutex<Option<InputRequiredResult>>,
    /// The pages whose secrets this call has.
    pub(super) used: Mutex<Vec<Arc<Ticket>>>,
    pub(super) progress: Option<(ProgressToken, mpsc::UnboundedSender<ProgressNotificationParam>)>,
}

/// What all calls of a session share for asking.
pub(super) struct CallerContext {
    pub(super) intake: Intake,
    pub(super) rounds: Rounds,
    pub(super) patience: Duration,
    pub(super) gone: CancellationToken,
    /// Cancelled when every call has to end.
    pub(super) over: CancellationToken,
}

impl Caller for McpCaller<'_> {
    fn kind(&self) -> CallerKind {
        CallerKind::Mcp { client: self.name() }
    }

    fn ask<'a>(&'a self, question: Question) -> Pin<Box<dyn Future<Output = Result<Secret>> + Send + 'a>> {
        Box::pin(async move {
            // Whoever asks on has used the passphrase that was typed before.
            lock(&self.used).retain(|ticket| {
                let is_key = matches!(ticket.question(), Question::NewKey { .. });
                if !is_key {
                    ticket.finish(SecretOutcome::Done);
                }
                is_key
            });
            let (ticket, secret) = tokio::select! {
                answer = self.answer(&question) => answer?,
                () = self.desk.gone.cancelled() => return Err(interrupted()),
                () = self.context.ct.cancelled() => return Err(interrupted()),
            };
            lock(&self.used).push(ticket);
            Ok(secret)
        })
    }

    fn progress(&self, done: usize, total: usize, message: &str) {
        let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        if let Some((token, sender)) = &self.progress {
            let news = ProgressNotificationParam::new(token.clone(), number(done))
                .with_total(number(total))
                .with_message(message);
            // Nobody listens once the call is over.
            let _ = sender.send(news);
        }
    }
}

impl McpCaller<'_> {
    /// Tells the pages that this call used what became of their secrets.
    pub(super) fn finish(&self, outcome: &Result<ToolOutput>) {
        for ticket in lock(&self.used).drain(..) {
            ticket.finish(match outcome {
                Err(error) if self.concerns(error.code(), ticket.question()) => SecretOutcome::Failed {
                    message: error.message().to_owned(),
                    hint: error.hint_text().unwrap_or_default().to_owned(),
                },
                Ok(_) | Err(_) => SecretOutcome::Done,
            });
        }
    }

    /// Whether an error of the call says that this secret did not do its work.
    fn concerns(&self, code: Code, question: &Question) -> bool {
        match question {
            Question::NewKey { .. } => true,
            // The vault may be open and the tool fail for a reason of its own.
            Question::Passphrase | Question::NewPassphrase => {
                code == Code::WrongPassphrase || !matches!(self.app.vault().status(), Ok(VaultStatus::Unlocked { .. }))
            }
        }
    }

    async fn answer(&self, question: &Question) -> Result<(Arc<Ticket>, Secret)> {
        // A person who says no means it, even after typing.
        if let Some(Resumed { ticket, action }) = &*lock(&self.resumed)
            && ticket.question() == question
            && *action == ElicitationAction::Decline
        {
            self.heed(action, ticket)?;
        }
        // What was typed after an earlier call had given up is here already.
        if let Some(ticket) = self.desk.intake.find(question)
            && let Some(secret) = ticket.typed()
        {
            return Ok((ticket, secret));
        }
        let capabilities = self.context.client_capabilities().unwrap_or_default();
        if capabilities.elicitation.is_none_or(|modes| modes.url.is_none()) {
            return Err(self.required(question, "this client has no way to ask for a secret"));
        }
        if self.is_modern() {
            self.answer_in_rounds(question).await
        } else {
            self.answer_in_session(question).await
        }
    }

    /// Protocol 2026-07-28 and later: the client gets what is needed, and calls again.
    async fn answer_in_rounds(&self, question: &Question) -> Result<(Arc<Ticket>, Secret)> {
        let resumed = lock(&self.resumed).take();
        if let Some(Resumed { ticket, action }) = resumed
            && ticket.question() == question
        {
            self.heed(&action, &ticket)?;
            return self.wait(ticket).await;
        }
        let ticket = self.desk.intake.open(request(self.app, question))?;
        let elicitation = ElicitRequest::new(ElicitRequestParams::UrlElicitationParams {
            meta: None,
            message: message(question, &ticket),
            url: ticket.address().to_owned(),
            elicitation_id: ticket.code().to_owned(),
        });
        let requests = InputRequests::from([(INPUT.to_owned(), InputRequest::Elicitation(elicitation))]);
        let state = self.desk.rounds.seal(&ticket, &self.call)?;
        *lock(&self.needed) = Some(InputRequiredResult::new(Some(requests), Some(state)));
        // The tool ends here; the client gets what is needed in place of this.
        Err(self.pending(question))
    }

    /// Protocol 2025-11-25 and earlier: the client is prompted while the call waits.
    async fn answer_in_session(&self, question: &Question) -> Result<(Arc<Ticket>, Secret)> {
        let ticket = self.desk.intake.open(request(self.app, question))?;
        let Some(_turn) = ticket.turn() else {
            // Another call is asking the same already; one dialog is enough.
            return self.wait(ticket).await;
        };
        let asked = async {
            let address = url::Url::parse(ticket.address())
                .map_err(|why| Error::new(Code::Internal, "the page has no address").caused_by(why))?;
            let action = self
                .context
                .peer
                .elicit_url_with_timeout(message(question, &ticket), address, ticket.code(), None)
                .await
                // A client that declares it and then fails is as good as one that cannot.
                .unwrap_or(ElicitationAction::Cancel);
            self.heed(&action, &ticket)?;
            // Agreed: the person is on the way to the page, or there already.
            std::future::pending::<Result<(Arc<Ticket>, Secret)>>().await
        };
        tokio::select! {
            refused = asked => refused,
            answer = self.wait(ticket.clone()) => {
                if answer.is_ok() {
                    self.tell_complete(&ticket).await;
                }
                answer
            }
        }
    }

    /// What the person said to the client; anything but a yes ends the asking.
    fn heed(&self, action: &ElicitationAction, ticket: &Arc<Ticket>) -> Result<()> {
        if *action == ElicitationAction::Accept {
            return Ok(());
        }
        self.desk.intake.close(ticket);
        if *action == ElicitationAction::Decline && ticket.age() < MIN_READING_TIME {
            return Err(self.required(
                ticket.question(),
                "the client declined before anybody could read the question",
            ));
        }
        if *action == ElicitationAction::Decline {
            return Err(Error::new(Code::InputDeclined, "the user declined to enter it")
                .hint("do not ask again unless the user wants it"));
        }
        // Clients that no person sits at cancel at once.
        Err(self.required(ticket.question(), "the page was not opened"))
    }

    /// Not interactive: what the user can do in a terminal instead.
    fn required(&self, question: &Question, why: &str) -> Error {
        let (code, message) = match question {
            Question::NewKey { .. } => (Code::KeyRequired, format!("a key is needed, and {why}")),
            Question::Passphrase => (Code::VaultLocked, format!("the vault is locked, and {why}")),
            Question::NewPassphrase => (
                Code::VaultAbsent,
                format!("there is no vault yet, a passphrase for it is needed, and {why}"),
            ),
        };
        Error::new(code, message).hint(self.instead(question))
    }

    /// The page is there, and so is the way around it: some clients say that they show pages and don't.
    fn pending(&self, question: &Question) -> Error {
        Error::new(Code::InputPending, "the page is open and not completed yet").hint(format!(
            "when the user has typed it there, call this tool again with the same arguments; if no page opened, {}",
            self.instead(question)
        ))
    }

    /// What the user can do at a terminal instead of typing on a page.
    fn instead(&self, question: &Question) -> String {
        match question {
            Question::NewKey {
                provider,
                label,
                rotation,
            } => {
                let command = keys::command(if *rotation { "rotate" } else { "add" }, provider, label);
                format!("ask the user to run `{command}` in a terminal; it asks for the key there")
            }
            Question::Passphrase => format!(
                "ask the user to set {} for this server, or to run `api-keys vault add-slot keychain` in a terminal so \
                 that the system's keychain opens the vault",
                self.app.settings().current().vault.passphrase_env
            ),
            Question::NewPassphrase => "ask the user to run `api-keys vault init` in a terminal".to_owned(),
        }
    }

    async fn wait(&self, ticket: Arc<Ticket>) -> Result<(Arc<Ticket>, Secret)> {
        match tokio::time::timeout(self.desk.patience, ticket.secret()).await {
            Ok(secret) => Ok((ticket, secret?)),
            Err(_) => Err(self.pending(ticket.question())),
        }
    }

    /// Lets the client close its dialog; only one revision of the protocol knows this.
    async fn tell_complete(&self, ticket: &Ticket) {
        if self.context.protocol_version() == Some(ProtocolVersion::V_2025_11_25) {
            let news = CustomNotification::new(
                "notifications/elicitation/complete",
                Some(json!({"elicitationId": ticket.code()})),
            );
            // A courtesy: the call goes on without it.
            let _ = self
                .context
                .peer
                .send_notification(ServerNotification::CustomNotification(news))
                .await;
        }
    }

    fn is_modern(&self) -> bool {
        self.context
            .protocol_version()
            .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
    }

    /// The client's name and version, cleaned and cut: it is whatever the other side says.
    fn name(&self) -> String {
        let Some(info) = self.context.client_info() else {
            return "unknown".to_owned();
        };
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
        let clean = |text: &str| text.chars().filter(is_plain).take(48).collect::<String>();
        let name = clean(&info.name);
        if looks_like_key(&info.name) || looks_like_key(&name) || name.is_empty() {
            return "unnamed".to_owned();
        }
        let version: String = info
            .version
            .chars()
            .filter(|c| c.is_ascii_digit() || *c == '.')
            .take(16)
            .collect();
        format!("{name}/{version}")
    }
}

/// What the page asks for, and how it judges what is typed.
fn request(app: &App, question: &Question) -> intake::Request {
    let provider = match question {
        Question::NewKey { provider, .. } => app.settings().current().provider(provider.as_str()).ok(),
        Question::Passphrase | Question::NewPassphrase => None,
    };
    let is_key = matches!(question, Question::NewKey { .. });
    intake::Request {
        question: question.clone(),
        provider_title: provider
            .as_ref()
            .map(|provider| provider.title.clone())
            .unwrap_or_default(),
        console: provider
            .as_ref()
            .map(|provider| provider.def.console)
            .filter(|console| console.starts_with("https://")),
        judge: Box::new(move |secret| {
            if is_key {
                keys::judge(provider.as_ref(), secret)?;
            // EXPOSE: only whether there is anything
            } else if secret.expose().is_empty() {
                return Err(VaultError::EmptyPassphrase.into());
            }
            Ok(())
        }),
    }
}

/// What the client shows with the link: the code first, since terminals cut long lines.
fn message(question: &Question, ticket: &Ticket) -> String {
    let (what, code) = (what(question), ticket.code());
    format!("Code {code}. Type {what} on this local page; the assistant does not see it.")
}

/// What is requested, for people.
fn what(question: &Question) -> String {
    match question {
        Question::NewKey {
            provider,
            label,
            rotation,
        } => {
            let new = if *rotation { "new " } else { "" };
            if *label == Label::default() {
                format!("the {new}{provider} API key")
            } else {
                format!("the {new}{provider} API key \"{label}\"")
            }
        }
        Question::Passphrase => "the passphrase of your API key vault".to_owned(),
        Question::NewPassphrase => "a passphrase for your new API key vault".to_owned(),
    }
}

fn interrupted() -> Error {
    Error::new(Code::Interrupted, "the call was ended while it waited for the user").hint("call the tool again")
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
