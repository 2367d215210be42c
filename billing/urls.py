from django.urls import path

from billing.views import MembershipUsageView

urlpatterns = [path("api/membership-usage", MembershipUsageView.as_view(), name="membership-usage")]
