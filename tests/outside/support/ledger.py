"""A ledger of ninety days: three providers, two agents, errors, requests without a price, and hostile names."""

import datetime
import json
import pathlib
import random
import subprocess

HOSTILE = "<img src=x onerror=window.broken=1>"
TURNED = "abc\u202egpj.exe"
CONFIG = """
[agent_logs]
billed = ["codex"]

[budget]
enabled = true
daily_limit = 12
monthly_limit = 250
time_zone = "Europe/Berlin"
"""


class Filled:
    """Fills the ledger of a home: `environment` is that of the program, `today` a date with time zone."""

    def __init__(self, binary, environment, seed=7):
        self.binary, self.environment = binary, environment
        self.home = pathlib.Path(environment["HOME"])
        self.chance = random.Random(seed)
        self.now = datetime.datetime.now(datetime.timezone.utc)

    def moments(self, days, busy):
        """Working hours, fewer on weekends, a little more each month."""
        for back in range(days, -1, -1):
            day = self.now - datetime.timedelta(days=back)
            rate = busy * (0.25 if day.weekday() > 4 else 1) * (1.4 - back / days)
            for _ in range(int(self.chance.expovariate(1 / rate)) if rate else 0):
                hour = min(max(int(self.chance.gauss(14, 3.5)), 0), 23)
                at = day.replace(hour=hour, minute=self.chance.randrange(60), second=self.chance.randrange(60))
                if at < self.now:
                    yield at

    def claude(self, days):
        lines = {}
        for number, at in enumerate(self.moments(days, 18)):
            project = self.chance.choices(["acme-web", "api-keys", "notes"], [5, 3, 1])[0]
            session = f"{at:%Y%m%d}-1111-4111-8111-{project}"
            read = self.chance.randrange(20_000, 90_000)
            line = {
                "cwd": f"/home/me/{project}", "sessionId": session, "type": "assistant", "uuid": f"u{number}",
                "timestamp": at.isoformat().replace("+00:00", "Z"), "requestId": f"req_{number}",
                "message": {
                    "id": f"msg_{number}", "role": "assistant", "content": [],
                    "model": self.chance.choices(["claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5"], [6, 3, 2])[0],
                    "usage": {
                        "input_tokens": self.chance.randrange(5, 900), "output_tokens": self.chance.randrange(80, 2_500),
                        "cache_read_input_tokens": read, "cache_creation_input_tokens": read // 12,
                    },
                },
            }
            lines.setdefault((project, session), []).append(line)
        for (project, session), log in lines.items():
            path = self.home / f".claude/projects/-home-me-{project}/{session}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(line) + "\n" for line in log))

    def codex(self, days):
        for number, at in enumerate(self.moments(days, 3)):
            thread, total = f"thread-{number}", {}
            project = self.chance.choice(["acme-web", "scripts"])

            def line(kind, payload, seconds):
                stamp = (at + datetime.timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
                return {"timestamp": stamp, "type": kind, "payload": payload}

            meta = {"id": thread, "cwd": f"/home/me/{project}", "model_provider": "openai", "originator": "codex_cli_rs"}
            log = [line("session_meta", meta, 0), line("turn_context", {"model": "gpt-5", "cwd": f"/home/me/{project}"}, 1)]
            for turn in range(self.chance.randrange(2, 9)):
                last = {
                    "input_tokens": self.chance.randrange(9_000, 60_000), "cached_input_tokens": 6_000,
                    "output_tokens": self.chance.randrange(100, 4_000), "reasoning_output_tokens": 64,
                }
                total = {name: total.get(name, 0) + count for name, count in last.items()}
                info = {"total_token_usage": total, "last_token_usage": last}
                log.append(line("event_msg", {"type": "token_count", "info": info, "rate_limits": None}, 20 * turn + 20))
            path = self.home / f".codex/sessions/{at:%Y/%m/%d}/rollout-{at:%Y-%m-%dT%H-%M-%S}-{thread}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in log))

    def reported(self, days):
        for minutes in (3, 9, 17, 26, 41, 55):
            yield {
                "provider": "anthropic", "model": "claude-opus-4-5", "input_tokens": 190_000, "output_tokens": 9_000,
                "latency_ms": 900 * minutes, "occurred_at": (self.now - datetime.timedelta(minutes=minutes)).isoformat(),
                "project": "support-bot", "task_type": "analysis",
            }
        for at in self.moments(days, 5):
            provider, model = self.chance.choices(
                [("openai", "gpt-5-mini"), ("google", "gemini-2.5-flash"), ("anthropic", "claude-haiku-4-5"), ("openai", "gpt-9-secret")],
                [5, 4, 2, 0.4],
            )[0]
            failed = self.chance.random() < 0.04
            yield {
                "provider": provider, "model": model, "input_tokens": self.chance.randrange(500, 20_000),
                "output_tokens": 0 if failed else self.chance.randrange(50, 1_500), "success": not failed,
                **({"status_code": self.chance.choice([429, 500, 529])} if failed else {}),
                "latency_ms": int(self.chance.lognormvariate(7, 0.6)), "occurred_at": at.isoformat(),
                "project": self.chance.choices(["support-bot", "acme-web", HOSTILE, TURNED], [6, 3, 0.4, 0.2])[0],
                "task_type": self.chance.choice(["chat", "summarization", "data_extraction"]),
            }

    def track(self, requests):
        """Reports requests to a server of the program's, many at a time."""
        hello = {
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "filler", "version": "1"}},
        }
        calls = [
            {"jsonrpc": "2.0", "id": at, "method": "tools/call", "params": {"name": "track_request", "arguments": it}}
            for at, it in enumerate(requests, 1)
        ]
        server = subprocess.Popen([self.binary, "serve"], env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        def send(message):
            server.stdin.write(json.dumps(message) + "\n")
            server.stdin.flush()
        send(hello)
        server.stdout.readline()
        send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        for call in calls:
            send(call)
            answer = json.loads(server.stdout.readline())
            while answer.get("id") != call["id"]:
                answer = json.loads(server.stdout.readline())
            assert not answer["result"].get("isError"), (call, answer)
        server.stdin.close()
        server.wait(timeout=60)

    def fill(self, days=90):
        self.claude(days)
        self.codex(days)
        subprocess.run([self.binary, "import", "logs"], env=self.environment, check=True, capture_output=True, timeout=300)
        self.track(list(self.reported(days)))
        return self
