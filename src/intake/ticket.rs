//! One request for a secret: open, typed, taken, done.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::{
    domain::Secret,
    error::{Code, Error, Result},
    services::caller::Question,
};

/// Random bytes in a ticket's address.
pub(super) const TOKEN_BYTES: usize = 16;

/// Letters and digits that are not mistaken for one another.
const CODE_ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// Characters in a code.
const CODE_LENGTH: usize = 6;

/// Says why a secret cannot be the requested one; the answer never holds the secret.
pub type Judge = Box<dyn Fn(&Secret) -> Result<()> + Send + Sync>;

/// What a page asks for.
pub struct Request {
    pub question: Question,
    /// The provider's name for people, where the question is about one.
    pub provider_title: String,
    /// Where people make keys, if that is known: an https address.
    pub console: Option<&'static str>,
    pub judge: Judge,
}

/// One request for a secret and the page for it.
pub struct Ticket {
    pub(super) request: Request,
    pub(super) token: [u8; TOKEN_BYTES],
    address: String,
    code: String,
    stage: Mutex<Stage>,
    changed: Notify,
    /// Whether a caller is asking the person for it.
    asking: AtomicBool,
    opened: Instant,
}

/// The right to ask the person, given back when dropped.
#[derive(Debug)]
pub struct AskPermit<'a>(&'a AtomicBool);

impl Drop for AskPermit<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// What became of a secret, as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretOutcome {
    /// The work that needed the secret is done.
    Done,
    /// It failed: a message and a hint, neither of which holds the secret.
    Failed { message: String, hint: String },
}

/// How far a ticket has come.
enum Stage {
    /// Nothing was typed yet.
    Open,
    /// The secret is here and was not fetched yet.
    Typed(Secret),
    /// The caller has the secret and works with it.
    Taken,
    Finished(SecretOutcome),
    /// The person cancelled.
    Declined,
    /// Closed by the caller, or too late; the secret, if there was one, is wiped.
    Closed,
}

/// What a page can say after a secret was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TicketProgress {
    /// The secret waits for the caller to come back for it.
    Waiting,
    /// The caller has it and is not done yet.
    Working,
    Finished(SecretOutcome),
    Closed,
}

impl Ticket {
    /// A ticket for `request` on the server at `authority` (host and port), made of random bytes.
    pub(super) fn new(request: Request, authority: &str, random: [u8; TOKEN_BYTES + CODE_LENGTH]) -> Self {
        let mut token = [0; TOKEN_BYTES];
        token.copy_from_slice(&random[..TOKEN_BYTES]);
        let address = format!("http://{authority}/{}", data_encoding::HEXLOWER.encode(&token));
        let mut code: String = random[TOKEN_BYTES..]
            .iter()
            .map(|byte| char::from(CODE_ALPHABET[usize::from(*byte) % CODE_ALPHABET.len()]))
            .collect();
        code.insert(CODE_LENGTH / 2, '-');
        Self {
            request,
            token,
            address,
            code,
            stage: Mutex::new(Stage::Open),
            changed: Notify::new(),
            asking: AtomicBool::new(false),
            opened: Instant::now(),
        }
    }

