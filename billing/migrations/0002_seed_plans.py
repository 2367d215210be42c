"""The plans and packs that a new deployment starts with. Staff edit them in the admin; this never overwrites them."""

from django.db import migrations

PLANS = [
    # label, included credits, price in cents a month, requests a minute, at once
    ("Free", 50, 0, 20, 2),
    ("Premium-1000", 1_000, 1_900, 60, 4),
    ("Premium-5000", 5_000, 6_900, 120, 8),
    ("Premium-20000", 20_000, 19_900, 600, 16),
]
PACKS = [("100 credits", 100, 500), ("500 credits", 500, 1_900), ("2,000 credits", 2_000, 5_900)]


def seed(apps, schema_editor):
    Plan = apps.get_model("billing", "Plan")
    for position, (label, credits, price, per_minute, at_once) in enumerate(PLANS):
        Plan.objects.get_or_create(
            label=label,
            defaults={
                "included_credits": credits,
                "price_cents": price,
                "requests_per_minute": per_minute,
                "concurrent_requests": at_once,
                "position": position,
            },
        )
    CreditPack = apps.get_model("billing", "CreditPack")
    for label, credits, price in PACKS:
        CreditPack.objects.get_or_create(label=label, defaults={"credits": credits, "price_cents": price})


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
