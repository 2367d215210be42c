"""Plans, balances, usage windows and the ledger that proves them; Stripe's objects for an account."""

from billing.models.catalogue import CreditPack, Plan, Price, PriceChange
from billing.models.credits import (
    Account,
    AnonymousUsage,
    Bucket,
    Hold,
    IdempotencyRecord,
    LedgerEntry,
    MonthlyUsage,
    UsageWindow,
)
from billing.models.payments import CreditsDue, PackPurchase, StripeCustomer, StripeEvent, StripePrice, Subscription
from billing.models.records import CountedDays, DailyUsage, RequestRecord

__all__ = [
    "Account",
    "AnonymousUsage",
    "Bucket",
    "CountedDays",
    "CreditPack",
    "CreditsDue",
    "DailyUsage",
    "Hold",
    "IdempotencyRecord",
    "LedgerEntry",
    "MonthlyUsage",
    "PackPurchase",
    "Plan",
    "Price",
    "PriceChange",
    "RequestRecord",
    "StripeCustomer",
    "StripeEvent",
    "StripePrice",
    "Subscription",
    "UsageWindow",
]
