"""allauth's hooks into this product: the client address, and how mail is sent."""

import time
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.app_settings import REAUTHENTICATION_TIMEOUT
from allauth.account.authentication import get_authentication_records
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ReauthenticationRequired
from allauth.socialaccount.adapter import get_adapter as get_social_adapter
from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.contrib.sites.shortcuts import get_current_site
from django.core.validators import MaxLengthValidator
from django.db import IntegrityError, transaction
from django.forms import Form
from django.http import HttpRequest
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext

from accounts import mails
from accounts.models import User
from lib.web.client_address import client_address

MAX_EMAIL = User._meta.get_field("email").max_length or 0


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's own behaviour, except where the product says otherwise."""

    def get_client_ip(self, request: HttpRequest) -> str:
        """Log-in and sign-up are limited by the same address as anonymous API calls."""
        return client_address(request)

    def clean_email(self, email: str) -> str:
        """Called by every form that takes an e-mail address. Raises ValidationError for one that its column cannot hold."""
        # Addresses are stored in lower case, where some letters become two.
        MaxLengthValidator(MAX_EMAIL)(max(email, email.lower(), key=len))
        cleaned: str = super().clean_email(email)
        return cleaned

    def is_safe_url(self, url: str) -> bool:
        """Whether visitors may be redirected there. A malformed URL, such as `//[`, is not safe; allauth would crash."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False

    def save_user(self, request: HttpRequest, user: User, form: Form, commit: bool = True) -> User:
        """A new user keeps the language of the sign-up page."""
        user.language = translation.get_language() or user.language
        saved: User = super().save_user(request, user, form, commit)
        return saved

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Render the mail now, while the request is available for its links; send it after commit."""
        context = {"email": email, "current_site": get_current_site(self.request), **context}
        mails.send(template_prefix, email, context, language=self.language_of(email, context))

    def language_of(self, email: str, context: dict[str, Any]) -> str:
        """The language of a mail's reader; the page's if the address belongs to no user."""
        user = context.get("user") or User.objects.filter(email=email.lower()).only("language").first()
        return str(user.language) if user else translation.get_language()

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Verify an address, unless it has become another user's since the link was mailed."""
        try:
            with transaction.atomic():
                return bool(super().confirm_email(request, email_address))
        except IntegrityError:
            context = {"email": email_address.email}
            self.add_message(request, messages.ERROR, "account/messages/email_confirmation_failed.txt", context)
            return False

    def get_reauthentication_methods(self, user: User | AnonymousUser) -> list[dict[str, Any]]:
        """How a user can confirm that it is still them: allauth's ways, else a new log-in with their provider."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        if methods or not user.is_authenticated:
            return methods
        connections = SocialAccount.objects.filter(user=user, provider__in=get_social_adapter().names())
        if not connections.exists():
            return []
        url = reverse("account_reauthenticate")
        return [{"id": "reauthenticate_provider", "description": gettext("Log in again"), "url": url}]

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whether a user must have confirmed recently that it is them.

        allauth lets everyone pass who has neither a password nor a second factor. Raises ReauthenticationRequired for those
        whose log-in with a provider is too long ago.
        """
        required = bool(super().is_reauthentication_required(app=app, **kwargs))
        methods = self.get_reauthentication_methods(self.request.user) if required else []
        if [method["id"] for method in methods] == ["reauthenticate_provider"]:
            records = get_authentication_records(self.request, self.request.user)
            latest = max((one["at"] for one in records if one["method"] == "socialaccount"), default=0)
            if time.time() - latest > REAUTHENTICATION_TIMEOUT:
                raise ReauthenticationRequired
        return required
