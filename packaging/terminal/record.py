#!/usr/bin/env python3
"""Draws the picture of a terminal that the README shows, from what the program really prints.

    cargo build --release
    packaging/terminal/record.py target/release/api-keys packaging/terminal/terminal.svg

Each command runs on a terminal of its own, in a home that is thrown away, with made-up keys. Nothing is sent anywhere.
"""

import fcntl
import html
import os
import pathlib
import pty
import re
import select
import struct
import sys
import tempfile
import termios

COLUMNS = 100
KEY = "sk-ant-api03-MadeUpForThePicture0123456789abcdefWXYZ"

# What is done first and not shown: a key, and a day's work.
BEFORE = [
    ("api-keys add openai --env-var OPENAI_API_KEY", {}),
    ("api-keys track anthropic claude-sonnet-5 182000 21400 --cache-read-tokens 121000 --task-type code_generation", {}),
    ("api-keys track anthropic claude-haiku-4-5 96000 8100 --task-type chat", {}),
    ("api-keys track openai gpt-5.4-mini 64000 5200 --task-type data_extraction", {}),
]
# What is shown, with what is typed at which prompt, and how many lines of it at most.
SHOWN = [
    ("api-keys add anthropic", {"(hidden): ": KEY + "\r"}, 3),
    ("api-keys list", {}, 9),
    ("api-keys usage --group-by model", {}, 9),
    ("api-keys route code_generation", {}, 9),
    ("api-keys run -- sh -c 'echo ${ANTHROPIC_API_KEY:+the key is here, and nowhere else}'", {}, 9),
]

COLOURS = {30: "#484f58", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#76e3ea", 37: "#c9d1d9"}
PLAIN, BACKGROUND, FAINT = "#c9d1d9", "#0d1117", "#8b949e"
CELL, LINE, MARGIN = 8.4, 19, 18


def run(command, typed, environment, folder):
    """What the command shows on a terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe("sh", ["sh", "-c", command], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    seen, typed = b"", dict(typed)
    while select.select([terminal], [], [], 30)[0]:
        try:
            more = os.read(terminal, 65536)
        except OSError:
            break
        if not more:
            break
        seen += more
        for prompt in [prompt for prompt in typed if prompt.encode() in seen]:
            os.write(terminal, typed.pop(prompt).encode())
    _, status = os.waitpid(child, 0)
    text = seen.decode().replace("\r\n", "\n").replace("\r", "")
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{command}\n{text}")
    return text.replace(str(folder), "~")


def spans(line):
    """The pieces of a line, each with its colour, weight and faintness."""
    colour, bold, faint = PLAIN, False, False
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        codes = re.fullmatch(r"\x1b\[([0-9;]*)m", piece)
        if not codes:
            if piece:
                yield piece, FAINT if faint else colour, bold
            continue
        for code in map(int, (codes[1] or "0").split(";")):
            if code == 0:
                colour, bold, faint = PLAIN, False, False
            elif code == 1:
                bold = True
            elif code == 2:
                faint = True
            elif code in COLOURS:
                colour = COLOURS[code]


def folded(line):
    """The line as a terminal shows it: in rows of its width, each with the colours it begins with."""
    rows, row, column, style = [], "", 0, ""
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if piece.startswith("\x1b"):
            row, style = row + piece, "" if piece == "\x1b[0m" else style + piece
            continue
        while column + len(piece) > COLUMNS:
            cut = COLUMNS - column
            rows.append(row + piece[:cut])
            row, piece, column = style, piece[cut:], 0
        row, column = row + piece, column + len(piece)
    return [*rows, row]


def draw(lines):
    width = round(2 * MARGIN + COLUMNS * CELL)
    height = 2 * MARGIN + len(lines) * LINE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">',
        "<title>api-keys at a terminal</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>',
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14">',
    ]
    for number, line in enumerate(lines):
        column, row = 0, MARGIN + number * LINE + 13
        for text, colour, bold in spans(line):
            weight = ' font-weight="bold"' if bold else ""
            # Word by word, since pictures collapse the spaces that tables are made of.
            for word in re.finditer(r"\S+(?: \S+)*", text):
                x = MARGIN + (column + word.start()) * CELL
                parts.append(
                    f'<text x="{x:.1f}" y="{row}" fill="{colour}" textLength="{len(word[0]) * CELL:.1f}"'
                    f' lengthAdjust="spacingAndGlyphs"{weight}>{html.escape(word[0])}</text>'
                )
            column += len(text)
    return "\n".join([*parts, "</g>", "</svg>", ""])


def main():
    binary, picture = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder, "home")
        (home / ".config/api-keys").mkdir(parents=True, mode=0o700)
        settings = '[vault]\nmaster_key = "key-file"\n[budget]\ndaily_limit = 10.0\n'
        (home / ".config/api-keys/config.toml").write_text(settings)
        environment = {
            "HOME": str(home),
            "PATH": f"{binary.parent}:{os.environ['PATH']}",
            "TERM": "xterm-256color",
            "OPENAI_API_KEY": "sk-proj-MadeUpForThePicture0123456789abcdef",
            "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent",
        }
        for command, typed in BEFORE:
            run(command, typed, environment, home)
        del environment["OPENAI_API_KEY"]
        for command, typed, most in SHOWN:
            lines.append(f"\x1b[32m$\x1b[0m \x1b[1m{command}\x1b[0m")
            said = run(command, typed, environment, home).rstrip("\n").split("\n")
            said = [row for line in said for row in folded(line)]
            lines += said[:most] + ["\x1b[2m…\x1b[0m"] * (len(said) > most)
            lines.append("")
    picture.write_text(draw(lines[:-1]))
    print(f"{picture}: {len(lines) - 1} lines")


if __name__ == "__main__":
    main()
