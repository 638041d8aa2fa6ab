//! Sends mail: over TLS or not at all.

use std::time::Duration;

use jiff::Timestamp;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::{Mailbox, MessageBuilder, header},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::trust::ExtraCertificates;
use crate::domain::Secret;

/// How long each step of sending may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long all of it may take: less than the time for which one process is the only sender.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);

/// A mail, and the server that takes it.
#[derive(Debug)]
pub struct OutgoingMail<'a> {
    pub host: &'a str,
    pub port: u16,
    /// Whether TLS begins with a command, not with the connection; it is required all the same.
    pub is_starttls: bool,
    pub login: Option<(&'a str, &'a Secret)>,
    pub from: &'a str,
    pub to: &'a [String],
    /// Without angle brackets.
    pub message_id: &'a str,
    pub date: Timestamp,
    pub subject: &'a str,
    pub body: &'a str,
}

/// Why a mail was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailFailure {
    /// It may be accepted later.
    Passing(String),
    /// It will not be.
    Lasting(String),
}

/// Whether `text` is a mail address, with or without a name.
pub fn is_mail_address(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

/// Sends `mail`, trusting the system's certificates and `extra`.
pub async fn send_mail(mail: &OutgoingMail<'_>, extra: &ExtraCertificates) -> Result<(), MailFailure> {
    let lasting = |what: &str| MailFailure::Lasting(what.to_owned());
    let message = message(mail).ok_or_else(|| lasting("an address is not valid"))?;
    let mut tls = TlsParameters::builder(mail.host.to_owned());
    for certificate in extra.read() {
        let certificate = Certificate::from_der(certificate.to_vec());
        tls = tls.add_root_certificate(certificate.map_err(|_| lasting("an extra certificate is not valid"))?);
    }
    let tls = tls
        .build_rustls()
        .map_err(|_| lasting("no trusted certificates on this system"))?;
    let tls = if mail.is_starttls {
        Tls::Required(tls)
    } else {
        Tls::Wrapper(tls)
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(mail.host)
        .port(mail.port)
        .timeout(Some(STEP_TIMEOUT))
        .tls(tls);
    if let Some((user, password)) = mail.login {
        // EXPOSE: to the mail server that it is for, over TLS
        let password = password.expose().to_owned();
        transport = transport.credentials(Credentials::new(user.to_owned(), password));
    }
    let transport: AsyncSmtpTransport<Tokio1Executor> = transport.build();
    match tokio::time::timeout(SEND_TIMEOUT, transport.send(message)).await {
        Ok(Ok(_)) => Ok(()),
        Err(_) => Err(MailFailure::Passing(
            "the mail server did not answer in time".to_owned(),
        )),
        Ok(Err(why)) => Err(failure(&why)),
    }
}

/// What failed; the server's own text is dropped.
fn failure(why: &lettre::transport::smtp::Error) -> MailFailure {
    let text = |what: &str| what.to_owned();
    match why.status() {
        Some(code) if why.is_permanent() => MailFailure::Lasting(format!("SMTP {code}")),
        Some(code) => MailFailure::Passing(format!("SMTP {code}")),
        None if why.is_tls() => MailFailure::Passing(text("the mail server's TLS is missing or not trusted")),
        None if why.is_timeout() => MailFailure::Passing(text("the mail server did not answer in time")),
        // One that offers no STARTTLS is one of them.
        None if why.is_client() => {
            MailFailure::Lasting(text("the mail server offers no TLS, or no login that is known"))
        }
        None => MailFailure::Passing(text("the mail server could not be reached, or speaks no TLS")),
    }
}

fn message(mail: &OutgoingMail<'_>) -> Option<lettre::Message> {
    let mut message = MessageBuilder::new()
        .from(mail.from.parse().ok()?)
        .subject(mail.subject)
        .message_id(Some(format!("<{}>", mail.message_id)))
        .date(mail.date.into())
        .header(header::ContentType::TEXT_PLAIN)
        .raw_header(header::HeaderValue::new(
            header::HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    for to in mail.to {
        message = message.to(to.parse().ok()?);
    }
    message.body(mail.body.to_owned()).ok()
}
