"""The caller of a request, as billing and imaging see one."""

from dataclasses import dataclass
from typing import Literal

from django.http import HttpRequest
from rest_framework.request import Request

from accounts.authentication import find_bearer_token
from accounts.models import ApiKey, User
from lib.web.client_address import client_address

Channel = Literal["api", "app", "anonymous"]


class NotLoggedIn(Exception):
    """The request has no signed-in user."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and how the call is counted. `user` is None for anonymous callers, `key` for calls without an API key."""

    channel: Channel
    address: str
    user: User | None = None
    key: ApiKey | None = None


def claimed_channel(request: HttpRequest) -> Channel:
    """How a request would be counted if its credential were valid."""
    if "x-api-key" in request.headers:
        return "api"
    return "anonymous" if find_bearer_token(request) is None else "app"


def get_signed_in(request: HttpRequest) -> User:
    """The signed-in user of a page or API request. Raises NotLoggedIn if there is none."""
    if not isinstance(request.user, User):
        raise NotLoggedIn
    return request.user


def identify(request: Request) -> Caller:
    """The caller of an authenticated DRF request. Raises what the authentication classes raise."""
    address = client_address(request)
    if not isinstance(request.user, User):
        return Caller("anonymous", address)
    if isinstance(request.auth, ApiKey):
        return Caller("api", address, request.user, request.auth)
    return Caller("app", address, request.user)
