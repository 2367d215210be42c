"""Mails come in the operator's name, with the operator's logo and address."""

from types import SimpleNamespace

import pytest
from django.core import mail
from django.utils import timezone

from accounts import mails
from accounts.tasks import deliver_mail
from tests.server import ROOT

NAME, SUPPORT = "Acme & Söhne", "help@acme.example"
PREFIXES = sorted(
    str(path.relative_to(ROOT / "templates")).removesuffix("_message.txt")
    for path in (ROOT / "templates").rglob("email/*_message.txt")
    if path.name != "base_message.txt"
)
# Of allauth, inside our frame.
NOTICES = ["account/email/password_changed", "account/email/email_changed", "mfa/email/totp_activated"]
CONTEXT = {
    "current_site": SimpleNamespace(name="cutouts.example", domain="cutouts.example"),
    "account": SimpleNamespace(plan=SimpleNamespace(label="Free"), prepaid=0),
    "window": SimpleNamespace(allowance=5, used=400, end=timezone.now()),
    "percent": 80,
    "email": "ada@example.com",
    "timestamp": timezone.now(),
}


@pytest.fixture
def brand(settings):
    settings.SITE_NAME, settings.SITE_SUPPORT_EMAIL, settings.SITE_COLOR = NAME, SUPPORT, "#7c2d12"


def test_there_are_mails():
    assert {"account/email/email_confirmation_signup", "billing/email/low_balance"} <= set(PREFIXES)


@pytest.mark.parametrize("prefix", PREFIXES + NOTICES)
def test_every_mail_names_the_operator_and_the_address_to_write_to(brand, prefix):
    written = mails.write(prefix, CONTEXT)
    assert "offcut" not in str(written).lower()
    assert written["subject"].endswith(f" · {NAME}")
    *_, signature = written["text"].split("\n\n")
    assert signature.splitlines() == [NAME, "cutouts.example", f"Support: {SUPPORT}"]
    assert "<bdi" in written["html"]
    assert "Acme &amp; Söhne" in written["html"]
    assert f'href="mailto:{SUPPORT}"' in written["html"]


@pytest.mark.parametrize("prefix", ["account/email/password_changed", "billing/email/keys_revoked"])
def test_without_an_address_it_says_whom_to_ask(prefix):
    text = mails.write(prefix, CONTEXT)["text"]
    assert "the operator of this service" in text
    assert "Support:" not in text


def test_the_button_has_the_accent_of_light_pages(brand):
    written = mails.write("account/email/password_reset_key", CONTEXT | {"password_reset_url": "https://example.com/x"})
    assert "background:#7c2d12;color:#ffffff" in written["html"]


def test_the_logo_travels_with_the_mail_and_replies_go_to_support(brand):
    deliver_mail(to="ada@example.com", **mails.write("account/email/unknown_account", CONTEXT))
    (sent,) = mail.outbox
    assert sent.reply_to == [SUPPORT]
    message = sent.message()
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == ["multipart/related", "multipart/alternative", "text/plain", "text/html", "image/png"]
    *_, logo = message.walk()
    assert (logo["Content-ID"], logo.get_content_disposition()) == ("<logo>", "inline")
    assert bytes(logo.get_payload(decode=True)).startswith(b"\x89PNG")


def test_a_mail_that_the_release_before_has_queued_is_sent_as_it_is():
    deliver_mail(to="ada@example.com", subject="Hello", text="Hello", html="<p>Hello</p>")
    (sent,) = mail.outbox
    assert (sent.attachments, sent.reply_to) == ([], [])
