//! How the gateway reaches the providers: connections, time limits, encodings, and where a key never goes.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::mpsc::{Receiver, channel},
    thread::JoinHandle,
    time::Duration,
};

use api_keys::providers::{Address, Dialect, Failure, Provider, Upstream, UpstreamRequest, UpstreamResponse};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::{
    Method,
    header::{HeaderMap, HeaderValue},
};
use serde_json::json;

use super::{GOOD, key, moved, tls};
use crate::support::{
    PATIENCE,
    stand_in::{Reply, StandIn},
};

const SHORT: Duration = Duration::from_millis(300);

/// A request for the models of `provider`.
fn request(provider: &Provider) -> UpstreamRequest<'_> {
    UpstreamRequest {
        provider,
        dialect: Dialect::OpenAi,
        key: None,
        method: Method::GET,
        path: "/models",
        headers: HeaderMap::new(),
        body: Bytes::new(),
        first_byte_timeout: PATIENCE,
        idle_timeout: PATIENCE,
    }
}

async fn read(mut response: UpstreamResponse) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.body.next().await {
        body.extend_from_slice(&chunk?);
    }
    Ok(body)
}

async fn answered(reply: Reply) -> Result<Vec<u8>, Failure> {
    let stand_in = StandIn::answering(reply);
    let provider = moved("openai", &stand_in.url());
    read(Upstream::default().send(request(&provider)).await?).await
}

/// A provider that does what `serve` does with each connection, one after the other.
fn provider_that(serve: impl Fn(usize, &TcpStream) + Send + 'static) -> Provider {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            serve(number, &stream);
        }
    });
    moved("openai", &format!("http://127.0.0.1:{port}"))
}

/// Reads the head of a request, up to its empty line.
fn read_head(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.by_ref().take_while(|line| !line.is_empty()).collect()
}

#[tokio::test]
async fn a_request_says_who_asks_and_that_the_answer_is_to_be_readable() {
    let stand_in = StandIn::answering(Reply::json(200, &json!({"data": []})));
    let provider = moved("openai", &format!("http://localhost:{}", stand_in.port()));
    let key = key(GOOD);
    let upstream = Upstream::default();
    let mut headers = HeaderMap::new();
    headers.insert("accept-encoding", HeaderValue::from_static("br"));
    headers.insert("user-agent", HeaderValue::from_static("mine/1"));
    for (headers, agent) in [
        (HeaderMap::new(), concat!("api-keys/", env!("CARGO_PKG_VERSION"))),
        (headers, "mine/1"),
    ] {
        let sent = UpstreamRequest {
            key: Some((&key, provider.origin.as_str())),
            method: Method::POST,
            path: "/chat/completions?a=b",
            body: Bytes::from_static(b"{}"),
            headers,
            ..request(&provider)
        };
        let response = upstream.send(sent).await.expect("an answer");
        assert_eq!(response.status, 200);
        assert_eq!(read(response).await, Ok(b"{\"data\":[]}".to_vec()));
        let asked = stand_in.requests().pop().expect("one");
        assert_eq!(
            (asked.method.as_str(), asked.path.as_str()),
            ("POST", "/v1/chat/completions?a=b")
        );
        assert_eq!(asked.body, b"{}");
        for (name, value) in [
            ("authorization", format!("Bearer {GOOD}").as_str()),
            ("host", &format!("localhost:{}", stand_in.port())),
            ("user-agent", agent),
            ("accept", "*/*"),
            ("accept-encoding", "identity"),
            ("content-length", "2"),
        ] {
            assert_eq!(asked.header(name), Some(value), "{name}");
        }
    }
}

#[tokio::test]
async fn a_key_goes_to_its_origin_and_a_path_stays_below_it() {
    let stand_in = StandIn::answering(Reply::json(200, &json!({})));
    let provider = moved("openai", &stand_in.url());
    let key = key(GOOD);
    let upstream = Upstream::default();
    let elsewhere = format!("http://localhost:{}", stand_in.port());
    for origin in ["https://api.openai.com", "", elsewhere.as_str()] {
        let sent = UpstreamRequest {
            key: Some((&key, origin)),
            ..request(&provider)
        };
        assert_eq!(upstream.send(sent).await.err(), Some(Failure::NoClient), "{origin}");
    }
    for path in ["@127.0.0.1:1/x", "/../x", "/%2e%2E/x", "/a#b", "/a\\b", "/a b"] {
        let sent = UpstreamRequest {
            key: Some((&key, provider.origin.as_str())),
            path,
            ..request(&provider)
        };
        assert_eq!(upstream.send(sent).await.err(), Some(Failure::BadPath), "{path}");
    }
    assert_eq!(stand_in.connections(), 0);
}

