"""Stripe's objects for an account, and its events."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from billing.models.catalogue import CreditPack, Plan
from billing.models.credits import Account, LedgerEntry, part_field
from lib.amounts import UNIT, Amount


class StripePrice(models.Model):
    """A price that `sync_stripe` created. Rows are never deleted: subscribers keep the price that they signed up for.

    `credits` is the size of the pack when the price was created: customers are granted what they paid for.
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
    """An account's customer at Stripe.

    Syncing the account with Stripe takes a lease first: `lease` is a random number, and the lease ends at `leased_until`.
    See `billing.payments.customers`.
    """

    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="stripe_customer")
    stripe_id = models.CharField(max_length=255, unique=True)
    lease = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.stripe_id


class Subscription(models.Model):
    """A subscription as last read from Stripe. Only a paid one opens cycles: see `billing.payments.subscriptions`."""

    # While it is past due, Stripe still retries the payment. After the last retry it becomes unpaid or cancelled.
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
        """Whether it counts: it is paid, in its trial, or Stripe is retrying the payment."""
        return self.status in self.LIVE


class PackPurchase(models.Model):
    """A pack that was paid for.

    `revoked` credits were refunded or lost to a dispute; `reclaimed`, in hundredths, has been taken from the balance. The
    rest was already spent, or is on hold and may still be taken: see `CreditsDue`. Both change only by guarded statements.
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
    taken_back_part = part_field()
    dispute_status = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    reclaimed = Amount("taken_back")

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.checkout_id

    @property
    def spent_before_refund(self) -> int:
        """What was refunded, but had been used or put on hold before, in hundredths."""
        return UNIT * self.revoked - self.reclaimed


class StripeEvent(models.Model):
    """A received webhook. It is only a signal: its object is read again from Stripe, and the payload is not stored."""

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


class CreditsDue(models.Model):
    """Credits that a refund, whose movement is `entry`, could not take because they were on hold.

    `paid` of what is `owed`, in hundredths, has been taken since, when holds from that time were voided: see
    `billing.credits.due`.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="credits_due")
    entry = models.OneToOneField(LedgerEntry, on_delete=models.PROTECT, related_name="+")
    purchase = models.ForeignKey(PackPurchase, on_delete=models.PROTECT, null=True, related_name="credits_due")
    credits = models.PositiveIntegerField()
    taken = models.PositiveIntegerField(default=0)
    credits_part = part_field()
    taken_part = part_field()

    owed = Amount("credits")
    # Rounded up: the previous release takes no whole credit where a part of one is due.
    paid = Amount("taken", up=True)

    class Meta:
        verbose_name = verbose_name_plural = "credits due"
        ordering = ["-entry"]
        constraints = [
            models.CheckConstraint(
                condition=Q(taken__lt=F("credits"))
                | Q(taken_part__lte=F("credits_part") + UNIT * (F("credits") - F("taken"))),
                name="credits_due_not_exceeded",
            )
        ]

    def __str__(self) -> str:
        return f"{self.owed} hundredths of {self.entry}"
