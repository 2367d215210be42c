"""`/api/batches` in the OpenAPI document."""

from typing import Any

from django.conf import settings
from django.template.defaultfilters import pluralize
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from imaging.batches import upload, zips
from imaging.batches.errors import (
    batch_too_large,
    daily_limit_reached,
    no_result,
    no_results,
    no_such_image,
    no_such_output,
    too_many_batches,
    tries_used_up,
)
from imaging.batches.serializers import BatchListSerializer, BatchSerializer
from imaging.callbacks import addresses
from imaging.callbacks.serializers import BatchCallbackSerializer
from imaging.core import outputs
from imaging.core.codecs.encode import MEDIA_TYPES
from imaging.core.options import OPTION_FIELDS
from imaging.models import BatchItem
from imaging.removal.cutouts import NO_FILE_CHOSEN
from imaging.removal.errors import malformed_form, unsupported_coding
from imaging.removal.finishing_fields import BACKGROUND_IMAGE
from imaging.removal.image_url import SWITCHED_OFF
from imaging.removal.openapi import FOREGROUND_HEADERS, FORM, PROBLEMS, X_CONFIDENCE, X_MODEL
from imaging.removal.upload import BROKEN_OFF, MAX_FIELD_BYTES
from lib.web.errors import ApiError, field_problem, from_status, validation_error
from lib.web.openapi import errors, response_header

OPTIONS = {name: FORM["properties"][name] for name in OPTION_FIELDS}
_ONE_BACKGROUND = "Only one of `bg_color`, `bg_image`, `bg_image_url` and `bg_blur` is possible."
BATCH_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "image": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "Any number of pictures, each as a part of this name: webp, bmp, png, jpg or jpeg; at most 50 MB "
            "and 10000 × 10000 px each. A file name may have folders.",
        },
        "zip": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "One or more zips of pictures, stored or deflated. Folders, `__MACOSX`, `Thumbs.db`, "
            "`desktop.ini` and names with a leading dot are left out.",
        },
        "image_url": {
            "type": "array",
            "items": {"type": "string", "maxLength": 4096},
            "description": "Addresses of pictures, each as a field of this name, fetched as `/rmbg` fetches its one.",
        },
        **OPTIONS,
        "bg_image": {**BACKGROUND_IMAGE, "description": "One image to lay behind every subject. " + _ONE_BACKGROUND},
        outputs.FIELD: {
            "type": "string",
            "maxLength": MAX_FIELD_BYTES,
            "description": f"Several results of each picture, for one credit: a JSON list of 1 to {outputs.MAX_OUTPUTS} "
            f"objects. Each may have a `name` for its file (1 to {outputs.MAX_NAME} of a-z, 0-9, `_` and `-`, unique), and "
            "any option but `model`, `roi` and `detail`, in place of the one sent next to `outputs`; null takes "
            "that one away. A background takes the place of any other; `bg_image` and `bg_image_url` can only be null here. "
            'A mask has no background and no shadow. For example `[{"name": "cutout", "format": "png"}, {"name": "white", '
            '"format": "jpeg", "bg_color": "#fff"}, {"name": "mask", "mask": true}]`.',
            "example": "",
        },
        "callback_url": {
            "type": "string",
            "maxLength": addresses.MAX_URL,
            "description": "A public http or https address that is called when the batch has ended.",
            "example": "",
        },
    },
}
# Without files, a URL-encoded form is enough.
FORM_OF_ADDRESSES = {
    "type": "object",
    "required": ["image_url"],
    "properties": {
        name: field for name, field in BATCH_FORM["properties"].items() if name not in ("image", "zip", "bg_image")
    },
}


