"""The restore drill: back up, wipe, restore as another user without a keychain, use a key through the gateway."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BINARY = sys.argv[1]
KEY = "sk-proj-DrillJ7x2Qm9ZtVbW4kHsR8wxyz0123456789"
NOBODY = 65534
ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    keys = []

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        Provider.keys.append(self.headers["authorization"])
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class User:
    """A user of the machine, with a home of its own and no keychain."""

    def __init__(self, folder, user=None):
        self.home, self.user = pathlib.Path(folder), user
        self.home.mkdir(mode=0o700)
        if user is not None:
            os.chown(self.home, user, user)
        self.environment = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent",
        }

    def start(self, *arguments):
        return subprocess.Popen(
            [BINARY, *arguments],
            env=self.environment,
            cwd=self.home,
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user is not None else None,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, stdin=""):
        process = self.start(*arguments)
        out, err = process.communicate(stdin, timeout=120)
        assert process.returncode == 0, (arguments, process.returncode, out, err)
        assert KEY not in out + err
        return json.loads(out) if "--json" in arguments else out

    def through_gateway(self, client_key):
        """One request through a gateway that is started for it."""
        process = self.start("gateway", "--listen", "127.0.0.1:0", "--json")
        try:
            base = json.loads(process.stdout.readline())["listening"]
            request = urllib.request.Request(
                base.rstrip("/") + "/v1/chat/completions",
                data=json.dumps({"model": "openai/gpt-4o-mini", "messages": []}).encode(),
                headers={"authorization": f"Bearer {client_key}", "content-type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        finally:
            process.terminate()
            process.communicate(timeout=30)

    def totals(self):
        return self.run("usage", "--json")["totals"]


def canary_is_nowhere(folder):
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="api-keys-drill-") as folder:
        os.chmod(folder, 0o755)
        first = User(pathlib.Path(folder, "first"))
        config = first.home / ".config/api-keys"
        config.mkdir(parents=True, mode=0o700)
        (config / "config.toml").write_text(
            '[vault]\nmaster_key = "key-file"\n[providers.openai]\n'
            f'base_url = "http://127.0.0.1:{server.server_port}/v1"\n'
        )
        first.run("add", "openai", "--stdin", stdin=KEY)
        client_key = first.run("client", "add", "editor", "--json")["client_key"]
        first.through_gateway(client_key)
        for _ in range(20):
            first.run("track", "openai", "gpt-4o-mini", "1000", "500")
        before = first.totals()
        assert before["requests"] == 21, before

        file = pathlib.Path(folder, "drill.akb")
        first.run("backup", "create", str(file), "--stdin", "--json", stdin="a passphrase for the drill\n")
        canary_is_nowhere(folder)
        shutil.rmtree(first.home)

        file.chmod(0o644)
        other = User(pathlib.Path(folder, "second"), NOBODY if os.geteuid() == 0 else None)
        other.run("backup", "verify", str(file), "--stdin", stdin="a passphrase for the drill\n")
        restored = other.run("backup", "restore", str(file), "--stdin", "--json", stdin="a passphrase for the drill\n")
        assert restored["manifest"]["ledger"]["records"] == 21, restored
        assert other.totals() == before, (other.totals(), before)
        Provider.keys.clear()
        assert other.through_gateway(client_key)["choices"][0]["message"]["content"] == "hello"
        assert Provider.keys == [f"Bearer {KEY}"], "the restored key is used, and the client key still works"
        assert other.totals()["requests"] == 22
        other.run("audit", "--verify")
        assert "restore_backup" in json.dumps(other.run("audit", "--all", "--json"))
        canary_is_nowhere(folder)
        print(f"restored as {'another user' if other.user else 'the same user'}: 21 requests, the key and the client work")
    server.shutdown()


main()
