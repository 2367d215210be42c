"""Support's view of accounts and keys. It shows no secret and changes almost nothing: actions belong to the support desk."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
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

# allauth's own admin pages would change addresses and log-ins behind User's back, and show the authenticators' data.
admin.site.unregister([EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken])
# Its page is registered again below, guarded like the others.
admin.site.unregister(Group)


class GuardedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy only
    """A list can be filtered only by the filters that it offers.

    Django would accept any column of the row in the query string: staff who may see a list of users could read password
    hashes, one character at a time, from how many rows match a prefix.
    """

    # Other filters that our own links use, as whole look-ups.
    linked_lookups: tuple[str, ...] = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Whether a list's query string may contain `lookup=value`. If not, Django answers 400."""
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
        """The list. An impossible value, such as the year 99999, is reported as Django reports other invalid ones."""
        try:
            return super().changelist_view(request, extra_context)
        except (OverflowError, ValueError):
            if ERROR_FLAG in request.GET:
                raise
            return redirect(f"{request.path}?{ERROR_FLAG}=1")


class SupportAdmin(GuardedAdmin):
    """Only the product itself creates and ends rows."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class PeopleAdmin(SupportAdmin):
    """Rows of users, searchable by what customers quote to support."""

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        """Find users by the start of their address, by public id, or by a key, of which only the lookup part counts."""
        if not search_term.strip():
            return queryset, False
        term = find_lookup(search_term) or search_term.strip()
        # A separate query: an OR over two tables would use no index. Addresses are stored in lower case.
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
    # Fields with consequences change through actions and by the customers themselves.
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
