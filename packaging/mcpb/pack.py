#!/usr/bin/env python3
"""Makes the bundle that Claude Desktop installs by a double click, and the entry for the MCP registry.

    cargo build --release
    packaging/mcpb/pack.py target/release/api-keys target/mcpb
    packaging/mcpb/pack.py … --url https://…/api-keys.mcpb --owner NAME    # also writes server.json

The bundle is for the system that the binary is for. Version and tools are asked of the binary itself, so the manifest
cannot say anything else than the program does. The same binary makes the same bytes.
"""

import argparse
import hashlib
import json
import pathlib
import subprocess
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
# What the first bytes of a program say about the system that it is for.
SYSTEMS = {b"\x7fELF": "linux", b"\xcf\xfa\xed\xfe": "darwin", b"\xca\xfe\xba\xbe": "darwin", b"MZ": "win32"}


def ask(binary):
    """The version and the tools, as the server tells them to a client."""
    with tempfile.TemporaryDirectory() as home:
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "pack", "version": "1"}}
        messages = [
            {"id": 1, "method": "initialize", "params": hello},
            {"method": "notifications/initialized"},
            {"id": 2, "method": "tools/list", "params": {}},
        ]
        lines = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages)
        environment = {"API_KEYS_HOME": f"{home}/home", "HOME": home}
        done = subprocess.run(
            [binary, "serve"], env=environment, input=lines, capture_output=True, text=True, timeout=60, check=True
        )
    hello, listed = (json.loads(line)["result"] for line in done.stdout.splitlines())
    tools = [{"name": tool["name"], "description": tool["description"]} for tool in listed["tools"]]
    return hello["serverInfo"]["version"], tools


def manifest(binary):
    head = binary.read_bytes()[:4]
    system = next((name for magic, name in SYSTEMS.items() if head.startswith(magic)), None)
    if system is None:
        raise SystemExit(f"{binary} is not a program of a known system")
    described = json.loads((HERE / "manifest.json").read_text())
    described["version"], described["tools"] = ask(binary)
    described["compatibility"] = {"platforms": [system]}
    if system == "win32":
        described["server"]["entry_point"] += ".exe"
    return described


def pack(binary, described, bundle):
    files = [
        ("manifest.json", json.dumps(described, indent=2).encode() + b"\n", 0o644),
        ("LICENSE", (HERE.parent.parent / "LICENSE").read_bytes(), 0o644),
        (described["server"]["entry_point"], binary.read_bytes(), 0o755),
    ]
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents, mode in files:
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, contents)


def registry_entry(bundle, version, url, owner):
    entry = json.loads((HERE / "server.json").read_text())
    entry["name"] = entry["name"].replace("OWNER", owner)
    entry["version"] = version
    entry["packages"] = [
        {
            "registryType": "mcpb",
            "identifier": url,
            "version": version,
            "fileSha256": hashlib.sha256(bundle.read_bytes()).hexdigest(),
            "transport": {"type": "stdio"},
        }
    ]
    return entry


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("binary", type=pathlib.Path)
    options.add_argument("folder", type=pathlib.Path, nargs="?", default=pathlib.Path("target/mcpb"))
    options.add_argument("--url", help="where the bundle will be downloaded from")
    options.add_argument("--owner", help="the GitHub account that the registry knows the publisher by")
    options = options.parse_args()
    if (options.url is None) != (options.owner is None):
        raise SystemExit("the registry's entry needs both --url and --owner")
    options.folder.mkdir(parents=True, exist_ok=True)
    described = manifest(options.binary.resolve())
    bundle = options.folder / "api-keys.mcpb"
    pack(options.binary, described, bundle)
    print(f"{bundle}: {bundle.stat().st_size / 1e6:.1f} MB, {len(described['tools'])} tools")
    if options.url:
        entry = registry_entry(bundle, described["version"], options.url, options.owner)
        (options.folder / "server.json").write_text(json.dumps(entry, indent=2) + "\n")
        print(options.folder / "server.json")


if __name__ == "__main__":
    main()
