"""A customer with a history, and staff to look at it: the data that pages need to show more than their empty state.

`main()` runs inside the product (`manage.py shell`) and prints, as JSON, the sessions and the numbers in addresses.
"""

import json
import random
from datetime import datetime, timedelta

from allauth.socialaccount.models import SocialAccount
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Group
from django.contrib.sessions.backends.db import SessionStore
from django.db.models import F
from django.utils import timezone

from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.credits.windows import month_of
from billing.models import Account, Hold, MonthlyUsage, Plan, RequestRecord, UsageWindow
from imaging.callbacks.delivery import UNREACHABLE
from imaging.models import Batch, BatchItem, Callback, CallbackTry

PASSWORD = "correct horse battery staple"
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
PICTURES = 300
DAYS = 19
FAULTS = [
    ("invalid_image", "File does not appear to be a valid image (invalid file signature)"),
    ("file_too_large", "File size (55.2 MB) exceeds the maximum allowed size of 50 MB."),
    ("image_too_wide", "Image width (12000px) exceeds the maximum allowed width of 10000px."),
    ("empty_file", "Uploaded file is empty (0 bytes)."),
]
REFUSALS = [(400, "file_too_large"), (429, "rate_limited"), (503, "server_busy")]


def main() -> None:
    """Make everything, once per database."""
    customer, keys = make_customer()
    account = ledger.get_account(customer)
    use(account, keys)
    batches = make_batches(account)
    support = make_staff("support@seed.example", "Support")
    admin = User.objects.create_superuser("admin@seed.example", PASSWORD)
    newcomer = User.objects.create_user("newcomer@seed.example", PASSWORD)
    newcomer.verify_email()
    people = {
        "customer": customer, "support": support, "admin": admin, "newcomer": newcomer, "passwordless": make_passwordless(),
    }  # fmt: skip
    facts = {
        "sessions": {name: log_in(person) for name, person in people.items()},
        "account": account.pk,
        "user": customer.pk,
        "key": keys[0].lookup,
        "request_id": RequestRecord.objects.filter(account=account).latest("pk").request_id,
    }
    print(json.dumps(facts | batches))


def make_customer() -> tuple[User, list[ApiKey]]:
    customer = User.objects.create_user("customer@seed.example", PASSWORD, name="Amal Haddad")
    customer.verify_email()
    keys = [ApiKey.objects.issue(customer, name=name)[0] for name in ("Web shop", "Catalogue import", "Old script")]
    keys[2].revoke()
    SocialAccount.objects.create(user=customer, provider="google", uid="seed", extra_data={"email": "amal@seed.example"})
    account = ledger.get_account(customer)
    now = timezone.now()
    ledger.renew(
        account, Plan.objects.get(label="Premium-1000"), now - timedelta(days=DAYS), now + timedelta(days=30 - DAYS)
    )
    ledger.grant_prepaid(account, 250, reference="seed", note="goodwill")
    return customer, keys


def make_passwordless() -> User:
    """A customer who logs in with a provider alone."""
    user = User.objects.create_user("passwordless@seed.example")
    user.verify_email()
    SocialAccount.objects.create(user=user, provider="github", uid="seed", extra_data={"email": user.email})
    return user


def use(account: Account, keys: list[ApiKey]) -> None:
    """PICTURES over the days of the cycle, from the web app and two keys, with an occasional refusal."""
    dice = random.Random(1)  # noqa: S311  (the same history each time)
    for number in range(PICTURES):
        key = dice.choice([None, keys[0], keys[0], keys[1]])
        at = timezone.now() - timedelta(seconds=dice.random() ** 2 * (DAYS * 86400 - 60))
        request_id = f"seed-{number:04d}"
        held = ledger.hold(account, channel="api" if key else "app", key=key, request_id=request_id)
        ledger.post(held)
        Hold.objects.filter(pk=held.pk).update(created_at=at, settled_at=at)
        status, code = (200, "") if dice.random() > 0.06 else dice.choice(REFUSALS)
        RequestRecord.objects.create(
            account=account, key=key, channel="api" if key else "app", request_id=request_id, status=status, code=code,
            credits=int(status == 200), duration_ms=dice.randint(180, 900), inference_ms=dice.randint(120, 300),
            model="u2net", created_at=at,
        )  # fmt: skip
    past(account)


def past(account: Account) -> None:
    """Two cycles before the current one, and their calendar months."""
    cycle = UsageWindow.objects.get(account=account, kind=UsageWindow.Kind.CYCLE)
    for number in (1, 2):
        start, end = cycle.start - timedelta(days=30 * number), cycle.start - timedelta(days=30 * (number - 1))
        UsageWindow.objects.create(
            account=account, kind=UsageWindow.Kind.CYCLE, start=start, end=end, allowance=1000, app_used=40, api_used=700
        )
        month, _ = MonthlyUsage.objects.get_or_create(account=account, month=month_of(start))
        MonthlyUsage.objects.filter(pk=month.pk).update(app_used=F("app_used") + 40, api_used=F("api_used") + 700)


def make_batches(account: Account) -> dict[str, str]:
    """One that has ended, with failures and a callback that took three tries; one in progress; one that has expired.

    The one in progress has a long lease, so that the product leaves it alone. None has files.
    """
    now = timezone.now()
    ended = batch(account, now - timedelta(minutes=40), Batch.State.FINISHED, ["done"] * 58 + ["failed"] * 4)
    items = list(ended.items.filter(state="failed"))
    for item, (code, error) in zip(items, FAULTS, strict=True):
        BatchItem.objects.filter(pk=item.pk).update(code=code, error=error)
    callback = Callback.objects.create(batch=ended, state="delivered", tries=3, ended_at=now)
    for number, (status, error) in enumerate([(None, UNREACHABLE), (503, ""), (204, "")], 1):
        CallbackTry.objects.create(callback=callback, number=number, status=status, error=error, duration_ms=81 * number)
    running = batch(account, now, Batch.State.PROCESSING, ["done"] * 14 + ["failed"] + ["running"] * 9)
    erased = batch(account, now - timedelta(days=3), Batch.State.CANCELLED, ["done"] * 5 + ["cancelled"] * 3)
    Batch.objects.filter(pk=erased.pk).update(erased_at=now - timedelta(days=2))
    return {"batch": str(ended.pk), "open_batch": str(running.pk), "erased_batch": str(erased.pk)}


def batch(account: Account, at: datetime, state: str, states: list[str]) -> Batch:
    made = Batch.objects.create(
        account=account, channel="api", request_id=f"seed-{state}", state=state, created_at=at,
        finished_at=None if state == Batch.State.PROCESSING else at + timedelta(minutes=3),
        expires_at=at + timedelta(hours=24), options={"format": "png", "w": "1200"},
        callback_url="https://shop.example.com/hooks/cutouts",
    )  # fmt: skip
    result = {"width": 1200, "height": 800, "result_size": 412_345, "media_type": "image/png"}
    for number, item_state in enumerate(states):
        facts = result if item_state == "done" else {"leased_until": at + timedelta(days=1)}
        name = f"spring/chair-{number:03d}.jpg"
        BatchItem.objects.create(batch=made, position=number, name=name, state=item_state, size=900_000, **facts)
    return made


def make_staff(email: str, group: str) -> User:
    staff = User.objects.create_user(email, PASSWORD, is_staff=True)
    staff.verify_email()
    staff.groups.add(Group.objects.get(name=group))
    return staff


def log_in(user: User) -> str:
    """The key of a new session."""
    session = SessionStore()
    session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), BACKEND
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)
