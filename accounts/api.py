"""`POST /api/user-token`: the token with which the web app calls the API."""

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.parsers import FormParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import user_tokens
from accounts.authentication import check_verified
from accounts.caller import get_signed_in
from lib.ops import access_log
from lib.web.api_view import ApiView
from lib.web.errors import ApiError, from_status
from lib.web.openapi import errors


class WebAppSession(SessionAuthentication):
    """The web app's session, with our error for a missing CSRF token."""

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except PermissionDenied as error:
            raise ApiError("csrf_failed") from error


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the session appears in the OpenAPI document."""

    target_class = WebAppSession
    name = "Session"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


class UserTokenSerializer(serializers.Serializer[object]):
    """A token of the web app."""

    token = serializers.CharField(help_text="For `Authorization: Bearer …`.")
    expires_in = serializers.IntegerField(help_text="Seconds for which the token works.")


class UserTokenView(ApiView):
    """Mints a user token for the session."""

    authentication_classes = [WebAppSession]
    permission_classes = [AllowAny]
    # The CSRF check may look for its token in the body before it reads the header.
    parser_classes = [FormParser]

    @extend_schema(
        operation_id="createUserToken",
        tags=["Accounts"],
        summary="Get a token for the web app",
        description="For pages of this site: needs the session's cookie and the `X-CSRFToken` header. The token ends early "
        "when the user logs out, is deactivated or changes the password.",
        request=None,
        auth=[{"Session": []}],  # type: ignore[list-item]  # the annotation knows names alone
        responses={
            200: OpenApiResponse(UserTokenSerializer, "A fresh token."),
            401: errors("No user is logged in.", ApiError("not_logged_in")),
            403: errors(
                "The address is not verified, or the CSRF token is missing.",
                ApiError("email_not_verified"),
                ApiError("csrf_failed"),
            ),
            405: errors("Only POST.", from_status(405)),
            429: errors("Too many calls in a short time.", ApiError("rate_limited", retry_after=30)),
            500: errors("Our fault.", from_status(500)),
            503: errors("The database is away.", ApiError("service_unavailable")),
        },
    )
    def post(self, request: Request) -> Response:
        user = get_signed_in(request)
        access_log.note(request, user=user.public_id)
        check_verified(user)
        token = user_tokens.mint(user, request.session.session_key or "")
        body = UserTokenSerializer({"token": token, "expires_in": user_tokens.LIFETIME_SECONDS})
        return Response(body.data, headers={"Cache-Control": "no-store"})
