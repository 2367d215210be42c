from django.urls import path

from billing.views import MembershipUsageView
from billing.webhook import webhook

urlpatterns = [
    path("api/membership-usage", MembershipUsageView.as_view(), name="membership-usage"),
    path("api/stripe/webhook", webhook, name="stripe-webhook"),
]