OF_OUTPUTS = outputs.parse_outputs({outputs.FIELD: '[{"name": "White"}, {"model": "u2net"}]'})[1]
FORM_PROBLEMS = [
    upload.NO_IMAGES,
    NO_FILE_CHOSEN,
    upload.TOO_MANY,
    upload.not_a_zip("pictures.zip"),
    SWITCHED_OFF,
    addresses.invalid("it must begin with http:// or https://"),
    addresses.forbidden("its host has no public address"),
    *PROBLEMS,
    outputs.NOT_A_LIST,
    *OF_OUTPUTS,
]
BAD_REQUESTS = [
    *(validation_error([problem]) for problem in FORM_PROBLEMS),
    validation_error(PROBLEMS),
    malformed_form(BROKEN_OFF),
    ApiError("invalid_idempotency_key"),
]
LIST_BAD_REQUESTS = [
    validation_error([field_problem("limit", "out_of_range", low=1, high=100, value=500)]),
    validation_error([field_problem("before", "invalid_batch_id")]),
]
LIMITS = [
    ApiError("rate_limited", retry_after=30),
    ApiError("not_enough_credits", wanted=500, left=120, retry_after=3600),
    ApiError("key_limit_reached", retry_after=3600),
    too_many_batches(),
    daily_limit_reached(3600),
]
NO_RESULT = no_result(BatchItem.State.RUNNING)
NO_SUCH_IMAGE = no_such_image(500)
NO_SUCH_OUTPUT = no_such_output(5)
TRIES_USED_UP = tries_used_up()
# What can be wrong with one image of a zip; the other codes of images are those of /rmbg.
OF_AN_ITEM = [validation_error([problem]) for problem in zips.PROBLEMS]
# The errors that /rmbg does not return, or words differently.
ERRORS = [
    *BAD_REQUESTS,
    *LIST_BAD_REQUESTS,
    ApiError("idempotency_key_reused"),
    NO_RESULT,
    no_results(),
    NO_SUCH_IMAGE,
    NO_SUCH_OUTPUT,
    ApiError("batch_expired"),
    batch_too_large(),
    ApiError("no_callback"),
    ApiError("callback_gone"),
    TRIES_USED_UP,
    *LIMITS,
]

BATCH = OpenApiResponse(BatchSerializer, "The batch.")
RETRY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255},
    OpenApiParameter.HEADER,
    description="A key of your own for this batch. A retry with the same key, pictures and options within 24 hours is "
    "answered with the batch that the first one made.",
)
ITEMS = OpenApiParameter("items", {"type": "string", "enum": ["0", "1"]}, description="`0` leaves the pictures out.")
CHALLENGE = response_header("WWW-Authenticate", "The credentials that are accepted.", [401])
RETRY_AFTER = response_header("Retry-After", "Seconds after which to try again.", [429, 503], int)
TAGS = ["Batches"]


def _headers(*statuses: int) -> list[OpenApiParameter]:
    shown = [*statuses, 400, 401, 403, 405, 429, 500, 503]
    return [response_header("X-Request-Id", "Unique per request, also in our logs.", shown), CHALLENGE, RETRY_AFTER]


def _errors(*methods: str, **more: Any) -> dict[Any, Any]:
    """The errors that every endpoint may return."""
    allowed = " and ".join(methods)
    return {
        400: errors("Key and token together.", ApiError("two_credentials")),
        401: errors("The key or token is missing, unknown, revoked or expired.", ApiError("invalid_api_key")),
        403: errors("The owner's e-mail address is not verified.", ApiError("email_not_verified")),
        405: errors(f"Only {allowed} is possible here.", from_status(405)),
        429: errors("Too many calls in a short time.", ApiError("rate_limited", retry_after=30)),
        500: errors("Our fault.", from_status(500)),
        503: errors("The database is away.", ApiError("service_unavailable")),
    } | {int(name[1:]): response for name, response in more.items()}


NOT_FOUND = errors("You have no batch of this id.", from_status(404))
NOTHING_THERE = [from_status(404), NO_RESULT, NO_SUCH_IMAGE]
GONE = errors("The pictures have been erased.", ApiError("batch_expired"))

