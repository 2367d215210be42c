"""The two groups of staff that every deployment has. Plans, packs, rights and staff are left to superusers."""

from typing import Any

from django.apps import apps as registry
from django.apps.registry import Apps
from django.db.models import Model, Q

# May look at everything of a customer's, and act.
SUPPORT = "Support"
# May look.
READERS = "Readers"
# The one right to act upon an account, whatever the act.
MAY_ACT = "billing.change_account"

_SEEN_APPS = ("accounts", "billing", "imaging")


def seed_groups(using: str, apps: Apps = registry, **kwargs: Any) -> None:
    """Make both groups after a migration, and give them the right to see models that are new. Nothing is taken away.

    `flush` sends the signal as well, without the state of any migration.
    """
    try:
        group, permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    except LookupError:
        # A migration backwards, to before there were groups.
        return
    seen = Q(content_type__app_label__in=_SEEN_APPS, codename__startswith="view_")
    seen |= Q(content_type__app_label="admin", codename="view_logentry")
    act = Q(content_type__app_label="billing", codename="change_account")
    _give(group, READERS, permission, seen, using)
    _give(group, SUPPORT, permission, seen | act, using)


def _give(group: type[Model], name: str, permission: type[Model], wanted: Q, using: str) -> None:
    made, _ = group._default_manager.using(using).get_or_create(name=name)
    made.permissions.add(*permission._default_manager.using(using).filter(wanted))  # type: ignore[attr-defined]
