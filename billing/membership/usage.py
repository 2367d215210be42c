"""`GET /api/membership-usage`: the numbers that `/rmbg` enforces, read from the same rows."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from billing.credits import ledger
from billing.credits.windows import calendar_bounds, month_of
from billing.models import Account, MonthlyUsage, Plan, UsageWindow
from lib.web.errors import FieldProblem, field_problem

FLAG_ON = ("1", "true")
DIGITS = re.compile(r"\d{1,12}")
Problems = list[FieldProblem]

# One handwritten statement: building two with the ORM takes several times as long as the database needs to answer.
_ACCOUNT_AND_MONTH = """
SELECT account.*, plan.label AS plan_label, plan.included_credits AS plan_credits,
       month.app_used AS month_app_used, month.api_used AS month_api_used,
       month.app_used_part AS month_app_used_part, month.api_used_part AS month_api_used_part
FROM billing_account AS account
JOIN billing_plan AS plan ON plan.id = account.plan_id
LEFT JOIN billing_monthlyusage AS month ON month.account_id = account.id AND month.month = %s
WHERE account.user_id = %s
"""


class InvalidQuery(Exception):
    """The parameters have one or more problems."""

    def __init__(self, problems: Problems) -> None:
        super().__init__(problems)
        self.problems = problems


class UnknownBillingCycle(Exception):
    """No billing window of the account starts in the second `start`, in Unix time."""

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self.start = start


@dataclass(frozen=True, slots=True)
class ListedCycle:
    """Included credits used in a billing window, in hundredths. `start` and `end` are its first and last Unix second."""

    start: int
    end: int
    app_used: int
    api_used: int

    @property
    def used(self) -> int:
        """By the web app and API keys together."""
        return self.app_used + self.api_used


@dataclass(frozen=True, slots=True)
class BillingCycle(ListedCycle):
    """A billing window with its allowance, `included`. Amounts are in hundredths.

    `is_synced`: it is Stripe's and not a calendar month.
    """

    included: int
    prepaid: int
    is_synced: bool

    @property
    def left(self) -> int:
        """Credits left of the allowance, at least 0."""
        return max(0, self.included - self.used)


@dataclass(frozen=True, slots=True)
class Usage:
    """An account, its usage in the month or window asked for, and the billing cycle if that was asked for."""

    account: Account
    used: MonthlyUsage | UsageWindow
    cycle: BillingCycle | None


@dataclass(frozen=True, slots=True)
class Query:
    """A caller's parameters. `month` is its first day; it excludes `window_start`."""

    list_cycles: bool = False
    expand_cycle: bool = False
    month: date | None = None
    window_start: datetime | None = None


def parse_query(query: Mapping[str, str]) -> Query:
    """Parse the parameters. Raises InvalidQuery with all problems at once. With `listBillingCycles`, ignores all others."""
    if _is_on(query.get("listBillingCycles")):
        return Query(list_cycles=True)
    problems: Problems = []
    month = _parse_month(query, problems)
    window_start = _parse_window_start(query, problems)
    if problems:
        raise InvalidQuery(problems)
    flags = [flag.strip() for flag in query.get("expand", "").split(",")]
    expand = "billing_cycle" in flags or _is_on(query.get("includeBillingCycle"))
    return Query(expand_cycle=expand, month=month, window_start=window_start)


def get_usage(user: User, query: Query) -> Usage:
    """The usage that was asked for. Raises UnknownBillingCycle for a window that the account does not have."""
    account, month = read(user, query.month)
    window = _get_asked_window(account, query.window_start)
    cycle = get_cycle(account, window or current_window(account)) if query.expand_cycle else None
    return Usage(account, window or month, cycle)


def read(user: User, month: date | None = None) -> tuple[Account, MonthlyUsage]:
    """The account, with the fields that the response shows, and its usage in the month from `month`, by default this one."""
    month = month or month_of(timezone.now())
    rows = Account.objects.raw(_ACCOUNT_AND_MONTH, [month.isoformat(), user.pk])
    # An account is created on first use.
    account = next(iter(rows), None) or ledger.get_account(user)
    row = vars(account)
    if "plan_label" in row:
        account.plan = Plan(id=account.plan_id, label=row["plan_label"], included_credits=row["plan_credits"])
    columns = ("app_used", "app_used_part", "api_used", "api_used_part")
    used = {name: row.get(f"month_{name}") or 0 for name in columns}
    return account, MonthlyUsage(account=account, month=month, **used)


