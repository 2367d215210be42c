"""The errors that views answer when billing refuses something."""

from billing.credits.anonymous import DailyLimitReached
from billing.credits.idempotency import (
    IdempotencyInProgress,
    IdempotencyKeyReused,
    IdempotencyKeyUsedUp,
    InvalidIdempotencyKey,
)
from billing.credits.prices import format_credits
from billing.credits.refusals import (
    BalanceTooLow,
    HoldExpired,
    KeyLimitReached,
    MonthlyLimitReached,
    NotEnoughCredits,
    ReasonRequired,
)
from billing.dashboard.usage_report import NoSuchCycle
from billing.membership.usage import InvalidQuery, UnknownBillingCycle
from billing.payments.client import (
    CardDeclined,
    PaymentObjectUnknown,
    PaymentProviderUnavailable,
    PaymentRequestInvalid,
    PaymentSwitchedOff,
)
from billing.payments.customers import PaymentAccountBusy, WrongCustomer
from billing.payments.events import InvalidEvent
from billing.support.actions import DoneBefore, HoldSettled, OwnAccount
from lib.web.errors import ApiError, from_status, register_translation, validation_error


def register() -> None:
    """Called once, when the app is ready."""
    _register_credits()
    _register_usage()
    _register_payments()
    _register_support()


def _register_credits() -> None:
    register_translation(DailyLimitReached, lambda error: ApiError("daily_limit_reached", retry_after=error.seconds_left))
    register_translation(
        MonthlyLimitReached, lambda error: ApiError("monthly_limit_reached", retry_after=error.seconds_left)
    )
    register_translation(KeyLimitReached, lambda error: ApiError("key_limit_reached", retry_after=error.seconds_left))
    register_translation(NotEnoughCredits, _not_enough_credits)
    register_translation(HoldExpired, lambda _: ApiError("hold_expired"))
    register_translation(InvalidIdempotencyKey, lambda _: ApiError("invalid_idempotency_key"))
    register_translation(IdempotencyKeyReused, lambda _: ApiError("idempotency_key_reused"))
    register_translation(IdempotencyInProgress, lambda _: ApiError("idempotency_in_progress"))
    register_translation(IdempotencyKeyUsedUp, lambda error: ApiError("idempotency_key_used_up", retries=error.retries))


def _not_enough_credits(error: NotEnoughCredits) -> ApiError:
    wanted, left = format_credits(error.wanted), format_credits(error.left)
    return ApiError("not_enough_credits", wanted=wanted, left=left, retry_after=error.seconds_left)


def _register_usage() -> None:
    register_translation(InvalidQuery, lambda error: validation_error(error.problems))
    register_translation(UnknownBillingCycle, lambda error: ApiError("unknown_billing_cycle", start=error.start))
    register_translation(NoSuchCycle, lambda _: ApiError("no_such_cycle"))


def _register_payments() -> None:
    register_translation(PaymentSwitchedOff, lambda _: ApiError("payment_switched_off"))
    register_translation(PaymentProviderUnavailable, lambda _: ApiError("payment_provider_unavailable"))
    register_translation(PaymentObjectUnknown, lambda _: ApiError("payment_object_unknown"))
    register_translation(PaymentRequestInvalid, lambda _: ApiError("payment_request_invalid"))
    register_translation(CardDeclined, lambda error: ApiError("card_declined", message=error.reason))
    register_translation(PaymentAccountBusy, lambda _: ApiError("payment_account_busy"))
    register_translation(WrongCustomer, lambda _: from_status(404))
    register_translation(InvalidEvent, lambda error: ApiError("invalid_event", name=error.name))


def _register_support() -> None:
    register_translation(ReasonRequired, lambda _: ApiError("reason_required"))
    register_translation(BalanceTooLow, lambda _: ApiError("balance_too_low"))
    register_translation(DoneBefore, lambda _: ApiError("done_before"))
    register_translation(HoldSettled, lambda _: ApiError("hold_settled"))
    register_translation(OwnAccount, lambda _: ApiError("own_account"))
