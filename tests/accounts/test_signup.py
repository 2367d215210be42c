"""Sign-up, verification, log-in, password reset, change of address."""

import re

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from accounts.models import User
from tests.accounts.conftest import PASSWORD
from tests.accounts.mailbox import last_link
from tests.sessions import token_of

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def sign_up(client: Client, email: str = "Ada@Example.com", password: str = PASSWORD):
    return client.post("/accounts/signup/", {"email": email, "password1": password})


def log_in(client: Client, email: str = "ada@example.com", password: str = PASSWORD):
    return client.post("/accounts/login/", {"login": email, "password": password})


def follow(client: Client, link: str):
    """Open the link of a mail and press the button."""
    page = client.get(link)
    assert page.status_code == 200
    return client.post(link)


def read(client: Client, path: str) -> str:
    """A page without the CSRF tokens of its forms, which are random on each request."""
    html, tokens = re.subn(r'name="csrfmiddlewaretoken" value="\w+"', "", client.get(path).content.decode())
    assert tokens
    return html


def test_sign_up_verify_and_be_logged_in(client):
    response = sign_up(client)
    assert (response.status_code, response.url) == (302, "/accounts/confirm-email/")
    user = User.objects.get()
    assert (user.email, user.email_verified_at) == ("ada@example.com", None)
    assert "_auth_user_id" not in client.session
    response = follow(client, last_link())
    assert (response.status_code, response.url) == (302, "/dashboard")
    user.refresh_from_db()
    assert user.email_verified_at is not None
    assert EmailAddress.objects.get(user=user, primary=True, verified=True).email == user.email
    assert client.get("/profile/keys").status_code == 200


def test_merely_opening_the_link_verifies_nothing(client):
    """Mail scanners open every link."""
    sign_up(client)
    client.get(last_link())
    assert User.objects.get().email_verified_at is None


def test_a_link_followed_in_another_browser_verifies_without_a_log_in(client, anonymous):
    sign_up(client)
    response = follow(anonymous, last_link())
    assert response.url == "/accounts/login/"
    assert User.objects.get().email_verified_at is not None
    assert anonymous.get("/profile/keys").status_code == 302


def test_the_mail_is_text_and_html(client):
    sign_up(client)
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.com"]
    link = last_link()
    assert isinstance(sent, mail.EmailMultiAlternatives)
    html, kind = sent.alternatives[0]
    assert kind == "text/html"
    assert f'href="http://testserver{link}"' in html
    assert "<script" not in html


def test_an_unreachable_mail_server_does_not_break_sign_up(client, settings, caplog):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert sign_up(client).url == "/accounts/confirm-email/"
    assert User.objects.count() == 1
    assert "mail not sent" in caplog.text


def test_an_unreachable_broker_does_not_break_sign_up(client, monkeypatch):
    def refuse(**kwargs):
        raise ConnectionError("no broker")

    monkeypatch.setattr("accounts.tasks.deliver_mail.apply_async", refuse)
    assert sign_up(client).url == "/accounts/confirm-email/"
    assert User.objects.count() == 1


def test_logging_in_unverified_sends_the_link_again(client, anonymous):
    sign_up(client)
    from django.core.cache import cache

    cache.clear()  # three minutes later
    assert log_in(anonymous).url == "/accounts/confirm-email/"
    assert len(mail.outbox) == 2
    follow(anonymous, last_link())
    assert User.objects.get().email_verified_at is not None


@pytest.mark.parametrize(
    ("email", "password"),
    [("no address", PASSWORD), ("", PASSWORD), ("ada@example.com", "short"), ("ada@example.com", "12345678901"),
     ("ada@example.com", ""), ("ada@example.com", "password123")],
)  # fmt: skip
def test_bad_input_makes_no_account(client, email, password):
    assert sign_up(client, email, password).status_code == 200
    assert not User.objects.exists()
    assert not mail.outbox


def test_a_known_address_looks_like_a_new_one(client, anonymous, user):
    """The same status, redirect and page; the difference is in the mail, which only the owner reads."""
    known, new = sign_up(client, user.email), sign_up(anonymous, "new@example.com")
    assert (known.status_code, known.url) == (new.status_code, new.url)
    assert read(client, known.url) == read(anonymous, new.url)
    assert [sent.subject for sent in mail.outbox] == [
        "You already have an account · Offcut",
        "Confirm your e-mail address · Offcut",
    ]
    assert User.objects.filter(email=user.email).count() == 1


def test_a_known_address_takes_as_long_as_a_new_one(client, anonymous, user, monkeypatch):
    """Both hash the password, which is nearly all of the time."""
    hashed: list[str] = []
    monkeypatch.setattr("accounts.forms.make_password", hashed.append)
    sign_up(client, user.email)
    sign_up(anonymous, "new@example.com")
    assert hashed == [PASSWORD], "once for the known address; the new one is hashed where it is stored"
    assert User.objects.get(email="new@example.com").has_usable_password()


