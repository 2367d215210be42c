"""Addresses of imaging: the one call that all is about, batches and their callbacks."""

from django.urls import include, path

from imaging.batches import pages as batch_pages
from imaging.batches.callback_retry import CallbackRetryView
from imaging.callbacks.pages import SecretView
from imaging.compat.account import AccountView
from imaging.compat.api import RemovebgView
from imaging.compat.improve import ImproveView
from imaging.removal.api import RemoveBackgroundView
from imaging.removal.models_api import ModelsView

urlpatterns = [
    path("", include("imaging.batches.urls")),
    path("rmbg", RemoveBackgroundView.as_view(), name="rmbg"),
    path("v1.0/removebg", RemovebgView.as_view(), name="compat-removebg"),
    path("v1.0/account", AccountView.as_view(), name="compat-account"),
    path("v1.0/improve", ImproveView.as_view(), name="compat-improve"),
    path("api/models", ModelsView.as_view(), name="models"),
    path("api/batches/<uuid:batch_id>/callback/retry", CallbackRetryView.as_view(), name="callback-retry"),
    path("batches", batch_pages.batch_list, name="batches"),
    path("batches/<uuid:pk>", batch_pages.batch_page, name="batch-page"),
    path("batches/<uuid:pk>/zip", batch_pages.batch_zip, name="batch-page-zip"),
    path("batches/<uuid:pk>/items/<int:index>", batch_pages.batch_item, name="batch-page-item"),
    path("batches/<uuid:pk>/items/<int:index>/results/<int:output>", batch_pages.batch_result, name="batch-page-result"),
    path("batches/<uuid:pk>/cancel", batch_pages.cancel_batch, name="batch-page-cancel"),
    path("batches/<uuid:pk>/erase", batch_pages.erase_batch, name="batch-page-delete"),
    path("batches/<uuid:pk>/callback", batch_pages.retry_callback, name="batch-page-callback"),
    path("profile/callbacks", SecretView.as_view(), name="callbacks"),
]
