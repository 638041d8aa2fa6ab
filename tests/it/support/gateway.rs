//! The real gateway as a process, and a client that sends it raw requests.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Home, PATIENCE};

const GATEWAY: [&str; 4] = ["gateway", "--listen", "127.0.0.1:0", "--json"];

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    pub(crate) child: Child,
    /// Such as `127.0.0.1:40001`.
    pub(crate) address: String,
}

/// A response as it was received.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names are lowercase.
    pub(crate) headers: Vec<(String, String)>,
    /// Without the chunk framing.
    pub(crate) body: Vec<u8>,
    /// Whether the body is complete.
    pub(crate) is_whole: bool,
}

impl Home {
    /// Starts the gateway of this home.
    pub(crate) fn gateway(&self, options: &[&str]) -> Gateway {
        let mut command = self.command(GATEWAY);
        command.args(options).env("API_KEYS_LOG", "trace");
        self.gateway_as(command)
    }

    /// Starts the gateway of this home as a service does, with an empty environment.
    pub(crate) fn quiet_gateway(&self) -> Gateway {
        self.gateway_as(self.command(GATEWAY))
    }

    /// Starts the gateway of this home with a limit of open files.
    pub(crate) fn gateway_with_files(&self, files: u32) -> Gateway {
        let direct = self.command(GATEWAY);
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")])
            .arg(direct.get_program())
            .args(GATEWAY)
            .env_clear()
            .envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.gateway_as(command)
    }

    fn gateway_as(&self, mut command: Command) -> Gateway {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(self.beside("gateway.log")).expect("a file"))
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("a line");
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {}", self.gateway_log()));
        let address = told["listening"].as_str().expect("an address").replace("http://", "");
        Gateway { child, address }
    }

    /// What the gateway has logged.
    pub(crate) fn gateway_log(&self) -> String {
        std::fs::read_to_string(self.beside("gateway.log")).unwrap_or_default()
    }

    /// Stores a key.
    pub(crate) fn key(&self, arguments: &[&str], key: &str) {
        let command = self.command([&["add", "--stdin", "--json"], arguments].concat());
        let ended = self.run_with(command, key);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    /// Adds a client of the gateway, and returns its key.
    pub(crate) fn client(&self, arguments: &[&str]) -> String {
        let ended = self.run([&["client", "add", "--json"], arguments].concat());
        let key = ended.json()["client_key"].as_str().map(str::to_owned);
        key.unwrap_or_else(|| panic!("{ended:?}"))
    }

    /// The totals of `usage`, once they include `requests`.
    pub(crate) fn totals(&self, requests: u64) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let totals = self.run(["usage", "--json"]).json()["totals"].clone();
            if totals["requests"] == requests {
                return totals;
            }
            assert!(
                Instant::now() < until,
                "{requests} requests expected: {totals}\n{}",
                self.gateway_log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Gateway {
    /// Posts `body` to `path`, as the client with that key.
    pub(crate) fn post(&self, path: &str, client: &str, body: &Value) -> Answer {
        self.send(
            "POST",
            path,
            &[("authorization", &format!("Bearer {client}"))],
            body.to_string().as_bytes(),
        )
    }

    pub(crate) fn get(&self, path: &str, client: &str) -> Answer {
        self.send("GET", path, &[("x-api-key", client)], b"")
    }

    /// Sends a request on a new connection and reads the whole response.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        Answer::read(self.begin(method, path, headers, body))
    }

    /// Sends a request and leaves the response unread.
    pub(crate) fn begin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.extend(["host: ", &self.address, "\r\n"]);
        }
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if !body.is_empty() {
            let length = body.len().to_string();
            head.extend(["content-type: application/json\r\ncontent-length: ", &length, "\r\n"]);
        }
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all((head + "\r\n").as_bytes()).expect("written");
        // A server that refuses the request may stop reading.
        let _ = stream.write_all(body);
        stream
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    pub(crate) fn read(stream: TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut line = || {
            let mut text = String::new();
            let _ = reader.read_line(&mut text);
            text.trim_end().to_owned()
        };
        let first = line();
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer: {first:?}"));
        let mut headers = Vec::new();
        while let Some((name, value)) = line().split_once(": ") {
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut rest = Vec::new();
        let read = reader.read_to_end(&mut rest).is_ok();
        let mut answer = Self {
            status,
            headers,
            body: rest,
            is_whole: read,
        };
        if answer.header("transfer-encoding") == Some("chunked") {
            (answer.body, answer.is_whole) = unframed(&answer.body);
        }
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The bytes in the chunks, and whether the last chunk arrived.
fn unframed(mut framed: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = framed.windows(2).position(|two| two == b"\r\n") else {
            return (body, false);
        };
        let length = std::str::from_utf8(&framed[..end]).expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a length");
        let rest = &framed[end + 2..];
        if length == 0 {
            return (body, true);
        }
        if rest.len() < length + 2 {
            body.extend_from_slice(&rest[..rest.len().min(length)]);
            return (body, false);
        }
        body.extend_from_slice(&rest[..length]);
        framed = &rest[length + 2..];
    }
}
