"""Bodies with a Content-Encoding: unpacked within the limits of every upload, or refused."""

import gzip
import random
import zlib

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client

from billing.models import Hold
from imaging.batches import upload
from imaging.core.codecs.checks import MAX_BYTES
from imaging.removal import codings
from imaging.removal.upload import MAX_PLAIN_BYTES
from lib.web.errors import ApiError
from tests.imaging.removal.forms import form, part, read_batch, read_form
from tests.imaging.removal.test_upload import HEAD, MEGABYTE, MULTIPART, PLAIN, TAIL, Stream, request


def compress(data: bytes) -> bytes:
    """A gzip file without a timestamp: test parameters must be the same in each process that collects them."""
    return gzip.compress(data, mtime=0)


def deflated(data: bytes, bits: int, level: int = -1) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, bits)
    return packer.compress(data) + packer.flush()


NOISE = random.Random(1).randbytes(600_000)  # noqa: S311
BODY = part('name="format"', b"png") + HEAD + NOISE + TAIL
PACKED = [
    ("gzip", compress(BODY)),
    ("x-gzip", compress(BODY)),
    (" GZip", compress(BODY)),
    ("gzip", compress(BODY[:1000]) + compress(BODY[1000:]) + bytes(700)),
    ("deflate", zlib.compress(BODY)),
    ("deflate", deflated(BODY, -15)),
    ("identity", BODY),
    ("", BODY),
    # Values that some clients mistake for a coding.
    ("utf-8", BODY),
    ("ISO-8859-1", BODY),
    ("binary", BODY),
]


def packed(body: bytes, coding: str, content_type: str = MULTIPART, piece: int = MEGABYTE) -> WSGIRequest:
    made = request(Stream(body[at : at + piece] for at in range(0, len(body), piece)), len(body), content_type)
    made.META["HTTP_CONTENT_ENCODING"] = coding
    return made


def refused(body: bytes, coding: str = "gzip", content_type: str = MULTIPART) -> ApiError:
    with pytest.raises(ApiError) as refusal, read_form(packed(body, coding, content_type)):
        pass
    return refusal.value


@pytest.mark.parametrize("piece", [997, 2**30])
@pytest.mark.parametrize(("coding", "body"), PACKED)
def test_a_packed_form(coding, body, piece):
    with read_form(packed(body, coding, piece=piece)) as read:
        assert read == {"format": "png"}
        assert read.image is not None
        read.image.file.seek(0)
        assert read.image.file.read() == NOISE


@pytest.mark.parametrize("bits", [31, 15, -15])
def test_a_packed_form_that_comes_byte_by_byte(bits):
    body = deflated(part('name="w"', b"5" * 300) + TAIL[2:], bits)
    with read_form(packed(body, "gzip" if bits == 31 else "deflate", piece=1)) as read:
        assert read == {"w": "5" * 300}


@pytest.mark.parametrize(("coding", "body"), [("gzip", compress(b"w=5&h=6")), ("deflate", zlib.compress(b"w=5&h=6"))])
def test_a_packed_plain_form(coding, body):
    with read_form(packed(body, coding, PLAIN)) as read:
        assert read == {"w": "5", "h": "6"}


def test_a_packed_batch():
    with read_batch(packed(compress(BODY), "gzip")) as read:
        assert [(entry.name, entry.size) for entry in read.entries] == [("a.png", len(NOISE))]


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip;q=1", "aws-chunked", "base64"])
def test_other_codings_are_not_supported(coding):
    error = refused(BODY, coding)
    assert (error.status, error.code) == (415, "unsupported_media_type")
    assert "Content-Encoding" in error.message
    assert error.headers["Accept-Encoding"] == "gzip, deflate"


WHOLE = compress(BODY)


@pytest.mark.parametrize(
    "body",
    [WHOLE[:-1], WHOLE[:-9], WHOLE[:300_000], WHOLE[:5], WHOLE + b"more", b"no gzip", BODY,
     WHOLE[:9] + b"\xff" * 9 + WHOLE[18:], WHOLE[:-8] + bytes(8), compress(b"") * 5000 + WHOLE],
    ids=["a byte short", "no end", "half", "a head", "more", "text", "not packed", "damaged", "checksum", "members"],
)  # fmt: skip
@pytest.mark.parametrize("content_type", [MULTIPART, PLAIN])
def test_what_is_no_gzip_is_said_to_be_none(body, content_type):
    error = refused(body, content_type=content_type)
    assert (error.status, error.code) in ((400, "malformed_form"), (413, "payload_too_large"))
    if error.status == 400:
        assert error.message.startswith("The form data could not be read: its gzip data ")
    assert content_type == PLAIN or error.status == 400


