"""What a provider, or someone on the way, could do wrong."""

from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client

from accounts.models import User
from tests.accounts.log_ins import START, come_back, leave, log_in, signed_in, switch_on, text_of

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def is_refused(client: Client, answer) -> bool:
    """An error page that lets no one in and leaves nothing behind."""
    text = text_of(answer)
    assert "could not be accepted" in text
    assert "style=" not in text
    return answer.status_code == 403 and signed_in(client) is None and not User.objects.exists()


TOKENS = {
    "nonce": lambda claims: claims | {"nonce": "x" * 64},
    "no nonce": lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
    "audience": lambda claims: claims | {"aud": "another client"},
    "issuer": lambda claims: claims | {"iss": "https://evil.example"},
    "expired": lambda claims: claims | {"exp": claims["iat"] - 3600},
    "no expiry": lambda claims: {name: value for name, value in claims.items() if name != "exp"},
    "not yet": lambda claims: claims | {"nbf": claims["iat"] + 3600},
    "subject": lambda claims: claims | {"sub": "grace"},
    "no subject": lambda claims: {name: value for name, value in claims.items() if name != "sub"},
}


@pytest.mark.parametrize("change", TOKENS.values(), ids=TOKENS)
def test_an_id_token_with_a_wrong_claim_is_refused(client, provider, change):
    provider.faults.token = change
    assert is_refused(client, log_in(client, provider, "ada"))


STRANGER = rsa.generate_private_key(65537, 2048)
SIGNATURES = {
    "by another key": lambda provider, claims: provider.sign(claims, STRANGER),
    "none": lambda provider, claims: jwt.encode(claims, "", "none", headers={"kid": "one"}),
    "HMAC": lambda provider, claims: jwt.encode(claims, "public" * 16, "HS256", headers={"kid": "one"}),
    "by an unknown key": lambda provider, claims: jwt.encode(claims, STRANGER, "RS256", headers={"kid": "two"}),
    "changed": lambda provider, claims: provider.sign(claims)[:-8] + "AAAAAAAA",
    "nonsense": lambda provider, claims: "x.y.z",
    "a number": lambda provider, claims: 7,
}


@pytest.mark.parametrize("sign", SIGNATURES.values(), ids=SIGNATURES)
def test_an_id_token_with_a_wrong_signature_is_refused(client, provider, sign):
    provider.faults.sign = sign
    assert is_refused(client, log_in(client, provider, "ada"))


ANSWERS = {
    "no id token": ("answer", lambda answer: {"access_token": answer["access_token"]}),
    "no access token": ("answer", lambda answer: {"id_token": answer["id_token"]}),
    "a list": ("answer", lambda answer: ["access_token"]),
    "user info of another": ("user_info", lambda claims: claims | {"sub": "grace"}),
    "user info without a subject": ("user_info", lambda claims: {"email": claims["email"]}),
    "user info as a list": ("user_info", lambda claims: [claims]),
    "a subject with a NUL": ("user_info", lambda claims: claims | {"sub": "ada\0"}),
}


@pytest.mark.parametrize(("kind", "change"), ANSWERS.values(), ids=ANSWERS)
def test_a_malformed_answer_is_refused(client, provider, kind, change):
    setattr(provider.faults, kind, change)
    assert is_refused(client, log_in(client, provider, "ada"))


@pytest.mark.parametrize("subject", ["x" * 300, "ada\0", "", "\u202e"])
def test_a_subject_that_cannot_be_stored_is_refused(client, provider, subject):
    provider.add(subject, "ada@example.com")
    assert is_refused(client, log_in(client, provider, subject))


@pytest.mark.parametrize("document", [[], {}, {"issuer": 7}, "x"], ids=["list", "empty", "number", "text"])
def test_a_malformed_discovery_document_is_an_error_page(client, provider, document):
    provider.faults.discovery = lambda _: document
    assert is_refused(client, client.post(START))


