"""The official SDKs of OpenAI, Anthropic and Google use providers through the gateway, and hold none of their keys."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import openai
from google import genai
from support.common import command, home

KEYS = {
    "openai": "sk-proj-GatewayJ7x2Qm9ZtVbW4kHsR8wxyz",
    "anthropic": "sk-ant-api03-GatewayJ7x2Qm9ZtVbW4kHsR8wxyz",
    "google": "AIzaSyGatewayJ7x2Qm9ZtVbW4kHsR8wxyz0123",
}


def sse(*events, named=False):
    lines = []
    for event in events:
        if named:
            lines.append(f"event: {event['type']}\n")
        lines.append(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n")
    return "".join(lines).encode()


def chunk(**rest):
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], **rest}


def choice(delta, finish=None):
    return [{"index": 0, "delta": delta, "finish_reason": finish}]


USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 5},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1,
    "output": [
        {
            "type": "message",
            "id": "m1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "hello", "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    },
}


class Provider(BaseHTTPRequestHandler):
    """All three providers in one, speaking the documented formats; it checks that the key is theirs."""

    protocol_version = "HTTP/1.1"
    seen = []
    overloaded = 0
    busy = 0

    def log_message(self, *_):
        pass

    def reply(self, body, status=200, kind="application/json", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply({"object": "list", "data": [], "models": []})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Provider.seen.append((self.path, dict(self.headers), body))
        stream = body.get("stream") or "stream" in self.path
        events = "text/event-stream"
        if Provider.busy > 0:
            Provider.busy -= 1
            self.reply({"error": {"message": "slow down", "type": "rate_limit_error"}}, 429, retry_after="1")
        elif self.path == "/v1/chat/completions":
            assert self.headers["authorization"] == f"Bearer {KEYS['openai']}"
            if Provider.overloaded > 0:
                Provider.overloaded -= 1
                self.reply({"error": {"message": "overloaded", "type": "server_error"}}, 503)
            elif body["messages"][0]["content"] == "refuse":
                self.reply({"error": {"message": "no", "type": "invalid_request_error", "code": "bad"}}, 400)
            elif stream:
                pieces = [chunk(choices=choice({"role": "assistant", "content": "hel"})), chunk(choices=choice({"content": "lo"}, "stop"))]
                if (body.get("stream_options") or {}).get("include_usage"):
                    pieces.append(chunk(usage=USAGE))
                self.reply(sse(*pieces, "[DONE]"), kind=events)
            elif body.get("tools"):
                call = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
                message = {"role": "assistant", "content": None, "tool_calls": [call]}
                self.reply({**chunk(object="chat.completion"), "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": USAGE})
            else:
                message = {"role": "assistant", "content": "hello"}
                self.reply({**chunk(object="chat.completion"), "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE})
        elif self.path == "/v1/responses":
            if stream:
                created = {"type": "response.created", "sequence_number": 0, "response": {**RESPONSE, "usage": None, "output": []}}
                delta = {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "m1", "output_index": 0, "content_index": 0, "delta": "hello", "logprobs": []}
                done = {"type": "response.completed", "sequence_number": 2, "response": RESPONSE}
                self.reply(sse(created, delta, done, named=True), kind=events)
            else:
                self.reply(RESPONSE)
        elif self.path == "/v1/embeddings":
            self.reply({"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}})
        elif self.path == "/v1/messages/count_tokens":
            self.reply({"input_tokens": 10})
        elif self.path == "/v1/messages":
            assert self.headers["x-api-key"] == KEYS["anthropic"] and self.headers["authorization"] is None
            if stream:
                self.reply(
                    sse(
                        {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 10, "output_tokens": 1}}},
                        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
                        {"type": "content_block_stop", "index": 0},
                        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 5}},
                        {"type": "message_stop"},
                        named=True,
                    ),
                    kind=events,
                )
            elif body.get("tools"):
                self.reply({**MESSAGE, "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rome"}}], "stop_reason": "tool_use"})
            else:
                self.reply(MESSAGE)
        else:
            assert self.headers["x-goog-api-key"] == KEYS["google"], dict(self.headers)
            answer = {
                "candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
                "modelVersion": "m",
            }
            if "streamGenerateContent" in self.path:
                self.reply(sse(answer), kind=events)
            else:
                self.reply(answer)


def with_openai(base, key):
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=2)
    ask = lambda text="hi", **more: client.chat.completions.create(model="openai/m", messages=[{"role": "user", "content": text}], max_tokens=9, **more)
    assert ask().choices[0].message.content == "hello"
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
    assert ask(tools=tools).choices[0].message.tool_calls[0].function.name == "weather"

    pieces = list(ask(stream=True))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "hello"
    assert all(piece.usage is None for piece in pieces), "counts that nobody asked for are taken out again"
    asked = list(ask(stream=True, stream_options={"include_usage": True}))
    assert asked[-1].usage.total_tokens == 15

    assert client.responses.create(model="openai/m", input="hi").output_text == "hello"
    events = [event.type for event in client.responses.create(model="openai/m", input="hi", stream=True)]
    assert events[-1] == "response.completed", events
    assert client.embeddings.create(model="openai/m", input="hi", encoding_format="float").data[0].embedding == [0.5, 0.25]
    assert any(model.id.startswith("openai/") for model in client.models.list())
    raw = client.chat.completions.with_raw_response.create(model="openai/m", messages=[{"role": "user", "content": "hi"}])
    assert raw.headers["x-api-keys-provider"] == "openai" and float(raw.headers["x-api-keys-cost-usd"]) > 0

    Provider.overloaded = 1
    assert ask().choices[0].message.content == "hello", "the library asks again by itself"
    for error, call in [
        (openai.BadRequestError, lambda: ask("refuse")),
        (openai.NotFoundError, lambda: client.chat.completions.create(model="no-such-model", messages=[])),
        (openai.AuthenticationError, lambda: openai.OpenAI(base_url=f"{base}/v1", api_key="akc_wrong").models.list()),
    ]:
        try:
            call()
        except error as seen:
            assert "sk-proj-" not in str(seen)
        else:
            raise AssertionError(error)
    return 9


def with_anthropic(base, key):
    client = anthropic.Anthropic(base_url=base, api_key=key, max_retries=0)
    ask = dict(model="anthropic/m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    assert client.messages.create(**ask).content[0].text == "hello"
    tools = [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
    assert client.messages.create(tools=tools, **ask).content[0].input == {"city": "Rome"}
    with client.messages.stream(**ask) as stream:
        assert "".join(stream.text_stream) == "hello"
        assert stream.get_final_message().usage.output_tokens == 5
    assert client.messages.count_tokens(model="anthropic/m", messages=ask["messages"]).input_tokens == 10
    assert next(iter(client.models.list())).id.startswith("anthropic/")
    try:
        client.messages.create(**{**ask, "model": "no-such-model"})
    except anthropic.NotFoundError as seen:
        assert seen.body["error"]["type"] == "not_found_error"
    else:
        raise AssertionError("a model that is not there")
    try:
        anthropic.Anthropic(base_url=base, api_key="akc_wrong", max_retries=0).messages.create(**ask)
    except anthropic.AuthenticationError:
        pass
    else:
        raise AssertionError("a wrong key")
    return 3


def with_google(base, key):
    client = genai.Client(api_key=key, http_options={"base_url": f"{base}/p/google"})
    assert client.models.generate_content(model="m", contents="hi").text == "hello"
    assert "".join(piece.text for piece in client.models.generate_content_stream(model="m", contents="hi")) == "hello"
    wrong = genai.Client(api_key="akc_wrong", http_options={"base_url": f"{base}/p/google"})
    try:
        wrong.models.generate_content(model="m", contents="hi")
    except genai.errors.ClientError as seen:
        assert seen.code == 401 and seen.status == "UNAUTHENTICATED", seen
    else:
        raise AssertionError("a wrong key")
    return 2


def with_patience(base, key, limited):
    """What has to wait is answered all the same, with nothing said to the library."""
    ask = dict(model="openai/m", messages=[{"role": "user", "content": "hi"}], max_tokens=9)
    Provider.busy = 1
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0)
    answer = client.chat.completions.with_raw_response.create(**ask)
    assert answer.headers["x-api-keys-attempts"] == "2", "the gateway waits as long as the library would"
    Provider.busy = 1
    theirs = anthropic.Anthropic(base_url=base, api_key=key, max_retries=0)
    answer = theirs.messages.with_raw_response.create(**{**ask, "model": "anthropic/m"})
    assert answer.headers["x-api-keys-attempts"] == "2"

    Provider.busy = 1
    hasty = client.with_options(timeout=1.5)
    try:
        hasty.chat.completions.create(**ask)
    except openai.RateLimitError as seen:
        assert seen.response.headers["retry-after"] == "1", "as the provider says"
    else:
        raise AssertionError("half of that time is too short")

    # As many as there may be in a minute; then the library waits as it is told, and is answered.
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=limited, max_retries=1)
    answers = 0
    while client.chat.completions.with_raw_response.create(**ask).retries_taken == 0:
        answers += 1
    assert 30 <= answers < 60, answers
    return 2 + answers + 1


def with_cache(base, key):
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=key)
    ask = dict(model="openai/m", messages=[{"role": "user", "content": "hi"}], temperature=0)
    answers = [client.chat.completions.with_raw_response.create(**ask) for _ in range(2)]
    assert [answer.headers["x-api-keys-cache"] for answer in answers] == ["miss", "hit"]
    assert answers[0].parse() == answers[1].parse()
    vectors = [client.embeddings.create(model="openai/m", input="again").data[0].embedding for _ in range(2)]
    assert vectors == [[0.5, 0.25]] * 2
    return 2


def main(binary):
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{provider.server_port}"
    prices = "".join(f'[[prices]]\nmodel = "{name}/m"\ninput = 1.0\noutput = 2.0\n' for name in KEYS)
    bases = {"openai": f"{url}/v1", "anthropic": url, "google": url}
    config = prices + "".join(f'[providers.{name}]\nbase_url = "{base}"\n' for name, base in bases.items())
    config += "[gateway.cache]\nenabled = true\n"
    with home(config) as (_, environment):

        def run(*arguments, stdin=""):
            return json.loads(command(binary, environment, *arguments, "--json", stdin=stdin))

        for name, key in KEYS.items():
            run("add", name, "--stdin", stdin=key)
        key = run("client", "add", "sdks")["client_key"]
        limited = run("client", "add", "limited", "--requests-per-minute", "30")["client_key"]
        gateway = subprocess.Popen([binary, "gateway", "--listen", "127.0.0.1:0", "--json"], env=environment, stdout=subprocess.PIPE, text=True)
        try:
            base = json.loads(gateway.stdout.readline())["listening"]
            requests = sum(use(base, key) for use in (with_openai, with_anthropic, with_google, with_cache))
            requests += with_patience(base, key, limited)
        finally:
            gateway.terminate()
            assert gateway.wait(30) == 0
        assert not any(key in json.dumps([headers, body]) for _, headers, body in Provider.seen), "the client key goes nowhere"
        totals = run("usage")["totals"]
        # Those that the provider refused are recorded too: one that was overloaded, one bad request, three too many.
        assert totals["requests"] == requests + 5, (totals, requests)
        assert totals["errors"] == 5 and totals["unpriced_requests"] == 0, totals
        print(f"{totals['requests']} requests through the official SDKs")


main(sys.argv[1])
