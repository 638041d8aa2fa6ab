#!/usr/bin/env python3
"""How fast agents' logs are imported: a made-up corpus of Claude Code's logs, and ccusage on the same one in the same run.

    benches/agent_logs.py [--size MB] [--binary target/release/api-keys] [--files N] [--large MB] [--ccusage PATH]
        [--keep FOLDER]

The corpus has what makes counting hard: streamed states of one message, subagents, resumed and forked sessions that copy
their past, torn last lines, large tool results. What is right is known from making it, and checked.
"""

import argparse
import datetime
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

MODELS = ["claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5-20251001"]
WORDS = "the parser returns an error when a line ends before its value does and nothing after it can be trusted".split()


class Corpus:
    """Writes sessions below a folder, and keeps the sum of what each request used."""

    def __init__(self, folder, seed=42):
        self.folder = pathlib.Path(folder)
        self.random = random.Random(seed)
        self.now = datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc)
        self.written = 0
        self.truth = dict(requests=0, input=0, output=0, cache_read=0, cache_write=0)

    def id(self):
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def stamp(self, seconds):
        self.now += datetime.timedelta(seconds=seconds)
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.random.randrange(1000):03}Z"

    def text(self, length):
        words = self.random.choices(WORDS, k=max(1, length // 6))
        return " ".join(words)

    def common(self, session, project, parent, sidechain=False):
        return {
            "parentUuid": parent,
            "isSidechain": sidechain,
            "userType": "external",
            "cwd": f"/home/me/{project}",
            "sessionId": session,
            "version": "2.1.330",
            "gitBranch": "main",
        }

    def turn(self, session, project, parent, sidechain=False):
        """The lines of one request: the user's, and each state of the answer."""
        user = self.id()
        lines = [
            dict(
                self.common(session, project, parent, sidechain),
                type="user",
                message={"role": "user", "content": [{"type": "tool_result", "content": self.text(self.random.choice([200, 2000, 20000]))}]},
                toolUseResult={"stdout": self.text(self.random.choice([100, 1000, 15000])), "usage": {"note": "not ours"}},
                uuid=user,
                timestamp=self.stamp(self.random.randrange(3, 40)),
            )
        ]
        usage = {
            "input_tokens": self.random.randrange(1, 30),
            "cache_creation_input_tokens": (written := self.random.randrange(100, 4000)),
            "cache_read_input_tokens": self.random.randrange(1000, 150000),
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 0,
            "service_tier": "standard",
        }
        message, request, model = "msg_" + self.id().replace("-", "")[:24], "req_" + self.id().replace("-", "")[:24], self.random.choice(MODELS)
        output, parent = self.random.randrange(1, 9), user
        for state in range(self.random.randrange(1, 4)):
            output += self.random.randrange(0, 900)
            line = self.id()
            lines.append(
                dict(
                    self.common(session, project, parent, sidechain),
                    type="assistant",
                    message={
                        "model": model,
                        "id": message,
                        "type": "message",
                        "role": "assistant",
                        "content": [{"type": "text", "text": self.text(self.random.choice([100, 800, 3000]))}],
                        "stop_reason": None,
                        "usage": dict(usage, output_tokens=output),
                    },
                    requestId=request,
                    uuid=line,
                    timestamp=self.stamp(self.random.randrange(1, 4)),
                )
            )
            parent = line
        self.truth["requests"] += 1
        self.truth["input"] += usage["input_tokens"]
        self.truth["output"] += output
        self.truth["cache_read"] += usage["cache_read_input_tokens"]
        self.truth["cache_write"] += usage["cache_creation_input_tokens"]
        return lines, parent

    def write(self, path, lines, torn=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        if torn:
            text += '{"parentUuid":null,"type":"assistant","message":{"id":"msg_torn","usage":{"input_tokens":12'
        path.write_text(text)
        self.written += len(text)

    def session(self, turns):
        session, project = self.id(), f"project-{self.random.randrange(40)}"
        folder = self.folder / "projects" / f"-home-me-{project}"
        lines, parent = [], None
        for _ in range(turns):
            more, parent = self.turn(session, project, parent)
            lines += more
        self.write(folder / f"{session}.jsonl", lines, torn=self.random.random() < 0.1)
        if self.random.random() < 0.3:
            sub, parent = [], None
            for _ in range(max(1, turns // 3)):
                more, parent = self.turn(session, project, parent, sidechain=True)
                sub += more
            self.write(folder / session / "subagents" / f"agent-{self.id()[:8]}.jsonl", sub)
        if self.random.random() < 0.15:
            # A fork: the whole past again, under another session.
            fork = self.id()
            copied = [dict(line, sessionId=fork, sessionKind="bg") for line in lines[: len(lines) * 2 // 3]]
            more, _ = self.turn(fork, project, None)
            self.write(folder / f"{fork}.jsonl", copied + more)

    def one_file(self, megabytes):
        """One session of that size: mostly tool results of a megabyte."""
        session, parent = self.id(), None
        path = self.folder / "projects" / "-home-me-large" / f"{session}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        result = self.text(1 << 20)
        with open(path, "w") as file:
            while file.tell() < megabytes << 20:
                lines, parent = self.turn(session, "large", parent)
                lines[0]["toolUseResult"]["stdout"] = result
                file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        return self.truth

    def fill(self, megabytes, turns=60):
        while self.written < megabytes << 20:
            self.session(self.random.randrange(3, turns))
        return self.truth


def run(command, environment):
    """Processor seconds, wall seconds, most memory in MB, and what was printed."""
    began = time.monotonic()
    # `wait4` gives the memory of this process alone.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.PIPE)
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        printed = output.read()
    if process.returncode not in (0, 1):
        sys.exit(f"{command[0]} ended with {process.returncode}: {errors.decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss / 1024, printed


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", type=int, default=1000, help="of the corpus, in MB")
    arguments.add_argument("--binary", default="target/release/api-keys")
    arguments.add_argument("--ccusage", help="a native ccusage to compare with")
    arguments.add_argument("--files", type=int, default=5000, help="files for the import in which nothing is new")
    arguments.add_argument("--large", type=int, default=0, help="of a single file, in MB, for an import of its own")
    arguments.add_argument("--keep", help="a folder that the corpus stays in, and is taken from if it is there")
    arguments = arguments.parse_args()
    folder = pathlib.Path(arguments.keep or tempfile.mkdtemp(prefix="agent-logs-"))
    claude = folder / "claude"
    if (folder / "truth.json").exists():
        truth = json.loads((folder / "truth.json").read_text())
    else:
        truth = Corpus(claude).fill(arguments.size)
        (folder / "truth.json").write_text(json.dumps(truth))
    size = sum(file.stat().st_size for file in claude.rglob("*.jsonl")) / (1 << 20)
    print(f"{size:.0f} MB in {sum(1 for _ in claude.rglob('*.jsonl'))} files, {truth['requests']} requests")
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    environment = {"HOME": str(folder), "API_KEYS_HOME": str(home), "CLAUDE_CONFIG_DIR": str(claude), "PATH": os.environ["PATH"]}
    binary = str(pathlib.Path(arguments.binary).absolute())
    command = [binary, "import", "logs", "--agent", "claude-code", "--json"]
    cpu, wall, memory, printed = run(command, environment)
    print(f"api-keys, cold: {cpu:.2f} s of processor time, {wall:.2f} s, {memory:.0f} MB")
    told = json.loads(printed)
    if told["new"] != truth["requests"]:
        print(f"WRONG: {told['new']} requests instead of {truth['requests']}")
    used = json.loads(run([binary, "usage", "--days", "3000", "--json"], environment)[3])["totals"]
    expected = {
        "input_tokens": truth["input"] + truth["cache_read"] + truth["cache_write"],
        "output_tokens": truth["output"],
        "cache_read_tokens": truth["cache_read"],
        "cache_write_tokens": truth["cache_write"],
    }
    for name, count in expected.items():
        if used[name] != count:
            print(f"WRONG: {name} is {used[name]} instead of {count}")
    warm = [run(command, environment)[:3] for _ in range(5)]
    cpu, wall, memory = min(warm)
    print(f"api-keys, nothing new: {cpu * 1000:.0f} ms of processor time, {wall * 1000:.0f} ms, {memory:.0f} MB")
    many = folder / "many"
    if not many.exists():
        made = Corpus(many, seed=7)
        while sum(1 for _ in many.rglob("*.jsonl")) < arguments.files:
            for _ in range(200):
                made.session(1)
    environment = dict(environment, CLAUDE_CONFIG_DIR=str(many), API_KEYS_HOME=str(folder / "home-many"))
    run(command, environment)
    cpu, wall, memory = min(run(command, environment)[:3] for _ in range(7))
    files = sum(1 for _ in many.rglob("*.jsonl"))
    print(f"api-keys, {files} files without anything new: {cpu * 1000:.0f} ms of processor time, {wall * 1000:.0f} ms, {memory:.0f} MB")
    if arguments.large:
        large = folder / "large"
        shutil.rmtree(large, ignore_errors=True)
        truth = Corpus(large, seed=9).one_file(arguments.large)
        shutil.rmtree(folder / "home-large", ignore_errors=True)
        environment = dict(environment, CLAUDE_CONFIG_DIR=str(large), API_KEYS_HOME=str(folder / "home-large"))
        cpu, wall, memory, printed = run(command, environment)
        new = json.loads(printed)["new"]
        print(f"api-keys, one file of {arguments.large} MB: {cpu:.2f} s of processor time, {wall:.2f} s, {memory:.0f} MB")
        if new != truth["requests"]:
            print(f"WRONG: {new} requests instead of {truth['requests']}")
    if arguments.ccusage:
        environment = {"HOME": str(folder / "ccusage-home"), "CLAUDE_CONFIG_DIR": str(claude), "PATH": os.environ["PATH"], "LOG_LEVEL": "0"}
        pathlib.Path(environment["HOME"]).mkdir(exist_ok=True)
        theirs = [arguments.ccusage, "claude", "daily", "--json", "--offline"]
        cpu, wall, memory, printed = run(theirs, environment)
        print(f"ccusage: {cpu:.2f} s of processor time, {wall:.2f} s, {memory:.0f} MB")
        totals = json.loads(printed)["totals"]
        print(f"ccusage counts: {totals}")
    if not arguments.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