def test_password_reset_looks_the_same_for_known_and_unknown(client, anonymous, user):
    known = client.post("/accounts/password/reset/", {"email": user.email})
    unknown = anonymous.post("/accounts/password/reset/", {"email": "nobody@example.com"})
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
    assert read(client, known.url) == read(anonymous, unknown.url)
    assert [sent.subject for sent in mail.outbox] == ["Set a new password · Offcut", "No account with this address · Offcut"]


def test_log_in_looks_the_same_for_known_and_unknown(client, anonymous, user):
    answers = [
        (response.status_code, [str(error) for error in response.context["form"].non_field_errors()])
        for response in (log_in(client, user.email, "wrong"), log_in(anonymous, "nobody@example.com", "wrong"))
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == 200


def test_log_in_and_log_out(client, user):
    assert log_in(client, user.email.upper()).url == "/dashboard"
    assert client.get("/profile").status_code == 200
    client.post("/accounts/logout/")
    assert client.get("/profile").url == "/accounts/login/?next=/profile"


def test_guessing_a_password_is_throttled(client, user):
    for _ in range(5):
        log_in(client, user.email, "wrong")
    response = log_in(client, user.email)
    assert "Too many failed login attempts" in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_sign_ups_from_one_address_are_throttled(client):
    statuses = [client.post("/accounts/signup/", {}).status_code for _ in range(21)]
    assert statuses == [200] * 20 + [429]


def test_a_deactivated_account_cannot_log_in(client, user):
    user.set_active(False)
    assert log_in(client, user.email).url == "/accounts/inactive/"
    assert client.get("/accounts/inactive/").status_code == 200


def test_password_reset_ends_other_sessions_and_tokens(client, user):
    from accounts import user_tokens

    elsewhere = Client()
    elsewhere.force_login(user)
    token = token_of(user)
    client.post("/accounts/password/reset/", {"email": user.email})
    form = client.get(last_link()).url
    response = client.post(form, {"password1": "another fine phrase", "password2": "another fine phrase"})
    assert response.url == "/accounts/password/reset/key/done/"
    assert elsewhere.get("/profile").status_code == 302
    assert user_tokens.find_user(token) is None
    assert log_in(client, user.email, "another fine phrase").url == "/dashboard"


def test_an_operators_account_gets_its_password_by_reset(client):
    """`issue_key` makes accounts without a password."""
    from django.core.management import call_command

    call_command("issue_key", "operator@example.com", verbosity=0)
    client.post("/accounts/password/reset/", {"email": "operator@example.com"})
    client.post(client.get(last_link()).url, {"password1": PASSWORD, "password2": PASSWORD})
    assert log_in(client, "operator@example.com").url == "/dashboard"


def test_a_new_address_takes_over_when_it_is_confirmed(owner, user):
    verified_at = user.email_verified_at
    owner.post("/accounts/email/", {"email": "New@example.com", "action_add": ""})
    user.refresh_from_db()
    assert user.email == "customer@example.com"
    follow(owner, last_link())
    user.refresh_from_db()
    assert (user.email, user.email_verified_at) == ("new@example.com", verified_at)
    assert [(row.email, row.verified, row.primary) for row in EmailAddress.objects.all()] == [
        ("new@example.com", True, True)
    ]


def test_an_address_that_became_another_users_is_not_taken(owner, user):
    owner.post("/accounts/email/", {"email": "wanted@example.com", "action_add": ""})
    link = last_link()
    User.objects.create_user("wanted@example.com")
    follow(owner, link)
    user.refresh_from_db()
    assert user.email == "customer@example.com"


PAGES = ["signup", "login", "logout", "confirm-email", "confirm-email/none", "password/reset", "password/reset/done",
         "password/reset/key/1-none", "password/reset/key/done", "inactive"]  # fmt: skip
OWN_PAGES = ["email", "password/change", "reauthenticate", "2fa"]


@pytest.mark.parametrize("page", PAGES)
def test_every_public_page_is_ours(anonymous, page):
    response = anonymous.get(f"/accounts/{page}/", follow=True)
    assert response.status_code == 200
    html = response.content.decode()
    assert html.count("<h1>") == 1 or not html.count("card narrow")
    assert "style=" not in html
    assert "<script>" not in html


@pytest.mark.parametrize("page", OWN_PAGES)
def test_pages_of_the_account_need_a_log_in(owner, anonymous, page):
    assert "/accounts/login/" in anonymous.get(f"/accounts/{page}/").url
    assert owner.get(f"/accounts/{page}/").status_code == 200
