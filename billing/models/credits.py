"""Balances, usage windows, holds and the ledger that proves them.

Credits are money: whole numbers, changed only by `billing.credits.ledger`, each change with its ledger row.
"""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import ApiKey
from billing.models.catalogue import Plan


class Account(models.Model):
    """The billing side of a user.

    `prepaid_balance` is what can still be spent: a hold takes from it immediately and a void returns it. `cycle` is Stripe's
    current billing cycle; it limits the account until another replaces it or the subscription ends. Without a cycle the
    calendar month limits the account, starting at `calendar_from` if a subscription ended within it.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="account")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="accounts")
    prepaid_balance = models.PositiveIntegerField(default=0, editable=False)
    cycle = models.ForeignKey(
        "UsageWindow", on_delete=models.PROTECT, null=True, blank=True, related_name="+", editable=False
    )
    calendar_from = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return str(self.user)


class UsageWindow(models.Model):
    """A period, from `start` up to but not including `end`, that limits an account to an allowance of included credits.

    Each account has one current window: Stripe's billing cycle if there is one, else the calendar month. `held` counts
    credits that are neither posted nor voided yet: they are neither free nor used. `warned_percent` is the threshold of the
    last low-balance mail (0, 80 or 100).
    """

    class Kind(models.TextChoices):
        MONTH = "month", "calendar month (UTC)"
        CYCLE = "cycle", "billing cycle"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="windows")
    kind = models.CharField(max_length=5, choices=Kind.choices)
    start = models.DateTimeField()
    end = models.DateTimeField()
    allowance = models.PositiveIntegerField()
    app_used = models.PositiveIntegerField(default=0)
    api_used = models.PositiveIntegerField(default=0)
    held = models.PositiveIntegerField(default=0)
    warned_percent = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["-start"]
        constraints = [
            models.UniqueConstraint("account", "kind", "start", name="window_unique"),
            models.CheckConstraint(condition=Q(end__gt=F("start")), name="window_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} from {self.start:%Y-%m-%d}"

    @property
    def used(self) -> int:
        """Included credits posted in this window."""
        return self.app_used + self.api_used

    def seconds_left(self, now: datetime) -> int:
        """Whole seconds until the window ends, at least 1: an overdue renewal may arrive at any moment."""
        return max(1, int((self.end - now).total_seconds()))


class MonthlyUsage(models.Model):
    """Included credits used in one UTC calendar month, whichever windows limited them. `month` is its first day."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="months")
    month = models.DateField()
    app_used = models.PositiveIntegerField(default=0)
    api_used = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "monthly usage"
        ordering = ["-month"]
        constraints = [models.UniqueConstraint("account", "month", name="monthly_usage_unique")]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class Bucket(models.TextChoices):
    """The source of a credit. Included ones are spent first."""

    INCLUDED = "included", "included in the plan"
    PREPAID = "prepaid", "prepaid"


class Hold(models.Model):
    """One credit reserved for one image, until it is posted (delivered) or voided (anything else).

    `window` and `month` (its first day, UTC) are fixed when the hold is made: an image finished after midnight, or after a
    renewal, counts where it began. `held_until` is when an open hold becomes stale. A batch's is set at the start, a
    request's by each renewal while it runs. Without it, a hold becomes stale after minutes (see `ledger.stale`).
    """

    class State(models.TextChoices):
        HELD = "held", "held"
        POSTED = "posted", "posted"
        VOIDED = "voided", "voided"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds")
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, related_name="+")
    channel = models.CharField(max_length=3, choices=[("api", "API"), ("app", "web app")])
    request_id = models.CharField(max_length=128, db_index=True)
    bucket = models.CharField(max_length=8, choices=Bucket.choices)
    # The index on window and time covers it.
    window = models.ForeignKey(UsageWindow, on_delete=models.PROTECT, related_name="+", db_index=False)
    month = models.DateField()
    state = models.CharField(max_length=6, choices=State.choices, default=State.HELD)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    settled_at = models.DateTimeField(null=True)
    held_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        indexes = [
            # The sweeper looks for old holds among millions of settled ones.
            models.Index(fields=["created_at"], condition=Q(state="held"), name="hold_open"),
            models.Index(fields=["account", "-created_at"], name="hold_of_account"),
            models.Index(fields=["window", "created_at"], name="hold_of_window"),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()} for {self.request_id}"


class LedgerEntry(models.Model):
    """One movement of credits. Rows are only ever added.

    `available` and `held` are the signed changes: a hold is (−1, +1), a post (0, −1), a void (+1, −1), a grant (+n, 0).
    Summed over an account's prepaid rows, `available` is its balance; over a window's included rows, its remaining
    allowance. `reference` is the business reason. It is unique, so every movement happens at most once.
    """

    class Kind(models.TextChoices):
        GRANT = "grant", "grant"
        HOLD = "hold", "hold"
        POST = "post", "post"
        VOID = "void", "void"
        RENEW = "renew", "renew"
        REFUND = "refund", "refund"
        ADJUST = "adjust", "adjust by staff"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="ledger")
    kind = models.CharField(max_length=6, choices=Kind.choices)
    bucket = models.CharField(max_length=8, choices=Bucket.choices)
    available = models.IntegerField()
    held = models.IntegerField(default=0)
    reference = models.CharField(max_length=255, unique=True)
    window = models.ForeignKey(UsageWindow, on_delete=models.PROTECT, null=True, related_name="ledger")
    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, null=True, related_name="ledger")
    note = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "ledger entries"
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "-created_at"], name="ledger_of_account")]

    def __str__(self) -> str:
        return self.reference


class IdempotencyRecord(models.Model):
    """What an `Idempotency-Key` was first used for: a retry of the same request is charged once.

    `fingerprint` is the SHA-256 of image and options, `hold` the credit that the request costs; its state shows whether the
    request is running, was delivered, or failed. `replays` counts the retries after delivery, which are free.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, null=True, related_name="+")
    # A database default too: the previous release writes rows without this column.
    replays = models.PositiveSmallIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint("account", "key", name="idempotency_key_unique")]

    def __str__(self) -> str:
        return self.key


class AnonymousUsage(models.Model):
    """Images of one anonymous address on one UTC day. The address is stored only as a keyed hash."""

    address_digest = models.CharField(max_length=64)
    day = models.DateField()
    used = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "anonymous usage"
        constraints = [models.UniqueConstraint("address_digest", "day", name="anonymous_usage_unique")]

    def __str__(self) -> str:
        return f"{self.address_digest[:8]} on {self.day}"
