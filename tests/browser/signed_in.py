"""Sessions of customers on the running product."""

from playwright.sync_api import Page

from tests.server import ProductServer

SCRIPT = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from accounts.models import User
user = User.objects.get(email={email!r})
user.language = {language!r}
user.save(update_fields=["language"])
store = SessionStore()
store[SESSION_KEY], store[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
store[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
store.save()
print(store.session_key)
"""


def make_session(server: ProductServer, email: str, *, language: str = "en") -> str:
    """A session of a verified customer on the free plan, who is created if missing."""
    server.issue_key(email, plan="Free")
    return server.manage("shell", "--no-imports", "-c", SCRIPT.format(email=email, language=language)).strip()


def sign_in(page: Page, server: ProductServer, session: str) -> None:
    """Give the page's browser that session."""
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": server.url}])
