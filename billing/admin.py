"""Billing in the admin: the support desk's pages, and lists to browse. Only plans, packs and prices can be edited."""

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html

from accounts.admin import GuardedAdmin, SupportAdmin
from accounts.models import User
from billing.credits import ledger, prices
from billing.credits.prices import format_credits
from billing.models import (
    Account,
    CreditPack,
    CreditsDue,
    Hold,
    LedgerEntry,
    PackPurchase,
    Plan,
    Price,
    PriceChange,
    RequestRecord,
    StripeEvent,
    StripePrice,
    Subscription,
)
from billing.support import search, views


def amount(name: str, label: str, column: str) -> Callable[[Any, Any], str | None]:
    """A column that shows a row's amount `name` in credits, sorted by the database's `column`."""

    @admin.display(description=label, ordering=column, empty_value="–")
    def show(self: Any, row: Any) -> str | None:
        found = getattr(row, name)
        return None if found is None else format_credits(found)

    return show


class ReadOnlyAdmin(SupportAdmin):
    """Rows that no one can edit."""

    # Counting millions of rows takes seconds and helps no one.
    show_full_result_count = False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class AccountRowsAdmin(ReadOnlyAdmin):
    """Rows that belong to accounts. They use the desk's search and link to their account's page."""

    # The search box needs an entry here; `get_search_results` decides what it searches.
    search_fields = ["account_id"]
    # The columns with the row's ids.
    found_by: tuple[str, ...] = ()

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        term = search.clean(search_term)
        if not term:
            return queryset, False
        # One column at a time: an OR over several tables would use no index.
        for column in self.found_by:
            own = queryset.filter(**{column: term})
            if own.exists():
                return own, False
        return queryset.filter(account_id__in=search.find_accounts(term)), False

    @admin.display(description="Account", ordering="account")
    def of_account(self, row: Any) -> str:
        if row.account is None:
            return ""
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:billing_account_change", args=[row.account_id]), row.account
        )


@admin.register(Account)
class AccountAdmin(SupportAdmin):
    prepaid_credits = amount("prepaid", "Prepaid", "prepaid_balance")
    list_display = ["user", "plan", "prepaid_credits", "created_at"]
    list_filter = ["plan"]
    list_select_related = ["user", "plan"]
    search_fields = ["user__email"]

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        term = search.clean(search_term)
        return (queryset.filter(pk__in=search.find_accounts(term)) if term else queryset), False

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        own = [
            path("search/", view(self.search_view), name="billing_account_search"),
            path("of/<str:public_id>/", view(self.of_view), name="billing_account_of"),
            path("<int:pk>/act/<slug:name>/", view(self.action_view), name="billing_account_act"),
        ]
        return [*own, *super().get_urls()]

    def search_view(self, request: HttpRequest) -> HttpResponse:
        return views.search_page(self, request)

    def of_view(self, request: HttpRequest, public_id: str) -> HttpResponse:
        return views.account_of(self, request, public_id)

    def action_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        return views.action_page(self, request, pk, name)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return views.account_page(self, request, object_id)


@admin.register(RequestRecord)
class RequestRecordAdmin(AccountRowsAdmin):
    linked_lookups = ("code__exact",)
    charged_credits = amount("charged", "Credits", "credits")
    list_display = [
        "created_at", "of_account", "endpoint", "channel", "status", "code", "duration_ms", "charged_credits", "key",
        "request_id",
    ]  # fmt: skip
    exclude = ["credits"]
    readonly_fields = ["charged_credits"]
    list_filter = ["endpoint", "channel", "status"]
    list_select_related = ["account__user", "key"]
    date_hierarchy = "created_at"
    found_by = ("request_id",)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(AccountRowsAdmin):
    available_credits = amount("of_available", "Available", "available")
    held_credits = amount("of_held", "Held", "held")
    list_display = [
        "created_at", "of_account", "kind", "bucket", "available_credits", "held_credits", "key", "request_id", "note",
    ]  # fmt: skip
    exclude = ["available", "held"]
    readonly_fields = ["available_credits", "held_credits"]
    list_filter = ["kind", "bucket", "hold__channel"]
    list_select_related = ["account__user", "hold__key"]
    date_hierarchy = "created_at"
    found_by = ("hold__request_id", "reference")

    @admin.display(description="Key")
    def key(self, entry: LedgerEntry) -> str:
        return entry.hold.key.prefix if entry.hold and entry.hold.key else ""

    @admin.display(description="Request id")
    def request_id(self, entry: LedgerEntry) -> str:
        return entry.hold.request_id if entry.hold else ""


@admin.register(Hold)
class HoldAdmin(AccountRowsAdmin):
    linked_lookups = ("held_until__isnull",)
    price_credits = amount("price", "Price", "price")
    topped_up_credits = amount("topped_up", "Of it prepaid, where included credits were too few", "topped_up")
    list_display = [
        "created_at", "of_account", "state", "bucket", "price_credits", "channel", "key", "request_id", "settled_at",
    ]  # fmt: skip
    exclude = ["price", "topped_up"]
    readonly_fields = ["price_credits", "topped_up_credits"]
    list_filter = ["state", "bucket", "channel"]
    list_select_related = ["account__user", "key"]
    date_hierarchy = "created_at"
    found_by = ("request_id",)


