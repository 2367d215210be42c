from django.urls import path

from imaging.views import RemoveBackgroundView

urlpatterns = [path("rmbg", RemoveBackgroundView.as_view(), name="rmbg")]
