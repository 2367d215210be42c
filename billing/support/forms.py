"""The forms of support actions: always a reason, plus what the action needs."""

import uuid
from collections.abc import Callable
from typing import Any

from django import forms
from django.db.models import QuerySet

from accounts.models import ApiKey
from billing.credits import ledger
from billing.credits.prices import CREDIT
from billing.models import Account, Hold, Plan, StripeEvent


class ReasonForm(forms.Form):
    """An action on an account. `token` identifies this form: submitted twice, it acts once."""

    reason = forms.CharField(
        max_length=180,
        widget=forms.TextInput(attrs={"size": 60, "autocomplete": "off"}),
        help_text="For your colleagues: it is kept in the audit trail for ever. Customers do not see it.",
    )
    token = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.account = account
        # The reason is last: first what is done, then why.
        self.order_fields([*(name for name in self.fields if name != "reason"), "reason"])

    @property
    def asks_more(self) -> bool:
        """Whether the form needs more than the reason. Then the effect is not known in advance."""
        return any(field.name != "reason" for field in self.visible_fields())


class CreditsForm(ReasonForm):
    """Prepaid credits to give or take."""

    credits = forms.DecimalField(
        min_value=-1_000_000, max_value=1_000_000, decimal_places=2,
        help_text="Prepaid credits to give; below zero, to take.",
    )  # fmt: skip

    def clean_credits(self) -> int:
        """The amount in hundredths."""
        amount = int(self.cleaned_data["credits"] * CREDIT)
        if amount == 0:
            raise forms.ValidationError("Give or take something.")
        if self.account.prepaid + amount < 0:
            raise forms.ValidationError("The account has fewer prepaid credits than that.")
        return amount


class PlanForm(ReasonForm):
    """A plan other than the account's."""

    plan = forms.ModelChoiceField(Plan.objects.none())

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(account, *args, **kwargs)
        self.fields["plan"].queryset = Plan.objects.exclude(pk=account.plan_id)  # type: ignore[attr-defined]


class TargetForm(ReasonForm):
    """One of the account's rows, named by the link to this form."""

    target = forms.ModelChoiceField(ApiKey.objects.none(), widget=forms.HiddenInput)
    by = "pk"
    # The rows that may be acted on.
    targets: Callable[[], QuerySet[Any]]

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(account, *args, **kwargs)
        self.fields["target"].queryset = self.targets()  # type: ignore[attr-defined]
        self.fields["target"].to_field_name = self.by  # type: ignore[attr-defined]


class KeyForm(TargetForm):
    """A live key, by its public part."""

    by = "lookup"

    def targets(self) -> QuerySet[ApiKey]:
        return ApiKey.objects.live().filter(user_id=self.account.user_id)


class HoldForm(TargetForm):
    """A hold that nothing will settle."""

    def targets(self) -> QuerySet[Hold]:
        return Hold.objects.filter(ledger.stale(), account=self.account)


class EventForm(TargetForm):
    """A Stripe webhook about this account."""

    by = "stripe_id"

    def targets(self) -> QuerySet[StripeEvent]:
        return StripeEvent.objects.filter(account=self.account)
