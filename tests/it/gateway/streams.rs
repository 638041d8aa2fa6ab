//! Streams: byte for byte, counted, and recorded once however they end.

use std::{io::Read, time::Duration};

use super::*;

/// A stream in OpenAI's format, one event after the other; with counts where they were asked for.
fn events(with_counts: bool) -> Vec<String> {
    let chunk = |rest: &str| format!("data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",{rest}}}\n\n");
    let mut events = vec![
        chunk(r#""choices":[{"index":0,"delta":{"role":"assistant","content":""}}]"#),
        chunk(r#""choices":[{"index":0,"delta":{"content":"héllo "}}]"#),
        chunk(r#""choices":[{"index":0,"delta":{"content":"wörld"},"finish_reason":"stop"}]"#),
    ];
    if with_counts {
        events.push(chunk(
            r#""choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,"prompt_tokens_details":{"cached_tokens":600}}"#,
        ));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn provider(reply: impl Fn(Vec<String>) -> Reply + Send + Sync + 'static) -> StandIn {
    StandIn::start(move |request| {
        let with_counts = request.json()["stream_options"]["include_usage"] == true;
        reply(events(with_counts))
    })
}

fn streamed() -> Value {
    let mut body = chat();
    body["stream"] = true.into();
    body
}

#[test]
fn a_stream_passes_byte_for_byte_and_its_counts_are_asked_for_and_taken_out_again() {
    // Pieces that end in the middle of a line, of a character, of the empty line.
    let scene = Scene::new(provider(|events| {
        let all = events.concat().into_bytes();
        let pieces: Vec<Vec<u8>> = all.chunks(7).map(<[u8]>::to_vec).collect();
        Reply::stream(pieces)
    }));
    let answer = scene.chat(streamed());
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text(),
        events(false).concat(),
        "as if nobody had asked for counts"
    );
    assert!(answer.is_whole);
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let totals = scene.home.totals(1);
    assert_eq!(
        (&totals["input_tokens"], &totals["output_tokens"]),
        (&json!(1000), &json!(50))
    );
    assert_eq!(totals["cost_usd"], 0.00096);

    let mut asking = streamed();
    asking["stream_options"] = json!({"include_usage": true});
    assert_eq!(scene.chat(asking).text(), events(true).concat(), "who asked gets them");
    assert_eq!(scene.home.totals(2)["cost_usd"], 0.00192);
}

#[test]
fn a_stream_in_anthropics_format_is_counted() {
    let events = [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":100,\"cache_read_input_tokens\":300,\"cache_creation_input_tokens\":600,\"output_tokens\":1}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":10}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    let scene = Scene::new(StandIn::answering(Reply::stream(events)));
    let body = json!({"model": "anthropic/m", "max_tokens": 9, "stream": true, "messages": []});
    let answer = scene.gateway.post("/v1/messages", &scene.client, &body);
    assert_eq!(answer.text(), events.concat());
    assert_eq!(
        scene.provider.requests()[0].json(),
        json!({"model": "m", "max_tokens": 9, "stream": true, "messages": []})
    );
    let totals = scene.home.totals(1);
    assert_eq!(
        (&totals["input_tokens"], &totals["cost_usd"]),
        (&json!(1000), &json!(0.00098))
    );
}

/// Reads until `piece` has come.
fn read_to(stream: &mut impl Read, piece: &str) {
    let mut seen = Vec::new();
    while !seen.ends_with(piece.as_bytes()) {
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
}

#[test]
fn a_client_that_hangs_up_is_billed_for_what_the_provider_counts() {
    let scene = Scene::new(provider(|events| {
        Reply::stream(events).pausing(Duration::from_millis(150))
    }));
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str())];
    let mut stream = scene.gateway.begin(
        "POST",
        "/v1/chat/completions",
        &headers,
        streamed().to_string().as_bytes(),
    );
    let mut first = [0; 200];
    stream.read_exact(&mut first).unwrap();
    drop(stream);
    assert_eq!(scene.home.totals(1)["cost_usd"], 0.00096);

    // And if the program does not even wait for the head.
    let body = chat().to_string();
    let unread = scene
        .gateway
        .begin("POST", "/v1/chat/completions", &headers, body.as_bytes());
    eventually(
        || scene.provider.requests().len() == 2,
        "the provider has both requests",
    );
    drop(unread);
    scene.home.totals(2);
}

#[test]
fn a_provider_that_breaks_off_is_recorded_with_what_is_known() {
    let scene = Scene::new(provider(|events| Reply::stream(&events[..2]).broken_off()));
    let answer = scene.chat(streamed());
    assert_eq!((answer.status, answer.is_whole), (200, false), "cut, as it was");
    assert_eq!(answer.text(), events(false)[..2].concat());
    let totals = scene.home.totals(1);
    assert_eq!(totals["errors"], 1);
    assert!(
        totals["output_tokens"].as_u64().unwrap() >= 1,
        "what was seen: {totals}"
    );
    assert!(totals["input_tokens"].as_u64().unwrap() > 10, "an estimate: {totals}");
    let record = scene.home.run(["usage", "--export", "jsonl"]).json();
    assert_eq!(record["estimated"], true);
}

#[test]
fn a_stream_cut_off_before_its_first_words_is_recorded_with_the_usage_it_reported() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":500,\"cache_read_input_tokens\":100,\"output_tokens\":1}}}\n\n";
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
    let body = json!({"model": "anthropic/m", "max_tokens": 9, "stream": true, "messages": []});
    for (reply, status, input) in [
        (Reply::stream([start]).broken_off(), 502, 600),
        (Reply::stream([start, error]), 200, 600),
        (Reply::stream([error]), 200, 0),
    ] {
        let scene = Scene::new(StandIn::answering(reply));
        let answer = scene.gateway.post("/v1/messages", &scene.client, &body);
        assert_eq!(answer.status, status, "{}", answer.text());
        let totals = scene.home.totals(1);
        assert_eq!((&totals["errors"], &totals["input_tokens"]), (&json!(1), &json!(input)));
    }
}

#[test]
fn a_stream_without_a_word_is_tried_with_another_key() {
    let scene = Scene::with_two_keys("", || Reply::stream::<&str>([]));
    let answer = scene.chat(streamed());
    assert_eq!((answer.status, answer.header("x-api-keys-attempts")), (200, Some("2")));
    assert_eq!(scene.home.totals(2)["errors"], 1);
}

#[test]
fn what_is_no_text_passes_as_it_comes() {
    for kind in ["audio/mpeg", "application/vnd.amazon.eventstream", "Text/Event-Stream"] {
        let piece = if kind.starts_with("Text") {
            "data: {}\n\n"
        } else {
            "\u{1}\u{2}"
        };
        // The last pause is longer than anybody waits.
        let pieces = Reply::pieces(kind, [piece, piece]).pausing(Duration::from_secs(25));
        let scene = Scene::new(StandIn::answering(pieces));
        let bearer = format!("Bearer {}", scene.client);
        let headers = [("authorization", bearer.as_str())];
        let mut stream = scene.gateway.begin(
            "POST",
            "/v1/chat/completions",
            &headers,
            streamed().to_string().as_bytes(),
        );
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        read_to(&mut stream, piece);
    }
}

#[test]
fn a_stream_that_stands_still_is_given_up() {
    let scene = Scene::with(
        provider(|events| Reply::stream(events).pausing(Duration::from_secs(20))),
        "",
        &["--idle-timeout", "1"],
        &[],
    );
    let answer = scene.chat(streamed());
    assert_ne!((answer.status, answer.is_whole), (200, true));
    assert_eq!(scene.home.totals(1)["errors"], 1);
}

#[test]
fn a_second_signal_ends_the_gateway_at_once() {
    let mut scene = Scene::new(StandIn::answering(Reply::silence()));
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str())];
    let body = chat().to_string();
    let waiting = scene
        .gateway
        .begin("POST", "/v1/chat/completions", &headers, body.as_bytes());
    eventually(|| !scene.provider.requests().is_empty(), "the provider has the request");
    ask_to_end(&scene.gateway);
    // The first signal has arrived when the gateway no longer listens.
    eventually(
        || std::net::TcpStream::connect(&scene.gateway.address).is_err(),
        "it still listens",
    );
    assert!(
        scene.gateway.child.try_wait().unwrap().is_none(),
        "a request is under way"
    );
    ask_to_end(&scene.gateway);
    assert_eq!(scene.gateway.child.wait().unwrap().code(), Some(0));
    drop(waiting);
    let totals = scene.home.totals(1);
    assert_eq!(totals["errors"], 1);
    assert!(
        totals["cost_usd"].as_f64().unwrap() > 0.0,
        "it may have been paid for: {totals}"
    );
    let budget = scene.home.run(["budget", "--json"]).json();
    assert_eq!(budget["daily"]["reserved_usd"], 0);
}

