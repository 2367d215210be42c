"""`manage.py reconcile [--fix] [--stripe] [--account EMAIL]`: prove balances and counters, and compare with Stripe."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.credits import due
from billing.credits.prices import format_credits
from billing.credits.reconciliation import reconcile
from billing.models import Account
from billing.payments import reconciliation as stripe_reconciliation
from billing.payments.client import PaymentError
from lib.web.errors import get_translation


class Command(BaseCommand):
    help = (
        "Compare every balance and counter with the ledger; with --stripe, subscriptions and purchases with Stripe as well. "
        "Exits with 1 if anything differs and is not fixed. Also lists what refunds will take once holds are released."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--fix", action="store_true", help="write the ledger's figures, and with --stripe match Stripe")
        parser.add_argument("--stripe", action="store_true", help="ask Stripe, too")
        parser.add_argument("--account", metavar="EMAIL", help="only this account")

    def handle(self, *args: Any, fix: bool, stripe: bool, account: str | None, **options: Any) -> None:
        accounts = Account.objects.select_related("user", "plan", "cycle").order_by("pk")
        if account is not None:
            accounts = accounts.filter(user__email=account.lower())
            if not accounts.exists():
                raise CommandError(f"there is no account '{account}'")
        # One at a time: a cursor over all would need its connection for hours, and a call to Stripe releases it.
        found = 0
        for pk in list(accounts.values_list("pk", flat=True)):
            one = accounts.get(pk=pk)
            found += self._reconcile(one, fix) + (self._compare(one, fix) if stripe else 0)
        if found and not fix:
            raise CommandError(f"{found} difference(s); --fix puts them right")
        self.stdout.write(f"fixed {found} difference(s)" if found else "ok")

    def _reconcile(self, account: Account, fix: bool) -> int:
        differences = reconcile(account, fix=fix)
        for difference in differences:
            self.stdout.write(f"{account}: {difference}")
        # No difference: nothing is wrong, and there is nothing to fix.
        for checkout, amount in due.outstanding(account).items():
            credits = format_credits(amount)
            self.stdout.write(f"{account}: {credits} credits of {checkout} were refunded while on hold; taken once released")
        return len(differences)

    def _compare(self, account: Account, fix: bool) -> int:
        """Compare with Stripe; with `fix`, match it, and count what was put right."""
        try:
            found = stripe_reconciliation.differences(account)
            if found and fix:
                stripe_reconciliation.sync(account)
        except PaymentError as error:
            raise CommandError(get_translation(error).message) from error
        for difference in found:
            self.stdout.write(f"{account}: {difference}")
        return len(found)
