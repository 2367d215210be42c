"""Plans, credit packs and prices: what is for sale, and what work costs."""

from django.conf import settings
from django.db import models
from django.utils import timezone


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
    # A database default too: the previous release adds plans without this column.
    free_previews = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Previews through the API that cost nothing, in each calendar month (UTC)."
    )

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


class Price(models.Model):
    """What an operation costs, or the factor by which a model changes that.

    `hundredths` are hundredths of a credit for an operation, and of the price for a model: 100 is one credit, or the same
    price. Changes only through `billing.credits.prices.change`, which writes the history.
    """

    class Kind(models.TextChoices):
        OPERATION = "operation", "operation, in credits"
        MODEL = "model", "model, as a factor of the price"

    kind = models.CharField(max_length=9, choices=Kind.choices)
    name = models.CharField(max_length=64)
    hundredths = models.PositiveIntegerField()

    class Meta:
        ordering = ["-kind", "name"]
        constraints = [models.UniqueConstraint("kind", "name", name="price_unique")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class PriceChange(models.Model):
    """One change of a price: who, when, from what (None: it is new) to what, and why. Rows are only ever added."""

    price = models.ForeignKey(Price, on_delete=models.PROTECT, related_name="changes")
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    old = models.PositiveIntegerField(null=True)
    new = models.PositiveIntegerField()
    reason = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.price} from {self.old} to {self.new}"
