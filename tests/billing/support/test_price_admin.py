"""Prices in the admin: superusers change them with a reason, and everyone at the desk sees the history."""

import pytest

from accounts.models import User
from billing.credits import prices
from billing.models import Price, PriceChange
from tests.billing.support.staff import browser_of

pytestmark = pytest.mark.django_db
HISTORY = {"changes-TOTAL_FORMS": "0", "changes-INITIAL_FORMS": "0"}


@pytest.fixture
def root():
    return browser_of(User.objects.create_superuser("root@example.com", "x"))


def page(name: str) -> str:
    return f"/admin/billing/price/{Price.objects.get(name=name).pk}/change/"


def test_a_superuser_changes_a_price_and_the_page_shows_who_when_and_why(root):
    assert 'value="0.25"' in root.get(page("preview")).content.decode()
    assert root.post(page("preview"), {"amount": "0.3", "reason": "as announced", **HISTORY}).status_code == 302
    assert prices.get_price(prices.PREVIEW) == 30
    [change] = PriceChange.objects.all()
    assert (change.old, change.new, change.reason, change.staff.email) == (25, 30, "as announced", "root@example.com")
    shown = root.get(page("preview")).content.decode()
    assert "as announced" in shown
    assert ">0.25<" in shown.replace("<p>", ">").replace("</p>", "<")


def test_without_a_reason_or_with_a_third_decimal_nothing_changes(root):
    for wrong in ({"amount": "0.3", "reason": " "}, {"amount": "0.255", "reason": "x"}, {"amount": "-1", "reason": "x"}):
        assert root.post(page("preview"), {**wrong, **HISTORY}).status_code == 200
    assert prices.get_price(prices.PREVIEW) == 25
    assert not PriceChange.objects.exists()


def test_a_model_gets_a_factor(root):
    form = {"kind": "model", "name": "large", "amount": "2.5", "reason": "it is slow", **HISTORY}
    assert root.post("/admin/billing/price/add/", form).status_code == 302
    assert prices.get_price(prices.IMAGE, "large") == 250
    assert PriceChange.objects.get().old is None
    assert root.post("/admin/billing/price/add/", form).status_code == 200, "it is there"
    unknown = {"kind": "operation", "name": "unheard of", "amount": "1", "reason": "x", **HISTORY}
    assert root.post("/admin/billing/price/add/", unknown).status_code == 200
    assert PriceChange.objects.count() == 1


def test_no_one_deletes_a_price_or_its_history(root):
    assert root.post(page("image").replace("change", "delete"), {"post": "yes"}).status_code == 403


def test_the_desk_sees_prices_and_changes_none(support, reader):
    for browser in (support, reader):
        assert browser.get(page("image")).status_code == 200
        assert browser.post(page("image"), {"amount": "9", "reason": "x", **HISTORY}).status_code == 403
    assert prices.get_price(prices.IMAGE) == 100
