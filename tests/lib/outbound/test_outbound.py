"""Requests to servers that customers name: which addresses are allowed, how they are parsed, and how answers are read."""

import ipaddress
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.outbound import addresses as public_addresses
from lib.outbound import client as outbound
from lib.outbound.addresses import find_addresses, is_allowed
from lib.outbound.urls import MAX_URL
from tests.hosts import Host, answer, networks, redirect

WEB = (80, 443)
# Seconds in which what must not wait has long ended, on the busiest machine too.
PATIENCE = 30.0

REFUSED = [
    "0.0.0.0",  # noqa: S104 - an address to connect to, which Linux takes for this machine
    "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::7f00:1",
    "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:20::1",
    "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fe80::1%eth0", "fec0::1", "ff02::1",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "2606:4700:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public(address):
    assert not is_allowed(ipaddress.ip_address(address))
    assert find_addresses(address, 80, 1) == []


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address(address):
    assert is_allowed(ipaddress.ip_address(address))
    assert find_addresses(address, 80, 1) == [address]


def test_an_operator_may_allow_a_network(settings):
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("10.1.0.0/16")
    assert find_addresses("10.1.2.3", 80, 1) == ["10.1.2.3"]
    for still_refused in ("10.2.0.1", "::ffff:10.1.2.3", "127.0.0.1"):
        assert find_addresses(still_refused, 80, 1) == []


def test_one_private_address_spoils_a_name(names):
    names.answers = {"public.test": [["8.8.8.8", "1.1.1.1"]], "mixed.test": [["8.8.8.8", "10.0.0.1"]]}
    assert find_addresses("public.test", 80, 1) == ["8.8.8.8", "1.1.1.1"]
    assert find_addresses("mixed.test", 80, 1) == []


def test_the_systems_resolver_is_used():
    assert find_addresses("localhost", 80, 5) == []
    assert "127.0.0.1" in public_addresses.look_up("localhost", 80)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://example.com", "example.com", 80, "/"),
        ("HTTPS://EXAMPLE.com./a%20b.jpg?x=%2f&y#top", "example.com", 443, "/a%20b.jpg?x=%2f&y"),
        ("https://bücher.example/süß.jpg", "xn--bcher-kva.example", 443, "/s%C3%BC%C3%9F.jpg"),
        ("http://my_bucket.example:80/a", "my_bucket.example", 80, "/a"),
        ("http://[2606:4700:4700:0::1111]/", "2606:4700:4700::1111", 80, "/"),
        ("http://8.8.8.8:443/", "8.8.8.8", 443, "/"),
        ("http://127。0。0。1/", "127.0.0.1", 80, "/"),
    ],
)
def test_an_address_is_read(url, host, port, path):
    target = outbound.parse(url, WEB)
    assert (target.host, target.port, target.path) == (host, port, path)
    assert outbound.parse(target.url, WEB) == target


