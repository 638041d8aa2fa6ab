"""The official Python SDK drives the server in its three modes."""

import json
import sys
import threading
import warnings

import anyio
import mcp_types as types
from support.common import KEY, OTHER_KEY, THIRD_KEY, command, home, nowhere, type_on_page
from mcp import Client, MCPError, StdioServerParameters

MODES = ["legacy", "auto", "2026-07-28"]
TOOLS = """add_api_key remove_api_key rotate_key list_api_keys validate_key validate_all_keys get_usage estimate_cost
    check_budget track_request route_request get_routing_recommendations get_provider_stats""".split()
RESOURCES = ["api://providers", "api://routing", "api://usage"]


class Person:
    """Answers elicitations: types a key on the page, or says no."""

    def __init__(self):
        self.action, self.secret, self.asked, self.pages = "accept", None, [], []

    async def __call__(self, _context, params):
        assert isinstance(params, types.ElicitRequestURLParams), "a secret is never asked for in a form"
        self.asked.append(params)
        if self.action == "accept" and self.secret:
            # As a browser would: beside the client, which goes on at once.
            threading.Thread(target=lambda: self.pages.append(type_on_page(params.url, self.secret))).start()
        return types.ElicitResult(action=self.action)


async def check(binary, mode):
    person = Person()
    progress = []

    async def on_progress(done, total, message):
        progress.append((done, total))

    heard = []

    async def on_message(message):
        heard.append(message)

    with home() as (path, environment):
        server = StdioServerParameters(command=binary, args=["serve"], env=environment)
        async with Client(server, mode=mode, elicitation_callback=person, message_handler=on_message) as client:
            expected = "2025-11-25" if mode == "legacy" else "2026-07-28"
            assert client.protocol_version == expected, client.protocol_version
            tools = (await client.list_tools()).tools
            names = [tool.name for tool in tools]
            assert sorted(names) == sorted(TOOLS), names
            resources = (await client.list_resources()).resources
            assert sorted(str(resource.uri) for resource in resources) == RESOURCES, resources
            if mode in ("legacy", "auto"):
                # A client pinned to a revision without a handshake asks nobody who is there.
                assert client.server_info.title == "API Key Manager"
                assert len(client.instructions) < 1500
                assert all(name in client.instructions for name in names)

            async def good(tool, **arguments):
                result = await client.call_tool(tool, arguments, progress_callback=on_progress)
                assert not result.is_error, result
                return result.structured_content

            async def bad(tool, **arguments):
                result = await client.call_tool(tool, arguments)
                assert result.is_error, result
                return result.structured_content["error"]

            # A key comes in over the page, and the model's side never sees it.
            person.secret = KEY
            added = await good("add_api_key", provider="stand-in", label="work")
            asked = person.asked.pop()
            assert asked.url.startswith("http://127.0.0.1:")
            with anyio.fail_after(10):
                while not person.pages:
                    await anyio.sleep(0.01)
            status, page = person.pages.pop()
            assert status == 200 and "The key is stored" in page
            assert KEY not in json.dumps(added) and added["key"]["exposed"] is False
            assert (await good("validate_key", provider="stand-in", label="work"))["status"] == "valid"

            person.secret = OTHER_KEY
            rotated = await good("rotate_key", provider="stand-in", label="work")
            assert rotated["key"]["rotation_count"] == 1

            # Nobody declines so soon: it was a client without anybody in front of it.
            person.action = "decline"
            refused = await bad("add_api_key", provider="stand-in")
            assert refused["code"] == "key_required" and "api-keys add stand-in" in refused["hint"]
            person.action = "cancel"
            refused = await bad("add_api_key", provider="stand-in")
            assert refused["code"] == "key_required" and "api-keys add stand-in" in refused["hint"]

            # A key in the chat is stored, and told to be exposed.
            exposed = await good("add_api_key", provider="stand-in", label="chat", api_key=THIRD_KEY)
            assert exposed["key"]["exposed"] is True and exposed["warnings"]

            progress.clear()
            assert (await good("validate_all_keys"))["total"] == 2
            assert progress and progress[-1][0] == progress[-1][1], progress

            assert (await bad("add_api_key", provider="nobody"))["code"] == "unknown_provider"
            try:
                await client.call_tool("nothing", {})
                raise AssertionError("an unknown tool is a protocol error")
            except MCPError as error:
                assert error.error.code == -32602

            read = (await client.read_resource("api://providers")).contents[0]
            assert json.loads(read.text)["providers"]
            await usage(good, bad, client)
            await routing(good, bad, client)
            await changes(client, binary, environment, heard)
            await good("remove_api_key", provider="stand-in", label="chat")
        for key in (KEY, OTHER_KEY, THIRD_KEY):
            nowhere(key, path)
    print(f"python sdk: {mode} is good")


