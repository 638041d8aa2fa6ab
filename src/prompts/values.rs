//! What an argument of a prompt can be, for clients that complete what is typed.

use crate::{
    app::App,
    domain::{Label, ModelRef, ProviderId, Task},
    providers::Provider,
    services::{keys, vault_access},
};

/// Where the values of an argument come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    Providers,
    /// The labels of the stored keys, of the provider that another argument names.
    Labels,
    /// `provider/model`, of the enabled providers.
    Models,
    Tasks,
    Of(&'static [&'static str]),
}

impl Values {
    /// The values that begin with what was `typed`, sorted as people expect. Never prompts to unlock the vault.
    pub async fn complete(self, app: &App, typed: &str, provider: Option<&str>) -> Vec<String> {
        let typed = typed.trim().to_lowercase();
        let mut values = self.all(app, provider).await;
        values.retain(|value| value.to_lowercase().starts_with(&typed));
        values
    }

    async fn all(self, app: &App, provider: Option<&str>) -> Vec<String> {
        let config = app.settings().current();
        match self {
            Self::Of(values) => values.iter().map(ToString::to_string).collect(),
            Self::Tasks => Task::ALL.iter().map(|task| task.as_str().to_owned()).collect(),
            Self::Providers => {
                let enabled = config.providers().iter().filter(|provider| provider.enabled);
                enabled.map(|provider| provider.id.to_string()).collect()
            }
            Self::Models => {
                let enabled = config.providers().iter().filter(|provider| provider.enabled);
                let models = enabled.flat_map(|provider| models(app, provider));
                models.map(|model| model.to_string()).collect()
            }
            Self::Labels => {
                let of = provider.and_then(|name| config.provider(name).ok()).map(|it| it.id);
                labels(app, of.as_ref()).await
            }
        }
    }
}

/// The models that the configuration names for a provider, else those of the catalog.
fn models(app: &App, provider: &Provider) -> Vec<ModelRef> {
    match &provider.models {
        Some(models) => models.iter().map(|model| provider.id.model(model)).collect(),
        None => app.catalog().map_or_else(
            |_| Vec::new(),
            |catalog| catalog.models_of(&provider.id).map(|model| model.id.clone()).collect(),
        ),
    }
}

/// The labels of the stored keys of a provider, or of all; none while the vault is locked.
async fn labels(app: &App, provider: Option<&ProviderId>) -> Vec<String> {
    let records = match vault_access::open_unasked(app).await {
        Ok(()) => keys::list(app).unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let mut labels: Vec<Label> = records
        .into_iter()
        .filter(|record| provider.is_none_or(|provider| record.provider == *provider))
        .map(|record| record.label)
        .collect();
    labels.sort();
    labels.dedup();
    labels.iter().map(ToString::to_string).collect()
}
