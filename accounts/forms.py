"""Forms on the customers' pages."""

from datetime import timedelta
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.socialaccount.adapter import get_adapter as get_social_adapter
from allauth.socialaccount.forms import DisconnectForm as AllauthDisconnectForm
from allauth.socialaccount.models import SocialAccount
from django import forms
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts.models import User

# The length of the database column.
LARGEST_CAP = 2_147_483_647
DAYS = [
    ("", pgettext_lazy("expiry of a key", "Never")),
    ("7", _("In 7 days")),
    ("30", _("In 30 days")),
    ("90", _("In 90 days")),
    ("365", _("In a year")),
]
GRACE_HOURS = [
    ("0", _("None – end it now")),
    ("1", _("1 hour")),
    ("24", _("1 day")),
    ("168", _("7 days")),
    ("720", _("30 days")),
]


class SignupForm(AllauthSignupForm):  # type: ignore[misc]
    """allauth's form, but taking as long for a known address as for a new one."""

    def try_save(self, request: HttpRequest) -> Any:
        """Hash the password even if no account is made: the time saved would reveal that the address is known."""
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])
        return super().try_save(request)


class KeyForm(forms.Form):
    """The settings of a key that its owner chooses."""

    name = forms.CharField(max_length=100, label=_("Name"), help_text=_("Where the key is used, for example “web shop”."))
    monthly_credit_cap = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=LARGEST_CAP,
        label=_("Monthly credit cap"),
        help_text=_("Optional. Calls past it are refused until the next month (UTC)."),
    )


class NewKeyForm(KeyForm):
    """The form for a new key."""

    field_order = ["name", "expires_in_days", "monthly_credit_cap"]
    expires_in_days = forms.TypedChoiceField(choices=DAYS, required=False, coerce=int, empty_value=None, label=_("Expires"))

    def expires_at(self) -> Any:
        """When the key expires; None for never."""
        days = self.cleaned_data["expires_in_days"]
        return timezone.now() + timedelta(days=days) if days else None


class RotateKeyForm(forms.Form):
    """How long the old key keeps working."""

    hours = forms.TypedChoiceField(choices=GRACE_HOURS, coerce=int, initial="24", label=_("Keep the old key working for"))


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for mypy only
    """The profile fields that take effect at once."""

    class Meta:
        model = User
        fields = ["name", "language", "low_balance_mails"]
        labels = {
            "name": _("Name"),
            "language": _("Language"),
            "low_balance_mails": _("Mails when credits run low"),
        }


class DisconnectForm(AllauthDisconnectForm):  # type: ignore[misc]
    """allauth's form, but only for providers that are on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mine = SocialAccount.objects.filter(user=self.request.user, provider__in=get_social_adapter().names())
        self.accounts: QuerySet[SocialAccount] = mine.order_by("pk")
        self.fields["account"].queryset = self.accounts


class DeleteAccountForm(forms.Form):
    """Proof that the owner is asking: the password, or the address typed out if there is no password."""

    confirmation = forms.CharField(strip=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        field = self.fields["confirmation"]
        if user.has_usable_password():
            field.label = gettext("Your password")
            field.widget = forms.PasswordInput(attrs={"autocomplete": "current-password"})
        else:
            field.label = gettext("Type %(email)s to confirm") % {"email": user.email}
            field.widget = forms.EmailInput(attrs={"autocomplete": "off"})

    def clean_confirmation(self) -> str:
        """Raises ValidationError for anything but the password (or address), and after too many tries."""
        given = str(self.cleaned_data["confirmation"])
        if self.user.has_usable_password():
            # allauth's own check counts failures, as for a log-in.
            matches = get_adapter().reauthenticate(self.user, given)
        else:
            matches = given.strip().lower() == self.user.email
        if not matches:
            raise ValidationError(gettext("That is not right."), code="mismatch")
        return given
