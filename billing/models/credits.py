"""Balances, usage windows, holds and the ledger that proves them.

Credits are money: whole numbers of hundredths, changed only by `billing.credits.ledger`, each change with its ledger row.
An `Amount` is in hundredths of a credit. Its fields are for statements only: see `lib.amounts`.
"""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import ApiKey
from billing.models.catalogue import Plan
from lib.amounts import UNIT, Amount


def part_field() -> "models.IntegerField[int, int]":
    """The second field of an `Amount`. A database default too: the previous release writes rows without it."""
    return models.IntegerField(default=0, db_default=0, editable=False)


class Account(models.Model):
    """The billing side of a user.

    `prepaid` is what can still be spent: a hold takes from it immediately and a void returns it. `cycle` is Stripe's
    current billing cycle; it limits the account until another replaces it or the subscription ends. Without a cycle the
    calendar month limits the account, starting at `calendar_from` if a subscription ended within it.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="account")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="accounts")
    prepaid_balance = models.PositiveIntegerField(default=0, editable=False)
    prepaid_balance_part = part_field()
    cycle = models.ForeignKey(
        "UsageWindow", on_delete=models.PROTECT, null=True, blank=True, related_name="+", editable=False
    )
    calendar_from = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    prepaid = Amount("prepaid_balance")

    def __str__(self) -> str:
        return str(self.user)


class UsageWindow(models.Model):
    """A period, from `start` up to but not including `end`, that limits an account to an allowance of included credits.

    Each account has one current window: Stripe's billing cycle if there is one, else the calendar month. `allowance` is in
    whole credits. `on_hold` is neither posted nor voided yet: neither free nor used. `warned_percent` is the threshold of
    the last low-balance mail (0, 80 or 100).
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
    app_used_part = part_field()
    api_used_part = part_field()
    held_part = part_field()
    warned_percent = models.PositiveSmallIntegerField(default=0)

    used_by_app = Amount("app_used", up=True)
    used_by_api = Amount("api_used", up=True)
    on_hold = Amount("held", up=True)

    class Meta:
        ordering = ["-start"]
        constraints = [
            models.UniqueConstraint("account", "kind", "start", name="window_unique"),
            models.CheckConstraint(condition=Q(end__gt=F("start")), name="window_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} from {self.start:%Y-%m-%d}"

    @property
    def included(self) -> int:
        """The allowance in hundredths."""
        return UNIT * self.allowance

    @property
    def used(self) -> int:
        """What was posted in this window, in hundredths."""
        return self.used_by_app + self.used_by_api

    @property
    def left(self) -> int:
        """What can still be held, in hundredths. Below zero after a change to a smaller plan."""
        return self.included - self.used - self.on_hold

    def seconds_left(self, now: datetime) -> int:
        """Whole seconds until the window ends, at least 1: an overdue renewal may arrive at any moment."""
        return max(1, int((self.end - now).total_seconds()))


class MonthlyUsage(models.Model):
    """Included credits used in one UTC calendar month, whichever windows limited them. `month` is its first day.

    `free_previews` counts the previews that cost nothing, delivered or being worked on.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="months")
    month = models.DateField()
    app_used = models.PositiveIntegerField(default=0)
    api_used = models.PositiveIntegerField(default=0)
    app_used_part = part_field()
    api_used_part = part_field()
    free_previews = models.IntegerField(default=0, db_default=0)

    used_by_app = Amount("app_used", up=True)
    used_by_api = Amount("api_used", up=True)

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
    """The price of one image, reserved until it is posted (delivered) or voided (anything else).

    `price` is in hundredths, from `bucket`. What the included credits lacked of it came from the prepaid ones: that is
    `topped_up`. `is_free`: it is one of the month's free previews.

    A process of the release before settles every hold as one credit. `knows_price` is set by the statement that settles a
    hold, and the constraint refuses one that does not set it, unless the hold is of one credit.

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
    price = models.IntegerField(default=UNIT, db_default=UNIT)
    topped_up = models.IntegerField(default=0, db_default=0)
    is_free = models.BooleanField(default=False, db_default=False)
    knows_price = models.BooleanField(default=False, db_default=False, editable=False)
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
        constraints = [
            models.CheckConstraint(
                condition=Q(state="held") | Q(price=UNIT, topped_up=0) | Q(knows_price=True),
                name="hold_settled_at_its_price",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()} for {self.request_id}"

    @property
    def from_included(self) -> int:
        """What it took of the window's allowance, in hundredths."""
        return self.price - self.topped_up if self.bucket == Bucket.INCLUDED else 0

    @property
    def from_prepaid(self) -> int:
        """What it took of the prepaid balance, in hundredths."""
        return self.price - self.from_included


class LedgerEntry(models.Model):
    """One movement of credits. Rows are only ever added.

    `of_available` and `of_held` are the signed changes in hundredths: a hold of the price p is (−p, +p), a post (0, −p), a
    void (+p, −p), a grant (+n, 0). Summed over an account's prepaid rows, `of_available` is its balance; over a window's
    included rows, its remaining allowance. `reference` is the business reason. It is unique, so every movement happens at
    most once. A hold that takes from both buckets has a row for each.
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
    available_part = part_field()
    held_part = part_field()
    reference = models.CharField(max_length=255, unique=True)
    window = models.ForeignKey(UsageWindow, on_delete=models.PROTECT, null=True, related_name="ledger")
    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, null=True, related_name="ledger")
    note = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    of_available = Amount("available")
    of_held = Amount("held")

    class Meta:
        verbose_name_plural = "ledger entries"
        ordering = ["-id"]
        indexes = [models.Index(fields=["account", "-created_at"], name="ledger_of_account")]

    def __str__(self) -> str:
        return self.reference


class IdempotencyRecord(models.Model):
    """What an `Idempotency-Key` was first used for: a retry of the same request is charged once.

    `fingerprint` is the SHA-256 of image and options, `hold` what the request costs; its state shows whether the
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
