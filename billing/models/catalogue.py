"""Plans and credit packs: what is for sale."""

from django.db import models


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
