"""The flags of `rmbg`. Those of an image's options come from the table in `rembg_client.options`."""

from __future__ import annotations

import argparse
from typing import Any

from rembg_client.options import ROWS, Option
from rembg_client.version import __version__

DEFAULT_PARALLEL = 4


def make_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="rmbg",
        description="Remove the backgrounds of images.",
        epilog="REMBG_API_KEY is the key, REMBG_BASE_URL the server; or log in once. Exit codes: 0 all done, 1 some images "
        "failed, 2 wrong arguments, 3 stopped by the server (key, credits), 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"rmbg {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_remove(commands.add_parser("remove", help="remove the backgrounds of files, folders, addresses or standard input"))
    for name, text in (("usage", "plan, credits and usage"), ("models", "the models that the server offers")):
        _add_server(commands.add_parser(name, help=text), as_json=True)
    _add_server(commands.add_parser("login", help="keep a key; it is asked for, or read from standard input"))
    _add_server(commands.add_parser("logout", help="forget the key"))
    _add_mcp(commands.add_parser("mcp", help="serve tools to an assistant, by the Model Context Protocol"))
    return parser


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of an image that were given."""
    found = {name: getattr(arguments, name) for name in (*ROWS, "bg_image")}
    return {name: value for name, value in found.items() if value is not None}


def _add_remove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="IN", help="a file, a folder, an address, or - for standard input")
    parser.add_argument(
        "-o", "--out", metavar="DIR", help="the folder of the results; a file for one image; - for standard output"
    )
    parser.add_argument(
        "--name", default="{stem}.{ext}", help="name of a result, of {stem}, {name} and {ext} (default: %(default)s)"
    )
    parser.add_argument(
        "--pattern", default="", help="which files of a folder, such as '*.jpg' (default: all that the server takes)"
    )
    parser.add_argument("--no-recursive", dest="recursive", action="store_false", help="leave out the folders in a folder")
    parser.add_argument("-j", "--parallel", type=_count, default=DEFAULT_PARALLEL, metavar="N",
                        help="images at once, fewer where the plan allows fewer (default: %(default)s)")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done; nothing is sent")
    parser.add_argument("--force", action="store_true", help="do everything again, and pay for it again")
    parser.add_argument("--retry-failed", action="store_true", help="send images again that the server refused before")
    parser.add_argument(
        "--watch", action="store_true", help="go on: send what appears or changes in the folders, until Ctrl-C"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    _add_server(parser, as_json=True)
    group = parser.add_argument_group("options of the result")
    for option in ROWS.values():
        _add_option(group, option)
    group.add_argument("--bg-image", metavar="FILE", help="an image to lay behind the subject: a file, or its address")


def _add_option(group: Any, option: Option) -> None:
    flag, text = "--" + option.name.replace("_", "-"), option.help.replace("%", "%%")
    if option.kind is bool:
        group.add_argument(flag, dest=option.name, action=argparse.BooleanOptionalAction, help=text)
    elif option.choices:
        group.add_argument(flag, dest=option.name, type=str.lower, choices=option.choices, help=text)
    else:
        group.add_argument(flag, dest=option.name, type=option.kind, metavar=option.kind.__name__.upper(), help=text)


def _add_mcp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--allow", action="append", metavar="DIR", required=True,
                        help="a folder in which tools may read and write; repeat it for more")  # fmt: skip
    parser.add_argument("--transport", choices=("stdio", "http"), default="stdio")
    parser.add_argument(
        "--port", type=int, default=8765, help="of --transport http, on this machine only (default: %(default)s)"
    )
    _add_server(parser)


def _add_server(parser: argparse.ArgumentParser, *, as_json: bool = False) -> None:
    parser.add_argument("--base-url", help="the server (default: REMBG_BASE_URL, else that of the last login)")
    if as_json:
        parser.add_argument("--json", dest="as_json", action="store_true", help="JSON, for scripts")


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError("must be between 1 and 64")
    return number
