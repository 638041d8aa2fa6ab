"""The official SDKs against a provider that speaks another format, and LiteLLM's translation beside ours."""

import contextlib
import http.server
import itertools
import json
import os
import pathlib
import subprocess
import sys
import threading

import anthropic
import openai
from support.common import command, home

LITELLM = pathlib.Path(os.environ.get("OUTSIDE_LITELLM", "target/outside-litellm"), "bin", "python").absolute()
TOOL = {"name": "read", "description": "Reads a file", "input_schema": {
    "type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}
FUNCTION = {"type": "function", "function": {
    "name": "read", "description": "Reads a file", "parameters": TOOL["input_schema"]}}


def events(name, *pieces):
    """A stream as each API sends it."""
    lines = []
    for piece in pieces:
        if name == "messages":
            lines.append(f"event: {piece['type']}")
        lines.append(f"data: {piece if isinstance(piece, str) else json.dumps(piece)}\n")
    return "\n".join(lines) + "\n"


def chat_chunk(delta=None, finish=None, **more):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}


# Each provider thinks, says something and calls a tool; then it answers.
STREAMS = {
    "chat": events(
        "chat",
        chat_chunk({"role": "assistant", "reasoning_content": "I have to look"}),
        chat_chunk({"content": "Let me "}),
        chat_chunk({"content": "look."}),
        chat_chunk({"tool_calls": [{"index": 0, "id": "functions.read:0", "type": "function",
                                    "function": {"name": "read", "arguments": '{"pa'}}]}),
        chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": 'th":"a"}'}}]}),
        chat_chunk({}, "tool_calls"),
        chat_chunk(usage={"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
                          "prompt_tokens_details": {"cached_tokens": 60}}),
        "[DONE]",
    ),
    "responses": events(
        "responses",
        {"type": "response.created", "response": {"id": "resp_1", "model": "m"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1"}},
        {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0},
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "I have to look"},
        {"type": "response.output_item.done", "output_index": 0,
         "item": {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAAopaque"}},
        {"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "id": "m1"}},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "Let me look."},
        {"type": "response.output_item.added", "output_index": 2,
         "item": {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "read", "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"path":"a"}'},
        {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "model": "m", "usage": {
            "input_tokens": 100, "input_tokens_details": {"cached_tokens": 60}, "output_tokens": 20}}},
    ),
    "messages": events(
        "messages",
        {"type": "message_start", "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
            "usage": {"input_tokens": 40, "cache_read_input_tokens": 60, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Let me look."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1,
         "content_block": {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}},
        {"type": "content_block_delta", "index": 1,
         "delta": {"type": "input_json_delta", "partial_json": '{"path":"a"}'}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
         "usage": {"output_tokens": 20}},
        {"type": "message_stop"},
    ),
}
WHOLES = {
    "chat": {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
             "choices": [{"index": 0, "message": {"role": "assistant", "content": "done"}, "finish_reason": "stop"}],
             "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}},
    "responses": {"id": "resp_2", "object": "response", "created_at": 1, "status": "completed", "model": "m",
                  "output": [{"type": "message", "id": "m2", "role": "assistant", "status": "completed",
                              "content": [{"type": "output_text", "text": "done", "annotations": []}]}],
                  "usage": {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10}},
    "messages": {"id": "msg_2", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
                 "stop_sequence": None, "content": [{"type": "text", "text": "done"}],
                 "usage": {"input_tokens": 9, "output_tokens": 1}},
}


@contextlib.contextmanager
def provider():
    """Speaks all three formats; yields its address and what it was asked."""
    asked = []

    class Speaker(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            kind = "messages" if "/messages" in self.path else "responses" if "/responses" in self.path else "chat"
            asked.append((kind, body))
            stream = body.get("stream")
            answer = STREAMS[kind] if stream else json.dumps(WHOLES[kind])
            self.send_response(200)
            self.send_header("content-type", "text/event-stream" if stream else "application/json")
            self.send_header("content-length", str(len(answer.encode())))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Speaker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


@contextlib.contextmanager
def gateway(binary):
    """A gateway that translates; yields its address, a client key, and what the provider was asked."""
    with provider() as (url, asked), home() as (path, environment):
        bases = "".join(
            f'[[prices]]\nmodel = "{name}/m"\ninput = 1.0\noutput = 2.0\n' for name in ("openai", "groq", "anthropic")
        )
        bases += f'[providers.openai]\nbase_url = "{url}/v1"\n[providers.groq]\nbase_url = "{url}/v1"\n'
        bases += f'[providers.anthropic]\nbase_url = "{url}"\n[gateway]\ntranslate = true\n'
        with (path / "config.toml").open("a") as config:
            config.write(bases)
        for name, key in (("openai", "sk-proj-0123456789abcdefghij"), ("groq", "gsk_0123456789abcdefghij"),
                          ("anthropic", "sk-ant-api03-0123456789abcdefghij")):
            command(binary, environment, "add", name, "--stdin", stdin=key)
        client = json.loads(command(binary, environment, "client", "add", "sdks", "--json"))["client_key"]
        process = subprocess.Popen(
            [binary, "gateway", "--listen", "127.0.0.1:0", "--json"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        try:
            yield json.loads(process.stdout.readline())["listening"], client, asked
        finally:
            process.terminate()
            process.wait(30)


def with_anthropic(base, key, asked, model, call_id):
    """Anthropic's SDK runs a tool on a provider of another format, and its thinking comes back there."""
    client = anthropic.Anthropic(base_url=base, api_key=key, max_retries=0)
    messages = [{"role": "user", "content": "What is in a?"}]
    ask = dict(model=model, max_tokens=50, tools=[TOOL])
    with client.messages.stream(messages=messages, **ask) as stream:
        first = stream.get_final_message()
    kinds = [block.type for block in first.content]
    assert kinds == ["thinking", "text", "tool_use"], kinds
    assert first.content[0].thinking == "I have to look" and first.content[1].text == "Let me look."
    assert first.content[2].input == {"path": "a"} and first.stop_reason == "tool_use"
    usage = first.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (40, 60, 20), usage
    messages += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": first.content[2].id, "content": "ok"}]},
    ]
    last = client.messages.create(messages=messages, **ask)
    assert last.content[0].text == "done" and last.stop_reason == "end_turn"
    kind, body = asked[-1]
    sent = json.dumps(body)
    assert call_id in sent, sent
    assert ("gAAAopaque" if kind == "responses" else '"reasoning_content": "I have to look"') in sent, sent
    assert client.messages.count_tokens(model=model, messages=messages).input_tokens > 3


def with_openai(base, key, asked):
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is in a?"}]
    ask = dict(model="anthropic/m", tools=[FUNCTION], extra_headers={})
    with client.chat.completions.stream(messages=messages, stream_options={"include_usage": True}, **ask) as stream:
        first = stream.get_final_completion()
    message = first.choices[0].message
    assert message.content == "Let me look." and first.choices[0].finish_reason == "tool_calls"
    assert json.loads(message.tool_calls[0].function.arguments) == {"path": "a"}
    assert (first.usage.prompt_tokens, first.usage.prompt_tokens_details.cached_tokens) == (100, 60), first.usage
    messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "ok"}]
    last = client.chat.completions.create(messages=messages, **ask)
    assert last.choices[0].message.content == "done", last
    assert asked[-1][0] == "messages" and asked[-1][1]["system"] == "Be brief."


def cases():
    """Requests that both translate, by the pair of formats."""
    talk = [
        {"role": "user", "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}]},
        {"role": "assistant", "content": [
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {"path": "a"}},
            {"type": "tool_use", "id": "toolu_2", "name": "read", "input": {"path": "b"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "one"},
            {"type": "tool_result", "tool_use_id": "toolu_2", "content": [{"type": "text", "text": "two"}]}]},
    ]
    for kind in ("messages>chat", "messages>responses"):
        yield kind, {"max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
        yield kind, {"max_tokens": 50, "system": "Be brief.", "messages": talk, "tools": [TOOL]}
        for choice in ({"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "read"}):
            yield kind, {"max_tokens": 50, "messages": talk[:1], "tools": [TOOL], "tool_choice": choice}
    yield "messages>chat", {"max_tokens": 50, "messages": talk[:1], "temperature": 0.5, "top_p": 0.9,
                            "stop_sequences": ["END"]}
    call = {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": '{"path": "a"}'}}
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "one"},
    ]
    for more in ({}, {"tool_choice": "required"}, {"tool_choice": "auto"}, {"stop": ["END"], "temperature": 0.5},
                 {"tool_choice": {"type": "function", "function": {"name": "read"}}}):
        yield "chat>messages", {"max_tokens": 50, "messages": talk, "tools": [FUNCTION], **more}


def usual(value):
    """A body with what may be spelled in two ways spelled in one; each line is a difference from LiteLLM, explained."""
    if isinstance(value, list):
        return [usual(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {name: usual(item) for name, item in value.items()}
    # A single text stands by itself or in a list; the servers take both.
    for name in ("content", "system", "output"):
        item = value.get(name)
        if isinstance(item, list) and len(item) == 1 and item[0].get("type") in ("text", "input_text", "output_text"):
            value[name] = item[0]["text"]
    # JSON that is quoted in JSON, with spaces or without.
    if "arguments" in value:
        value["arguments"] = json.loads(value["arguments"])
    # What LiteLLM says although it is the default.
    if value.get("type") in ("custom", "message"):
        value.pop("type")
    # OpenAI's strict mode is its own default for functions of Responses: we say that the schema is as it is.
    if value.get("strict") is False:
        value.pop("strict")
    if "input" in value and isinstance(value["input"], list):
        value["input"] = in_order(value["input"])
    # How closely an image is looked at: `auto` is the default.
    if value.get("detail") == "auto":
        value.pop("detail")
    return value


def in_order(items):
    """LiteLLM puts what the assistant says behind the calls that came after it; we keep the order."""
    runs = itertools.groupby(items, lambda item: item.get("role") == "assistant" or item.get("type") == "function_call")
    ordered = [sorted(run, key=lambda item: "role" not in item) if is_own else run for is_own, run in runs]
    return list(itertools.chain.from_iterable(ordered))


# Whole fields that differ, with the reason.
EXPLAINED = {
    "model": "named differently on the way to each",
    "stream": "false by default",
    "store": "we keep nothing at the provider",
    "include": "we ask for reasoning in a form that can be sent back",
    "metadata": "LiteLLM's own",
    "user": "LiteLLM's own",
}


def beside_litellm(binary):
    everything = list(cases())
    with provider() as (url, theirs):
        lines = [json.dumps({"kind": kind, "base": url, "request": request}) for kind, request in everything]
        script = pathlib.Path(__file__).parent / "support" / "litellm_requests.py"
        done = subprocess.run([LITELLM, script], input="\n".join(lines), capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr[-3000:]
    with gateway(binary) as (base, key, ours):
        for kind, request in everything:
            model = {"messages>chat": "groq/m", "messages>responses": "openai/m", "chat>messages": "anthropic/m"}[kind]
            if kind == "chat>messages":
                client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0)
                client.chat.completions.create(model=model, **request)
            else:
                client = anthropic.Anthropic(base_url=base, api_key=key, max_retries=0)
                # The SDK has no argument for some of them any more.
                client.messages.create(model=model, max_tokens=50, messages=request["messages"], extra_body=request)
    assert len(theirs) == len(ours) == len(everything), (len(theirs), len(ours))
    for (kind, request), (_, their), (_, our) in zip(everything, theirs, ours):
        their, our = ({name: item for name, item in usual(body).items() if name not in EXPLAINED} for body in (their, our))
        assert their == our, f"{kind}\nasked:   {json.dumps(request)}\nLiteLLM: {json.dumps(their)}\nwe:      {json.dumps(our)}"
    return len(everything)


def main(binary):
    with gateway(binary) as (base, key, asked):
        with_anthropic(base, key, asked, "groq/m", "functions.read:0")
        with_anthropic(base, key, asked, "openai/m", "call_1")
        with_openai(base, key, asked)
    count = beside_litellm(binary)
    print(f"three SDK conversations passed, and {count} requests are translated as LiteLLM does")


main(sys.argv[1])
