"""Log-in and sign-up with an OpenID provider, against one on loopback."""

import re
import time
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, hotp_value, yield_hotp_counters_from_time
from allauth.socialaccount.models import SocialAccount, SocialToken
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client

from accounts import deletion
from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.credits.customer_view import get_credits
from config.log_in_providers import log_in_providers
from tests.accounts.conftest import PASSWORD
from tests.accounts.log_ins import START, come_back, leave, log_in
from tests.fakes.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIDProvider

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

CONNECTIONS = "/profile/connections"


@pytest.fixture(scope="module")
def running() -> Iterator[OpenIDProvider]:
    provider = OpenIDProvider()
    yield provider
    provider.stop()


def switch_on(settings, provider: OpenIDProvider, **others) -> None:
    settings.OPENID_SERVER_URL = provider.url
    settings.SOCIALACCOUNT_PROVIDERS = log_in_providers(
        **{"google": ("", ""), "github": ("", ""), "verified_domains": []}
        | others
        | {"openid": (CLIENT_ID, CLIENT_SECRET), "server_url": provider.url, "name": "Example ID"}
    )


@pytest.fixture
def provider(running: OpenIDProvider, settings) -> OpenIDProvider:
    """The provider without faults and history, switched on. Ada has an account there."""
    running.people.clear()
    running.calls.clear()
    running.faults = type(running.faults)()
    running.add("ada", "Ada@Example.com")
    switch_on(settings, running)
    return running


def text_of(page) -> str:
    return re.sub(r"\s+", " ", page.content.decode())


def signed_in(client: Client) -> User | None:
    pk = client.session.get("_auth_user_id")
    return User.objects.get(pk=pk) if pk else None


# --- Off -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["google/login/", "github/login/", "github/login/callback/", "oidc/openid/login/", "oidc/openid/login/callback/",
     "oidc/google/login/", "3rdparty/", "3rdparty/login/cancelled/", "3rdparty/signup/", "google/login/token/"],
)  # fmt: skip
def test_by_default_no_address_of_a_provider_answers(owner, path):
    assert owner.get(f"/accounts/{path}").status_code == 404
    assert owner.post(f"/accounts/{path}", {"process": "connect"}).status_code == 404


def test_by_default_no_page_mentions_a_provider(owner, anonymous):
    assert owner.get(CONNECTIONS).status_code == 404
    for browser, page in ((owner, "/profile"), (anonymous, "/accounts/login/"), (anonymous, "/accounts/signup/")):
        html = browser.get(page).content.decode()
        assert "Continue with" not in html
        assert "Connections" not in html


# --- Sign-up and log-in ----------------------------------------------------------------------------


def test_a_stranger_signs_up_and_is_logged_in(client, provider):
    assert log_in(client, provider, "ada").url == "/dashboard"
    user = User.objects.get()
    assert signed_in(client) == user
    assert (user.email, user.has_usable_password(), user.name) == ("ada@example.com", False, "")
    assert user.email_verified_at is not None
    assert [(row.email, row.verified, row.primary) for row in EmailAddress.objects.all()] == [(user.email, True, True)]
    assert not mail.outbox, "there is nothing to confirm"
    assert client.get("/profile/keys").status_code == 200


def test_a_new_account_starts_as_every_other_one(client, provider, user):
    log_in(client, provider, "ada")
    mine, usual = (get_credits(ledger.get_account(who)) for who in (User.objects.get(email="ada@example.com"), user))
    assert mine == usual


def test_a_new_account_keeps_the_language_of_the_page(client, provider):
    client.post("/language", {"language": "ar", "next": "/"})
    log_in(client, provider, "ada")
    assert User.objects.get().language == "ar"


def test_only_the_address_and_the_subject_are_kept(client, provider):
    log_in(client, provider, "ada")
    (kept,) = SocialAccount.objects.all()
    assert (kept.provider, kept.uid, kept.extra_data) == ("openid", "ada", {"email": "ada@example.com"})
    assert not SocialToken.objects.exists()
    sessions = str([session.get_decoded() for session in Session.objects.all()])
    assert not [token for token in provider.tokens if token in sessions]


