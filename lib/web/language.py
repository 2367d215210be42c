"""Which language a page is in: the customer's own, else the one chosen in this browser, else what the browser requests.

Django does most of it. This module adds the profile, and the API, which is in English.
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

from lib.brand import FILES
from lib.web import catalogue
from lib.web.errors import is_api

ENGLISH = "en"
# Seconds. Browsers show a new release's texts after this long at the latest.
TEXTS_MAX_AGE = 600


class LanguageMiddleware(LocaleMiddleware):
    """Activates the language of the request: English under the API's addresses, except for the page about it.

    It comes after authentication, because a signed-in customer's profile decides.
    """

    async_capable = False

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # Django leaves a request's language active in its thread, where it would affect others' mails and logs.
        with translation.override(translation.get_language()):
            return cast(HttpResponseBase, super().__call__(request))

    def process_request(self, request: HttpRequest) -> None:
        """Django checks the cookie and the browser; a signed-in customer's profile takes precedence."""
        if _is_english(request):
            translation.activate(ENGLISH)
            return
        super().process_request(request)
        user = getattr(request, "user", None)
        # After an early error the session has no user yet; looking for one must not raise another.
        if user is not None and user.is_authenticated and user.language in dict(settings.LANGUAGES):
            translation.activate(user.language)
            # The failure page reads it when nothing may be queried any more.
            request.LANGUAGE_CODE = user.language

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Django names the language in the headers. The API's responses are the same in every language."""
        return response if _is_english(request) else super().process_response(request, response)


def _is_english(request: HttpRequest) -> bool:
    """Under the API's addresses; and files, which are the same for everyone, so that no session need be read for them."""
    if request.path.startswith(FILES):
        return True
    return is_api(request) and request.path != reverse("api-docs")


@require_POST
def set_language(request: HttpRequest) -> HttpResponseBase:
    """Django's view: set the cookie and return to the page. POST only; a customer's profile keeps the choice, too."""
    response = i18n.set_language(request)
    language = request.POST.get("language")
    if language not in dict(settings.LANGUAGES):
        # Django accepts any language that it has its own texts for, such as "de", and other spellings of ours, such as "EN".
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
