"""The monthly cap of a key, as its owner and the ledger see it."""

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, ApiKeyMonth
from accounts.standing import AccessEnded
from billing.credits import key_usage
from billing.models import Hold, LedgerEntry, UsageWindow
from tests.imaging.removal.forms import form

pytestmark = pytest.mark.django_db


def call(key: str, png: bytes):
    return Client(headers={"x-api-key": key}).post("/rmbg", **form(png))


def counts() -> tuple[int, int]:
    row = ApiKeyMonth.objects.get()
    return row.held, row.used


def test_delivered_images_are_counted_by_key_and_month(quick_model, key, small_png):
    for _ in range(3):
        assert call(key, small_png).status_code == 200
    assert counts() == (0, 3)
    assert ApiKeyMonth.objects.get().month.day == 1


def test_a_failure_is_not_counted(quick_model, key, small_png):
    assert call(key, small_png[:45]).status_code == 400
    assert counts() == (0, 0)


def test_a_key_at_its_cap_is_refused_and_nothing_is_held(quick_model, user, key, small_png):
    ApiKey.objects.update(monthly_credit_cap=2)
    assert [call(key, small_png).status_code for _ in range(2)] == [200, 200]
    rows = LedgerEntry.objects.count(), Hold.objects.count()
    response = call(key, small_png)
    assert response.status_code == 429
    assert response.json() == {
        "error": "This API key has reached its monthly credit cap. Raise the cap or use another key.",
        "code": "key_limit_reached",
        "status": 429,
    }
    assert 1 <= int(response.headers["Retry-After"]) <= 31 * 86_400
    assert (LedgerEntry.objects.count(), Hold.objects.count()) == rows
    assert (UsageWindow.objects.get().held, counts()) == (0, (0, 2))
    _, another = ApiKey.objects.issue(user, name="another")
    assert call(another.text, small_png).status_code == 200


def test_a_raised_cap_counts_at_once(quick_model, key, small_png):
    ApiKey.objects.update(monthly_credit_cap=1)
    call(key, small_png)
    assert call(key, small_png).status_code == 429
    ApiKey.objects.get().edit(name="raised", monthly_credit_cap=2)
    assert call(key, small_png).status_code == 200


def test_without_credits_the_key_counts_nothing(quick_model, key, small_png):
    call(key, small_png)
    UsageWindow.objects.update(allowance=1)
    assert call(key, small_png).json()["code"] == "monthly_limit_reached"
    assert counts() == (0, 1)


@pytest.mark.parametrize("moment", ["before", "in between"])
def test_a_key_that_ends_does_not_report_a_reached_cap(user, monkeypatch, moment):
    """Its first request of a month is counted in two steps, and the key may end between them."""
    key, _ = ApiKey.objects.issue(user, name="short")
    make = ApiKeyMonth.objects.get_or_create

    def revoke_first(**values):
        ApiKey.objects.get(pk=key.pk).revoke()
        return make(**values)

    if moment == "before":
        ApiKey.objects.get(pk=key.pk).revoke()
    else:
        monkeypatch.setattr(ApiKeyMonth.objects, "get_or_create", revoke_first)
    with pytest.raises(AccessEnded):
        key_usage.take(key, timezone.now().date().replace(day=1), 100)
    assert not ApiKeyMonth.objects.exclude(held=0).exists()