def test_the_same_person_returns_to_the_same_account_even_with_another_address(client, anonymous, provider):
    log_in(client, provider, "ada")
    provider.add("ada", "ada.lovelace@example.com")
    log_in(anonymous, provider, "ada")
    assert signed_in(anonymous) == User.objects.get()
    assert User.objects.get().email == "ada@example.com"


def test_what_the_provider_is_asked(client, provider):
    asked = dict(parse_qsl(urlsplit(leave(client)).query))
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert (asked["response_type"], asked["client_id"], set(asked["scope"].split())) == ("code", CLIENT_ID, {"openid", "email"})
    assert asked["redirect_uri"] == "http://testserver/accounts/oidc/openid/login/callback/"
    assert len(asked["nonce"]) == 64
    again = dict(parse_qsl(urlsplit(leave(client)).query))
    assert not {asked[name] for name in ("state", "nonce", "code_challenge")} & set(again.values())


def test_a_link_cannot_add_to_what_the_provider_is_asked(client, provider):
    place = leave(client, f"{START}?scope=admin&auth_params=redirect_uri%3Dhttps://evil.example/%26prompt%3Dnone")
    assert "evil" not in place
    assert "admin" not in place
    assert "prompt" not in place


def test_only_a_post_with_a_token_leads_to_the_provider(provider):
    strict = Client(enforce_csrf_checks=True)
    page = strict.get(START)
    assert (page.status_code, "Location" in page) == (200, False)
    assert "Continue with" in page.content.decode()
    assert strict.post(START).status_code == 403
    assert not provider.calls


def test_the_log_in_ends_where_it_was_asked_for(client, provider):
    assert log_in(client, provider, "ada", next="/profile/keys").url == "/profile/keys"


