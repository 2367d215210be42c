"""One search: anything a customer quotes leads support to the account, and a pasted secret is neither logged nor shown."""

import logging
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.http import urlencode

from accounts.keys import find_lookup
from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.models import CreditPack, PackPurchase, Plan, StripeCustomer, StripeEvent, StripePrice, Subscription
from tests.billing.conftest import moment
from tests.billing.support.staff import browser_of, make_staff, page, record

pytestmark = pytest.mark.django_db

SEARCH = "/admin/billing/account/search/"


@pytest.fixture
def shop(user, account) -> ApiKey:
    """A key of the customer, and another customer's account."""
    ledger.get_account(User.objects.create_user("customs@example.com"))
    return ApiKey.objects.issue(user, name="shop")[0]


@pytest.fixture
def at_stripe(account) -> None:
    """Every Stripe object that an account can have."""
    StripeCustomer.objects.create(account=account, stripe_id="cus_1")
    price = StripePrice.objects.create(
        stripe_id="price_1",
        product_id="prod_1",
        lookup_key="a",
        plan=Plan.objects.get(label="Premium-1000"),
        amount_cents=1900,
    )
    pack = StripePrice.objects.create(
        stripe_id="price_2", product_id="prod_2", lookup_key="b", pack=CreditPack.objects.all()[0], amount_cents=500
    )
    start, end = moment("2026-02-01 00:00"), moment("2026-03-01 00:00")
    Subscription.objects.create(
        account=account,
        stripe_id="sub_1",
        status="active",
        price=price,
        period_start=start,
        period_end=end,
        started_at=start,
    )
    PackPurchase.objects.create(
        account=account, price=pack, checkout_id="cs_test_1", payment_intent_id="pi_1", charge_id="ch_1", credits=100,
        amount_cents=500,
    )  # fmt: skip
    ledger.grant_prepaid(account, 100, reference="stripe:checkout:cs_test_1")
    ledger.refund_prepaid(account, 10, reference="stripe:refund:re_1")
    StripeEvent.objects.create(
        account=account, stripe_id="evt_1", type="invoice.paid", object_id="in_1", customer_id="cus_1"
    )


def search(browser: Client, term: str):
    return browser.post(SEARCH, {"term": term})


def test_an_address_leads_to_the_account(support, account, shop):
    for term in ("customer@example.com", "  CUSTOMER@example.com ", "customer@", "custome"):
        assert search(support, term).headers["Location"] == page(account), term


def test_the_beginning_of_several_addresses_gives_a_list(support, account, shop):
    response = search(support, "custom")
    html = response.content.decode()
    assert response.status_code == 200
    assert {hit.label for hit in response.context["hits"]} == {"customer@example.com", "customs@example.com"}
    assert page(account) in html


def test_an_exact_address_comes_before_longer_ones(support, account):
    User.objects.create_user("customer@example.com.au")
    assert search(support, "customer@example.com").headers["Location"] == page(account)


def test_a_public_id_leads_to_the_account(support, account, user, shop):
    assert search(support, user.public_id).headers["Location"] == page(account)


def test_an_account_that_never_called_is_found(support):
    fresh = User.objects.create_user("fresh@example.com")
    assert search(support, fresh.public_id).headers["Location"] == f"/admin/billing/account/of/{fresh.public_id}/"


def test_a_key_prefix_leads_to_the_account_with_the_key_marked(support, account, shop):
    for term in (shop.prefix, f"{shop.prefix}…", shop.lookup):
        assert search(support, term).headers["Location"] == f"{page(account)}?key={shop.lookup}"


@pytest.mark.parametrize("text", ["{key}", "x-api-key: {key}", "Authorization: Bearer {key}\n", "{key}."])
def test_of_a_whole_key_only_the_public_part_is_used(support, account, key, caplog, text):
    secret = key.rpartition("_")[2]
    with caplog.at_level(logging.DEBUG):
        response = search(support, text.format(key=key))
    assert response.headers["Location"] == f"{page(account)}?key={find_lookup(key)}"
    assert secret not in str(response.headers)
    assert secret not in support.get(response.headers["Location"]).content.decode()
    lines = [line.getMessage() + str(vars(line)) for line in caplog.records if line.name != "django.db.backends"]
    assert not [line for line in lines if secret in line]


@pytest.mark.parametrize("mangled", ["{secret}", "{key}"])
def test_a_key_that_is_not_found_is_not_shown_again(support, key, mangled):
    secret = key.rpartition("_")[2]
    ApiKey.objects.all().delete()
    html = search(support, mangled.format(key=key, secret=secret)).content.decode()
    assert "Nothing found" in html
    assert secret not in html


def test_a_request_id_leads_to_the_account_with_its_rows_only(support, account):
    for request_id in ("request-4711", "request-4712"):
        ledger.hold(account, channel="api", key=None, request_id=request_id)
        record(account, request_id)
    response = search(support, "request-4711")
    assert response.headers["Location"] == f"{page(account)}?request_id=request-4711"
    shown = support.get(response.headers["Location"])
    assert {row.hold.request_id for row in shown.context["ledger_rows"]} == {"request-4711"}
    assert [row.request_id for row in shown.context["requests"]] == ["request-4711"]
    assert shown.content.decode().count('class="marked"') >= 2


def test_a_refused_request_is_found_though_it_held_nothing(support, account):
    record(account, "request-4711", code="unsupported_image")
    assert search(support, "request-4711").headers["Location"] == f"{page(account)}?request_id=request-4711"


def test_a_hold_is_found_by_its_own_id(support, account):
    held = ledger.hold(account, channel="api", key=None, request_id="request-4711")
    assert search(support, str(held.pk)).headers["Location"] == f"{page(account)}?request_id=request-4711"