@admin.register(Plan)
class PlanAdmin(GuardedAdmin):
    list_display = ["label", "included_credits", "price_cents", "requests_per_minute", "concurrent_requests", "position"]

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        """A plan with accounts, and the free plan, cannot be deleted."""
        rights = super().has_delete_permission(request, obj)
        return rights and obj is not None and obj.label != ledger.FREE_PLAN and not obj.accounts.exists()


@admin.register(CreditPack)
class CreditPackAdmin(GuardedAdmin):
    list_display = ["label", "credits", "price_cents", "is_listed"]


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for mypy only
    """A price or a factor, in credits or as a number, and why it changes."""

    amount = forms.DecimalField(
        min_value=0, max_value=1000, decimal_places=2, help_text="Credits of an operation; the factor of a model."
    )
    reason = forms.CharField(max_length=255, widget=forms.TextInput(attrs={"size": 80}))

    class Meta:
        model = Price
        fields = ("kind", "name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["amount"].initial = format_credits(self.instance.hundredths)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        name, kind = self.cleaned_data.get("name"), self.cleaned_data.get("kind")
        if kind == Price.Kind.OPERATION and name is not None and name not in prices.DEFAULTS:
            self.add_error("name", f"The operations are: {', '.join(prices.DEFAULTS)}.")
        return cleaned


class PriceChangeInline(admin.TabularInline):  # type: ignore[type-arg]  # generic for mypy only
    """The price's history."""

    model = PriceChange
    verbose_name_plural = "history"
    fields = ("created_at", "staff", "old_amount", "new_amount", "reason")
    readonly_fields = fields
    old_amount = amount("old", "From", "old")
    new_amount = amount("new", "To", "new")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Price)
class PriceAdmin(GuardedAdmin):
    """Prices change only with a reason, and their history stays."""

    form = PriceForm
    inlines = [PriceChangeInline]
    amount_credits = amount("hundredths", "Credits, or factor", "hundredths")
    list_display = ["name", "kind", "amount_credits"]

    def get_readonly_fields(self, request: HttpRequest, obj: Price | None = None) -> list[str]:
        return ["kind", "name"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Price | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Price, form: PriceForm, change: bool) -> None:
        hundredths = int(form.cleaned_data["amount"] * prices.CREDIT)
        staff = cast(User, request.user)
        saved = prices.change(obj.kind, obj.name, hundredths, staff=staff, reason=form.cleaned_data["reason"])
        obj.pk, obj.hundredths, obj._state.adding = saved.pk, hundredths, False


@admin.register(Subscription)
class SubscriptionAdmin(AccountRowsAdmin):
    linked_lookups = ("ended_at__gte",)
    list_display = ["started_at", "of_account", "status", "price", "cancel_at_period_end", "period_end", "ended_at"]
    list_filter = ["status", "cancel_at_period_end"]
    list_select_related = ["account__user", "price"]
    date_hierarchy = "started_at"
    found_by = ("stripe_id",)


@admin.register(PackPurchase)
class PackPurchaseAdmin(AccountRowsAdmin):
    reclaimed_credits = amount("reclaimed", "Taken back", "taken_back")
    list_display = [
        "created_at", "of_account", "credits", "amount_cents", "revoked", "reclaimed_credits", "dispute_status",
        "checkout_id",
    ]  # fmt: skip
    exclude = ["taken_back"]
    readonly_fields = ["reclaimed_credits"]
    list_filter = ["dispute_status"]
    list_select_related = ["account__user"]
    date_hierarchy = "created_at"
    found_by = ("checkout_id", "payment_intent_id", "charge_id")


@admin.register(CreditsDue)
class CreditsDueAdmin(AccountRowsAdmin):
    owed_credits = amount("owed", "Credits", "credits")
    paid_credits = amount("paid", "Taken", "taken")
    list_display = ["of_account", "owed_credits", "paid_credits", "entry", "purchase"]
    exclude = ["credits", "taken"]
    readonly_fields = ["owed_credits", "paid_credits"]
    list_select_related = ["account__user", "entry", "purchase"]
    found_by = ("entry__reference", "purchase__checkout_id")


@admin.register(StripeEvent)
class StripeEventAdmin(AccountRowsAdmin):
    list_display = ["received_at", "type", "of_account", "status", "attempts", "error", "is_live_mode", "stripe_id"]
    list_filter = ["status", "type"]
    list_select_related = ["account__user"]
    date_hierarchy = "received_at"
    found_by = ("stripe_id", "object_id", "customer_id")


@admin.register(StripePrice)
class StripePriceAdmin(ReadOnlyAdmin):
    list_display = ["lookup_key", "plan", "pack", "amount_cents", "credits", "is_active", "stripe_id"]
    list_select_related = ["plan", "pack"]
    search_fields = ["stripe_id", "product_id", "lookup_key"]


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """Who did what, to whom and why."""

    list_display = ["action_time", "user", "content_type", "object_repr", "change_message"]
    list_filter = ["content_type"]
    list_select_related = ["user", "content_type"]
    search_fields = ["user__email", "object_repr", "change_message"]
    date_hierarchy = "action_time"
