"""Sends the requests on standard input through LiteLLM, in its own environment: lines of `{kind, base, request}`."""

import asyncio
import json
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm  # noqa: E402

# What LiteLLM calls the providers that it speaks these formats with.
MODELS = {
    "messages>chat": "hosted_vllm/m",
    "messages>responses": "openai/m",
    "chat>messages": "anthropic/m",
}


async def main():
    litellm.telemetry = False
    for line in sys.stdin:
        case = json.loads(line)
        request = {**case["request"], "model": MODELS[case["kind"]], "api_key": "none"}
        if case["kind"] == "chat>messages":
            await litellm.acompletion(api_base=case["base"], **request)
        else:
            await litellm.anthropic_messages(api_base=f"{case['base']}/v1", **request)


asyncio.run(main())
