//! A provider that returns the key in every shape: the client sees none of them, and nothing else changes.

use std::io::Write as _;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use flate2::{Compression, write::GzEncoder};

use super::*;

/// The key of [`KEY`]'s provider in every shape, in a JSON string, in an order that stays the same.
fn shapes() -> Vec<(&'static str, String)> {
    let escaped = |escape: fn(u8) -> String| KEY.bytes().map(escape).collect::<String>();
    let aligned = |before: &str| BASE64.encode(format!("{before}{KEY} and more").as_bytes());
    vec![
        ("plain", format!("Bearer {KEY}, again {KEY}")),
        ("escaped", escaped(|byte| format!("\\u00{byte:02x}"))),
        ("percent", escaped(|byte| format!("%{byte:02X}"))),
        ("base64, at 0", aligned("")),
        ("base64, at 1", aligned("a")),
        ("base64, at 2", aligned("ab")),
        ("base64url", BASE64URL_NOPAD.encode(KEY.as_bytes())),
        ("hexadecimal", HEXLOWER.encode(KEY.as_bytes())),
        ("HEXADECIMAL", HEXLOWER.encode(KEY.as_bytes()).to_uppercase()),
        ("mixed", KEY.replace('p', "\\u0070").replace('J', "%4A")),
    ]
}

/// Whether `text` has half of the key, read in any way.
fn has_key(text: &[u8]) -> bool {
    let part = &KEY[10..26];
    let holds = |bytes: &[u8]| bytes.windows(part.len()).any(|window| window == part.as_bytes());
    let text = String::from_utf8_lossy(text).into_owned();
    let mut plain = text.clone();
    for byte in 32..127_u8 {
        for escape in [format!("\\u00{byte:02x}"), format!("%{byte:02X}")] {
            plain = plain.replace(&escape, &char::from(byte).to_string());
        }
    }
    let runs = plain.split(|c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c)));
    let decodes = |run: &str| {
        (0..4).any(|skipped| {
            let rest = run.get(skipped..).unwrap_or_default();
            let whole = &rest[..rest.len() / 4 * 4];
            [BASE64_NOPAD, BASE64URL_NOPAD]
                .iter()
                .any(|encoding| encoding.decode(whole.as_bytes()).is_ok_and(|bytes| holds(&bytes)))
                || HEXLOWER_PERMISSIVE
                    .decode(&rest.as_bytes()[..rest.len() / 2 * 2])
                    .is_ok_and(|bytes| holds(&bytes))
        })
    };
    holds(plain.as_bytes()) || runs.into_iter().any(decodes)
}

type MakeBody = fn(&str) -> String;

/// Checks that `seen` is `sent` with the key masked, and nothing else changed.
fn check(seen: &[u8], sent: &[u8], what: &str) {
    assert!(has_key(sent), "{what}: the test would find it");
    assert!(!has_key(seen), "{what}: {}", String::from_utf8_lossy(seen));
    assert_eq!(seen.len(), sent.len(), "{what}: the same length");
    let mut pairs = seen.iter().zip(sent);
    assert!(pairs.all(|(seen, sent)| seen == sent || *seen == b'*'), "{what}");
}

/// A provider that answers with `make` of the shape whose number the request names.
fn echoing(make: impl Fn(&str, &Value) -> Reply + Send + Sync + 'static) -> Scene {
    let provider = StandIn::start(move |request| {
        let body = request.json();
        let number = usize::try_from(body["seed"].as_u64().unwrap()).unwrap();
        make(&shapes()[number].1, &body)
    });
    Scene::with(provider, "[budget]\nenabled = false\n", &[], &[])
}

fn ask(scene: &Scene, number: usize) -> Answer {
    let mut body = chat();
    body["seed"] = number.into();
    scene.chat(body)
}

fn body_with(shape: &str) -> String {
    completion().to_string().replace("hello", shape)
}

