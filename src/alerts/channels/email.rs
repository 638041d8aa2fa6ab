//! Mail in plain text.

use super::payload::AlertMail;
use crate::alerts::{AlertMessage, MailSettings};

/// A mail whose subject is the title.
pub(super) fn mail(settings: &MailSettings, message: &AlertMessage) -> AlertMail {
    let domain = settings.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    AlertMail {
        settings: settings.clone(),
        message_id: format!("{}@{}", message.id, domain.trim_end_matches('>')),
        date: message.made_at,
        subject: message.title(),
        body: format!(
            "{}\n\n-- \nSent by API Key Manager. `api-keys alerts list` shows who gets what.\n",
            message.text()
        ),
    }
}
