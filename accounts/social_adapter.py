"""What a log-in with another provider may do here: whom it lets in, whose account it joins, and what is kept of it.

An account is known by its address, so the address decides, and only one that the provider says is verified:

- of no account here: it makes one;
- of an account that has verified it, too: it joins that one;
- of an account that never verified it: its maker did not prove to own the address. What they left ends, and the
  account is its owner's (see `User.hand_over`);
- of staff: it joins nothing. Staff connect a provider from their profile.

An address that the provider has not verified is refused. So each connection was made by the owner of the address, or by
someone who was logged in.
"""

import logging
from typing import Any

import requests
from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from allauth.socialaccount.providers.base import AuthError, AuthProcess, Provider
from django.conf import settings
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from lib.outbound import client
from lib.outbound.session import make_session

logger = logging.getLogger(__name__)


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """allauth's own behaviour, except where the product says otherwise."""

    error_messages = DefaultSocialAccountAdapter.error_messages | {
        "no_password": _("This is your only way to log in. Set a password first."),
    }

    def list_apps(
        self, request: HttpRequest | None, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """The providers of the settings. Rows of allauth's table switch nothing on."""
        apps = [
            SocialApp(provider=kind, **facts)
            for kind, facts_of_kind in settings.SOCIALACCOUNT_PROVIDERS.items()
            for facts in facts_of_kind["APPS"]
        ]
        return [
            app for app in apps if provider in (None, app.provider, app.provider_id) and client_id in (None, app.client_id)
        ]

    def get_requests_session(self) -> requests.Session:
        """Requests to providers have one deadline each. The operator's own provider may be in a private network."""
        trusted = [client.parse(settings.OPENID_SERVER_URL, range(1, 65536)).host] if settings.OPENID_SERVER_URL else []
        return make_session(seconds=settings.OPENID_SECONDS, trusted_hosts=trusted)

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        """Take one address, the primary one, and nothing else of what the provider knows."""
        addresses = sociallogin.email_addresses
        address = next((one for one in addresses if one.primary and one.verified), None)
        address = address or next(iter(addresses), None)
        sociallogin.email_addresses = [address] if address else []
        sociallogin.account.extra_data = {"email": address.email} if address else {}
        user: User = sociallogin.user
        user.email = address.email if address else ""
        user.language = translation.get_language() or user.language
        return user

    def authenticate_by_email(self, sociallogin: SocialLogin) -> tuple[User, str] | None:
        """The account that the log-in joins by its address, and the address.

        Only the account's own address counts: one that an account merely wants to change to could be anyone's. For a
        customer who connects a provider the address does not matter.
        """
        connects = sociallogin.state.get("process") == AuthProcess.CONNECT
        email = None if connects else find_verified(sociallogin)
        user = User.objects.filter(email=email, is_staff=False, is_superuser=False).first() if email else None
        return (user, user.email) if user else None

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Called once the provider has said who it is, before anyone is logged in. `lookup` has found the account."""
        # Its only use was to read the address. A connection that waits for a password is kept in the session.
        sociallogin.token = None
        if sociallogin.state.get("process") == AuthProcess.CONNECT:
            return
        if sociallogin.is_existing:
            if not sociallogin.user.is_active:
                raise ImmediateHttpResponse(get_account_adapter(request).respond_user_inactive(request, sociallogin.user))
            # An account that has this log-in already is joined by it; one without is joined by the address.
            if sociallogin.account.pk is None and sociallogin.user.email_verified_at is None:
                sociallogin.user.hand_over()
        elif email := find_verified(sociallogin):
            # Changes to this address, for which other accounts wait in vain, would count as its use.
            EmailAddress.objects.filter(email=email, verified=False).exclude(user__email=email).delete()
        else:
            raise ImmediateHttpResponse(self._refuse(request, sociallogin))

    def _refuse(self, request: HttpRequest, sociallogin: SocialLogin) -> Any:
        context = {"provider": sociallogin.provider, "email": sociallogin.user.email}
        return render(request, "socialaccount/address_refused.html", context, status=403)

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Form | None = None) -> User:
        """A new account: its address is verified."""
        try:
            with transaction.atomic():
                user: User = super().save_user(request, sociallogin, form)
                user.verify_email()
        except IntegrityError as error:
            # Made by another request at the same moment. The next log-in finds it.
            messages.info(request, gettext("Please try again."))
            raise ImmediateHttpResponse(redirect("account_login")) from error
        return user

    def validate_disconnect(self, account: SocialAccount, accounts: QuerySet[SocialAccount]) -> None:
        """Raises ValidationError for the last way to log in. A provider that is switched off is no way."""
        others = accounts.exclude(pk=account.pk).filter(provider__in=self.names())
        if not account.user.has_usable_password() and not others.exists():
            raise self.validation_error("no_password")

    def names(self) -> dict[str, str]:
        """The providers' names by their ids, as in SocialAccount.provider."""
        return {app.provider_id or app.provider: app.name for app in self.list_apps(None)}

    def connections(self, user: User) -> list[str]:
        """The names of the providers with which a user can log in now, in one query."""
        names = self.names()
        connected = SocialAccount.objects.filter(user=user, provider__in=names).values_list("provider", flat=True)
        return [names[provider] for provider in connected.order_by("pk")]

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Provider,
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Log why, for the operator, and choose what the page says."""
        if error == AuthError.CANCELLED:
            return
        unreachable = isinstance(exception, requests.RequestException)
        is_lost = extra_context is not None and "state_id" in extra_context and exception is None
        facts = {"provider": provider.sub_id, "reason": "no such log-in" if is_lost else str(exception or error)[:300]}
        logger.warning("log-in with a provider failed", extra=facts)
        context = {"provider": provider, "unreachable": unreachable, "is_lost": is_lost}
        answer = render(request, "socialaccount/authentication_error.html", context, status=503 if unreachable else 403)
        if unreachable:
            answer["Retry-After"] = "60"
        raise ImmediateHttpResponse(answer)


def find_verified(sociallogin: SocialLogin) -> str | None:
    """The address that the provider says is verified, in lower case."""
    return next((str(address.email).lower() for address in sociallogin.email_addresses if address.verified), None)
