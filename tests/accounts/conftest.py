"""Visitors of the account pages."""

import pytest
from django.test import Client

from accounts.models import User

PASSWORD = "correct horse battery staple"


@pytest.fixture
def owner(client: Client, user: User) -> Client:
    """`user`'s own browser."""
    client.force_login(user)
    return client


@pytest.fixture
def outsider(db: None) -> Client:
    """The browser of another customer."""
    other = User.objects.create_user("other@example.com", PASSWORD)
    other.verify_email()
    browser = Client()
    browser.force_login(other)
    return browser


@pytest.fixture
def anonymous() -> Client:
    """A browser that is not logged in."""
    return Client()
