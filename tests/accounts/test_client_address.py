"""Whose address an anonymous caller counts by."""

import pytest
from django.test import RequestFactory

from accounts.client_address import client_address


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


def test_garbage_is_one_caller(settings):
    settings.TRUSTED_PROXY_COUNT = 1
    assert address("<script>") == "unknown"
