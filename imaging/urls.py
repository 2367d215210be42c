from django.urls import path

from imaging import status
from imaging.views import RemoveBackgroundView

urlpatterns = [
    path("rmbg", RemoveBackgroundView.as_view(), name="rmbg"),
    path("status", status.page, name="status"),
    path("status.json", status.as_json, name="status-json"),
]
