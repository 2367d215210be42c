"""Support's answer to "where did my credits go?": balances, windows and the ledger. Credits move by a reasoned act only."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from accounts.admin import SupportAdmin
from accounts.models import ApiKey, User
from billing import ledger, stripe_events
from billing.models import (
    Account,
    CreditPack,
    Hold,
    LedgerEntry,
    MonthlyUsage,
    PackPurchase,
    Plan,
    StripeCustomer,
    StripeEvent,
    StripePrice,
    Subscription,
    UsageWindow,
)
from config.errors import ApiError

LEDGER_ROWS = 200
EVENT_ROWS = 50


def dashboard_link(kind: str, stripe_id: str) -> str:
    """A link to an object in Stripe's dashboard. The dashboard itself finds out whether it is a test's."""
    if not stripe_id:
        return ""
    return format_html('<a href="https://dashboard.stripe.com/{}/{}" rel="noreferrer">{}</a>', kind, stripe_id, stripe_id)


class ReadOnlyAdmin(SupportAdmin):
    """Rows that nobody edits."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]  # generic for mypy only
    """Rows shown on their account's page."""

    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class WindowInline(ReadOnlyInline):
    model = UsageWindow
    fields = ["kind", "start", "end", "allowance", "app_used", "api_used", "held"]
    verbose_name_plural = "Windows (what limits)"


class MonthInline(ReadOnlyInline):
    model = MonthlyUsage
    fields = ["month", "app_used", "api_used"]
    verbose_name_plural = "Usage by calendar month (UTC)"


class SubscriptionInline(ReadOnlyInline):
    model = Subscription
    fields = ["at_stripe", "status", "price", "plan", "cancel_at_period_end", "period_start", "period_end", "updated_at"]
    readonly_fields = ["at_stripe", "plan", "updated_at"]

    @admin.display(description="At Stripe")
    def at_stripe(self, subscription: Subscription) -> str:
        return dashboard_link("subscriptions", subscription.stripe_id)

    @admin.display(description="Plan")
    def plan(self, subscription: Subscription) -> str:
        return str(subscription.price.plan) if subscription.price else "unknown price"


class PurchaseInline(ReadOnlyInline):
    model = PackPurchase
    fields = ["created_at", "at_stripe", "credits", "amount_cents", "revoked", "taken_back", "spent", "dispute_status"]
    readonly_fields = ["created_at", "at_stripe", "spent"]
    verbose_name_plural = "Packs bought"

    @admin.display(description="At Stripe")
    def at_stripe(self, purchase: PackPurchase) -> str:
        return dashboard_link("payments", purchase.payment_intent_id)

    @admin.display(description="Spent before the refund")
    def spent(self, purchase: PackPurchase) -> int:
        return purchase.spent_before_refund


class EventInline(ReadOnlyInline):
    model = StripeEvent
    fields = ["received_at", "type", "at_stripe", "object_id", "status", "attempts", "error"]
    readonly_fields = ["received_at", "at_stripe"]
    verbose_name_plural = f"Stripe events (the newest {EVENT_ROWS})"

    def get_queryset(self, request: HttpRequest) -> QuerySet[StripeEvent]:
        events: QuerySet[StripeEvent] = super().get_queryset(request)
        account = request.resolver_match.kwargs.get("object_id", "") if request.resolver_match else ""
        newest = events.filter(account_id=account).order_by("-id").values("pk")[:EVENT_ROWS]
        return events.filter(pk__in=list(newest.values_list("pk", flat=True)))

    @admin.display(description="At Stripe")
    def at_stripe(self, event: StripeEvent) -> str:
        return dashboard_link("events", event.stripe_id)


class LedgerFilter(forms.Form):
    """Which ledger rows an account's page shows."""

    day = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    key = forms.ModelChoiceField(ApiKey.objects.none(), required=False, empty_label="any key")
    channel = forms.ChoiceField(choices=[("", "any channel"), ("api", "API"), ("app", "web app")], required=False)
    request_id = forms.CharField(required=False, label="Request id")

    def __init__(self, data: Any, account: Account) -> None:
        super().__init__(data)
        self.account = account
        self.fields["key"].queryset = ApiKey.objects.filter(user_id=account.user_id)  # type: ignore[attr-defined]
        for field in self.fields.values():
            # They stand inside the admin's own form, and belong to another one.
            field.widget.attrs["form"] = "ledger-filter"

    def rows(self) -> QuerySet[LedgerEntry]:
        """The newest LEDGER_ROWS rows that match."""
        wanted = self.cleaned_data if self.is_valid() else {}
        fields = {
            "created_at__date": wanted.get("day"),
            "hold__key": wanted.get("key"),
            "hold__channel": wanted.get("channel"),
            "hold__request_id": (wanted.get("request_id") or "").strip(),
        }
        rows = LedgerEntry.objects.filter(account=self.account, **{name: value for name, value in fields.items() if value})
        return rows.select_related("hold__key", "window").order_by("-id")[:LEDGER_ROWS]


class AdjustForm(forms.Form):
    """Give or take prepaid credits. The reason stands in the ledger for ever."""

    credits = forms.IntegerField(
        min_value=-1_000_000, max_value=1_000_000, help_text="Prepaid credits to give; below zero, to take."
    )
    reason = forms.CharField(
        max_length=180, widget=forms.TextInput(attrs={"size": 60}), help_text="Written into the ledger."
    )

    def clean_credits(self) -> int:
        credits: int = self.cleaned_data["credits"]
        if credits == 0:
            raise forms.ValidationError("Give or take at least one credit.")
        return credits


