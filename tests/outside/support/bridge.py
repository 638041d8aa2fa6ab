"""A small HTTP server in front of a server on pipes, on loopback only: for suites that speak nothing but HTTP.

Sessions (revisions with a handshake) get a process each; requests without one share a process. What a request brings
about before its answer, such as progress, is sent as events on the same response.
"""

import contextlib
import http.server
import itertools
import json
import queue
import subprocess
import threading
import uuid

SESSION = "mcp-session-id"
META = "io.modelcontextprotocol/"
# What the transport says by an HTTP status besides the error's code, since 2026-07-28.
STATUS = {-32601: 404, -32602: 400, -32020: 400, -32021: 400, -32022: 400}
MISMATCH = -32020


class Child:
    """One process of the server, and whoever waits for a line of it."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.lock = threading.Lock()
        self.waiting, self.last = {}, 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            message = json.loads(line)
            own = message.get("id") if "method" not in message else None
            meta = message.get("params", {}).get("_meta", {})
            subscription = meta.get(META + "subscriptionId")
            with self.lock:
                # What belongs to no answer goes to whoever has waited longest: it caused it.
                target = self.waiting.get(own or subscription) or next(iter(self.waiting.values()), None)
            if target is None:
                continue
            if subscription is not None:
                meta[META + "subscriptionId"] = target[0]
            target[1].put(message)

    def send(self, message):
        with self.lock:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def ask(self, message):
        """Sends a request under an id of our own; yields what comes until its answer, with the id it came with."""
        news = queue.Queue()
        with self.lock:
            self.last += 1
            own = f"bridge-{self.last}"
            self.waiting[own] = (message["id"], news)
        self.send({**message, "id": own})
        try:
            while True:
                try:
                    came = news.get(timeout=60)
                except queue.Empty:
                    return
                if came.get("id") == own and "method" not in came:
                    yield {**came, "id": message["id"]}
                    return
                yield came
        finally:
            with self.lock:
                del self.waiting[own]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


class Bridge(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that hangs up in the middle is no failure of ours."""

    def __init__(self, command, environment):
        super().__init__(("127.0.0.1", 0), Handler)
        self.command, self.environment = command, environment
        self.children, self.lock = {}, threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/mcp"

    def child(self, session):
        with self.lock:
            if session not in self.children and session == "":
                self.children[""] = Child(self.command, self.environment)
            return self.children.get(session)

    def begin(self):
        session = uuid.uuid4().hex
        with self.lock:
            self.children[session] = Child(self.command, self.environment)
        return session

    def end(self, session):
        with self.lock:
            child = self.children.pop(session, None)
        if child:
            child.stop()
        return child


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def refuse(self, status, code=-32600, message="refused by the bridge", id=None):
        body = json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}).encode()
        self.answer(status, body, "application/json")

    def answer(self, status, body=b"", kind=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def is_local(self):
        """Whether the request names this machine, and comes from no page of another."""
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        origin = self.headers.get("Origin")
        names = ("127.0.0.1", "localhost", "[::1]")
        return host in names and (origin is None or any(f"//{name}" in origin for name in names))

    def do_DELETE(self):
        found = self.server.end(self.headers.get(SESSION, "?"))
        self.answer(200 if found else 404)

    def do_GET(self):
        self.answer(405)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.is_local():
            return self.refuse(403)
        try:
            message = json.loads(body)
        except ValueError:
            return self.refuse(400, -32700)
        session = self.headers.get(SESSION, "")
        headers = {}
        meta = message.get("params", {}).get("_meta", {})
        if message.get("method") == "initialize" and META + "protocolVersion" not in meta:
            session = self.server.begin()
            headers["Mcp_Session_Id"] = session
        child = self.server.child(session)
        if child is None:
            return self.refuse(404, message="there is no such session", id=message.get("id"))
        if "id" not in message or "method" not in message:
            child.send(message)
            return self.answer(202)
        if not session and (wrong := self.mismatch(message)):
            return self.refuse(400, MISMATCH, f"the header {wrong} is not what the body says", message["id"])
        self.relay(child.ask(message), headers, bool(session))

    def mismatch(self, message):
        """The header that repeats something of the body, as this revision wants it, and repeats it wrongly."""
        params = message.get("params", {})
        meta = params.get("_meta", {})
        expected = {
            "MCP-Protocol-Version": meta.get(META + "protocolVersion"),
            "Mcp-Method": message["method"],
            "Mcp-Name": params.get("uri") if message["method"] == "resources/read" else params.get("name"),
        }
        if META + "protocolVersion" not in meta:
            # The server itself says what is missing.
            return None
        named = {"tools/call", "resources/read", "prompts/get"}
        if message["method"] not in named:
            del expected["Mcp-Name"]
        return next((name for name, value in expected.items() if self.headers.get(name, "").strip() != value), None)

    def relay(self, messages, headers, in_session):
        """One message is the answer; several are a stream of events."""
        first = next(messages)
        if "method" not in first:
            status = 200 if in_session else STATUS.get(first.get("error", {}).get("code"), 200)
            return self.answer(status, json.dumps(first).encode(), "application/json", **headers)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for message in itertools.chain([first], messages):
            self.wfile.write(f"event: message\ndata: {json.dumps(message)}\n\n".encode())
            self.wfile.flush()
        self.close_connection = True


@contextlib.contextmanager
def bridge(command, environment):
    """A running bridge; its processes end with it."""
    server = Bridge(command, environment)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        for session in list(server.children):
            server.end(session)