@pytest.mark.parametrize(
    "url",
    [
        "", "picture.jpg", "//example.com/a", "ftp://example.com/a", "file:///etc/passwd", "gopher://example.com",
        "data:image/png;base64,AA==", "http://", "http:///a", "http://:80/", "http://user@example.com/",
        "http://user:secret@example.com/", "http://8.8.8.8@127.0.0.1/", "http://@example.com/",
        "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://0/",
        "http://127.0.0.1.1/", "http://256.1.1.1/", "http://1.2.3.0x4/", "http://a.08/", "http://%31%32%37.0.0.1/",
        "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[::1]evil/", "http://evil[::1]/", "http://[::1/",
        "http://[v1.x]/", "http://[127.0.0.1]/", "http://[]/",
        "http://example.com:x/", "http://example.com:99999/", "http://example.com:-1/", "http://example.com:8 0/",
        "http://exa mple.com/", "http://example.com/a b", "http://example.com/\r\nHost: x", "http://exam\tple.com/",
        "http://example.com\\@127.0.0.1/", "http://ex*mple.com/", "http://a..b/", f"http://{'a' * 64}.test/",
        "http://example.com/\ud800", "http://\uff0f/", "http://ex\u2100mple.com/",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_read(url):
    with pytest.raises(outbound.InvalidUrl) as refused:
        outbound.parse(url, WEB)
    assert refused.value.reason


@pytest.mark.parametrize("url", [f"http://example.com/{'a' * MAX_URL}", f"http://{'a.' * 130}test/"], ids=["path", "host"])
def test_an_address_that_is_too_long(url):
    with pytest.raises(outbound.InvalidUrl):
        outbound.parse(url, WEB)


@given(st.text(), st.sampled_from(["", "http://", "https://[", "http://example.com", "http://example.com/"]))
def test_any_input_is_refused_or_becomes_a_clean_request(text, start):
    try:
        target = outbound.parse(start + text, WEB)
    except (outbound.InvalidUrl, outbound.ForbiddenTarget):
        return
    assert re.fullmatch(r"[a-z0-9._:-]+", target.host)
    assert re.fullmatch(r"/[!-~]*", target.path)


@pytest.mark.parametrize("port", ["0", "22", "6379", "8080"])
def test_a_port_that_is_not_allowed(port):
    with pytest.raises(outbound.ForbiddenTarget, match=f"port {port} is not allowed"):
        outbound.parse(f"http://example.com:{port}/", WEB)


class Body:
    """Collects an answer's body, or stops after `enough` bytes."""

    def __init__(self, enough: int | None = None) -> None:
        self.data, self.enough = b"", enough

    def receive(self, answer: outbound.Answer) -> Callable[[bytes], None]:
        return self.take

    def take(self, data: bytes) -> None:
        self.data += data
        if self.enough is not None and len(self.data) >= self.enough:
            raise EOFError


@pytest.fixture
def web(settings, hosts) -> Callable[..., Host]:
    """Starts servers on loopback addresses, which are allowed."""
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.0/8")
    return hosts


def get(host: Host, body: Body, name: str = "127.0.0.1", seconds: float = 5, path: str = "/") -> outbound.Answer:
    url = f"http://{name}:{host.port}{path}"
    return outbound.send("GET", url, ports=[host.port], seconds=seconds, receive=body.receive)


def test_a_message_is_posted_and_its_answer_read(names, web):
    host, body = web(lambda path: [answer(b"thanks", status="202 Accepted")]), Body()
    names.answers = {"hooks.test": [["127.0.0.1"]]}
    url = f"http://hooks.test:{host.port}/in?a=1"
    received = outbound.send(
        "POST", url, ports=[host.port], seconds=5, headers={"X-Sign": "1"}, body=b"{}", receive=body.receive
    )  # fmt: skip
    assert (received.status, received.length, body.data) == (202, 6, b"thanks")
    head = host.requests[0]
    assert head.startswith("POST /in?a=1 HTTP/1.1\r\n")
    assert f"Host: hooks.test:{host.port}\r\n" in head
    assert "Content-Length: 2\r\n" in head and "X-Sign: 1\r\n" in head
    assert host.bodies == [b"{}"]


def test_nothing_is_sent_that_was_not_asked_for(web):
    host = web(lambda path: [answer(b"")])
    url = f"http://127.0.0.1:{host.port}/"
    outbound.send("GET", url, ports=[host.port], seconds=5)
    outbound.send("POST", url, ports=[host.port], seconds=5, body=b"")
    common = f"Host: 127.0.0.1:{host.port}", "Accept-Encoding: identity", "User-Agent: Offcut", "Connection: close"
    assert sorted(host.requests[0].split("\r\n")) == sorted(["GET / HTTP/1.1", *common, "", ""])
    assert sorted(host.requests[1].split("\r\n")) == sorted(["POST / HTTP/1.1", *common, "Content-Length: 0", "", ""])


@pytest.mark.parametrize("path", ["/a/../b/./c?x=/../y", '/%2e%2e/{"|}^`<>[]?q={}', "/a?b?c#d"])
def test_a_path_is_sent_as_it_was_read(web, path):
    host = web(lambda path: [answer(b"")])
    get(host, Body(), path=path)
    assert host.requests[0].startswith(f"GET {path.partition('#')[0]} HTTP/1.1\r\n")


def test_a_redirect_is_an_answer_where_none_is_followed(web):
    host = web(lambda path: [redirect("/elsewhere")])
    response = outbound.send("POST", f"http://127.0.0.1:{host.port}/", ports=[host.port], seconds=5, body=b"")
    assert response.status == 302
    assert len(host.requests) == 1


def test_a_name_with_a_dead_address_is_reached_at_its_next(names, web):
    host, body = web(lambda path: [answer(b"hello")]), Body()
    names.answers = {"two.test": [["127.0.0.9", "127.0.0.1"]]}
    get(host, body, "two.test")
    assert body.data == b"hello"


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server whose queue of connections is full, so that it answers none."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.9", 0), backlog=0))
        for _ in range(2):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(server.getsockname())
        yield server


def test_a_name_with_a_silent_address_is_reached_at_its_next(names, web, silent):
    host, body = web(lambda path: [answer(b"hello")], port=silent.getsockname()[1]), Body()
    names.answers = {"two.test": [["127.0.0.9", "127.0.0.1"]]}
    get(host, body, "two.test", seconds=2)
    assert body.data == b"hello"


def test_an_address_that_answers_no_connection_takes_no_longer_than_allowed(names, web, silent):
    port = silent.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(outbound.TooSlow):
        outbound.send("GET", f"http://127.0.0.9:{port}/", ports=[port], seconds=0.3)
    assert time.monotonic() - started < PATIENCE


