"""The two staff groups of every deployment. Only superusers manage plans, packs, permissions and staff."""

from typing import Any

from django.apps import apps as registry
from django.apps.registry import Apps
from django.db.models import Model, Q

# May see everything about a customer, and act.
SUPPORT = "Support"
# May see it only.
READERS = "Readers"
# The one permission to act on an account, whatever the action.
MAY_ACT = "billing.change_account"

_SEEN_APPS = ("accounts", "billing")
# Not the secrets that sign callbacks.
_SEEN_OF_IMAGING = ("view_batch", "view_batchitem", "view_callback", "view_callbacktry")


def seed_groups(using: str, apps: Apps = registry, **kwargs: Any) -> None:
    """Create both groups after a migration, and let them see new models. No permission is removed.

    `flush` also sends the signal, without the state of any migration.
    """
    try:
        group, permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    except LookupError:
        # A backward migration, to before the groups existed.
        return
    seen = Q(content_type__app_label__in=_SEEN_APPS, codename__startswith="view_")
    seen |= Q(content_type__app_label="imaging", codename__in=_SEEN_OF_IMAGING)
    seen |= Q(content_type__app_label="admin", codename="view_logentry")
    act = Q(content_type__app_label="billing", codename="change_account")
    _give(group, READERS, permission, seen, using)
    _give(group, SUPPORT, permission, seen | act, using)


def _give(group: type[Model], name: str, permission: type[Model], wanted: Q, using: str) -> None:
    made, _ = group._default_manager.using(using).get_or_create(name=name)
    made.permissions.add(*permission._default_manager.using(using).filter(wanted))  # type: ignore[attr-defined]
