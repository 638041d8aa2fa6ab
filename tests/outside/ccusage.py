"""ccusage on the same logs: another reader's figures, and the reason for each that is not ours.

Two versions: 20.0.20 counts Claude Code's logs exactly, 20.0.24 is the newest with a native build.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benches"))
from agent_logs import Corpus  # noqa: E402

MODULES = pathlib.Path(os.environ.get("OUTSIDE_NODE", "target/outside-node"), "node_modules").absolute()
OLD, NEW = (MODULES / name / "bin" / "ccusage" for name in ("ccusage-20", "ccusage-24"))
OURS = {"input": "inputTokens", "output": "outputTokens", "cache_read": "cacheReadTokens", "cache_write": "cacheCreationTokens"}


def ours(binary, folder, environment, agent):
    """What is recorded of an agent's logs, in ccusage's way of counting."""
    environment = {"HOME": str(folder), "API_KEYS_HOME": str(folder / "home"), "PATH": os.environ["PATH"], **environment}

    def run(*arguments):
        done = subprocess.run([binary, *arguments, "--json"], env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return json.loads(done.stdout)

    run("import", "logs", "--agent", agent)
    assert run("import", "logs", "--agent", agent)["new"] == 0, "twice is once"
    totals = run("usage", "--days", "3000")["totals"]
    cached = totals["cache_read_tokens"] + totals["cache_write_tokens"]
    return {
        "requests": totals["requests"],
        "input": totals["input_tokens"] - cached,
        "output": totals["output_tokens"],
        "cache_read": totals["cache_read_tokens"],
        "cache_write": totals["cache_write_tokens"],
    }


def theirs(binary, folder, environment, agent):
    environment = {"HOME": str(folder / "nobody"), "PATH": os.environ["PATH"], "LOG_LEVEL": "0", **environment}
    command = [binary, agent, "daily", "--json", "--offline"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.stdout, done.stderr)
    totals = json.loads(done.stdout)["totals"]
    return {own: totals.get(name, 0) for own, name in OURS.items()}


def without_requests(counts):
    return {name: count for name, count in counts.items() if name != "requests"}


def check_claude(binary, folder):
    environment = {"CLAUDE_CONFIG_DIR": str(folder / "claude")}
    truth = Corpus(folder / "claude", seed=3).fill(12)
    found = ours(binary, folder, environment, "claude-code")
    assert found == truth, (found, truth)
    old = theirs(OLD, folder, environment, "claude")
    assert old == without_requests(truth), f"20.0.20 counts as we do: {old} and {truth}"
    new = theirs(NEW, folder, environment, "claude")
    # Not equal before 20.0.25: it counts some forks' copies of a request again, never fewer requests.
    assert all(new[name] >= truth[name] for name in new), (new, truth)
    more = new["output"] / truth["output"] - 1
    assert more < 0.25, (new, truth)
    print(f"ccusage: {truth['requests']} requests of Claude Code exactly as 20.0.20; 20.0.24 counts {more:.2%} more output")


class Threads:
    """Codex's threads, with what each request used."""

    def __init__(self, folder):
        self.folder, self.second = pathlib.Path(folder, "sessions/2026/11/01"), 0
        self.folder.mkdir(parents=True)
        self.truth = dict(requests=0, input=0, output=0, cache_read=0, cache_write=0)

    def line(self, kind, payload, step=20):
        self.second += step
        stamp = f"2026-11-01T{self.second // 3600:02}:{self.second // 60 % 60:02}:{self.second % 60:02}.000Z"
        return {"timestamp": stamp, "type": kind, "payload": payload}

    def begin(self, thread, **more):
        meta = {"id": thread, "cwd": "/home/me/acme", "model_provider": "openai", "originator": "codex_cli_rs", **more}
        return [self.line("session_meta", meta), self.line("turn_context", {"model": "gpt-5.4", "cwd": "/home/me/acme"})]

    def turn(self, total, number):
        """One request's counter, and the same again for a refresh of the limits; returns the new total."""
        last = {"input_tokens": 1000 + number, "cached_input_tokens": 600, "output_tokens": 50 + number, "reasoning_output_tokens": 9}
        total = {name: total.get(name, 0) + count for name, count in last.items()}
        for counts in (total, last):
            counts["total_tokens"] = counts["input_tokens"] + counts["output_tokens"]
        self.truth["requests"] += 1
        self.truth["input"] += last["input_tokens"] - last["cached_input_tokens"]
        self.truth["cache_read"] += last["cached_input_tokens"]
        self.truth["output"] += last["output_tokens"]
        info = {"total_token_usage": total, "last_token_usage": last}
        event = {"type": "token_count", "info": info, "rate_limits": None}
        return [self.line("event_msg", event), self.line("event_msg", event, step=1)], total

    def write(self, thread, lines):
        # As Codex writes it: ccusage passes over lines with spaces between names and values.
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        (self.folder / f"rollout-2026-11-01T00-00-00-{thread}.jsonl").write_text(text)


def check_codex(binary, folder):
    environment = {"CODEX_HOME": str(folder / "codex")}
    threads = Threads(folder / "codex")
    for thread in range(20):
        lines, total = threads.begin(f"thread-{thread}"), {}
        for number in range(10):
            more, total = threads.turn(total, number)
            lines += more
        threads.write(f"thread-{thread}", lines)
    plain = dict(threads.truth)
    found = ours(binary, folder, environment, "codex")
    assert found == plain, (found, plain)
    new = theirs(NEW, folder, environment, "codex")
    assert new == without_requests(plain), f"20.0.24 counts threads without forks as we do: {new} and {plain}"
    # Forks copy their parent's lines with stamps of their own, over more than a second.
    for thread in range(5):
        copied = [dict(line, timestamp=f"2026-11-01T23:00:{at // 10:02}.{at % 10}00Z") for at, line in enumerate(lines)]
        threads.second = 86_399 - 3600 + thread
        more, _ = threads.turn(total, 100 + thread)
        threads.write(f"fork-{thread}", threads.begin(f"fork-{thread}", forked_from_id="thread-19") + copied + more)
    found = ours(binary, folder, environment, "codex")
    assert found == threads.truth, (found, threads.truth)
    new = theirs(NEW, folder, environment, "codex")
    more = new["output"] / threads.truth["output"] - 1
    # What it knows of forks is by the second that they were copied in: never less than was used.
    assert new["output"] >= threads.truth["output"], (new, threads.truth)
    print(f"ccusage: {plain['requests']} requests of Codex exactly as 20.0.24; with five forks it counts {more:.0%} more output")


if __name__ == "__main__":
    if not NEW.exists() or not OLD.exists():
        sys.exit("ccusage is not installed: see tests/outside/node-packages.txt")
    for program in (OLD, NEW):
        # Packages keep the mode of their archive, and run a script to change it.
        program.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="api-keys-") as name:
        check_claude(sys.argv[1], pathlib.Path(name))
    with tempfile.TemporaryDirectory(prefix="api-keys-") as name:
        check_codex(sys.argv[1], pathlib.Path(name))
