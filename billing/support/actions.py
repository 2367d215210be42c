"""Everything that staff can do to an account, in one table. Each action says beforehand what it will do, then what it did.

The actions call the same functions as customers, tasks and webhooks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.http import HttpRequest
from django.utils import translation

from accounts import mails
from accounts.models import User
from billing.credits import ledger
from billing.credits.prices import CREDIT, format_credits
from billing.credits.refusals import BalanceTooLow, ReasonRequired
from billing.membership.usage import current_window
from billing.models import Account
from billing.payments import client as stripe_client
from billing.payments import events as stripe_events
from billing.payments import reconciliation as stripe_reconciliation
from billing.payments import subscriptions
from billing.payments.client import PaymentError
from billing.support import forms
from billing.support.roles import MAY_ACT
from lib.web.errors import get_translation

Data = dict[str, Any]


class ActionRefused(Exception):
    """The action is not possible, or no longer."""


class DoneBefore(ActionRefused):
    """The same form has moved credits before."""


class HoldSettled(ActionRefused):
    """The hold was settled or renewed meanwhile."""


class OwnAccount(ActionRefused):
    """Staff may not lock themselves out."""


@dataclass(frozen=True, slots=True)
class Act:
    """One action about to be performed. `data` holds the form's cleaned fields."""

    account: Account
    staff: User
    request: HttpRequest
    data: Data


@dataclass(frozen=True, slots=True)
class Action:
    """A kind of action. `effect` describes what will happen; `run` does it and returns what happened.

    `run` may raise one of REFUSALS. With `asks_stripe`, it runs outside any transaction.
    """

    name: str
    label: str
    effect: Callable[[Account, Data], str]
    run: Callable[[Act], str]
    form: type[forms.ReasonForm] = forms.ReasonForm
    applies: Callable[[Account], bool] = lambda account: True
    is_grave: bool = False
    asks_stripe: bool = False

    @property
    def needs_target(self) -> bool:
        """Whether it is offered next to a row instead of for the whole account."""
        return issubclass(self.form, forms.TargetForm)


# Why an action is not done. None of them changes anything.
REFUSALS = (ActionRefused, ReasonRequired, BalanceTooLow, PaymentError)


def may_act(staff: User, account: Account) -> bool:
    """Support may act on customers. Only superusers may act on staff, including themselves."""
    protected = account.user.is_staff or account.user.is_superuser
    return staff.has_perm(MAY_ACT) and (staff.is_superuser or not protected)


def offered(staff: User, account: Account) -> list[Action]:
    """The actions on the whole account that apply now."""
    if not may_act(staff, account):
        return []
    return [action for action in ACTIONS.values() if not action.needs_target and action.applies(account)]


def perform(action: Action, act: Act) -> str:
    """Perform the action and log who did what, to whom and why. Both or neither. Raises one of REFUSALS."""
    if action.asks_stripe:
        return _perform_at_stripe(action, act)
    with transaction.atomic():
        done = action.run(act)
        _log(act, done)
    return done


def _perform_at_stripe(action: Action, act: Act) -> str:
    """No transaction may wait for Stripe: log the action first, and its outcome when it is known."""
    entry = _log(act, f"{action.label}: begun.")
    try:
        done = action.run(act)
    except PaymentError as error:
        _note(entry, act, f"{action.label}: failed. {get_translation(error).message}")
        raise
    _note(entry, act, done)
    return done


def _log(act: Act, done: str) -> LogEntry:
    # The log refers to the user: when a customer is deleted, their name is removed from it.
    return LogEntry.objects.log_actions(act.staff.pk, [act.account.user], CHANGE, _message(act, done), single_object=True)


def _note(entry: LogEntry, act: Act, done: str) -> None:
    LogEntry.objects.filter(pk=entry.pk).update(change_message=_message(act, done))


def _message(act: Act, done: str) -> str:
    return f"{done} Reason: {act.data['reason']}"


def is_deleted(account: Account) -> bool:
    """Whether the customer has deleted the account: then there is no one to unlock it for."""
    return account.user.is_deleted


# --- Credits and plans ----------------------------------------------------------------------------


def _credits_effect(account: Account, data: Data) -> str:
    before, after = (format_credits(amount, grouped=True) for amount in (account.prepaid, account.prepaid + data["credits"]))
    return f"The prepaid balance goes from {before} to {after}. {account} gets no mail about it."


def _credits(act: Act) -> str:
    amount, reason = act.data["credits"], act.data["reason"]
    moved = ledger.adjust(act.account, amount, staff=act.staff, reason=reason, token=act.data["token"])
    if not moved:
        raise DoneBefore
    return f"Prepaid credits {'+' if amount > 0 else ''}{format_credits(amount, grouped=True)}."


def _plan_effect(account: Account, data: Data) -> str:
    plan, window = data["plan"], current_window(account)
    paid = subscriptions.find_live(account)
    renewal = f" The subscription {paid} goes on, and its next renewal brings its own plan back." if paid else ""
    return (
        f"The plan changes from {account.plan} to {plan} at once. The current window ({window}) then includes "
        f"{plan.included_credits:,} credits instead of {window.allowance:,}; "
        f"{format_credits(window.used, grouped=True)} of them are used.{renewal}"
    )


