//! A provider as it is in force: its declaration and what the configuration changed.

use std::{collections::BTreeMap, num::NonZeroU32};

use super::{Address, KeyUse, PROVIDERS, ProviderDef, table};
use crate::domain::{ApiKey, Label, ModelId, ProviderId};

/// A provider as it is in force.
#[derive(Debug, Clone)]
pub struct Provider {
    pub id: ProviderId,
    pub title: String,
    pub kind: ProviderKind,
    pub enabled: bool,
    /// Where requests go; empty where the provider has no address until one is configured.
    pub base_url: String,
    /// Scheme, host and port of `base_url`: where a key may be sent.
    pub origin: String,
    /// The variable that programs read its key from.
    pub env_var: String,
    /// Requests per minute; nothing is no limit.
    pub rate_limit: Option<u32>,
    /// Only these models, in this order; nothing is all.
    pub models: Option<Vec<ModelId>>,
    /// Its share of the requests among providers of equal rank.
    pub weight: u32,
    /// What is configured for some of its keys.
    pub keys: BTreeMap<Label, KeyConfig>,
    pub def: &'static ProviderDef,
    pub(super) address: Option<Address>,
}

/// What is configured for one of a provider's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyConfig {
    /// Its share of the requests among the provider's keys.
    pub weight: u32,
    /// Keys of one pool share one quota: they belong to the same account.
    pub pool: Option<String>,
    /// Requests per minute, where it is not the provider's; nothing is no limit.
    pub rate_limit: Option<u32>,
}

/// Who has a quota of a provider's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuotaHolder {
    /// The keys of one account.
    Pool(String),
    /// A key by itself.
    Key(Label),
    /// Whoever asks without a key.
    Keyless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// A row of [`PROVIDERS`].
    BuiltIn,
    /// An endpoint of the user's own.
    OpenAiCompatible,
}

impl Provider {
    /// Where else the provider has accounts: a key that is refused here may be of there.
    pub fn other_site(&self) -> Option<&'static str> {
        let is_here = |site: &&&str| Address::parse(site).is_ok_and(|site| site.origin() == self.origin);
        self.def.sites.iter().find(is_here)?;
        self.def.sites.iter().find(|site| !is_here(site)).copied()
    }

    /// The built-in provider `id`, unchanged.
    pub fn built_in(id: &ProviderId) -> Option<Self> {
        let def = PROVIDERS.iter().find(|def| def.id == id.as_str())?;
        let env_var = def.env_vars.first().copied().unwrap_or_default().to_owned();
        let mut provider = Self {
            id: id.clone(),
            title: def.title.to_owned(),
            kind: ProviderKind::BuiltIn,
            enabled: true,
            base_url: String::new(),
            origin: String::new(),
            env_var,
            rate_limit: None,
            models: None,
            weight: 1,
            keys: BTreeMap::new(),
            def,
            address: None,
        };
        if let Some(address) = def.base_url.and_then(|url| Address::parse(url).ok()) {
            provider.move_to(&address);
        }
        Some(provider)
    }

    /// An endpoint of the user's own, called `id`, without an address yet.
    pub fn own(id: ProviderId) -> Self {
        let variable = id.as_str().to_ascii_uppercase().replace('-', "_");
        Self {
            title: id.as_str().to_owned(),
            kind: ProviderKind::OpenAiCompatible,
            enabled: true,
            base_url: String::new(),
            origin: String::new(),
            env_var: format!("{variable}_API_KEY"),
            rate_limit: None,
            models: None,
            weight: 1,
            keys: BTreeMap::new(),
            def: &table::OPENAI_COMPATIBLE,
            address: None,
            id,
        }
    }

    /// Sends its requests to `address` from now on.
    pub fn move_to(&mut self, address: &Address) {
        address.as_str().clone_into(&mut self.base_url);
        address.origin().clone_into(&mut self.origin);
        self.address = Some(address.clone());
    }

    /// Whether its address is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.address.as_ref().is_some_and(Address::is_loopback)
    }

    /// Whether it works only with a key.
    pub fn needs_key(&self) -> bool {
        match self.def.key {
            KeyUse::Required => true,
            KeyUse::Optional => false,
        }
    }

    /// Whose quota a request with the key `label` uses.
    pub fn quota_holder(&self, label: Option<&Label>) -> QuotaHolder {
        let Some(label) = label else {
            return QuotaHolder::Keyless;
        };
        let pool = self.keys.get(label).and_then(|key| key.pool.clone());
        pool.map_or_else(|| QuotaHolder::Key(label.clone()), QuotaHolder::Pool)
    }

    /// How many requests with the quota of the key `label` there may be in a minute; nothing is no limit.
    pub fn rate_limit_of(&self, label: Option<&Label>) -> Option<NonZeroU32> {
        let key = label.and_then(|label| self.keys.get(label));
        let limit = match key.map(|key| &key.pool) {
            // Of one account the keys have one limit: the lowest that is named.
            Some(pool @ Some(_)) => {
                let mates = self.keys.values().filter(|mate| mate.pool == *pool);
                mates.filter_map(|mate| mate.rate_limit).min()
            }
            _ => key.map_or(self.rate_limit, |key| key.rate_limit),
        };
        limit.and_then(NonZeroU32::new)
    }

    /// All variables that its key is read from, the one in force first.
    pub fn env_vars(&self) -> Vec<&str> {
        let others = self.def.env_vars.iter().copied().filter(|name| *name != self.env_var);
        std::iter::once(self.env_var.as_str())
            .filter(|name| !name.is_empty())
            .chain(others)
            .collect()
    }

    /// The form of `key` that people recognize and that opens nothing.
    pub fn masked(&self, key: &ApiKey) -> String {
        // EXPOSE: compared with published prefixes, only one of which leaves
        let text = key.expose();
        let prefix = self.def.prefixes.iter().find(|prefix| text.starts_with(**prefix));
        key.masked(prefix.copied().unwrap_or_default())
    }
}