def test_a_socket_to_another_address_is_refused(web):
    """The second line of defence, in case libcurl ever uses addresses other than those that were checked."""
    host = web(lambda path: [answer(b"secret")])
    target = outbound.parse(f"http://127.0.0.1:{host.port}/", [host.port])
    transfer = outbound._Transfer(["8.8.8.8"], Body().receive)
    with pytest.raises(outbound.ForbiddenTarget):
        transfer.run(outbound._options(target, ["127.0.0.1"], "GET", {}, None), time.monotonic() + 5)
    assert host.connections == 0


def test_the_environment_changes_nothing(names, web, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    proxy, host = web(lambda path: [answer(b"proxy")]), web(lambda path: [answer(b"hello")])
    for name in ("http_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    names.answers = {"plain.test": [["127.0.0.1"]]}
    get(host, Body(), "plain.test")
    assert proxy.connections == 0
    assert "Authorization" not in host.requests[0] and "Proxy" not in host.requests[0]


def test_a_resolver_that_does_not_answer_is_not_waited_for(monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(public_addresses, "look_up", lambda host, port: [str(answered.wait(2 * PATIENCE))])
    started = time.monotonic()
    with pytest.raises(outbound.TooSlow):
        outbound.send("GET", "http://slow.test/", ports=WEB, seconds=0.1)
    assert time.monotonic() - started < PATIENCE
    answered.set()


# --- The answer -----------------------------------------------------------------------------------


def test_what_goes_wrong_with_the_body_is_the_callers_own(web, capfd):
    host = web(lambda path: [answer(b"hello")])

    def fail(*_: object) -> NoReturn:
        raise OSError("disk full")

    for receive in (fail, lambda answer: fail):
        with pytest.raises(OSError, match="disk full"):
            outbound.send("GET", f"http://127.0.0.1:{host.port}/", ports=[host.port], seconds=5, receive=receive)
    assert capfd.readouterr() == ("", "")


def test_an_unwanted_body_is_not_waited_for(web):
    host: Host = web(lambda path: host.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"))
    started = time.monotonic()
    received = outbound.send("GET", f"http://127.0.0.1:{host.port}/", ports=[host.port], seconds=2 * PATIENCE)
    assert (received.status, received.length) == (200, 1000)
    assert time.monotonic() - started < PATIENCE


def test_a_body_is_taken_in_pieces_and_no_further_than_it_is_wanted(web):
    sent = itertools.count()
    host, body = web(lambda path: (b"HTTP/1.1 200 OK\r\n\r\n", *([b"0" * 2**20] * 40))[next(sent) :]), Body(2**20)
    with pytest.raises(EOFError):
        get(host, body)
    assert 2**20 <= len(body.data) < 2**20 + outbound.PIECE_BYTES


def test_what_comes_before_the_answer_and_after_its_chunks_is_skipped(web):
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-A: early\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nX-A: real\r\nX-A: second\r\nTransfer-Encoding: chunked\r\n\r\n"
    host, body = web(lambda path: [early, head, b"5\r\nhello\r\n0\r\nX-A: late\r\n\r\n"]), Body()
    received = get(host, body)
    assert (received.status, received.headers["x-a"], received.length, body.data) == (200, "real", None, b"hello")


@pytest.mark.parametrize(
    "head",
    [
        b"X: " + b"a" * 65_536 + b"\r\n",
        b"X: a\r\n" * 101,
        b"X: %b\r\n" % (b"a" * 60_000) * 90,
        b"Content-Length: x\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nhello",
    ],
    ids=["long line", "many lines", "long and many", "no length", "two lengths", "no chunks"],
)  # fmt: skip
def test_an_answer_beyond_what_is_read(web, head):
    host = web(lambda path: [b"HTTP/1.1 200 OK\r\n" + head + b"\r\nhello"])
    with pytest.raises(outbound.Unreachable):
        get(host, Body())


def test_slow_servers_hold_up_no_other_thread(web):
    """Neither the calls to others nor this thread wait while libcurl waits."""
    begun = threading.Semaphore(0)

    def reply(path: str) -> Iterator[bytes]:
        begun.release()
        return slow.drip(b"HTTP/1.1 200 OK\r\n\r\n")

    slow: Host = web(reply)
    quick = web(lambda path: [answer(b"hello")])
    with ThreadPoolExecutor(20) as threads:
        waiting = [threads.submit(get, slow, Body(), seconds=2 * PATIENCE) for _ in range(20)]
        assert all(begun.acquire(timeout=PATIENCE) for _ in range(20)), "all at the same time"
        body = Body()
        get(quick, body)
        assert body.data == b"hello"
        assert not any(call.done() for call in waiting)
        slow.stopping.set()
    assert all(call.exception() is None for call in waiting)


def test_a_public_authority_is_trusted_once_though_the_system_has_it_too(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    outbound.trusted_certificates.cache_clear()
    trusted = outbound.trusted_certificates()
    outbound.trusted_certificates.cache_clear()
    assert trusted.count(b"BEGIN CERTIFICATE") == Path(certifi.where()).read_bytes().count(b"BEGIN CERTIFICATE") > 50
