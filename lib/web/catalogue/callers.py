"""Errors of the caller: its identity and permissions, and what its credits, limits and retries allow."""

from django.utils.translation import gettext_lazy as _

from lib.web.catalogue.row import Hint, Page, Row

_WAIT = _("Wait for the seconds in Retry-After and try again.")

ROWS = {
    "two_credentials": Row(
        status=400,
        message="This is a mistake: Cannot use both API key and user token",
        advice=_("Send the API key or the user token, not both."),
        label=_("Key and token together"),
    ),
    "invalid_api_key": Row(
        status=401,
        is_default=True,
        message="invalid api key",
        advice=_("Check the key, or make a new one. Do not retry: the answer will be the same."),
        label=_("Key or token not valid"),
        hint=Hint(_("Your log-in is no longer valid. Log in again."), "login"),
        headers={"WWW-Authenticate": 'ApiKey realm="api"'},
    ),
    "not_logged_in": Row(
        status=401,
        message="Please log in.",
        hint=Hint(_("You have been logged out. Log in again."), "login"),
        headers={"WWW-Authenticate": 'Session realm="web"'},
    ),
    "email_not_verified": Row(
        status=403,
        message="Email address not verified – please check your inbox",
        advice=_("Open the link in the mail that we sent when you signed up."),
        label=_("E-mail address not verified"),
        hint=Hint(_("Your e-mail address is not verified yet. Open the link in our mail, or have it sent again."), "email"),
    ),
    "invalid_idempotency_key": Row(
        status=400,
        message="'Idempotency-Key' must be 1 to 255 visible ASCII characters.",
        advice=_("Use a UUID or another short text without spaces."),
        label=_("Idempotency key not valid"),
    ),
    "idempotency_key_reused": Row(
        status=409,
        message="This Idempotency-Key was already used for a different image or different options.",
        advice=_("Use a new key for each picture and set of options."),
        label=_("Idempotency key used for another request"),
    ),
    "idempotency_key_used_up": Row(
        status=409,
        message="The request with this Idempotency-Key was delivered and then retried {retries} times. "
        "Send it with a new key; that costs a credit.",
        advice=_("Keep the picture that was delivered, or send the request with a new key."),
        label=_("Idempotency key retried too often"),
    ),
    "idempotency_in_progress": Row(
        status=409,
        message="A request with this Idempotency-Key is still being processed. Please retry shortly.",
        advice=_("Wait for the seconds in Retry-After and send the same request again."),
        label=_("The first try was still running"),
        hint=Hint(_("The first try of this picture is still running. Wait a moment, then try again.")),
        headers={"Retry-After": "2"},
    ),
    "too_many_attempts": Row(
        status=429,
        message="Too many attempts. Wait a few minutes, then try again.",
        page=Page(
            _("Too many attempts"),
            _("To protect accounts, only a few tries in a row are allowed. Wait a few minutes and try again."),
        ),
    ),
    "rate_limited": Row(
        status=429,
        message="You're making requests too quickly, Please Upgrade or slow down.",
        advice=_("Wait for the seconds in Retry-After and try again. This is the only 429 to retry automatically."),
        label=_("Too many requests at a time"),
        hint=Hint(_("Too many requests at once. Wait a moment, then try again.")),
    ),
    "daily_limit_reached": Row(
        status=429,
        message="You've reached your daily limit. Please sign up for more access.",
        advice=_("Sign up and send a key, or come back tomorrow (UTC)."),
        label=_("Daily allowance used up"),
        hint=Hint(
            _("You have used today's free pictures without an account. Sign up for more, or come back tomorrow."), "signup"
        ),
    ),
    "monthly_limit_reached": Row(
        status=429,
        message="You've reached your monthly limit. Consider purchasing more credits.",
        advice=_("Buy credits or choose a larger plan. Retrying does not help before the next window."),
        label=_("No credits left"),
        hint=Hint(_("You have no credits left. Buy credits or choose a larger plan, then try again."), "pricing"),
    ),
    "key_limit_reached": Row(
        status=429,
        message="This API key has reached its monthly credit cap. Raise the cap or use another key.",
        advice=_("Raise the cap of this key under API keys, or use another key."),
        label=_("The key's monthly cap is reached"),
    ),
    "hold_expired": Row(
        status=503,
        message="This request took so long that its credit was released, and no other credit is left. You were not charged.",
        advice=_WAIT,
        label=_("No credits left"),
        headers={"Retry-After": "5"},
    ),
    "conflicting_parameters": Row(
        status=400,
        message="Cannot use 'periodStartUnix' together with 'year' or 'month'. Choose one or the other.",
        advice=_("Ask for a billing window or for a calendar month, not for both."),
    ),
    "unknown_billing_cycle": Row(
        status=400,
        message="No billing cycle starts at 'periodStartUnix' {start}. Use 'listBillingCycles=1' to see those there are.",
        advice=_("Ask with listBillingCycles=1 first and use one of its periodStartUnix values."),
    ),
}
