//! What a person sees: HTML without a script, made of what is requested and never of what was typed.

use std::fmt::Write as _;

use super::ticket::{Request, SecretOutcome, Ticket};
use crate::{error::Error, services::caller::Question};

/// The style of every page.
const STYLE: &str = include_str!("page.css");
/// What allows [`STYLE`] and nothing else: the SHA-256 of its text, which a test compares.
const STYLE_HASH: &str = "sha256-iBRVk21DbQSwrGaU6r7lBpx/tMVxyoB1ykA5mSbaUdw=";

/// The field that holds the secret.
pub(super) const FIELD: &str = "secret";
/// The field in which a new passphrase is typed again.
pub(super) const FIELD_AGAIN: &str = "again";
/// The field that is sent where the person cancels.
pub(super) const CANCEL: &str = "cancel";

/// The browser's orders for every page: show this, run nothing, load nothing, send only back here.
pub(super) fn policy() -> String {
    format!("default-src 'none'; style-src '{STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
}

/// The page that asks; `problem` is what was wrong with what was typed before.
pub(super) fn ask(ticket: &Ticket, problem: Option<&Error>) -> String {
    let Request {
        question,
        provider_title,
        console,
        ..
    } = &ticket.request;
    let words = Words::of(question, provider_title);
    let mut body = format!("<h1>{}</h1><p class=\"lead\">{}</p>", words.heading, words.lead);
    body.push_str(&subject(question, provider_title));
    let _ = write!(
        body,
        "<p class=\"note wait match\"><span>Your assistant shows this code too:</span> <strong \
         class=\"code\">{}</strong></p>",
        ticket.code()
    );
    if let Some(problem) = problem {
        let _ = write!(
            body,
            "<div class=\"note bad\" id=\"problem\" role=\"alert\"><p><strong>{}.</strong></p><p>{}</p></div>",
            escape(&sentence(problem.message())),
            escape(&full_stop(&sentence(problem.hint_text().unwrap_or_default()))),
        );
    }
    let (described, invalid) = match problem {
        Some(_) => ("problem what", " aria-invalid=\"true\""),
        None => ("what", ""),
    };
    let _ = write!(
        body,
        "<form method=\"post\" autocomplete=\"off\"><label for=\"{FIELD}\">{}</label>{}\
         <input id=\"{FIELD}\" name=\"{FIELD}\" {HIDDEN_INPUT} autofocus aria-describedby=\"{described}\"{invalid}>",
        words.field,
        console.map_or_else(String::new, |console| format!(
            "<p class=\"hint\">Create keys in <a href=\"{}\" target=\"_blank\" rel=\"noopener \
             noreferrer\">the console of {}</a>.</p>",
            escape(console),
            escape(provider_title)
        )),
    );
    if *question == Question::NewPassphrase {
        let _ = write!(
            body,
            "<label for=\"{FIELD_AGAIN}\">Repeat the passphrase</label>\
             <input id=\"{FIELD_AGAIN}\" name=\"{FIELD_AGAIN}\" {HIDDEN_INPUT}{invalid}>"
        );
    }
    let _ = write!(
        body,
        "<button type=\"submit\">{}</button>\
         <button type=\"submit\" class=\"plain\" name=\"{CANCEL}\" value=\"yes\" formnovalidate>Cancel</button></form>\
         <ul class=\"fine\" id=\"what\">",
        words.button
    );
    for line in words.small_print {
        let _ = write!(body, "<li>{line}</li>");
    }
    body.push_str("</ul>");
    document(words.heading, &body)
}

/// The page after the secret was used, or could not be.
pub(super) fn outcome(ticket: &Ticket, outcome: &SecretOutcome) -> String {
    let words = Words::of(&ticket.request.question, &ticket.request.provider_title);
    match outcome {
        SecretOutcome::Done => {
            let subject = subject(&ticket.request.question, &ticket.request.provider_title);
            let body = format!(
                "<div class=\"mark good\">{TICK}</div><h1>{}</h1><p class=\"lead\">{}</p>{subject}<p>You can close \
                 this tab and go back to your assistant.</p>",
                words.done, words.done_lead
            );
            document(words.done, &body)
        }
        SecretOutcome::Failed { message, hint } => {
            let body = format!(
                "<div class=\"mark bad\">{CROSS}</div><h1>Something went wrong</h1>\
                 <div class=\"note bad\" role=\"alert\"><p><strong>{}.</strong></p><p>{}</p></div>\
                 <p>Close this tab, go back to your assistant and ask again.</p>",
                escape(&sentence(message)),
                escape(&full_stop(&sentence(hint))),
            );
            document("Something went wrong", &body)
        }
    }
}

/// The page after the person cancelled.
pub(super) fn cancelled() -> String {
    let body = format!(
        "<div class=\"mark wait\">{CROSS}</div><h1>Cancelled</h1><p class=\"lead\">Nothing was changed.</p><p>You can close \
         this tab and go back to your assistant.</p>"
    );
    document("Cancelled", &body)
}

/// Which key it is about.
fn subject(question: &Question, provider_title: &str) -> String {
    match question {
        Question::NewKey { label, .. } => format!(
            "<dl><dt>Provider</dt><dd>{}</dd><dt>Label</dt><dd>{}</dd></dl>",
            escape(provider_title),
            escape(label.as_str())
        ),
        Question::Passphrase | Question::NewPassphrase => String::new(),
    }
}

/// The page while the caller has not come back for the secret, or is not done with it.
pub(super) fn received(working: bool) -> String {
    let lead = if working {
        "Your assistant is using it now and will show the result."
    } else {
        "Go back to your assistant and continue there. Until then it is kept in memory only, for at most five minutes."
    };
    let body = format!(
        "<div class=\"mark wait\">{TICK}</div><h1>Received</h1><p class=\"lead\">{lead}</p><p>You \
         can close this tab.</p>"
    );
    document("Received", &body)
}

/// A page that refuses: a heading and a sentence of our own.
pub(super) fn refusal(heading: &'static str, text: &'static str) -> String {
    let body = format!("<div class=\"mark bad\">{CROSS}</div><h1>{heading}</h1><p class=\"lead\">{text}</p>");
    document(heading, &body)
}

/// What keeps browsers and their extensions from storing, completing or correcting a secret.
const HIDDEN_INPUT: &str = "type=\"password\" required autocomplete=\"off\" autocapitalize=\"off\" autocorrect=\"off\" \
                            spellcheck=\"false\" data-1p-ignore data-bwignore data-lpignore=\"true\"";

const TICK: &str = "<svg width=\"26\" height=\"26\" viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" \
                    stroke-width=\"2.5\" stroke-linecap=\"round\" stroke-linejoin=\"round\" aria-hidden=\"true\">\
                    <path d=\"M5 12.5l4.5 4.5L19 7.5\"/></svg>";
const CROSS: &str = "<svg width=\"26\" height=\"26\" viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" \
                     stroke-width=\"2.5\" stroke-linecap=\"round\" aria-hidden=\"true\"><path d=\"M12 6.5v7M12 \
                     17.5v.1\"/></svg>";
const KEY: &str = "<svg viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" \
                   stroke-width=\"2\" stroke-linecap=\"round\" stroke-linejoin=\"round\" aria-hidden=\"true\"><circle \
                   cx=\"8\" cy=\"15\" r=\"4.5\"/><path d=\"M11.5 11.5L20 3M16 7l3 3\"/></svg>";

/// What a page says about one kind of question.
struct Words {
    heading: &'static str,
    lead: String,
    field: &'static str,
    button: &'static str,
    small_print: [String; 3],
    done: &'static str,
    done_lead: String,
}

impl Words {
    fn of(question: &Question, provider_title: &str) -> Self {
        let provider = escape(provider_title);
        let code = "If your assistant shows another code, or none, close this tab.".to_owned();
        match question {
            Question::NewKey { rotation: false, .. } => Self {
                heading: "Add an API key",
                lead: "Your assistant asked to store an API key. The key you type here is not shown to it.".to_owned(),
                field: "API key",
                button: "Store the key",
                small_print: [
                    code,
                    "The key is encrypted and stored on this machine.".to_owned(),
                    format!("It is sent only to {provider}."),
                ],
                done: "The key is stored",
                done_lead: "It is encrypted on this machine; your assistant has not seen it.".to_owned(),
            },
            Question::NewKey { rotation: true, .. } => Self {
                heading: "Replace an API key",
                lead: "Your assistant asked to replace an API key. The key you type here is not shown to it."
                    .to_owned(),
                field: "New API key",
                button: "Replace the key",
                small_print: [
                    code,
                    format!("The new key is checked with {provider} first. If it does not work, nothing changes."),
                    "The old key is not revoked at the provider; your assistant shows how long it stays usable."
                        .to_owned(),
                ],
                done: "The key is replaced",
                done_lead: "The new key is encrypted on this machine and in use from now on.".to_owned(),
            },
            Question::Passphrase => Self {
                heading: "Unlock the vault",
                lead: "Your assistant asked to unlock your vault. The passphrase you type here is not shown to it."
                    .to_owned(),
                field: "Passphrase",
                button: "Unlock",
                small_print: [
                    code,
                    "The vault stays open until your assistant ends the session.".to_owned(),
                    "The passphrase is not stored.".to_owned(),
                ],
                done: "The vault is unlocked",
                done_lead: "It stays open until your assistant ends the session.".to_owned(),
            },
            Question::NewPassphrase => Self {
                heading: "Protect the new vault",
                lead: "Choose a passphrase for the vault that will store your keys. It is not shown to your assistant."
                    .to_owned(),
                field: "New passphrase",
                button: "Create the vault",
                small_print: [
                    code,
                    "The vault cannot be opened without it: keep it safe.".to_owned(),
                    "The passphrase is not stored.".to_owned(),
                ],
                done: "The vault is created",
                done_lead: "You will be asked for the passphrase in every new session.".to_owned(),
            },
        }
    }
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" content=\"noindex\"><title>{title} · \
         API Key Manager</title><style>{STYLE}</style></head><body><main><p class=\"brand\">{KEY}API Key \
         Manager</p>{body}</main></body></html>"
    )
}

/// The text with what HTML would read as markup written out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // What could turn the reading direction or hide: errors and titles need none of it.
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// An error's fragment as the beginning of a sentence.
fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn full_stop(sentence: &str) -> String {
    let closed = sentence.is_empty() || sentence.ends_with(['.', '?', '!']);
    if closed {
        sentence.to_owned()
    } else {
        format!("{sentence}.")
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("question", &self.question)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_reversed_text_are_written_out() {
        assert_eq!(escape("<b>\"x\"&'\u{202e}y"), "&lt;b&gt;&quot;x&quot;&amp;&#39;y");
    }

    #[test]
    fn fragments_become_sentences() {
        assert_eq!(full_stop(&sentence("the key is empty")), "The key is empty.");
        assert_eq!(full_stop(""), "");
    }
}