def test_a_request_id_that_two_customers_chose_gives_both(support, account, shop):
    other = ledger.get_account(User.objects.get(email="customs@example.com"))
    for one in (account, other):
        record(one, "my-request")
    assert {hit.account for hit in search(support, "my-request").context["hits"]} == {account.pk, other.pk}


def test_a_call_without_a_key_is_found(support):
    row = record(None, "request-4711", channel="anonymous")
    response = search(support, "request-4711")
    assert response.headers["Location"] == f"/admin/billing/requestrecord/{row.pk}/change/"
    assert "request-4711" in support.get(response.headers["Location"]).content.decode()


@pytest.mark.parametrize("stripe_id", ["cus_1", "sub_1", "cs_test_1", "pi_1", "ch_1", "re_1", "in_1", "evt_1"])
def test_an_id_of_stripes_leads_to_the_account(support, account, at_stripe, stripe_id):
    assert search(support, stripe_id).headers["Location"] == f"{page(account)}?{urlencode({'stripe': stripe_id})}"


@pytest.mark.parametrize("stripe_id", ["price_1", "prod_1"])
def test_a_price_leads_to_the_price(support, at_stripe, stripe_id):
    price = StripePrice.objects.get(stripe_id="price_1")
    assert search(support, stripe_id).headers["Location"] == f"/admin/billing/stripeprice/{price.pk}/change/"


def test_an_event_of_no_account_leads_to_the_event(support):
    stray = StripeEvent.objects.create(stripe_id="evt_9", type="invoice.paid", object_id="in_9", customer_id="cus_9")
    for term in ("evt_9", "in_9", "cus_9"):
        assert search(support, term).headers["Location"] == f"/admin/billing/stripeevent/{stray.pk}/change/"


@pytest.mark.parametrize(
    "term",
    [
        "", "  ", "cu", "u_0000000000000000", "cus_unknown", "nobody@example.com", str(uuid.UUID(int=1)), "rmbg_", "%",
        "a b c", "x" * 300, "'; --",
    ],
)  # fmt: skip
def test_nothing_found_says_what_can_be_searched(support, account, term):
    response = search(support, term)
    assert response.status_code == 200
    html = response.content.decode()
    assert "Nothing found" in html
    assert "What can be searched" in html


def test_the_search_page_alone_says_what_can_be_searched(support):
    html = support.get(SEARCH, {"term": "customer@example.com"}).content.decode()
    assert "What can be searched" in html
    assert "customer@example.com" not in html, "what stands in an address is not searched for"


@pytest.mark.parametrize(
    "term", ["customer@example.com", "u_", "rmbg_ABCDEFGHIJKL", "request-4711", "pi_1", "ch_1", "evt_1", "in_1", "cus_1"]
)
def test_a_search_takes_few_queries_and_scans_no_whole_table(
    support, account, at_stripe, term, django_assert_max_num_queries
):
    term = account.user.public_id if term == "u_" else term
    with CaptureQueriesContext(connection) as run:
        search(support, term)
    assert len(run) <= 12
    # (SQLite's LIKE uses no index, and needs none on a laptop: PostgreSQL has one for the beginning of an address.)
    statements = [q["sql"] for q in run if q["sql"].startswith("SELECT") and "LIKE" not in q["sql"]]
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        if not is_sqlite:
            # It would scan tables as small as these even if they have an index.
            cursor.execute("SET LOCAL enable_seqscan = off")
        for statement in statements:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{statement.replace('%', '%%')}")
            plan = [row[3] if is_sqlite else row[0].strip(" ->").replace("Seq Scan on", "SCAN") for row in cursor.fetchall()]
            big = ("billing_hold", "billing_requestrecord", "billing_ledgerentry", "accounts_user", "accounts_apikey",
                   "billing_account", "billing_stripeevent", "billing_packpurchase")  # fmt: skip
            scans = [step for step in plan if step.startswith("SCAN") and step.split()[1] in big]
            assert not scans, (statement, plan)


@pytest.mark.parametrize("path", ["/admin/", "/admin/billing/account/", "/admin/accounts/user/", SEARCH])
def test_every_page_has_the_search(support, path):
    assert f'action="{SEARCH}"' in support.get(path).content.decode()


def test_readers_may_search_and_no_one_else(account, user):
    assert search(browser_of(make_staff("Readers")), user.email).status_code == 302
    assert search(browser_of(user), user.email).status_code == 302
    assert search(browser_of(user), user.email).headers["Location"].startswith("/admin/login/")
    assert search(Client(), user.email).headers["Location"].startswith("/admin/login/")
    outsider = make_staff("Readers", "no-rights@example.com")
    outsider.groups.clear()
    assert search(browser_of(outsider), user.email).status_code == 403
    assert SEARCH not in browser_of(outsider).get("/admin/").content.decode()


@pytest.mark.parametrize(
    "listed", ["account", "requestrecord", "ledgerentry", "hold", "stripeevent", "subscription", "packpurchase"]
)
def test_the_lists_are_searched_alike(support, account, shop, at_stripe, listed):
    held = ledger.hold(account, channel="api", key=shop, request_id="request-4711")
    record(account, "request-4711")
    for term in ("customer@", account.user.public_id, shop.prefix, "request-4711", str(held.pk), "cus_1"):
        found = support.get(f"/admin/billing/{listed}/", {"q": term}).context["cl"]
        assert found.result_count >= 1, term
        assert {getattr(row, "account", row) for row in found.result_list} == {account}
    assert support.get(f"/admin/billing/{listed}/", {"q": "nobody@"}).context["cl"].result_count == 0
