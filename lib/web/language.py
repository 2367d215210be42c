"""Which language a page is in: the customer's own, else the one chosen in this browser, else what the browser asks for."""

import json
from collections.abc import Callable

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe
from django.views.i18n import JavaScriptCatalog

from lib.web import catalogue
from lib.web.errors import is_api

ENGLISH = "en"
# Seconds. A new release's texts are seen after this long at the latest.
TEXTS_MAX_AGE = 600


class LanguageMiddleware:
    """Activates the language of the request. Under the API's addresses, but for the page about it, that is English.

    It comes after authentication, because a signed-in customer's profile decides.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_api(request) and request.path != reverse("api-docs"):
            with translation.override(ENGLISH):
                return self.get_response(request)
        # As Django's own middleware does; the page for a failure reads it when nothing else may be asked any more.
        request.LANGUAGE_CODE = find_language(request)
        with translation.override(request.LANGUAGE_CODE):
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", translation.get_language() or ENGLISH)
        patch_vary_headers(response, ("Accept-Language",))
        return response


def find_language(request: HttpRequest) -> str:
    """The code of a language that there is."""
    user = getattr(request, "user", None)
    known = dict(settings.LANGUAGES)
    # The session has no user yet where an error comes early; looking for one must not make another.
    if user is not None and user.is_authenticated and user.language in known:
        return str(user.language)
    return translation.get_language_from_request(request)


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Remember the language that a visitor chose, in a cookie and in a customer's profile, and go back to the page."""
    language, page = request.POST.get("language", ""), request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(page, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        page = "/"
    response = HttpResponseRedirect(page)
    if language in dict(settings.LANGUAGES):
        remember(request, response, language)
    return response


@require_safe
def texts(request: HttpRequest, language: str) -> HttpResponseBase:
    """The texts of our scripts in a language: `gettext` and `errorHints`. Raises Http404 for an unknown one."""
    if language not in dict(settings.LANGUAGES):
        raise Http404
    with translation.override(language):
        response = JavaScriptCatalog.as_view(domain="djangojs")(request)
        response.write(f"\nglobalThis.errorHints = {json.dumps(catalogue.hints())};\n")
    # The language is in the address, so that any cache may keep it.
    response.headers["Cache-Control"] = f"public, max-age={TEXTS_MAX_AGE}"
    return response


def remember(request: HttpRequest, response: HttpResponse, language: str) -> None:
    """Write a known language into the cookie and the profile."""
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME, language, max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax",
    )  # fmt: skip
    if request.user.is_authenticated:
        request.user.language = language
        request.user.save(update_fields=["language"])
