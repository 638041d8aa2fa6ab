"""Responses that providers really sent pass through the gateway, and its ledger says of each what genai-prices reads.

The responses are the recordings in the source archives of pydantic-ai, which genai-prices' own collection is made from,
and of LangChain's packages for three providers, which are small and new. Of pydantic-ai an older archive is taken, of half
the size: later ones add mostly pictures. Archives are downloaded once and stay in `target`. Each difference has its reason
here, or is a mistake.
"""

import collections
import gzip
import http.client
import json
import pathlib
import struct
import subprocess
import sys
import tarfile
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml
from genai_prices.data_snapshot import get_snapshot
from support.common import command, home

# Source archives, and the host that recordings are of which do not name it.
ARCHIVES = {
    "pydantic-ai==0.8.1": "",
    "langchain-openai==1.7.4": "api.openai.com",
    "langchain-anthropic==1.7.10": "api.anthropic.com",
    "langchain-aws==1.9.1": "bedrock-runtime.",
}
FOLDER = pathlib.Path("target/outside-bodies")
AGREEMENT = 0.995
# Our providers, by the hosts that the recordings were made of, with what genai-prices calls them.
HOSTS = {
    "api.openai.com": ("openai", "openai"),
    "api.anthropic.com": ("anthropic", "anthropic"),
    "generativelanguage.googleapis.com": ("google", "google"),
    "aiplatform.googleapis.com": ("google", "google"),
    "api.groq.com": ("groq", "groq"),
    "api.mistral.ai": ("mistral", "mistral"),
    "api.cohere.com": ("cohere", "cohere"),
    "api.deepseek.com": ("deepseek", "deepseek"),
    "openrouter.ai": ("openrouter", "openrouter"),
    "api.moonshot.ai": ("moonshot", "moonshotai"),
    "api.cerebras.ai": ("cerebras", "cerebras"),
    "bedrock-runtime.": ("bedrock", "aws"),
    "openai.azure.com": ("azure-openai", "azure"),
}
# Why counts differ: a name, and whether it holds of (usage, their counts, our counts).
REASONS = [
    (
        "genai-prices leaves out what only the total counts: thoughts and tools",
        lambda usage, theirs, ours: usage.get("total_tokens", usage.get("totalTokenCount", 0))
        == ours["input"] + ours["output"] > theirs["input"] + theirs["output"],
    ),
    (
        "genai-prices leaves out what Anthropic bills in iterations: compaction",
        lambda usage, theirs, ours: sum(
            iteration["input_tokens"] + iteration["output_tokens"] for iteration in usage.get("iterations") or []
        )
        == ours["input"] + ours["output"] > theirs["input"] + theirs["output"],
    ),
]


def recordings():
    """All recorded responses: the host, the type, the bytes, and what they amount to."""
    for archive, host in ARCHIVES.items():
        for recorded in cassettes(archive):
            for address, response in exchanges(recorded):
                yield from responses(urllib.parse.urlsplit(address).hostname or host, response)


def cassettes(archive):
    """The recordings in a source archive."""
    name, version = archive.split("==")
    file = FOLDER / f"{name.replace('-', '_')}-{version}.tar.gz"
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        download = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", FOLDER, archive]
        subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *download], check=True)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with tarfile.open(file) as members:
        for member in members:
            is_recording = "/cassettes/" in member.name and member.name.endswith((".yaml", ".yaml.gz"))
            if not is_recording or member.size > 3_000_000:
                continue
            text = members.extractfile(member).read()
            text = gzip.decompress(text) if member.name.endswith(".gz") else text
            yield yaml.load(text, loader) or {}


def exchanges(recorded):
    """The address and the response of each exchange, in either of the forms in which they are kept."""
    for exchange in recorded.get("interactions", []):
        yield exchange["request"]["uri"], exchange.get("response") or {}
    for request, response in zip(recorded.get("requests", []), recorded.get("responses", [])):
        yield request["uri"], response


def responses(host, response):
    """A recorded response, where it is one that can be read."""
    body = response.get("parsed_body")
    if isinstance(body, dict):
        yield host, "application/json", json.dumps(body).encode(), body
        return
    text = (response.get("body") or {}).get("string") or b""
    text = text.encode() if isinstance(text, str) else text
    text = gzip.decompress(text) if text.startswith(b"\x1f\x8b") else text
    if text.startswith((b"data:", b"event:")):
        yield host, "text/event-stream", text, together(events(text))
    elif text.lstrip().startswith(b"{"):
        yield host, "application/json", text, json.loads(text)
    elif "bedrock" in host:
        yield host, "application/vnd.amazon.eventstream", text, together(frames(text))


