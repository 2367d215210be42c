"""`manage.py reconcile` proves every figure from the ledger; `manage.py sweep` settles what no one else will."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import ApiKey, ApiKeyMonth
from billing.credits import ledger
from billing.models import Account, Hold, MonthlyUsage, UsageWindow
from tests.billing.conftest import spend

pytestmark = pytest.mark.django_db


@pytest.fixture
def busy(account, user):
    """Usage of every kind: both channels, a key, prepaid credits, an open hold."""
    key, _ = ApiKey.objects.issue(user, name="k")
    ledger.grant_prepaid(account, 3, reference="pack")
    spend(account, api=2, app=1)
    ledger.post(ledger.hold(account, channel="api", key=key, request_id="test-request"))
    ledger.hold(account, channel="api", key=key, request_id="test-request")
    return account


def test_nothing_differs(busy, capsys):
    call_command("reconcile")
    assert capsys.readouterr().out == "ok\n"


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (Account, "prepaid_balance"), (UsageWindow, "api_used"), (UsageWindow, "app_used"), (UsageWindow, "held"),
        (UsageWindow, "allowance"), (MonthlyUsage, "api_used"), (MonthlyUsage, "app_used"), (ApiKeyMonth, "used"),
        (ApiKeyMonth, "held"),
    ],
)  # fmt: skip
def test_any_wrong_figure_is_found_and_fixed(busy, capsys, model, field):
    before = model.objects.values_list(field, flat=True).get()
    model.objects.update(**{field: before + 5})
    with pytest.raises(CommandError, match="1 difference"):
        call_command("reconcile")
    assert f"{field} is {before + 5}, the ledger says {before}" in capsys.readouterr().out
    assert model.objects.values_list(field, flat=True).get() == before + 5, "looking changes nothing"
    call_command("reconcile", "--fix")
    assert model.objects.values_list(field, flat=True).get() == before
    call_command("reconcile", "--account", "customer@example.com")


def test_a_lost_counter_is_recreated(busy):
    MonthlyUsage.objects.all().delete()
    call_command("reconcile", "--fix")
    usage = MonthlyUsage.objects.get()
    assert (usage.api_used, usage.app_used) == (3, 1)


def test_an_unknown_account(db):
    with pytest.raises(CommandError, match="there is no account"):
        call_command("reconcile", "--account", "nobody@example.com")


def test_the_sweeper_voids_only_what_is_stale(busy):
    fresh = Hold.objects.get(state=Hold.State.HELD)
    call_command("sweep")
    fresh.refresh_from_db()
    assert fresh.state == Hold.State.HELD
    Hold.objects.filter(pk=fresh.pk).update(created_at=timezone.now() - ledger.STALE_HOLD - timedelta(seconds=1))
    call_command("sweep")
    fresh.refresh_from_db()
    assert fresh.state == Hold.State.VOIDED
    call_command("reconcile")
