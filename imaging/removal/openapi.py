"""`POST /rmbg` in the OpenAPI document."""

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from billing.credits.idempotency import MAX_REPLAYS
from imaging.core.codecs.bmp import TOO_MANY_CODES
from imaging.core.codecs.checks import MAX_SIDE, MEBIBYTE, find_early_problem, find_side_problems, find_size_problem
from imaging.core.codecs.encode import MEDIA_TYPES
from imaging.core.codecs.jpeg import TOO_MANY_SCANS, TOO_MANY_SEGMENTS
from imaging.core.geometry import check_sizes
from imaging.core.options import CutoutOptions, parse_options
from imaging.core.problems import INVALID_IMAGE, Problem, too_slow
from imaging.executor import models
from imaging.removal import image_url
from imaging.removal.cutouts import NO_FILE_CHOSEN, NO_IMAGE
from imaging.removal.errors import busy_error, malformed_form, unsupported_coding
from imaging.removal.finishing_fields import BACKGROUND_IMAGE, FINISHING, boolean
from imaging.removal.upload import BROKEN_OFF
from lib.outbound.urls import MAX_URL
from lib.web.errors import ApiError, from_status, validation_error
from lib.web.openapi import errors, response_header

X_MODEL = (
    "Name and version of the model that made the matte, then its engine: `u2net@8d10d2f3bb75; engine=mnn-fp32`, and "
    "`; looks=2` where it looked more than once."
)
X_CONFIDENCE = (
    "How sure the model is of the matte, 0–1: the mean of |2p − 1| over the pixels with a probability p of subject above "
    "0.05, weighted by p. Low where much of the subject is undecided, 0 where there is none."
)
ALL = [200, 400, 401, 403, 405, 409, 413, 415, 429, 500, 503]
LIMITED = [200, 400, 429, 503]


def _side(other: str) -> dict[str, Any]:
    return {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_SIDE,
        "default": 0,
        "description": f"Size of the delivered image in pixels. Empty or 0: unset. Without `{other}` the other side "
        "follows the aspect ratio (and may not exceed the maximum either); with both, the largest size that fits inside.",
    }


IMAGE = {
    "type": "string",
    "format": "binary",
    "description": "webp, bmp, png, jpg or jpeg; at most 50 MB; at most 10000 px wide and 10000 px high. Required, "
    "unless there is an `image_url`.",
}
FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "image": IMAGE,
        "image_url": {
            "type": "string",
            "maxLength": MAX_URL,
            "description": "Instead of `image`: the public http or https address of the picture, which is fetched with "
            "the same limits. At most 3 redirects; no user name or password; no private address.",
            "example": "",
        },
        "format": {
            "type": "string",
            "enum": ["webp", "png", "jpeg", "jpg", "bmp"],
            "default": "webp",
            "description": "Format of the delivered image, in any letter case. `jpeg` and `bmp` have no transparency: "
            "without a `bg_color` they are flattened on white.",
        },
        "w": _side("h"),
        "h": _side("w"),
        "exact_resize": boolean(False, "With both `w` and `h`: exactly that size, even if that distorts."),
        "mask": boolean(False, "Deliver the alpha matte alone, as a grey image (white = subject)."),
        "bg_color": {
            "type": "string",
            "description": "`#RGB`, `#RGBA`, `#RRGGBB`, `#RRGGBBAA` (the `#` may be missing) or a CSS colour name, in "
            "sRGB whatever profile the image has. The subject is composited over it; a translucent colour gives a "
            "translucent result. Not together with `mask`.",
            "example": "",
        },
        "angle": {
            "type": "number",
            "minimum": -360,
            "maximum": 360,
            "default": 0,
            "description": "Degrees, counter-clockwise.",
        },
        "expand": boolean(
            True, "Grow the canvas so that a rotated image is not cropped; `false` keeps the canvas and crops."
        ),
        "model": {
            "type": "string",
            "description": "The model that makes the matte: a name that `GET /api/models` lists, or one with its version, "
            "such as `u2net@8d10d2f3bb75`, which another default never changes. Empty: the default.",
            "example": "",
        },
        **FINISHING,
        "bg_image": BACKGROUND_IMAGE,
        "return_base64": boolean(False, "Accepted for compatibility; changes nothing: the answer is the image itself."),
    },
}


