"""Keys and tokens as credentials: bad input, expiry and deactivation, cost, and what ends up in logs."""

import hmac
import logging

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import keys, user_tokens
from accounts.keys import new_key
from accounts.models import ApiKey, User
from tests.sessions import token_of

pytestmark = pytest.mark.django_db


def call(headers: dict[str, str] | None = None, path: str = "/rmbg", data: dict | None = None):
    return Client(headers=headers or {}).post(path, data or {})


def changed(text: str) -> str:
    """A well-formed key with the right lookup part and a wrong secret."""
    body = f"{text[:18]}{new_key().text[18:48]}"
    return body + keys._checksum(body)


GARBAGE = {
    "empty": lambda key: "",
    "truncated": lambda key: key[:-1],
    "padded": lambda key: f"{key}x",
    "with a space inside": lambda key: f"{key[:20]} {key[21:]}",
    "wrong checksum": lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
    "another prefix": lambda key: f"sk_live{key[7:]}",
    "non-ASCII": lambda key: f"é{key[1:]}",
    "digits of another script": lambda key: f"{key[:-1]}٣",
    "10 kB": lambda key: "x" * 10_000,
    "10 kB of key": lambda key: key * 160,
    "a null byte": lambda key: f"{key[:-1]}\0",
    "quoted": lambda key: f'"{key}"',
    "SQL": lambda key: "' OR 1=1 --",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_a_401_without_a_single_query(key, garbage):
    with CaptureQueriesContext(connection) as queries:
        response = call({"x-api-key": garbage(key)})
    assert response.status_code == 401
    assert response.json() == {"error": "invalid api key", "code": "invalid_api_key", "status": 401}
    assert response.headers["WWW-Authenticate"] == 'ApiKey realm="api"'
    assert len(queries) == 0


@pytest.mark.parametrize("wrong", [lambda key: new_key().text, changed], ids=["unknown", "wrong secret"])
def test_a_well_formed_wrong_key_is_a_401_with_one_read_and_no_write(key, wrong):
    with CaptureQueriesContext(connection) as queries:
        assert call({"x-api-key": wrong(key)}).status_code == 401
    assert [query["sql"][:6] for query in queries] == ["SELECT"]
    assert ApiKey.objects.get().last_used_at is None


# Explicit ids: a signature contains the time, and the suite's processes must agree on the tests' names.
@pytest.mark.parametrize(
    "token",
    ["", "x", "a:b:c", "é", "x" * 10_000, signing.dumps([1]), "null"],
    ids=["empty", "short", "three parts", "not ASCII", "long", "signed for something else", "null"],
)
def test_a_garbled_token_is_a_401_without_a_query(token, db):
    with CaptureQueriesContext(connection) as queries:
        assert call({"Authorization": f"Bearer {token}"}).status_code == 401
    assert len(queries) == 0


def test_a_token_signed_with_something_else_inside_is_a_401(db):
    for inside in ([], ["u_x"], {"a": 1}, "text", [1, 2], ["u_x", None], 7):
        token = signing.dumps(inside, salt="accounts.user_token")
        assert call({"Authorization": f"Bearer {token}"}).status_code == 401


def test_an_old_token_is_a_401(user, monkeypatch):
    token = token_of(user)
    monkeypatch.setattr(user_tokens, "LIFETIME_SECONDS", -1)
    assert call({"Authorization": f"Bearer {token}"}).status_code == 401


def test_both_credentials_are_a_400(user, key):
    response = call({"x-api-key": key, "Authorization": f"Bearer {token_of(user)}"})
    assert response.status_code == 400
    assert response.json()["error"] == "This is a mistake: Cannot use both API key and user token"


@pytest.mark.parametrize("place", ["query", "form"])
def test_a_key_elsewhere_is_no_credential(key, place):
    path, data = (f"/rmbg?x-api-key={key}&api_key={key}", {}) if place == "query" else ("/rmbg", {"x-api-key": key})
    response = call(path=path, data=data)
    assert response.status_code == 400, "an anonymous call without a picture"
    assert "RateLimit" in response.headers
    assert '"day"' in response.headers["RateLimit"], "counted as anonymous"


def test_the_comparison_takes_constant_time_for_known_and_unknown(key, monkeypatch):
    compared = []
    real = hmac.compare_digest

    def spy(one, other):
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr("accounts.authentication.hmac.compare_digest", spy)
    for text in (key, changed(key), new_key().text):
        call({"x-api-key": text})
    assert compared == [(64, 64)] * 3


def test_the_time_of_last_use_is_written_at_most_once_a_minute(user, key):
    call({"x-api-key": key})
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    call({"x-api-key": key})
    assert ApiKey.objects.get().last_used_at == first


def test_a_deactivated_owner_is_a_401_and_a_reactivated_one_is_back(user, key):
    user.set_active(False)
    assert call({"x-api-key": key}).status_code == 401
    user.set_active(True)
    assert call({"x-api-key": key}).status_code == 400


@pytest.mark.parametrize("path", ["/rmbg", "/api/user-token"])
def test_an_unverified_owner_is_a_403(user, key, path):
    User.objects.update(email_verified_at=None)
    browser = Client(headers={"x-api-key": key} if path == "/rmbg" else {})
    browser.force_login(user)
    response = browser.post(path)
    assert response.status_code == 403
    assert response.json()["error"] == "Email address not verified – please check your inbox"


def test_no_secret_reaches_the_logs(client, caplog, monkeypatch, django_capture_on_commit_callbacks):
    """Runs a whole journey, careless calls included, then searches every captured line."""
    from tests.accounts.mailbox import last_link
    from tests.accounts.test_key_pages import shown_key

    caplog.set_level(logging.DEBUG)
    logging.getLogger("django.db.backends").setLevel(logging.INFO)  # no deployment logs SQL
    password, other = "correct horse battery staple", "another fine phrase"
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/accounts/signup/", {"email": "ada@example.com", "password1": password})
    link = last_link()
    client.get(link)
    client.post(link)
    text = shown_key(client.post("/profile/keys", {"name": "Web shop"}))
    token = client.post("/api/user-token").json()["token"]
    call({"x-api-key": text})
    call({"Authorization": f"Bearer {token}"})
    call(path=f"/rmbg?api_key={text}")
    call({"x-api-key": changed(text)})
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/accounts/password/reset/", {"email": "ada@example.com"})
    reset = last_link()
    form = client.get(reset).url
    client.post(form, {"password1": other, "password2": other})
    client.post("/accounts/login/", {"login": "ada@example.com", "password": other})
    key = ApiKey.objects.get()
    rotated = shown_key(client.post(f"/profile/keys/{key.lookup}/rotate", {"hours": "0"}))
    written = next(handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler)
    lines = "\n".join(written.format(record) for record in caplog.records)
    assert "/accounts/confirm-email/" in lines
    secrets = [password, other, text, text[18:], token, rotated, rotated[18:], key.digest]
    secrets += [link.rstrip("/").rpartition("/")[2], reset.rstrip("/").rpartition("/")[2].partition("-")[2]]
    for secret in secrets:
        assert secret not in lines, [line for line in lines.splitlines() if secret in line]
