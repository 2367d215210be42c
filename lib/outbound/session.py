"""A session of `requests` whose connections `lib.outbound.client` makes: for libraries that speak `requests`.

Everything has one deadline, answers have a largest size, redirects are refused, and neither the environment's proxies nor
its .netrc are used.
"""

import io
from collections.abc import Callable, Collection, Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from lib.outbound import client

# The answers that are read this way are small documents in JSON.
MAX_BYTES = 1024 * 1024
ANY_PORT = range(1, 65536)


class Transport(BaseAdapter):
    """Sends a prepared request. `seconds` is for the whole of it; `trusted_hosts` may have any address."""

    def __init__(self, *, seconds: float, trusted_hosts: Collection[str] = ()) -> None:
        super().__init__()
        self.seconds, self.trusted_hosts = seconds, trusted_hosts

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """The complete response. Raises requests' own exceptions."""
        body = request.body.encode() if isinstance(request.body, str) else request.body
        answered = io.BytesIO()
        try:
            answer = client.send(
                str(request.method),
                str(request.url),
                ports=ANY_PORT,
                seconds=self.seconds,
                headers=request.headers,
                body=body,
                trusted_hosts=self.trusted_hosts,
                receive=lambda answer: _bounded(answered),
            )
        except client.TooSlow as error:
            raise requests.Timeout(request=request) from error
        except client.OutboundError as error:
            raise requests.ConnectionError(error.reason or type(error).__name__, request=request) from error
        answered.seek(0)
        response = requests.Response()
        response.status_code, response.url = answer.status, str(request.url)
        response.request, response.raw = request, answered
        response.headers = CaseInsensitiveDict(answer.headers.items())
        response.encoding = get_encoding_from_headers(response.headers)
        return response

    def close(self) -> None:
        """Nothing stays open between requests."""


def _bounded(answered: io.BytesIO) -> Callable[[bytes], None]:
    def take(piece: bytes) -> None:
        if answered.tell() + len(piece) > MAX_BYTES:
            raise client.Unreachable("its answer is too long")
        answered.write(piece)

    return take


def make_session(*, seconds: float, trusted_hosts: Collection[str] = ()) -> requests.Session:
    """A session for a few requests to one service, `seconds` for each."""
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    session.headers.clear()
    transport = Transport(seconds=seconds, trusted_hosts=trusted_hosts)
    session.mount("http://", transport)
    session.mount("https://", transport)
    return session
