"""Support staff, and the pages they use."""

from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User
from billing.models import Account, RequestRecord


def browser_of(member: User) -> Client:
    """A browser in which `member` is logged in."""
    browser = Client()
    browser.force_login(member)
    return browser


def make_staff(group: str, email: str = "") -> User:
    """A staff member in one of the groups that every deployment has."""
    member = User.objects.create_user(email or f"{group.lower()}@example.com", "correct horse", is_staff=True)
    member.verify_email()
    member.groups.add(Group.objects.get(name=group))
    return member


def page(account: Account) -> str:
    """The account's page."""
    return f"/admin/billing/account/{account.pk}/change/"


def act_url(account: Account, name: str) -> str:
    """The page of a support action on an account."""
    return f"/admin/billing/account/{account.pk}/act/{name}/"


def record(account: Account | None, request_id: str = "request-1", code: str = "", **fields) -> RequestRecord:
    """An answered request."""
    defaults = {"channel": "api", "status": 400 if code else 200, "duration_ms": 700, "credits": 0 if code else 1}
    return RequestRecord.objects.create(account=account, request_id=request_id, code=code, **defaults | fields)
