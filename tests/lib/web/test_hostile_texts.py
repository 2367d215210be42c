"""Texts and numbers that no column can hold never cause a 5xx, on either database (`make test-postgres`)."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

from accounts.models import ApiKey, User
from billing.credits import ledger
from imaging.core.codecs.checks import MAX_BYTES
from imaging.models import Batch, BatchItem
from tests.imaging.batches.forms import batch_form, caller, zipped

pytestmark = pytest.mark.django_db

# One number is larger than 64 bits, the other has more digits than Python converts.
NUL, LONG, HUGE, DIGITS = "a\x00b", "x" * 4500, "9" * 30, "9" * 4500
VALUES = {"NUL": NUL, "long": LONG, "huge": HUGE, "digits": DIGITS}
# Every parameter that any of our addresses reads, all in one request.
QUERY = [
    "year", "month", "periodStartUnix", "expand", "limit", "before", "items", "page", "show", "part", "cycle", "status",
    "key", "day", "session_id", "next", "q", "term", "target", "request_id", "stripe", "bucket", "kind", "channel", "lang",
]  # fmt: skip
FIELDS = [
    "email", "login", "password", "password1", "password2", "oldpassword", "name", "language", "next", "hours", "code",
    "monthly_credit_cap", "expires_in_days", "confirmation", "plan", "pack", "term", "reason", "credits", "target", "token",
    "action", "_selected_action", "action_add", "action_change", "image_url", "callback_url", "user", "label", "remember",
]  # fmt: skip
# These read neither.
FIXED = re.compile(
    r"/(docs|privacy|terms|cookies|robots|sitemap|favicon|healthz|readyz|metrics|accounts/logout|admin/(logout|jsi18n))"
)
# What Stripe or an operator has switched off here is answered with a 503.
SWITCHED_OFF = ("payment_switched_off", "Payment is switched off")


def addresses() -> Iterator[list[str]]:
    """Every address of the deployment as its fixed parts, with a value between each two."""

    def walk(patterns: Any, before: list[str]) -> Iterator[list[str]]:
        for one in patterns:
            parts = _fixed_parts(one)
            joined = [*before[:-1], before[-1] + parts[0], *parts[1:]]
            if isinstance(one, URLResolver):
                yield from walk(one.url_patterns, joined)
            elif isinstance(one, URLPattern):
                yield joined

    yield from walk(get_resolver().url_patterns, ["/"])


def _fixed_parts(one: Any) -> list[str]:
    route = getattr(one.pattern, "_route", None)
    if route is None:
        # Two of allauth's and the admin's last use regular expressions.
        text = one.pattern.regex.pattern
        known = {"confirm-email/": ["confirm-email/", "/"], "password/reset/key/": ["password/reset/key/", "-", "/"]}
        return next((parts for start, parts in known.items() if start in text), [""])
    parts, rest = [], str(route)
    while "<" in rest:
        fixed, _, rest = rest.partition("<")
        parts.append(fixed)
        rest = rest.partition(">")[2]
    return [*parts, rest]


def is_fine(response: Any) -> bool:
    return response.status_code < 500 or (
        response.status_code == 503 and any(code in str(response.content) for code in SWITCHED_OFF)
    )


@pytest.fixture
def browser(user: User) -> Client:
    """The browser of a customer who is also staff with every right."""
    ledger.get_account(user)
    user.is_staff = user.is_superuser = True
    user.save()
    browser = Client(raise_request_exception=False)
    browser.force_login(user)
    return browser


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_no_address_fails_on_a_value_in_it(browser, value, caplog):
    paths = {quote(value).join(parts) for parts in addresses() if len(parts) > 1}
    assert len(paths) > 40
    failed = [path[:80] for path in sorted(paths) if not is_fine(browser.get(path))]
    failed += [f"POST {path[:80]}" for path in sorted(paths) if not is_fine(browser.post(path))]
    assert failed == []
    assert "the database refused a value" not in caplog.text


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_no_page_fails_on_a_value_in_its_query_or_form(user, browser, key, value, caplog):
    """With a key, as a visitor where visitors may, and as staff."""
    lookup, account = ApiKey.objects.get().lookup, ledger.get_account(user)
    paths = {parts[0] for parts in addresses() if len(parts) == 1 and not FIXED.match(parts[0])}
    paths |= {f"/profile/keys/{lookup}/edit", f"/profile/keys/{lookup}/rotate"}
    paths |= {f"/admin/billing/account/{account.pk}/change/", "/admin/billing/account/search/"}
    visitor, caller_of_api = Client(raise_request_exception=False), caller(key)
    failed = []
    for path in sorted(paths):
        is_api = path.startswith(("/api/", "/rmbg"))
        for client in [caller_of_api] if is_api else [browser, visitor] if path.startswith("/accounts/") else [browser]:
            # Lists of the admin have a test of their own.
            if not path.startswith("/admin/") or path.endswith("/change/"):
                failed += [f"GET {path}"] * (not is_fine(client.get(path, dict.fromkeys(QUERY, value))))
            failed += [f"POST {path}"] * (not is_fine(client.post(path, dict.fromkeys(FIELDS, value))))
    assert failed == []
    assert "the database refused a value" not in caplog.text


def test_the_account_page_accepts_the_last_day(user, browser):
    page = f"/admin/billing/account/{ledger.get_account(user).pk}/change/"
    assert browser.get(page, {"day": "9999-12-31"}).status_code == 200


@pytest.mark.parametrize("value", [NUL, LONG, HUGE], ids=["NUL", "long", "huge"])
def test_no_list_of_the_admin_fails_on_a_filter(browser, value):
    failed = []
    for model, its_admin in admin.site._registry.items():
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        date = its_admin.date_hierarchy
        filters = ["q", "p", "o", "id__exact", *map(str, its_admin.list_filter)]
        filters += [f"{date}__year"] if date else []
        failed += [f"{path}?{name}" for name in filters if not is_fine(browser.get(path, {name: value}))]
    assert failed == []


@pytest.mark.parametrize(
    "cookie",
    [
        'sessionid="aaaaaaaa\\000"',
        "sessionid=" + "a" * 5000,
        'messages="\\000"',
        'csrftoken="\\000"',
        "django_language=" + LONG,
    ],
    ids=["NUL in the session", "long session", "NUL in the messages", "NUL in the token", "long language"],
)
@pytest.mark.parametrize("path", ["/", "/dashboard", "/accounts/login/", "/admin/", "/api/user-token"])
def test_no_cookie_makes_a_page_fail(cookie, path):
    """A cookie in quotes may hold any character, written in octal digits."""
    client = Client(raise_request_exception=False)
    assert client.get(path, headers={"Cookie": cookie}).status_code < 500
    assert client.post(path, headers={"Cookie": cookie}).status_code < 500


@pytest.mark.parametrize(
    "name", ["X-Request-Id", "Idempotency-Key", "User-Agent", "Accept-Language", "x-api-key", "Authorization"]
)
@pytest.mark.parametrize("value", [NUL, LONG, f"Bearer {LONG}", f"Bearer {NUL}", "rmbg_" + NUL * 16])
def test_no_header_makes_a_call_fail(key, small_png, quick_model, name, value):
    client = caller(None if name in ("x-api-key", "Authorization") else key)
    for path in ("/api/membership-usage", "/api/batches"):
        assert client.get(path, headers={name: value}).status_code < 500
    assert client.post("/rmbg", headers={name: value}, **batch_form(("a.png", small_png))).status_code < 500
    assert client.post("/api/batches", headers={name: value}, **batch_form(("a.png", small_png))).status_code < 500


# --- E-mail addresses ---------------------------------------------------------------------------------


def address(length: int) -> str:
    """An e-mail address of that many characters. A label of a host name has at most 63."""
    labels = ".".join(["b" * 60] * 8)
    return f"a@{labels[: length - 6]}.org"


def in_two_letters(length: int) -> str:
    """An e-mail address of that many characters that is longer in lower case."""
    return f"a@{'İ' * 40}.{'b' * 60}.{'c' * 60}.{'d' * (length - 170)}.com"


TOO_LONG = [address(255), address(257), address(320), in_two_letters(230)]


@pytest.mark.parametrize("email", TOO_LONG, ids=["255", "257", "320", "longer in lower case"])
@pytest.mark.parametrize("path", ["/accounts/signup/", "/accounts/email/", "/accounts/password/reset/"])
def test_an_address_that_is_too_long_is_neither_kept_nor_cut(browser, path, email):
    client = browser if path == "/accounts/email/" else Client(raise_request_exception=False)
    before = (User.objects.count(), EmailAddress.objects.count())
    response = client.post(path, {"email": email, "password1": "correct horse battery", "action_add": ""})
    assert response.status_code == 200
    assert (User.objects.count(), EmailAddress.objects.count()) == before


def test_the_longest_address_is_kept_whole(db):
    email = address(254)
    Client().post("/accounts/signup/", {"email": email, "password1": "correct horse battery"})
    assert User.objects.get().email == EmailAddress.objects.get().email == email


# --- Names that customers give ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/profile/keys", "/profile/keys/{}/edit", "/profile"])
@pytest.mark.parametrize(("value", "status"), [(LONG, 200), (NUL, 400)], ids=["long", "NUL"])
def test_a_name_that_is_too_long_is_refused_next_to_its_field(browser, user, key, path, value, status):
    lookup = ApiKey.objects.get().lookup
    response = browser.post(path.format(lookup), {"name": value, "language": "en"})
    assert response.status_code == status
    assert [one.name for one in ApiKey.objects.all()] == ["test"]
    user.refresh_from_db()
    assert user.name == ""


# --- Batches ------------------------------------------------------------------------------------------


def signed_address(length: int) -> str:
    """A valid URL of that many characters, like those that object stores sign."""
    start = "https://example.com/picture.png?signature="
    return start + "s" * (length - len(start))


@pytest.mark.parametrize("length", [2048, 2049, 4096])
def test_a_batch_takes_every_address_that_rmbg_takes(key, length):
    url = signed_address(length)
    answer = caller(key).post("/api/batches", **batch_form(urls=(url,)))
    assert answer.status_code == 202, answer.content
    assert BatchItem.objects.get().source_url == url


@pytest.mark.parametrize(
    "url",
    [signed_address(4097), signed_address(7900), "https://example.com/\x00", "\x00", "https://example.com/%00", "x" * 8000],
    ids=["longer", "much longer", "NUL", "only NUL", "encoded NUL", "no address"],
)
def test_one_bad_address_fails_alone(key, url):
    answer = caller(key).post("/api/batches", **batch_form(urls=(url, signed_address(100))))
    assert answer.status_code in (202, 400), answer.content
    if answer.status_code == 202:
        items = list(BatchItem.objects.order_by("position"))
        assert items[-1].state == BatchItem.State.QUEUED
        assert all("\x00" not in item.source_url + item.name + item.error for item in items)
        assert caller(key).get(answer["Location"]).status_code == 200


@pytest.mark.parametrize("name", ["n" * 5000 + ".png", "a\x00b.png", "\x00", "%00.png", "é" * 300 + ".png"])
def test_any_file_name_is_taken(key, quick_model, small_png, name):
    answer = caller(key).post(
        "/api/batches", **batch_form((name, small_png), zips=(zipped((name.replace("\x00", "_"), small_png)),))
    )
    assert answer.status_code in (202, 400), answer.content
    assert caller(key).post("/rmbg", **batch_form((name, small_png))).status_code < 500


def test_a_zip_that_claims_any_size_fails_alone(key, small_png):
    """The claimed size is shown in the message; no column has to hold it."""
    packed = bytearray(zipped(("a.png", small_png)))
    directory = packed.rindex(b"PK\x01\x02")
    packed[directory + 24 : directory + 28] = b"\xfe\xff\xff\xff"
    answer = caller(key).post("/api/batches", **batch_form(("b.png", small_png), zips=(bytes(packed),)))
    assert answer.status_code in (202, 400), answer.content
    assert all(item.size < 2**31 for item in BatchItem.objects.all())
    assert MAX_BYTES < 2**31


@pytest.mark.parametrize(
    "field", ["callback_url", "format", "w", "h", "angle", "bg_color", "mask", "exact_resize", "unknown", NUL]
)
@pytest.mark.parametrize("value", [*VALUES.values(), "https://example.com/\x00", "https://example.com/" + LONG])
def test_no_option_makes_a_batch_fail(key, small_png, field, value):
    for path in ("/api/batches", "/rmbg"):
        answer = caller(key).post(path, **batch_form(("a.png", small_png[:40]), **{field: value}))
        assert answer.status_code < 500, answer.content


# --- The last net -------------------------------------------------------------------------------------


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's columns hold texts of any length")
@pytest.mark.parametrize("path", ["/api/batches", "/batches"])
def test_what_the_database_refuses_after_all_is_a_400(key, browser, monkeypatch, path):
    """If a check is ever missing again, the caller learns that the request is at fault, and the log shows where."""

    def store(*args: Any, **options: Any) -> Any:
        Batch.objects.filter(request_id="x" * 5000).update(request_id="x" * 5000)
        return Batch.objects.filter(request_id="\x00").count()

    monkeypatch.setattr("imaging.batches.api.BatchListView.get", store)
    monkeypatch.setattr("imaging.batches.overview.batches_of", store)
    client = caller(key) if path.startswith("/api/") else browser
    assert client.get(path).status_code == 400