def _plan(act: Act) -> str:
    before, plan = str(act.account.plan), act.data["plan"]
    ledger.change_plan(act.account, plan)
    return f"Plan changed from {before} to {plan}."


def _void_effect(account: Account, data: Data) -> str:
    held = data["target"]
    credits = "credit" if held.price == CREDIT else f"{format_credits(held.price)} credits"
    return f"The {credits} that request {held.request_id} has held is free again. The request itself came to nothing."


def _void(act: Act) -> str:
    hold = act.data["target"]
    if not ledger.void_if_stale(hold.pk):
        raise HoldSettled
    return f"Hold of request {hold.request_id} voided."


# --- The customer's address and keys --------------------------------------------------------------


def _unverified(account: Account) -> bool:
    return account.user.email_verified_at is None and not is_deleted(account)


def _resend(act: Act) -> str:
    user = act.account.user
    address, _ = EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"primary": True})
    with translation.override(user.language):
        address.send_confirmation(act.request)
    return "Verification mail sent."


def _verify(act: Act) -> str:
    act.account.user.verify_email()
    return "Address marked as verified."


def _revoke_all(act: Act) -> str:
    revoked = act.account.user.revoke_keys()
    if revoked:
        _tell_of_revoked_keys(act.account.user, "")
    return f"All keys revoked: {revoked}."


def _revoke_one_effect(account: Account, data: Data) -> str:
    key = data["target"]
    return f"The key “{key.name}” ({key.prefix}…) stops working with its next call, for good. {account} is told by mail."


def _revoke_one(act: Act) -> str:
    key = act.data["target"]
    key.revoke()
    _tell_of_revoked_keys(act.account.user, str(key))
    return f"Key {key.prefix} revoked."


def _tell_of_revoked_keys(user: User, key: str) -> None:
    mails.send("billing/email/keys_revoked", user.email, {"key": key}, language=user.language)


# --- The whole account ----------------------------------------------------------------------------


def _lock(act: Act) -> str:
    if act.account.user_id == act.staff.pk:
        raise OwnAccount
    act.account.user.set_active(False)
    return "Account locked."


def _unlock(act: Act) -> str:
    act.account.user.set_active(True)
    return "Account unlocked."


# --- Stripe ---------------------------------------------------------------------------------------


def _is_customer(account: Account) -> bool:
    return stripe_client.is_enabled() and hasattr(account, "stripe_customer")


def _replay_effect(account: Account, data: Data) -> str:
    event = data["target"]
    return (
        f"The event {event} is processed once more: what it is about is read from Stripe and the account moved to it. "
        "What is right already stays as it is."
    )


def _replay(act: Act) -> str:
    event = act.data["target"]
    is_done = stripe_events.process(event.pk, again=True)
    event.refresh_from_db()
    outcome = event.get_status_display() if is_done else "failed"
    return f"Event {event.stripe_id} processed again: {outcome}. {event.error}".strip()


def _resync_effect(account: Account, data: Data) -> str:
    found = stripe_reconciliation.differences(account)
    return "The account is moved to what Stripe says. " + (
        "Now these differ: " + "; ".join(found) + "." if found else "Nothing differs now, so nothing will change."
    )


def _resync(act: Act) -> str:
    stripe_reconciliation.sync(act.account)
    left = stripe_reconciliation.differences(act.account.__class__.objects.get(pk=act.account.pk))
    return "Moved to what Stripe says." + (f" Still different: {'; '.join(left)}." if left else "")


ACTIONS = {
    action.name: action
    for action in (
        Action("credits", "Give or take credits", _credits_effect, _credits, forms.CreditsForm),
        Action("plan", "Change plan", _plan_effect, _plan, forms.PlanForm, lambda account: not is_deleted(account)),
        Action(
            "resend-verification", "Resend the verification mail",
            lambda account, data: f"A mail with a new link goes to {account}.", _resend, applies=_unverified,
        ),
        Action(
            "mark-verified", "Mark the address as verified",
            lambda account, data: f"{account} counts as the customer's own address from now on: they can log in and their "
            "keys work. Do this only if you are sure by other means.",
            _verify, applies=_unverified,
        ),
        Action(
            "resync", "Match with Stripe", _resync_effect, _resync, applies=_is_customer, asks_stripe=True,
        ),
        Action(
            "revoke-keys", "Revoke all keys",
            lambda account, data: f"Every live key of {account} stops working with its next call, for good. The customer is "
            "told by mail and can make new ones.",
            _revoke_all, is_grave=True,
        ),
        Action(
            "lock", "Lock the account",
            lambda account, data: f"Every session, token and key of {account} is refused at once. Nothing is lost, and "
            "unlocking undoes it. A subscription goes on being paid.",
            _lock, applies=lambda account: account.user.is_active, is_grave=True,
        ),
        Action(
            "unlock", "Unlock the account", lambda account, data: f"{account} can log in again, and live keys work again.",
            _unlock, applies=lambda account: not account.user.is_active and not is_deleted(account),
        ),
        Action("revoke-key", "Revoke key", _revoke_one_effect, _revoke_one, forms.KeyForm, is_grave=True),
        Action("void-hold", "Void hold", _void_effect, _void, forms.HoldForm),
        Action(
            "replay-event", "Process again", _replay_effect, _replay, forms.EventForm,
            lambda account: stripe_client.is_enabled(), asks_stripe=True,
        ),
    )
}  # fmt: skip
