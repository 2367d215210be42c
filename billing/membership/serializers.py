"""The response of `GET /api/membership-usage`. The fields sent are the fields that the OpenAPI document shows."""

from typing import Any

from rest_framework import serializers

from billing.credits.serializer_fields import CreditsField


class ListedCycleSerializer(serializers.Serializer[Any]):
    """One entry of the list of billing windows."""

    periodStartUnix = serializers.IntegerField(source="start", help_text="First second of the window.")
    periodEndUnix = serializers.IntegerField(source="end", help_text="Last second: the next window's first minus 1.")
    appUsage = CreditsField(source="app_used", help_text="Included credits used by the web app.")
    apiUsage = CreditsField(source="api_used", help_text="Included credits used by API keys.")


class CycleListSerializer(serializers.Serializer[Any]):
    """The answer to `listBillingCycles`."""

    billingCycles = ListedCycleSerializer(many=True, help_text="Newest first.")


class BillingCycleSerializer(serializers.Serializer[Any]):
    """A billing window: Stripe's current period, or the UTC calendar month while there is none."""

    periodStartUnix = serializers.IntegerField(source="start", help_text="First second of the window.")
    periodEndUnix = serializers.IntegerField(source="end", help_text="Last second of the window.")
    appUsage = CreditsField(source="app_used", help_text="Included credits used by the web app.")
    apiUsage = CreditsField(source="api_used", help_text="Included credits used by API keys.")
    includedCredits = CreditsField(source="included", help_text="Allowance of the window.")
    prepaidCredits = CreditsField(source="prepaid", help_text="Prepaid balance; no renewal resets it.")
    usedIncludedCredits = CreditsField(source="used", help_text="appUsage + apiUsage.")
    remainingIncludedCredits = CreditsField(source="left", help_text="What is left of the allowance, at least 0.")
    stripeBillingSynced = serializers.BooleanField(source="is_synced", help_text="False for a calendar month.")

    def get_attribute(self, instance: Any) -> Any:
        """Omit the key if the cycle was not asked for."""
        cycle = super().get_attribute(instance)
        if cycle is None:
            raise serializers.SkipField
        return cycle


class MembershipUsageSerializer(serializers.Serializer[Any]):
    """Plan, credits and usage."""

    membership = serializers.CharField(source="account.plan.label", help_text="Label of the plan, such as `Premium-20000`.")
    credits = serializers.IntegerField(
        source="account.plan.included_credits", help_text="Credits that the plan includes per window."
    )
    prepaidCredits = CreditsField(source="account.prepaid", help_text="Prepaid balance; no renewal resets it.")
    app_usage = CreditsField(
        source="used.used_by_app", help_text="Included credits used by the web app in the month or window asked for."
    )
    api_usage = CreditsField(
        source="used.used_by_api", help_text="Included credits used by API keys in the month or window asked for."
    )
    billingCycle = BillingCycleSerializer(source="cycle", required=False, help_text="Only when expanded.")


# Created once: an instance copies all its fields, which takes longer than reading them.
USAGE = MembershipUsageSerializer()
CYCLES = CycleListSerializer()
