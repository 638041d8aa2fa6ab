//! A mock provider: an HTTP server on loopback with canned responses and a record of its requests.
//!
//! It uses threads and blocking sockets, so that tests with and without a runtime can use it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::PATIENCE;

/// A mock provider; it stops when dropped.
#[derive(Debug)]
pub(crate) struct StandIn {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

/// A request as it was received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// Includes the query.
    pub(crate) path: String,
    /// Names are lowercase.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// How many times the body is sent.
    times: usize,
    after: Duration,
    /// Where the chunks of the body end.
    ends: Vec<usize>,
    pause: Duration,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    /// Only `body`, whatever the request, and before all of it was read.
    Raw,
    /// Nothing; the connection stays open.
    Silence,
    /// `body` in chunks with a pause after each; complete if `whole`, otherwise cut off after the last one.
    Pieces {
        whole: bool,
    },
}

#[derive(Debug, Default)]
struct State {
    requests: Mutex<Vec<Received>>,
    written: AtomicUsize,
    connections: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

type Answering = dyn Fn(&Received) -> Reply + Send + Sync;

impl StandIn {
    /// Answers every request with `answer`'s reply.
    pub(crate) fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(answer), false)
    }

    /// Answers every request with `reply`.
    pub(crate) fn answering(reply: Reply) -> Self {
        Self::start(move |_| reply.clone())
    }

    /// Answers by method and path, such as `GET /v1/models`; everything else with 404.
    pub(crate) fn routes<const N: usize>(routes: [(&str, Reply); N]) -> Self {
        let routes = routes.map(|(route, reply)| (route.to_owned(), reply));
        Self::start(move |request| {
            let asked = format!("{} {}", request.method, request.path);
            let found = routes.iter().find(|(route, _)| *route == asked);
            found.map_or_else(
                || Reply::json(404, &serde_json::json!({"error": "no such route"})),
                |(_, reply)| reply.clone(),
            )
        })
    }

    /// Writes `bytes` to every connection, as a broken or foreign server does.
    pub(crate) fn raw(bytes: &[u8]) -> Self {
        let reply = Reply {
            kind: Kind::Raw,
            ..Reply::new(0, bytes)
        };
        Self::listen(Arc::new(move |_: &Received| reply.clone()), true)
    }

    fn listen(answer: Arc<Answering>, unread: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let mut serving = Vec::new();
            for stream in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                shared.connections.fetch_add(1, Ordering::SeqCst);
                if let Ok(stream) = stream.try_clone() {
                    shared.streams.lock().expect("not poisoned").push(stream);
                }
                let (state, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                serving.push(std::thread::spawn(move || {
                    // A client may hang up.
                    let _ = serve(&stream, &state, &*answer, unread);
                    let _ = hang_up(&stream);
                }));
            }
            // A client that neither reads nor hangs up must not block the test.
            for stream in shared.streams.lock().expect("not poisoned").drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
            for one in serving {
                let _ = one.join();
            }
        });
        Self {
            address,
            state,
            thread: Some(thread),
        }
    }

    /// `http://127.0.0.1:PORT`, without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Received> {
        self.state.requests.lock().expect("not poisoned").clone()
    }

    /// How many connections were made, with or without a request.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many response bytes were written.
    pub(crate) fn written(&self) -> usize {
        self.state.written.load(Ordering::SeqCst)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wake the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Reply {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.to_vec(),
            times: 1,
            after: Duration::ZERO,
            ends: Vec::new(),
            pause: Duration::ZERO,
            kind: Kind::Http,
        }
    }

    /// A stream of server-sent events, one chunk for each of `pieces`.
    pub(crate) fn stream<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> Self {
        Self::pieces("text/event-stream; charset=utf-8", pieces)
    }

    /// A response of type `kind`, one chunk for each of `pieces`.
    pub(crate) fn pieces<P: AsRef<[u8]>>(kind: &str, pieces: impl IntoIterator<Item = P>) -> Self {
        let mut reply = Self::new(200, b"").header("content-type", kind);
        for piece in pieces {
            reply.body.extend_from_slice(piece.as_ref());
            reply.ends.push(reply.body.len());
        }
        reply.kind = Kind::Pieces { whole: true };
        reply
    }

    /// Cuts a stream off after its last chunk.
    pub(crate) fn broken_off(mut self) -> Self {
        self.kind = Kind::Pieces { whole: false };
        self
    }

    pub(crate) fn with_body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Pauses after each chunk.
    pub(crate) fn pausing(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string().as_bytes()).header("content-type", "application/json")
    }

    pub(crate) fn html(status: u16) -> Self {
        Self::new(status, b"<!DOCTYPE html><html><body><h1>Sorry</h1></body></html>")
            .header("content-type", "text/html; charset=utf-8")
    }

    /// Keeps the connection open and never answers.
    pub(crate) fn silence() -> Self {
        Self {
            kind: Kind::Silence,
            ..Self::new(0, b"")
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends the body `times` times.
    pub(crate) fn repeated(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Waits before the first byte of the response.
    pub(crate) fn after(mut self, wait: Duration) -> Self {
        self.after = wait;
        self
    }
}

fn serve(stream: &TcpStream, state: &State, answer: &Answering, unread: bool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = if unread {
        // Wait for the first byte, or the client sees the response before it has sent a request.
        let mut first = [0; 1];
        (&mut &*stream).read_exact(&mut first)?;
        Received {
            method: String::new(),
            path: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    } else {
        let request = read(stream)?;
        state.requests.lock().expect("not poisoned").push(request.clone());
        request
    };
    let reply = answer(&request);
    let wait = if reply.kind == Kind::Silence {
        PATIENCE
    } else {
        reply.after
    };
    let until = Instant::now() + wait;
    while Instant::now() < until && !state.ended.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let write = |bytes: &[u8]| -> std::io::Result<()> {
        (&mut &*stream).write_all(bytes)?;
        state.written.fetch_add(bytes.len(), Ordering::SeqCst);
        Ok(())
    };
    let head = |rest: &str| {
        let mut head = format!("HTTP/1.1 {} Stand-In\r\nconnection: close\r\n", reply.status);
        for (name, value) in &reply.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head + rest + "\r\n\r\n"
    };
    match reply.kind {
        Kind::Silence => Ok(()),
        Kind::Pieces { whole } => {
            write(head("transfer-encoding: chunked").as_bytes())?;
            let mut start = 0;
            for end in &reply.ends {
                let piece = &reply.body[start..*end];
                write(format!("{:x}\r\n", piece.len()).as_bytes())?;
                write(piece)?;
                write(b"\r\n")?;
                start = *end;
                let until = Instant::now() + reply.pause;
                while Instant::now() < until && !state.ended.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            if whole { write(b"0\r\n\r\n") } else { Ok(()) }
        }
        Kind::Raw => write(&reply.body),
        Kind::Http => {
            let length = format!("content-length: {}", reply.body.len() * reply.times);
            write(head(&length).as_bytes())?;
            (0..reply.times).try_for_each(|_| write(&reply.body))
        }
    }
}

/// Ends the response and waits for the client to close: unread request bytes would reset the connection.
fn hang_up(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest)? > 0 {}
    stream.shutdown(Shutdown::Both)
}

fn read(stream: &TcpStream) -> std::io::Result<Received> {
    let mut reader = BufReader::new(stream);
    let line = |reader: &mut BufReader<&TcpStream>| -> std::io::Result<String> {
        let mut text = String::new();
        if reader.read_line(&mut text)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(text.trim_end().to_owned())
    };
    let first = line(&mut reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let text = line(&mut reader)?;
        let Some((name, value)) = text.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Received {
        method,
        path,
        headers,
        body,
    })
}
