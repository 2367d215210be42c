"""The bodies of `/v1.0/removebg`: multipart, urlencoded, JSON; base64 that is decoded while it arrives."""

import base64
import contextlib
import io
import itertools
import json
import random
import tracemalloc
from typing import BinaryIO, cast
from urllib.parse import quote, quote_plus, urlencode

import pytest
from django.test import RequestFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.compat.bodies import MAX_TEXT_BYTES, FieldReader, read_json, read_urlencoded
from imaging.compat.encoded import EncodedImage
from imaging.compat.forms import CompatParser
from imaging.core.codecs.checks import MAX_BYTES
from imaging.removal.forms import ImageFile
from imaging.removal.refusals import BodyTooLarge, MalformedForm
from tests.imaging.compat.conftest import Answer, blank
from tests.imaging.removal.forms import BOUNDARY, part
from tests.imaging.removal.test_upload import Stream

IMAGE = blank(20, 10)
TEXT = base64.b64encode(IMAGE).decode()


class Fields(FieldReader):
    """All fields of a body; the streamed one is joined."""

    def __init__(self):
        super().__init__()
        self.texts, self.pieces = {}, []

    def is_streamed(self, name):
        return name == "image_file_b64"

    def begin_text(self, name):
        self.pieces.append([])

    def take_piece(self, data):
        self.pieces[-1].append(data)

    def end_text(self):
        self.texts["image_file_b64"] = b"".join(self.pieces[-1]).decode()

    def take_text(self, name, text):
        self.texts[name] = text

    def begin_file(self, filename): ...
    def take_bytes(self, data): ...
    def end_file(self): ...


def dripping(body, sizes):
    """A `read` that returns as many bytes as `sizes` say, in turn."""
    stream, turn = io.BytesIO(body), iter(sizes)
    return lambda size: stream.read(min(size, next(turn, 7)))


def fields_of(read_body, body, sizes=()):
    fields = Fields()
    read_body(dripping(body, sizes), fields)
    return fields.texts


pieces = st.lists(st.integers(1, 40), max_size=200)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.dictionaries(texts, texts | st.booleans() | st.integers() | st.none(), max_size=6), pieces, st.booleans())
def test_json_of_any_pieces(members, sizes, escaped):
    members = {name: value for name, value in members.items() if name != "image_file_b64"} | {"image_file_b64": TEXT}
    body = json.dumps(members, ensure_ascii=escaped).replace("/", "\\/" if escaped else "/").encode()
    expected = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in members.items() if value is not None
    }
    assert fields_of(read_json, body, sizes) == expected


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.dictionaries(texts.filter(bool), texts, max_size=6), pieces, st.sampled_from([quote, quote_plus]))
def test_urlencoded_of_any_pieces(fields, sizes, escape):
    fields = {name: value for name, value in fields.items() if name != "image_file_b64"} | {"image_file_b64": TEXT}
    body = urlencode(fields, quote_via=escape).encode()
    assert fields_of(read_urlencoded, body, sizes) == fields


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.binary(min_size=1, max_size=300), pieces, st.sampled_from(["", "data:image/png;base64,"]), st.booleans())
def test_base64_of_any_pieces(data, sizes, prefix, is_for_addresses):
    encode = base64.urlsafe_b64encode if is_for_addresses else base64.encodebytes
    file = io.BytesIO()
    image = ImageFile("x", file)
    decoder, text = EncodedImage(image), prefix.encode() + encode(data)
    at = 0
    for size in [*sizes, len(text)]:
        decoder.take(text[at : at + size])
        at += size
    decoder.end()
    assert (file.getvalue(), image.size, decoder.is_damaged) == (data, len(data), False)


@pytest.mark.parametrize("text", ["====", "AAA=AAAA", "AA*A", "\xff", "A", "data:,AA==AA"])
def test_text_that_is_not_base64(text):
    image = ImageFile("x", io.BytesIO())
    decoder = EncodedImage(image)
    decoder.take(text.encode("latin-1"))
    decoder.end()
    assert decoder.is_damaged


