"""One search for everything that a customer may quote to support. Every lookup here uses an index.

Someone may paste a whole API key. `clean` returns only its public part. Text without a known shape may also be a secret and
is not shown again.
"""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.urls import reverse

from accounts.keys import LOOKUP_LENGTH, PREFIX, PUBLIC_PART, find_lookup
from accounts.models import ApiKey, User
from billing.models import Account, Hold, RequestRecord, StripeEvent, StripePrice

LIMIT = 20
# A shorter prefix of an address would match too many users.
MIN_EMAIL_PART = 3

_PUBLIC_ID = re.compile(r"u_[0-9A-Za-z]{16}")
_STRIPE_ID = re.compile(r"(cus|sub|in|pi|ch|py|cs|evt|re|dp|du|price|prod)_[0-9A-Za-z_]+")
_EMAIL_PART = re.compile(r"[^\s@]+@?[^\s@]*")
# Where an account refers to a Stripe object, by the prefix of the object's id.
_OF_ACCOUNT = {
    "cus": "stripe_customer__stripe_id",
    "sub": "subscriptions__stripe_id",
    "pi": "purchases__payment_intent_id",
    "ch": "purchases__charge_id",
    "py": "purchases__charge_id",
    "cs": "purchases__checkout_id",
}
_IN_LEDGER = {"re": "stripe:refund:", "dp": "stripe:dispute:", "du": "stripe:dispute:"}


@dataclass(frozen=True, slots=True)
class Hit:
    """A result: what it is, why it matched, and the page that shows it. `account` is None for anonymous calls."""

    label: str
    why: str
    url: str
    account: int | None = None


Reading = Callable[[str], list[Hit]]
_registered: list[Reading] = []


def register_reading(reading: Reading) -> None:
    """Let an app add its own search. It takes a cleaned term and returns no hits if the term means something else."""
    _registered.append(reading)


def clean(text: str) -> str:
    """The search text, stripped of spaces; for an API key only the public part."""
    lookup = find_lookup(text)
    return f"{PREFIX}{lookup}" if lookup else text.strip().rstrip("…").strip()


def is_public(term: str) -> bool:
    """Whether a cleaned term may be shown again: it looks like something that is not secret."""
    shapes = (PUBLIC_PART, _PUBLIC_ID, _STRIPE_ID)
    return "@" in term or _as_uuid(term) is not None or any(shape.fullmatch(term) for shape in shapes)


def find(term: str) -> list[Hit]:
    """The hits of the first reading of a cleaned term that finds anything, at most LIMIT."""
    readings = (_by_key, _by_public_id, _by_stripe_id, _by_request, *_registered, _by_email)
    return next((hits for reading in readings if (hits := reading(term))), []) if term else []


def find_accounts(text: str) -> list[int]:
    """The primary keys of the accounts that a search finds, for the admin's lists."""
    return [hit.account for hit in find(clean(text)) if hit.account is not None]


def _by_key(term: str) -> list[Hit]:
    lookup = term.removeprefix(PREFIX)
    if len(lookup) != LOOKUP_LENGTH or not lookup.isalnum():
        return []
    keys = ApiKey.objects.filter(lookup=lookup).select_related("user__account")
    return [_of_user(key.user, f"key {key.prefix}… ({key.name}, {key.status})", key=key.lookup) for key in keys]


def _by_public_id(term: str) -> list[Hit]:
    if not _PUBLIC_ID.fullmatch(term):
        return []
    return [_of_user(user, "public id") for user in User.objects.filter(public_id=term).select_related("account")]


def _by_email(term: str) -> list[Hit]:
    # Addresses are stored in lower case.
    part = term.lower()
    if len(part) < MIN_EMAIL_PART or not _EMAIL_PART.fullmatch(part):
        return []
    users = User.objects.select_related("account").order_by("email")
    found = users.filter(email=part)[:1] or users.filter(email__startswith=part)[:LIMIT]
    return [_of_user(user, "e-mail address") for user in found]


def _by_request(term: str) -> list[Hit]:
    """Calls by request id, which callers may choose, so several may share it. Or by the id of a hold."""
    asked = Q(request_id=term)
    if hold := _as_uuid(term):
        asked |= Q(pk=hold)
    holds = list(Hold.objects.filter(asked).select_related("account__user")[:LIMIT])
    records = list(RequestRecord.objects.filter(request_id=term).select_related("account__user")[:LIMIT])
    accounts = {hold.account.pk: hold.account for hold in holds}
    accounts |= {record.account.pk: record.account for record in records if record.account is not None}
    ids = {hold.account_id: hold.request_id for hold in holds}
    hits = [_of_account(one, "request id", request_id=ids.get(one.pk, term)) for one in accounts.values()]
    return hits + [_of_anonymous(record) for record in records if record.account is None]


def _by_stripe_id(term: str) -> list[Hit]:
    shape = _STRIPE_ID.fullmatch(term)
    if shape is None:
        return []
    kind = shape[1]
    if kind in ("price", "prod"):
        return _of_price(term)
    if kind in _OF_ACCOUNT:
        found = _accounts(**{_OF_ACCOUNT[kind]: term})
    elif kind in _IN_LEDGER:
        found = _accounts(ledger__reference=_IN_LEDGER[kind] + term)
    else:
        found = Account.objects.none()
    return [_of_account(one, "Stripe id", stripe=term) for one in found] or _by_event(term)


def _by_event(term: str) -> list[Hit]:
    """Accounts of the webhooks about an object, and webhooks that could not be assigned to an account."""
    told = Q(stripe_id=term) | Q(object_id=term) | Q(customer_id=term)
    events = list(StripeEvent.objects.filter(told).select_related("account__user")[:LIMIT])
    accounts = {event.account.pk: event.account for event in events if event.account is not None}
    hits = [_of_account(one, "Stripe event", stripe=term) for one in accounts.values()]
    strays = [event for event in events if event.account is None]
    return hits + [_stray(event) for event in strays]


def _accounts(**condition: str) -> QuerySet[Account]:
    return Account.objects.filter(**condition).select_related("user").distinct()[:LIMIT]


def _of_account(account: Account, why: str, **found: str) -> Hit:
    url = reverse("admin:billing_account_change", args=[account.pk])
    return Hit(account.user.email, why, f"{url}?{urlencode(found)}" if found else url, account.pk)


def _of_user(user: User, why: str, **found: str) -> Hit:
    """A user who never called has no account yet: the linked page creates it."""
    if hasattr(user, "account"):
        return _of_account(user.account, why, **found)
    return Hit(user.email, why, reverse("admin:billing_account_of", args=[user.public_id]))


def _of_anonymous(record: RequestRecord) -> Hit:
    url = reverse("admin:billing_requestrecord_change", args=[record.pk])
    return Hit("a call without a key", f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC, {record.status} {record.code}", url)


def _of_price(term: str) -> list[Hit]:
    prices = StripePrice.objects.filter(Q(stripe_id=term) | Q(product_id=term)).select_related("plan", "pack")[:LIMIT]
    pages = [(price, reverse("admin:billing_stripeprice_change", args=[price.pk])) for price in prices]
    return [Hit(f"Price of {price.plan or price.pack}", price.stripe_id, url) for price, url in pages]


def _stray(event: StripeEvent) -> Hit:
    url = reverse("admin:billing_stripeevent_change", args=[event.pk])
    return Hit(f"{event.type}, of no account", f"{event.stripe_id}, {event.get_status_display()}", url)


def _as_uuid(term: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(term)
    except ValueError:
        return None
