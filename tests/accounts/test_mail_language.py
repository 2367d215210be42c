"""Mails are in their reader's language, not in that of the page that caused them."""

import re

import pytest
from django.core import mail
from django.utils import translation

from accounts.models import User
from tests.accounts.conftest import PASSWORD
from tests.accounts.mailbox import last_link

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

ARABIC = {"accept-language": "ar"}
FORGOTTEN = "/accounts/password/reset/"


@pytest.fixture
def arabic(user: User) -> User:
    """`user`, who reads Arabic."""
    user.language = "ar"
    user.save()
    return user


def newest() -> tuple[str, str, str]:
    """Subject, text and HTML of the newest mail."""
    sent = mail.outbox[-1]
    assert isinstance(sent, mail.EmailMultiAlternatives)
    return str(sent.subject), str(sent.body), str(sent.alternatives[0][0])


def is_arabic(text: str) -> bool:
    """Whether a text is entirely in Arabic: every line has Arabic letters, except links, our name and our host."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("http", "testserver", "Offcut"))]
    return all(re.search("[\u0600-\u06ff]", line) for line in lines)


def test_a_user_who_signs_up_in_arabic_stays_in_arabic(client):
    client.post("/accounts/signup/", {"email": "layla@example.com", "password1": PASSWORD}, headers=ARABIC)
    subject, text, html = newest()
    assert (subject, is_arabic(text)) == ("تأكيد عنوان بريدك الإلكتروني · Offcut", True)
    assert '<html lang="ar" dir="rtl">' in html
    assert ">متابعة</a>" in html
    user = User.objects.get()
    assert user.language == "ar"
    client.post(last_link(), headers={"accept-language": "en"})
    user.refresh_from_db()
    assert (user.language, user.email_verified_at is not None) == ("ar", True)


def test_a_user_who_signs_up_in_english_stays_in_english(client):
    client.post("/accounts/signup/", {"email": "ada@example.com", "password1": PASSWORD})
    subject, text, html = newest()
    assert subject == "Confirm your e-mail address · Offcut"
    assert "Welcome! One step is left" in text
    assert '<html lang="en" dir="ltr">' in html
    assert User.objects.get().language == "en"


@pytest.mark.parametrize("page", ["en", "ar"])
@pytest.mark.parametrize("path", [FORGOTTEN, "/accounts/signup/"])
def test_the_profile_decides_not_the_page(client, arabic, path, page):
    """A forgotten password, and a sign-up with an address that has an account."""
    User.objects.update(language="en" if page == "ar" else "ar")
    client.post(path, {"email": arabic.email.upper(), "password1": PASSWORD}, headers={"accept-language": page})
    assert is_arabic(newest()[0]) == is_arabic(newest()[1]) == (page == "en")


def test_mail_to_an_address_without_an_account_is_in_the_pages_language(client, db):
    client.post(FORGOTTEN, {"email": "nobody@example.com"}, headers=ARABIC)
    assert newest()[0] == "لا يوجد حساب بهذا العنوان · Offcut"
    assert "كلمة مرور nobody@example.com" in newest()[1]


def test_mail_to_a_new_address_is_in_the_profiles_language(owner, arabic):
    owner.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
    assert mail.outbox[-1].to == ["new@example.com"]
    assert is_arabic(newest()[0])


def test_notices_of_changes_are_in_the_profiles_language(client, arabic):
    client.post(FORGOTTEN, {"email": arabic.email})
    form = client.get(last_link()).url
    client.post(form, {"password1": "another fine phrase", "password2": "another fine phrase"})
    subject, text, html = newest()
    assert is_arabic(subject)
    assert "إن لم تكن أنت من فعل ذلك" in text
    assert re.search(r"الوقت: \d+ \w+ \d{4}، \d\d:\d\d بتوقيت UTC", text)
    assert 'dir="rtl"' in html


def test_sending_a_mail_does_not_change_the_pages_language(client, arabic):
    with translation.override("en"):
        answer = client.post(FORGOTTEN, {"email": arabic.email}, follow=True)
        assert "Check your inbox" in answer.content.decode()
        assert translation.get_language() == "en"
