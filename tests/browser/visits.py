"""Every page of the product, and who looks at it: for the tests that visit all of them, and for the screenshots."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page

from tests.server import ProductServer


@dataclass(frozen=True)
class Visit:
    """One page. `path` may name facts of the seed; `who` is a session of the seed, empty for an anonymous visitor.

    `ready` selects what is there once a script that starts late is running.
    """

    name: str
    path: str
    who: str = ""
    status: int = 200
    ready: str = ""


DOCS = (
    "rmbg", "finishing", "batches", "callbacks", "samples", "python", "command-line", "mcp", "removebg", "errors", "limits",
    "credits", "membership-usage",
)  # fmt: skip
VISITS = [
    Visit("home", "/"),
    Visit("pricing", "/pricing"),
    Visit("docs", "/docs"),
    *(Visit(f"docs-{slug}", f"/docs/{slug}") for slug in DOCS),
    Visit("reference", "/api/docs"),
    Visit("status", "/status"),
    Visit("privacy", "/privacy"),
    Visit("terms", "/terms"),
    Visit("cookies", "/cookies"),
    Visit("not-found", "/nowhere", status=404),
    Visit("sign-up", "/accounts/signup/"),
    Visit("log-in", "/accounts/login/"),
    Visit("log-in-provider", "/accounts/oidc/openid/login/"),
    Visit("log-in-cancelled", "/accounts/3rdparty/login/cancelled/"),
    Visit("password-reset", "/accounts/password/reset/"),
    Visit("editor", "/editor", "customer", ready="#choose:enabled"),
    Visit("dashboard", "/dashboard", "customer"),
    Visit("dashboard-empty", "/dashboard", "newcomer"),
    Visit("batches", "/batches", "customer"),
    Visit("batches-empty", "/batches", "newcomer"),
    Visit("batch", "/batches/{batch}", "customer"),
    Visit("batch-open", "/batches/{open_batch}", "customer"),
    Visit("batch-failed", "/batches/{batch}?show=failed", "customer"),
    Visit("batch-erased", "/batches/{erased_batch}", "customer"),
    Visit("callbacks", "/profile/callbacks", "customer"),
    Visit("pricing-customer", "/pricing", "customer"),
    Visit("billing", "/billing", "customer"),
    Visit("keys", "/profile/keys", "customer"),
    Visit("keys-empty", "/profile/keys", "newcomer"),
    Visit("key-edit", "/profile/keys/{key}/edit", "customer"),
    Visit("key-rotate", "/profile/keys/{key}/rotate", "customer"),
    Visit("key-revoke", "/profile/keys/{key}/revoke", "customer"),
    Visit("profile", "/profile", "customer"),
    Visit("delete-account", "/profile/delete", "newcomer"),
    Visit("connections", "/profile/connections", "customer"),
    Visit("connections-empty", "/profile/connections", "newcomer"),
    Visit("reauthenticate-provider", "/accounts/reauthenticate/?next=/profile", "passwordless"),
    Visit("email", "/accounts/email/", "customer"),
    Visit("password", "/accounts/password/change/", "customer"),
    Visit("two-factor", "/accounts/2fa/", "customer"),
    Visit("admin", "/admin/", "support"),
    Visit("admin-accounts", "/admin/billing/account/", "support"),
    Visit("admin-account", "/admin/billing/account/{account}/change/", "support"),
    Visit("admin-credits", "/admin/billing/account/{account}/act/credits/", "support"),
    Visit("admin-lock", "/admin/billing/account/{account}/act/lock/", "support"),
    Visit("admin-search", "/admin/billing/account/search/", "support"),
    Visit("admin-requests", "/admin/billing/requestrecord/", "support"),
    Visit("admin-ledger", "/admin/billing/ledgerentry/", "support"),
    Visit("admin-callbacks", "/admin/imaging/callback/", "support"),
    Visit("admin-user", "/admin/accounts/user/{user}/change/", "support"),
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
