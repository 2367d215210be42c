"""Plans, balances, usage windows and the ledger that proves them.

Credits are money: whole numbers, changed only by `billing.credits.ledger`, each change with a ledger row beside it.
"""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import ApiKey


class Plan(models.Model):
    """What an account gets for its price. `label` is what the API reports as `membership`."""

    label = models.CharField(max_length=40, unique=True)
    included_credits = models.PositiveIntegerField(help_text="Credits of each window; what is left of them ends with it.")
    price_cents = models.PositiveIntegerField(default=0, help_text="Per month, in cents of US dollars.")
    requests_per_minute = models.PositiveIntegerField()
    concurrent_requests = models.PositiveIntegerField()
    position = models.PositiveSmallIntegerField(default=0, help_text="Order on the pricing page.")
    trial_days = models.PositiveSmallIntegerField(default=0, help_text="Days before the first payment of a new customer.")
    trial_credits = models.PositiveIntegerField(default=0, help_text="Credits of the trial, beyond those of Free.")

    class Meta:
        ordering = ["position", "label"]

    def __str__(self) -> str:
        return self.label


class CreditPack(models.Model):
    """Prepaid credits for sale. No renewal resets them."""

    label = models.CharField(max_length=40, unique=True)
    credits = models.PositiveIntegerField()
    price_cents = models.PositiveIntegerField(help_text="In cents of US dollars.")
    is_listed = models.BooleanField(default=True, help_text="Offered on the pricing page.")

    class Meta:
        ordering = ["credits"]

    def __str__(self) -> str:
        return self.label


class Account(models.Model):
    """The billing side of a user.

    `prepaid_balance` is what can still be spent: a hold takes from it at once and a void puts it back. `cycle` is the
    billing cycle that Stripe made the current one; it limits until another replaces it or the subscription ends. Without
    one the calendar month limits, from `calendar_from` on where a subscription ended within it.
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
    """A stretch of time, from `start` up to but not including `end`, with an allowance of included credits: what limits.

    One is the current one of an account: Stripe's billing cycle where there is one, else the calendar month. `held` counts
    credits that are held and neither posted nor voided yet: they are neither free nor used. `warned_percent` is the last
    low-balance mail's threshold (0, 80 or 100).
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
        """Whole seconds until the window ends, at least 1: a renewal that is overdue may come at any moment."""
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
    """Where a credit comes from. Included ones are spent first."""

    INCLUDED = "included", "included in the plan"
    PREPAID = "prepaid", "prepaid"


class Hold(models.Model):
    """One credit set aside for one picture, until it is posted (delivered) or voided (anything else).

    `window` and `month` (its first day, UTC) are fixed when the hold is made: a picture that is finished after midnight, or
    after a renewal, counts where it began. `held_until` is when an open hold counts as forgotten: a batch's is set from the
    start, a request's by each renewal while it runs. Without one a hold is forgotten after minutes (see `ledger.stale`).
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
    # The index over window and time serves it.
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


class DailyUsage(models.Model):
    """Credits spent on one UTC day of a window, counted once that day is over and all of its holds are settled.

    A copy of what the holds say, so that nobody counts a million of them for a page: see `billing.dashboard.daily_usage`.
    """

    window = models.ForeignKey(UsageWindow, on_delete=models.CASCADE, related_name="daily_usage")
    day = models.DateField()
    channel = models.CharField(max_length=3)
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    bucket = models.CharField(max_length=8, choices=Bucket.choices)
    credits = models.PositiveIntegerField()

    class Meta:
        verbose_name_plural = "daily usage"
        ordering = ["day"]

    def __str__(self) -> str:
        return f"{self.credits} on {self.day}"


class CountedDays(models.Model):
    """How far a window's `DailyUsage` goes: every day before `until` is counted. Moves only forward, in one statement."""

    window = models.OneToOneField(UsageWindow, on_delete=models.CASCADE, primary_key=True, related_name="counted")
    until = models.DateField()

    class Meta:
        verbose_name_plural = "counted days"

    def __str__(self) -> str:
        return f"until {self.until}"


class LedgerEntry(models.Model):
    """One movement of credits. Rows are only ever added.

    `available` and `held` are the signed changes: a hold is (−1, +1), a post (0, −1), a void (+1, −1), a grant (+n, 0).
    Summed over an account's prepaid rows, `available` is its balance; over a window's included rows, what is left of its
    allowance. `reference` is the business reason; being unique, it makes every movement happen at most once.
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

    `fingerprint` is the SHA-256 of picture and options, `hold` the credit that the request costs; its state tells whether
    the request is running, was delivered, or failed. `replays` counts the retries since it was delivered, which are free.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, null=True, related_name="+")
    # The database's default too: the release before writes rows without it.
    replays = models.PositiveSmallIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint("account", "key", name="idempotency_key_unique")]

    def __str__(self) -> str:
        return self.key


class RequestRecord(models.Model):
    """One answered call of `/rmbg`, for the customer's dashboard and for support. Not money: the ledger is.

    `code` is the error's, empty for a picture. Times are milliseconds: `duration_ms` of the whole request, `queue_ms` of
    waiting for a place, `inference_ms` of the model. Records are kept for a limited time: see
    `billing.dashboard.request_log`.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="requests")
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, null=True, related_name="+")
    channel = models.CharField(max_length=9, choices=[("api", "API"), ("app", "web app"), ("anonymous", "anonymous")])
    request_id = models.CharField(max_length=128, db_index=True)
    status = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=64, blank=True)
    credits = models.PositiveSmallIntegerField(default=0)
    duration_ms = models.PositiveIntegerField()
    queue_ms = models.PositiveIntegerField(default=0)
    inference_ms = models.PositiveIntegerField(default=0)
    model = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["account", "-created_at"], name="request_of_account"),
            # Whoever looks for what went wrong looks for few among many.
            models.Index(fields=["account", "-created_at"], condition=Q(status__gte=400), name="request_refused"),
        ]

    def __str__(self) -> str:
        return self.request_id


