"""Fixtures of `POST /rmbg`."""

from collections.abc import Callable

import pytest

from imaging.removal import image_url
from tests.hosts import Host, networks


@pytest.fixture
def fresh_places():
    """No download counts beyond its test."""
    image_url._places.cache_clear()
    yield
    image_url._places.cache_clear()


@pytest.fixture
def web(settings, hosts) -> Callable[..., Host]:
    """Makes servers on loopback addresses that customers may reach."""
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.0/8")
    settings.IMAGE_URL_PORTS = []

    def make(reply, **options) -> Host:
        host = hosts(reply, **options)
        settings.IMAGE_URL_PORTS = [*settings.IMAGE_URL_PORTS, host.port]
        return host

    return make
