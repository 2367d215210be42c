"""Support's view of accounts and keys. It shows no secret and deletes nothing; every act is in the admin's log."""

from collections.abc import Callable
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts.keys import PREFIX
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

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        """A key's prefix may be searched for as it is shown, `rmbg_…` and all."""
        term = search_term.strip().rstrip("…")
        # Somebody may paste a whole key: only its public part is searched for.
        if term.startswith(PREFIX):
            term = term.removeprefix(PREFIX).partition("_")[0]
        return super().get_search_results(request, queryset, term)

    def act(self, request: HttpRequest, queryset: QuerySet[Any], done: str, act: Callable[[Any], object]) -> None:
        """Do something to each row and write it into the admin's log."""
        for row in queryset:
            act(row)
            self.log_change(request, row, done)
        messages.success(request, f"{done}: {len(queryset)}.")


@admin.register(User)
class UserAdmin(SupportAdmin):
    list_display = ["email", "name", "public_id", "email_verified_at", "is_active", "is_staff", "date_joined"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["email", "name", "public_id", "api_keys__lookup"]
    ordering = ["-date_joined"]
    actions = ["resend_verification", "mark_verified", "deactivate", "reactivate", "revoke_all_keys"]
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

    @admin.action(description="Resend the verification mail", permissions=["change"])
    def resend_verification(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        def resend(user: User) -> None:
            address, _ = EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"primary": True})
            address.send_confirmation(request)

        self.act(request, queryset.filter(email_verified_at=None), "Verification mail sent", resend)

    @admin.action(description="Mark the address as verified", permissions=["change"])
    def mark_verified(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self.act(request, self.below(request, queryset), "Address marked as verified", User.verify_email)

    @admin.action(description="Deactivate", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        users = self.below(request, queryset).exclude(public_id=getattr(request.user, "public_id", None))
        self.act(request, users, "Deactivated", lambda user: user.set_active(False))

    @admin.action(description="Reactivate", permissions=["change"])
    def reactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        # A deleted account stays closed: there is nobody left to open it for.
        users = self.below(request, queryset).exclude(email__endswith="@invalid")
        self.act(request, users, "Reactivated", lambda user: user.set_active(True))

    @admin.action(description="Revoke all keys", permissions=["change"])
    def revoke_all_keys(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self.act(request, self.below(request, queryset), "All keys revoked", User.revoke_keys)

    def below(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        """Whom the staff member may act upon: superusers upon everybody, others not upon superusers."""
        return queryset if request.user.is_superuser else queryset.filter(is_superuser=False)


@admin.register(ApiKey)
class ApiKeyAdmin(SupportAdmin):
    list_display = ["prefix", "name", "user", "status", "created_at", "expires_at", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["lookup", "user__email", "user__public_id"]
    actions = ["revoke"]
    fields = [*KEY_COLUMNS]
    readonly_fields = KEY_COLUMNS

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        self.act(request, queryset, "Revoked", ApiKey.revoke)
