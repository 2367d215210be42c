"""Deleting an account: it stops working at once, and personal data is removed; billing's rows stay."""

from collections.abc import Callable

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Q

from accounts.models import ApiKey, User, lock_keys
from accounts.tasks import remove_sessions

Veto = Callable[[User], str | None]
Eraser = Callable[[User], None]

_vetoes: list[Veto] = []
_erasers: list[Eraser] = []

# Marks a deleted account. No mail address can have this domain.
IS_DELETED = Q(email__startswith="deleted-", email__endswith="@invalid")


class DeletionRefused(Exception):
    """An app objects to the deletion: `objection` is its text for the customer."""

    def __init__(self, objection: str) -> None:
        super().__init__(objection)
        self.objection = objection


def register_veto(veto: Veto) -> None:
    """Let an app object to deletions: it returns the text for the customer, or None if it does not object."""
    _vetoes.append(veto)


def register_eraser(eraser: Eraser) -> None:
    """Let an app erase what it keeps about a customer. Called in the deletion's transaction: leave long work to a task."""
    _erasers.append(eraser)


def find_objection(user: User) -> str | None:
    """The first reason why the account cannot be deleted now, as text for the customer."""
    return next((text for veto in _vetoes if (text := veto(user)) is not None), None)


@transaction.atomic
def delete_account(user: User) -> None:
    """End every key, session and token, and erase the personal data. The row stays, because the ledger refers to it.

    Raises DeletionRefused while an app objects.
    """
    # Anything being created for the account right now is either visible and erased, or refused: see accounts.standing.
    lock_keys(user.pk)
    if objection := find_objection(user):
        raise DeletionRefused(objection)
    user.revoke_keys()
    ApiKey.objects.filter(user=user).update(name="deleted")
    EmailAddress.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    SocialAccount.objects.filter(user=user).delete()
    _anonymise(user)
    for erase in _erasers:
        erase(user)

    def queue() -> None:
        remove_sessions.delay(user.pk)

    transaction.on_commit(queue, robust=True)


def _anonymise(user: User) -> None:
    # Addresses are stored in lower case; the exact public id stays in its own column.
    user.email = f"deleted-{user.public_id.lower()}@invalid"
    user.name = ""
    user.email_verified_at = None
    user.is_active = user.is_staff = user.is_superuser = False
    # Without the old password's hash no session and no user token is valid.
    user.set_unusable_password()
    user.save()
    # The admin's log keeps what staff did, but not the person's name.
    content_type = ContentType.objects.get_for_model(User)
    LogEntry.objects.filter(content_type=content_type, object_id=str(user.pk)).update(object_repr=user.email)