async def usage(good, bad, client):
    """What was used is counted once, costed, grouped and shown as a resource."""
    request = {"provider": "openai", "model": "gpt-5-mini", "input_tokens": 1000, "output_tokens": 200}
    first = await good("track_request", **request, request_id="r-1", task_type="chat")
    assert first["priced"] and first["cost_usd"] > 0 and first["duplicate"] is False
    assert (await good("track_request", **request, request_id="r-1"))["duplicate"] is True
    assert (await good("track_request", **{**request, "model": "no-such-model"}))["cost_usd"] is None
    assert (await bad("track_request", **{**request, "input_tokens": -1}))["code"] == "invalid_argument"
    report = await good("get_usage", group_by="model")
    assert report["totals"]["requests"] == 2 and report["totals"]["unpriced_requests"] == 1
    assert (await good("check_budget"))["daily"]["spent_usd"] == first["cost_usd"]
    estimate = await good("estimate_cost", **request, compare=True)
    assert estimate["cost"]["total_usd"] == first["cost_usd"] and len(estimate["alternatives"]) > 5
    read = (await client.read_resource("api://usage")).contents[0]
    assert json.loads(read.text)["today"]["requests"] == 2


async def routing(good, bad, client):
    """A request finds its way, with the verdict on every candidate; a provider that fails is passed over."""
    assert (await bad("route_request", task_type="cooking"))["code"] == "invalid_argument"
    nowhere_to_go = await bad("route_request", task_type="chat", preferred_provider="openai", enable_fallback=False)
    assert nowhere_to_go["code"] == "no_route" and nowhere_to_go["considered"][0]["verdict"] == "no_key"
    route = await good("route_request", task_type="chat", model="a-model", preferred_provider="stand-in")
    assert (route["provider"], route["model"], route["is_fallback"]) == ("stand-in", "a-model", False), route
    limited = {"provider": "stand-in", "model": "a-model", "input_tokens": 1, "output_tokens": 0, "success": False}
    for label in ("work", "chat"):
        await good("track_request", **limited, label=label, status_code=429, retry_after_seconds=600)
    stats = await good("get_provider_stats", provider="stand-in")
    assert stats["providers"][0]["health"]["circuit"] == "open" and stats["available_providers"] == 0
    advice = await good("get_routing_recommendations")
    assert any(note["type"] == "provider_failing" and note["fix"] for note in advice["warnings"]), advice
    read = (await client.read_resource("api://routing")).contents[0]
    assert len(json.loads(read.text)["decisions"]) == 7


async def changes(client, binary, environment, heard):
    """Another process changes the vault, and the subscriber hears of it."""

    def other_process():
        command(binary, environment, "add", "stand-in", "--label", "other", "--stdin", stdin=KEY + "\n")

    if client.protocol_version >= "2026-07-28":
        with anyio.fail_after(20):
            async with client.listen(resource_subscriptions=["api://providers"]) as events:
                await anyio.to_thread.run_sync(other_process)
                async for event in events:
                    assert event.uri == "api://providers"
                    break
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await client.subscribe_resource("api://providers")
            await anyio.to_thread.run_sync(other_process)
            with anyio.fail_after(20):
                while not any(isinstance(news, types.ResourceUpdatedNotification) for news in heard):
                    await anyio.sleep(0.01)
            await client.unsubscribe_resource("api://providers")
    command(binary, environment, "remove", "stand-in:other")


if __name__ == "__main__":
    for mode in MODES:
        anyio.run(check, sys.argv[1], mode)
