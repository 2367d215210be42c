"""Everything about an account, for one page. Every list is bounded and costs one query."""

from collections import Counter
from datetime import UTC, datetime, time
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import get_adapter as get_social_adapter
from django import forms
from django.contrib.admin.models import LogEntry
from django.db.models import (
    BigIntegerField,
    CharField,
    DateTimeField,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Cast
from django.http import QueryDict
from django.utils import timezone

from accounts.models import ApiKey, ApiKeyMonth
from billing.credits import due, ledger
from billing.credits.prices import CREDIT
from billing.credits.windows import month_of
from billing.membership.usage import current_window
from billing.models import (
    Account,
    CreditsDue,
    Hold,
    LedgerEntry,
    MonthlyUsage,
    PackPurchase,
    Subscription,
    UsageWindow,
)

LEDGER_ROWS = 200
REQUEST_ROWS = EVENT_ROWS = LOG_ROWS = 50
KEY_ROWS = 100
PERIOD_ROWS = 26
# Marks the API's report of a calendar month among the limiting windows.
REPORT = "report"

Row = dict[str, Any]


class StoryFilter(forms.Form):
    """Which ledger rows and requests the page shows. A request id filters both."""

    request_id = forms.CharField(required=False, label="Request id")
    day = forms.DateField(required=False, label="Day (UTC)", widget=forms.DateInput(attrs={"type": "date"}))
    key = forms.ChoiceField(required=False)
    channel = forms.ChoiceField(choices=[("", "any channel"), ("api", "API"), ("app", "web app")], required=False)
    held = forms.BooleanField(required=False, label="Still held")
    failed = forms.BooleanField(required=False, label="Errors only")

    def __init__(self, data: QueryDict | None, keys: list[ApiKey]) -> None:
        super().__init__(data, auto_id="filter_%s")
        choices = [(key.lookup, f"{key.prefix} ({key.name})") for key in keys]
        self.fields["key"].choices = [("", "any key"), *choices]  # type: ignore[attr-defined]

    @property
    def wanted(self) -> Row:
        """The values that were asked for in valid fields."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    def ledger_rows(self, account: Account) -> QuerySet[LedgerEntry]:
        """The newest LEDGER_ROWS movements that match."""
        wanted = self.wanted
        rows = LedgerEntry.objects.filter(account=account)
        for name in ("request_id", "channel"):
            if name in wanted:
                rows = rows.filter(**{f"hold__{name}": wanted[name]})
        if "key" in wanted:
            rows = rows.filter(hold__key__lookup=wanted["key"])
        if "held" in wanted:
            rows = rows.filter(hold__state=Hold.State.HELD)
        rows = _on_day(rows, wanted)
        return rows.select_related("hold__key", "window").order_by("-created_at", "-id")[:LEDGER_ROWS]

    def requests(self, account: Account) -> QuerySet[Any]:
        """The newest REQUEST_ROWS requests that match."""
        wanted = self.wanted
        rows = account.requests.all()
        for name in ("request_id", "channel"):
            if name in wanted:
                rows = rows.filter(**{name: wanted[name]})
        if "key" in wanted:
            rows = rows.filter(key__lookup=wanted["key"])
        if "failed" in wanted:
            rows = rows.exclude(code="")
        return _on_day(rows, wanted).select_related("key").order_by("-created_at", "-id")[:REQUEST_ROWS]


def find_account(pk: int) -> Account | None:
    """The account with its related objects, in one query."""
    has_authenticator = Exists(Authenticator.objects.filter(user=OuterRef("user_id"), type=Authenticator.Type.TOTP))
    beside = ("user", "plan", "cycle", "stripe_customer")
    return Account.objects.select_related(*beside).annotate(has_mfa=has_authenticator).filter(pk=pk).first()


def tell(account: Account, query: QueryDict) -> Row:
    """The account page's data, filtered by the query's StoryFilter."""
    keys = list_keys(account)
    shown = StoryFilter(query or None, keys) if query else StoryFilter(QueryDict(), keys)
    periods = list_periods(account)
    window = current_window(account, [_window(row) for row in periods if row["kind_"] != REPORT])
    return {
        "account": account,
        "log_ins": list_log_ins(account),
        "keys": keys,
        "window": window,
        "window_left": max(0, window.left),
        "periods": periods,
        "filter": shown,
        "requests": shown.requests(account),
        "ledger_rows": shown.ledger_rows(account),
        "bought": (bought := list_bought(account)),
        "due": sum(row["due"] for row in bought),
        "events": account.stripe_events.order_by("-id")[:EVENT_ROWS],
        "audit": audit_trail(account),
        "stale_before": timezone.now() - ledger.STALE_HOLD,
        "limits": {"ledger": LEDGER_ROWS, "requests": REQUEST_ROWS, "events": EVENT_ROWS, "audit": LOG_ROWS},
        # The id that a search found: its rows are highlighted.
        "marked": query.get("stripe") or query.get("request_id") or "",
        "marked_key": query.get("key", ""),
    }


def list_log_ins(account: Account) -> list[str]:
    """What the owner can log in with: a password, and the names of providers."""
    providers: list[str] = get_social_adapter().connections(account.user)
    return (["password"] if account.user.has_usable_password() else []) + providers


def list_keys(account: Account) -> list[ApiKey]:
    """The keys with `used_this_month`, in hundredths of a credit, live ones first. Their digests are not loaded."""
    this_month = ApiKeyMonth.objects.filter(key=OuterRef("pk"), month=month_of(timezone.now()))
    keys = ApiKey.objects.filter(user_id=account.user_id).defer("digest")
    counted = keys.annotate(used_this_month=Subquery(this_month.values_list(ApiKeyMonth.spent.total)))
    return sorted(counted.order_by("-created_at")[:KEY_ROWS], key=lambda key: not key.is_live)


def list_periods(account: Account) -> list[Row]:
    """Windows (what limits) and calendar months (what is reported), newest first, in one query."""
    columns = ("id", "kind_", "from_", "to_", "allowance_", "app_", "api_", "held_")
    windows = UsageWindow.objects.filter(account=account).order_by().annotate(
        kind_=F("kind"), from_=F("start"), to_=F("end"), allowance_=F("allowance"), held_=UsageWindow.on_hold.total,
        app_=UsageWindow.used_by_app.total, api_=UsageWindow.used_by_api.total,
    )  # fmt: skip
    months = MonthlyUsage.objects.filter(account=account).order_by().annotate(
        kind_=Value(REPORT, CharField()), from_=Cast("month", DateTimeField()), to_=Value(None, DateTimeField()),
        allowance_=Value(None, IntegerField()), held_=Value(None, BigIntegerField()),
        app_=MonthlyUsage.used_by_app.total, api_=MonthlyUsage.used_by_api.total,
    )  # fmt: skip
    both = windows.values(*columns).union(months.values(*columns), all=True)
    names = {**dict(UsageWindow.Kind.choices), REPORT: "usage of the calendar month"}
    return [{**row, "name": names[row["kind_"]]} for row in both.order_by("-from_", "kind_")[:PERIOD_ROWS]]


def list_bought(account: Account) -> list[Row]:
    """Subscriptions and packs, newest first, in one query. A pack's `status_` is the status of its dispute.

    `taken_`, `spent` and `due` are in hundredths. One more query if a refund could not take everything: what is `due` is on
    hold and may still be taken.
    """
    columns = (
        "kind_", "at_", "id_", "payment_", "label_", "status_", "cents_", "from_", "to_", "ends_", "credits_", "revoked_",
        "taken_", "short_",
    )  # fmt: skip
    number, amount, text = Value(None, IntegerField()), Value(None, BigIntegerField()), Value("", CharField())
    running = Subscription.objects.filter(account=account).order_by().annotate(
        kind_=Value("subscription", CharField()), at_=F("started_at"), id_=F("stripe_id"), payment_=text,
        label_=F("price__plan__label"), status_=F("status"), cents_=F("price__amount_cents"), from_=F("period_start"),
        to_=F("period_end"), ends_=F("cancel_at_period_end"), credits_=number, revoked_=number, taken_=amount, short_=amount,
    )  # fmt: skip
    moment = Value(None, DateTimeField())
    rows_due = CreditsDue.objects.filter(purchase=OuterRef("pk")).order_by().values("purchase")
    short = rows_due.annotate(short=Sum(CreditsDue.owed.total - CreditsDue.paid.total)).values("short")
    packs = PackPurchase.objects.filter(account=account).order_by().annotate(
        kind_=Value("pack", CharField()), at_=F("created_at"), id_=F("checkout_id"), payment_=F("payment_intent_id"),
        label_=F("price__pack__label"), status_=F("dispute_status"), cents_=F("amount_cents"), from_=moment, to_=moment,
        ends_=Value(False), credits_=F("credits"), revoked_=F("revoked"), taken_=PackPurchase.reclaimed.total,
        short_=Cast(Subquery(short), BigIntegerField()),
    )  # fmt: skip
    both = running.values(*columns).union(packs.values(*columns), all=True)
    rows = list(both.order_by("-at_"))
    on_hold = due.outstanding(account) if any(row["short_"] for row in rows) else Counter()
    for row in rows:
        row["due"] = on_hold[row["id_"]]
        row["spent"] = CREDIT * (row["revoked_"] or 0) - (row["taken_"] or 0) - row["due"]
    return rows


def audit_trail(account: Account) -> QuerySet[LogEntry]:
    """What staff did to the account and its user, newest first."""
    # By the names of the content types: looking up their ids would cost another query.
    user = Q(content_type__app_label="accounts", content_type__model="user", object_id=str(account.user_id))
    own = Q(content_type__app_label="billing", content_type__model="account", object_id=str(account.pk))
    return LogEntry.objects.filter(user | own).select_related("user").order_by("-action_time", "-id")[:LOG_ROWS]


def _window(row: Row) -> UsageWindow:
    used = {"used_by_app": row["app_"], "used_by_api": row["api_"], "on_hold": row["held_"]}
    bounds = {"start": row["from_"], "end": row["to_"], "allowance": row["allowance_"]}
    return UsageWindow(id=row["id"], kind=row["kind_"], **bounds, **used)


def _on_day(rows: QuerySet[Any], wanted: Row) -> QuerySet[Any]:
    """Filter by bounds instead of each row's date: bounds use an index."""
    if "day" not in wanted:
        return rows
    start = datetime.combine(wanted["day"], time(), UTC)
    # Up to the day's last microsecond: there is no day after `date.max`.
    return rows.filter(created_at__gte=start, created_at__lte=datetime.combine(wanted["day"], time.max, UTC))
