"""Log-in and sign-up with an OpenID provider and with GitHub: what the visitor sees, and what is kept."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialToken
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client

from accounts.models import User
from billing.credits import ledger
from billing.membership.balance import get_credits
from tests.accounts.conftest import PASSWORD
from tests.accounts.log_ins import CONNECTIONS, START, come_back, leave, log_in, signed_in, switch_on, text_of
from tests.fakes.openid_provider import CLIENT_ID, OpenIDProvider

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


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
    assert (asked["response_type"], asked["client_id"], set(asked["scope"].split())) == (
        "code",
        CLIENT_ID,
        {"openid", "email"},
    )
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


# GitHub is no OpenID provider: allauth reads its API.

GITHUB = "/accounts/github/login/"


@pytest.fixture
def github(provider: OpenIDProvider, settings, monkeypatch) -> OpenIDProvider:
    """GitHub, switched on; its API is the provider's."""
    switch_on(settings, provider, github=("cutouts", "a secret of the tests"))
    for name, path in (
        ("access_token", "token"),
        ("authorize", "authorize"),
        ("profile", "user"),
        ("emails", "user/emails"),
    ):
        monkeypatch.setattr(GitHubOAuth2Adapter, f"{name}_url", f"{provider.url}/{path}")
    return provider


def with_github(client: Client, provider: OpenIDProvider, *emails: tuple[str, bool, bool]):
    """Log in as someone who has these addresses there: (address, primary, verified)."""
    names = ("email", "primary", "verified")
    provider.github_emails = [dict(zip(names, facts, strict=True)) for facts in emails]
    return come_back(client, provider.allow(leave(client, GITHUB), "ada"))


def test_github_signs_up_with_the_primary_address(client, github):
    with_github(client, github, ("other@example.com", False, True), ("Ada@example.com", True, True))
    user = User.objects.get()
    assert (signed_in(client), user.email) == (user, "ada@example.com")
    assert [row.email for row in EmailAddress.objects.all()] == ["ada@example.com"]
    (kept,) = SocialAccount.objects.all()
    assert (kept.provider, kept.uid, kept.extra_data) == ("github", "4711", {"email": "ada@example.com"})
    asked = github.asked[-1]
    assert (asked["scope"], asked["code_challenge_method"]) == ("user:email", "S256")


def test_another_address_at_github_joins_nothing(client, github, user):
    with_github(client, github, (user.email, False, True), ("ada@example.com", True, True))
    assert signed_in(client) == User.objects.get(email="ada@example.com")
    assert signed_in(client) != user


def test_an_unverified_primary_address_at_github_is_refused(client, github, user):
    answer = with_github(client, github, (user.email, True, False), ("ada@example.com", False, True))
    assert (answer.status_code, signed_in(client)) == (403, None)
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize("path", ["/user", "/user/emails", "/token"])
def test_github_that_fails_is_a_clear_page(client, github, path):
    github.faults.statuses[path] = 500
    assert with_github(client, github, ("ada@example.com", True, True)).status_code in (403, 503)
    assert signed_in(client) is None
