//! The kinds of alerts, and how urgent they are.

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertSeverity {
    Info,
    Warning,
    Critical,
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// A threshold of a budget was reached.
    Budget,
    /// A budget will be exceeded by its forecast.
    BudgetForecast,
    /// Far more was spent than usual.
    SpendAnomaly,
    /// The provider refuses a key, or its account has no credit.
    KeyRefused,
    KeyExpiring,
    KeyUnused,
    /// A provider does not answer, or all of its keys have to wait.
    ProviderDown,
    /// Usage cannot be recorded.
    RecordingFailed,
    /// The vault or its audit trail is not as it was written.
    VaultTampered,
    /// Requests without a known price.
    UnpricedRequests,
    PriceChange,
    ModelRetirement,
    /// No backup was verified for too long.
    BackupOverdue,
    /// A destination of alerts takes no more messages.
    DestinationDead,
    DailyDigest,
    WeeklyDigest,
    /// Sent on request, to try a destination.
    Test,
}

impl AlertSeverity {
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// Its name in settings and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Its number in the ledger.
    pub fn number(self) -> i64 {
        match self {
            Self::Info => 0,
            Self::Warning => 1,
            Self::Critical => 2,
        }
    }

    /// The severity of a number.
    pub fn of_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.number() == number)
    }
}

impl AlertKind {
    pub const ALL: [Self; 17] = [
        Self::Budget,
        Self::BudgetForecast,
        Self::SpendAnomaly,
        Self::KeyRefused,
        Self::KeyExpiring,
        Self::KeyUnused,
        Self::ProviderDown,
        Self::RecordingFailed,
        Self::VaultTampered,
        Self::UnpricedRequests,
        Self::PriceChange,
        Self::ModelRetirement,
        Self::BackupOverdue,
        Self::DestinationDead,
        Self::DailyDigest,
        Self::WeeklyDigest,
        Self::Test,
    ];

    /// Its name in settings, results and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::BudgetForecast => "budget_forecast",
            Self::SpendAnomaly => "spend_anomaly",
            Self::KeyRefused => "key_refused",
            Self::KeyExpiring => "key_expiring",
            Self::KeyUnused => "key_unused",
            Self::ProviderDown => "provider_down",
            Self::RecordingFailed => "recording_failed",
            Self::VaultTampered => "vault_tampered",
            Self::UnpricedRequests => "unpriced_requests",
            Self::PriceChange => "price_change",
            Self::ModelRetirement => "model_retirement",
            Self::BackupOverdue => "backup_overdue",
            Self::DestinationDead => "destination_dead",
            Self::DailyDigest => "daily_digest",
            Self::WeeklyDigest => "weekly_digest",
            Self::Test => "test",
        }
    }

    /// The kind of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// When it is raised, for the documentation.
    pub fn about(self) -> &'static str {
        match self {
            Self::Budget => "50, 80, 95 or 100% of a budget, or your own `alert_threshold`, is spent",
            Self::BudgetForecast => "the forecast exceeds a budget",
            Self::SpendAnomaly => {
                "today cost more than three times the mean of the last seven days, and at least $10.00"
            }
            Self::KeyRefused => "a provider refuses a key, or its account has no credit",
            Self::KeyExpiring => "a key expires within 14, 7 or 1 days, or has expired",
            Self::KeyUnused => "a key was not used for 90 days",
            Self::ProviderDown => {
                "all keys of a provider have been cooling down for five minutes; also when it recovers"
            }
            Self::RecordingFailed => "the gateway cannot record usage",
            Self::VaultTampered => "the vault file or the audit trail is not as it was written",
            Self::UnpricedRequests => "a model without a known price is used, once for each model and day",
            Self::PriceChange => "the price of a model that you use changes within 14 days or has changed",
            Self::ModelRetirement => "a model that you use retires within 30, 7 or 1 days",
            Self::BackupOverdue => "no backup of the last 30 days was verified, and a key is older than that",
            Self::DestinationDead => "a destination no longer accepts messages",
            Self::DailyDigest => "yesterday's figures, for destinations with `digest = \"daily\"`",
            Self::WeeklyDigest => "last week's figures, for destinations with `digest = \"weekly\"`",
            Self::Test => "`api-keys alerts test` was run",
        }
    }

    /// The highest severity that it has.
    pub fn severity(self) -> AlertSeverity {
        match self {
            Self::KeyUnused
            | Self::UnpricedRequests
            | Self::PriceChange
            | Self::DailyDigest
            | Self::WeeklyDigest
            | Self::Test => AlertSeverity::Info,
            Self::BudgetForecast
            | Self::SpendAnomaly
            | Self::KeyExpiring
            | Self::ProviderDown
            | Self::ModelRetirement
            | Self::BackupOverdue => AlertSeverity::Warning,
            Self::Budget | Self::KeyRefused | Self::RecordingFailed | Self::VaultTampered | Self::DestinationDead => {
                AlertSeverity::Critical
            }
        }
    }

    /// Whether it is repeated every day for as long as it is critical.
    pub fn is_repeated(self) -> bool {
        matches!(
            self,
            Self::KeyRefused | Self::RecordingFailed | Self::VaultTampered | Self::DestinationDead
        )
    }

    pub fn is_digest(self) -> bool {
        matches!(self, Self::DailyDigest | Self::WeeklyDigest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_and_severity_is_found_by_its_name() {
        for kind in AlertKind::ALL {
            assert_eq!(AlertKind::of_name(kind.as_str()), Some(kind));
        }
        for severity in AlertSeverity::ALL {
            assert_eq!(AlertSeverity::of_number(severity.number()), Some(severity));
        }
    }
}
