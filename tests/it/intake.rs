//! The one-time page, as browsers and attackers meet it.

use std::{sync::Arc, time::Duration};

use api_keys::{
    domain::{ApiKey, Secret},
    error::{Code, Error},
    intake::{Intake, Request, SecretOutcome, Ticket},
    tools::Question,
};
use data_encoding::BASE64;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const KEY: &str = "sk-ant-api03-0123456789abcdefghij";
const FORM: &str = "application/x-www-form-urlencoded";

fn key_question(label: &str) -> Question {
    Question::NewKey {
        provider: "anthropic".parse().unwrap(),
        label: label.parse().unwrap(),
        rotation: false,
    }
}

fn request(question: Question) -> Request {
    let is_key = matches!(question, Question::NewKey { .. });
    Request {
        question,
        provider_title: "Anthropic <b>\"&".to_owned(),
        console: None,
        judge: Box::new(move |secret: &Secret| {
            if is_key {
                ApiKey::parse(secret).map_err(Error::from)?;
            }
            Ok(())
        }),
    }
}

fn open(intake: &Intake) -> Arc<Ticket> {
    intake.open(request(key_question("work"))).expect("a page")
}

/// What the server answered.
struct Page {
    status: u16,
    head: String,
    body: String,
}

impl Page {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }
}

fn parts(ticket: &Ticket) -> (String, String) {
    let rest = ticket.address().strip_prefix("http://").expect("plain http");
    let (authority, path) = rest.split_once('/').expect("a path");
    (authority.to_owned(), format!("/{path}"))
}