# Without a file, a plain form is enough.
FORM_OF_AN_ADDRESS = {
    "type": "object",
    "required": ["image_url"],
    "properties": {name: field for name, field in FORM["properties"].items() if name not in ("image", "bg_image")},
}


def _each(problems: Iterable[Problem]) -> list[ApiError]:
    return [validation_error([problem]) for problem in problems]


def _wrong(**fields: str) -> list[Problem]:
    return parse_options(fields)[1]


PROBLEMS = _wrong(w="abc", angle="500")
OF_A_FILE = [
    find_early_problem("picture.exe", 1),
    INVALID_IMAGE,
    find_size_problem(0),
    find_size_problem(int(55.2 * MEBIBYTE)),
    *find_side_problems(12000, 15000),
]
OF_DECODING = [TOO_MANY_SCANS, TOO_MANY_SEGMENTS, TOO_MANY_CODES, too_slow(settings.IMAGING_SECONDS)]
OF_OPTIONS = [
    *PROBLEMS,
    *_wrong(w="-5"),
    *_wrong(w="15000"),
    *check_sizes((1000, 3000), CutoutOptions(width=9000)),
    *_wrong(angle="ninety"),
    *_wrong(format="gif"),
    *_wrong(bg_color="#12345"),
    *_wrong(mask="maybe"),
    *_wrong(mask="true", bg_color="red"),
    *models.find_problems("fastest", ["u2net", "u2netp"]),
    *models.find_problems("u2net@000000000000", ["u2net"]),
    *_wrong(shadow="long"),
    *_wrong(crop_margin="1em"),
    *_wrong(position="1 2 3"),
    *_wrong(roi="10% 0 10% 100%"),
    *check_sizes((1000, 3000), CutoutOptions(roi=((0, "px"), (0, "px"), (2000, "px"), (3000, "px")))),
    *_wrong(fit="pad"),
    *_wrong(bg_color="red", bg_blur="20"),
]
OF_AN_ADDRESS = [
    image_url.TWO_IMAGES,
    image_url.invalid("it must begin with http:// or https://"),
    image_url.forbidden("its host has no public address"),
    image_url.too_many_redirects(),
    image_url.unreachable(),
    image_url.timed_out(),
    image_url.no_image(404),
    image_url.compressed("gzip"),
    image_url.too_large(),
    image_url.SWITCHED_OFF,
]
BAD_REQUESTS = [
    *_each([NO_IMAGE, NO_FILE_CHOSEN]),
    *_each(problem for problem in OF_A_FILE if problem),
    *_each([*OF_DECODING, *OF_OPTIONS, *OF_AN_ADDRESS]),
    validation_error(PROBLEMS),
    ApiError("two_credentials"),
    malformed_form(BROKEN_OFF),
    ApiError("invalid_idempotency_key"),
]
# The responses other than an image, per status: its meaning, and each of its errors. The documentation's table of errors is
# generated from this too.
ERRORS: dict[int, tuple[str, list[ApiError]]] = {
    400: ("Something about the request is wrong. All field problems are reported at once.", BAD_REQUESTS),
    401: ("The key or token is unknown, revoked or expired.", [ApiError("invalid_api_key")]),
    403: ("The owner's e-mail address is not verified.", [ApiError("email_not_verified")]),
    405: ("Only POST is possible here.", [from_status(405)]),
    409: (
        "The `Idempotency-Key` stands for another request, its first try is still running, or it was retried too often.",
        [
            ApiError("idempotency_key_reused"),
            ApiError("idempotency_in_progress"),
            ApiError("idempotency_key_used_up", retries=MAX_REPLAYS),
        ],
    ),
    413: ("The form is far too large.", [from_status(413)]),
    415: ("The body is not a form, or packed in an unknown way.", [from_status(415), unsupported_coding()]),
    429: (
        "A limit is reached; `code` says which. Only `rate_limited` is over within a minute.",
        [
            ApiError("rate_limited", retry_after=30),
            ApiError("daily_limit_reached", retry_after=3600),
            ApiError("monthly_limit_reached", retry_after=3600),
            ApiError("key_limit_reached", retry_after=3600),
        ],
    ),
    500: ("Our fault.", [from_status(500)]),
    503: (
        "Every processing slot and queue place is taken, the database is away, or the request took longer than its credit "
        "could be held.",
        [busy_error(), ApiError("service_unavailable"), ApiError("hold_expired")],
    ),
}

