"""URLs of billing: its API, Stripe's webhook, the pages."""

from django.urls import path

from billing.dashboard import pages as dashboard
from billing.membership.api import MembershipUsageView
from billing.membership.balance import balance
from billing.payments import pages
from billing.payments.webhook import webhook

urlpatterns = [
    path("api/membership-usage", MembershipUsageView.as_view(), name="membership-usage"),
    path("api/stripe/webhook", webhook, name="stripe-webhook"),
    path("pricing", pages.pricing, name="pricing"),
    path("dashboard", dashboard.dashboard, name="dashboard"),
    path("dashboard/usage.csv", dashboard.usage_csv, name="usage-csv"),
    path("dashboard/requests.csv", dashboard.requests_csv, name="requests-csv"),
    path("billing", pages.billing, name="billing"),
    path("billing/balance", balance, name="balance"),
    path("billing/checkout", pages.checkout, name="checkout"),
    path("billing/checkout/done", pages.checkout_done, name="checkout-done"),
    path("billing/portal", pages.portal, name="portal"),
]
