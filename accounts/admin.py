"""Support's view of accounts and keys. It shows no secret and changes next to nothing: acts are the support desk's."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.keys import find_lookup
from accounts.models import ApiKey, User

KEY_COLUMNS = [
    "prefix", "name", "user", "status", "created_at", "expires_at", "revoked_at", "last_used_at", "monthly_credit_cap",
    "replaces",
]  # fmt: skip

# allauth's own admin pages would change addresses behind the back of User, and show what authenticators hold.
admin.site.unregister([EmailAddress, Authenticator])
# Its page comes again below, guarded as the others are.
admin.site.unregister(Group)


class GuardedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy only
    """A list is filtered by what it offers as a filter, and by nothing else.

    Django would take any column of the row from the address: who may see a list of users could read their password hashes,
    a character at a time, from how many rows begin with it.
    """

    # What links of ours filter by besides, as whole look-ups.
    linked_lookups: tuple[str, ...] = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Whether the address of a list may say `lookup=value`. Django answers 400 where it may not."""
        return lookup in self._offered(request)

    def _offered(self, request: HttpRequest | None) -> set[str]:
        offered = set(self.linked_lookups)
        filters = self.list_filter if request is None else self.get_list_filter(request)
        for name in (item for item in filters if isinstance(item, str)):
            offered |= {name, f"{name}__exact", f"{name}__isnull", f"{name}__id__exact"}
        if self.date_hierarchy:
            offered |= {f"{self.date_hierarchy}__{part}" for part in ("year", "month", "day", "gte", "lt")}
        return offered

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list. A value that no row can have, such as the year 99999, is reported as Django reports other wrong ones."""
        try:
            return super().changelist_view(request, extra_context)
        except (OverflowError, ValueError):
            if ERROR_FLAG in request.GET:
                raise
            return redirect(f"{request.path}?{ERROR_FLAG}=1")


class SupportAdmin(GuardedAdmin):
    """Rows are made and ended by the product alone."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class PeopleAdmin(SupportAdmin):
    """Rows of users, found by what customers tell of themselves."""

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        """Whoever it is: by the beginning of their address, their public id, or a key, of which only the lookup counts."""
        if not search_term.strip():
            return queryset, False
        term = find_lookup(search_term) or search_term.strip()
        # A look-up of its own: an OR over two tables would use no index. Addresses are stored in lower case.
        owners = list(ApiKey.objects.filter(lookup=term).values_list("user_id", flat=True))
        found = Q(email__startswith=term.lower()) | Q(public_id=term) | Q(pk__in=owners)
        return self.of_users(queryset, User.objects.filter(found)), False

    def of_users(self, queryset: QuerySet[Any], users: QuerySet[User]) -> QuerySet[Any]:
        """The rows of these users."""
        return queryset.filter(pk__in=users)


@admin.register(Group)
class StaffGroupAdmin(GuardedAdmin, GroupAdmin):
    """Django's own page."""


@admin.register(User)
class UserAdmin(PeopleAdmin):
    linked_lookups = ("date_joined__gte",)
    list_display = ["email", "name", "public_id", "email_verified_at", "is_active", "is_staff", "date_joined"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["email"]
    ordering = ["-date_joined"]
    fields = [
        "email", "public_id", "name", "language", "email_verified_at", "is_active", "date_joined", "last_login",
        "is_staff", "is_superuser", "groups",
    ]  # fmt: skip
    # What has consequences changes by actions and by the customers themselves.
    readonly_fields = ["email", "public_id", "email_verified_at", "is_active", "date_joined", "last_login"]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Only superusers make staff."""
        rights = [] if request.user.is_superuser else ["is_staff", "is_superuser", "groups"]
        return [*self.readonly_fields, *rights]


@admin.register(ApiKey)
class ApiKeyAdmin(PeopleAdmin):
    list_display = ["prefix", "name", "user", "status", "created_at", "expires_at", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["lookup"]
    fields = [*KEY_COLUMNS]
    readonly_fields = KEY_COLUMNS

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        lookup = find_lookup(search_term) or search_term.strip()
        own = queryset.filter(lookup=lookup)
        return (own, False) if own.exists() else super().get_search_results(request, queryset, search_term)

    def of_users(self, queryset: QuerySet[Any], users: QuerySet[User]) -> QuerySet[Any]:
        return queryset.filter(user__in=users)