/// Answers one request and hangs up, then one on the next connection; says when it has hung up.
fn hangs_up_after_one() -> (Provider, Receiver<String>) {
    let (said, hears) = channel();
    let provider = provider_that(move |number, mut stream| {
        let head = read_head(stream);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
        let _ = stream.write_all(answer.as_bytes());
        if number == 0 {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        let _ = said.send(head);
    });
    (provider, hears)
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_no_request() {
    let (provider, hears) = hangs_up_after_one();
    let upstream = Upstream::default();
    let first = upstream.send(request(&provider)).await.expect("an answer");
    assert_eq!(read(first).await, Ok(b"0".to_vec()));
    // Waited for beside the runtime, which then hears of the end before it has anything to write.
    let hung_up = tokio::task::spawn_blocking(move || hears.recv_timeout(PATIENCE).map(|_| hears));
    let hears = hung_up.await.expect("no panic").expect("hung up");
    let second = upstream.send(request(&provider)).await.expect("an answer");
    assert_eq!(read(second).await, Ok(b"1".to_vec()));
    hears.recv_timeout(PATIENCE).expect("asked again");
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_request_that_was_written_is_never_sent_twice() {
    let (said, hears) = channel();
    let provider = provider_that(move |number, mut stream| {
        for request in 0.. {
            let head = read_head(stream);
            if head.is_empty() || said.send((number, head)).is_err() || request == 1 {
                break;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let upstream = Upstream::default();
    let first = upstream.send(request(&provider)).await.expect("an answer");
    assert_eq!(read(first).await, Ok(b"ok".to_vec()));
    let second = upstream.send(request(&provider)).await;
    assert_eq!(second.err(), Some(Failure::BrokenOff));
    let connections: Vec<usize> = hears.try_iter().map(|(connection, _)| connection).collect();
    assert_eq!(connections, [0, 0]);
}

#[tokio::test]
async fn a_flood_of_interim_answers_ends_when_nobody_waits_for_it() {
    let (said, hears) = channel();
    let provider = provider_that(move |_, mut stream| {
        read_head(stream);
        while stream
            .write_all(&b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(64))
            .is_ok()
        {}
        let _ = said.send(());
    });
    let sent = UpstreamRequest {
        first_byte_timeout: SHORT,
        ..request(&provider)
    };
    assert_eq!(Upstream::default().send(sent).await.err(), Some(Failure::TimedOut));
    let ended = tokio::task::spawn_blocking(move || hears.recv_timeout(PATIENCE)).await;
    assert_eq!(ended.expect("no panic"), Ok(()), "the connection is closed");
}

#[tokio::test]
async fn a_head_beyond_every_measure_is_no_answer() {
    let many = (0..200).fold(Reply::new(200, b""), |reply, number| {
        reply.header(&format!("x-{number}"), "a")
    });
    let long = Reply::new(200, b"").header("x-long", &"a".repeat(1 << 20));
    for reply in [many, long] {
        assert_eq!(answered(reply).await, Err(Failure::BrokenOff));
    }
    let large = Reply::new(200, b"ok").header("x-large", &"a".repeat(16 << 10));
    assert_eq!(answered(large).await, Ok(b"ok".to_vec()));
}

#[tokio::test]
async fn gzip_that_nobody_asked_for_is_decoded_and_other_encodings_are_refused() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"{\"data\":[]}").expect("in memory");
    let packed = encoder.finish().expect("in memory");
    let gzip = |body: &[u8]| Reply::new(200, body).header("content-encoding", "gzip");

    let stand_in = StandIn::answering(gzip(&packed));
    let provider = moved("openai", &stand_in.url());
    let response = Upstream::default().send(request(&provider)).await.expect("an answer");
    for name in ["content-encoding", "content-length"] {
        assert_eq!(response.headers.get(name), None, "{name} is of what was sent");
    }
    assert_eq!(read(response).await, Ok(b"{\"data\":[]}".to_vec()));

    assert_eq!(answered(gzip(b"")).await, Ok(Vec::new()), "no body");
    assert_eq!(answered(gzip(b"{}, and no gzip")).await, Err(Failure::BrokenOff));
    assert_eq!(
        answered(gzip(&packed[..packed.len() - 4])).await,
        Err(Failure::BrokenOff)
    );
    for encoding in ["br", "zstd", "deflate", "gzip, br"] {
        let reply = Reply::new(200, b"x").header("content-encoding", encoding);
        assert_eq!(answered(reply).await, Err(Failure::Compressed), "{encoding}");
    }
}

#[tokio::test]
async fn a_stream_may_take_its_time_as_long_as_something_comes() {
    let chunks = ["a"; 10];
    let stand_in = StandIn::answering(Reply::stream(chunks).pausing(SHORT / 4));
    let provider = moved("openai", &stand_in.url());
    let sent = UpstreamRequest {
        idle_timeout: SHORT,
        ..request(&provider)
    };
    let response = Upstream::default().send(sent).await.expect("an answer");
    assert_eq!(read(response).await, Ok(b"aaaaaaaaaa".to_vec()));

    let (says, ends) = channel::<()>();
    let provider = provider_that(move |_, mut stream| {
        read_head(stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na");
        let _ = ends.recv_timeout(PATIENCE);
    });
    let sent = UpstreamRequest {
        idle_timeout: SHORT,
        ..request(&provider)
    };
    let mut response = Upstream::default().send(sent).await.expect("an answer");
    assert_eq!(response.body.next().await, Some(Ok(Bytes::from_static(b"a"))));
    assert_eq!(response.body.next().await, Some(Err(Failure::TimedOut)));
    drop(says);
}

#[tokio::test]
async fn a_failure_says_what_failed() {
    let silence = StandIn::answering(Reply::silence());
    let provider = moved("openai", &silence.url());
    let sent = UpstreamRequest {
        first_byte_timeout: SHORT,
        ..request(&provider)
    };
    assert_eq!(Upstream::default().send(sent).await.err(), Some(Failure::TimedOut));

    let foreign = StandIn::raw(b"SSH-2.0-OpenSSH_9.9\r\n");
    let gone = StandIn::answering(Reply::silence());
    let nobody = gone.url();
    drop(gone);
    for (url, failure) in [
        (foreign.url(), Failure::BrokenOff),
        (format!("https://127.0.0.1:{}", foreign.port()), Failure::Untrusted),
        (nobody, Failure::NotConnected),
    ] {
        let provider = moved("openai", &url);
        let sent = Upstream::default().send(request(&provider)).await;
        assert_eq!(sent.err(), Some(failure), "{url}");
    }
    let broken = Reply::stream(["a"]).broken_off();
    assert_eq!(answered(broken).await, Err(Failure::BrokenOff));
}

/// Runs a test of this file once more, with `variables` set.
fn again(test: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", &format!("providers::upstream::{test}")]);
    command.envs(variables.iter().copied());
    let output = command.output().expect("the test runs again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn a_host_that_is_not_there_is_not_reached() {
    let mut provider = moved("openai", "https://127.0.0.1");
    provider.move_to(&Address::parse("https://api.example.invalid/v1").expect("an address"));
    let sent = Upstream::default().send(request(&provider)).await;
    assert_eq!(sent.err(), Some(Failure::NotConnected));
}

#[test]
fn the_systems_proxy_is_asked_for_a_tunnel_and_sees_nothing_that_stays_here() {
    let proxy = StandIn::answering(Reply::json(403, &json!({"error": "proxy"})));
    let url = proxy.url();
    let with_password = url.replace("http://", "http://user:word@");
    let variables = [
        ("HTTPS_PROXY", with_password.as_str()),
        ("NO_PROXY", ""),
        ("no_proxy", ""),
    ];
    again("a_host_that_is_not_there_is_not_reached", &variables);
    let asked = proxy.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].method.as_str(), asked[0].path.as_str()),
        ("CONNECT", "api.example.invalid:443")
    );
    assert_eq!(asked[0].header("proxy-authorization"), Some("Basic dXNlcjp3b3Jk"));

    let variables = [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ];
    let variables = variables.map(|name| (name, url.as_str()));
    again(
        "a_request_says_who_asks_and_that_the_answer_is_to_be_readable",
        &variables,
    );
    assert_eq!(proxy.requests().len(), 1);
}

/// What a server with that certificate was asked, and what came of it.
async fn over_tls(host: &str, certificate: &str) -> (Result<Vec<u8>, Failure>, String) {
    let (port, server): (u16, JoinHandle<String>) = tls::serve(certificate);
    let provider = moved("openai", &format!("https://{host}:{port}"));
    let key = key(GOOD);
    let sent = UpstreamRequest {
        key: Some((&key, provider.origin.as_str())),
        ..request(&provider)
    };
    let answer = match Upstream::default().send(sent).await {
        Ok(response) => read(response).await,
        Err(failure) => Err(failure),
    };
    (answer, server.join().expect("the server ends"))
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_request_goes_over_tls_if_the_certificate_is_trusted() {
    let is_trusted =
        std::env::var_os("SSL_CERT_FILE").is_some_and(|file| file.to_string_lossy().contains("tests/data"));
    for (host, certificate, fits) in [
        ("127.0.0.1", "here.pem", true),
        ("127.0.0.1", "elsewhere.pem", false),
        ("localhost", "elsewhere.pem", false),
    ] {
        let (answer, asked) = over_tls(host, certificate).await;
        if is_trusted && fits {
            assert_eq!(answer, Ok(b"{\"data\":[]}".to_vec()));
            assert!(
                asked.starts_with("GET /v1/models HTTP/1.1\r\n") && asked.contains(GOOD),
                "{asked}"
            );
        } else {
            assert_eq!(answer, Err(Failure::Untrusted), "{host} {certificate}");
            assert_eq!(asked, "", "{host} {certificate}: the key stays here");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_certificate_of_the_systems_authorities_is_trusted() {
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/authority.pem");
    again(
        "a_request_goes_over_tls_if_the_certificate_is_trusted",
        &[("SSL_CERT_FILE", authority)],
    );
}
