"""Effects of changes made elsewhere: by allauth to addresses, by any code to accounts."""

from collections.abc import Collection
from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.db.models.signals import post_save
from django.dispatch import receiver

from accounts import key_cache
from accounts.models import USER_FACTS, User


@receiver(email_confirmed)
def record_verification(email_address: EmailAddress, **kwargs: Any) -> None:
    """The link in a mail was followed, so the address belongs to the user."""
    email_address.user.verify_email()


@receiver(post_save, sender=User)
def drop_remembered_keys(instance: User, created: bool, update_fields: Collection[str] | None, **kwargs: Any) -> None:
    """Deactivating or verifying a user takes effect on the next call with any of their keys."""
    if not created and (update_fields is None or set(update_fields) & set(USER_FACTS)):
        key_cache.drop_all_on_commit(instance.api_keys.live())
