"""The admin for staff: its log-in is the product's own, with throttling and the second factor."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.models import User


class StaffSite(AdminSite):
    """Open to active staff; where STAFF_REQUIRE_MFA is set, only to those with an authenticator."""

    site_title = site_header = settings.SITE_NAME
    index_title = "Support"

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and not lacks_second_factor(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Redirect visitors to the product's log-in, and staff without a second factor to its setup."""
        if super().has_permission(request) and lacks_second_factor(request):
            messages.warning(request, "Staff need two-factor authentication. Set it up to open the admin.")
            return redirect("mfa_activate_totp")
        response: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return response


def lacks_second_factor(request: HttpRequest) -> bool:
    """Whether the logged-in user still has to set up the second factor that staff need."""
    return settings.STAFF_REQUIRE_MFA and isinstance(request.user, User) and not is_mfa_enabled(request.user)