    /// The page's address, which is a secret too: anyone who has it can answer.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The short code that the page and the client's message both show.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// How long ago it was opened.
    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// The right to prompt the person for it, unless another call does so already.
    pub fn turn(&self) -> Option<AskPermit<'_>> {
        (!self.asking.swap(true, Ordering::AcqRel)).then_some(AskPermit(&self.asking))
    }

    /// Waits for the secret; fails when the ticket closes or another caller was faster.
    pub async fn secret(&self) -> Result<Secret> {
        self.until(|stage| match stage {
            // Another caller may be at work with it, and what comes of that may serve this one too.
            Stage::Open | Stage::Taken => None,
            Stage::Typed(_) => match std::mem::replace(stage, Stage::Taken) {
                Stage::Typed(secret) => Some(Ok(secret)),
                Stage::Open | Stage::Taken | Stage::Finished(_) | Stage::Declined | Stage::Closed => None,
            },
            Stage::Finished(_) => Some(Err(elsewhere())),
            Stage::Declined => Some(Err(declined())),
            Stage::Closed => Some(Err(closed())),
        })
        .await
    }

    /// The secret, if it has been typed already.
    pub fn typed(&self) -> Option<Secret> {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Taken) {
            Stage::Typed(secret) => {
                self.changed.notify_waiters();
                Some(secret)
            }
            other @ (Stage::Open | Stage::Taken | Stage::Finished(_) | Stage::Declined | Stage::Closed) => {
                *stage = other;
                None
            }
        }
    }

    /// Shows on the page what became of the secret.
    pub fn finish(&self, outcome: SecretOutcome) {
        let mut stage = self.stage();
        if matches!(*stage, Stage::Taken) {
            *stage = Stage::Finished(outcome);
            self.changed.notify_waiters();
        }
    }

    /// Wipes a secret that was not fetched and takes no other.
    pub(super) fn close(&self) {
        let mut stage = self.stage();
        if matches!(*stage, Stage::Open | Stage::Typed(_)) {
            *stage = Stage::Closed;
            self.changed.notify_waiters();
        }
    }

    /// Whether a secret can be typed still.
    pub(super) fn is_open(&self) -> bool {
        matches!(*self.stage(), Stage::Open)
    }

    /// Whether a caller can have something of it still.
    pub fn is_live(&self) -> bool {
        matches!(*self.stage(), Stage::Open | Stage::Typed(_))
    }

    /// Hands the secret over; false if another was faster.
    pub(super) fn accept(&self, secret: Secret) -> bool {
        let mut stage = self.stage();
        if !matches!(*stage, Stage::Open) {
            return false;
        }
        *stage = Stage::Typed(secret);
        self.changed.notify_waiters();
        true
    }

    /// Records that the person cancelled; false if the page was answered or closed before.
    pub(super) fn decline(&self) -> bool {
        let mut stage = self.stage();
        if !matches!(*stage, Stage::Open) {
            return false;
        }
        *stage = Stage::Declined;
        self.changed.notify_waiters();
        true
    }

    /// How far the caller has come, after at most `fetch` until it fetches the secret and `work` until it is done.
    pub(super) async fn progress(&self, fetch: Duration, work: Duration) -> TicketProgress {
        let taken = self.until(|stage| (!matches!(stage, Stage::Open | Stage::Typed(_))).then_some(()));
        if tokio::time::timeout(fetch, taken).await.is_err() {
            return TicketProgress::Waiting;
        }
        let finished = self.until(|stage| match stage {
            Stage::Open | Stage::Typed(_) | Stage::Taken => None,
            Stage::Finished(outcome) => Some(TicketProgress::Finished(outcome.clone())),
            Stage::Declined | Stage::Closed => Some(TicketProgress::Closed),
        });
        tokio::time::timeout(work, finished)
            .await
            .unwrap_or(TicketProgress::Working)
    }

    /// The question this ticket asks.
    pub fn question(&self) -> &Question {
        &self.request.question
    }

    /// Waits until `look` finds what it looks for.
    async fn until<T>(&self, look: impl Fn(&mut Stage) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut stage = self.stage();
                let before = std::mem::discriminant(&*stage);
                let found = look(&mut stage);
                if std::mem::discriminant(&*stage) != before {
                    self.changed.notify_waiters();
                }
                if let Some(found) = found {
                    return found;
                }
            }
            changed.await;
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// A ticket that more than one caller holds.
pub(super) type Shared = Arc<Ticket>;

fn elsewhere() -> Error {
    Error::new(
        Code::InputPending,
        "another call with the same question took the answer",
    )
    .hint("call the tool again if its work is still to be done")
}

fn declined() -> Error {
    Error::new(
        Code::InputDeclined,
        "the user cancelled on the page; nothing was changed",
    )
    .hint("do not ask again unless the user wants it")
}

fn closed() -> Error {
    Error::new(Code::InputPending, "the page was closed before anything was typed")
        .hint("call the tool again for a new page")
}
