"""Who is calling: an API key, a user token of the web app, or an anonymous caller."""

import hmac

from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import failed_calls, user_tokens
from accounts.keys import KeyText, find_key, new_key
from accounts.models import ApiKey, User
from lib.ops import access_log
from lib.web.errors import ApiError

# Compared against when no row is found, so that a known and an unknown lookup take the same time.
_DECOY = new_key().digest()


class EmailNotVerified(Exception):
    """The owner of the credential has not verified the e-mail address."""


def check_verified(user: User) -> None:
    """Raise EmailNotVerified unless the owner's e-mail address is verified."""
    if user.email_verified_at is None:
        raise EmailNotVerified


class ApiKeyAuthentication(BaseAuthentication):
    """`x-api-key: KEY`. Read from the header only."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        """Return the owner and the key; None without a key. Raises ApiError, EmailNotVerified or TooManyFailedCalls."""
        text = request.headers.get("x-api-key")
        if text is None:
            return None
        check_one_credential(request)
        parsed = find_key(text)
        failed_calls.check(request, parsed.lookup if parsed else "")
        key = find_live_key(parsed) if parsed else None
        if key is None:
            failed_calls.note_failure(request)
            raise ApiError("invalid_api_key")
        failed_calls.note_success(key.lookup)
        access_log.note(request, user=key.user.public_id, key=key.prefix)
        check_verified(key.user)
        key.record_use()
        key.remember()
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return 'ApiKey realm="api"'


class UserTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer TOKEN`, a token minted for a session of the web app."""

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        """Return the user and the token; None without a token. Raises as ApiKeyAuthentication does."""
        token = find_bearer_token(request)
        if token is None:
            return None
        check_one_credential(request)
        user = user_tokens.find_user(token)
        if user is None:
            failed_calls.check(request)
            failed_calls.note_failure(request)
            raise ApiError("invalid_api_key")
        access_log.note(request, user=user.public_id)
        check_verified(user)
        return user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def find_bearer_token(request: HttpRequest) -> str | None:
    """The token of a Bearer Authorization header; other schemes belong to proxies, not to us."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def check_one_credential(request: HttpRequest) -> None:
    """Raise the API contract's 400 if a request has both a key and a user token."""
    if "x-api-key" in request.headers and find_bearer_token(request) is not None:
        raise ApiError("two_credentials")


def find_live_key(parsed: KeyText) -> ApiKey | None:
    """The live key of an active owner, in at most one query; None otherwise."""
    key = ApiKey.find(parsed.lookup)
    matches = hmac.compare_digest(key.digest if key else _DECOY, parsed.digest())
    if key is None or not matches or not key.is_live or not key.user.is_active:
        return None
    return key


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the key appears in the OpenAPI document."""

    target_class = ApiKeyAuthentication
    name = "ApiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "x-api-key",
            "description": "Your API key. Never sent in the address, a form field or a JSON body.",
        }


class UserTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the user token appears in the OpenAPI document."""

    target_class = UserTokenAuthentication
    name = "UserToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A short-lived token of a signed-in user of the web app. Counted as app usage.",
        }
