"""`manage.py sync_stripe`: products and prices at Stripe for every plan and pack, and the customer portal."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.payments import catalogue
from billing.payments.client import PaymentError
from lib.web.errors import get_translation


class Command(BaseCommand):
    help = "Put every plan and pack on sale at Stripe. Run it again after changing one; it changes nothing otherwise."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            changes = catalogue.sync()
        except PaymentError as error:
            raise CommandError(get_translation(error).message) from error
        for change in changes or ["nothing to change"]:
            self.stdout.write(change)
