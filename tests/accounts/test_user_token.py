"""`POST /api/user-token`."""

import base64
import time
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts import user_tokens
from accounts.models import User

pytestmark = pytest.mark.django_db

URL = "/api/user-token"


def call(token: str) -> int:
    """The status of `/rmbg`: 400 means that the token was accepted, as the request has no image."""
    return Client(headers={"Authorization": f"Bearer {token}"}).post("/rmbg").status_code


def test_a_session_gets_a_token_that_works(owner):
    response = owner.post(URL)
    assert response.status_code == 200
    assert response.json()["expires_in"] == 900
    assert response.headers["Cache-Control"] == "no-store"
    assert call(response.json()["token"]) == 400


def test_anonymous_is_a_401(anonymous):
    response = anonymous.post(URL)
    assert response.status_code == 401
    assert response.json() == {"error": "Please log in.", "code": "not_logged_in", "status": 401}
    assert response.headers["WWW-Authenticate"]


def test_an_api_key_mints_no_token(key):
    assert Client(headers={"x-api-key": key}).post(URL).status_code == 401


def test_without_the_csrf_token_it_is_a_403(user):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    response = browser.post(URL)
    assert (response.status_code, response.json()["code"]) == (403, "csrf_failed")


def test_with_the_csrf_token_it_works(user):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    browser.get("/profile/keys")
    response = browser.post(URL, headers={"X-CSRFToken": browser.cookies["csrftoken"].value})
    assert response.status_code == 200


def test_an_unverified_address_is_a_403(owner):
    User.objects.update(email_verified_at=None)
    response = owner.post(URL)
    assert response.status_code == 403
    assert response.json()["error"] == "Email address not verified – please check your inbox"


def test_other_methods(owner):
    response = owner.get(URL)
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_a_token_dies_with_the_password_and_with_the_account(owner, user):
    token = owner.post(URL).json()["token"]
    user.set_active(False)
    assert call(token) == 401
    user.set_active(True)
    assert call(token) == 400
    user.set_password("another fine phrase")
    user.save()
    assert call(token) == 401


def test_a_token_dies_with_the_session_it_was_made_for(owner, user):
    elsewhere = Client()
    elsewhere.force_login(user)
    here, there = (browser.post(URL).json()["token"] for browser in (owner, elsewhere))
    assert (call(here), call(there)) == (400, 400)
    owner.post("/accounts/logout/")
    # Nothing changes in the browser where they did not log out.
    assert (call(here), call(there)) == (401, 400)
    elsewhere.get("/profile")
    Session.objects.all().delete()
    assert call(there) == 401


def test_a_token_dies_when_its_session_expires(owner):
    token = owner.post(URL).json()["token"]
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert call(token) == 401


def test_a_token_lives_for_a_quarter_of_an_hour(owner, monkeypatch):
    token = owner.post(URL).json()["token"]
    now = time.time()
    for seconds, expected in ((890, 400), (910, 401)):
        monkeypatch.setattr("cryptography.fernet.time.time", lambda seconds=seconds: now + seconds)
        assert call(token) == expected


def test_a_token_does_not_reveal_the_sessions_key(owner):
    token = owner.post(URL).json()["token"]
    key = owner.session.session_key
    assert key not in token
    assert key.encode() not in base64.urlsafe_b64decode(token)


def test_one_query_finds_user_and_session(owner, django_assert_num_queries):
    token = owner.post(URL).json()["token"]
    with django_assert_num_queries(1):
        assert user_tokens.find_user(token) is not None


@pytest.mark.parametrize("token", ["", "x", "é", "a" * 5000, "gAAAAA=="])
def test_a_garbled_token_belongs_to_no_one(token, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert user_tokens.find_user(token) is None


def test_a_deactivated_user_gets_no_token(owner, user):
    user.set_active(False)
    assert owner.post(URL).status_code == 401
