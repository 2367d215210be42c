"""An MCP server: tools for an assistant. It reads and writes in the folders that it was given, and nowhere else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations
from pydantic import Field

from rembg_client.async_client import AsyncClient
from rembg_client.errors import InvalidInput, RembgError
from rembg_client.options import ROWS, Option
from rembg_client.version import __version__

HOST = "127.0.0.1"
INSTRUCTIONS = """Removes the background of an image: path or address in, file out. Each image costs one credit; `usage`
says how many are left. Files are read and written in these folders only: {folders}"""


def make_server(base_url: str, api_key: str | None, folders: Sequence[Path]) -> MCPServer[Any]:
    """The server with its tools. Raises InvalidInput for a folder that is not there."""
    tools = Tools(AsyncClient(api_key, base_url=base_url), Folders(folders))
    instructions = INSTRUCTIONS.format(folders=", ".join(map(str, tools.folders.allowed)))
    writes = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True)
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=True)
    made = [
        _strict(Tool.from_function(_with_options(tools.remove_background), name="remove_background", annotations=writes)),
        _strict(Tool.from_function(tools.usage, annotations=reads)),
        _strict(Tool.from_function(tools.models, annotations=reads)),
    ]
    return MCPServer("rmbg", instructions=instructions, version=__version__, tools=made, log_level="WARNING")


def serve(
    base_url: str,
    api_key: str | None,
    *,
    folders: Sequence[Path],
    transport: Literal["stdio", "http"] = "stdio",
    port: int = 8765,
) -> None:
    """Serve until it is stopped: on standard input and output, or by streamable HTTP for programs on this machine."""
    server = make_server(base_url, api_key, folders)
    if transport == "http":
        server.run("streamable-http", host=HOST, port=port)
    else:
        server.run("stdio")


class Folders:
    """The folders in which files may be read and written. Links are followed first, so that none leads out of them."""

    def __init__(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise InvalidInput(f"There is no folder {folder}")
        self.allowed = [folder.resolve() for folder in folders]

    def find(self, path: str) -> Path:
        """The file itself, of a path from the first folder or an absolute one. Raises ToolError outside of the folders."""
        found = (self.allowed[0] / Path(path).expanduser()).resolve()
        if not any(found.is_relative_to(folder) for folder in self.allowed):
            raise ToolError(f"{path} is outside of the allowed folders: {', '.join(map(str, self.allowed))}")
        return found


class Tools:
    """What the assistant may call."""

    def __init__(self, client: AsyncClient, folders: Folders) -> None:
        self._client, self.folders = client, folders

    async def remove_background(
        self, image: str, output: str, overwrite: bool = False, bg_image: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """Remove the background of an image and write the result to a file. Costs one credit."""
        source = self._source(image)
        target = self.folders.find(output)
        if target.exists() and not overwrite:
            raise ToolError(f"{output} is there already; choose another name, or set overwrite")
        if "format" not in options and target.suffix:
            options["format"] = target.suffix[1:].lower()
        behind = None if bg_image is None else self._source(bg_image)
        cutout = await _told(self._client.remove_background(source, target, bg_image=behind, **options))
        return {
            "output": str(target), "width": cutout.width, "height": cutout.height, "media_type": cutout.media_type,
            "credits_charged": cutout.credits_charged, "model": cutout.model,
        }  # fmt: skip

    def _source(self, image: str) -> str | Path:
        return image if image.lower().startswith(("http://", "https://")) else self.folders.find(image)

    async def usage(self) -> dict[str, Any]:
        """Plan, credits that are left, and usage of this account."""
        usage = await _told(self._client.membership_usage(billing_cycle=True))
        return {**asdict(usage), "remaining": usage.remaining}

    async def models(self) -> dict[str, Any]:
        """The models that the server offers."""
        return {"models": await _told(self._client.models())}


async def _told(call: Any) -> Any:
    """The call's result; its error in words that the assistant can act on."""
    try:
        return await call
    except RembgError as error:
        problems = [f"{problem.field}: {problem.message}" for problem in error.details]
        raise ToolError("; ".join([f"{error.message} ({error.code})", *problems])) from error


def _strict(tool: Tool) -> Tool:
    """The tool, refusing arguments that it does not have: left out silently, a misspelt option would cost a credit."""
    known = tool.fn_metadata.arg_model
    tool.fn_metadata.arg_model = type(known.__name__, (known,), {"__module__": __name__}, extra="forbid")
    tool.parameters = tool.fn_metadata.arg_model.model_json_schema(by_alias=True)
    return tool


def _with_options(remove: Callable[..., Any]) -> Callable[..., Any]:
    """The tool with an argument for each option: the SDK reads a function's signature."""

    async def tool(**arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = await remove(**{name: value for name, value in arguments.items() if value is not None})
        return found

    image = Annotated[str, Field(description="path of the image, or its http(s) address")]
    output = Annotated[str, Field(description="path of the result; its extension is the format, unless one is given")]
    overwrite = Annotated[bool, Field(description="replace a file that is there")]
    behind = Annotated[str | None, Field(description="image to lay behind the subject: its path, or its http(s) address")]
    kind = inspect.Parameter.KEYWORD_ONLY
    own = [
        inspect.Parameter("image", kind, annotation=image),
        inspect.Parameter("output", kind, annotation=output),
        inspect.Parameter("overwrite", kind, annotation=overwrite, default=False),
    ]
    background = inspect.Parameter("bg_image", kind, annotation=behind, default=None)
    parameters = [*own, *map(_parameter, ROWS.values()), background]
    tool.__signature__ = inspect.Signature(parameters, return_annotation=dict[str, Any])  # type: ignore[attr-defined]
    tool.__doc__ = remove.__doc__
    return tool


def _parameter(option: Option) -> inspect.Parameter:
    annotation = Annotated[option.declared, Field(description=option.help)]  # type: ignore[name-defined]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)
