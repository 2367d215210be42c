"""The mail that warns a customer that included credits are running out: at 80 % and at 100 %, once each per window."""

from accounts import mails
from billing.models import UsageWindow

THRESHOLDS = (100, 80)


def check(window: UsageWindow) -> None:
    """Mail the customer if `window` (with its account and user) has reached a threshold not yet mailed about."""
    percent = next((threshold for threshold in THRESHOLDS if _reached(window, threshold)), 0)
    if percent <= window.warned_percent:
        return
    # If several requests reach the threshold together, one sends the mail.
    unwarned = UsageWindow.objects.filter(pk=window.pk, warned_percent__lt=percent)
    user = window.account.user
    if unwarned.update(warned_percent=percent) and user.low_balance_mails:
        context = {"window": window, "percent": percent, "account": window.account}
        mails.send("billing/email/low_balance", user.email, context, language=user.language)


def _reached(window: UsageWindow, percent: int) -> bool:
    return window.allowance > 0 and window.used * 100 >= window.included * percent
