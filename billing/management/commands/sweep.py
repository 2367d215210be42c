"""`manage.py sweep`: what Celery beat, or a web process, does every minute or so, at once."""

from typing import Any

from django.core.management.base import BaseCommand

from billing.tasks import sweep


class Command(BaseCommand):
    help = "Void stale holds and remove expired records."

    def handle(self, *args: Any, **options: Any) -> None:
        sweep()
