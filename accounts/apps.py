from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import (
            errors,
            signals,  # noqa: F401  (registers itself)
        )

        errors.register()


class StaffAdminConfig(AdminConfig):
    """The admin, with our own log-in rules."""

    default_site = "accounts.staff_site.StaffSite"
