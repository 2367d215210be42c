"""Addresses of imaging: the front page, the editor, and the one call that all is about."""

from django.urls import path

from imaging import pages, status
from imaging.callbacks.pages import SecretView
from imaging.views import RemoveBackgroundView

urlpatterns = [
    path("", pages.home, name="home"),
    path("editor", pages.editor, name="editor"),
    path("rmbg", RemoveBackgroundView.as_view(), name="rmbg"),
    path("profile/callbacks", SecretView.as_view(), name="callbacks"),
    path("status", status.page, name="status"),
    path("status.json", status.as_json, name="status-json"),
]
