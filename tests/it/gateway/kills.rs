//! A gateway that is killed at any moment: every request whose response was complete is in the ledger, with its exact
//! counts, once.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::*;

/// Sets how often each kind of gateway is killed.
const KILLS: &str = "API_KEYS_TEST_KILLS";
const USUAL_KILLS: u64 = 4;
/// How many clients there are at a time.
const CLIENTS: [u64; 3] = [1, 8, 32];
const OUTPUT: u64 = 7;

/// Uses as many input tokens as the request's user is called.
fn provider() -> StandIn {
    StandIn::start(|request| {
        let body = request.json();
        let input: u64 = body["user"].as_str().and_then(|user| user.parse().ok()).unwrap_or(0);
        let usage = json!({"prompt_tokens": input, "completion_tokens": OUTPUT, "total_tokens": input + OUTPUT});
        if body["stream"] == true {
            let chunk = |rest: Value| format!("data: {rest}\n\n").into_bytes();
            Reply::stream(vec![
                chunk(json!({"choices": [{"index": 0, "delta": {"content": "hello"}}]})),
                chunk(json!({"choices": [], "usage": usage})),
                b"data: [DONE]\n\n".to_vec(),
            ])
        } else {
            let message = json!({"role": "assistant", "content": "hello"});
            Reply::json(
                200,
                &json!({"choices": [{"index": 0, "message": message}], "usage": usage}),
            )
        }
    })
}

/// Sends one request; returns its id where the whole response has arrived.
fn ask_whole(address: &str, client: &str, body: &Value) -> Option<String> {
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nx-api-key: {client}\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).ok()?;
    let mut response = Vec::new();
    // A connection that is reset may have brought everything before.
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8(response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    let is_whole = match header("content-length: ") {
        Some(length) => body.len() == length.parse::<usize>().ok()?,
        None => body.contains("data: [DONE]"),
    };
    assert!(!is_whole || head.starts_with("HTTP/1.1 200 "), "{response}");
    header("x-api-keys-request-id: ")
        .filter(|_| is_whole)
        .map(str::to_owned)
}

#[test]
fn a_gateway_that_is_killed_at_any_moment_has_recorded_every_whole_response_exactly_once() {
    let kills = std::env::var(KILLS).ok().and_then(|kills| kills.parse().ok());
    let kills: u64 = kills.unwrap_or(USUAL_KILLS);
    let mut scene = Scene::with(
        provider(),
        "[budget]\ndaily_limit = 1000\nmonthly_limit = 1000\n",
        &[],
        &[],
    );
    // Of each request with a whole response, how many tokens it had.
    let whole: Mutex<BTreeMap<String, u64>> = Mutex::default();
    let users = AtomicU64::new(0);
    for (clients, is_streamed) in CLIENTS
        .into_iter()
        .flat_map(|clients| [(clients, false), (clients, true)])
    {
        for kill in 0..kills {
            let is_over = AtomicBool::new(false);
            let (address, client) = (scene.gateway.address.clone(), scene.client.clone());
            // The first request reads the vault, the models and the ledger, longer than some of the moments.
            let mut first = chat();
            first["user"] = users.fetch_add(1, Ordering::Relaxed).to_string().into();
            ask_whole(&address, &client, &first).expect("a whole response");
            std::thread::scope(|scope| {
                for _ in 0..clients {
                    scope.spawn(|| {
                        while !is_over.load(Ordering::Relaxed) {
                            let user = users.fetch_add(1, Ordering::Relaxed);
                            let mut body = chat();
                            body["user"] = user.to_string().into();
                            body["stream"] = is_streamed.into();
                            if let Some(id) = ask_whole(&address, &client, &body) {
                                whole.lock().unwrap().insert(id, user);
                            }
                        }
                    });
                }
                // At another moment each time.
                std::thread::sleep(Duration::from_millis(15 + kill * 37 % 60));
                scene.gateway.child.kill().unwrap();
                scene.gateway.child.wait().unwrap();
                is_over.store(true, Ordering::Relaxed);
            });
            scene.gateway = scene.home.gateway(&[]);
        }
    }
    scene.gateway.child.kill().unwrap();
    scene.gateway.child.wait().unwrap();
    let exported = scene.home.run(["usage", "--export", "jsonl"]).stdout;
    let mut recorded: BTreeMap<String, Value> = BTreeMap::new();
    for line in exported.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let id = record["request_id"].as_str().unwrap().to_owned();
        assert!(recorded.insert(id, record).is_none(), "twice: {line}");
    }
    let whole = whole.into_inner().unwrap();
    assert!(
        whole.len() as u64 > kills * 6,
        "only {} responses were whole",
        whole.len()
    );
    for (id, input) in &whole {
        let record = recorded
            .get(id)
            .unwrap_or_else(|| panic!("lost: {id}, of {}", whole.len()));
        let counts = (&record["success"], &record["input_tokens"], &record["output_tokens"]);
        assert_eq!(counts, (&json!(true), &json!(input), &json!(OUTPUT)), "{record}");
    }
    let estimated = recorded.values().filter(|record| record["success"] == false).count() as u64;
    println!(
        "{} kills, {} whole responses, {} records, {estimated} of them of requests under way",
        kills * 6,
        whole.len(),
        recorded.len()
    );
    let totals = scene.home.totals(recorded.len() as u64);
    let input: u64 = recorded
        .values()
        .filter_map(|record| record["input_tokens"].as_u64())
        .sum();
    assert_eq!(totals["input_tokens"], input, "sums are those of the records");
    assert!(scene.home.run(["doctor", "--json"]).stdout.contains("ledger"));
}
