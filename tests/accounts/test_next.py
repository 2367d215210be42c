"""Where visitors are redirected after a form: never to another site, and never into a crash."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

PAGES = ["/accounts/login/", "/accounts/signup/", "/accounts/logout/", "/accounts/password/reset/"]
NO_ADDRESSES = ["//[", "http://[", "//[::1", "https://[x]/", "//]", "///[", "\\\\[", "//[v1.x", "http://a[b]c/"]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_a_next_that_is_not_an_address_is_ignored(page, address, user):
    visitor, customer = Client(), Client()
    customer.force_login(user)
    for browser in (visitor, customer):
        assert browser.get(page, {"next": address}).status_code in (200, 302)
        response = browser.post(page, {"next": address})
        assert response.status_code in (200, 302)
        assert "[" not in response.headers.get("Location", "")


@pytest.mark.parametrize("address", [*NO_ADDRESSES, "https://evil.example.com/", "//evil.example.com"])
def test_a_log_in_never_redirects_to_another_site(client, user, address):
    form = {"login": user.email, "password": "correct horse battery staple", "next": address}
    assert client.post("/accounts/login/", form).url == "/dashboard"


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_a_next_that_is_not_an_address_does_not_break_the_choice_of_a_language(client, address):
    response = client.post("/language", {"language": "ar", "next": address})
    assert response.status_code in (302, 400)
    assert "[" not in response.headers.get("Location", "")