def test_no_more_than_the_limit_is_kept():
    file = io.BytesIO()
    image = ImageFile("x", file)
    decoder = EncodedImage(image)
    piece = b"AAAA" * 256 * 1024
    for _ in range(80):
        decoder.take(piece)
    decoder.end()
    assert image.size > MAX_BYTES
    assert not file.getvalue()


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{", b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,}', b"{a:1}", b'{"a":1}x', b'{"a":1 2}', b'{"a":[1}',
     b'{"image_file_b64":"AAAA', b'{"image_file_b64":"AAAA"', b'{"a":"\\q"}', b'{"a":' + b"[" * 9, b"null", b'"x"',
     b'{"a":' + b"1" * 5000 + b"}", b'{"a" "b"}', b"\xff\xfe{}", b'{1:2}', b'{"a":tru}'],
)  # fmt: skip
def test_json_that_is_none(body):
    with pytest.raises(MalformedForm):
        fields_of(read_json, body)


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (read_json, b"{" + b",".join(b'"a":"' + b"x" * 9000 + b'"' for _ in range(8)) + b"}"),
        (read_json, b" " * (2 * MAX_TEXT_BYTES)),
        (read_json, b'{"a":[' + b"1," * MAX_TEXT_BYTES + b"1]}"),
        (read_urlencoded, b"&".join(b"a=" + b"x" * 9000 for _ in range(8))),
        (read_urlencoded, b"x" * (2 * MAX_TEXT_BYTES)),
        (read_urlencoded, b"&" * (2 * MAX_TEXT_BYTES)),
    ],
)
def test_more_text_than_any_request_needs(read, body):
    with pytest.raises((BodyTooLarge, MalformedForm)):
        fields_of(read, body, [MAX_TEXT_BYTES // 3] * 40)


def test_a_long_value_of_an_unknown_field_is_dropped():
    long = "x" * 20_000 + '\\"é' * 20_000
    body = json.dumps({"image_base64": long, "size": "auto"}).encode()
    fields = fields_of(read_json, body, [1000] * 10_000)
    assert (fields["size"], len(fields["image_base64"])) == ("auto", 8192)
    form = urlencode({"image_base64": long, "size": "auto"}).encode()
    fields = fields_of(read_urlencoded, form, [1000] * 10_000)
    assert (fields["size"], fields["image_base64"][:9]) == ("auto", "xxxxxxxxx")
    cut = json.dumps({"a": "x" * 16_380 + '"' * 9, "b": "y" * 16_382 + "é" * 99, "size": "auto"}).encode()
    assert fields_of(read_json, cut)["size"] == "auto"


def test_random_bytes_are_refused_or_read_but_raise_nothing_else():
    source = random.Random(19)  # noqa: S311 - no secret
    alphabet = b'{}[]",:\\ux&=%+ 01a\n'
    for _ in range(3000):
        body = bytes(source.choice(alphabet) for _ in range(source.randrange(40)))
        for read in (read_json, read_urlencoded):
            with contextlib.suppress(MalformedForm, BodyTooLarge):
                fields_of(read, body if read is read_urlencoded else b"{" + body)


def test_values_of_json():
    body = {"crop": True, "type_level": 2, "scale": None, "shadow_type": {"car": "car", "x": {"y": 1}}, "roi": [1, 2]}
    assert fields_of(read_json, json.dumps(body).encode()) == {
        "crop": "true", "type_level": "2", "shadow_type[car]": "car", "roi": "[1, 2]",
    }  # fmt: skip
    assert fields_of(read_json, b"") == {}
    assert fields_of(read_json, b'\xef\xbb\xbf {"a":"\\ud800"}') == {"a": "?"}


# --- On the endpoint


@pytest.fixture
def post(client, key, premium, quick_model):
    def send(body, content_type, **headers):
        sent = {"x-api-key": key, **headers}
        return Answer(client.post("/v1.0/removebg", body, content_type=content_type, headers=sent))

    return send


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_json(post, content_type):
    answer = post(json.dumps({"image_file_b64": TEXT, "crop": False, "size": "full", "channels": None}), content_type)
    assert answer.image.size == (20, 10)


def test_shadows_by_kind_in_json(post):
    for shadow in ({"shadow_type": {"car": "long"}}, {"shadow_type[car]": "long"}):
        assert post(json.dumps({"image_file_b64": TEXT, **shadow}), "application/json").codes == ["invalid_parameter"]


@pytest.mark.parametrize("text", [TEXT, f"data:image/png;base64,{TEXT}", quote(TEXT, safe=""), TEXT.rstrip("=")])
def test_urlencoded(post, text):
    assert post(f"size=full&image_file_b64={text}", "application/x-www-form-urlencoded").image.size == (20, 10)


def test_base64_in_multipart(post):
    body = part('name="size"', b"") + part('name="image_file_b64"', base64.encodebytes(IMAGE)) + f"--{BOUNDARY}--".encode()
    assert post(body, f"multipart/form-data; boundary={BOUNDARY}").image.size == (20, 10)


def multipart(*parts):
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return body, f"multipart/form-data; boundary={BOUNDARY}"


@pytest.mark.parametrize(
    "head",
    ['name="image_file"', 'name="image_file"; filename="image_file"', 'name="image_file"; filename="a.exe"',
     'name="image_file"; filename=""', 'name="image_file"; filename="blob"\r\nContent-Type: image/jpeg',
     'name="image_file"; filename="x"\r\nContent-Type: text/plain'],
)  # fmt: skip
def test_a_file_is_not_judged_by_its_name_or_type(post, head):
    assert post(*multipart(part(head, IMAGE))).image.size == (20, 10)


def test_empty_means_unset_and_unknown_is_ignored(post):
    """As remove.bg's own browser demo and command line send it."""
    empty = [part(f'name="{name}"', b"") for name in ("image_url", "size", "type", "roi", "bg_color", "shadow_type", "crop")]
    file = part('name="image_file"; filename=""\r\nContent-Type: application/octet-stream', b"")
    mine = part('name="image_file"; filename="a.png"', IMAGE)
    unknown = part('name="api_key"', b"secret")
    nothing = part('name="bg_image_file"; filename=""', b"")
    assert post(*multipart(*empty, file, unknown, nothing, mine)).image.size == (20, 10)
    assert post(*multipart(*empty, file, unknown)).codes == ["missing_source"]


def test_a_large_image_as_base64_is_refused_with_its_size(post):
    body = b'{"image_file_b64":"' + b"AAAA" * (18 * 1024**2) + b'"}'
    [error] = post(body, "application/json").errors
    assert (error["code"], "54.0 MB" in error["detail"]) == ("file_too_large", True)


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{}", "application/json", "missing_source"),
        (b"", "application/json", "missing_source"),
        (b"", "", "missing_source"),
        (b'{"image_file_b64":"!!!"}', "application/json", "failed_to_read_image"),
        (b'{"image_file_b64":17}', "application/json", "failed_to_read_image"),
        (b'{"image_file_b64":"', "application/json", "malformed_form"),
        (b"image_base64=" + TEXT.encode(), "application/x-www-form-urlencoded", "missing_source"),
    ],
)
def test_bodies_that_are_refused(post, body, content_type, code):
    answer = post(body, content_type)
    assert (answer.status, answer.codes) == (400, [code])


def test_no_file_is_left_open(post, monkeypatch):
    """Also of what is refused: warnings about unclosed files are errors here."""
    for body in (b'{"image_file_b64":"' + TEXT.encode(), b'{"image_file_b64":"' + TEXT.encode() + b'","image_url":"x"}'):
        assert post(body, "application/json").status == 400


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_the_text_is_never_in_memory(content_type):
    """40 MB of base64 pass through a few pieces of it."""
    pieces = 160
    start, end = (b'{"image_file_b64":"', b'"}') if "json" in content_type else (b"image_file_b64=", b"")
    body = itertools.chain([start], itertools.repeat(b"QUJD" * 64 * 1024, pieces), [end])
    stream = Stream(body)
    made = RequestFactory().generic("POST", "/v1.0/removebg", b"x", content_type=content_type)
    made.META["CONTENT_LENGTH"] = str(len(start) + pieces * 4 * 64 * 1024 + len(end))
    made._stream = cast(BinaryIO, stream)
    tracemalloc.start()
    try:
        with CompatParser().parse(None, parser_context={"request": made}) as form:
            peak = tracemalloc.get_traced_memory()[1]
            assert form.images["image_file_b64"].size == pieces * 3 * 64 * 1024
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024**2