@pytest.mark.parametrize("place", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_the_log_in_ends_on_no_other_site(client, provider, place):
    assert log_in(client, provider, "ada", next=place).url == "/dashboard"


def test_the_pages_offer_the_providers(client, provider, settings):
    switch_on(settings, provider, google=("id", "secret"), github=("id", "secret"))
    for page in ("/accounts/login/?next=/profile/keys", "/accounts/signup/?next=/profile/keys"):
        html = text_of(client.get(page))
        for name in ("Google", "GitHub", "Example ID"):
            assert f"Continue with <bdi>{name}</bdi>" in html
        assert html.count('name="next" value="/profile/keys"') == 4, "of each button, and of the form"


def test_another_process_than_those_two_is_refused(client, provider):
    assert client.post(START, {"process": "redirect", "next": "/"}).status_code == 400


def test_log_ins_from_one_address_are_throttled(client, provider):
    statuses = [client.post(START).status_code for _ in range(31)]
    assert statuses == [200] * 30 + [429]


def test_sign_up_can_be_closed(client, provider, monkeypatch):
    monkeypatch.setattr("accounts.adapter.AccountAdapter.is_open_for_signup", lambda self, request: False)
    assert "Sign-up is closed" in log_in(client, provider, "ada").content.decode()
    assert not User.objects.exists()


def test_an_account_made_by_another_request_meanwhile_is_found_by_the_next_log_in(client, provider, monkeypatch):
    def make(*arguments, **options):
        User.objects.create_user("ada@example.com", PASSWORD).verify_email()
        return []

    # After the look-up, and before the account is saved.
    monkeypatch.setattr("allauth.account.internal.userkit.filter_users_by_email", make)
    assert log_in(client, provider, "ada").url == "/accounts/login/"
    assert signed_in(client) is None
    assert not SocialAccount.objects.exists()
    monkeypatch.undo()


# --- Whose account it joins ------------------------------------------------------------------------


def test_an_address_verified_on_both_sides_joins_the_account(client, anonymous, provider, user):
    provider.add("customer", user.email.upper())
    log_in(client, provider, "customer")
    assert signed_in(client) == user
    user.refresh_from_db()
    assert user.check_password(PASSWORD), "the password remains"
    (notice,) = mail.outbox
    assert (notice.to, notice.subject) == ([user.email], "You can log in with Example ID now")
    log_in(anonymous, provider, "customer")
    assert signed_in(anonymous) == user
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("verified", [False, "false", "no", 0, None])
def test_an_address_that_the_provider_has_not_verified_joins_nothing(client, provider, user, verified):
    provider.add("mallory", user.email, verified=verified)
    page = log_in(client, provider, "mallory")
    assert page.status_code == 403
    assert "has not verified" in page.content.decode()
    assert signed_in(client) is None
    assert not SocialAccount.objects.exists()
    assert not mail.outbox


@pytest.mark.parametrize("verified", [False, None])
def test_nor_does_it_make_an_account(client, provider, verified):
    """Its owner could later join that account without knowing who else can log in to it."""
    provider.add("mallory", "victim@example.com", verified=verified)
    assert log_in(client, provider, "mallory").status_code == 403
    assert not User.objects.exists()


@pytest.mark.parametrize("email", [None, "no address", "x" * 260 + "@example.com", 7])
def test_without_an_address_there_is_no_account(client, provider, email):
    provider.add("grace", email)
    page = log_in(client, provider, "grace")
    assert page.status_code == 403
    assert "did not tell us an e-mail address" in page.content.decode()
    assert not User.objects.exists()


@pytest.mark.parametrize(("said", "signs_up"), [(None, True), (False, False)])
def test_an_operator_vouches_for_a_domain_of_which_the_provider_says_nothing(client, provider, settings, said, signs_up):
    switch_on(settings, provider, verified_domains=["Corp.example"])
    provider.add("eve", "eve@corp.example", verified=said)
    provider.add("fay", "fay@other.example", verified=None)
    log_in(client, provider, "eve")
    log_in(client, provider, "fay")
    assert User.objects.filter(email="eve@corp.example").exists() is signs_up
    assert not User.objects.filter(email="fay@other.example").exists()


@pytest.fixture
def trap() -> Client:
    """The browser of someone who has signed up with Ada's address, and has waited for her since."""
    attacker = Client()
    attacker.post("/accounts/signup/", {"email": "ada@example.com", "password1": PASSWORD})
    mail.outbox.clear()
    return attacker


def test_an_account_that_was_never_verified_is_no_trap(client, anonymous, provider, trap):
    made = User.objects.get()
    User.objects.filter(pk=made.pk).update(name="Trap")
    key = ApiKey.objects.issue(made, name="trap")[1].text
    Authenticator.objects.create(user=made, type="totp", data={})
    assert log_in(client, provider, "ada").url == "/dashboard"
    user = User.objects.get()
    assert signed_in(client) == user
    assert (user.has_usable_password(), user.name, user.email_verified_at is None) == (False, "", False)
    assert not ApiKey.objects.live().exists()
    assert not Authenticator.objects.exists()
    assert anonymous.post("/accounts/login/", {"login": "ada@example.com", "password": PASSWORD}).status_code == 200
    assert signed_in(anonymous) is None
    for path in ("/accounts/confirm-email/", "/accounts/login/", "/accounts/signup/", "/dashboard"):
        trap.get(path, follow=True)
        assert signed_in(trap) is None
    assert Client(headers={"x-api-key": key}).get("/api/membership-usage").status_code == 401


def test_the_link_of_the_trap_confirms_nothing_afterwards(client, provider):
    attacker = Client()
    attacker.post("/accounts/signup/", {"email": "ada@example.com", "password1": PASSWORD})
    link = re.search(r"http://testserver(/\S+)", str(mail.outbox[0].body))[1]
    log_in(client, provider, "ada")
    attacker.post(link)
    assert signed_in(attacker) is None


def test_an_account_that_only_waits_for_the_address_is_not_joined(client, provider, owner, user):
    """Its owner could set a password by another address, and share the account."""
    owner.post("/accounts/email/", {"email": "ada@example.com", "action_add": ""})
    mail.outbox.clear()
    log_in(client, provider, "ada")
    assert signed_in(client) == User.objects.get(email="ada@example.com")
    assert signed_in(client) != user
    assert not EmailAddress.objects.filter(user=user, email="ada@example.com").exists()


def test_staff_are_not_joined_by_an_address(client, provider, user):
    User.objects.filter(pk=user.pk).update(is_staff=True)
    provider.add("customer", user.email)
    assert log_in(client, provider, "customer").url == "/accounts/confirm-email/"
    assert signed_in(client) is None
    assert not SocialAccount.objects.exists()
    assert [sent.subject for sent in mail.outbox] == ["You already have an account"]


def test_a_locked_account_stays_locked(client, provider, user):
    provider.add("customer", user.email)
    user.set_active(False)
    assert log_in(client, provider, "customer").url == "/accounts/inactive/"
    assert signed_in(client) is None
    assert not SocialAccount.objects.exists()


def test_a_second_factor_is_asked_for(client, provider, user):
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    provider.add("customer", user.email)
    assert log_in(client, provider, "customer").url == "/accounts/2fa/authenticate/"
    assert signed_in(client) is None
    code = get_mfa_adapter()
    del code
    counter = next(iter(yield_hotp_counters_from_time()))
    answer = client.post("/accounts/2fa/authenticate/", {"code": f"{hotp_value(secret, counter):06d}"})
    assert answer.url == "/dashboard"
    assert signed_in(client) == user


def test_a_deleted_account_frees_the_connection(client, anonymous, provider):
    log_in(client, provider, "ada")
    first = User.objects.get()
    deletion.delete_account(first)
    assert not SocialAccount.objects.exists()
    log_in(anonymous, provider, "ada")
    assert signed_in(anonymous) == User.objects.get(email="ada@example.com")
    assert signed_in(anonymous) != first


# --- Connections -----------------------------------------------------------------------------------


@pytest.fixture
def confirmed(owner: Client, user: User) -> Client:
    """`owner`, who has just confirmed that it is them."""
    assert owner.get("/accounts/2fa/totp/activate/").status_code == 302
    owner.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return owner


def connect(client: Client, provider: OpenIDProvider, subject: str):
    return log_in(client, provider, subject, process="connect")


def test_the_owner_connects_and_disconnects(confirmed, provider, user):
    assert connect(confirmed, provider, "ada").url == CONNECTIONS
    page = text_of(confirmed.get(CONNECTIONS))
    assert "You can log in with Example ID now." in page
    assert "ada@example.com" in page
    assert "Example ID" in text_of(confirmed.get("/profile"))
    account = SocialAccount.objects.get(user=user)
    assert confirmed.post(CONNECTIONS, {"account": account.pk}).url == CONNECTIONS
    assert not SocialAccount.objects.exists()
    assert [sent.subject for sent in mail.outbox] == [
        "You can log in with Example ID now", "Example ID is no longer a way to log in",
    ]  # fmt: skip
    assert all(sent.to == [user.email] for sent in mail.outbox)
    user.refresh_from_db()
    assert user.email == "customer@example.com", "a connection changes no address"


def test_an_unverified_address_may_be_connected_by_its_owner(confirmed, provider, user):
    provider.add("grace", None)
    connect(confirmed, provider, "grace")
    assert SocialAccount.objects.get().user == user


def test_connecting_asks_who_it_is_first(owner, provider):
    answer = owner.post(START, {"process": "connect"})
    assert answer.url == f"/accounts/reauthenticate/?next={START}"
    page = owner.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": START})
    assert "You are going to" in page.content.decode(), "and goes on from there"
    assert provider.calls


def test_an_anonymous_visitor_connects_nothing(client, provider):
    assert client.post(START, {"process": "connect"}).url == f"/accounts/login/?next={START}"
    assert client.get(CONNECTIONS).url == f"/accounts/login/?next={CONNECTIONS}"


def test_a_connection_of_another_account_is_not_taken(client, confirmed, provider, user):
    log_in(client, provider, "ada")
    assert connect(confirmed, provider, "ada").url == CONNECTIONS
    assert "belongs to another account here" in text_of(confirmed.get(CONNECTIONS))
    assert SocialAccount.objects.get().user != user


def test_an_outsider_disconnects_nothing(client, confirmed, provider, outsider):
    connect(confirmed, provider, "ada")
    answer = outsider.post(CONNECTIONS, {"account": SocialAccount.objects.get().pk})
    assert answer.status_code == 200
    assert SocialAccount.objects.exists()


def test_the_last_way_to_log_in_cannot_be_disconnected(client, provider):
    log_in(client, provider, "ada")
    account = SocialAccount.objects.get()
    page = text_of(client.post(CONNECTIONS, {"account": account.pk}))
    assert "Set a password first" in page
    assert SocialAccount.objects.exists()
    client.post("/accounts/password/set/", {"password1": PASSWORD, "password2": PASSWORD})
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert client.post(CONNECTIONS, {"account": account.pk}).url == CONNECTIONS
    assert not SocialAccount.objects.exists()


def test_a_provider_that_is_off_is_no_other_way(client, provider):
    log_in(client, provider, "ada")
    SocialAccount.objects.create(user=User.objects.get(), provider="github", uid="1")
    page = client.post(CONNECTIONS, {"account": SocialAccount.objects.get(provider="openid").pk})
    assert "Set a password first" in text_of(page)
    assert "GitHub" not in text_of(page)
    assert client.post(CONNECTIONS, {"account": SocialAccount.objects.get(provider="github").pk}).status_code == 200
    assert SocialAccount.objects.count() == 2


# --- Users without a password ----------------------------------------------------------------------


def test_without_a_password_a_fresh_log_in_confirms_that_it_is_you(client, provider, monkeypatch):
    log_in(client, provider, "ada")
    assert client.get("/accounts/2fa/totp/activate/").status_code == 200, "logged in a moment ago"
    now = time.time()
    monkeypatch.setattr("accounts.adapter.time.time", lambda: now + 3600)
    answer = client.get("/accounts/2fa/totp/activate/")
    assert answer.url == "/accounts/reauthenticate/?next=/accounts/2fa/totp/activate/"
    page = text_of(client.get(answer.url))
    assert "log in once more" in page
    assert 'name="password"' not in page
    place = leave(client, next="/accounts/2fa/totp/activate/")
    assert dict(parse_qsl(urlsplit(place).query))["prompt"] == "login", "even if the provider's own log-in still lasts"
    monkeypatch.undo()
    assert come_back(client, provider.allow(place, "ada")).url == "/accounts/2fa/totp/activate/"
    assert client.get("/accounts/2fa/totp/activate/").status_code == 200


def test_without_a_password_the_pages_of_the_account_work(client, provider):
    log_in(client, provider, "ada")
    for page in ("/profile", "/profile/keys", "/profile/delete", "/accounts/email/", "/accounts/2fa/", CONNECTIONS, "/dashboard"):
        assert client.get(page).status_code == 200
    assert client.get("/accounts/password/change/").url == "/accounts/password/set/"
    client.post("/profile/delete", {"confirmation": "ada@example.com"})
    assert not User.objects.filter(is_active=True).exists()


# --- What a provider, or someone between, could do wrong --------------------------------------------


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
    "none": lambda provider, claims: jwt.encode(claims, None, "none", headers={"kid": "one"}),
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


def test_a_code_works_once(client, anonymous, provider):
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


def test_a_provider_that_is_away_is_a_clear_page(client, provider, settings):
    settings.OPENID_SERVER_URL = "http://127.0.0.1:1"
    settings.SOCIALACCOUNT_PROVIDERS = log_in_providers(
        google=("", ""), github=("", ""), openid=("id", "secret"), server_url="http://127.0.0.1:1", name="Gone", verified_domains=[]
    )
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
