"""What staff fill in to act: always a reason, and what the act itself needs."""

import uuid
from collections.abc import Callable
from typing import Any

from django import forms
from django.db.models import QuerySet

from accounts.models import ApiKey
from billing.credits import ledger
from billing.models import Account, Hold, Plan, StripeEvent


class ReasonForm(forms.Form):
    """An act upon an account. `token` names this very form: sent twice, it acts once."""

    reason = forms.CharField(
        max_length=180,
        widget=forms.TextInput(attrs={"size": 60, "autocomplete": "off"}),
        help_text="For your colleagues: it is kept in the audit trail for ever. Customers do not see it.",
    )
    token = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.account = account
        # The reason comes last: first what is done, then why.
        self.order_fields([*(name for name in self.fields if name != "reason"), "reason"])

    @property
    def asks_more(self) -> bool:
        """Whether something besides the reason is to be filled in, so that the effect is not known before."""
        return any(field.name != "reason" for field in self.visible_fields())


class CreditsForm(ReasonForm):
    """Prepaid credits to give or take."""

    credits = forms.IntegerField(
        min_value=-1_000_000, max_value=1_000_000, help_text="Prepaid credits to give; below zero, to take."
    )

    def clean_credits(self) -> int:
        credits: int = self.cleaned_data["credits"]
        if credits == 0:
            raise forms.ValidationError("Give or take at least one credit.")
        if self.account.prepaid_balance + credits < 0:
            raise forms.ValidationError("The account has fewer prepaid credits than that.")
        return credits


class PlanForm(ReasonForm):
    """Another plan than the account's."""

    plan = forms.ModelChoiceField(Plan.objects.none())

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(account, *args, **kwargs)
        self.fields["plan"].queryset = Plan.objects.exclude(pk=account.plan_id)  # type: ignore[attr-defined]


class TargetForm(ReasonForm):
    """One row of the account's, named by the link that led here."""

    target = forms.ModelChoiceField(ApiKey.objects.none(), widget=forms.HiddenInput)
    by = "pk"
    # The rows that may be acted upon.
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
    """A hold that nobody will settle any more."""

    def targets(self) -> QuerySet[Hold]:
        return Hold.objects.filter(ledger.stale(), account=self.account)


class EventForm(TargetForm):
    """A webhook of Stripe's about this account."""

    by = "stripe_id"

    def targets(self) -> QuerySet[StripeEvent]:
        return StripeEvent.objects.filter(account=self.account)
