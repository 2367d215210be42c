"""Drives our MCP server with the SDK's own client. Runs in the environment of `environment.py`, without the suite.

Usage: mcp_session.py TRANSPORT TARGET CALLS. CALLS is JSON, `[[tool, arguments], …]`; what it prints is JSON too: the tools,
and for each call its structured content or the text of its error.
"""

import asyncio
import json
import os
import sys

from mcp import Client, StdioServerParameters


async def main(transport: str, target: str, calls: list) -> None:
    """Connect, list the tools, call each."""
    if transport == "stdio":
        command = json.loads(target)
        server: object = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
    else:
        server = target
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        listed = {tool.name: {"schema": tool.input_schema, "annotations": tool.annotations.model_dump()} for tool in tools}
        outcomes = []
        for name, arguments in calls:
            result = await client.call_tool(name, arguments)
            outcomes.append({"error": result.content[0].text} if result.is_error else result.structured_content)
    sys.stdout.write(json.dumps({"tools": listed, "outcomes": outcomes}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
