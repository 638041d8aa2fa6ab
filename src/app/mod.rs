//! Composition root: everything that is held, opened once and lazily; the only place that asks for the time or for chance.

mod figures;
mod prices;

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::{
    catalog::{Catalog, Figures},
    error::{Code, Error, Result},
    providers::{Checker, Listings, Messenger, ModelListing, Provider},
    settings::{Config, Settings},
    storage::{
        gateway_clients::ClientStore,
        ledger::Ledger,
        vault::{Vault, VaultPlaces},
    },
};

pub(crate) use self::{
    figures::{FILE as FIGURES_FILE, figures},
    prices::{FILE as PRICES_FILE, overlay},
};

/// Where the time comes from.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    #[default]
    System,
    /// Stands still; for tests.
    Fixed(Timestamp),
}

impl Clock {
    fn now(self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Fixed(at) => at,
        }
    }
}

/// Everything a tool, a resource or a command works with.
#[derive(Debug)]
pub struct App {
    settings: Settings,
    vault: Arc<Vault>,
    ledger: Ledger,
    clients: ClientStore,
    checker: Checker,
    messenger: Messenger,
    prices: prices::Prices,
    quality: figures::Quality,
    listings: Listings,
    clock: Clock,
    /// What layers above keep between calls, one of each type.
    kept: Mutex<BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl App {
    /// Prepares everything and opens nothing: no vault, no keychain, no ledger, no connection.
    pub fn new(settings: Settings, clock: Clock) -> Self {
        let checker = Checker::trusting(settings.environment().extra_certificates());
        let messenger = Messenger::trusting(settings.environment().extra_certificates());
        let paths = settings.paths();
        let places = VaultPlaces {
            key_folder: paths.config_folder().to_owned(),
            ..VaultPlaces::in_folder(paths.data_folder())
        };
        let vault = Arc::new(Vault::new(places));
        let ledger = Ledger::new(paths.data_folder());
        let clients = ClientStore::new(paths.data_folder());
        Self {
            settings,
            vault,
            ledger,
            clients,
            checker,
            messenger,
            prices: prices::Prices::default(),
            quality: figures::Quality::default(),
            listings: Listings::default(),
            clock,
            kept: Mutex::default(),
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The gateway's clients.
    pub fn clients(&self) -> &ClientStore {
        &self.clients
    }

    pub fn checker(&self) -> &Checker {
        &self.checker
    }

    pub fn messenger(&self) -> &Messenger {
        &self.messenger
    }

    /// Which models the server of `provider` has, if it runs on this machine.
    pub async fn installed(&self, provider: &Provider) -> ModelListing {
        self.listings.of(&self.checker, provider, self.now()).await
    }

    /// The models and prices in force: built in, over them what `prices update` took in, over both `config.toml`.
    ///
    /// A damaged `prices.json` is an error where a price is needed: no other price takes its place.
    pub fn catalog(&self) -> Result<Arc<Catalog>> {
        self.in_force().map(|(_, catalog)| catalog)
    }

    /// The configuration, and the models and prices, of one moment.
    pub fn in_force(&self) -> Result<(Arc<Config>, Arc<Catalog>)> {
        let config = self.settings.required()?;
        let catalog = self.prices.in_force(&config, self.settings.paths().data_folder())?;
        Ok((config, catalog))
    }

    /// How good the models are: built in, over it what `prices update` took in, over both `config.toml`.
    pub fn figures(&self) -> Result<Arc<Figures>> {
        self.quality.in_force(&self.settings)
    }

    /// What was kept last of this type; the caller checks whether it still holds.
    pub(crate) fn kept<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(kept.get(&TypeId::of::<T>())?).downcast().ok()
    }

    /// Keeps `value` for the next call.
    pub(crate) fn keep<T: Any + Send + Sync>(&self, value: &Arc<T>) {
        let value: Arc<dyn Any + Send + Sync> = Arc::<T>::clone(value);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(TypeId::of::<T>(), value);
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Random bytes of the system.
    pub fn random<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).map_err(|_| Error::new(Code::Internal, "the system gave no random bytes"))?;
        Ok(bytes)
    }
}
