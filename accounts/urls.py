"""Addresses of accounts: allauth's pages, the customer's own pages, user tokens."""

from django.urls import include, path

from accounts import key_pages, profile_pages
from accounts.api import UserTokenView

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("profile", profile_pages.ProfileView.as_view(), name="profile"),
    path("profile/delete", profile_pages.DeleteAccountView.as_view(), name="delete-account"),
    path("profile/keys", key_pages.KeysView.as_view(), name="keys"),
    path("profile/keys/<str:lookup>/edit", key_pages.EditKeyView.as_view(), name="key-edit"),
    path("profile/keys/<str:lookup>/rotate", key_pages.RotateKeyView.as_view(), name="key-rotate"),
    path("profile/keys/<str:lookup>/revoke", key_pages.RevokeKeyView.as_view(), name="key-revoke"),
    path("api/user-token", UserTokenView.as_view(), name="user-token"),
]
