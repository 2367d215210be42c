"""`/profile/keys`: the customer's API keys."""

from abc import abstractmethod
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.generic import FormView

from accounts.caller import get_signed_in
from accounts.forms import KeyForm, NewKeyForm, RotateKeyForm
from accounts.keys import KeyText
from accounts.models import MAX_LIVE_KEYS, ApiKey, ApiKeyMonth, KeyNotLive, TooManyKeys, User
from lib.web.errors import get_translation


@method_decorator(never_cache, name="dispatch")
class KeyPage(LoginRequiredMixin, FormView):  # type: ignore[type-arg]  # generic for mypy only
    """A page of the keys section. What the domain refuses is shown next to the form."""

    success_url = reverse_lazy("keys")

    @property
    def owner(self) -> User:
        """The customer whose page it is."""
        return get_signed_in(self.request)

    def form_valid(self, form: Form) -> HttpResponse:
        try:
            return self.act(form)
        except (TooManyKeys, KeyNotLive) as refused:
            form.add_error(None, get_translation(refused).message)
            return self.form_invalid(form)

    @abstractmethod
    def act(self, form: Form) -> HttpResponse:
        """Carry out the form. Raises TooManyKeys or KeyNotLive."""


class KeysView(KeyPage):
    """The list, and the form for a new key."""

    template_name = "accounts/keys.html"
    form_class = NewKeyForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(keys=keys_of(self.owner), limit=MAX_LIVE_KEYS, **kwargs)

    def act(self, form: Form) -> HttpResponse:
        assert isinstance(form, NewKeyForm)  # noqa: S101
        cap = form.cleaned_data["monthly_credit_cap"]
        key, text = ApiKey.objects.issue(
            self.owner, name=form.cleaned_data["name"], expires_at=form.expires_at(), monthly_credit_cap=cap
        )
        return show_once(self.request, key, text)


class OneKeyPage(KeyPage):
    """A page about one of the customer's own keys; any other key is not found."""

    key: ApiKey

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.user.is_authenticated:
            self.key = get_object_or_404(ApiKey, user=self.owner, lookup=kwargs["lookup"])
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(key=self.key, **kwargs)


class EditKeyView(OneKeyPage):
    """Change a key's name or cap."""

    template_name = "accounts/key_edit.html"
    form_class = KeyForm

    def get_initial(self) -> dict[str, Any]:
        return {"name": self.key.name, "monthly_credit_cap": self.key.monthly_credit_cap}

    def act(self, form: Form) -> HttpResponse:
        self.key.edit(name=form.cleaned_data["name"], monthly_credit_cap=form.cleaned_data["monthly_credit_cap"])
        messages.success(self.request, gettext("Saved “%(name)s”.") % {"name": self.key.name})
        return redirect("keys")


class RotateKeyView(OneKeyPage):
    """Replace a key with a new one."""

    template_name = "accounts/key_rotate.html"
    form_class = RotateKeyForm

    def act(self, form: Form) -> HttpResponse:
        key, text = self.key.rotate(timedelta(hours=form.cleaned_data["hours"]))
        return show_once(self.request, key, text, replaced=self.key)


class RevokeKeyView(OneKeyPage):
    """Revoke a key."""

    template_name = "accounts/key_revoke.html"
    form_class = Form

    def act(self, form: Form) -> HttpResponse:
        self.key.revoke()
        text = gettext("“%(name)s” is revoked. Calls with it are refused from now on.")
        messages.success(self.request, text % {"name": self.key.name})
        return redirect("keys")


def keys_of(user: User) -> list[ApiKey]:
    """The user's keys, live ones first, then newest first, each with `spent_this_month` in hundredths."""
    month = timezone.now().date().replace(day=1)
    used = ApiKeyMonth.objects.filter(key=OuterRef("pk"), month=month).values_list(ApiKeyMonth.spent.total)
    keys = ApiKey.objects.filter(user=user).annotate(spent_this_month=Coalesce(Subquery(used), 0))
    return sorted(keys, key=lambda key: not key.is_live)


def show_once(request: HttpRequest, key: ApiKey, text: KeyText, replaced: ApiKey | None = None) -> HttpResponse:
    """The only page that shows a key's text.

    It answers the form directly instead of redirecting, so the text passes through no session, cookie, cache or URL.
    `no-store` (from never_cache) keeps it out of the browser's history; the page's script makes reloading safe.
    """
    context = {"key": key, "text": text.text, "replaced": replaced, "endpoint": request.build_absolute_uri("/rmbg")}
    return render(request, "accounts/key_created.html", context)
