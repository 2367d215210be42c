"""Runs the command that was typed."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rembg_client.cli import keys
from rembg_client.cli.arguments import make_parser, options_of
from rembg_client.cli.removal import remove
from rembg_client.cli.show import print_facts
from rembg_client.client import Client
from rembg_client.errors import InvalidInput, NotAllowed, OutOfCredits, RembgError
from rembg_client.settings import DEFAULT_BASE_URL

FAILED, WRONG, STOPPED, INTERRUPTED = 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parsed = make_parser().parse_args(arguments)
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "remove": _remove, "usage": _usage, "models": _models, "login": _login, "logout": _logout, "mcp": _mcp,
    }  # fmt: skip
    try:
        return commands[parsed.command](parsed)
    except RembgError as error:
        for line in [error.message, *(f"  {problem.field}: {problem.message}" for problem in error.details)]:
            print(f"rmbg: {line}" if line is error.message else line, file=sys.stderr)
        return _exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the pipe has gone; flushing at exit would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _exit_code(error: RembgError) -> int:
    if isinstance(error, InvalidInput):
        return WRONG
    return STOPPED if isinstance(error, (NotAllowed, OutOfCredits)) else FAILED


def _base_url(parsed: argparse.Namespace) -> str:
    found: str | None = parsed.base_url or os.environ.get("REMBG_BASE_URL") or keys.saved_base_url()
    return (found or DEFAULT_BASE_URL).strip().rstrip("/")


def _client(parsed: argparse.Namespace, retries: int = 2) -> Client:
    """With the key of the environment, else that of the login; without either, anonymous."""
    base_url = _base_url(parsed)
    key = os.environ.get("REMBG_API_KEY") or keys.find_key(base_url)
    return Client(key, base_url=base_url, retries=retries)


def _remove(parsed: argparse.Namespace) -> int:
    # Retries are the runner's: they slow all requests down, not one.
    with _client(parsed, retries=0 if parsed.inputs != ["-"] else 2) as client:
        if "-" in parsed.inputs:
            return _pipe(client, parsed)
        return remove(client, parsed)


def _pipe(client: Client, parsed: argparse.Namespace) -> int:
    if parsed.inputs != ["-"] or parsed.dry_run or parsed.watch:
        raise InvalidInput("- is the only input where it is one, without --dry-run and --watch")
    if parsed.out is None and sys.stdout.isatty():
        raise InvalidInput("The result is an image: send it to a file or a program, or name one with --out")
    output = sys.stdout.buffer if parsed.out in (None, "-") else Path(parsed.out)
    client.remove_background(sys.stdin.buffer, output, **options_of(parsed))
    with contextlib.suppress(ValueError):
        sys.stdout.flush()
    return 0


def _usage(parsed: argparse.Namespace) -> int:
    with _client(parsed) as client:
        usage = client.membership_usage(billing_cycle=True)
    facts = asdict(usage) if parsed.as_json else {
        "plan": usage.membership, "credits left": usage.remaining, "of which prepaid": usage.prepaid_credits,
        "used by the API": usage.api_usage, "used by the app": usage.app_usage,
    }  # fmt: skip
    print_facts({**facts, "remaining": usage.remaining} if parsed.as_json else facts, as_json=parsed.as_json)
    return 0


def _models(parsed: argparse.Namespace) -> int:
    with _client(parsed) as client:
        rows = client.models()
    if parsed.as_json:
        print_facts(rows, as_json=True)
        return 0
    for row in rows:
        name, *others = (str(value) for value in row.values())
        print(f"{name}  {' · '.join(others)}")
    return 0


def _login(parsed: argparse.Namespace) -> int:
    base_url = _base_url(parsed)
    key = (getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    with Client(key, base_url=base_url) as client:
        usage = client.membership_usage()
    place = keys.save_key(base_url, key)
    print(f"Logged in at {base_url}, plan {usage.membership}. The key is in {place}.")
    return 0


def _logout(parsed: argparse.Namespace) -> int:
    keys.forget_key(_base_url(parsed))
    return 0


def _mcp(parsed: argparse.Namespace) -> int:
    try:
        from rembg_client.mcp_server import serve
    except ImportError as error:
        raise InvalidInput(f"The MCP server needs more packages: pip install 'rembg-client[mcp]' ({error})") from error
    serve(_base_url(parsed), os.environ.get("REMBG_API_KEY") or keys.find_key(_base_url(parsed)),
          folders=[Path(folder) for folder in parsed.allow], transport=parsed.transport, port=parsed.port)  # fmt: skip
    return 0
