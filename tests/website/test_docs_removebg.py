"""`/docs/removebg`: its tables are those of the code, and its calculator counts with this deployment's prices."""

import re
from html import unescape

import pytest

from billing.models import CreditPack, Plan
from website import error_guide, migration
from website.migration import Month, cheapest_packs, find_offers, parse_month

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("query", "month"),
    [
        ({}, (500, 1000)),
        ({"images": "7", "previews": "0"}, (7, 0)),
        ({"images": "-1", "previews": "x"}, (500, 1000)),
        ({"images": "999999999999", "previews": "9" * 5000}, (10_000_000, 1000)),
        ({"images": "\u0663"}, (500, 1000)),
    ],
)
def test_what_a_reader_enters(query, month):
    found = parse_month(query)
    assert (found.images, found.previews) == month


def test_the_offers():
    Plan.objects.filter(label="Free").update(free_previews=50)
    offers = {offer.plan.label: offer for offer in find_offers(Month(1200, 4050))}
    free = offers["Free"]
    # 1200 + (4050 - 50) / 4, of which 50 are included.
    assert free.needed == "2200"
    assert [(count, pack.credits) for count, pack in free.packs] == [(1, 2000), (2, 100)]
    assert free.cents == 5900 + 2 * 500
    assert offers["Premium-5000"].packs == []
    prices = [offer.cents for offer in find_offers(Month(1200, 4050))]
    assert prices == sorted(prices)


def test_packs():
    packs = [CreditPack(credits=100, price_cents=500), CreditPack(credits=500, price_cents=1900)]
    assert cheapest_packs(0, packs) == []
    assert cheapest_packs(1, []) is None
    for missing in (1, 99, 100, 101, 400, 499, 500, 501, 999, 1234):
        chosen = cheapest_packs(missing, packs) or []
        assert sum(count * pack.credits for count, pack in chosen) >= missing
    assert [(count, pack.credits) for count, pack in cheapest_packs(450, packs) or []] == [(1, 500)]


def test_the_calculator_is_on_the_page(client):
    html = unescape(client.get("/docs/removebg?images=10&previews=6").content.decode())
    assert "At remove.bg that is 11.5 credits a month." in html
    rows = re.findall(r"<tr><th scope=\"row\"><bdi>([^<]+)", html.split("data-offers")[1])
    assert rows == [offer.plan.label for offer in migration.find_offers(Month(10, 6))]


def test_every_error_is_on_the_page(client):
    html = unescape(client.get("/docs/removebg").content.decode())
    for row in error_guide.compat_errors():
        assert f"<code>{row.code}</code>" in html
        assert row.text in html


def test_consent_is_shown_where_images_are_collected(client, settings):
    assert "you agree" not in client.get("/docs/removebg").content.decode()
    settings.IMPROVE_FOLDER = "/somewhere"
    assert "you agree that the operator keeps it" in client.get("/docs/removebg").content.decode()
    assert "/v1.0/improve" in client.get("/privacy").content.decode()
