"""Whose account a log-in with a provider joins, and the page of connections."""

import re
import time
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, hotp_value, yield_hotp_counters_from_time
from allauth.socialaccount.models import SocialAccount
from django.core import mail
from django.test import Client

from accounts import deletion
from accounts.models import ApiKey, User
from tests.accounts.conftest import PASSWORD
from tests.accounts.log_ins import CONNECTIONS, START, come_back, leave, log_in, signed_in, switch_on, text_of
from tests.fakes.openid_provider import OpenIDProvider

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def test_an_address_verified_on_both_sides_joins_the_account(client, anonymous, provider, user):
    provider.add("customer", user.email.upper())
    log_in(client, provider, "customer")
    assert signed_in(client) == user
    user.refresh_from_db()
    assert user.check_password(PASSWORD), "the password remains"
    (notice,) = mail.outbox
    assert (notice.to, notice.subject) == ([user.email], "You can log in with Example ID now · Offcut")
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
    assert [sent.subject for sent in mail.outbox] == ["You already have an account · Offcut"]


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
        "You can log in with Example ID now · Offcut", "Example ID is no longer a way to log in · Offcut",
    ]  # fmt: skip
    assert all(sent.to == [user.email] for sent in mail.outbox)
    user.refresh_from_db()
    assert user.email == "customer@example.com", "a connection changes no address"


def test_an_unverified_address_may_be_connected_by_its_owner(confirmed, provider, user):
    provider.add("grace", None)
    connect(confirmed, provider, "grace")
    assert SocialAccount.objects.get().user == user


def test_the_address_of_a_connection_does_not_matter(confirmed, provider, user, outsider):
    """It may be another account's: nothing is joined by it."""
    provider.add("other", "other@example.com")
    connect(confirmed, provider, "other")
    assert SocialAccount.objects.get().user == user
    assert signed_in(confirmed) == user


def test_connecting_asks_who_it_is_first(owner, provider):
    answer = owner.post(START, {"process": "connect"})
    assert unquote(answer.url) == f"/accounts/reauthenticate/?next={START}"
    page = owner.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": START})
    assert "You are going to" in page.content.decode(), "and goes on from there"
    assert provider.calls


def test_a_connection_that_waits_for_the_password_keeps_no_token(confirmed, provider, user):
    """The visit to the provider took so long that the owner has to confirm again."""
    place = leave(confirmed, process="connect")
    session = confirmed.session
    del session[AUTHENTICATION_METHODS_SESSION_KEY]
    session.save()
    assert come_back(confirmed, provider.allow(place, "ada")).url == "/accounts/reauthenticate/"
    kept = str(dict(confirmed.session.items()))
    assert "ada@example.com" in kept
    assert not [token for token in provider.tokens if token in kept]
    assert confirmed.post("/accounts/reauthenticate/", {"password": PASSWORD}).url == CONNECTIONS
    assert SocialAccount.objects.get().user == user


def test_an_anonymous_visitor_connects_nothing(client, provider):
    assert unquote(client.post(START, {"process": "connect"}).url) == f"/accounts/login/?next={START}"
    assert client.get(CONNECTIONS).url == f"/accounts/login/?next={CONNECTIONS}"


def test_a_connection_of_another_account_is_not_taken(anonymous, confirmed, provider, user):
    log_in(anonymous, provider, "ada")
    assert connect(confirmed, provider, "ada").url == CONNECTIONS
    assert "belongs to another account here" in text_of(confirmed.get(CONNECTIONS))
    assert SocialAccount.objects.get().user != user


def test_an_outsider_disconnects_nothing(confirmed, provider, outsider):
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


def test_without_a_password_a_fresh_log_in_confirms_that_it_is_you(client, provider, settings, monkeypatch):
    switch_on(settings, provider, github=("id", "secret"))
    log_in(client, provider, "ada")
    assert client.get("/accounts/2fa/totp/activate/").status_code == 200, "logged in a moment ago"
    now = time.time()
    monkeypatch.setattr("accounts.adapter.time.time", lambda: now + 3600)
    answer = client.get("/accounts/2fa/totp/activate/")
    assert unquote(answer.url) == "/accounts/reauthenticate/?next=/accounts/2fa/totp/activate/"
    page = text_of(client.get(answer.url))
    assert "log in once more" in page
    assert ("Example ID" in page, "GitHub" in page) == (True, False), "with another one it might be another account"
    assert 'name="password"' not in page
    place = leave(client, next="/accounts/2fa/totp/activate/")
    assert dict(parse_qsl(urlsplit(place).query))["prompt"] == "login", "even if the provider's own log-in still lasts"
    monkeypatch.undo()
    assert come_back(client, provider.allow(place, "ada")).url == "/accounts/2fa/totp/activate/"
    assert client.get("/accounts/2fa/totp/activate/").status_code == 200


def test_without_a_password_the_pages_of_the_account_work(client, provider):
    log_in(client, provider, "ada")
    for page in ("profile", "profile/keys", "profile/delete", "profile/connections", "accounts/email/", "accounts/2fa/"):
        assert client.get(f"/{page}").status_code == 200
    assert client.get("/accounts/password/change/").url == "/accounts/password/set/"
    client.post("/profile/delete", {"confirmation": "ada@example.com"})
    assert not User.objects.filter(is_active=True).exists()
