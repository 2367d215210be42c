"""Mail from a worker's point of view."""

import smtplib

import pytest
from celery.exceptions import Retry
from django.core import mail
from django.db import transaction

from accounts import mails
from accounts.tasks import FIRST_RETRY_SECONDS, deliver_mail

MAIL = {"to": "ada@example.com", "subject": "Hello", "text": "text", "html": "<p>text</p>"}


@pytest.fixture
def broken_mail_server(monkeypatch):
    def refuse(self):
        raise smtplib.SMTPServerDisconnected

    monkeypatch.setattr("django.core.mail.EmailMultiAlternatives.send", refuse)


def test_a_worker_retries_with_growing_delays(broken_mail_server, monkeypatch):
    waits = []

    def retry(exc, countdown):
        waits.append(countdown)
        return Retry(exc=exc)

    monkeypatch.setattr(deliver_mail, "retry", retry)
    for retries in range(3):
        deliver_mail.push_request(retries=retries, is_eager=False)
        with pytest.raises(Retry):
            deliver_mail.run(**MAIL)
        deliver_mail.pop_request()
    assert waits == [FIRST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2, FIRST_RETRY_SECONDS * 4]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_mail_leaves_after_the_commit_and_not_after_a_rollback():
    context = {"current_site": type("Site", (), {"domain": "example.com"})}
    with transaction.atomic():
        mails.send("account/email/password_reset_key", "ada@example.com", context, language="en")
        assert not mail.outbox
    assert len(mail.outbox) == 1
    with transaction.atomic():
        mails.send("account/email/password_reset_key", "ada@example.com", context, language="en")
        transaction.set_rollback(True)
    assert len(mail.outbox) == 1