create = extend_schema(
    operation_id="createBatch",
    summary="Remove the backgrounds of many images",
    description=f"""
Send up to 500 pictures, 2 GB in all, with one set of options: as files, in zips, by their addresses, or all of these. The
answer comes as soon as they have arrived; ask at `url` what became of them. The body may come with `Content-Encoding: gzip`
or `deflate`.

A credit is held for each picture at once, spent when its result exists, and given back if it has none. All pictures get a
credit, or the batch is refused. One bad picture never stops the others. Each picture is erased once it is worked on, a
background and the results {settings.BATCH_HOURS} hour{pluralize(settings.BATCH_HOURS)} after the batch was made.
""",
    tags=TAGS,
    parameters=[
        RETRY_KEY,
        ITEMS,
        *_headers(202, 409, 413, 415),
        response_header("Location", "The batch's address, as in `url`.", [202]),
        response_header("RateLimit", "The limits that apply to this caller as they stand (IETF draft).", [202, 400, 429]),
        response_header("RateLimit-Policy", "The limits that apply to this caller (IETF draft).", [202, 400, 429]),
    ],
    request={"multipart/form-data": BATCH_FORM, "application/x-www-form-urlencoded": FORM_OF_ADDRESSES},
    responses={
        202: BATCH,
        **_errors(
            "GET",
            "POST",
            _400=errors("Something about the request is wrong. All problems are reported at once.", *BAD_REQUESTS),
            _409=errors("The `Idempotency-Key` stands for another request.", ApiError("idempotency_key_reused")),
            _413=errors("The batch is too large, packed or unpacked.", batch_too_large()),
            _415=errors("The body is not a form, or packed in an unknown way.", from_status(415), unsupported_coding()),
            _429=errors("A limit is reached; `code` says which.", *LIMITS),
        ),
    },
)
list_all = extend_schema(
    operation_id="listBatches",
    summary="Your batches",
    description="The newest first, without their pictures. Those of all keys of the account.",
    tags=TAGS,
    parameters=[
        OpenApiParameter(
            "limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}, description="Batches a page."
        ),
        OpenApiParameter("before", {"type": "string", "format": "uuid"}, description="Go on behind this batch."),
        *_headers(200),
    ],
    responses={
        200: OpenApiResponse(BatchListSerializer, "A page of batches."),
        **_errors("GET", "POST", _400=errors("A parameter is wrong.", *LIST_BAD_REQUESTS), _404=NOT_FOUND),
    },
)
read = extend_schema(
    operation_id="readBatch",
    summary="What became of a batch",
    tags=TAGS,
    parameters=[ITEMS, *_headers(200, 404)],
    responses={200: BATCH, **_errors("GET", "DELETE", _404=NOT_FOUND)},
)
delete = extend_schema(
    operation_id="deleteBatch",
    summary="Cancel a batch and erase its pictures",
    description="At once. What it cost stays charged, and its entry in the list stays.",
    tags=TAGS,
    parameters=_headers(204, 404),
    responses={
        204: OpenApiResponse(description="Nothing is left of its pictures."),
        **_errors("GET", "DELETE", _404=NOT_FOUND),
    },
)
cancel = extend_schema(
    operation_id="cancelBatch",
    summary="Cancel a batch",
    description="Pictures that are not done cost nothing. Results stay. Cancelling a batch that has ended changes nothing.",
    tags=TAGS,
    parameters=[ITEMS, *_headers(200, 404)],
    request=None,
    responses={200: BATCH, **_errors("POST", _404=NOT_FOUND)},
)
OF_A_RESULT = [
    *_headers(200, 404, 410),
    response_header("Content-Disposition", 'inline; filename="<input stem>.<ext>"', [200]),
    response_header("X-Width", "Width of the delivered image in pixels.", [200], int),
    response_header("X-Height", "Height of the delivered image in pixels.", [200], int),
    *FOREGROUND_HEADERS,
    response_header("X-Model", X_MODEL, [200]),
    response_header("X-Confidence", X_CONFIDENCE, [200], float),
]
PICTURE = {(200, media_type): OpenApiResponse(OpenApiTypes.BINARY, "The picture.") for media_type in MEDIA_TYPES.values()}
read_item = extend_schema(
    operation_id="readBatchResult",
    summary="One result of a batch",
    tags=TAGS,
    parameters=OF_A_RESULT,
    responses={
        **PICTURE,
        **_errors(
            "GET", _404=errors("No such batch or picture, or no result (yet).", from_status(404), NO_RESULT), _410=GONE
        ),
    },
)
read_result = extend_schema(
    operation_id="readBatchOutput",
    summary="One of several results of a picture",
    description="With `outputs`. Both indexes count from 0.",
    tags=TAGS,
    parameters=OF_A_RESULT,
    responses={
        **PICTURE,
        **_errors(
            "GET",
            _404=errors("No such batch, picture or output, or no result (yet).", *NOTHING_THERE, NO_SUCH_OUTPUT),
            _410=GONE,
        ),
    },
)
read_zip = extend_schema(
    operation_id="readBatchZip",
    summary="All results of a batch",
    description="A zip of what is done by now, each under the name that its picture had, with the extension of its format; "
    "with `outputs`, the output's name goes before it: `photo-white.jpg`.",
    tags=TAGS,
    parameters=[
        *_headers(200, 404, 410),
        response_header("Content-Disposition", 'attachment; filename="batch-<id>.zip"', [200]),
    ],
    responses={
        (200, "application/zip"): OpenApiResponse(OpenApiTypes.BINARY, "The zip."),
        **_errors("GET", _404=errors("No such batch, or no result.", from_status(404), no_results()), _410=GONE),
    },
)
retry_callback = extend_schema(
    operation_id="retryCallback",
    summary="Send a batch's callback again",
    description="One more try, at once, also of a callback that was delivered or given up. A callback that is being tried "
    "right now is left alone.",
    tags=TAGS,
    parameters=_headers(202, 404, 409),
    request=None,
    responses={
        202: OpenApiResponse(BatchCallbackSerializer, "It is on its way. Ask for the batch to learn what became of it."),
        **_errors(
            "POST",
            _404=errors("No such batch, or it has no callback (yet).", from_status(404), ApiError("no_callback")),
            _409=errors("It cannot be sent again.", ApiError("callback_gone"), TRIES_USED_UP),
        ),
    },
)