/// Sends `head` (with `{host}` and `{path}` filled in) and `body` to the page's server.
async fn send(ticket: &Ticket, head: &str, body: &[u8]) -> Page {
    let (authority, path) = parts(ticket);
    let head = head.replace("{host}", &authority).replace("{path}", &path);
    let mut stream = TcpStream::connect(&authority).await.expect("it listens");
    stream.write_all(head.replace('\n', "\r\n").as_bytes()).await.unwrap();
    stream.write_all(b"\r\n").await.unwrap();
    // A server that refuses need not read on.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    Page {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

async fn visit(ticket: &Ticket) -> Page {
    send(ticket, "GET {path} HTTP/1.1\nHost: {host}\n", b"").await
}

/// Types `secret` as a browser does on a page with the policy `no-referrer`.
async fn type_in(ticket: &Ticket, secret: &str) -> Page {
    let body = format!(
        "secret={}",
        secret.replace('%', "%25").replace('+', "%2B").replace(' ', "+")
    );
    let head = format!(
        "POST {{path}} HTTP/1.1\nHost: {{host}}\nOrigin: null\nSec-Fetch-Site: same-origin\nContent-Type: \
         {FORM}\nContent-Length: {}\n",
        body.len()
    );
    send(ticket, &head, body.as_bytes()).await
}

async fn is_listening(ticket: &Ticket) -> bool {
    TcpStream::connect(parts(ticket).0).await.is_ok()
}

async fn stops_listening(ticket: &Ticket) {
    for _ in 0..500 {
        if !is_listening(ticket).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it still listens");
}

/// Fetches the secret in the background and says that the work is done.
fn fetch(ticket: &Arc<Ticket>) -> tokio::task::JoinHandle<Result<String, Code>> {
    let ticket = ticket.clone();
    tokio::spawn(async move {
        let secret = ticket.secret().await.map_err(|error| error.code())?;
        ticket.finish(SecretOutcome::Done);
        // EXPOSE: a made-up value in a test
        Ok(secret.expose().to_owned())
    })
}

#[tokio::test]
async fn nothing_listens_before_a_page_is_open_and_after_it_was_used() {
    let intake = Intake::default();
    let ticket = open(&intake);
    assert!(ticket.address().starts_with("http://127.0.0.1:"));
    assert!(is_listening(&ticket).await);
    let fetched = fetch(&ticket);
    let page = type_in(&ticket, KEY).await;
    assert_eq!((page.status, fetched.await.unwrap().as_deref()), (200, Ok(KEY)));
    assert!(page.body.contains("The key is stored") && page.body.contains("close this tab"));
    stops_listening(&ticket).await;
}

#[tokio::test]
async fn a_page_says_what_it_is_for_and_runs_and_loads_nothing() {
    let intake = Intake::default();
    let ticket = open(&intake);
    let page = visit(&ticket).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains(ticket.code()) && page.body.contains("work"));
    assert!(page.body.contains("Anthropic &lt;b&gt;&quot;&amp;"));
    assert!(!page.body.contains("<script") && !page.body.contains(" style=") && !page.body.contains("src="));
    assert!(page.body.contains("type=\"password\"") && page.body.contains("autocomplete=\"off\""));
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("connection", "close"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let policy = page.header("content-security-policy").expect("a policy");
    for rule in [
        "default-src 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(rule), "{rule}");
    }
    let style = page
        .body
        .split_once("<style>")
        .and_then(|(_, rest)| rest.split_once("</style>"))
        .expect("a style")
        .0;
    let hash = BASE64.encode(&Sha256::digest(style.as_bytes()));
    assert!(
        policy.contains(&format!("style-src 'sha256-{hash}'")),
        "the style's hash is {hash}"
    );
}

#[tokio::test]
async fn a_malformed_key_can_be_typed_again() {
    let intake = Intake::default();
    let ticket = open(&intake);
    for (typed, problem) in [
        ("", "The key is empty."),
        ("sk-short", "shorter than 16"),
        ("sk-ant-...", "placeholder"),
        ("sk-ant-0123456789 0123456789", "white space"),
    ] {
        let page = type_in(&ticket, typed).await;
        assert_eq!(page.status, 422, "{typed}");
        assert!(
            page.body.contains(problem) && page.body.contains("role=\"alert\""),
            "{typed}: {}",
            page.body
        );
        assert!(
            typed.is_empty() || !page.body.contains(typed),
            "the page repeats what was typed"
        );
    }
    let fetched = fetch(&ticket);
    // What people paste around a key is taken off.
    assert_eq!(type_in(&ticket, &format!(" {KEY} ")).await.status, 200);
    assert_eq!(fetched.await.unwrap().as_deref(), Ok(KEY));
}

#[tokio::test]
async fn a_page_takes_one_answer_only() {
    let intake = Intake::default();
    let ticket = open(&intake);
    // Another page keeps the server up, so that the second try is answered.
    let other = intake.open(request(Question::Passphrase)).expect("a page");
    let fetched = fetch(&ticket);
    assert_eq!(type_in(&ticket, KEY).await.status, 200);
    assert_eq!(type_in(&ticket, "sk-ant-api03-another-0123456789").await.status, 404);
    assert_eq!(visit(&ticket).await.status, 404);
    assert_eq!(fetched.await.unwrap().as_deref(), Ok(KEY));
    assert_eq!(visit(&other).await.status, 200);
}

#[tokio::test]
async fn only_our_own_page_in_a_browser_can_answer() {
    let intake = Intake::default();
    let ticket = open(&intake);
    let length = format!("secret={KEY}").len();
    let good = format!("Content-Type: {FORM}\nContent-Length: {length}\n");
    for forged in [
        "Host: {host}",
        "Host: localhost\nOrigin: http://{host}",
        "Host: evil.example\nOrigin: http://{host}",
        "Host: {host}.evil.example\nOrigin: http://{host}",
        "Host: {host}\nHost: {host}\nOrigin: http://{host}",
        "Host: {host}\nOrigin: http://evil.example",
        "Host: {host}\nOrigin: https://{host}",
        "Host: {host}\nOrigin: http://{host}.evil.example",
        "Host: {host}\nOrigin: http://localhost",
        "Host: {host}\nOrigin: null",
        "Host: {host}\nOrigin: null\nSec-Fetch-Site: cross-site",
        "Host: {host}\nOrigin: null\nSec-Fetch-Site: same-site",
        "Host: {host}\nOrigin: null\nSec-Fetch-Site: none",
        "Host: {host}\nOrigin: http://{host}\nSec-Fetch-Site: cross-site",
        "Host: {host}\nOrigin: http://{host}\nSec-Fetch-Site: same-site",
        "Host: {host}\nOrigin: http://{host}\nOrigin: http://{host}",
    ] {
        let head = format!("POST {{path}} HTTP/1.1\n{forged}\n{good}");
        let page = send(&ticket, &head, format!("secret={KEY}").as_bytes()).await;
        assert!(matches!(page.status, 400 | 403), "{}: {forged}", page.status);
        assert!(!page.body.contains(ticket.code()), "{forged}");
    }
    // Nothing of all that was taken.
    assert!(ticket.typed().is_none());
    let fetched = fetch(&ticket);
    let head = format!("POST {{path}} HTTP/1.1\nHost: {{host}}\nOrigin: http://{{host}}\n{good}");
    let page = send(&ticket, &head, format!("secret={KEY}").as_bytes()).await;
    assert_eq!(page.status, 200);
    assert_eq!(fetched.await.unwrap().as_deref(), Ok(KEY));
}

#[tokio::test]
async fn a_page_opens_by_its_link_and_not_inside_another() {
    let intake = Intake::default();
    let ticket = open(&intake);
    for (headers, status) in [
        (
            "Sec-Fetch-Site: none\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document",
            200,
        ),
        ("Sec-Fetch-Site: same-origin", 200),
        (
            "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document",
            200,
        ),
        (
            "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe",
            403,
        ),
        (
            "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: image",
            403,
        ),
        ("Sec-Fetch-Site: cross-site", 403),
        ("Origin: http://evil.example", 403),
    ] {
        let head = format!("GET {{path}} HTTP/1.1\nHost: {{host}}\n{headers}\n");
        assert_eq!(send(&ticket, &head, b"").await.status, status, "{headers}");
    }
    let rebound = send(&ticket, "GET {path} HTTP/1.1\nHost: evil.example\n", b"").await;
    assert_eq!(rebound.status, 403);
}

#[tokio::test]
async fn a_secret_is_never_taken_from_an_address() {
    let intake = Intake::default();
    let ticket = open(&intake);
    for head in [
        format!("GET {{path}}?secret={KEY} HTTP/1.1\nHost: {{host}}\n"),
        format!(
            "POST {{path}}?secret={KEY} HTTP/1.1\nHost: {{host}}\nOrigin: http://{{host}}\nContent-Type: {FORM}\nContent-Length: 0\n"
        ),
        format!("GET {{path}}/{KEY} HTTP/1.1\nHost: {{host}}\n"),
    ] {
        let page = send(&ticket, &head, b"").await;
        assert!(matches!(page.status, 400 | 404), "{}: {head}", page.status);
        assert!(!page.body.contains(KEY));
    }
    let with_body = format!(
        "GET {{path}} HTTP/1.1\nHost: {{host}}\nContent-Type: {FORM}\nContent-Length: {}\n",
        "secret=".len() + KEY.len()
    );
    send(&ticket, &with_body, format!("secret={KEY}").as_bytes()).await;
    assert!(ticket.typed().is_none());
    for method in ["PUT", "HEAD", "OPTIONS", "DELETE", "PATCH"] {
        let head = format!("{method} {{path}} HTTP/1.1\nHost: {{host}}\nOrigin: http://{{host}}\n");
        assert_eq!(send(&ticket, &head, b"").await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn a_wrong_ticket_finds_nothing() {
    let intake = Intake::default();
    let ticket = open(&intake);
    let path = parts(&ticket).1;
    let upper = path.to_uppercase();
    let (short, long) = (path.get(..path.len() - 2).expect("ASCII"), format!("{path}00"));
    let other = format!("/{}", "0".repeat(32));
    for path in [
        "/",
        "/favicon.ico",
        "/index.html",
        upper.as_str(),
        short,
        &long,
        &other,
        "//",
    ] {
        if path == parts(&ticket).1 {
            continue;
        }
        let head = format!("GET {path} HTTP/1.1\nHost: {{host}}\n");
        let page = send(&ticket, &head, b"").await;
        assert_eq!(page.status, 404, "{path}");
        assert!(!page.body.contains(ticket.code()), "{path}");
    }
}

#[tokio::test]
async fn what_is_too_large_or_not_a_form_is_refused() {
    let intake = Intake::default();
    let ticket = open(&intake);
    let from_us = "Host: {host}\nOrigin: http://{host}";
    let large = vec![b'a'; 1 << 20];
    let head = format!(
        "POST {{path}} HTTP/1.1\n{from_us}\nContent-Type: {FORM}\nContent-Length: {}\n",
        large.len()
    );
    assert_eq!(send(&ticket, &head, &large).await.status, 413);
    let head = format!("POST {{path}} HTTP/1.1\n{from_us}\nContent-Type: {FORM}\nTransfer-Encoding: chunked\n");
    let chunk = format!("8000\r\n{}\r\n0\r\n\r\n", "a".repeat(0x8000));
    assert_eq!(send(&ticket, &head, chunk.as_bytes()).await.status, 413);
    for kind in ["text/plain", "application/json", "multipart/form-data; boundary=x"] {
        let head = format!("POST {{path}} HTTP/1.1\n{from_us}\nContent-Type: {kind}\nContent-Length: 2\n");
        assert_eq!(send(&ticket, &head, b"{}").await.status, 415, "{kind}");
    }
    for body in ["", "key=1", "secret=%zz", "secret=a&secret=b"] {
        let head = format!(
            "POST {{path}} HTTP/1.1\n{from_us}\nContent-Type: {FORM}\nContent-Length: {}\n",
            body.len()
        );
        assert_eq!(send(&ticket, &head, body.as_bytes()).await.status, 400, "{body}");
    }
    let long = format!("GET {{path}} HTTP/1.1\nHost: {{host}}\nX: {}\n", "a".repeat(64 << 10));
    assert!(matches!(send(&ticket, &long, b"").await.status, 400 | 431));
    assert_eq!(visit(&ticket).await.status, 200);
}

#[tokio::test]
async fn a_page_that_is_too_old_is_closed_and_forgets() {
    let intake = Intake::with_lifetime(Duration::from_millis(50));
    let ticket = open(&intake);
    let late = ticket.secret().await.expect_err("nobody typed");
    assert_eq!(late.code(), Code::InputPending);
    stops_listening(&ticket).await;

    // What was typed and never fetched is gone too.
    let intake = Intake::with_lifetime(Duration::from_secs(3));
    let ticket = open(&intake);
    assert_eq!(type_in(&ticket, KEY).await.status, 200);
    assert!(ticket.typed().is_some());
    for _ in 0..5_000 {
        if intake.find(&key_question("work")).is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(ticket.typed().is_none());
}

#[tokio::test]
async fn the_same_question_has_one_page_and_another_question_another() {
    let intake = Intake::default();
    let ticket = open(&intake);
    assert_eq!(ticket.address(), open(&intake).address());
    let other = intake.open(request(key_question("home"))).expect("a page");
    assert_ne!(ticket.address(), other.address());
    assert_ne!(ticket.code(), other.code());
    assert_eq!(parts(&ticket).0, parts(&other).0, "one server for all pages");
    intake.close(&ticket);
    assert_eq!(visit(&ticket).await.status, 404);
    intake.close(&other);
    stops_listening(&ticket).await;
}

#[tokio::test]
async fn what_was_typed_waits_for_a_caller_who_comes_late() {
    let intake = Intake::default();
    let ticket = open(&intake);
    let page = type_in(&ticket, KEY).await;
    assert!(page.body.contains("Received") && page.body.contains("continue there"));
    let found = intake.find(&key_question("work")).expect("the same page");
    // EXPOSE: a made-up value in a test
    assert_eq!(found.typed().expect("the key").expose(), KEY);
    assert!(found.typed().is_none(), "once");
    assert!(intake.find(&key_question("work")).is_none());
}

#[tokio::test]
async fn the_page_says_why_the_work_failed() {
    let intake = Intake::default();
    let ticket = intake.open(request(Question::Passphrase)).expect("a page");
    let caller = ticket.clone();
    tokio::spawn(async move {
        let _ = caller.secret().await;
        caller.finish(SecretOutcome::Failed {
            message: "the passphrase does not open the vault".to_owned(),
            hint: "type it again".to_owned(),
        });
    });
    // White space belongs to a passphrase.
    let page = type_in(&ticket, " correct horse ").await;
    assert!(page.body.contains("That did not work"));
    assert!(page.body.contains("The passphrase does not open the vault.") && page.body.contains("Type it again."));
}

#[tokio::test]
async fn a_new_passphrase_is_typed_twice() {
    let intake = Intake::default();
    let ticket = intake.open(request(Question::NewPassphrase)).expect("a page");
    let post = |body: &'static str| {
        let head = format!(
            "POST {{path}} HTTP/1.1\nHost: {{host}}\nOrigin: http://{{host}}\nContent-Type: {FORM}\nContent-Length: \
             {}\n",
            body.len()
        );
        let ticket = ticket.clone();
        async move { send(&ticket, &head, body.as_bytes()).await }
    };
    assert_eq!(post("secret=a+b+c").await.status, 400);
    let page = post("secret=a+b+c&again=a+b+d").await;
    assert_eq!(page.status, 422);
    assert!(page.body.contains("not the same"));
    let fetched = fetch(&ticket);
    assert_eq!(post("secret=a+b+c&again=a+b+c").await.status, 200);
    assert_eq!(fetched.await.unwrap().as_deref(), Ok("a b c"));
}

#[tokio::test]
async fn forty_silent_connections_keep_nobody_from_the_page() {
    let intake = Intake::default();
    let ticket = open(&intake);
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(parts(&ticket).0).await.expect("it listens"));
    }
    let both = async { (visit(&ticket).await, visit(&ticket).await) };
    let (first, second) = tokio::time::timeout(Duration::from_secs(5), both)
        .await
        .expect("answered at once");
    assert_eq!((first.status, second.status), (200, 200));
}

#[tokio::test]
async fn a_second_tab_is_answered_while_the_first_one_waits() {
    let intake = Intake::default();
    let ticket = open(&intake);
    let first = {
        let ticket = Arc::clone(&ticket);
        tokio::spawn(async move { type_in(&ticket, KEY).await.status })
    };
    let secret = ticket.secret().await.expect("typed");
    assert_eq!(type_in(&ticket, KEY).await.status, 404);
    drop(secret);
    ticket.finish(SecretOutcome::Done);
    assert_eq!(first.await.expect("answered"), 200);
    stops_listening(&ticket).await;
}
