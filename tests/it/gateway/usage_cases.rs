//! What providers have been seen to answer, and what the ledger must say of it: one file for each in
//! `tests/data/usage-cases`.

use std::{
    fmt::Write,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use super::*;

/// The providers of the cases, with the forms of their keys.
const PROVIDERS: &[(&str, &str)] = &[
    ("anthropic", "sk-ant-api03-0123456789abcdef-"),
    ("openai", "sk-proj-0123456789abcdef"),
    ("google", "AQ.Ab8RN60123456789abcdef"),
    ("xai", "xai-0123456789abcdef0123456789"),
    ("openrouter", "sk-or-v1-0123456789abcdef"),
    ("perplexity", "pplx-0123456789abcdef0123456789"),
    ("bedrock", "ABSK0123456789abcdef0123456789"),
    ("groq", "gsk_0123456789abcdef0123456789"),
    ("minimax", "minimax-0123456789abcdef0123456789"),
    ("zai", "zai-0123456789abcdef0123456789abcdef"),
    ("replicate", "r8_0123456789abcdef0123456789abcdef"),
    ("elevenlabs", "sk_0123456789abcdef0123456789abcdef"),
];

/// A gateway before a provider that answers as it is told to.
pub(super) struct Stage {
    home: Home,
    gateway: Gateway,
    client: String,
    _provider: StandIn,
    reply: Arc<Mutex<Reply>>,
    /// How many records there are.
    recorded: u64,
}

impl Stage {
    pub(super) fn new(config: &str) -> Self {
        let reply = Arc::new(Mutex::new(Reply::json(200, &json!({}))));
        let answer = Arc::clone(&reply);
        let provider = StandIn::start(move |_| answer.lock().expect("not poisoned").clone());
        let home = Home::new();
        let url = provider.url();
        let mut all = String::from("[vault]\nmaster_key = \"key-file\"\n");
        for (name, _) in PROVIDERS {
            let base = if *name == "openai" {
                format!("{url}/v1")
            } else {
                url.clone()
            };
            let _ = write!(
                all,
                "[providers.{name}]\nbase_url = \"{base}\"\n\
                 [[prices]]\nmodel = \"{name}/t\"\ninput = 10\noutput = 100\ncache_read = 1\ncache_write = 20\n\
                 cache_write_1h = 40\n"
            );
        }
        home.config(&(all + config));
        for (name, key) in PROVIDERS {
            home.key(&[name], &format!("{key}first"));
            home.key(&[name, "--label", "second"], &format!("{key}second"));
        }
        let client = home.client(&["tester"]);
        let gateway = home.gateway(&[]);
        Self {
            home,
            gateway,
            client,
            _provider: provider,
            reply,
            recorded: 0,
        }
    }

    /// Has a request answered with `reply`; returns the answer, and what the ledger says of it.
    pub(super) fn ask(&mut self, (method, path): (&str, &str), body: &Value, reply: Reply) -> (Answer, Value) {
        *self.reply.lock().expect("not poisoned") = reply;
        let bearer = format!("Bearer {}", self.client);
        let body = body.to_string();
        let answer = self
            .gateway
            .send(method, path, &[("authorization", &bearer)], body.as_bytes());
        let attempts = answer.header("x-api-keys-attempts").and_then(|text| text.parse().ok());
        self.recorded += attempts.unwrap_or(1u64);
        self.home.totals(self.recorded);
        let mut row = self.rows().pop().expect("a record");
        row["attempts"] = attempts.into();
        (answer, row)
    }

    pub(super) fn rows(&self) -> Vec<Value> {
        let lines = self.home.run(["usage", "--export", "jsonl"]).stdout;
        lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("a record"))
            .collect()
    }
}

/// The replies of a case, each in every form that it may come in.
fn replies(upstream: &Value) -> Vec<(&'static str, Reply)> {
    let kind = upstream["ctype"].as_str().unwrap_or("application/json");
    if let Some(pieces) = upstream["sse"].as_array() {
        let pieces: Vec<&str> = pieces.iter().map(|piece| piece.as_str().expect("text")).collect();
        let all = pieces.concat();
        return vec![
            ("as it is", Reply::pieces(kind, &pieces)),
            ("declared as JSON", Reply::pieces("application/json", &pieces)),
            ("byte for byte", Reply::pieces(kind, all.as_bytes().chunks(97))),
            ("with carriage returns", Reply::pieces(kind, [all.replace('\n', "\r")])),
        ];
    }
    let body = upstream["body"].to_string();
    vec![
        (
            "as it is",
            Reply::new(200, body.as_bytes()).header("content-type", kind),
        ),
        ("declared as a stream", Reply::stream([body.as_bytes()])),
        ("in one event", Reply::stream([format!("data: {body}\n\n")])),
        (
            "with a byte order mark",
            Reply::pieces(kind, [format!("\u{feff}{body}")]),
        ),
    ]
}