FOREGROUND = (
    "Left edge of the subject, in pixels of the delivered image; of a cropped one, in those of the uncropped image at its "
    "scale. Alpha below 4 % does not count."
)
FOREGROUND_HEADERS = [
    response_header("X-Foreground-Left", FOREGROUND, [200], int),
    response_header("X-Foreground-Top", "The same: its top.", [200], int),
    response_header("X-Foreground-Width", "The same: its width; 0 where there is no subject.", [200], int),
    response_header("X-Foreground-Height", "The same: its height.", [200], int),
]
HEADERS = [
    OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": 255},
        OpenApiParameter.HEADER,
        description="A key of your own for this picture. A retry with the same key, picture and options within 24 hours is "
        "charged once, and delivered 10 times again at most. Visible ASCII; without meaning for anonymous callers.",
    ),
    response_header("X-Request-Id", "Unique per request, also in our logs. A valid one of the caller's is kept.", ALL),
    response_header("Content-Disposition", 'inline; filename="<input stem>-no-bg.<ext>"', [200]),
    response_header("X-Width", "Width of the delivered image in pixels.", [200], int),
    response_header("X-Height", "Height of the delivered image in pixels.", [200], int),
    *FOREGROUND_HEADERS,
    response_header("X-Credits-Charged", "1, or 0 for an anonymous call and for the retry of a delivered one.", [200], int),
    response_header("X-Model", X_MODEL, [200]),
    response_header("X-Confidence", X_CONFIDENCE, [200], float),
    response_header("Server-Timing", "queue, decode, inference, compose, encode and total, in milliseconds.", [200]),
    response_header("RateLimit", "The limits that apply to this caller as they stand (IETF draft).", LIMITED),
    response_header("RateLimit-Policy", "The limits that apply to this caller (IETF draft).", LIMITED),
    response_header("Retry-After", "Seconds after which to try again.", [409, 429, 503], int),
    response_header("WWW-Authenticate", "The credentials that are accepted.", [401]),
]

_picture = OpenApiResponse(OpenApiTypes.BINARY, "The picture itself, whatever options are sent.")
RESPONSES: dict[Any, Any] = {
    **{(200, media_type): _picture for media_type in MEDIA_TYPES.values()},
    **{status: errors(meaning, *examples) for status, (meaning, examples) in ERRORS.items()},
}

DESCRIPTION = """
Send one picture as `multipart/form-data`, or the address of one as `image_url`, and receive the cutout: the response body is
the image, never JSON.

Order of work: upright by EXIF → `roi` → cut out → edge colours → rotate → `crop`, or `scale` and `position` → resize →
shadow → background → encode. So `w`, `h` and `exact_resize` describe the image that is delivered, rotated or not. With
`crop` and `scale` both, the crop decides the canvas, and the scale only its resolution. An input's own transparency and ICC
profile are kept (a bmp, which has no room for a profile, is delivered in sRGB); EXIF, GPS and all other metadata are
dropped. Unknown fields are ignored. The body may come with `Content-Encoding: gzip` or `deflate`.

The picture and the result are removed from the server once the response has been read.

A delivered picture costs one credit; no error is ever charged. Without a credential the call is anonymous, free and bound by
a daily allowance. Whatever goes wrong, quote the `X-Request-Id` of the answer.

Several problems of one request come in one answer, with `code` `validation_error` and one entry of `details` each.
"""


def rmbg_schema(view: Callable[..., Any]) -> Callable[..., Any]:
    """Describe the decorated view."""
    return extend_schema(
        operation_id="removeBackground",
        summary="Remove the background of one image",
        description=DESCRIPTION,
        tags=["Images"],
        parameters=HEADERS,
        request={"multipart/form-data": FORM, "application/x-www-form-urlencoded": FORM_OF_AN_ADDRESS},
        responses=RESPONSES,
    )(view)
