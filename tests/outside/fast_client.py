"""The fastmcp client builds types from the output schemas, and fills them with results."""

import asyncio
import sys

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError
from support.common import KEY, home


async def check(binary):
    with home() as (_, environment):
        async with Client(StdioTransport(binary, ["serve"], env=environment)) as client:
            added = (await client.call_tool("add_api_key", {"provider": "stand-in", "api_key": KEY})).data
            assert added.key.provider == "stand-in" and added.key.expires_at is None and added.error is None
            listed = (await client.call_tool("list_api_keys", {})).data
            assert listed.total_count == 1 and listed.keys[0].masked and KEY not in str(listed)
            assert (await client.call_tool("validate_key", {"provider": "stand-in"})).data.is_valid is True
            try:
                await client.call_tool("remove_api_key", {"provider": "stand-in", "label": "none"})
                raise AssertionError("a failure is an error")
            except ToolError as error:
                assert "key_not_found" in str(error)
    print("fastmcp is good")


if __name__ == "__main__":
    asyncio.run(check(sys.argv[1]))
