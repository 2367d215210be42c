"""`callback_url`: the URL that a customer wants called, validated as far as possible before connecting."""

import ipaddress

from django.conf import settings

from imaging.core.problems import Problem
from imaging.models import Batch
from imaging.problems import make_problem
from lib.outbound import client as outbound
from lib.outbound.addresses import is_allowed

FIELD = "callback_url"
MAX_URL = Batch._meta.get_field("callback_url").max_length or 0


def find_problem(url: str) -> Problem | None:
    """What is wrong with the URL. Host names are resolved only for the call, so that the result cannot change in between."""
    if len(url) > MAX_URL:
        return invalid(f"it is longer than {MAX_URL} characters")
    try:
        target = outbound.parse(url, settings.CALLBACK_PORTS)
        if _is_refused(target.host):
            raise outbound.ForbiddenTarget("its host has no public address")
    except outbound.InvalidUrl as error:
        return invalid(error.reason)
    except outbound.ForbiddenTarget as error:
        return forbidden(error.reason)
    return None


def invalid(reason: str) -> Problem:
    """The problem of a URL that cannot be called."""
    return make_problem(FIELD, "callback_url_invalid", reason=reason)


def forbidden(reason: str) -> Problem:
    """The problem of a URL that leads where a customer's request may not go."""
    return make_problem(FIELD, "callback_url_forbidden", reason=reason)


def _is_refused(host: str) -> bool:
    try:
        return not is_allowed(ipaddress.ip_address(host))
    except ValueError:
        return False