/// `text` as gzip makes it.
fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_body_is_read_by_what_it_is_and_not_by_what_it_is_declared_as() {
    let mut stage = Stage::new("[budget]\nenabled = false\n");
    let body = json!({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}).to_string();
    let chat = json!({"model": "openai/t", "messages": []});
    let packed = gzipped(&body);
    for (what, reply) in [
        (
            "gzip that is not declared",
            Reply::json(200, &json!(null)).with_body(&packed),
        ),
        (
            "gzip that is declared",
            Reply::json(200, &json!(null))
                .with_body(&packed)
                .header("content-encoding", "gzip"),
        ),
        ("no type", Reply::new(200, body.as_bytes())),
        (
            "another type",
            Reply::new(200, body.as_bytes()).header("content-type", "application/octet-stream"),
        ),
    ] {
        let (answer, row) = stage.ask(("POST", "/v1/chat/completions"), &chat, reply);
        assert_eq!(answer.text(), body, "{what}");
        assert_eq!(
            (&row["input_tokens"], &row["output_tokens"]),
            (&json!(100), &json!(10)),
            "{what}"
        );
        assert_eq!(row["cost_usd"], 0.002, "{what}");
    }
}

#[test]
fn a_stream_passes_at_once_whatever_it_is_declared_as() {
    let scene = Scene::new(StandIn::answering(
        Reply::pieces(
            "application/json",
            [
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n",
                "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n",
            ],
        )
        .pausing(std::time::Duration::from_secs(3)),
    ));
    let bearer = format!("Bearer {}", scene.client);
    let mut body = chat();
    body["stream"] = true.into();
    let began = std::time::Instant::now();
    let mut stream = scene.gateway.begin(
        "POST",
        "/v1/chat/completions",
        &[("authorization", &bearer)],
        body.to_string().as_bytes(),
    );
    let mut seen = Vec::new();
    while !seen.ends_with(b"data:") {
        let mut byte = [0; 1];
        std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
        seen.push(byte[0]);
    }
    assert!(
        began.elapsed() < std::time::Duration::from_secs(3),
        "before the rest came"
    );
}

#[test]
fn a_cost_that_the_provider_states_is_recorded_beside_our_own_unless_it_is_absurd() {
    let mut stage = Stage::new("[budget]\nenabled = false\n");
    let usage = |cost: Value| json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, "cost": cost});
    for (model, cost, recorded, source, own) in [
        (
            "openrouter/t",
            json!(0.0123),
            json!(0.0123),
            json!("provider"),
            json!(0.002),
        ),
        (
            "openrouter/new",
            json!(0.0123),
            json!(0.0123),
            json!("provider"),
            Value::Null,
        ),
        (
            "perplexity/t",
            json!({"total_cost": 0.5}),
            json!(0.5),
            json!("provider"),
            json!(0.002),
        ),
        ("openrouter/t", json!(-1), json!(0.002), json!("computed"), json!(0.002)),
        (
            "openrouter/t",
            json!(1e9),
            json!(0.002),
            json!("computed"),
            json!(0.002),
        ),
        (
            "openrouter/t",
            json!(900),
            json!(0.002),
            json!("computed"),
            json!(0.002),
        ),
        ("openrouter/new", json!(1e9), Value::Null, Value::Null, Value::Null),
    ] {
        let chat = json!({"model": model, "messages": []});
        let reply = Reply::json(200, &json!({"choices": [], "usage": usage(cost.clone())}));
        let (_, row) = stage.ask(("POST", "/v1/chat/completions"), &chat, reply);
        assert_eq!(
            (&row["cost_usd"], &row["cost_source"], &row["own_cost_usd"]),
            (&recorded, &source, &own),
            "{model} {cost}"
        );
    }
    let totals = stage.home.totals(stage.recorded);
    assert_eq!(totals["provider_cost_requests"], 3);
    assert_eq!(totals["cost_difference_usd"], 0.5083, "{totals}");
    assert_eq!(totals["unpriced_requests"], 1);
    let shown = stage.home.run(["usage"]).stdout;
    assert!(shown.contains("the provider stated the cost of 3 requests"), "{shown}");
}

