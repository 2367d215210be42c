"""The endpoints of `/v1.0/` in the OpenAPI document, and their errors for the documentation."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from imaging.compat.errors import shape
from imaging.compat.fields import KINDS, parse_fields
from imaging.compat.sizes import MEGAPIXELS
from imaging.core.codecs.checks import MAX_SIDE, MEBIBYTE, find_side_problems, find_size_problem
from imaging.core.geometry import check_sizes
from imaging.core.options import CutoutOptions
from imaging.core.problems import Problem
from imaging.core.two_files import ZIP_TYPE
from imaging.problems import make_problem
from imaging.removal import image_url
from imaging.removal.errors import busy_error, malformed_form
from imaging.removal.finishing_fields import boolean
from imaging.removal.upload import BROKEN_OFF
from lib.outbound.urls import MAX_URL
from lib.web.errors import ApiError, from_status, validation_error
from lib.web.openapi import response_header

TAG = "Compatible with remove.bg"
CONSENT = (
    "By sending an image to this endpoint you state that you own it, and you agree that the operator of this service keeps "
    "it and uses it to find and correct faults, and to train models."
)


class CompatErrorEntrySerializer(serializers.Serializer[object]):
    """One thing that is wrong."""

    title = serializers.CharField(help_text="What is wrong, in few words.")
    code = serializers.CharField(help_text="What is wrong, for machines.")
    detail = serializers.CharField(required=False, help_text="What is wrong, and what to do about it.")


class CompatErrorSerializer(serializers.Serializer[object]):
    """Every error under `/v1.0/`."""

    errors = CompatErrorEntrySerializer(many=True)  # type: ignore[assignment]  # a field; DRF takes it off the class


def _of(problem: Problem | None) -> ApiError:
    assert problem is not None  # noqa: S101 - of values that have one
    return validation_error([problem])


def _wrong(**fields: str) -> ApiError:
    return _of(parse_fields(fields, ())[1][0])


_IMAGE = "image_file"
ERRORS: dict[int, tuple[str, list[ApiError]]] = {
    400: (
        "Something about the request is wrong. Nothing was charged.",
        [
            ApiError("missing_source"),
            ApiError("multiple_sources"),
            _of(make_problem(_IMAGE, "invalid_file_type")),
            _of(find_size_problem(int(55.2 * MEBIBYTE))),
            _of(find_side_problems(12000, 100)[0]),
            _of(make_problem(_IMAGE, "invalid_dimensions")),
            _of(make_problem(_IMAGE, "unreadable_image")),
            ApiError("unknown_foreground"),
            _of(image_url.invalid("it must begin with http:// or https://")),
            _of(image_url.no_image(404)),
            _of(
                Problem("bg_image_url", "image_url_forbidden", "'bg_image_url' is forbidden: its host has no public address")
            ),
            _of(Problem("bg_image_url", "image_url_failed", image_url.no_image(404).message)),
            _wrong(bg_color="#12345"),
            _wrong(bg_color="red", bg_image_url="https://example.com/a.jpg"),
            _wrong(size="huge"),
            _wrong(channels="cmyk"),
            _wrong(format="gif"),
            _wrong(roi="1em 0 0 0"),
            _wrong(scale="5%"),
            _wrong(position="1 2 3"),
            _wrong(crop_margin="1em"),
            _wrong(semitransparency="maybe"),
            _wrong(shadow_type="long"),
            _of(check_sizes((100, 100), CutoutOptions(roi=((0, "px"), (0, "px"), (200, "px"), (100, "px"))))[0]),
            _wrong(roi="10% 0 10% 100%"),
            malformed_form(BROKEN_OFF),
        ],
    ),
    402: ("No credits are left, or the key has reached its cap.", [ApiError("monthly_limit_reached", retry_after=3600)]),
    403: (
        "The key is missing or not valid, or the owner's e-mail address is not verified.",
        [ApiError("missing_api_key"), ApiError("invalid_api_key"), ApiError("email_not_verified")],
    ),
    405: ("This method is not possible here.", [from_status(405)]),
    413: ("The body is far too large.", [from_status(413)]),
    415: ("The body is neither a form nor JSON.", [from_status(415)]),
    429: ("The limit of megapixels a minute is reached.", [ApiError("rate_limited", retry_after=30)]),
    500: ("Our fault.", [from_status(500)]),
    503: ("Every place is taken, or the database is away.", [busy_error(), ApiError("service_unavailable")]),
}


def _errors(*statuses: int) -> dict[Any, Any]:
    return {
        status: OpenApiResponse(
            CompatErrorSerializer,
            ERRORS[status][0],
            examples=[
                OpenApiExample(str(number), value=shape(error).body, response_only=True, media_type="application/json")
                for number, error in enumerate(ERRORS[status][1], 1)
            ],
        )
        for status in statuses
    }


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, "example": "", **more}


_FILE = {
    "type": "string",
    "format": "binary",
    "description": f"The image: jpg, png, webp or bmp; at most 50 MB and {MAX_SIDE} px a side. Its bytes decide.",
}
_SOURCES = {
    "image_file_b64": _text("Instead of `image_file`: the image in base64, with or without a `data:` prefix."),
    "image_url": _text("Instead of `image_file`: the public http or https address of the image.", maxLength=MAX_URL),
}
_PER_KIND = "For one kind of subject alone: a field such as `{name}[car]`, or in JSON an object by kind."
_FIELDS: dict[str, Any] = {
    "size": {
        "type": "string",
        "enum": [*(name for name in MEGAPIXELS if name != "50mp"), "50MP"],
        "default": "preview",
        "description": "The result's size at most: `preview`, `small` and `regular` 0.25 megapixels; `medium` 1.5; `hd` 4; "
        "`full` and `4k` 25; `50MP` 50; `auto` 25, or a preview without credits for more. A PNG has 10 at most.",
    },
    "type": {
        "type": "string",
        "enum": list(KINDS),
        "default": "auto",
        "description": "What the subject is, if you know it.",
    },
    "type_level": {
        "type": "string",
        "enum": ["none", "1", "2", "latest"],
        "default": "1",
        "description": "How fine `X-Type` is; `none`: no such header.",
    },
    "format": {
        "type": "string",
        "enum": ["auto", "png", "jpg", "webp", "zip"],
        "default": "auto",
        "description": "`auto`: png if the result has a transparent pixel, else jpg. `zip`: `color.jpg` and `alpha.png`.",
    },
    "roi": _text("Left, top, right, bottom of the region of interest, in px or %. All outside of it is background."),
    "crop": boolean(False, "Cut to the box of the subject."),
    "crop_margin": _text("With `crop`: 1, 2 or 4 margins, in px of the result or % of the subject; 500 px or 50 % at most."),
    "scale": _text("The subject's size, 10% to 100% of the canvas, or `original`. Centres it, unless `position` is sent."),
    "position": _text("`original`, `center`, or one or two percentages, across and down."),
    "channels": {
        "type": "string",
        "enum": ["rgba", "alpha"],
        "default": "rgba",
        "description": "`alpha`: the matte alone, as a grey image. A zip has both in any case.",
    },
    "add_shadow": boolean(False, "Old: the same as `shadow_type[car]=car`."),
    "shadow_type": _text(
        "`none`, `auto`, `drop`, `car` or `3D`; the last two are drawn where the subject meets the ground. "
        + _PER_KIND.format(name="shadow_type")
    ),
    "shadow_opacity": _text("0 to 100, or `auto`: 90 for cars, else 50. " + _PER_KIND.format(name="shadow_opacity")),
    "semitransparency": boolean(True, "Accepted; the matte is translucent wherever the model says so."),
    "bg_color": _text("Hexadecimal, 3, 4, 6 or 8 digits with or without `#`, or a CSS colour name."),
    "bg_image_url": _text("The address of an image to lay behind the subject.", maxLength=MAX_URL),
}
_BACKGROUND = {
    "type": "string",
    "format": "binary",
    "description": "An image to lay behind the subject. Only one `bg_` field.",
}


def _request(fields: dict[str, Any], **files: Any) -> dict[str, Any]:
    plain = {"type": "object", "properties": {**_SOURCES, **fields}}
    form = {"type": "object", "properties": {"image_file": _FILE, **_SOURCES, **fields, **files}}
    return {"multipart/form-data": form, "application/x-www-form-urlencoded": plain, "application/json": plain}


_REQUEST_ID = response_header("X-Request-Id", "Unique per request, also in our logs.", [200, *ERRORS])
_RETRY_AFTER = response_header("Retry-After", "Whole seconds after which to try again.", [429, 503], int)
_LIMITED = [200, 429]
_RATES = [
    response_header("X-RateLimit-Limit", "Megapixels of images that may be sent in a minute.", _LIMITED, int),
    response_header("X-RateLimit-Remaining", "What is left of them.", _LIMITED, int),
    response_header("X-RateLimit-Reset", "When all of them are there again, in Unix time.", _LIMITED, int),
]
_HEADERS = [
    OpenApiParameter(
        "Accept",
        str,
        OpenApiParameter.HEADER,
        description="`application/json` alone: the result as base64 in JSON. With `*/*` or an image type, and in all other "
        "cases: the image itself.",
    ),
    _REQUEST_ID,
    response_header("X-Type", "What the subject is, as the caller said, else `other`.", [200]),
    response_header("X-Width", "Width of the result in pixels.", [200], int),
    response_header("X-Height", "Height of the result in pixels.", [200], int),
    response_header("X-Max-Width", "The largest width in which this image can be had.", [200], int),
    response_header("X-Max-Height", "The same: height.", [200], int),
    response_header("X-Credits-Charged", "What it cost: `1`, `0.25`, or `0` for a free preview.", [200], float),
    *(
        response_header(f"X-Foreground-{side}", "The subject's box, at the result's scale, before any crop.", [200], int)
        for side in ("Top", "Left", "Width", "Height")
    ),
    *_RATES,
    _RETRY_AFTER,
]


class _ResultSerializer(serializers.Serializer[object]):
    result_b64 = serializers.CharField(help_text="The file in base64, without a `data:` prefix.")
    foreground_top = serializers.IntegerField()
    foreground_left = serializers.IntegerField()
    foreground_width = serializers.IntegerField()
    foreground_height = serializers.IntegerField()


class CompatResultSerializer(serializers.Serializer[object]):
    """A result as JSON."""

    data = _ResultSerializer()  # type: ignore[assignment]  # a field


class _CreditsSerializer(serializers.Serializer[object]):
    subscription = serializers.FloatField(help_text="What is left of the plan's credits.")
    payg = serializers.FloatField(help_text="Prepaid credits.")
    enterprise = serializers.FloatField(help_text="Always 0.")
    total = serializers.FloatField()


class _ApiSerializer(serializers.Serializer[object]):
    free_calls = serializers.IntegerField(help_text="Previews that cost nothing, left this month.")
    sizes = serializers.CharField(help_text="Always `all`.")


class _AttributesSerializer(serializers.Serializer[object]):
    credits = _CreditsSerializer()
    api = _ApiSerializer()


class _AccountSerializer(serializers.Serializer[object]):
    attributes = _AttributesSerializer()


class CompatAccountSerializer(serializers.Serializer[object]):
    """The balance of an account."""

    data = _AccountSerializer()  # type: ignore[assignment]  # a field


class CompatImproveSerializer(serializers.Serializer[object]):
    """An image that was kept."""

    id = serializers.UUIDField()


_file = OpenApiResponse(OpenApiTypes.BINARY, "The result itself.")
_RESULTS: dict[Any, Any] = {
    **{(200, media_type): _file for media_type in ("image/png", "image/jpeg", "image/webp", ZIP_TYPE)},
    (200, "application/json"): OpenApiResponse(CompatResultSerializer, "The result, where only JSON is accepted."),
}
_DESCRIPTION = """
Works as remove.bg's endpoint of this name: a program that was written for it needs no more than another host name and
one of our keys. Empty fields count as not sent, unknown ones are ignored. A preview costs a quarter of a
credit, any other result one.

