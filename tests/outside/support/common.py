"""What the outside tests share: a home of their own, a stand-in provider, a person at the page."""

import contextlib
import html.parser
import http.server
import os
import pathlib
import subprocess
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request

KEY = "sk-stand-in-0123456789abcdefghij"
OTHER_KEY = "sk-stand-in-zyxwvutsrqponmlkjihg"
THIRD_KEY = "sk-stand-in-5555566666777778888899"


class StandIn(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible provider that knows some keys."""

    known = {KEY, OTHER_KEY, THIRD_KEY}

    def do_GET(self):
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        good = key in self.known
        body = b'{"object":"list","data":[]}' if good else b'{"error":{"code":"invalid_api_key"}}'
        self.send_response(200 if good else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def home(config=""):
    """A private folder with a stand-in provider called `stand-in`; yields its path and environment."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="api-keys-") as folder:
        path = pathlib.Path(folder, "home")
        path.mkdir(mode=0o700)
        file = path / "config.toml"
        file.write_text(
            '[vault]\nmaster_key = "key-file"\n' + config + "\n[providers.stand-in]\n"
            'kind = "openai-compatible"\n'
            f'base_url = "http://127.0.0.1:{server.server_port}/v1"\n'
        )
        file.chmod(0o600)
        yield path, {"API_KEYS_HOME": str(path), "HOME": folder, "PATH": os.environ["PATH"]}
    server.shutdown()


def command(binary, environment, *arguments, stdin=""):
    """Runs the binary as a person would and returns what it printed."""
    done = subprocess.run(
        [binary, *arguments], env=environment, input=stdin, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout


class Form(html.parser.HTMLParser):
    """The name of the field a page wants a secret in."""

    def __init__(self, page):
        super().__init__()
        self.field = None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "input" and attributes.get("type") == "password":
            self.field = self.field or attributes["name"]


def type_on_page(url, secret):
    """Opens the page, types the secret and sends it as a browser does; returns the page that follows."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        page = answer.read().decode()
    field = Form(page).field
    assert field, page
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(
        url,
        data=urllib.parse.urlencode({field: secret}).encode(),
        headers={"Origin": f"{parts.scheme}://{parts.netloc}", "Sec-Fetch-Site": "same-origin"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


def nowhere(secret, folder, *texts):
    """The secret is in no text and in no file below the folder."""
    for text in texts:
        assert secret not in text
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