#[test]
fn a_model_of_unknown_price_passes_a_budget_where_its_provider_states_the_cost() {
    let mut stage = Stage::new("");
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 10, "cost": 0.0123});
    let reply = Reply::json(200, &json!({"choices": [], "usage": usage}));
    let ask = json!({"model": "openrouter/some/new-model", "messages": []});
    let (answer, row) = stage.ask(("POST", "/v1/chat/completions"), &ask, reply);
    assert_eq!((answer.status, &row["cost_usd"]), (200, &json!(0.0123)));
    assert_eq!(answer.header("x-api-keys-cost-usd"), Some("0.0123"));
}

#[test]
fn what_an_advisor_uses_is_billed_at_its_own_model_and_each_part_by_its_own_length() {
    let mut stage = Stage::new(
        "[budget]\nenabled = false\n[[prices]]\nmodel = \"anthropic/advisor\"\ninput = 1000\noutput = 2000\n",
    );
    let ask = json!({"model": "anthropic/t", "max_tokens": 100, "messages": []});
    let answer = json!({"usage": {"input_tokens": 100, "output_tokens": 10, "iterations": [
        {"type": "message", "input_tokens": 100, "output_tokens": 10},
        {"type": "advisor_message", "model": "advisor", "input_tokens": 10, "output_tokens": 5}]}});
    let (_, row) = stage.ask(("POST", "/v1/messages"), &ask, Reply::json(200, &answer));
    assert_eq!((&row["input_tokens"], &row["output_tokens"]), (&json!(110), &json!(15)));
    assert_eq!(
        row["cost_usd"],
        0.002 + 0.02,
        "100 at 10 and 10 at 100, 10 at 1,000 and 5 at 2,000"
    );

    let searched = json!({"usage": {"input_tokens": 100, "output_tokens": 10,
        "server_tool_use": {"web_search_requests": 2}}});
    let (_, row) = stage.ask(("POST", "/v1/messages"), &ask, Reply::json(200, &searched));
    assert_eq!(
        (&row["cost_usd"], &row["cost_source"]),
        (&json!(0.002), &json!("lower_bound"))
    );
}

#[test]
fn what_is_used_beside_text_is_paid_for_at_its_own_price() {
    let mut stage = Stage::new("[budget]\nenabled = false\n");
    let chat = |model: &str| json!({"model": model, "messages": []});
    for (path, ask, answer, cost, source) in [
        (
            "/v1/messages",
            json!({"model": "anthropic/claude-sonnet-5", "max_tokens": 100, "messages": []}),
            json!({"usage": {"input_tokens": 100, "output_tokens": 10, "server_tool_use": {"web_search_requests": 2}}}),
            0.0203,
            "computed",
        ),
        (
            "/p/google/v1beta/models/gemini-2.5-flash:generateContent",
            json!({"contents": []}),
            json!({"usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}, {"modality": "AUDIO", "tokenCount": 80}]}}),
            0.000_111,
            "computed",
        ),
        (
            "/v1/chat/completions",
            chat("openai/gpt-audio"),
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 50,
                "completion_tokens_details": {"audio_tokens": 40, "text_tokens": 10}}}),
            0.002_91,
            "computed",
        ),
        (
            "/v1/chat/completions",
            chat("perplexity/sonar"),
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 10, "search_context_size": "low"}}),
            0.005_11,
            "computed",
        ),
        (
            "/v1/chat/completions",
            chat("perplexity/sonar"),
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 10}}),
            0.000_11,
            "lower_bound",
        ),
        (
            "/v1/chat/completions",
            chat("perplexity/sonar-deep-research"),
            json!({"usage": {"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196,
                "citation_tokens": 20_016, "num_search_queries": 21, "reasoning_tokens": 193_893}}),
            0.784_081,
            "computed",
        ),
    ] {
        let (_, row) = stage.ask(("POST", path), &ask, Reply::json(200, &answer));
        assert_eq!(
            (&row["cost_usd"], &row["cost_source"]),
            (&json!(cost), &json!(source)),
            "{answer}"
        );
    }
}