def test_a_discovery_document_cannot_lead_into_the_private_network(client, provider):
    """Only the host that the operator named may be there."""
    place = provider.allow(leave(client), "ada")
    provider.faults.discovery = lambda document: document | {"token_endpoint": "http://169.254.169.254/latest"}
    answer = come_back(client, place)
    assert answer.status_code == 503
    assert "/token" not in provider.calls


def test_a_code_works_once(client, provider):
    place = provider.allow(leave(client), "ada")
    come_back(client, place)
    client.post("/accounts/logout/")
    again = come_back(client, place)
    assert "started in another browser" in text_of(again)
    assert (again.status_code, signed_in(client)) == (403, None)


def test_a_code_of_another_log_in_is_refused(client, anonymous, provider):
    """An attacker gives a victim the attacker's code, with the victim's own state: PKCE and the nonce differ."""
    stolen = dict(parse_qsl(urlsplit(provider.allow(leave(anonymous), "ada")).query))["code"]
    state = dict(parse_qsl(urlsplit(leave(client)).query))["state"]
    answer = client.get(f"{START}callback/", {"code": stolen, "state": state})
    assert is_refused(client, answer)


@pytest.mark.parametrize("query", [{}, {"code": "x"}, {"code": "x", "state": "unknown"}, {"state": "x\0"}])
def test_without_the_state_of_this_browser_nothing_happens(client, provider, query):
    leave(client)
    provider.calls.clear()
    answer = client.get(f"{START}callback/", query)
    assert answer.status_code in (400, 403)
    assert signed_in(client) is None
    assert not provider.calls


def test_the_state_of_another_browser_is_worth_nothing(client, anonymous, provider):
    answer = come_back(anonymous, provider.allow(leave(client), "ada"))
    assert (answer.status_code, signed_in(anonymous)) == (403, None)
    assert "started in another browser" in text_of(answer)


def test_the_state_of_one_provider_is_not_accepted_from_another(client, provider, settings):
    switch_on(settings, provider, google=("id", "secret"))
    place = provider.allow(leave(client), "ada").replace("/oidc/openid/", "/oidc/google/")
    assert (come_back(client, place).status_code, signed_in(client)) == (403, None)


def test_a_visitor_may_cancel_at_the_provider(client, provider):
    answer = come_back(client, provider.cancel(leave(client)))
    assert answer.url == "/accounts/3rdparty/login/cancelled/"
    assert "Nothing has changed here" in text_of(client.get(answer.url))


def test_another_error_of_the_provider_is_an_error_page(client, provider):
    place = provider.cancel(leave(client)).replace("access_denied", "server_error")
    assert is_refused(client, come_back(client, place))


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/userinfo", "/jwks"])
def test_a_provider_that_fails_is_a_clear_page(client, provider, path, caplog):
    place = provider.allow(leave(client), "ada")
    provider.faults.statuses[path] = 500
    answer = come_back(client, place)
    assert answer.status_code in (403, 503)
    assert signed_in(client) is None
    assert "log-in with a provider failed" in caplog.text


def test_a_provider_that_is_away_is_a_clear_page(client, provider, settings, monkeypatch):
    monkeypatch.setattr(provider, "url", "http://127.0.0.1:1")
    switch_on(settings, provider)
    answer = client.post(START)
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert "does not answer" in text_of(answer)


def test_a_provider_that_hangs_is_not_waited_for(client, provider, settings):
    settings.OPENID_SECONDS = 0.2
    place = provider.allow(leave(client), "ada")
    provider.faults.seconds["/token"] = 1.5
    answer = come_back(client, place)
    assert answer.status_code == 503
    assert "/userinfo" not in provider.calls


def test_an_endless_answer_is_not_read(client, provider, monkeypatch):
    monkeypatch.setattr("lib.outbound.session.MAX_BYTES", 100)
    assert client.post(START).status_code == 503


def test_a_redirect_of_the_provider_is_not_followed(client, provider):
    provider.faults.statuses["/.well-known/openid-configuration"] = 302
    assert client.post(START).status_code in (403, 503)
    assert signed_in(client) is None
