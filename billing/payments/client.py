"""The one wrapper around Stripe's SDK: nothing else imports `stripe`.

Responses are returned as plain dicts; errors are raised as PaymentError. Requests that create something carry an idempotency
key derived from our rows, so that our own retries also create it only once.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import stripe
from django.conf import settings
from django.db import transaction

from lib.ops.database import give_back

# The API version that this code was written against. Change it here, with the tests, never by an SDK upgrade alone.
API_VERSION = "2026-10-28.endive"
CONNECT_SECONDS, READ_SECONDS = 5, 20
MAX_RETRIES = 2
# Seconds. Older signatures are refused, so that a recorded event cannot be replayed; so are those further in the future.
SIGNATURE_TOLERANCE = 300
# Stripe's limit of lookup keys per request.
LOOKUP_KEYS_AT_ONCE = 10
# `cs_test_a1b2…`: a short lower-case prefix, then letters, digits and underscores.
OBJECT_ID = re.compile(r"[a-z]{2,8}_[A-Za-z0-9_]{1,240}")
CHECKOUT_ID = re.compile(r"cs_[A-Za-z0-9_]{1,240}")

Json = dict[str, Any]


class InvalidSignature(Exception):
    """A webhook's body is not what Stripe signed, or its signature is too old."""


class PaymentError(Exception):
    """Stripe, or our own rules of asking it, did not let a request succeed."""


class PaymentUnavailable(PaymentError):
    """The same request may succeed later."""


class PaymentRefused(PaymentError):
    """The same request will be refused again."""


class PaymentSwitchedOff(PaymentUnavailable):
    """This deployment takes no payments."""


class PaymentProviderUnavailable(PaymentUnavailable):
    """Stripe cannot be reached, or fails."""


class PaymentObjectUnknown(PaymentRefused):
    """Stripe has no object with this id."""


class PaymentRequestInvalid(PaymentRefused):
    """Stripe refused the request."""


class CardDeclined(PaymentRefused):
    """The card was declined. `reason` is Stripe's text for the customer, in the customer's language; it may be empty."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def is_enabled() -> bool:
    """Whether this deployment takes payments."""
    return bool(settings.STRIPE_SECRET_KEY)


@cache
def _make_client(key: str, base: str) -> "StripeClient":
    return StripeClient(key, base)


def get_client() -> "StripeClient":
    """The client for this deployment's settings. Raises PaymentSwitchedOff."""
    if not is_enabled():
        raise PaymentSwitchedOff
    return _make_client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE)


