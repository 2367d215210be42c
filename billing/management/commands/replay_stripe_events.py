"""`manage.py replay_stripe_events [--failed | --event ID]`: process stored events again."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.models import StripeEvent
from billing.payments import events as stripe_events


class Command(BaseCommand):
    help = "Process stored Stripe events again: those that are not finished, or one. Harmless, however often."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--failed", action="store_true", help="all that failed or were never processed")
        which.add_argument("--event", metavar="ID", help="this one, whatever became of it")

    def handle(self, *args: Any, event: str | None, **options: Any) -> None:
        events = StripeEvent.objects.order_by("pk")
        if event is not None:
            events = events.filter(stripe_id=event)
            if not events.exists():
                raise CommandError(f"there is no event '{event}'")
        else:
            events = events.filter(status__in=(StripeEvent.Status.RECEIVED, StripeEvent.Status.FAILED))
        failed = [str(one) for one in events if not stripe_events.process(one.pk, again=event is not None)]
        if failed:
            raise CommandError("failed again: " + ", ".join(failed))
        self.stdout.write("ok")
