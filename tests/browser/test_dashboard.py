"""The dashboard and the status page in a real browser: with data, in both languages and schemes, on desktop and phone."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.windows import in_one_window
from tests.server import ProductServer

pytestmark = pytest.mark.browser

EMAIL = "dashboard@example.com"
# Ten days of a cycle by two keys and the app, a past cycle, and requests of every kind; prints a session.
SEED = f"""
from datetime import timedelta
from uuid import uuid4
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone
from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.models import Hold, RequestRecord
user = User.objects.get(email="{EMAIL}")
account = ledger.get_account(user)
keys = [*user.api_keys.all(), None]
now = timezone.now()
for start in (now - timedelta(days=40), now - timedelta(days=10)):
    window = ledger.renew(account, account.plan, start, start + timedelta(days=30))
    for day in range(10):
        for number in range(day + 3):
            key = keys[number % 3]
            moment = start + timedelta(days=day, minutes=number)
            Hold.objects.create(account=account, key=key, channel="api" if key else "app", request_id=str(uuid4()),
                bucket="prepaid" if number == 9 else "included", window=window, month=moment.date().replace(day=1),
                state="posted", created_at=moment, settled_at=moment)
    window.api_used, window.app_used = 50, 20
    window.save()
codes = [(200, ""), (400, "invalid_image"), (429, "monthly_limit_reached"), (500, "internal_error")]
for number in range(40):
    status, code = codes[number % 4]
    RequestRecord.objects.create(account=account, key=keys[number % 3], channel="api" if keys[number % 3] else "app",
        request_id=str(uuid4()), status=status, code=code, credits=status == 200, duration_ms=400 + number,
        created_at=now - timedelta(minutes=number + 5))
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
print(session.session_key)
"""


@pytest.fixture(scope="module")
def key(server: ProductServer) -> str:
    """The second of two keys of the customer whose dashboard it is."""
    server.issue_key(EMAIL)
    return server.issue_key(EMAIL)


@pytest.fixture(scope="module")
def session(server: ProductServer, key: str) -> str:
    """The customer's session, with data on the dashboard."""
    return server.manage("shell", "--verbosity", "0", "--command", SEED).split()[-1]


@pytest.fixture
def page(page: Page, server: ProductServer, session: str) -> Page:
    """The customer's browser."""
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": server.url}])
    return page


@in_one_window
def test_a_day_s_figures_show_on_keyboard_focus(page: Page):
    page.goto("/dashboard")
    days = page.locator(".plot .day")
    expect(days).to_have_count(10)
    days.first.focus()
    page.keyboard.press("Tab")
    expect(days.nth(1)).to_be_focused()
    expect(days.nth(1).locator(".told")).to_be_visible()
    expect(days.nth(0).locator(".told")).to_be_hidden()


@in_one_window
def test_a_request_is_there_within_seconds(page: Page, server: ProductServer, key: str, small_png: bytes):
    answer = server.rmbg(key, files={"image": small_png}, headers={"X-Request-Id": "shown-on-the-dashboard"})
    assert answer.status_code == 200
    record = page.locator("code.id", has_text="shown-on-the-dashboard")
    for _ in range(20):
        page.goto("/dashboard")
        if record.count():
            break
        page.wait_for_timeout(250)
    expect(record.first).to_be_visible()


def test_from_all_requests_to_the_failed_ones_and_a_past_cycle(page: Page, server: ProductServer):
    change = f"from accounts.models import User; User.objects.filter(email='{EMAIL}').update(language='en')"
    server.manage("shell", "--verbosity", "0", "--command", change)
    page.goto("/dashboard")
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    page.get_by_label("Result").select_option("Failed")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("A fault on our side").first).to_be_visible()
    expect(page.get_by_text("Not a valid picture")).to_have_count(0)
    with page.expect_download() as download:
        page.locator("#requests").get_by_role("link", name="Export CSV").click()
    assert download.value.path().read_text("utf-8-sig").count("internal_error") == 10
    page.get_by_label("Billing cycle").select_option(index=1)
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Past cycle")).to_be_visible()
    expect(page.get_by_role("heading", name="Requests of this cycle")).to_be_visible()
