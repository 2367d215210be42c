"""URLs of the batches API."""

from django.urls import path

from imaging.batches import api

urlpatterns = [
    path("api/batches", api.BatchListView.as_view(), name="batches-api"),
    path("api/batches/<uuid:batch_id>", api.BatchDetailView.as_view(), name="batch"),
    path("api/batches/<uuid:batch_id>/cancel", api.BatchCancelView.as_view(), name="batch-cancel"),
    path("api/batches/<uuid:batch_id>/zip", api.BatchZipView.as_view(), name="batch-zip"),
    path("api/batches/<uuid:batch_id>/items/<int:index>", api.BatchItemView.as_view(), name="batch-item"),
    path(
        "api/batches/<uuid:batch_id>/items/<int:index>/results/<int:output>",
        api.BatchResultView.as_view(),
        name="batch-result",
    ),
]