def current_window(account: Account, known: Iterable[UsageWindow] | None = None) -> UsageWindow:
    """The window that limits the account now. A calendar month without requests has no row, and reading creates none.

    `known` are the account's newest windows, if they have already been read.
    """
    if account.cycle is not None:
        return account.cycle
    start, end = calendar_bounds(account, timezone.now())
    kind, allowance = UsageWindow.Kind.MONTH, account.plan.included_credits
    if known is None:
        known = UsageWindow.objects.filter(account=account, kind=kind, start=start)
    found = next((window for window in known if (window.kind, window.start) == (kind, start)), None)
    return found or UsageWindow(account=account, kind=kind, start=start, end=end, allowance=allowance)


def get_cycle(account: Account, window: UsageWindow) -> BillingCycle:
    """A window as a billing cycle."""
    return BillingCycle(
        start=_unix(window.start),
        end=_unix(window.end) - 1,
        app_used=window.used_by_app,
        api_used=window.used_by_api,
        included=window.included,
        prepaid=account.prepaid,
        is_synced=window.kind == UsageWindow.Kind.CYCLE,
    )


def listed_windows(account: Account, windows: QuerySet[UsageWindow] | None = None) -> list[tuple[UsageWindow, datetime]]:
    """Windows with usage, and Stripe's current one, newest first. Each ends where the next one begins.

    They are selected from `windows`, for a caller that needs related objects too.
    """
    windows = UsageWindow.objects.all() if windows is None else windows
    has_usage = Q(app_used__gt=0) | Q(api_used__gt=0)
    listed: list[tuple[UsageWindow, datetime]] = []
    for window in windows.filter(has_usage | Q(pk=account.cycle_id), account=account).order_by("-start", "-id"):
        listed.append((window, listed[-1][0].start if listed else window.end))
    return listed


def list_cycles(account: Account) -> list[ListedCycle]:
    """The listed windows, newest first."""
    return [
        ListedCycle(_unix(window.start), _unix(end) - 1, window.used_by_app, window.used_by_api)
        for window, end in listed_windows(account)
    ]


def _get_asked_window(account: Account, start: datetime | None) -> UsageWindow | None:
    """The window that starts in the second asked for; None if none was asked for."""
    if start is None:
        return None
    seconds = Q(start__gte=start, start__lt=start + timedelta(seconds=1))
    window = UsageWindow.objects.filter(seconds, account=account).order_by(F("kind")).first()
    current = current_window(account)
    if window is None and _unix(current.start) == _unix(start):
        window = current
    if window is None:
        raise UnknownBillingCycle(_unix(start))
    return window


def _parse_month(query: Mapping[str, str], problems: Problems) -> date | None:
    if "year" not in query and "month" not in query:
        return None
    today = timezone.now().astimezone(UTC)
    year = _parse_number(query, "year", 1, 9999, problems) if "year" in query else today.year
    month = _parse_number(query, "month", 1, 12, problems) if "month" in query else today.month
    return date(year, month, 1) if year and month else None


def _parse_window_start(query: Mapping[str, str], problems: Problems) -> datetime | None:
    if "periodStartUnix" not in query:
        return None
    if "year" in query or "month" in query:
        problems.append(field_problem("periodStartUnix", "conflicting_parameters"))
        return None
    latest = _unix(datetime(9999, 12, 31, tzinfo=UTC))
    seconds = _parse_number(query, "periodStartUnix", 1, latest, problems)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _parse_number(query: Mapping[str, str], name: str, low: int, high: int, problems: Problems) -> int:
    """A whole number within bounds. For anything else, adds a problem and returns 0."""
    text = query[name].strip()
    if not DIGITS.fullmatch(text) or not text.isascii():
        problems.append(field_problem(name, "invalid_integer", value=text[:100]))
        return 0
    if not low <= int(text) <= high:
        problems.append(field_problem(name, "out_of_range", low=low, high=high, value=text))
        return 0
    return int(text)


def _is_on(value: str | None) -> bool:
    return value is not None and value.strip().lower() in FLAG_ON


def _unix(moment: datetime) -> int:
    return int(moment.timestamp())