#[test]
fn minimax_zai_and_replicate_are_counted_whole_and_streamed() {
    let mut stage = Stage::new("[budget]\nenabled = false\n");
    let counts = json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 60}});
    let first = json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi"}}]});
    let last = json!({"choices": [{"index": 0, "finish_reason": "stop", "delta": {"role": "assistant", "content": ""}}],
        "usage": counts, "base_resp": {"status_code": 0, "status_msg": ""}});
    let whole = json!({"choices": [{"finish_reason": "stop", "message": {"content": "hi"}}], "usage": counts});
    for model in ["minimax/t", "zai/t"] {
        let ask = json!({"model": model, "messages": []});
        let events = [format!("data: {first}\n\n"), format!("data: {last}\n\n")];
        for reply in [Reply::json(200, &whole), Reply::stream(&events)] {
            let (_, row) = stage.ask(("POST", "/v1/chat/completions"), &ask, reply);
            assert_eq!(
                (&row["input_tokens"], &row["cache_read_tokens"], &row["output_tokens"]),
                (&json!(100), &json!(60), &json!(50)),
                "{model}"
            );
            assert_eq!(
                (&row["cost_usd"], &row["estimated"], &row["success"]),
                (&json!(0.005_46), &json!(false), &json!(true)),
                "{model}: 40 at 10, 60 at 1, 50 at 100"
            );
        }
    }
    let no_money = json!({"choices": null, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}});
    let ask = json!({"model": "minimax/t", "messages": []});
    let (_, row) = stage.ask(("POST", "/v1/chat/completions"), &ask, Reply::json(200, &no_money));
    assert_eq!((&row["success"], &row["output_tokens"]), (&json!(false), &json!(0)));

    let prediction = json!({"id": "p", "status": "succeeded", "output": ["hi"], "metrics": {"predict_time": 1.5,
        "input_token_count": 100, "output_token_count": 50}});
    let path = "/p/replicate/v1/models/t/predictions";
    let (_, row) = stage.ask(
        ("POST", path),
        &json!({"input": {"prompt": "hi"}}),
        Reply::json(201, &prediction),
    );
    assert_eq!(
        (
            &row["input_tokens"],
            &row["output_tokens"],
            &row["cost_usd"],
            &row["estimated"]
        ),
        (&json!(100), &json!(50), &json!(0.006), &json!(false))
    );
    let started = json!({"id": "p", "status": "starting", "output": null, "metrics": {"predict_time": null}});
    let (_, row) = stage.ask(
        ("POST", path),
        &json!({"input": {"prompt": "hi"}}),
        Reply::json(201, &started),
    );
    assert_eq!(row["estimated"], true);
}

#[test]
fn text_that_is_read_out_is_paid_for_by_the_character_within_the_default_budget() {
    let mut stage = Stage::new("");
    let sound = || Reply::new(200, &[0xff, 0xfb, 0x90, 0x00]).header("content-type", "audio/mpeg");
    let words = "Grüße! ".repeat(100);
    for (path, ask, cost) in [
        (
            "/p/elevenlabs/v1/text-to-speech/21m00Tcm4TlvDq8ikWAM",
            json!({"text": words, "model_id": "eleven_multilingual_v2"}),
            0.056,
        ),
        (
            "/p/elevenlabs/v1/text-to-speech/21m00Tcm4TlvDq8ikWAM/stream",
            json!({"text": words, "model_id": "eleven_flash_v2_5", "voice_settings": {"stability": 0.5}}),
            0.028,
        ),
        (
            "/p/openai/audio/speech",
            json!({"model": "tts-1", "input": words, "voice": "alloy"}),
            0.0105,
        ),
    ] {
        let (answer, row) = stage.ask(("POST", path), &ask, sound());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(
            (&row["cost_usd"], &row["success"]),
            (&json!(cost), &json!(true)),
            "{path}"
        );
    }
    let ask = json!({"text": words, "model_id": "eleven_multilingual_v2"});
    let path = "/p/elevenlabs/v1/text-to-speech/21m00Tcm4TlvDq8ikWAM";
    let refusal = Reply::json(422, &json!({"detail": [{"msg": "no such voice"}]}));
    let (_, row) = stage.ask(("POST", path), &ask, refusal);
    assert_eq!((&row["cost_usd"], &row["success"]), (&json!(0), &json!(false)));
}

#[test]
fn a_stream_that_ends_early_is_estimated_and_no_success() {
    let mut stage = Stage::new("[budget]\nenabled = false\n");
    let start =
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":15,\"output_tokens\":1}}}\n\n";
    let text = format!(
        "data: {{\"type\":\"content_block_delta\",\"delta\":{{\"type\":\"text_delta\",\"text\":\"{}\"}}}}\n\n",
        "word ".repeat(80)
    );
    let ask = json!({"model": "anthropic/t", "max_tokens": 100, "messages": [], "stream": true});
    for reply in [
        Reply::stream([start, &text]),
        Reply::stream([start, &text]).broken_off(),
    ] {
        let (_, row) = stage.ask(("POST", "/v1/messages"), &ask, reply);
        assert_eq!(
            (
                &row["input_tokens"],
                &row["output_tokens"],
                &row["estimated"],
                &row["success"]
            ),
            (&json!(15), &json!(100), &json!(true), &json!(false))
        );
    }
}

