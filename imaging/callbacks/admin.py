"""Callbacks in the admin: support staff view them and send them again."""

import re
import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from accounts.models import User
from billing.admin import ReadOnlyAdmin
from billing.support import search
from billing.support.actions import may_act
from billing.support.roles import MAY_ACT
from imaging.callbacks.announcing import send_again
from imaging.models import Callback, CallbackTry
from lib.web.errors import ApiError, find_reason

COLUMNS = ["id", "batch", "of_account", "address", "state", "tries", "next_try_at", "created_at", "ended_at"]
TRY_COLUMNS = ["number", "at", "status", "error", "duration_ms"]


class ReasonActionForm(ActionForm):
    """Adds a reason, for the audit trail, next to the list of actions."""

    reason = forms.CharField(max_length=180, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}))


class TryInline(admin.TabularInline):  # type: ignore[type-arg]  # generic for mypy only
    """The outcome of each attempt."""

    model = CallbackTry
    fields = [*TRY_COLUMNS]
    readonly_fields = TRY_COLUMNS
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Callback)
class CallbackAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "of_account", "batch", "state", "tries", "next_try_at", "ended_at"]
    list_filter = ["state"]
    list_select_related = ["batch__account__user"]
    date_hierarchy = "created_at"
    # Without an entry there would be no search box; the search itself is below.
    search_fields = ["batch_id"]
    fields = [*COLUMNS]
    readonly_fields = COLUMNS
    inlines = [TryInline]
    action_form = ReasonActionForm
    actions = ["try_again"]

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        """Search by the id of the batch, the message or the request, or by what identifies an account."""
        term = search.clean(search_term)
        if not term:
            return queryset, False
        own = queryset.filter(_named(term))
        if own.exists():
            return own, False
        return queryset.filter(batch__account_id__in=search.find_accounts(term)), False

    @admin.display(description="Account")
    def of_account(self, callback: Callback) -> str:
        account = callback.batch.account
        return format_html('<a href="{}">{}</a>', reverse("admin:billing_account_change", args=[account.pk]), account)

    @admin.display(description="Host")
    def address(self, callback: Callback) -> str:
        return host_of(callback.batch.callback_url)

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Anyone who may act on accounts."""
        return request.user.has_perm(MAY_ACT)

    @admin.action(description="Send once more", permissions=["act"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Callback]) -> None:
        """Send callbacks again, each with an entry in its customer's audit trail."""
        reason = request.POST.get("reason", "").strip()[:180]
        if not reason:
            self.message_user(request, "Say why: it is kept in the audit trail.", messages.ERROR)
            return
        for callback in queryset.select_related("batch__account__user"):
            try:
                _send_again(request.user, callback, reason)  # type: ignore[arg-type]  # someone is logged in
                self.message_user(request, f"Batch {callback.batch_id} will be reported again.", messages.SUCCESS)
            except Exception as error:
                if (reason_against := find_reason(error)) is None:
                    raise
                self.message_user(request, f"Batch {callback.batch_id}: {reason_against.message}", messages.ERROR)


def host_of(url: str) -> str:
    """Scheme and host of a URL: the rest may contain a secret of the customer's."""
    scheme, separator, rest = url.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    return f"{scheme}{separator}{host}"


@transaction.atomic
def _send_again(staff: User, callback: Callback, reason: str) -> None:
    account = callback.batch.account
    if not may_act(staff, account):
        raise ApiError("forbidden", message="Only superusers act upon staff.")
    send_again(callback)
    done = f"Callback of batch {callback.batch_id} sent once more. Reason: {reason}"
    LogEntry.objects.log_actions(staff.pk, [account.user], CHANGE, done, single_object=True)


def _named(term: str) -> Q:
    try:
        name = uuid.UUID(term)
    except ValueError:
        return Q(batch__request_id=term)
    return Q(batch_id=name) | Q(pk=name) | Q(batch__request_id=term)
