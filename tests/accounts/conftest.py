"""Browsers that visit the account pages."""

import pytest
from django.test import Client

from accounts.models import User

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