Order of work: upright by EXIF → `roi` → matte → edge colours → resized to `size` → `scale` and `position` → `crop` →
shadow → background → format. With `crop` and `scale` both, the crop decides the canvas, and the scale only its resolution.
"""


def removebg_schema(view: Callable[..., Any]) -> Callable[..., Any]:
    """Describe the decorated view."""
    return extend_schema(
        operation_id="compatRemovebg",
        summary="Remove the background, as remove.bg does",
        description=_DESCRIPTION,
        tags=[TAG],
        parameters=_HEADERS,
        request=_request(_FIELDS, bg_image_file=_BACKGROUND),
        responses={**_RESULTS, **_errors(*ERRORS)},
    )(view)


def account_schema(view: Callable[..., Any]) -> Callable[..., Any]:
    """Describe the decorated view."""
    return extend_schema(
        operation_id="compatAccount",
        summary="The balance, as remove.bg shows it",
        tags=[TAG],
        parameters=[_REQUEST_ID, _RETRY_AFTER],
        responses={200: CompatAccountSerializer, **_errors(403, 405, 429, 500, 503)},
    )(view)


def improve_schema(view: Callable[..., Any]) -> Callable[..., Any]:
    """Describe the decorated view."""
    fields = {
        "image_filename": _text("The name of the image's file.", maxLength=255),
        "tag": _text("A text by which you group images.", maxLength=255),
    }
    answers = _errors(400, 403, 405, 413, 415, 429, 500, 503)
    off = OpenApiResponse(CompatErrorSerializer, "The operator collects no images, which is the default.")
    return extend_schema(
        operation_id="compatImprove",
        summary="Give the operator an image to learn from",
        description=f"{CONSENT} Off unless the operator has switched it on. Costs nothing.",
        tags=[TAG],
        parameters=[_REQUEST_ID, *_RATES, _RETRY_AFTER],
        request=_request(fields),
        responses={200: CompatImproveSerializer, 404: off, **answers},
    )(view)
