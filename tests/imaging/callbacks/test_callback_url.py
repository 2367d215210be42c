"""`callback_url`: the checks made when it is submitted."""

import pytest

from imaging.callbacks.addresses import find_problem
from tests.hosts import networks


@pytest.mark.parametrize("url", ["https://shop.example.com/hooks?x=1", "http://8.8.8.8/", "https://[2606:4700:4700::1111]/"])
def test_what_may_be_called(url):
    assert find_problem(url) is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/", "it must begin with http:// or https://"),
        ("shop.example.com", "it must begin with http:// or https://"),
        ("https://user:secret@example.com/", "it may not hold a user name or password"),
        ("https://exa mple.com/", "it holds a space, a backslash or a character that cannot be sent"),
        ("https:///path", "its host is not a valid name or address"),
        (f"https://example.com/{'a' * 2048}", "it is longer than 2048 characters"),
    ],
)
def test_what_is_no_address(url, reason):
    problem = find_problem(url)
    assert problem is not None and problem.code == "callback_url_invalid"
    assert problem.message == f"'callback_url' is not an address that can be called: {reason}."


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "[::1]", "[fe80::1]", "[::ffff:10.0.0.1]", "0.0.0.0"],  # noqa: S104
)
def test_an_address_that_is_not_public_is_refused_at_once(host):
    problem = find_problem(f"https://{host}/hooks")
    assert problem is not None and problem.code == "callback_url_forbidden"
    assert problem.message == "'callback_url' may not be called: its host has no public address."


def test_ports_and_networks_are_the_operators_choice(settings):
    problem = find_problem("https://example.com:8443/")
    assert problem is not None and "port 8443 is not allowed" in problem.message
    settings.CALLBACK_PORTS = [8443]
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("10.1.0.0/16")
    assert find_problem("https://10.1.0.7:8443/") is None
