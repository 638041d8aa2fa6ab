"""Every answer of the server against the protocol's own wire types, for every revision."""

import json
import subprocess
import sys

import jsonschema
from support.common import KEY, OTHER_KEY, THIRD_KEY, home
from mcp_types.methods import validate_server_result

LEGACY = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
MODERN = ["2026-07-28"]


class Wire:
    """One line of JSON out, one line of JSON in."""

    def __init__(self, binary, environment, revision):
        self.revision = revision
        self.process = subprocess.Popen(
            [binary, "serve"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.id = 0

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def ask(self, method, **params):
        """The answer to a request; its result is checked against the revision's wire type."""
        if self.revision in MODERN and method != "initialize":
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": self.revision,
                "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}},
                "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
                **params.get("_meta", {}),
            }
        self.id += 1
        self.send({"id": self.id, "method": method, "params": params})
        while True:
            message = json.loads(self.process.stdout.readline())
            if message.get("id") == self.id and "method" not in message:
                break
        if "result" in message:
            validate_server_result(method, self.revision, message["result"])
        return message

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=10) == 0


def check(binary, revision):
    with home() as (path, environment):
        wire = Wire(binary, environment, revision)
        if revision in LEGACY:
            greeting = wire.ask(
                "initialize",
                protocolVersion=revision,
                capabilities={},
                clientInfo={"name": "wire", "version": "1"},
            )["result"]
            assert greeting["protocolVersion"] == revision
            assert greeting["serverInfo"]["name"] == "api-keys"
            wire.send({"method": "notifications/initialized"})
            wire.ask("ping")
        else:
            assert revision in wire.ask("server/discover")["result"]["supportedVersions"]
        tools = {tool["name"]: tool for tool in wire.ask("tools/list")["result"]["tools"]}
        for tool in tools.values():
            for schema in (tool["inputSchema"], tool["outputSchema"]):
                jsonschema.Draft202012Validator.check_schema(schema)
                assert schema["type"] == "object"
                assert not {"oneOf", "anyOf", "allOf"} & set(schema), tool["name"]
                assert "$ref" not in json.dumps(schema), tool["name"]
            assert tool["title"] == tool["annotations"]["title"]
            hints = {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
            assert hints <= set(tool["annotations"])

        def call(tool, **arguments):
            result = wire.ask("tools/call", name=tool, arguments=arguments)["result"]
            if "structuredContent" in result:
                jsonschema.validate(result["structuredContent"], tools[tool]["outputSchema"])
                assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
                assert KEY not in json.dumps(result)
            return result

        def good(tool, **arguments):
            result = call(tool, **arguments)
            assert not result.get("isError"), result
            return result["structuredContent"]

        def bad(code, tool, **arguments):
            result = call(tool, **arguments)
            assert result.get("isError") is True, result
            error = result["structuredContent"]["error"]
            assert error["code"] == code and error["message"] and error["hint"], error

        assert good("list_api_keys")["vault"]["state"] == "absent"
        added = good("add_api_key", provider="stand-in", api_key=KEY, label="work")
        assert added["replaced"] is False and added["warnings"]
        assert good("list_api_keys")["total_count"] == 1
        assert good("validate_key", provider="stand-in", label="work")["status"] == "valid"
        assert good("validate_key", provider="stand-in", api_key="sk-unknown-0123456789")["is_valid"] is False
        rotated = good("rotate_key", provider="stand-in", label="work", new_api_key=OTHER_KEY)
        assert rotated["key"]["key_id"] == added["key"]["key_id"]
        assert rotated["key"]["rotation_count"] == 1
        bad("key_unchanged", "rotate_key", provider="stand-in", label="work", new_api_key=OTHER_KEY)
        assert good("validate_all_keys")["valid"] == 1
        bad("unknown_provider", "add_api_key", provider="nobody", api_key=KEY)
        bad("malformed_key", "add_api_key", provider="stand-in", api_key="sk-...")
        bad("invalid_argument", "add_api_key", provider="stand-in", api_key=THIRD_KEY, colour="red")
        bad("invalid_argument", "list_api_keys", include_metadata="yes")
        bad("key_not_found", "remove_api_key", provider="stand-in", label="home")
        bad("key_in_wrong_place", "add_api_key", provider="stand-in", label="sk-ant-api03-0123456789abcdefghij")
        assert good("remove_api_key", provider="stand-in", label="work")["removed"] is True
        assert wire.ask("tools/call", name="nothing", arguments={})["error"]["code"] == -32602
        if revision in LEGACY:
            bad("key_required", "add_api_key", provider="stand-in")
        else:
            assert call("add_api_key", provider="stand-in")["resultType"] == "input_required"
        wire.ask("resources/list")
        wire.ask("resources/templates/list")
        read = wire.ask("resources/read", uri="api://providers")["result"]["contents"][0]
        assert read["mimeType"] == "application/json" and json.loads(read["text"])["providers"]
        prompts = wire.ask("prompts/list")["result"]["prompts"]
        for prompt in prompts:
            filled = {argument["name"]: "7" for argument in prompt["arguments"]}
            for arguments in ({}, filled):
                got = wire.ask("prompts/get", name=prompt["name"], arguments=arguments)["result"]
                text = got["messages"][0]["content"]["text"]
                assert text.count('"7"') == len(arguments) and "$" not in text, text
            for argument in prompt["arguments"]:
                reference = {"type": "ref/prompt", "name": prompt["name"]}
                wire.ask("completion/complete", ref=reference, argument={"name": argument["name"], "value": ""})
        assert wire.ask("prompts/get", name="nothing")["error"]["code"] == -32602
        wire.close()
    print(f"wire: {revision} is good")


if __name__ == "__main__":
    for revision in LEGACY + MODERN:
        check(sys.argv[1], revision)
