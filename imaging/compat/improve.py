"""`POST /v1.0/improve`: keeps an image for the operator, with the sender's consent. Off unless IMPROVE_FOLDER is set."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.caller import get_signed_in
from imaging.compat import kept_images
from imaging.compat.api import CompatView, count_rest
from imaging.compat.forms import SOURCES, URL, CompatForm
from imaging.compat.openapi import improve_schema
from imaging.compat.orders import check_image, fetch_image, find_source_problems
from imaging.executor.fair_queue import Rank, Requester
from imaging.problems import FormRefused
from imaging.removal.forms import get_form, raise_refusal
from lib.web import rate_limits
from lib.web.errors import ApiError
from lib.web.texts import storable

MAX_TEXT = 255


class ImproveView(CompatView):
    """Takes an image that the service did badly on."""

    endpoint: ClassVar[str] = "v1.0/improve"

    @improve_schema
    def post(self, request: Request) -> Response:
        if not kept_images.is_on():
            raise ApiError("improve_disabled")
        customer = self.get_customer()
        raise_refusal(request)
        with rate_limits.concurrent_place(customer.policy), get_form(request, CompatForm) as form:
            if problems := find_source_problems(form):
                raise FormRefused(*problems)
            if form.text(URL):
                form.images[URL] = fetch_image(form, Requester(customer.policy.subject, Rank.CUSTOMER))
            image = next(form.images[name] for name in SOURCES if name in form.images)
            header, problems = check_image(image)
            if header is None:
                raise FormRefused(*problems)
            count_rest(customer, header.upright_size)
            facts = {name: storable(form.text(name), MAX_TEXT) for name in ("image_filename", "tag")}
            return Response({"id": kept_images.keep(image.file, header, get_signed_in(request), facts)})
