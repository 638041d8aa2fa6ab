//! The forms of all channels, with names that try to be more than names.

use jiff::Timestamp;
use serde_json::Value;

use super::*;
use crate::{
    alerts::{AlertMessage, Channel, Destination, MailSettings, MailTls},
    domain::{AlertChange, AlertKind, AlertSeverity, Notice, Secret},
};

const HOSTILE: &str = "<!channel> @everyone [click](https://evil.example) **now** `x` & <@U1>";

fn message() -> AlertMessage {
    let notice = |alert, text: &str| Notice {
        id: alert,
        alert,
        kind: AlertKind::KeyRefused,
        subject: "openai:default".to_owned(),
        change: AlertChange::Firing,
        severity: AlertSeverity::Critical,
        at: Timestamp::UNIX_EPOCH,
        text: text.to_owned(),
        command: "api-keys validate openai".to_owned(),
    };
    AlertMessage::new("0123abcd".to_owned(), Timestamp::UNIX_EPOCH, &[notice(1, HOSTILE)])
}

fn sent(channel: Channel, secret: &str) -> Payload {
    let destination = Destination::new("ops".parse().expect("a name"), channel);
    payload(&destination, &Secret::new(secret), &message(), Timestamp::UNIX_EPOCH).expect("a payload")
}

fn request(channel: Channel, secret: &str) -> (String, Value) {
    let Payload::Http(requests) = sent(channel, secret) else {
        panic!("no request");
    };
    // EXPOSE: a made-up value in a test
    let url = requests[0].url.expose().to_owned();
    (url, serde_json::from_str(&requests[0].body).expect("JSON"))
}

#[test]
fn slack_gets_text_and_blocks_without_mentions() {
    let (_, body) = request(Channel::Slack, "https://hooks.slack.com/services/T/B/X");
    let text = body["blocks"][0]["text"]["text"].as_str().expect("text");
    assert!(!text.contains('<') && !text.contains("@everyone"), "{text}");
    assert!(text.contains("\n`api-keys validate openai`"), "{text}");
    assert!(
        body["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("[critical] &lt;!channel&gt;"))
    );
}

#[test]
fn discord_is_told_to_mention_no_one() {
    let (_, body) = request(Channel::Discord, "https://discord.com/api/webhooks/1/x");
    assert_eq!(body["allowed_mentions"]["parse"], serde_json::json!([]));
    let text = body["content"].as_str().expect("text");
    assert!(
        text.contains("\\[click\\]") && !text.contains("@everyone") && !text.contains("://"),
        "{text}"
    );
}

#[test]
fn teams_gets_an_adaptive_card() {
    let (_, body) = request(Channel::Teams, "https://x.logic.azure.com/workflows/1?sig=s");
    let card = &body["attachments"][0]["content"];
    assert_eq!(
        (&card["type"], &card["version"]),
        (&"AdaptiveCard".into(), &"1.4".into())
    );
    assert!(
        card["body"][0]["text"]
            .as_str()
            .is_some_and(|text| text.contains("\\[click\\]"))
    );
}

#[test]
fn ntfy_gets_json_at_its_root_and_a_token_in_a_header() {
    let (url, body) = request(Channel::Ntfy, "https://:tk_secret@ntfy.example/sub/topic");
    assert_eq!(
        (url.as_str(), body["topic"].as_str()),
        ("https://ntfy.example/sub", Some("topic"))
    );
    assert_eq!(body["priority"], 5);
    let Payload::Http(requests) = sent(Channel::Ntfy, "https://:tk_secret@ntfy.example/topic") else {
        panic!("no request");
    };
    // EXPOSE: a made-up value in a test
    assert_eq!(requests[0].headers[0].1.expose(), "Bearer tk_secret");
}

#[test]
fn telegram_and_pagerduty_get_what_their_servers_take() {
    let chat = Channel::Telegram {
        chat: "42".to_owned(),
        url: None,
    };
    let (url, body) = request(chat, "123:abc");
    assert_eq!(url, "https://api.telegram.org/bot123:abc/sendMessage");
    assert_eq!(body["chat_id"], "42");
    let (_, body) = request(Channel::PagerDuty { url: None }, "key");
    assert_eq!(
        (&body["event_action"], &body["routing_key"]),
        (&"trigger".into(), &"key".into())
    );
    assert_eq!(body["dedup_key"], "api-keys:key_refused:openai:default:1");
}

#[test]
fn a_program_reads_json_and_the_desktop_gets_no_markup() {
    let program = Channel::Command {
        program: vec!["cat".to_owned()],
    };
    let Payload::Program { input, variables, .. } = sent(program, "x") else {
        panic!("no program");
    };
    let body: Value = serde_json::from_str(&input).expect("JSON");
    assert_eq!(
        (&body["version"], &body["alerts"][0]["text"]),
        (&1.into(), &HOSTILE.into())
    );
    assert_eq!(variables[1].1, "key_refused");
    assert!(matches!(sent(Channel::Desktop, "x"), Payload::Program { arguments, .. } if arguments.len() >= 5));
}

#[test]
fn a_mail_keeps_its_id_and_has_the_title_as_subject() {
    let settings = MailSettings {
        host: "mail.example".to_owned(),
        port: 465,
        tls: MailTls::Implicit,
        user: None,
        from: "Keys <keys@example.org>".to_owned(),
        to: vec!["me@example.org".to_owned()],
    };
    let Payload::Mail(mail) = sent(Channel::Email(settings), "x") else {
        panic!("no mail");
    };
    assert_eq!(mail.message_id, "0123abcd@example.org");
    assert_eq!(mail.subject, message().title());
}
