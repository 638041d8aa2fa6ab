//! The secret of a destination: whether it can be one, and the form that people recognize.

use url::{Host, Url};

use super::Channel;
use crate::domain::Secret;

/// The longest address, in bytes.
const MAX_LENGTH: usize = 4_000;

/// Why a text cannot be the secret of a channel; never says what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongSecret(&'static str);

/// Fails where `secret` cannot be the secret of `channel`.
pub fn check_secret(channel: &Channel, secret: &Secret) -> Result<(), WrongSecret> {
    // EXPOSE: only its form is looked at
    let text = secret.expose();
    let (is_right, rule) = match channel {
        Channel::Slack | Channel::Discord | Channel::Teams | Channel::Webhook => return address(secret).map(drop),
        Channel::Ntfy => {
            let url = address(secret)?;
            let has_topic = url.path_segments().is_some_and(|mut path| path.next_back() != Some(""));
            (has_topic, "it must end in the topic, such as https://ntfy.sh/TOPIC")
        }
        Channel::Telegram { .. } => {
            let is_token = |(id, rest): (&str, &str)| {
                !id.is_empty()
                    && id.chars().all(|c| c.is_ascii_digit())
                    && rest.len() >= 20
                    && rest
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            };
            let is_token = text.split_once(':').is_some_and(is_token);
            (
                is_token,
                "it must be a bot's token, such as 123456:ABC…, from @BotFather",
            )
        }
        Channel::PagerDuty { .. } => {
            let is_key = text.len() == 32 && text.chars().all(|c| c.is_ascii_alphanumeric());
            (
                is_key,
                "it must be the 32 characters of an Events API v2 integration key",
            )
        }
        Channel::Email(_) | Channel::Desktop | Channel::Command { .. } => (!text.is_empty(), "it is empty"),
    };
    if is_right { Ok(()) } else { Err(WrongSecret(rule)) }
}

/// A form that people recognize and that opens nothing: the server's name and the last four characters.
pub fn masked(secret: &Secret) -> String {
    // EXPOSE: only the server's name and four characters of a long secret leave
    let text = secret.expose();
    let tail = |text: &str| match text.char_indices().rev().nth(3) {
        Some((at, _)) if text.len() >= 24 && text.is_ascii() => text.get(at..).unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    match Url::parse(text) {
        Ok(url) if url.has_host() => {
            let host = url.host_str().unwrap_or_default();
            format!("{}://{host}/…{}", url.scheme(), tail(url.path()))
        }
        _ => format!("…{}", tail(text)),
    }
}

/// The address in `secret`: https, or http on this machine.
pub(super) fn address(secret: &Secret) -> Result<Url, WrongSecret> {
    // EXPOSE: parsed, and kept as an address
    let text = secret.expose();
    if text.len() > MAX_LENGTH {
        return Err(WrongSecret("it is far longer than any address"));
    }
    let url = Url::parse(text).map_err(|_| WrongSecret("it must be an address that begins with https://"))?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        _ => Err(WrongSecret("it must begin with https://, or http:// on this machine")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_the_wrong_form_is_refused_without_being_shown() {
        let telegram = Channel::Telegram {
            chat: "1".to_owned(),
            url: None,
        };
        let token = format!("123456:{}", "a".repeat(35));
        let key = "k".repeat(32);
        for (channel, good, bad) in [
            (
                &Channel::Slack,
                "https://hooks.slack.com/services/T/B/X",
                "http://hooks.slack.com/x",
            ),
            (&Channel::Webhook, "http://127.0.0.1:9/x", "ftp://127.0.0.1/x"),
            (&Channel::Ntfy, "https://ntfy.sh/topic", "https://ntfy.example/"),
            (&telegram, &token, "987654"),
            (&Channel::PagerDuty { url: None }, &key, "short"),
        ] {
            assert_eq!(check_secret(channel, &Secret::new(good)), Ok(()), "{channel:?}");
            let wrong = check_secret(channel, &Secret::new(bad)).expect_err("refused");
            assert!(!wrong.to_string().contains(bad), "{channel:?}");
        }
    }

    #[test]
    fn the_masked_form_shows_the_server_and_four_characters() {
        let masked = |text: &str| super::masked(&Secret::new(text));
        assert_eq!(
            masked("https://hooks.slack.com/services/T000/B000/abcdefghXyZ9"),
            "https://hooks.slack.com/…XyZ9"
        );
        assert_eq!(
            masked("https://user:pass@host.example/x?sig=y"),
            "https://host.example/…"
        );
        assert_eq!(masked("short"), "…");
    }
}
