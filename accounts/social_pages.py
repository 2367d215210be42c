"""Log-in with other providers: the way to a provider and back, and the profile's page of connections.

The work is allauth's. The views here are in front of it: an address of a provider that is off is a 404.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import requests
from allauth.account.decorators import reauthentication_required
from allauth.decorators import rate_limit
from allauth.socialaccount import views
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter, OAuth2CallbackView, OAuth2LoginView, OAuth2View
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.caller import get_signed_in
from accounts.provider import OpenIDAdapter


def of_provider(view: Callable[[HttpRequest, OAuth2Adapter], HttpResponse]) -> Callable[..., HttpResponse]:
    """A view of GitHub, or of the OpenID provider with the id in the address. 404 while that provider is off."""

    @never_cache
    @wraps(view)
    def found(request: HttpRequest, provider_id: str = "") -> HttpResponse:
        kind = "openid_connect" if provider_id else "github"
        apps = get_adapter(request).list_apps(request)
        if provider_id not in {app.provider_id for app in apps if app.provider == kind}:
            raise Http404
        return view(request, OpenIDAdapter(request, provider_id) if provider_id else GitHubOAuth2Adapter(request))

    return found


def _connects(request: HttpRequest) -> bool:
    return request.method == "POST" and request.POST.get("process") == AuthProcess.CONNECT


@of_provider
@require_http_methods(["GET", "POST"])
@rate_limit(action="login")  # type: ignore[untyped-decorator]
@reauthentication_required(app="allauth.socialaccount", enabled=_connects)  # type: ignore[untyped-decorator]
def start(request: HttpRequest, adapter: OAuth2Adapter) -> HttpResponse:
    """Send a browser to the provider. A GET only asks whether to.

    Through a page, not by a redirect: browsers hold the redirects of a form, also those of the provider, to the page's
    Content-Security-Policy.
    """
    if request.POST.get("process", AuthProcess.LOGIN) not in (AuthProcess.LOGIN, AuthProcess.CONNECT):
        raise BadRequest("process is neither login nor connect")
    answer = _run(OAuth2LoginView, request, adapter)
    if "Location" not in answer:
        return answer
    return render(request, "socialaccount/leave.html", {"place": answer["Location"], "provider": adapter.get_provider()})


@of_provider
@require_GET
def finish(request: HttpRequest, adapter: OAuth2Adapter) -> HttpResponse:
    """The provider sends a browser back here, with a code or an error."""
    return _run(OAuth2CallbackView, request, adapter)


def _run(view: type[OAuth2View], request: HttpRequest, adapter: OAuth2Adapter) -> HttpResponse:
    try:
        answer: HttpResponse = view.adapter_view(adapter)(request)
    except (OAuth2Error, requests.RequestException) as error:
        # allauth expects none when it reads the provider's discovery document.
        answer = render_authentication_error(request, adapter.get_provider(), exception=error)
    return answer


@method_decorator(never_cache, name="dispatch")
class CancelledView(views.LoginCancelledView):  # type: ignore[misc]
    """For visitors who changed their mind at the provider."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        _demand_providers(request)
        answer: HttpResponse = super().dispatch(request, *args, **kwargs)
        return answer


@method_decorator(never_cache, name="dispatch")
class ConnectionsView(views.ConnectionsView):  # type: ignore[misc]
    """With which providers the customer logs in."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        _demand_providers(request)
        answer: HttpResponse = super().dispatch(request, *args, **kwargs)
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """`connections` are what there is, `others` the providers that could be added."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        names = get_adapter(self.request).names()
        accounts = list(context["form"].accounts)
        connected = {account.provider for account in accounts}
        providers = get_adapter(self.request).list_providers(self.request)
        return context | {
            "connections": [{"account": account, "name": names[account.provider]} for account in accounts],
            "others": [provider for provider in providers if provider.sub_id not in connected],
            "has_password": get_signed_in(self.request).has_usable_password(),
        }


def _demand_providers(request: HttpRequest) -> None:
    if not get_adapter(request).names():
        raise Http404
