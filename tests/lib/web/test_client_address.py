"""The address by which an anonymous caller is counted."""

import pytest
from django.test import RequestFactory

from lib.web.client_address import client_address
from lib.web.errors import ApiError


def address(forwarded: str = "", peer: str = "203.0.113.9") -> str:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer))


def test_without_trusted_proxies_the_header_is_not_believed():
    assert address("198.51.100.1") == "203.0.113.9"


@pytest.mark.parametrize(
    ("hops", "expected"), [(1, "198.51.100.3"), (2, "198.51.100.2"), (3, "198.51.100.1"), (9, "198.51.100.1")]
)
def test_only_as_many_hops_as_trusted(settings, hops, expected):
    settings.TRUSTED_PROXY_COUNT = hops
    assert address("198.51.100.1, 198.51.100.2, 198.51.100.3") == expected


def test_an_ipv6_caller_counts_by_network():
    assert address(peer="2001:db8:1:2:3:4:5:6") == address(peer="2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"


def test_a_mapped_address_is_the_ipv4_one():
    assert address(peer="::ffff:203.0.113.9") == "203.0.113.9"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("9.9.9.9:1234", "9.9.9.9"),
        ("9.9.9.9:", "9.9.9.9"),
        ("[2001:db8:1:2::5]:443", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::5]", "2001:db8:1:2::/64"),
        ('"[2001:db8:1:2::5]:443"', "2001:db8:1:2::/64"),
        ("[::ffff:9.9.9.9]:443", "9.9.9.9"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_port_says_nothing_about_the_caller(settings, entry, expected):
    settings.TRUSTED_PROXY_COUNT = 1
    assert address(f"1.1.1.1, {entry}") == expected


@pytest.mark.parametrize(
    "entry", ["<script>", "unknown", "_hidden", "9.9.9.9:port", "9.9.9.9.9", "[9.9.9.9", "1234", "::1]"]
)
def test_an_entry_that_is_not_an_address_is_refused_and_not_shared(settings, entry, caplog):
    settings.TRUSTED_PROXY_COUNT = 1
    with pytest.raises(ApiError) as refused:
        address(f"1.1.1.1, {entry}")
    assert (refused.value.status, refused.value.code) == (400, "bad_request")
    assert "TRUSTED_PROXY_COUNT" in caplog.text


def test_a_peer_without_an_address_is_one_caller():
    assert address(peer="") == "unknown"


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path"), [("post", "/rmbg"), ("post", "/accounts/login/"), ("get", "/pricing")])
def test_callers_with_ports_have_an_allowance_each_and_unreadable_ones_none(settings, client, method, path):
    settings.TRUSTED_PROXY_COUNT = 1
    call = getattr(client, method)
    assert call(path, headers={"X-Forwarded-For": "9.9.9.9:1234"}).status_code in (200, 400)
    refused = call(path, headers={"X-Forwarded-For": "unknown"})
    assert refused.status_code == 400
    if path == "/rmbg":
        assert refused.json()["code"] == "bad_request"
