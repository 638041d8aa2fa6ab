#!/usr/bin/env python3
"""Measures the server beside a bare one built on the same library, in the same run, by turns.

    cargo build --release && cargo build --release --example bare-server
    python3 benches/stdio.py [--rounds 200]

Prints, for each: time from start to the first answer, time of a call (median and 99th percentile),
CPU time of a call, resident memory, and the ratios to the bare server with what they may be at most;
and how long a status line takes, and how much the list of tools is. Needs Linux.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target" / "release"
TICK = os.sysconf("SC_CLK_TCK")


# What the tools of usage and cost are asked about.
REQUEST = {"provider": "openai", "model": "gpt-5-mini", "input_tokens": 1000, "output_tokens": 200}


class Server:
    """A server on pipes, after its handshake."""

    def __init__(self, command, home):
        env = {"API_KEYS_HOME": str(home), "HOME": str(home), "PATH": os.environ["PATH"],
               "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent"}
        start = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self.number = 0
        self.request("initialize", {"protocolVersion": "2025-06-18", "capabilities": {},
                                    "clientInfo": {"name": "bench", "version": "1"}})
        self.first_answer = time.perf_counter() - start
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def request(self, method, params):
        self.number += 1
        self.send({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        line = self.process.stdout.readline()
        return line

    def call(self, tool, arguments):
        """Seconds until the answer, and the answer as it came."""
        start = time.perf_counter()
        line = self.request("tools/call", {"name": tool, "arguments": arguments})
        return time.perf_counter() - start, line

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    def stop(self):
        self.process.stdin.close()
        self.process.wait(5)


def expect_ok(line):
    answer = json.loads(line)
    assert "result" in answer and not answer["result"].get("isError"), line[:400]
    return answer["result"]


def fill(home, count):
    """A home with that many keys; the vault opens by its key file."""
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text('[vault]\nmaster_key = "key-file"\nkeys_in_chat = "allow"\n')
    server = Server([RELEASE / "api-keys", "serve"], home)
    for number in range(count):
        _, line = server.call("add_api_key", {"provider": "openai", "label": f"key-{number}",
                                              "api_key": f"sk-proj-{number:08}bench0123456789abcdef"})
        expect_ok(line)
    server.stop()


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=200)
    options.add_argument("--calls", type=int, default=20)
    options = options.parse_args()
    bare_binary = RELEASE / "examples" / "bare-server"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="api-keys-bench-"))
    homes = {}
    for count in (1, 1000):
        homes[count] = folder / f"keys-{count}"
        fill(homes[count], count)
    ours, bare = [RELEASE / "api-keys", "serve"], [bare_binary]

    starts = {"ours": [], "bare": []}
    for _ in range(options.rounds // 4):
        for name, command in (("bare", bare), ("ours", ours)):
            server = Server(command, homes[1])
            starts[name].append(server.first_answer)
            server.stop()

    rows = []
    # What a call may cost, in calls of the bare server: reading memory, summing up the ledger, choosing, writing durably.
    memory, sums, choice, durable = 2.5, 5, 6, 25
    for name, command, home, tool, arguments, most in (
        ("bare call", bare, homes[1], "tool_1", {}, 1),
        ("list_api_keys, 1 key", ours, homes[1], "list_api_keys", {}, memory),
        ("list_api_keys, 1,000 keys", ours, homes[1000], "list_api_keys", {}, None),
        ("list_api_keys, 1,000 keys, short", ours, homes[1000], "list_api_keys", {"include_metadata": False}, None),
        ("estimate_cost", ours, homes[1], "estimate_cost", REQUEST, memory),
        ("estimate_cost, compared", ours, homes[1], "estimate_cost", {**REQUEST, "compare": True}, None),
        ("check_budget", ours, homes[1], "check_budget", {}, sums),
        ("get_usage", ours, homes[1], "get_usage", {}, sums),
        ("route_request", ours, homes[1], "route_request", {"task_type": "chat"}, choice),
        ("get_provider_stats", ours, homes[1], "get_provider_stats", {}, sums),
        ("track_request, durable", ours, homes[1], "track_request", REQUEST, durable),
    ):
        server = Server(command, home)
        idle = server.memory()
        first, line = server.call(tool, arguments)
        expect_ok(line)
        rows.append({"name": name, "server": server, "tool": tool, "arguments": arguments, "most": most,
                     "first": first, "idle": idle, "times": [], "cpu": 0.0})
    for _ in range(options.rounds):
        for row in rows:
            before = row["server"].cpu()
            row["times"] += [row["server"].call(row["tool"], row["arguments"])[0] for _ in range(options.calls)]
            row["cpu"] += row["server"].cpu() - before

    floor, floor_cpu = statistics.median(rows[0]["times"]), rows[0]["cpu"] / len(rows[0]["times"])
    start = {name: statistics.median(times) for name, times in starts.items()}
    print(f"start to first answer: ours {start['ours'] * 1e3:.1f} ms, bare {start['bare'] * 1e3:.1f} ms, "
          f"{start['ours'] / start['bare']:.1f} x bare")
    print(f"memory, idle: ours {rows[1]['idle']:.1f} MiB, bare {rows[0]['idle']:.1f} MiB, "
          f"{rows[1]['idle'] / rows[0]['idle']:.1f} x bare")
    print(f"binary: ours {(RELEASE / 'api-keys').stat().st_size / 1e6:.1f} MB, bare {bare_binary.stat().st_size / 1e6:.1f} MB")
    print(f"tools/list: {len(rows[1]['server'].request('tools/list', {})):,} bytes")
    print(f"status line: {statusline(homes[1], options.rounds // 4) * 1e3:.1f} ms\n")
    print(f"{'':34} {'first ms':>9} {'p50 us':>9} {'p99 us':>9} {'x bare':>7} {'at most':>8} {'CPU us':>8} {'x bare':>7} {'MiB':>6}")
    for row in rows:
        median = statistics.median(row["times"])
        cpu = row["cpu"] / len(row["times"])
        print(f"{row['name']:34} {row['first'] * 1e3:9.2f} {median * 1e6:9.1f} {percentile(row['times'], 0.99) * 1e6:9.1f} "
              f"{median / floor:7.1f} {row['most'] or '–':>8} {cpu * 1e6:8.1f} {cpu / floor_cpu if floor_cpu else 0:7.1f} "
              f"{row['server'].memory():6.1f}")
        row["server"].stop()


def statusline(home, rounds):
    """Seconds from start to end of a status line, which a client draws again and again."""
    env = {"API_KEYS_HOME": str(home), "HOME": str(home), "PATH": os.environ["PATH"]}
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([RELEASE / "api-keys", "statusline"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
