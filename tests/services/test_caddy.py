"""The shipped proxy in front of the product: slow clients are bounded through it, honest ones are served."""

import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.conftest import skip_or_fail
from tests.imaging.removal.forms import form
from tests.services.caddy import SECOND, Caddy, configuration
from tests.services.deployment import Deployment
from tests.services.slow_clients import MODES, exchange, head, is_served, modes_given_up, read_answer, slow_clients

pytestmark = pytest.mark.services

MEGABYTE = 1024**2


@dataclass
class Proxied:
    """A deployment and the address of its proxy."""

    deployment: Deployment
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Proxied]:
    """Two web processes behind Caddy. The server's deadlines are short, and so is the proxy's for headers."""
    if shutil.which("caddy") is None:
        skip_or_fail("caddy is not installed")
    folder = tmp_path_factory.mktemp("caddy")
    running = Deployment(
        folder, model_seconds=0, TRUSTED_PROXY_COUNT="1", WEB_PROCESSES="2", REDIS_URL=redis_url, WEB_KEEPALIVE_SECONDS="60",
        WEB_STALL_SECONDS="2", WEB_DRAIN_SECONDS="1", TRUST_X_FORWARDED_PROTO="1",
    )  # fmt: skip
    running.start()
    proxy = Caddy(folder, running.port, header_seconds=2)
    try:
        proxy.start()
        yield Proxied(running, proxy.port)
    finally:
        proxy.stop()
        running.stop()


def is_answered(proxied: Proxied) -> bool:
    """Whether an honest caller gets a page."""
    try:
        return requests.get(f"{proxied.url}/status.json", timeout=8).ok
    except requests.RequestException:
        return False


def test_every_deadline_is_set():
    if shutil.which("caddy") is None:
        skip_or_fail("caddy is not installed")
    server = configuration(8080, 8000)["apps"]["http"]["servers"]["srv0"]
    assert server["read_header_timeout"] == 15 * SECOND
    for name in ("read_timeout", "write_timeout", "idle_timeout"):
        assert 0 < server[name] <= 30 * 60 * SECOND


@pytest.mark.parametrize("mode", MODES)
def test_200_slow_clients_keep_no_caller_waiting(proxied, mode):
    with slow_clients(proxied.port, mode, 200) as clients:
        for pause in (0.3, 0.3, 0):
            clients.dribble()
            assert is_answered(proxied)
            time.sleep(pause)
    assert is_served(proxied.deployment.url), "neither is who asks the server itself"


# Of a body of less than 256 kB, Caddy reads the rest itself after responding, until its own deadline.
GIVEN_UP = ("headers", "body with a wrong key", "upload without a key")


@pytest.fixture(scope="module")
def given_up(proxied: Proxied) -> set[str]:
    """The modes of which the proxy ends every client: all wait for their deadlines at the same time."""
    return modes_given_up(proxied.port, GIVEN_UP, 15)


@pytest.mark.parametrize("mode", GIVEN_UP)
def test_a_slow_client_is_given_up(given_up, mode):
    assert mode in given_up


@pytest.mark.parametrize(("path", "megabytes"), [("/accounts/login/", 6), ("/rmbg", 320)])
def test_a_body_that_is_too_large_is_cut_off(proxied, path, megabytes):
    is_cut = False
    with socket.create_connection(("127.0.0.1", proxied.port), timeout=20) as connection:
        connection.sendall(head("POST", path, "Transfer-Encoding: chunked", "Content-Type: text/plain"))
        try:
            for _ in range(megabytes):
                connection.sendall(b"100000\r\n" + bytes(MEGABYTE) + b"\r\n")
            connection.sendall(b"0\r\n\r\n")
            answer = read_answer(connection)
            is_cut = answer.status in (0, 413, 502)
        except OSError:
            is_cut = True
    assert is_cut
    assert is_answered(proxied)


def test_honest_calls_work_as_without_it(proxied, small_png):
    key = proxied.deployment.issue_key("proxied@example.com")
    body = form(small_png)
    headers = {"x-api-key": key, "Content-Type": body["content_type"]}
    for data in body["data"], iter([body["data"]]):  # with a length, and chunked
        answer = requests.post(f"{proxied.url}/rmbg", data, headers=headers, timeout=30)
        assert answer.status_code == 200
    large = form(bytes(51 * MEGABYTE))
    headers["Content-Type"] = large["content_type"]
    answer = requests.post(f"{proxied.url}/rmbg", large["data"], headers=headers, timeout=60)
    assert answer.json()["error"] == "File size (51.0 MB) exceeds the maximum allowed size of 50 MB."
    assert exchange(proxied.port, head("GET", "/metrics", "Connection: close")).status == 404
