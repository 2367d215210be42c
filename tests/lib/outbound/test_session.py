"""A session of `requests` over our own connections."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from lib.outbound import session as outbound_session
from lib.outbound.session import make_session


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent; `/redirect` leads elsewhere."""

    def do_GET(self) -> None:
        self.answer(302 if self.path == "/redirect" else 200, b'{"path": "' + self.path.encode() + b'"}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, f"{self.headers['Content-Type']} {self.headers.get('Authorization')} ".encode() + body)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def make_trusting(seconds: float = 10) -> requests.Session:
    return make_session(seconds=seconds, trusted_hosts=["127.0.0.1"])


def test_what_libraries_use_works(url):
    with make_trusting() as session:
        answer = session.get(f"{url}/a?b=c")
        assert (answer.status_code, answer.ok, answer.json(), answer.url) == (200, True, {"path": "/a?b=c"}, f"{url}/a?b=c")
        sent = session.post(url, data={"code": "ä"}, headers={"Authorization": "Bearer x"})
        assert sent.text == "application/x-www-form-urlencoded Bearer x code=%C3%A4"
        sent.raise_for_status()


def test_a_host_that_was_not_named_has_to_be_public(url):
    with make_session(seconds=10) as session, pytest.raises(requests.ConnectionError):
        session.get(url)
    with make_session(seconds=10, trusted_hosts=["id.example.com"]) as session, pytest.raises(requests.ConnectionError):
        session.get(url)


def test_redirects_are_refused(url):
    with make_trusting() as session, pytest.raises(requests.TooManyRedirects):
        session.get(f"{url}/redirect")


def test_an_answer_has_a_largest_size(url, monkeypatch):
    monkeypatch.setattr(outbound_session, "MAX_BYTES", 16)
    with make_trusting() as session:
        assert session.get(f"{url}/123").ok
        with pytest.raises(requests.ConnectionError, match="too long"):
            session.get(f"{url}/12345678")


def test_the_environment_changes_nothing(url, monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with make_trusting() as session:
        assert session.post(url, data="x", headers={"Content-Type": "text/plain"}).text == "text/plain None x"


def test_a_closed_port_is_an_error_of_requests():
    with make_trusting() as session, pytest.raises(requests.ConnectionError):
        session.get("http://127.0.0.1:1/")
