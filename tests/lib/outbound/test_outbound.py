"""Requests to servers that customers name: which addresses, how they are read, and what becomes of an answer."""

import ipaddress
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.outbound import addresses as public_addresses
from lib.outbound import client as outbound
from lib.outbound.addresses import find_addresses, is_allowed
from lib.outbound.urls import MAX_URL
from tests.hosts import answer, networks, redirect

WEB = (80, 443)

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


def test_the_resolver_of_the_system_is_asked():
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
@settings(derandomize=True, database=None, deadline=None)
def test_whatever_is_sent_is_refused_or_becomes_a_clean_request(text, start):
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


def test_a_message_is_posted_and_its_answer_read(settings, names, hosts):
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.0/8")
    host = hosts(lambda path: [answer(b"thanks", status="202 Accepted")])
    names.answers = {"hooks.test": [["127.0.0.1"]]}
    url = f"http://hooks.test:{host.port}/in?a=1"
    with outbound.send("POST", url, ports=[host.port], seconds=5, headers={"X-Sign": "1"}, body=b"{}") as told:
        assert (told.status, told.left, told.read(100), told.read(100)) == (202, 6, b"thanks", b"")
    head = host.requests[0]
    assert head.startswith("POST /in?a=1 HTTP/1.1\r\n")
    assert f"Host: hooks.test:{host.port}\r\n" in head
    assert "Content-Length: 2\r\n" in head and "X-Sign: 1\r\n" in head


def test_a_redirect_is_an_answer_where_none_is_followed(settings, hosts):
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.0/8")
    host = hosts(lambda path: [redirect("/elsewhere")])
    with outbound.send("POST", f"http://127.0.0.1:{host.port}/", ports=[host.port], seconds=5, body=b"") as told:
        assert told.status == 302
    assert len(host.requests) == 1


def test_a_name_with_a_dead_address_is_reached_at_its_next(settings, names, hosts):
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.0/8")
    host = hosts(lambda path: [answer(b"hello")])
    names.answers = {"two.test": [["127.0.0.9", "127.0.0.1"]]}
    with outbound.send("GET", f"http://two.test:{host.port}/", ports=[host.port], seconds=5) as told:
        assert told.read(10) == b"hello"


def test_a_resolver_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(public_addresses, "look_up", lambda host, port: time.sleep(0.6))
    started = time.monotonic()
    with pytest.raises(outbound.TooSlow), outbound.send("GET", "http://slow.test/", ports=WEB, seconds=0.1):
        pass
    assert time.monotonic() - started < 0.5


def test_what_goes_wrong_in_the_block_is_the_callers_own(settings, hosts):
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.0/8")
    host = hosts(lambda path: [answer(b"hello")])
    url = f"http://127.0.0.1:{host.port}/"
    with pytest.raises(OSError, match="disk full"), outbound.send("GET", url, ports=[host.port], seconds=5):
        raise OSError("disk full")
