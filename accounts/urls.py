"""Addresses of accounts: allauth's pages, the customer's own pages, user tokens."""

from django.urls import include, path

from accounts import key_pages, profile_pages, social_pages
from accounts.api import UserTokenView

urlpatterns = [
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    # Named and placed as in allauth, whose documentation gives these addresses for the provider's side.
    path("accounts/github/login/", social_pages.start, name="github_login"),
    path("accounts/github/login/callback/", social_pages.finish, name="github_callback"),
    path("accounts/oidc/<str:provider_id>/login/", social_pages.start, name="openid_connect_login"),
    path("accounts/oidc/<str:provider_id>/login/callback/", social_pages.finish, name="openid_connect_callback"),
    path("accounts/3rdparty/login/cancelled/", social_pages.CancelledView.as_view(), name="socialaccount_login_cancelled"),
    path("profile/connections", social_pages.ConnectionsView.as_view(), name="socialaccount_connections"),
    path("profile", profile_pages.ProfileView.as_view(), name="profile"),
    path("profile/delete", profile_pages.DeleteAccountView.as_view(), name="delete-account"),
    path("profile/keys", key_pages.KeysView.as_view(), name="keys"),
    path("profile/keys/<str:lookup>/edit", key_pages.EditKeyView.as_view(), name="key-edit"),
    path("profile/keys/<str:lookup>/rotate", key_pages.RotateKeyView.as_view(), name="key-rotate"),
    path("profile/keys/<str:lookup>/revoke", key_pages.RevokeKeyView.as_view(), name="key-revoke"),
    path("api/user-token", UserTokenView.as_view(), name="user-token"),
]