#[test]
fn what_uses_nothing_costs_nothing_and_is_allowed_within_any_budget() {
    let scene = Scene::with(
        StandIn::answering(Reply::json(200, &json!({"results": []}))),
        "[budget]\ndaily_limit = 0.000001\n",
        &[],
        &[],
    );
    let bearer = format!("Bearer {}", scene.client);
    let ask = |method: &str, path: &str| {
        let body: &[u8] = if method == "POST" {
            b"{\"model\":\"unheard-of\"}"
        } else {
            b""
        };
        let headers = [("authorization", bearer.as_str())];
        scene.gateway.send(method, path, &headers, body).status
    };
    for (method, path) in [
        ("POST", "/p/openai/moderations"),
        ("POST", "/p/openai/responses/resp_1/cancel"),
        ("POST", "/p/openai/responses/input_tokens"),
        ("POST", "/p/openai/files"),
        ("POST", "/p/anthropic/v1/messages/count_tokens"),
        ("POST", "/p/anthropic/v1/messages/batches/b/cancel"),
        ("POST", "/p/google/v1beta/models/unheard-of:countTokens"),
        ("GET", "/p/openai/responses/resp_1"),
        ("DELETE", "/p/openai/responses/resp_1"),
        ("DELETE", "/p/openai/files/f"),
        ("PUT", "/p/openai/files/f"),
    ] {
        assert_eq!(ask(method, path), 200, "{method} {path}");
    }
    assert_eq!(ask("POST", "/p/openai/responses"), 402);
    assert_eq!(scene.home.run(["usage", "--json"]).json()["totals"]["requests"], 0);
}

#[test]
fn a_form_is_paid_for_as_the_model_that_it_names() {
    let scene = Scene::new(StandIn::answering(Reply::json(
        200,
        &json!({"text": "hi", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 2, "total_tokens": 16,
            "input_token_details": {"text_tokens": 0, "audio_tokens": 14}}}),
    )));
    let form = |model: &str| {
        format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--xyz\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n{}\r\n--xyz--\r\n",
            "\u{1}".repeat(2_000)
        )
    };
    let bearer = format!("Bearer {}", scene.client);
    let headers = [("authorization", bearer.as_str()), ("x-test", "multipart")];
    let post = |model: &str| {
        let body = form(model);
        scene
            .gateway
            .send("POST", "/p/openai/audio/transcriptions", &headers, body.as_bytes())
    };
    let answer = post("m");
    assert_eq!(
        (answer.status, answer.header("x-api-keys-model")),
        (200, Some("openai/m"))
    );
    let other = post("unheard-of");
    assert_eq!(
        (other.status, other.header("x-api-keys-model")),
        (200, Some("openai/unheard-of"))
    );
    let totals = scene.home.totals(2);
    assert_eq!(
        (
            &totals["input_tokens"],
            &totals["lower_bound_requests"],
            &totals["unpriced_requests"]
        ),
        (&json!(28), &json!(1), &json!(1))
    );
}

#[test]
fn flexible_processing_at_groq_costs_what_the_standard_one_does() {
    let mut stage = Stage::new("");
    let ask = json!({"model": "groq/t", "messages": [], "service_tier": "flex", "max_tokens": 10});
    let answer =
        json!({"choices": [], "service_tier": "flex", "usage": {"prompt_tokens": 100, "completion_tokens": 10}});
    let (_, row) = stage.ask(("POST", "/v1/chat/completions"), &ask, Reply::json(200, &answer));
    assert_eq!((&row["cost_usd"], &row["service"]), (&json!(0.002), &json!("flex")));
}

#[test]
fn what_providers_were_seen_to_answer_is_recorded_as_it_is_billed() {
    let mut stage = Stage::new("[budget]\nenabled = false\n");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/usage-cases");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 15);
    let mut wrong = Vec::new();
    for file in files {
        let case: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let text = |name: &str| case[name].as_str().expect("text");
        for (form, reply) in replies(&case["upstream"]) {
            let (answer, row) = stage.ask((text("method"), text("path")), &case["request"], reply);
            for (name, right) in case["right"].as_object().expect("fields") {
                if row[name] != *right {
                    wrong.push(format!(
                        "{} {form}: {name} is {} and not {right} ({}: {})",
                        text("id"),
                        row[name],
                        answer.status,
                        answer.text()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
