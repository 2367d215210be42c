"""Checks the sender of a large upload before accepting it: an upload that would be refused anyway uses no disk."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from accounts.authentication import ApiKeyAuthentication, UserTokenAuthentication
from accounts.caller import identify
from billing.credits import admission, anonymous
from billing.credits.admission import Customer
from imaging.core.codecs.checks import MAX_BYTES
from lib.web import rate_limits
from lib.web.errors import ApiError, from_status, get_translation
from lib.web.rate_limits import Policy
from lib.web.request_body import DRAIN_BYTES
from lib.web.server import uploads
from lib.web.server.uploads import SMALL_BODY_BYTES, Upload, Verdict


def register() -> None:
    """Register `/rmbg` with the server as accepting uploads."""
    uploads.register(
        "/rmbg",
        Upload(DRAIN_BYTES + SMALL_BODY_BYTES, partial(judge, is_open=True), kept_of_part=MAX_BYTES + SMALL_BODY_BYTES),
    )


def judge(
    environ: dict[str, Any],
    *,
    is_open: bool,
    missing: ApiError | None = None,
    check: Callable[[Policy], None] = rate_limits.check,
) -> Verdict:
    """Identify the sender, and decide whether the upload would be refused regardless of its content.

    `is_open`: callers without a credential are accepted too; `missing` is the error of the others. `check` raises for one
    who has reached the limit of requests. Nothing is counted: the request itself does that.
    """
    request = Request(WSGIRequest(environ), authenticators=[ApiKeyAuthentication(), UserTokenAuthentication()])
    try:
        customer = admission.get_customer(identify(request))
        if customer.account is None and not is_open:
            return Verdict(missing or from_status(401))
        _check_allowances(customer, check)
    except APIException as refusal:
        return Verdict(from_status(refusal.status_code))
    except Exception as refusal:
        return Verdict(get_translation(refusal))
    return Verdict(holder=None if customer.account is None else customer.policy.subject)


def _check_allowances(customer: Customer, check: Callable[[Policy], None]) -> None:
    check(customer.policy)
    if customer.account is None:
        anonymous.check(customer.caller.address)