class AnonymousUsage(models.Model):
    """Pictures of one anonymous address on one UTC day. The address is kept as a keyed hash only."""

    address_digest = models.CharField(max_length=64)
    day = models.DateField()
    used = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "anonymous usage"
        constraints = [models.UniqueConstraint("address_digest", "day", name="anonymous_usage_unique")]

    def __str__(self) -> str:
        return f"{self.address_digest[:8]} on {self.day}"


class StripePrice(models.Model):
    """A price that `sync_stripe` made. Rows stay: subscribers keep the price that they signed up for.

    `credits` are those of a pack when the price was made: what was paid for is what is granted.
    """

    stripe_id = models.CharField(max_length=255, unique=True)
    product_id = models.CharField(max_length=255)
    lookup_key = models.CharField(max_length=64)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, null=True, related_name="stripe_prices")
    pack = models.ForeignKey(CreditPack, on_delete=models.PROTECT, null=True, related_name="stripe_prices")
    amount_cents = models.PositiveIntegerField()
    credits = models.PositiveIntegerField(default=0)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(plan=None) ^ Q(pack=None), name="price_of_plan_or_pack"),
            models.UniqueConstraint("lookup_key", condition=Q(is_active=True), name="price_active_unique"),
        ]

    def __str__(self) -> str:
        return self.stripe_id


class StripeCustomer(models.Model):
    """Who an account is at Stripe.

    Moving the account to Stripe's state takes a lease first: `lease` is a random number and ends at `leased_until`. See
    `billing.payments.customers`.
    """

    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="stripe_customer")
    stripe_id = models.CharField(max_length=255, unique=True)
    lease = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.stripe_id


class Subscription(models.Model):
    """A subscription as last read from Stripe. Only a paid one makes cycles: see `billing.payments.subscriptions`."""

    # Stripe is still trying to be paid while it is past due; it turns unpaid or cancelled when its retries are over.
    LIVE = ("active", "trialing", "past_due")

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="subscriptions")
    stripe_id = models.CharField(max_length=255, unique=True)
    status = models.CharField(max_length=32)
    price = models.ForeignKey(StripePrice, on_delete=models.PROTECT, null=True, related_name="+")
    cancel_at_period_end = models.BooleanField(default=False)
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-started_at", "-id"]

    def __str__(self) -> str:
        return self.stripe_id

    @property
    def is_live(self) -> bool:
        """Whether it counts: its customer has paid, is trying it, or is being asked again."""
        return self.status in self.LIVE


class PackPurchase(models.Model):
    """A pack that was paid for.

    `revoked` credits were refunded or lost to a dispute; `taken_back` of them have been taken from the balance. The rest was
    spent before, or is on hold and may still be taken: see `CreditsDue`. Both change by guarded statements only.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="purchases")
    price = models.ForeignKey(StripePrice, on_delete=models.PROTECT, related_name="+")
    checkout_id = models.CharField(max_length=255, unique=True)
    payment_intent_id = models.CharField(max_length=255, db_index=True)
    charge_id = models.CharField(max_length=255, blank=True, db_index=True)
    credits = models.PositiveIntegerField()
    amount_cents = models.PositiveIntegerField()
    revoked = models.PositiveIntegerField(default=0)
    taken_back = models.PositiveIntegerField(default=0)
    dispute_status = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.checkout_id

    @property
    def spent_before_refund(self) -> int:
        """Credits that the customer has the money back for, and has used or put on hold before."""
        return self.revoked - self.taken_back


class CreditsDue(models.Model):
    """What a refund, whose movement is `entry`, could not take because credits were on hold.

    `taken` of the `credits` have been taken since, as holds of that time were voided: see `billing.credits.due`.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="credits_due")
    entry = models.OneToOneField(LedgerEntry, on_delete=models.PROTECT, related_name="+")
    purchase = models.ForeignKey(PackPurchase, on_delete=models.PROTECT, null=True, related_name="credits_due")
    credits = models.PositiveIntegerField()
    taken = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = verbose_name_plural = "credits due"
        ordering = ["-entry"]
        constraints = [models.CheckConstraint(condition=Q(taken__lte=F("credits")), name="credits_due_not_passed")]

    def __str__(self) -> str:
        return f"{self.credits} of {self.entry}"


class StripeEvent(models.Model):
    """A webhook that was received. It is a signal only: what it says of its object is read anew, and not kept."""

    class Status(models.TextChoices):
        RECEIVED = "received", "received"
        PROCESSED = "processed", "processed"
        IGNORED = "ignored", "ignored"
        FAILED = "failed", "failed"
        FLAGGED = "flagged", "flagged for support"

    stripe_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=100)
    object_id = models.CharField(max_length=255, db_index=True)
    customer_id = models.CharField(max_length=255, blank=True, db_index=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="stripe_events")
    is_live_mode = models.BooleanField(default=False)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.RECEIVED, db_index=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    received_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.type} {self.stripe_id}"

    @property
    def is_open(self) -> bool:
        """Whether it still has to be processed."""
        return self.status in (self.Status.RECEIVED, self.Status.FAILED)
