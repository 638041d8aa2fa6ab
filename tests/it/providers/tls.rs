//! The way over TLS: the real program against a server with a certificate of our own making.
//!
//! The certificates and their key serve these tests and nothing else; they are worth nothing.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection, Stream,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;

use super::GOOD;
use crate::support::Home;

/// A server that answers one request over TLS, and tells what it could read of it.
pub(super) fn serve(certificate: &str) -> (u16, JoinHandle<String>) {
    let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name);
    let chain = CertificateDer::from_pem_file(file(certificate)).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(file("server.key.pem")).expect("a key");
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("they belong together");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let mut connection = ServerConnection::new(Arc::new(config)).expect("a connection");
        let mut stream = Stream::new(&mut connection, &mut socket);
        let mut asked = Vec::new();
        let mut part = [0; 1024];
        while !asked.ends_with(b"\r\n\r\n") {
            match stream.read(&mut part) {
                Ok(length @ 1..) => asked.extend_from_slice(part.get(..length).expect("read")),
                // The client thinks nothing of the certificate and hangs up.
                Ok(0) | Err(_) => return String::new(),
            }
        }
        let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 11\r\n\r\n{\"data\":[]}";
        stream.write_all(answer).expect("written");
        stream.conn.send_close_notify();
        let _ = stream.flush();
        String::from_utf8_lossy(&asked).into_owned()
    });
    (port, thread)
}

/// What `validate` says of a key, where the system trusts the test's authority or does not.
fn validate(host: &str, certificate: &str, is_trusted: bool) -> (Value, String) {
    let (port, server) = serve(certificate);
    let home = Home::new();
    home.config(&format!(
        "[vault]\nmaster_key = \"key-file\"\n[providers.mistral]\nbase_url = \"https://{host}:{port}/v1\"\n"
    ));
    let mut add = home.command(["add", "mistral", "--env-var", "TEST_KEY", "--json"]);
    add.env("TEST_KEY", GOOD);
    let added = home.run_with(add, "");
    assert_eq!(added.code, Some(0), "{added:?}");
    let mut validate = home.command(["validate", "mistral", "--json"]);
    if is_trusted {
        let authority = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls/authority.pem");
        validate.env("SSL_CERT_FILE", authority);
    }
    let validated = home.run_with(validate, "");
    (validated.json(), server.join().expect("the server ends"))
}

#[test]
#[cfg(target_os = "linux")]
fn a_trusted_certificate_lets_the_key_through_and_no_other_does() {
    let (result, asked) = validate("127.0.0.1", "here.pem", true);
    assert_eq!(result["status"], "valid", "{result}");
    assert!(asked.starts_with("GET /v1/models HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains(GOOD), "the server got the key");

    for (host, certificate, is_trusted) in [
        // Issued by nobody that the system knows.
        ("127.0.0.1", "here.pem", false),
        // Issued for another host.
        ("127.0.0.1", "elsewhere.pem", true),
        ("localhost", "elsewhere.pem", true),
    ] {
        let (result, asked) = validate(host, certificate, is_trusted);
        assert_eq!(result["status"], "unreachable", "{host} {certificate}: {result}");
        assert!(
            result["message"]
                .as_str()
                .is_some_and(|message| message.contains("TLS")),
            "{result}"
        );
        assert_eq!(asked, "", "{host} {certificate}: the key stays here");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_certificate_that_node_is_told_to_trust_is_trusted_here() {
    let (port, server) = serve("here.pem");
    let home = Home::new();
    home.config(&format!(
        "[vault]\nmaster_key = \"key-file\"\n[providers.mistral]\nbase_url = \"https://127.0.0.1:{port}/v1\"\n"
    ));
    let mut add = home.command(["add", "mistral", "--env-var", "TEST_KEY", "--json"]);
    add.env("TEST_KEY", GOOD);
    assert_eq!(home.run_with(add, "").code, Some(0));
    let mut validate = home.command(["validate", "mistral", "--json"]);
    let authority = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls/authority.pem");
    validate.env("NODE_EXTRA_CA_CERTS", authority);
    let validated = home.run_with(validate, "");
    assert_eq!(validated.json()["status"], "valid", "{validated:?}");
    assert!(server.join().expect("the server ends").contains(GOOD));
}

/// The first bytes that come to a proxy from `validate`, which is sent to a provider elsewhere through it.
fn asked_of_socks_proxy() -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let proxy = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let mut asked = vec![0; 64];
        let length = socket.read(&mut asked).expect("greeted");
        asked.truncate(length);
        // Version 5, no authentication; then the request, which is refused.
        socket.write_all(&[5, 0]).expect("answered");
        let mut request = vec![0; 256];
        let length = socket.read(&mut request).expect("asked");
        asked.extend_from_slice(request.get(..length).expect("read"));
        let _ = socket.write_all(&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
        asked
    });
    let home = Home::new();
    home.config(
        "[vault]\nmaster_key = \"key-file\"\n[providers.mistral]\nbase_url = \"https://provider.invalid/v1\"\n",
    );
    let mut add = home.command(["add", "mistral", "--env-var", "TEST_KEY", "--json"]);
    add.env("TEST_KEY", GOOD);
    assert_eq!(home.run_with(add, "").code, Some(0));
    let mut validate = home.command(["validate", "mistral", "--json"]);
    validate.env("HTTPS_PROXY", format!("socks5h://127.0.0.1:{port}"));
    let validated = home.run_with(validate, "");
    assert_eq!(validated.json()["status"], "unreachable", "{validated:?}");
    proxy.join().expect("the proxy ends")
}

#[test]
fn a_socks_proxy_is_asked_for_the_provider_by_name() {
    let asked = asked_of_socks_proxy();
    assert_eq!(asked.first(), Some(&5), "{asked:?}");
    let host = b"provider.invalid";
    assert!(asked.windows(host.len()).any(|window| window == host), "{asked:?}");
}
