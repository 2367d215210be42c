"""The caller of a request, as billing and imaging see one."""

from dataclasses import dataclass
from typing import Literal

from django.http import HttpRequest
from rest_framework.request import Request

from accounts.authentication import find_bearer_token
from accounts.models import ApiKey, User
from lib.web.client_address import client_address
from lib.web.errors import ApiError

Channel = Literal["api", "app", "anonymous"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what the call counts as. `user` is None for an anonymous caller, `key` for everyone but the API's."""

    channel: Channel
    address: str
    user: User | None = None
    key: ApiKey | None = None


def claimed_channel(request: HttpRequest) -> Channel:
    """What a request would count as if its credential were good."""
    if "x-api-key" in request.headers:
        return "api"
    return "anonymous" if find_bearer_token(request) is None else "app"


def get_signed_in(request: HttpRequest) -> User:
    """The user who makes a request of a page or of the API. Raises ApiError 401 `not_logged_in` if there is none."""
    if not isinstance(request.user, User):
        raise ApiError("not_logged_in")
    return request.user


def identify(request: Request) -> Caller:
    """The caller of an authenticated DRF request. Raises what the authentication classes raise."""
    address = client_address(request)
    if not isinstance(request.user, User):
        return Caller("anonymous", address)
    if isinstance(request.auth, ApiKey):
        return Caller("api", address, request.user, request.auth)
    return Caller("app", address, request.user)
