"""Prices of operations and models, and how amounts of credits are written."""

import pytest

from billing.credits import prices
from billing.credits.refusals import ReasonRequired
from billing.models import Price, PriceChange
from tests.billing.support.staff import make_staff

OPERATION, MODEL = Price.Kind.OPERATION, Price.Kind.MODEL


@pytest.mark.parametrize(
    ("hundredths", "text", "number"),
    [(0, "0", 0), (100, "1", 1), (25, "0.25", 0.25), (1250, "12.5", 12.5), (5, "0.05", 0.05), (-75, "-0.75", -0.75),
     (-200, "-2", -2), (123_456_789, "1234567.89", 1234567.89)],
)  # fmt: skip
def test_an_amount_is_written_with_decimals_only_where_there_is_a_fraction(hundredths, text, number):
    assert prices.format_credits(hundredths) == text
    assert prices.as_number(hundredths) == number
    assert type(prices.as_number(hundredths)) is type(number)


@pytest.mark.django_db
def test_an_image_costs_a_credit_and_a_preview_a_quarter():
    assert (prices.get_price(prices.IMAGE), prices.get_price(prices.PREVIEW)) == (100, 25)


@pytest.mark.django_db
def test_a_model_multiplies_the_price_whatever_its_version():
    Price.objects.create(kind=MODEL, name="large", hundredths=250)
    assert prices.get_price(prices.IMAGE, "large") == 250
    assert prices.get_price(prices.IMAGE, "large@0123abcd") == 250
    # 62.5, rounded up.
    assert prices.get_price(prices.PREVIEW, "large") == 63
    assert prices.get_price(prices.IMAGE, "another") == 100


@pytest.mark.django_db
def test_a_change_is_recorded_with_who_did_it_and_why():
    staff = make_staff("Support")
    prices.change(OPERATION, prices.PREVIEW, 30, staff=staff, reason=" as announced ")
    prices.change(OPERATION, prices.PREVIEW, 30, staff=staff, reason="again")
    prices.change(MODEL, "large", 200, staff=staff, reason="it is slow")
    assert prices.get_price(prices.PREVIEW, "large") == 60
    changes = [(str(one.price), one.old, one.new, one.reason, one.staff) for one in PriceChange.objects.order_by("id")]
    assert changes == [
        ("operation preview", 25, 30, "as announced", staff),
        ("model large", None, 200, "it is slow", staff),
    ]


@pytest.mark.django_db
def test_without_a_reason_no_price_changes():
    with pytest.raises(ReasonRequired):
        prices.change(OPERATION, prices.IMAGE, 1, staff=make_staff("Support"), reason="  ")
    assert prices.get_price(prices.IMAGE) == 100
    assert not PriceChange.objects.exists()
