"""What both clients are made with."""

from __future__ import annotations

import os
import ssl

import httpx

from rembg_client.calls import Limits
from rembg_client.errors import InvalidInput
from rembg_client.exchange import Deadline
from rembg_client.version import __version__

DEFAULT_BASE_URL = "http://127.0.0.1:8000"
DEFAULT_TIMEOUT = 600.0
DEFAULT_RETRIES = 2


class Settings:
    """Where the server is, who calls, and for how long.

    `api_key` is by default `REMBG_API_KEY`, and without that calls are anonymous. `user_token` is a signed-in user's token,
    in place of a key. `base_url` is by default `REMBG_BASE_URL`, else a server on this machine. `timeout` is in seconds, for
    a whole call with all its tries; None for no limit. `retries` is how often a try that failed for a passing reason is
    repeated. Raises InvalidInput for a key or an address that cannot be used.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        user_token: str | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        retries: int = DEFAULT_RETRIES,
    ) -> None:
        self.base_url = _address(base_url or os.environ.get("REMBG_BASE_URL") or DEFAULT_BASE_URL)
        self.timeout, self.retries = timeout, retries
        self.headers = {"user-agent": f"rembg-client/{__version__}", **_credentials(api_key, user_token)}

    def limits(self, timeout: float | None = None) -> Limits:
        """For one call, which begins now. `timeout` in place of the client's, in seconds."""
        return Limits(Deadline(self.timeout if timeout is None else timeout), self.retries)

    def verification(self) -> ssl.SSLContext | bool:
        """What httpx verifies servers with. Reading all authorities takes 50 ms; without https, none is trusted instead."""
        return True if self.base_url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _address(base_url: str) -> str:
    try:
        url = httpx.URL(base_url.strip().rstrip("/"))
    except httpx.InvalidURL as error:
        raise InvalidInput(f"base_url is not an http(s) address: {base_url}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidInput(f"base_url is not an http(s) address: {base_url}")
    return str(url)


def _credentials(api_key: str | None, user_token: str | None) -> dict[str, str]:
    """A credential is a header, and nothing else."""
    if api_key is None and user_token is None:
        # An empty variable is one that was not set.
        api_key = os.environ.get("REMBG_API_KEY") or None
    if api_key is not None and user_token is not None:
        raise InvalidInput("api_key and user_token cannot be used together")
    if api_key is not None:
        return {"x-api-key": _header("api_key", api_key)}
    return {} if user_token is None else {"authorization": f"Bearer {_header('user_token', user_token)}"}


def _header(name: str, value: str) -> str:
    # A key that was read from a file ends in a line feed.
    text = value.strip()
    if not text:
        raise InvalidInput(f"{name} is empty; leave it out to call anonymously")
    if not all("!" <= letter <= "~" for letter in text):
        raise InvalidInput(f"{name} holds what a header cannot hold")
    return text
