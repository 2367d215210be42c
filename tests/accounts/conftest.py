"""Browsers that visit the account pages."""

from collections.abc import Iterator

import pytest
from django.test import Client

from accounts.models import User
from tests.accounts.log_ins import switch_on
from tests.fakes.openid_provider import Faults, OpenIDProvider

PASSWORD = "correct horse battery staple"


@pytest.fixture
def owner(client: Client, user: User) -> Client:
    """A browser logged in as `user`."""
    client.force_login(user)
    return client


@pytest.fixture
def anonymous() -> Client:
    """A browser that is not logged in."""
    return Client()


@pytest.fixture(scope="session")
def running() -> Iterator[OpenIDProvider]:
    """An OpenID provider on loopback."""
    provider = OpenIDProvider()
    yield provider
    provider.stop()


@pytest.fixture
def provider(running: OpenIDProvider, settings) -> OpenIDProvider:
    """The provider without faults and history, switched on. Ada has an account there."""
    running.people.clear()
    running.calls.clear()
    running.faults = Faults()
    running.add("ada", "Ada@Example.com")
    switch_on(settings, running)
    return running
