//! The accounts of all requests: opened with the gateway, and closed when nothing is left to record.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use super::{
    booking::{Booking, Ending, Noted},
    writer::LedgerWriter,
};
use crate::{
    app::App,
    error::{Code, Error, Result},
    gateway::{
        keys::health::KeyHealth,
        metrics::Metrics,
        request::{client_request::ClientRequest, prepared_request::PreparedRequest},
    },
    services::budget_claim::{self, Claim},
    settings::BudgetConfig,
    storage::gateway_clients::GatewayClient,
};

/// What requests cost, of all that go through the gateway.
#[derive(Debug)]
pub(in crate::gateway) struct Accounts {
    metrics: Arc<Metrics>,
    writer: Arc<LedgerWriter>,
    /// The threads of the writer, until they have ended.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A request that is to be booked.
#[derive(Debug)]
pub(in crate::gateway) struct ToBook<'a> {
    pub(in crate::gateway) budget: &'a BudgetConfig,
    pub(in crate::gateway) client: &'a GatewayClient,
    pub(in crate::gateway) prepared: &'a PreparedRequest,
    pub(in crate::gateway) noted: Noted,
}

impl Accounts {
    /// Starts the threads that write to the ledger.
    pub(in crate::gateway) fn open(
        app: &Arc<App>,
        key_health: &Arc<KeyHealth>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self> {
        let (writer, changes) = LedgerWriter::new(app, key_health)?;
        let writer = Arc::new(writer);
        let (folding, syncing) = (Arc::clone(&writer), Arc::clone(&writer));
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(work)
                .map_err(|why| Error::new(Code::StorageFailed, "could not start a thread").caused_by(why))
        };
        let threads = vec![
            spawn("accounts", Box::new(move || folding.run()))?,
            spawn("sync", Box::new(move || syncing.sync(&changes)))?,
        ];
        Ok(Self {
            metrics: Arc::clone(metrics),
            writer,
            threads: Mutex::new(threads),
        })
    }

    /// Records what is left, and ends; what is booked after that is lost.
    ///
    /// What the ledger does not take now stays in the journal until it is opened next. Fails where even that fails.
    pub(in crate::gateway) fn close(&self) -> Result<()> {
        self.writer.close();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            let _ = thread.join();
        }
        match self.writer.unsaved() {
            0 => Ok(()),
            requests => Err(Error::new(
                Code::StorageFailed,
                format!("what {requests} requests used could not be recorded"),
            )
            .hint("see `api-keys doctor`; the provider's own page shows what was used")),
        }
    }

    /// Reserves what the request may cost, and notes in the journal that it is about to be sent.
    pub(in crate::gateway) async fn book(&self, app: &Arc<App>, to_book: ToBook<'_>) -> Result<Booking> {
        let ToBook {
            budget,
            client,
            prepared,
            noted,
        } = to_book;
        let claim = claim(app, budget, client, prepared)?;
        let mut booking = Booking::new(app, &self.metrics, &self.writer, (client, prepared), noted);
        if prepared.is_metered {
            let held = self.writer.reserve(&claim, client).await?;
            let entry = self.writer.begin(&booking.ended(&Ending::unknown(prepared.input)))?;
            booking.began(held, entry);
        }
        Ok(booking)
    }

    /// Reserves again what the request may cost, where an attempt that failed has used that up.
    pub(in crate::gateway) async fn reserve_again(
        &self,
        app: &App,
        request: &ClientRequest,
        prepared: &PreparedRequest,
        booking: &mut Booking,
    ) -> Result<()> {
        if booking.is_used_up() {
            let claim = claim(app, &request.config.budget, &request.client, prepared)?;
            booking.reserved(self.writer.reserve(&claim, &request.client).await?);
        }
        Ok(())
    }
}

/// What the request takes of the budgets in force.
fn claim(app: &App, budget: &BudgetConfig, client: &GatewayClient, prepared: &PreparedRequest) -> Result<Claim> {
    budget_claim::claim(budget, Some(client), prepared.most, app.now()).map_err(|why| {
        if prepared.is_deferred && why.code() == Code::PriceUnknown {
            why.hint(
                "its usage is known only later: send the request synchronously, or set \
                 `budget.unpriced_cap` to the amount reserved for such requests",
            )
        } else {
            why
        }
    })
}
