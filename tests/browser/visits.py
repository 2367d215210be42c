"""Every page of the product, and who looks at it: for the tests that visit all of them, and for the screenshots."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page

from tests.server import ProductServer


@dataclass(frozen=True)
class Stop:
    """One page. `path` may name facts of the seed; `who` is a session of the seed, empty for an anonymous visitor."""

    name: str
    path: str
    who: str = ""
    status: int = 200


DOCS = (
    "rmbg", "batches", "callbacks", "samples", "python", "command-line", "mcp", "errors", "limits", "credits",
    "membership-usage",
)  # fmt: skip
STOPS = [
    Stop("home", "/"),
    Stop("pricing", "/pricing"),
    Stop("docs", "/docs"),
    *(Stop(f"docs-{slug}", f"/docs/{slug}") for slug in DOCS),
    Stop("reference", "/api/docs"),
    Stop("status", "/status"),
    Stop("privacy", "/privacy"),
    Stop("terms", "/terms"),
    Stop("cookies", "/cookies"),
    Stop("not-found", "/nowhere", status=404),
    Stop("sign-up", "/accounts/signup/"),
    Stop("log-in", "/accounts/login/"),
    Stop("password-reset", "/accounts/password/reset/"),
    Stop("editor", "/editor", "customer"),
    Stop("dashboard", "/dashboard", "customer"),
    Stop("dashboard-empty", "/dashboard", "newcomer"),
    Stop("batches", "/batches", "customer"),
    Stop("batches-empty", "/batches", "newcomer"),
    Stop("batch", "/batches/{batch}", "customer"),
    Stop("batch-open", "/batches/{open_batch}", "customer"),
    Stop("batch-failed", "/batches/{batch}?show=failed", "customer"),
    Stop("batch-erased", "/batches/{erased_batch}", "customer"),
    Stop("callbacks", "/profile/callbacks", "customer"),
    Stop("pricing-customer", "/pricing", "customer"),
    Stop("billing", "/billing", "customer"),
    Stop("keys", "/profile/keys", "customer"),
    Stop("keys-empty", "/profile/keys", "newcomer"),
    Stop("key-edit", "/profile/keys/{key}/edit", "customer"),
    Stop("key-rotate", "/profile/keys/{key}/rotate", "customer"),
    Stop("key-revoke", "/profile/keys/{key}/revoke", "customer"),
    Stop("profile", "/profile", "customer"),
    Stop("delete-account", "/profile/delete", "newcomer"),
    Stop("email", "/accounts/email/", "customer"),
    Stop("password", "/accounts/password/change/", "customer"),
    Stop("two-factor", "/accounts/2fa/", "customer"),
    Stop("admin", "/admin/", "support"),
    Stop("admin-accounts", "/admin/billing/account/", "support"),
    Stop("admin-account", "/admin/billing/account/{account}/change/", "support"),
    Stop("admin-credits", "/admin/billing/account/{account}/act/credits/", "support"),
    Stop("admin-lock", "/admin/billing/account/{account}/act/lock/", "support"),
    Stop("admin-search", "/admin/billing/account/search/", "support"),
    Stop("admin-requests", "/admin/billing/requestrecord/", "support"),
    Stop("admin-ledger", "/admin/billing/ledgerentry/", "support"),
    Stop("admin-callbacks", "/admin/imaging/callback/", "support"),
    Stop("admin-user", "/admin/accounts/user/{user}/change/", "support"),
]


def seed(server: ProductServer) -> dict[str, Any]:
    """Make the people and their history; returns the facts that `tests.browser.seed` prints."""
    code = "from tests.browser.seed import main; main()"
    facts: dict[str, Any] = json.loads(server.manage("shell", "--no-imports", "-c", code))
    return facts


@contextmanager
def visitor(browser: Browser, server: ProductServer, who: str, facts: dict[str, Any], **options: Any) -> Iterator[Page]:
    """A page in a separate browser, signed in as `who`; `options` are Playwright's for a context."""
    context = browser.new_context(base_url=server.url, **options)
    if who:
        context.add_cookies([{"name": "sessionid", "value": facts["sessions"][who], "url": server.url}])
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def choose_language(page: Page, language: str) -> None:
    """By the switch in a page's footer; for a customer the choice persists in every browser."""
    page.goto("/pricing")
    page.locator(f'form.language button[value="{language}"]').click()
    page.wait_for_selector(f'html[lang="{language}"]')
