//! A panic in a tool becomes an answer.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use crate::error::{Code, Error, Result};

/// The outcome of `work`, or `internal` if it panics; nothing of the panic's payload, which may quote a value.
pub(super) async fn guarded<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut work = pin!(work);
    std::future::poll_fn(move |context| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))).unwrap_or_else(|_| {
            Poll::Ready(Err(Error::new(
                Code::Internal,
                "the tool stopped at a mistake in this program",
            )
            .hint(
                "the call may have taken effect: `api-keys doctor` checks the files; please report it with the call",
            )))
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_and_its_payload_is_not() {
        let outcome: Result<()> = guarded(async { panic!("sk-canary") }).await;
        let error = outcome.expect_err("it panicked");
        assert_eq!(error.code(), Code::Internal);
        assert!(!error.to_json().to_string().contains("canary"));
        // It may have come after the change.
        assert!(
            error
                .hint_text()
                .is_some_and(|hint| hint.contains("may have taken effect"))
        );
    }

    #[tokio::test]
    async fn work_that_succeeds_passes_through() {
        assert_eq!(guarded(async { Ok(7) }).await.ok(), Some(7));
    }
}