def events(stream):
    """The values of server-sent events."""
    for event in stream.decode().replace("\r\n", "\n").split("\n\n"):
        data = "".join(line[5:] for line in event.split("\n") if line.startswith("data:"))
        if data.strip().startswith("{"):
            yield json.loads(data)


def frames(stream):
    """The payloads of Amazon's event frames."""
    while len(stream) >= 16:
        length, headers = struct.unpack(">II", stream[:8])
        payload = stream[12 + headers : length - 4]
        if payload.startswith(b"{"):
            yield json.loads(payload)
        stream = stream[length:]


def together(values):
    """What a stream amounts to: later counts replace earlier ones, unless they are zero or nothing."""
    merged = {"model": "m", "modelVersion": "m"}
    for value in values:
        for holder in (value, value.get("response"), value.get("message"), value.get("x_groq")):
            for name in ("usage", "usageMetadata"):
                if isinstance(holder, dict) and isinstance(holder.get(name), dict):
                    known = merged.setdefault(name, {})
                    known.update({key: count for key, count in holder[name].items() if count or key not in known})
    return merged


def read_by_genai_prices(provider, body):
    """What genai-prices reads of a body, in our names; nothing where it reads nothing."""
    for extractor in provider.extractors or []:
        try:
            _, usage = extractor.extract(body)
        except (LookupError, ValueError):
            continue
        if (usage.input_tokens or 0) + (usage.output_tokens or 0) == 0:
            continue
        names = ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "output_reasoning_tokens"]
        counts = [getattr(usage, name, None) or 0 for name in names]
        return dict(zip(["input", "output", "cache_read", "cache_write", "reasoning"], counts))
    return None


def main(binary):
    theirs = {provider.id: provider for provider in get_snapshot().providers}
    cases = []
    for host, kind, sent, body in recordings():
        ours = next((names for part, names in HOSTS.items() if part in host), None)
        counts = read_by_genai_prices(theirs[ours[1]], body) if ours else None
        if counts:
            cases.append((ours[0], kind, sent, body, counts))
    assert len(cases) > 500, len(cases)

    class Provider(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            _, kind, body, _, _ = cases[int(self.path.rsplit("/", 1)[1])]
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    names = sorted({ours for ours, _ in HOSTS.values()})
    config = "".join(f'[providers.{name}]\nbase_url = "{url}"\n' for name in names)
    with home(config + "[budget]\nenabled = false\n") as (_, environment):
        for name in names:
            command(binary, environment, "add", name, "--stdin", stdin=f"{name}-0123456789abcdef0123456789")
        key = json.loads(command(binary, environment, "client", "add", "bodies", "--json"))["client_key"]
        gateway = subprocess.Popen(
            [binary, "gateway", "--listen", "127.0.0.1:0", "--json"], env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            address = json.loads(gateway.stdout.readline())["listening"].removeprefix("http://")
            connection = http.client.HTTPConnection(address, timeout=30)
            ids = {}
            for number, (name, *_) in enumerate(cases):
                headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
                connection.request("POST", f"/p/{name}/case/{number}", b'{"model":"m"}', headers)
                answer = connection.getresponse()
                answer.read()
                ids[answer.headers["x-api-keys-request-id"]] = number
        finally:
            gateway.terminate()
            gateway.wait(30)
        exported = command(binary, environment, "usage", "--export", "jsonl").splitlines()
    rows = {ids[row["request_id"]]: row for row in map(json.loads, exported) if row["request_id"] in ids}
    same, reasons, wrong = 0, collections.Counter(), []
    for number, (name, kind, _, body, counts) in enumerate(cases):
        row = rows.get(number, {})
        ours = {part: row.get(f"{part}_tokens", -1) for part in counts}
        usage = next((body[name] for name in ("usage", "usageMetadata", "meta") if isinstance(body.get(name), dict)), {})
        if ours == counts and not row["estimated"]:
            same += 1
            continue
        why = next((why for why, holds in REASONS if row and holds(usage, counts, ours)), None)
        reasons[why] += 1
        if not why:
            wrong.append((name, kind, counts, ours, row.get("estimated"), usage))
    for difference in wrong[:20]:
        print("unexplained:", *difference)
    print(f"{same} of {len(cases)} recorded responses agree; {dict(reasons)}")
    assert not wrong, len(wrong)
    assert same >= AGREEMENT * len(cases), same / len(cases)


main(sys.argv[1])
