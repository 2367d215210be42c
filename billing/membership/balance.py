"""`/billing/balance`: the credits that a signed-in customer has left, for the scripts of our pages."""

from dataclasses import dataclass
from typing import TypedDict

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import User
from billing.credits import ledger
from billing.credits.prices import as_number
from billing.credits.windows import month_of
from billing.membership import usage as membership
from billing.models import Account, MonthlyUsage
from lib.web.errors import ApiError, json_response


class Balance(TypedDict):
    """Credits left, as numbers for JSON: the plan's in the current window, prepaid ones, and their sum."""

    included: int | float
    prepaid: int | float
    left: int | float


@dataclass(frozen=True, slots=True)
class CreditsLeft:
    """What an account can spend now, in hundredths of a credit, and this month's free previews that are left."""

    included: int
    prepaid: int
    free_previews: int

    @property
    def total(self) -> int:
        """Included and prepaid credits together, in hundredths."""
        return self.included + self.prepaid


def get_credits(account: Account) -> CreditsLeft:
    """What is left to an account. What is on hold counts as spent."""
    window = membership.current_window(account)
    month = MonthlyUsage.objects.filter(account=account, month=month_of(timezone.now())).first()
    free = account.plan.free_previews - (month.free_previews if month else 0)
    return CreditsLeft(max(0, window.left), account.prepaid, max(0, free))


def describe(user: User) -> Balance:
    """The figures that `/rmbg` enforces and `/api/membership-usage` reports."""
    account = ledger.get_account(user)
    cycle = membership.get_cycle(account, membership.current_window(account))
    left = cycle.left + cycle.prepaid
    return Balance(included=as_number(cycle.left), prepaid=as_number(cycle.prepaid), left=as_number(left))


@require_safe
@never_cache
def balance(request: HttpRequest) -> HttpResponse:
    """The balance as JSON; 401 in the API's error shape for a browser without a session."""
    if not isinstance(request.user, User):
        return json_response(ApiError("not_logged_in"))
    return JsonResponse(describe(request.user))
