"""Read-only views of batches in the admin, and the admin of their callbacks."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from billing.admin import AccountRowsAdmin
from imaging.batches import support
from imaging.callbacks.admin import CallbackAdmin, host_of
from imaging.models import Batch, BatchItem

__all__ = ["BatchAdmin", "CallbackAdmin"]


class BatchItemInline(admin.TabularInline):  # type: ignore[type-arg]  # generic for mypy only
    """The batch's images, in a table."""

    model = BatchItem
    fields = ("position", "name", "state", "attempts", "code", "error", "size", "result_size", "model", "hold")
    show_change_link = False
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Batch)
class BatchAdmin(AccountRowsAdmin):
    list_display = ["created_at", "id", "of_account", "state", "channel", "key", "request_id", "finished_at", "erased_at"]
    list_filter = ["state", "channel"]
    list_select_related = ["account__user", "key"]
    date_hierarchy = "created_at"
    found_by = ("request_id",)
    # Neither the idempotency key nor the whole callback URL, which may contain a secret of the customer's.
    fields = [
        "id", "account", "key", "channel", "request_id", "shown_options", "callback_host", "state", "created_at",
        "finished_at", "expires_at", "erased_at",
    ]  # fmt: skip
    readonly_fields = ["shown_options", "callback_host"]
    inlines = [BatchItemInline]

    @admin.display(description="Callback to")
    def callback_host(self, batch: Batch) -> str:
        return host_of(batch.callback_url)

    @admin.display(description="Options")
    def shown_options(self, batch: Batch) -> str:
        """The options as sent; URLs are reduced to scheme and host."""
        shown = {name: host_of(value) if "://" in str(value) else value for name, value in batch.options.items()}
        return ", ".join(f"{name}={value}" for name, value in shown.items())

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        batch_id = support.find_id(search_term.strip())
        own = queryset.filter(pk=batch_id) if batch_id else queryset.none()
        return (own, False) if own.exists() else super().get_search_results(request, queryset, search_term)