def read_event(body: bytes, signature: str) -> Json:
    """The event in a webhook's body. Raises InvalidSignature unless Stripe signed exactly this body recently."""
    if _signed_at(signature) > time.time() + SIGNATURE_TOLERANCE:
        raise InvalidSignature("The signature is from the future.")
    try:
        event = stripe.Webhook.construct_event(
            body, signature, settings.STRIPE_WEBHOOK_SECRET, SIGNATURE_TOLERANCE, api_key=settings.STRIPE_SECRET_KEY
        )
        plain = _plain(event)
        # The signature may be valid for a body that is not an event.
        plain["id"], plain["type"], plain["livemode"], plain["data"]["object"].get("id")
        return plain
    except (stripe.SignatureVerificationError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise InvalidSignature(str(error)) from error


def _signed_at(signature: str) -> float:
    """The time in a signature. The SDK only checks that it is not too old. 0 without a time, which the SDK refuses."""
    parts = (part.partition("=") for part in signature.split(","))
    text = next((value for name, _, value in parts if name == "t"), "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


class StripeClient:
    """Our requests to Stripe, one method each."""

    def __init__(self, key: str, base: str = "") -> None:
        self._stripe = stripe.StripeClient(
            key,
            stripe_version=API_VERSION,
            base_addresses={"api": base} if base else {},
            max_network_retries=MAX_RETRIES,
            http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS, READ_SECONDS)),
        ).v1

    # --- Reading ----------------------------------------------------------------------------------

    def get_subscription(self, stripe_id: str) -> Json:
        """A subscription with its latest invoice."""
        with _errors():
            return _plain(self._stripe.subscriptions.retrieve(_checked(stripe_id), {"expand": ["latest_invoice"]}))

    def get_invoice(self, stripe_id: str) -> Json:
        with _errors():
            return _plain(self._stripe.invoices.retrieve(_checked(stripe_id)))

    def get_checkout(self, stripe_id: str) -> Json:
        """A Checkout session with its line items and the charge that paid for it."""
        with _errors():
            expand = ["line_items", "payment_intent.latest_charge"]
            return _plain(self._stripe.checkout.sessions.retrieve(_checked(stripe_id), {"expand": expand}))

    def find_checkout(self, payment_intent: str) -> Json | None:
        """The Checkout session that made a payment, if one did."""
        with _errors():
            found = self._stripe.checkout.sessions.list({"payment_intent": payment_intent, "limit": 1})
            return _plain(found.data[0]) if found.data else None

    def get_charge(self, stripe_id: str) -> Json:
        with _errors():
            return _plain(self._stripe.charges.retrieve(_checked(stripe_id)))

    def get_dispute(self, stripe_id: str) -> Json:
        with _errors():
            return _plain(self._stripe.disputes.retrieve(_checked(stripe_id)))

    def list_refunds(self, charge: str) -> list[Json]:
        with _errors():
            return _all(self._stripe.refunds.list({"charge": charge, "limit": 100}))

    def list_invoices(self, customer: str, limit: int = 12) -> list[Json]:
        """The newest invoices of a customer."""
        with _errors():
            return [_plain(one) for one in self._stripe.invoices.list({"customer": customer, "limit": limit}).data]

    def list_subscriptions(self, customer: str) -> list[Json]:
        """Every subscription of a customer, ended ones too."""
        with _errors():
            return _all(self._stripe.subscriptions.list({"customer": customer, "status": "all", "limit": 100}))

    def list_checkouts(self, customer: str) -> list[Json]:
        """Every completed Checkout session of a customer."""
        with _errors():
            found = self._stripe.checkout.sessions.list({"customer": customer, "status": "complete", "limit": 100})
            return _all(found)

    def find_prices(self, lookup_keys: Sequence[str]) -> dict[str, Json]:
        """The active prices with these lookup keys, by lookup key, each with its product."""
        found: dict[str, Json] = {}
        for first in range(0, len(lookup_keys), LOOKUP_KEYS_AT_ONCE):
            some = list(lookup_keys[first : first + LOOKUP_KEYS_AT_ONCE])
            with _errors():
                prices = self._stripe.prices.list({"lookup_keys": some, "active": True, "expand": ["data.product"]})
                found |= {price["lookup_key"]: price for price in _all(prices)}
        return found

    def find_portal(self, name: str) -> Json | None:
        """The portal configuration that we created as `name`."""
        with _errors():
            found = _all(self._stripe.billing_portal.configurations.list({"active": True, "limit": 100}))
        return next((one for one in found if (one.get("metadata") or {}).get("name") == name), None)

    # --- Making and changing ----------------------------------------------------------------------

    def create_customer(self, *, public_id: str, email: str) -> Json:
        with _errors():
            params: Any = {"email": email, "metadata": {"public_id": public_id}}
            return _plain(self._stripe.customers.create(params, {"idempotency_key": f"customer:{public_id}"}))

    def create_checkout(self, params: Mapping[str, Any]) -> Json:
        """Create a Checkout session. Each one is a purchase: the SDK's own idempotency key covers its network retries."""
        with _errors():
            sent: Any = dict(params)
            return _plain(self._stripe.checkout.sessions.create(sent))

    def create_portal_session(self, *, customer: str, return_url: str, configuration: str | None) -> Json:
        with _errors():
            sent: Any = {"customer": customer, "return_url": return_url}
            if configuration:
                sent["configuration"] = configuration
            return _plain(self._stripe.billing_portal.sessions.create(sent))

    def create_product(self, name: str, *, key: str) -> Json:
        with _errors():
            params: Any = {"name": name, "metadata": {"item": key}}
            return _plain(self._stripe.products.create(params, {"idempotency_key": f"product:{key}"}))

    def rename_product(self, stripe_id: str, name: str) -> None:
        with _errors():
            self._stripe.products.update(stripe_id, {"name": name})

    def create_price(self, params: Mapping[str, Any], *, key: str) -> Json:
        with _errors():
            sent: Any = dict(params)
            return _plain(self._stripe.prices.create(sent, {"idempotency_key": f"price:{key}"}))

    def deactivate_price(self, stripe_id: str) -> None:
        with _errors():
            self._stripe.prices.update(stripe_id, {"active": False})

    def save_portal(self, stripe_id: str | None, params: Mapping[str, Any]) -> Json:
        """Create a portal configuration, or update the existing one."""
        with _errors():
            sent: Any = dict(params)
            if stripe_id is None:
                return _plain(self._stripe.billing_portal.configurations.create(sent))
            return _plain(self._stripe.billing_portal.configurations.update(stripe_id, sent))


def _plain(found: Any) -> Json:
    plain: Json = found.to_dict()
    return plain


def _all(page: Any) -> list[Json]:
    return [_plain(one) for one in page.auto_paging_iter()]


def require_no_transaction() -> None:
    """Raise RuntimeError inside a transaction, as `transaction.atomic(durable=True)` does.

    Stripe may take 80 seconds including retries. A transaction would keep its locks that long; on SQLite that is the only
    write lock. The transaction that Django's TestCase wraps around a test does not count.
    """
    blocks = transaction.get_connection().atomic_blocks
    if blocks and not getattr(blocks[-1], "_from_testcase", False):
        raise RuntimeError("Stripe must not be asked inside a transaction")


def _checked(stripe_id: str) -> str:
    """Return a well-formed id. Raises PaymentObjectUnknown otherwise: an empty id would request a list."""
    if not OBJECT_ID.fullmatch(stripe_id):
        raise PaymentObjectUnknown
    return stripe_id


@contextmanager
def _errors() -> Iterator[None]:
    """Translate Stripe's errors. Its messages may name other customers' objects: they are logged, not shown."""
    require_no_transaction()
    # Return the database connection: Stripe may take seconds.
    give_back()
    try:
        yield
    except stripe.CardError as error:
        raise CardDeclined(error.user_message or "") from error
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            raise PaymentObjectUnknown from error
        raise PaymentRequestInvalid from error
    except stripe.StripeError as error:
        raise PaymentProviderUnavailable from error
