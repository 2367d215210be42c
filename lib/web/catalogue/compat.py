"""Errors that only the endpoints of `/v1.0/` have. Their codes there are other ones: see `imaging.compat.errors`."""

from django.utils.translation import gettext_lazy as _

from lib.web.catalogue.row import Row

ROWS = {
    "missing_api_key": Row(
        status=401,
        message="No API key was sent. Send it in the header X-Api-Key.",
        advice=_("Send your API key in the header X-Api-Key."),
        label=_("Key missing"),
    ),
    "missing_source": Row(
        status=400,
        message="Please provide the source image in the image_url, image_file or image_file_b64 parameter.",
        advice=_("Send one of the three fields, and see that its file is not empty."),
        label=_("No picture was sent"),
    ),
    "multiple_sources": Row(
        status=400,
        message="Please provide either the image_url, image_file or image_file_b64 parameter, not several of them.",
        advice=_("Leave out all but one of the three fields, or leave them empty."),
        label=_("Several pictures were sent"),
    ),
    "invalid_file_type": Row(
        status=400,
        message="Expected jpg/png/webp/bmp. The file's content decides, not its name.",
        advice=_("Convert the picture to one of the formats named."),
        label=_("File type not supported"),
    ),
    "invalid_dimensions": Row(
        status=400,
        message="The file begins as an image, but its width and height cannot be read.",
        advice=_("The file is damaged. Open it and save it again."),
        label=_("Not a valid picture"),
    ),
    "unreadable_image": Row(
        status=400,
        message="The file is damaged.",
        advice=_("The file is damaged, or its base64 is. Open it and save it again."),
        label=_("Not a valid picture"),
    ),
    "unknown_foreground": Row(
        status=400,
        message="There is nothing in the image that stands out from its background. You were not charged.",
        advice=_("Send a picture with a clear subject."),
        label=_("No subject was found"),
    ),
    "improve_disabled": Row(
        status=404,
        message="This service collects no images. Nothing was kept.",
        advice=_("The operator of this service has not switched it on."),
        label=_("Images are not collected here"),
    ),
    "improve_limit_reached": Row(
        status=429,
        message="No more images of this account are taken today, or the room for them is full.",
        advice=_("Try again tomorrow."),
        label=_("Too many images were sent"),
        headers={"Retry-After": "3600"},
    ),
}