def test_nothing_is_a_packed_nothing():
    with read_form(packed(b"", "gzip", PLAIN)) as read:
        assert read.image is None


def bomb(megabytes: int) -> bytes:
    return gzip.compress(HEAD + bytes(megabytes * MEGABYTE) + TAIL, 6)


def noise(megabytes: int) -> bytes:
    """A packed form with an incompressible image."""
    return deflated(HEAD + NOISE[:512] * (megabytes * 2048) + TAIL, 31, level=0)


def test_an_image_that_is_too_large_unpacked_is_refused_as_any_other():
    with read_form(packed(noise(51), "gzip")) as read:
        assert read.image is not None
        assert read.image.size == 51 * MEGABYTE
        assert read.image.file.seek(0, 2) == 0, "nothing of it is kept"


@pytest.mark.parametrize(("body", "status"), [(noise(120), None), (bomb(200), 413)], ids=["noise", "zeros"])
def test_no_more_is_unpacked_than_an_upload_may_have(monkeypatch, body, status):
    unpacked = 0
    count = codings._Inflating._count

    def counted(self, size):
        nonlocal unpacked
        unpacked += size
        count(self, size)

    monkeypatch.setattr(codings._Inflating, "_count", counted)
    if status is None:
        with read_form(packed(body, "gzip")) as read:
            assert read.image is not None
            assert read.image.size > MAX_BYTES
    else:
        assert refused(body).status == status
    # The image and one for its background.
    assert unpacked <= 2 * MAX_BYTES + MAX_PLAIN_BYTES + MEGABYTE


def test_a_form_that_unpacks_to_a_huge_text():
    assert refused(gzip.compress(part('name="w"', bytes(120 * MEGABYTE)) + TAIL[2:])).status == 413
    assert refused(deflated(part('name="w"', NOISE * 200) + TAIL[2:], 31, 0)).status == 413
    assert refused(gzip.compress(b"w=" + bytes(60 * MEGABYTE)), content_type=PLAIN).status == 413


def test_a_batch_that_unpacks_to_far_more_than_images_do(monkeypatch):
    monkeypatch.setattr(codings, "_MAX_EXCESS", 5 * MEGABYTE)
    for body in (bomb(8), gzip.compress((HEAD + bytes(MEGABYTE) + b"\r\n") * 10 + TAIL[2:])):
        with pytest.raises(ApiError) as refusal, read_batch(packed(body, "gzip")):
            pass
        assert (refusal.value.status, refusal.value.code) == (413, "payload_too_large")
    with read_batch(packed(bomb(4), "gzip")) as read:
        assert read.entries[0].size == 4 * MEGABYTE


def test_a_batch_that_unpacks_to_more_than_a_batch_may_have(monkeypatch):
    monkeypatch.setattr(upload, "MAX_TOTAL", 2 * MEGABYTE)
    monkeypatch.setattr(upload, "FRAMING_BYTES", MEGABYTE)
    with pytest.raises(ApiError) as refusal, read_batch(packed(bomb(4), "gzip")):
        pass
    assert (refusal.value.status, refusal.value.code) == (413, "batch_too_large")


def test_a_packed_call_is_served_and_charged_and_a_refused_one_is_not(key, quick_model, small_png):
    client = Client(headers={"x-api-key": key})
    sent = form(small_png, format="png")
    body, content_type = sent["data"], sent["content_type"]
    answer = client.post("/rmbg", gzip.compress(body), content_type=content_type, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.headers["X-Credits-Charged"] == "1"
    for coding, status in (("br", 415), ("gzip", 400)):
        answer = client.post("/rmbg", body, content_type=content_type, headers={"Content-Encoding": coding})
        assert answer.status_code == status
        assert answer.json()["status"] == status
    assert Hold.objects.count() == 1
