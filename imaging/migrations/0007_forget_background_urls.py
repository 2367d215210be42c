"""Erasing a batch's images forgets the address of its background. Batches that were erased before still have it."""

from django.db import migrations

FIELD = "bg_image_url"


def forget(apps, schema_editor):
    """Idempotent: it may be interrupted, and run again."""
    Batch = apps.get_model("imaging", "Batch")
    erased = Batch.objects.filter(erased_at__isnull=False, options__has_key=FIELD)
    for pk, options in erased.values_list("pk", "options").iterator(500):
        del options[FIELD]
        Batch.objects.filter(pk=pk).update(options=options)


class Migration(migrations.Migration):
    # One transaction would hold every row's lock until the end.
    atomic = False

    dependencies = [
        ("imaging", "0006_item_results"),
    ]

    operations = [
        migrations.RunPython(forget, migrations.RunPython.noop, elidable=True),
    ]
