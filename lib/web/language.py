"""Which language a page is in: the customer's own, else the one chosen in this browser, else what the browser asks for.

Django does most of it. Ours is what it does not know: the profile, and the API, which is in English.
"""

import json
from typing import cast

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.urls import reverse
from django.utils import translation
from django.views import i18n
from django.views.decorators.http import require_POST, require_safe

from lib.web import catalogue
from lib.web.errors import is_api

ENGLISH = "en"
# Seconds. A new release's texts are seen after this long at the latest.
TEXTS_MAX_AGE = 600


class LanguageMiddleware(LocaleMiddleware):
    """Activates the language of the request. Under the API's addresses, but for the page about it, that is English.

    It comes after authentication, because a signed-in customer's profile decides.
    """

    async_capable = False

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # Django leaves a request's language active in its thread, where mails and logs of others would be in it.
        with translation.override(translation.get_language()):
            return cast(HttpResponseBase, super().__call__(request))

    def process_request(self, request: HttpRequest) -> None:
        """Django asks the cookie and the browser; a signed-in customer's profile comes before them."""
        if _is_english(request):
            translation.activate(ENGLISH)
            return
        super().process_request(request)
        user = getattr(request, "user", None)
        # The session has no user yet where an error comes early; looking for one must not make another.
        if user is not None and user.is_authenticated and user.language in dict(settings.LANGUAGES):
            translation.activate(user.language)
            # The page for a failure reads it when nothing else may be asked any more.
            request.LANGUAGE_CODE = user.language

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Django names the language in the headers. An answer of the API is the same in every language."""
        return response if _is_english(request) else super().process_response(request, response)


def _is_english(request: HttpRequest) -> bool:
    return is_api(request) and request.path != reverse("api-docs")


@require_POST
def set_language(request: HttpRequest) -> HttpResponseBase:
    """Django's view: set the cookie and go back to the page. By POST alone; a customer's profile keeps the choice, too."""
    response = i18n.set_language(request)
    language = request.POST.get("language")
    if language not in dict(settings.LANGUAGES):
        # Django takes any language that it has texts for itself, such as "de", and other spellings of ours, such as "EN".
        response.cookies.pop(settings.LANGUAGE_COOKIE_NAME, None)
    elif request.user.is_authenticated:
        request.user.language = language
        request.user.save(update_fields=["language"])
    return response


@require_safe
def texts(request: HttpRequest, language: str) -> HttpResponseBase:
    """The texts of our scripts in a language: `gettext` and `errorHints`. Raises Http404 for an unknown one."""
    if language not in dict(settings.LANGUAGES):
        raise Http404
    with translation.override(language):
        response = i18n.JavaScriptCatalog.as_view(domain="djangojs")(request)
        response.write(f"\nglobalThis.errorHints = {json.dumps(catalogue.hints())};\n")
    # The language is in the address, so that any cache may keep it.
    response.headers["Cache-Control"] = f"public, max-age={TEXTS_MAX_AGE}"
    return response
