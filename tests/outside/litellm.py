"""LiteLLM's proxy as a provider: an implementation of both APIs that is not ours, with answers that it makes up itself.

What the ledger says was used is what LiteLLM said.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import anthropic
import openai
from support.common import command, home

PROXY = pathlib.Path(os.environ.get("OUTSIDE_LITELLM", "target/outside-litellm"), "bin", "litellm").absolute()
KEY = "sk-litellm-J7x2Qm9ZtVbW4kHsR8wxyz"
ANSWER = "hello from the other side"
CONFIG = """
model_list:
  - model_name: mocked
    litellm_params: {model: openai/gpt-4o-mini, api_key: none, mock_response: "ANSWER"}
  - model_name: embedded
    litellm_params: {model: openai/text-embedding-3-small, api_key: none, mock_response: [0.5, 0.25]}
  # Its own chat API, through which it makes an Anthropic stream: of a made-up answer it makes none.
  - model_name: through
    litellm_params: {model: openai/mocked, api_key: KEY, api_base: "http://127.0.0.1:PORT/v1", use_chat_completions_api: true}
general_settings: {master_key: KEY}
litellm_settings: {telemetry: false}
"""


@contextlib.contextmanager
def proxy(folder):
    """LiteLLM on a free port; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = pathlib.Path(folder, "litellm.yaml")
    file.write_text(CONFIG.replace("KEY", KEY).replace("ANSWER", ANSWER).replace("PORT", str(port)))
    log = pathlib.Path(folder, "litellm.log")
    # Nothing is fetched: the prices come with the package.
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with log.open("w") as output:
        process = subprocess.Popen(
            [PROXY, "--config", file, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{url}/health/liveliness", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None and time.monotonic() < until, log.read_text()
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(30)


class Said:
    """What LiteLLM said was used."""

    def __init__(self):
        self.requests = self.input = self.output = 0

    def add(self, input_tokens, output_tokens):
        assert input_tokens > 0
        self.requests += 1
        self.input += input_tokens
        self.output += output_tokens


def with_openai(base, key, said):
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0)
    ask = dict(model="openai/mocked", messages=[{"role": "user", "content": "hi"}])
    whole = client.chat.completions.create(**ask)
    assert whole.choices[0].message.content == ANSWER
    said.add(whole.usage.prompt_tokens, whole.usage.completion_tokens)

    pieces = list(client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **ask))
    assert "".join(choice.delta.content or "" for piece in pieces for choice in piece.choices) == ANSWER
    usage = pieces[-1].usage
    said.add(usage.prompt_tokens, usage.completion_tokens)
    # The same stream without a wish for counts: it has the same, and the client does not see them.
    pieces = list(client.chat.completions.create(stream=True, **ask))
    assert all(piece.usage is None for piece in pieces)
    assert "".join(choice.delta.content or "" for piece in pieces for choice in piece.choices) == ANSWER
    said.add(usage.prompt_tokens, usage.completion_tokens)

    vectors = client.embeddings.create(model="openai/embedded", input="hi", encoding_format="float")
    assert vectors.data[0].embedding == [0.5, 0.25]
    said.add(vectors.usage.prompt_tokens, 0)

    response = client.responses.create(model="openai/mocked", input="hi")
    assert response.output_text == ANSWER
    said.add(response.usage.input_tokens, response.usage.output_tokens)


def with_anthropic(base, key, said):
    client = anthropic.Anthropic(base_url=base, api_key=key, max_retries=0)
    ask = dict(max_tokens=20, messages=[{"role": "user", "content": "hi"}])
    whole = client.messages.create(model="anthropic/mocked", **ask)
    assert whole.content[0].text == ANSWER
    said.add(whole.usage.input_tokens, whole.usage.output_tokens)
    with client.messages.stream(model="anthropic/through", **ask) as stream:
        assert "".join(stream.text_stream) == ANSWER
        usage = stream.get_final_message().usage
    said.add(usage.input_tokens, usage.output_tokens)


def main(binary):
    with home() as (path, environment), proxy(path.parent) as url:
        prices = "".join(
            f'[[prices]]\nmodel = "{name}"\ninput = 1.0\noutput = 2.0\n'
            for name in ("openai/mocked", "openai/embedded", "anthropic/mocked", "anthropic/through")
        )
        bases = f'[providers.openai]\nbase_url = "{url}/v1"\n[providers.anthropic]\nbase_url = "{url}"\n'
        with (path / "config.toml").open("a") as config:
            config.write(prices + bases)

        def run(*arguments, stdin=""):
            return json.loads(command(binary, environment, *arguments, "--json", stdin=stdin))

        run("add", "openai", "--stdin", stdin=KEY)
        run("add", "anthropic", "--stdin", stdin=KEY)
        key = run("client", "add", "sdks")["client_key"]
        gateway = subprocess.Popen(
            [binary, "gateway", "--listen", "127.0.0.1:0", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        said = Said()
        try:
            base = json.loads(gateway.stdout.readline())["listening"]
            with_openai(base, key, said)
            with_anthropic(base, key, said)
        finally:
            gateway.terminate()
            assert gateway.wait(30) == 0
        totals = run("usage")["totals"]
        seen = totals["requests"], totals["input_tokens"], totals["output_tokens"], totals["errors"]
        assert seen == (said.requests, said.input, said.output, 0), (totals, vars(said))
        # Our own figure; LiteLLM states what some of its responses cost by its own prices, and that is recorded.
        cost = (said.input * 1.0 + said.output * 2.0) / 1e6
        assert abs(totals["own_cost_usd"] - cost) < 1e-9, (totals, cost)
        stated = totals["provider_cost_requests"] > 0
        assert stated == (abs(totals["cost_usd"] - cost) > 1e-9), totals
        print(f"{said.requests} requests to LiteLLM: {said.input} tokens in and {said.output} out, as it said")


main(sys.argv[1])
