"""`manage.py issue_key EMAIL [--plan LABEL] [--prepaid N]`: for operators, demos and tests."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import transaction

from accounts.models import ApiKey, TooManyKeys, User
from billing.credits import ledger
from billing.models import Plan
from lib.web.errors import get_translation


class Command(BaseCommand):
    help = "Print a new API key, and nothing else. Makes the account, verified, if there is none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--plan", metavar="LABEL", help="put the account on this plan")
        parser.add_argument("--prepaid", metavar="N", type=int, default=0, help="add N prepaid credits")

    @transaction.atomic
    def handle(self, *args: Any, email: str, plan: str | None, prepaid: int, **options: Any) -> None:
        if prepaid < 0:
            raise CommandError(f"--prepaid must not be negative, got {prepaid}")
        account = ledger.get_account(get_or_create_user(email))
        if plan is not None:
            ledger.change_plan(account, find_plan(plan))
        if prepaid:
            ledger.grant_prepaid(account, prepaid, reference=f"issue_key:{uuid.uuid4()}", note="manage.py issue_key")
        try:
            _, text = ApiKey.objects.issue(account.user, name="issue_key")
        except TooManyKeys as refused:
            raise CommandError(get_translation(refused).message) from refused
        self.stdout.write(text.text)


def get_or_create_user(email: str) -> User:
    """The verified user with this address. Raises CommandError for an address that is none."""
    try:
        validate_email(email)
    except ValidationError as error:
        raise CommandError(f"'{email}' is not an e-mail address") from error
    user = User.objects.filter(email=email.lower()).first() or User.objects.create_user(email)
    user.verify_email()
    return user


def find_plan(label: str) -> Plan:
    """The plan with this label. Raises CommandError naming the plans there are."""
    plan = Plan.objects.filter(label=label).first()
    if plan is None:
        labels = ", ".join(Plan.objects.values_list("label", flat=True))
        raise CommandError(f"there is no plan '{label}'; there are: {labels}")
    return plan
