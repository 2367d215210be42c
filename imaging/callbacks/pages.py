"""`/profile/callbacks`: the secret that a customer's callbacks are signed with."""

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views import View
from django.views.decorators.cache import never_cache

from accounts.caller import get_signed_in
from billing.credits import ledger
from billing.models import Account
from imaging.callbacks.secrets import get_secret, rotate


@method_decorator(never_cache, name="dispatch")
class SecretView(LoginRequiredMixin, View):
    """Shows the secret to its owner; POST rotates it."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest) -> HttpResponse:
        secret = get_secret(self._account())
        both = secret.previous_until is not None and secret.previous_until > timezone.now()
        return render(request, "imaging/callbacks.html", {"secret": secret, "both_sign": both})

    def post(self, request: HttpRequest) -> HttpResponse:
        rotate(self._account())
        messages.success(request, gettext("This is your new secret. The previous one stays valid for 24 hours."))
        return redirect("callbacks")

    def _account(self) -> Account:
        return ledger.get_account(get_signed_in(self.request))