#[test]
fn what_a_stream_has_used_is_recorded_when_the_gateway_does_not_wait_for_it() {
    let mut scene = Scene::new(provider(|events| {
        Reply::stream(&events[..3]).pausing(Duration::from_secs(8))
    }));
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str())];
    let body = streamed().to_string();
    let mut stream = scene
        .gateway
        .begin("POST", "/v1/chat/completions", &headers, body.as_bytes());
    read_to(&mut stream, "héllo ");
    let text = scene.gateway.get("/metrics", "").text();
    let counted = text.lines().any(|line| line == "api_keys_gateway_requests_under_way 1");
    assert!(counted, "a stream is under way until its end: {text}");
    ask_to_end(&scene.gateway);
    eventually(
        || std::net::TcpStream::connect(&scene.gateway.address).is_err(),
        "it still listens",
    );
    ask_to_end(&scene.gateway);
    assert_eq!(scene.gateway.child.wait().unwrap().code(), Some(0));
    let totals = scene.home.totals(1);
    assert_eq!(totals["errors"], 1);
    assert!(totals["output_tokens"].as_u64().unwrap() > 0, "{totals}");
}

#[test]
fn the_gateway_ends_when_its_streams_have() {
    let scene = Scene::new(provider(|events| {
        Reply::stream(events).pausing(Duration::from_millis(200))
    }));
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str())];
    let body = streamed().to_string();
    let mut stream = scene
        .gateway
        .begin("POST", "/v1/chat/completions", &headers, body.as_bytes());
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    let Scene {
        home,
        mut gateway,
        provider,
        ..
    } = scene;
    ask_to_end(&gateway);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n") && rest.contains("[DONE]"), "{rest}");
    assert_eq!(gateway.child.wait().unwrap().code(), Some(0));
    assert_eq!(home.totals(1)["cost_usd"], 0.00096, "and what they used is recorded");
    drop(provider);
}
