"""`manage.py reconcile [--fix] [--account EMAIL]`: prove all balances and counters from the ledger."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.models import Account
from billing.reconciliation import reconcile


class Command(BaseCommand):
    help = "Compare every balance and counter with the ledger; exits with 1 if anything differs and is not fixed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--fix", action="store_true", help="write the ledger's figures")
        parser.add_argument("--account", metavar="EMAIL", help="only this account")

    def handle(self, *args: Any, fix: bool, account: str | None, **options: Any) -> None:
        accounts = Account.objects.select_related("user", "cycle").order_by("pk")
        if account is not None:
            accounts = accounts.filter(user__email=account.lower())
            if not accounts.exists():
                raise CommandError(f"there is no account '{account}'")
        found = sum(self._reconcile(one, fix) for one in accounts.iterator())
        if found and not fix:
            raise CommandError(f"{found} difference(s); --fix writes the ledger's figures")
        self.stdout.write(f"fixed {found} difference(s)" if found else "ok")

    def _reconcile(self, account: Account, fix: bool) -> int:
        differences = reconcile(account, fix=fix)
        for difference in differences:
            self.stdout.write(f"{account}: {difference}")
        return len(differences)
