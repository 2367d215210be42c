"""The low-balance mail: at 80 % and 100 % of a window's included credits, once each."""

import pytest

from accounts.models import User
from billing.credits import ledger
from billing.models import UsageWindow
from tests.billing.conftest import spend

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _committed(monkeypatch):
    """Mails are sent after commit; here every transaction commits at once."""
    monkeypatch.setattr("django.db.transaction.on_commit", lambda callback, **options: callback())


@pytest.fixture
def five_credits(account):
    spend(account, api=1)
    UsageWindow.objects.update(allowance=5)
    return account


def test_one_mail_at_each_threshold(five_credits, mailoutbox):
    subjects = []
    for _ in range(4):
        spend(five_credits, api=1)
        subjects.append([mail.subject.removesuffix(" · Offcut") for mail in mailoutbox])
    assert subjects == [[], [], ["80 % of your included credits are used"], [
        "80 % of your included credits are used", "Your included credits are used up",
    ]]  # fmt: skip
    assert mailoutbox[0].to == ["customer@example.com"]
    assert "4 of the 5 credits" in mailoutbox[0].body


def test_prepaid_credits_cause_no_more_mails(five_credits, mailoutbox):
    ledger.grant_prepaid(five_credits, 5, reference="pack")
    spend(five_credits, api=6)
    assert len(mailoutbox) == 2


def test_a_new_window_warns_again(five_credits, mailoutbox):
    spend(five_credits, api=4)
    UsageWindow.objects.update(app_used=0, api_used=0, warned_percent=0)
    spend(five_credits, api=5)
    assert len(mailoutbox) == 4


def test_it_can_be_switched_off(five_credits, mailoutbox):
    User.objects.update(low_balance_mails=False)
    five_credits.user.refresh_from_db()
    spend(five_credits, api=4)
    assert mailoutbox == []


def test_a_void_sends_no_warning(five_credits, mailoutbox):
    for _ in range(4):
        ledger.void(ledger.hold(five_credits, channel="api", key=None, request_id="test-request"))
    assert mailoutbox == []


def test_it_is_in_the_customers_language(five_credits, mailoutbox):
    """Requests use the API's addresses, which are in English."""
    User.objects.update(language="ar")
    five_credits.user.refresh_from_db()
    spend(five_credits, api=4)
    assert [mail.subject for mail in mailoutbox] == [
        "استُخدم 80% من أرصدتك المشمولة · Offcut",
        "نفدت أرصدتك المشمولة · Offcut",
    ]
    assert "4 من أصل 5 أرصدة مشمولة في باقتك (المجانية)" in mailoutbox[0].body
    assert '<html lang="ar" dir="rtl">' in mailoutbox[0].alternatives[0][0]
