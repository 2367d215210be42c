"""`POST /api/batches/{id}/callback/retry`: send a callback again."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from imaging.batches import openapi as schema
from imaging.batches.api import NO_STORE, BatchView
from imaging.callbacks.announcing import send_again
from imaging.callbacks.serializers import CALLBACK
from imaging.models import Callback
from lib.web.errors import ApiError


class CallbackRetryView(BatchView):
    """One more try, at once."""

    @schema.retry_callback
    def post(self, request: Request, batch_id: UUID) -> Response:
        callback = Callback.objects.filter(batch=self.get_batch(request, batch_id)).select_related("batch").first()
        if callback is None:
            raise ApiError("no_callback")
        send_again(callback)
        return Response(CALLBACK.to_representation(callback), status=202, headers=NO_STORE)
