"""Billing in the admin: the support desk's pages, and lists to browse. Only plans and packs can be edited."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html

from accounts.admin import GuardedAdmin, SupportAdmin
from billing.credits import ledger
from billing.models import (
    Account,
    CreditPack,
    CreditsDue,
    Hold,
    LedgerEntry,
    PackPurchase,
    Plan,
    RequestRecord,
    StripeEvent,
    StripePrice,
    Subscription,
)
from billing.support import search, views


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
    list_display = ["user", "plan", "prepaid_balance", "created_at"]
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
    list_display = [
        "created_at", "of_account", "endpoint", "channel", "status", "code", "duration_ms", "credits", "key", "request_id"
    ]  # fmt: skip
    list_filter = ["endpoint", "channel", "status"]
    list_select_related = ["account__user", "key"]
    date_hierarchy = "created_at"
    found_by = ("request_id",)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(AccountRowsAdmin):
    list_display = ["created_at", "of_account", "kind", "bucket", "available", "held", "key", "request_id", "note"]
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
    list_display = ["created_at", "of_account", "state", "bucket", "channel", "key", "request_id", "settled_at"]
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
    list_display = [
        "created_at", "of_account", "credits", "amount_cents", "revoked", "taken_back", "dispute_status", "checkout_id",
    ]  # fmt: skip
    list_filter = ["dispute_status"]
    list_select_related = ["account__user"]
    date_hierarchy = "created_at"
    found_by = ("checkout_id", "payment_intent_id", "charge_id")


@admin.register(CreditsDue)
class CreditsDueAdmin(AccountRowsAdmin):
    list_display = ["of_account", "credits", "taken", "entry", "purchase"]
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
