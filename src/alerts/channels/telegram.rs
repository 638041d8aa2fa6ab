//! Telegram's bots.

use serde_json::json;
use zeroize::Zeroizing;

use super::payload::AlertRequest;
use crate::{alerts::AlertMessage, domain::Secret};

const SERVER: &str = "https://api.telegram.org";
/// The longest text, in characters.
const MAX_TEXT: usize = 4_000;

/// A plain text to the chat; the bot's token is in the address.
pub(super) fn request((token, server, chat): (&Secret, Option<&str>, &str), message: &AlertMessage) -> AlertRequest {
    let server = server.unwrap_or(SERVER).trim_end_matches('/');
    // EXPOSE: the bot's own address, which is a secret as well
    let url = Zeroizing::new(format!("{server}/bot{}/sendMessage", token.expose()));
    let text: String = message.text().chars().take(MAX_TEXT).collect();
    let body = json!({"chat_id": chat, "text": text, "link_preview_options": {"is_disabled": true}});
    AlertRequest {
        url: Secret::new(&url),
        headers: Vec::new(),
        body: body.to_string(),
    }
}