@admin.register(Account)
class AccountAdmin(SupportAdmin):
    change_form_template = "admin/billing/account_page.html"
    list_display = ["user", "plan", "prepaid_balance", "created_at"]
    list_filter = ["plan"]
    list_select_related = ["user", "plan"]
    search_fields = [
        "user__email", "user__public_id", "user__api_keys__lookup", "holds__request_id", "stripe_customer__stripe_id",
        "subscriptions__stripe_id", "purchases__payment_intent_id", "purchases__charge_id", "purchases__checkout_id",
    ]  # fmt: skip
    fields = ["user", "public_id", "plan", "prepaid_balance", "cycle", "calendar_from", "at_stripe", "created_at"]
    readonly_fields = ["user", "public_id", "plan", "prepaid_balance", "cycle", "calendar_from", "at_stripe", "created_at"]
    inlines = [SubscriptionInline, PurchaseInline, WindowInline, MonthInline, EventInline]

    @admin.display(description="Public id")
    def public_id(self, account: Account) -> str:
        return account.user.public_id

    @admin.display(description="At Stripe")
    def at_stripe(self, account: Account) -> str:
        customer = StripeCustomer.objects.filter(account=account).first()
        return dashboard_link("customers", customer.stripe_id if customer else "")

    def get_urls(self) -> list[Any]:
        adjust = path("<int:pk>/adjust/", self.admin_site.admin_view(self.adjust_view), name="billing_account_adjust")
        return [adjust, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        account = Account.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        # Nothing on this page is edited in place.
        context = {"show_save": False, "show_save_and_continue": False, **(extra_context or {})}
        if account is not None:
            ledger_filter = LedgerFilter(request.GET or None, account)
            context |= {"ledger_filter": ledger_filter, "ledger_rows": ledger_filter.rows(), "ledger_limit": LEDGER_ROWS}
        return super().change_view(request, object_id, form_url, context)

    def adjust_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Give or take credits, with a reason. Support may; readers may not."""
        account = get_object_or_404(Account.objects.select_related("user"), pk=pk)
        if not self.has_change_permission(request, account):
            raise ApiError(403, "forbidden", "You do not have permission to do this.")
        form = AdjustForm(request.POST or None)
        if request.method == "POST" and form.is_valid() and self._adjusted(request, account, form):
            return redirect(reverse("admin:billing_account_change", args=[pk]))
        context = {**self.admin_site.each_context(request), "title": f"Adjust credits of {account}", "form": form}
        return TemplateResponse(request, "admin/billing/adjust.html", context | {"account": account, "opts": self.opts})

    def _adjusted(self, request: HttpRequest, account: Account, form: AdjustForm) -> bool:
        credits, reason = form.cleaned_data["credits"], form.cleaned_data["reason"]
        assert isinstance(request.user, User)  # noqa: S101  (the admin has seen to it)
        try:
            ledger.adjust(account, credits, staff=request.user, reason=reason)
        except ApiError as error:
            form.add_error(None, error.message)
            return False
        self.log_change(request, account, f"Prepaid credits {credits:+d}: {reason}")
        messages.success(request, f"Prepaid credits {credits:+d}.")
        return True


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "account", "kind", "bucket", "available", "held", "key", "request_id", "note"]
    list_filter = ["kind", "bucket", "hold__channel"]
    list_select_related = ["account__user", "hold__key"]
    date_hierarchy = "created_at"
    search_fields = ["account__user__email", "hold__request_id", "hold__key__lookup", "reference", "note"]

    @admin.display(description="Key")
    def key(self, entry: LedgerEntry) -> str:
        return entry.hold.key.prefix if entry.hold and entry.hold.key else ""

    @admin.display(description="Request id")
    def request_id(self, entry: LedgerEntry) -> str:
        return entry.hold.request_id if entry.hold else ""


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "account", "state", "bucket", "channel", "key", "request_id", "settled_at"]
    list_filter = ["state", "bucket", "channel"]
    list_select_related = ["account__user", "key"]
    date_hierarchy = "created_at"
    search_fields = ["account__user__email", "request_id", "key__lookup"]


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy only
    list_display = ["label", "included_credits", "price_cents", "requests_per_minute", "concurrent_requests", "position"]

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        """A plan that accounts are on, or were, stays."""
        return obj is not None and obj.label != ledger.FREE_PLAN and not obj.accounts.exists()


@admin.register(CreditPack)
class CreditPackAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy only
    list_display = ["label", "credits", "price_cents", "is_listed"]


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin):
    list_display = ["received_at", "type", "account", "status", "attempts", "error", "is_live_mode", "stripe_id"]
    list_filter = ["status", "type"]
    list_select_related = ["account__user"]
    date_hierarchy = "received_at"
    search_fields = ["stripe_id", "object_id", "customer_id", "account__user__email"]
    actions = ["replay"]

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Those who may change accounts: replaying moves credits to where they should be."""
        return request.user.has_perm("billing.change_account")

    @admin.action(description="Process again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> None:
        self.act(
            request, queryset.order_by("pk"), "Processed again", lambda event: stripe_events.process(event.pk, again=True)
        )


@admin.register(StripePrice)
class StripePriceAdmin(ReadOnlyAdmin):
    list_display = ["lookup_key", "plan", "pack", "amount_cents", "credits", "is_active", "stripe_id"]
    list_select_related = ["plan", "pack"]
    search_fields = ["stripe_id", "product_id", "lookup_key"]
