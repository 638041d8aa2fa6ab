//! The operating system's credential store, which may hang, pop up windows, or not be there at all.
//!
//! Every call has a thread of its own and a deadline. What the store's crate says in its errors stays here: it can hold
//! the secret.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

/// Under which name the store files our entries.
#[cfg(feature = "keychain")]
const SERVICE: &str = "api-keys";

/// How many calls may hang before further ones fail at once.
const MAX_HANGING: usize = 4;

/// Calls that have not come back, also those that are no longer waited for.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// The operating system's credential store.
#[derive(Debug, Clone, Copy)]
pub struct Keychain {
    deadline: Duration,
}

/// Why the store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeychainError {
    /// The store works and has no such entry.
    #[error("the entry is not in the system's keychain")]
    NoEntry,
    /// The store is there but closed, or the person at the screen said no.
    #[error("the system's keychain is locked")]
    Locked,
    /// There is no store to talk to, or this build has no support for it.
    #[error("there is no system keychain to talk to")]
    Unavailable,
    /// The store did not answer in time.
    #[error("the system's keychain did not answer in time")]
    TimedOut,
    /// The entry is not one that this program wrote, or there are several.
    #[error("the entry in the system's keychain was not written by this program")]
    Foreign,
}

impl Keychain {
    /// A store that gets `deadline` for each answer. Makes no call yet.
    pub fn new(deadline: Duration) -> Self {
        Self { deadline }
    }

    /// What is stored under `account`.
    pub fn read(&self, account: &str) -> Result<Zeroizing<Vec<u8>>, KeychainError> {
        let account = account.to_owned();
        let text = self.call(move || system::read(&account))?;
        HEXLOWER
            .decode(&text)
            .map(Zeroizing::new)
            .map_err(|_| KeychainError::Foreign)
    }

    /// Stores `bytes` under `account`, in place of what was there.
    pub fn write(&self, account: &str, bytes: &[u8]) -> Result<(), KeychainError> {
        let account = account.to_owned();
        // Some stores take only text.
        let text = Zeroizing::new(HEXLOWER.encode(bytes).into_bytes());
        self.call(move || system::write(&account, &text))
    }

    /// Removes what is stored under `account`.
    pub fn remove(&self, account: &str) -> Result<(), KeychainError> {
        let account = account.to_owned();
        self.call(move || system::remove(&account))
    }

    fn call<T: Send + 'static>(
        &self,
        ask: impl FnOnce() -> Result<T, KeychainError> + Send + 'static,
    ) -> Result<T, KeychainError> {
        if UNDER_WAY.fetch_add(1, Ordering::SeqCst) >= MAX_HANGING {
            UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
            return Err(KeychainError::TimedOut);
        }
        let (answer, answered) = mpsc::sync_channel(1);
        let started = thread::Builder::new().name("keychain".to_owned()).spawn(move || {
            let _counted = CallGuard;
            // Nobody may be waiting any more; the answer is wiped then.
            let _ = answer.send(ask());
        });
        if started.is_err() {
            UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
            return Err(KeychainError::Unavailable);
        }
        match answered.recv_timeout(self.deadline) {
            Ok(outcome) => outcome,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(KeychainError::TimedOut),
            // The thread died: a panic inside the store's crate.
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(KeychainError::Unavailable),
        }
    }
}

/// Counts a call as come back, also when it panics.
struct CallGuard;

impl Drop for CallGuard {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(all(
    feature = "keychain",
    any(target_os = "linux", target_os = "macos", target_os = "windows")
))]
mod system {
    #[cfg(target_os = "macos")]
    use apple_native_keyring_store::keychain::Store;
    use keyring_core::{Entry, Error, api::CredentialStoreApi};
    #[cfg(target_os = "windows")]
    use windows_native_keyring_store::Store;
    #[cfg(target_os = "linux")]
    use zbus_secret_service_keyring_store::Store;
    use zeroize::Zeroizing;

    use super::{KeychainError, SERVICE};

    pub(super) fn read(account: &str) -> Result<Zeroizing<Vec<u8>>, KeychainError> {
        entry(account)?.get_secret().map(Zeroizing::new).map_err(told_apart)
    }

    pub(super) fn write(account: &str, bytes: &[u8]) -> Result<(), KeychainError> {
        entry(account)?.set_secret(bytes).map_err(told_apart)
    }

    pub(super) fn remove(account: &str) -> Result<(), KeychainError> {
        entry(account)?.delete_credential().map_err(told_apart)
    }

    fn entry(account: &str) -> Result<Entry, KeychainError> {
        Store::new()
            .and_then(|store| store.build(SERVICE, account, None))
            .map_err(told_apart)
    }

    /// Keeps the kind and drops the rest: `BadEncoding` and `BadDataFormat` hold the secret.
    fn told_apart(why: Error) -> KeychainError {
        match why {
            Error::NoEntry => KeychainError::NoEntry,
            Error::NoStorageAccess(_) => KeychainError::Locked,
            Error::BadEncoding(bytes) | Error::BadDataFormat(bytes, _) => {
                drop(Zeroizing::new(bytes));
                KeychainError::Foreign
            }
            Error::Ambiguous(_) => KeychainError::Foreign,
            // The crate's list of errors may grow.
            _ => KeychainError::Unavailable,
        }
    }
}

#[cfg(not(all(
    feature = "keychain",
    any(target_os = "linux", target_os = "macos", target_os = "windows")
)))]
mod system {
    use zeroize::Zeroizing;

    use super::KeychainError;

    pub(super) fn read(_account: &str) -> Result<Zeroizing<Vec<u8>>, KeychainError> {
        Err(KeychainError::Unavailable)
    }

    pub(super) fn write(_account: &str, _bytes: &[u8]) -> Result<(), KeychainError> {
        Err(KeychainError::Unavailable)
    }

    pub(super) fn remove(_account: &str) -> Result<(), KeychainError> {
        Err(KeychainError::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    #[test]
    fn a_call_that_hangs_is_given_up_and_hanging_calls_do_not_pile_up() {
        let keychain = Keychain::new(Duration::from_millis(10));
        let (hold, released) = (Arc::new(Barrier::new(MAX_HANGING + 1)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..MAX_HANGING {
            let (hold, released) = (Arc::clone(&hold), Arc::clone(&released));
            let outcome = keychain.call(move || {
                hold.wait();
                released.fetch_add(1, Ordering::SeqCst);
                Ok(())
            });
            assert_eq!(outcome, Err(KeychainError::TimedOut));
        }
        let patient = Keychain::new(Duration::from_mins(10));
        assert_eq!(patient.call(|| Ok(())), Err(KeychainError::TimedOut), "fails at once");
        hold.wait();
        while UNDER_WAY.load(Ordering::SeqCst) > 0 {
            thread::yield_now();
        }
        assert_eq!(released.load(Ordering::SeqCst), MAX_HANGING);
        assert_eq!(patient.call(|| Ok(7)), Ok(7), "works again once they came back");
        let panicked: Result<(), _> = patient.call(|| panic!("inside the store's crate"));
        assert_eq!(panicked, Err(KeychainError::Unavailable));
    }
}
