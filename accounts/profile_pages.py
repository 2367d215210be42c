"""`/profile`: the customer's own data."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.utils import is_mfa_enabled
from allauth.socialaccount.adapter import get_adapter as get_social_adapter
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.messages.views import SuccessMessageMixin
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView, UpdateView

from accounts.caller import get_signed_in
from accounts.deletion import DeletionRefused, delete_account, find_objection
from accounts.forms import DeleteAccountForm, ProfileForm
from accounts.models import User


@method_decorator(never_cache, name="dispatch")
class ProfileView(LoginRequiredMixin, SuccessMessageMixin, UpdateView):  # type: ignore[type-arg]  # generic for mypy only
    """Name and language, and links to everything else."""

    template_name = "accounts/profile.html"
    form_class = ProfileForm
    success_url = reverse_lazy("profile")
    success_message = _("Saved.")

    def get_object(self, queryset: QuerySet[User] | None = None) -> User:
        return get_signed_in(self.request)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        adapter = get_social_adapter(self.request)
        return super().get_context_data(
            has_providers=bool(adapter.names()),
            connections=adapter.connections(self.object),
            addresses=EmailAddress.objects.filter(user=self.object).order_by("-primary", "pk"),
            has_password=self.object.has_usable_password(),
            has_second_factor=is_mfa_enabled(self.object),
            **kwargs,
        )


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class DeleteAccountView(LoginRequiredMixin, FormView):  # type: ignore[type-arg]  # generic for mypy only
    """Delete an account."""

    template_name = "accounts/delete.html"
    form_class = DeleteAccountForm

    @property
    def owner(self) -> User:
        """The customer whose account it is."""
        return get_signed_in(self.request)

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"user": self.owner}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(objection=find_objection(self.owner), **kwargs)

    def form_valid(self, form: DeleteAccountForm) -> HttpResponse:
        try:
            delete_account(self.owner)
        except DeletionRefused as refused:
            form.add_error(None, refused.objection)
            return self.form_invalid(form)
        logout(self.request)
        messages.success(self.request, gettext("Your account is deleted. Its keys no longer work."))
        return redirect("account_login")