fn error_with(shape: &str) -> String {
    format!(r#"{{"error": {{"message": "wrong key: {shape}", "type": "x"}}}}"#)
}

#[test]
fn the_key_is_masked_in_answers_and_errors_and_headers() {
    let json = |status, text: String| Reply::new(status, text.as_bytes()).header("content-type", "application/json");
    let (answer, error): (MakeBody, MakeBody) = (body_with, error_with);
    for (status, text) in [(200, answer), (400, error), (401, error), (500, error), (200, error)] {
        let scene = echoing(move |shape, _| json(status, text(shape)).header("x-echo", shape));
        for (number, (name, shape)) in shapes().into_iter().enumerate() {
            let seen = ask(&scene, number);
            assert_eq!(seen.status, status, "{name}: {}", seen.text());
            check(&seen.body, text(&shape).as_bytes(), &format!("{name} with {status}"));
            let header = seen.header("x-echo").expect("the header stays");
            check(header.as_bytes(), shape.as_bytes(), name);
        }
        let log = scene.home.gateway_log();
        assert!(!has_key(log.as_bytes()), "{log}");
        assert!(log.contains("a response contained the key"), "{log}");
    }
}

#[test]
fn a_key_in_a_response_is_logged_once_and_without_it() {
    let scene = echoing(|shape, _| {
        Reply::stream([format!("data: {shape}\n\n"), format!("data: {shape}\n\n")]).header("x-echo", shape)
    });
    ask(&scene, 0);
    let log = scene.home.gateway_log();
    assert_eq!(log.matches("a response contained the key").count(), 1, "{log}");
    assert!(log.contains("openai") && log.contains("default"), "{log}");
}

#[test]
fn the_key_is_masked_in_streams_wherever_a_chunk_ends() {
    let events = |shape: &str| {
        let event = |content: &str| {
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n")
        };
        [&event("before"), &event(shape), "data: [DONE]\n\n"].concat()
    };
    let scene = echoing(move |shape, body| {
        let all = events(shape).into_bytes();
        match body["top_logprobs"].as_u64().and_then(|at| usize::try_from(at).ok()) {
            Some(at) => Reply::stream([&all[..at], &all[at..]]),
            None => Reply::stream(all.chunks(1)),
        }
    });
    let ask = |number: usize, at: Option<usize>| {
        let mut body = chat();
        body["stream"] = true.into();
        // As it came: without counts to take out.
        body["stream_options"] = json!({"include_usage": true});
        body["seed"] = number.into();
        body["top_logprobs"] = at.into();
        scene.chat(body)
    };
    for (number, (name, shape)) in shapes().into_iter().enumerate() {
        let all = events(&shape);
        let start = all.find(&shape).unwrap();
        let step = if number == 0 { 1 } else { 11 };
        let splits = (start..start + shape.len()).step_by(step).map(Some);
        for at in std::iter::once(None).chain(splits) {
            let seen = ask(number, at);
            assert_eq!((seen.status, seen.is_whole), (200, true), "{name}");
            check(&seen.body, all.as_bytes(), &format!("{name} at {at:?}"));
        }
    }
}

#[test]
fn the_key_is_masked_in_compressed_long_and_unread_responses() {
    for kind in ["application/json", "audio/mpeg", "application/octet-stream"] {
        let scene = echoing(move |shape, _| Reply::new(200, body_with(shape).as_bytes()).header("content-type", kind));
        for (number, (name, shape)) in shapes().into_iter().enumerate() {
            check(
                &ask(&scene, number).body,
                body_with(&shape).as_bytes(),
                &format!("{name} as {kind}"),
            );
        }
    }
    let packed = echoing(|shape, _| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body_with(shape).as_bytes()).unwrap();
        Reply::new(200, &encoder.finish().unwrap())
            .header("content-type", "application/json")
            .header("content-encoding", "gzip")
    });
    for (number, (name, shape)) in shapes().into_iter().enumerate() {
        check(&ask(&packed, number).body, body_with(&shape).as_bytes(), name);
    }
    let block = |shape: &str| format!("{shape} {} ", "x".repeat(1 << 20));
    let long = echoing(move |shape, _| {
        Reply::new(200, block(shape).as_bytes())
            .header("content-type", "text/plain")
            .repeated(18)
    });
    for (number, (name, shape)) in shapes().into_iter().enumerate().take(2) {
        let seen = ask(&long, number);
        let block = block(&shape);
        assert_eq!(seen.body.len(), 18 * block.len(), "{name}");
        for seen in seen.body.chunks(block.len()) {
            assert_eq!(&seen[shape.len()..], &block.as_bytes()[shape.len()..], "{name}");
            check(&seen[..shape.len()], shape.as_bytes(), name);
        }
    }
}

#[test]
fn a_cached_response_has_no_key_either() {
    let provider =
        StandIn::start(|_| Reply::new(200, body_with(KEY).as_bytes()).header("content-type", "application/json"));
    let scene = Scene::with(provider, "[gateway.cache]\nenabled = true\n", &[], &[]);
    let mut body = chat();
    body["temperature"] = 0.into();
    for cached in ["miss", "hit"] {
        let seen = scene.chat(body.clone());
        assert_eq!(seen.header("x-api-keys-cache"), Some(cached), "{}", seen.text());
        check(&seen.body, body_with(KEY).as_bytes(), cached);
    }
}
