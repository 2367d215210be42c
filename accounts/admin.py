"""Support's view of accounts and keys. It shows no secret and changes next to nothing: acts are the support desk's."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from accounts.keys import find_lookup
from accounts.models import ApiKey, User

KEY_COLUMNS = [
    "prefix", "name", "user", "status", "created_at", "expires_at", "revoked_at", "last_used_at", "monthly_credit_cap",
    "replaces",
]  # fmt: skip

# allauth's own admin pages would change addresses behind the back of User, and show what authenticators hold.
admin.site.unregister([EmailAddress, Authenticator])


class SupportAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy only
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


@admin.register(User)
class UserAdmin(PeopleAdmin):
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
