"""Cisco's scanner finds nothing suspicious in what a model would read first: tools, prompts, instructions."""

import json
import os
import pathlib
import subprocess
import sys

from support.bridge import bridge
from support.common import home

SCANNER = pathlib.Path(os.environ.get("OUTSIDE_SCANNER", "target/outside-scanner"), "bin", "mcp-scanner")
# Nothing is fetched: the rules come with the package.
OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def scan(environment, *arguments):
    command = [SCANNER, "--analyzers", "yara", "--raw", *arguments]
    done = subprocess.run(command, env={**environment, **OFFLINE}, capture_output=True, text=True, timeout=120)
    begin = min((at for at in map(done.stdout.find, "[{") if at >= 0), default=-1)
    assert done.returncode == 0 and begin >= 0, (arguments, done.stdout, done.stderr)
    found = json.JSONDecoder().raw_decode(done.stdout[begin:])[0]
    found = found if isinstance(found, list) else found.get("scan_results", [found])
    assert found, arguments
    for item in found:
        assert item["is_safe"] and item["status"] == "completed", json.dumps(item, indent=2)
    return len(found)


def check(binary):
    with home() as (_, environment):
        counts = {"tools": scan(environment, "stdio", "--stdio-command", binary, "--stdio-args", "serve")}
        with bridge([binary, "serve"], environment) as server:
            for what in ("prompts", "instructions"):
                counts[what] = scan(environment, what, "--server-url", server.url)
    print("scanner: clean:", ", ".join(f"{count} {what}" for what, count in counts.items()))


if __name__ == "__main__":
    check(sys.argv[1])
