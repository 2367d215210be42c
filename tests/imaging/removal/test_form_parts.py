"""The parts of a form as written by browsers and the libraries of many languages."""

import base64
import binascii

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client

from imaging.core.codecs.checks import MAX_BYTES
from imaging.removal import part_heads
from imaging.removal.upload import Form, ImageFile
from lib.web.errors import ApiError
from tests.imaging.removal.forms import read_batch, read_form
from tests.imaging.removal.test_upload import BOUNDARY, MEGABYTE, MULTIPART, Stream, request

END = f"--{BOUNDARY}--\r\n".encode()
QUOTED = "Content-Transfer-Encoding: quoted-printable"
BASE64 = "Content-Transfer-Encoding: base64"
CYRILLIC, GERMAN, JAPANESE = "фото.jpg", "Bücher.jpg", "写真表.jpg"


def part(disposition: str | bytes, content: bytes, *headers: str) -> bytes:
    raw = disposition if isinstance(disposition, bytes) else disposition.encode()
    lines = [b"--" + BOUNDARY.encode(), b"Content-Disposition: form-data; " + raw, *(line.encode() for line in headers)]
    return b"\r\n".join([*lines, b"", b""]) + content + b"\r\n"


def asked(body: bytes, content_type: str = MULTIPART, piece: int = 2**30) -> WSGIRequest:
    pieces = (body[at : at + piece] for at in range(0, len(body), piece))
    return request(Stream(pieces), len(body), content_type)


def parse(*parts: bytes, content_type: str = MULTIPART, piece: int = 2**30) -> Form:
    with read_form(asked(b"".join(parts) + END, content_type, piece)) as form:
        return form


def read_image(*parts: bytes, content_type: str = MULTIPART, piece: int = 2**30) -> tuple[str, bytes]:
    """Name and content of the image of a form; it must have one."""
    with read_form(asked(b"".join(parts) + END, content_type, piece)) as form:
        picture: ImageFile | None = form.image
        assert picture is not None
        picture.file.seek(0)
        return picture.name, picture.file.read()


def refused(*parts: bytes, content_type: str = MULTIPART) -> ApiError:
    with pytest.raises(ApiError) as refusal:
        parse(*parts, content_type=content_type)
    return refusal.value


# --- Text and files -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", '; filename="format"', '; filename=""', "; filename*=utf-8''blob"])
@pytest.mark.parametrize(
    "headers",
    [(), ("Content-Type: application/octet-stream",), ("Content-Type: image/png",), ("Content-Type: text/plain",),
     ("Content-Type: application/json", "Content-Transfer-Encoding: 8bit"), ("Content-Length: 3",)],
)  # fmt: skip
def test_a_text_field_is_one_whatever_it_says_of_itself(suffix, headers):
    form = parse(part('name="format"' + suffix, b"png", *headers), part('name="image"; filename="a.png"', b"x"))
    assert form == {"format": "png"}


STARTS = [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n1234", b"RIFF1234WEBP5678", b"BM12"]


@pytest.mark.parametrize("piece", [1, 2**30])
@pytest.mark.parametrize("content", STARTS)
@pytest.mark.parametrize("headers", [(), ("Content-Type: text/plain; charset=utf-8",), ("Content-Type: image/jpeg",)])
def test_an_image_is_a_file_without_a_file_name(headers, content, piece):
    assert read_image(part('name="image"', content, *headers), piece=piece) == ("blob", content)
    encoded = part('name="image"', base64.b64encode(content), BASE64, *headers)
    assert read_image(encoded, piece=piece) == ("blob", content)


@pytest.mark.parametrize("content", [b"", b"hello", b"https://example.com/a.png", "写真です".encode()])
@pytest.mark.parametrize("headers", [(), ("Content-Type: text/plain",)])
def test_a_text_in_the_field_of_the_image_is_no_file(headers, content):
    assert parse(part('name="image"', content, *headers)).image is None
    image = parse(part('name="image"', content, "Content-Type: application/octet-stream")).image
    assert image is not None
    assert image.size == len(content)


def test_a_zip_is_a_file_without_a_file_name():
    with pytest.raises(ApiError) as refusal, read_batch(asked(part('name="zip"', b"PK\x03\x04 but damaged") + END)):
        pass
    assert refusal.value.code == "invalid_zip"
    with pytest.raises(ApiError) as refusal, read_batch(asked(part('name="zip"', b"no zip") + END)):
        pass
    assert refusal.value.code == "missing_image"


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("utf-16", "utf-16-le"), ("UTF-16BE", "utf-16-be"), ("iso-8859-1", "latin-1"), ("Shift_JIS", "cp932"),
     ("windows-1251", "utf-8"), ("no-such", "utf-8"), ("x" * 200, "utf-8")],
)  # fmt: skip
def test_a_text_in_the_charset_that_its_part_names(charset, encoding):
    text = "é" if encoding == "latin-1" else "写"
    form = parse(part('name="note"', text.encode(encoding), f"Content-Type: text/plain; charset={charset}"))
    assert form == {"note": text}


# --- Two inputs -----------------------------------------------------------------------------------

EMPTY = part('name="image"; filename=""', b"", "Content-Type: application/octet-stream")
NAMED_EMPTY = part('name="image"; filename="e.png"', b"")
FULL = part('name="image"; filename="a.png"', b"first")
SECOND = part('name="image"; filename="b.png"', b"second")


@pytest.mark.parametrize(
    ("parts", "name", "size"),
    [((EMPTY, FULL), "a.png", 5), ((FULL, EMPTY), "a.png", 5), ((EMPTY, EMPTY, FULL, SECOND), "a.png", 5),
     ((NAMED_EMPTY, FULL), "a.png", 5), ((NAMED_EMPTY, EMPTY), "e.png", 0), ((EMPTY,), "", 0), ((EMPTY, EMPTY), "", 0)],
)  # fmt: skip
def test_the_first_image_input_that_holds_something_counts(parts, name, size):
    image = parse(*parts).image
    assert image is not None
    assert (image.name, image.size, image.file.closed) == (name, size, True)


def test_empty_inputs_of_a_batch_are_left_out():
    with read_batch(asked(EMPTY + part('name="image"', b"") + FULL + END)) as form:
        assert [entry.name for entry in form.entries] == ["a.png"]


# --- Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        # Raw bytes: browsers and curl, PHP and Java on Windows.
        (f'name="image"; filename="{CYRILLIC}"'.encode(), CYRILLIC),
        (f'name="image"; filename="{GERMAN}"'.encode("latin-1"), GERMAN),
        ('name="image"; filename="L’été – 5 €.jpg"'.encode("cp1252"), "L’été – 5 €.jpg"),
        ('name="image"; filename="créée à l’école.jpg"'.encode("cp1252"), "créée à l’école.jpg"),
        ('name="image"; filename="Smørrebrød Ærø.png"'.encode("latin-1"), "Smørrebrød Ærø.png"),
        (f'name="image"; filename="{JAPANESE}"'.encode("cp932"), JAPANESE),
        ('name="image"; filename="表"; size=5'.encode("cp932"), "表"),
        ('name="image"; filename="C:\\表\\ソ.png"'.encode("cp932"), "C:\\表\\ソ.png"[5:]),
        ('name="image"; filename="スクリーンショット 2025.png"'.encode("cp932"), "スクリーンショット 2025.png"),
        ('name="image"; filename="写.png"'.encode("cp932"), "写.png"),
        (b'name="image"; filename="\x81\xff.png"', "\x81\xff.png"),
        # RFC 5987, which takes precedence over the plain name in either order.
        ("name=image; filename*=utf-8''%D1%84%D0%BE%D1%82%D0%BE.jpg", CYRILLIC),
        ('name="image"; filename="foto.jpg"; filename*=UTF-8\'\'%D1%84%D0%BE%D1%82%D0%BE.jpg', CYRILLIC),
        ('name="image"; filename*=UTF-8\'ru\'%D1%84%D0%BE%D1%82%D0%BE.jpg; filename="foto.jpg"', CYRILLIC),
        ("name=\"image\"; filename*=iso-8859-1''B%FCcher.jpg", GERMAN),
        ("name=\"image\"; filename*=ISO-8859-1'en'B%fccher.jpg; filename=x.jpg", GERMAN),
        ('name="image"; filename*="utf-8\'\'B%C3%BCcher.jpg"', GERMAN),
        ('name="image"; filename*=utf-8\'\'"B%C3%BCcher.jpg"', GERMAN),
        ("name=\"image\"; filename*=shift_jis''%8E%CA%90%5E%95%5C.jpg", JAPANESE),
        ("name=\"image\"; filename*=utf-8''B%FCcher.jpg", GERMAN),
        ("name=\"image\"; filename*=no-such''B%C3%BCcher.jpg", GERMAN),
        ('name="image"; filename*=B%C3%BCcher.jpg', GERMAN),
        ("name=\"image\"; filename*=utf-8''; filename=a.jpg", "a.jpg"),
        # RFC 2231, in pieces.
        ('name="image"; filename*0="Büch"; filename*1="er.jpg"'.encode(), GERMAN),
        ("name=\"image\"; filename*0*=utf-8''B%C3; filename*1*=%BCch; filename*2=er.jpg", GERMAN),
        # RFC 2047.
        (f'name=image; filename="=?utf-8?B?{base64.b64encode(CYRILLIC.encode()).decode()}?="', CYRILLIC),
        (f"name=image; filename==?utf-8?B?{base64.b64encode(CYRILLIC.encode()).decode()}?=", CYRILLIC),
        ('name="image"; filename="=?UTF-8?Q?B=C3=BCcher=2Ejpg?="', GERMAN),
        ('name="image"; filename="=?iso-8859-1*de?q?B=FCcher?=.jpg"', GERMAN),
        ('name="image"; filename="=?utf-8?Q?my_?= =?utf-8?Q?B=C3=BCcher?=.jpg"', "my Bücher.jpg"),
        (f'name="image"; filename="=?windows-31j?B?{base64.b64encode(JAPANESE.encode("cp932")).decode()}?="', JAPANESE),
        ('name="image"; filename="=?no-such?B?YQ==?=.jpg"', "=?no-such?B?YQ==?=.jpg"),
        ('name="image"; filename="=?utf-8?B?YQ?=.jpg"', "a.jpg"),
        ('name="image"; filename="what=?.jpg"', "what=?.jpg"),
        # Quotes, or none.
        ("name='image'; filename='my photo.jpg'", "my photo.jpg"),
        ("name=image;filename=my photo.jpg", "my photo.jpg"),
        (f"name=image; filename={GERMAN}; size=5".encode(), GERMAN),
        ('NAME="image" ; FileName = "a.jpg" ;', "a.jpg"),
        ('name="image"; filename="a "b" c.jpg"', 'a "b" c.jpg'),
        ('name="image"; filename="a \\"b\\"; c.jpg"', 'a "b"; c.jpg'),
        ('name="image"; filename="a %22b%22.jpg"', 'a "b".jpg'),
        ('name="image"; filename="100%.jpg"', "100%.jpg"),
        ('name="image"; filename="C:\\photos\\a.jpg"', "a.jpg"),
    ],
)
def test_how_languages_write_a_name(disposition, name):
    assert read_image(part(disposition, b"x")) == (name, b"x")


def test_the_charset_of_the_form_counts_for_names_that_are_not_utf8():
    disposition = f'name="image"; filename="{CYRILLIC}"'
    form = f"{MULTIPART}; charset=windows-1251"
    assert read_image(part(disposition.encode("cp1251"), b"x"), content_type=form)[0] == CYRILLIC
    assert read_image(part(disposition.encode(), b"x"), content_type=form)[0] == CYRILLIC


def test_no_name_makes_python_look_for_a_codec_of_that_name(monkeypatch):
    """It caches every name it was asked for, and would import a module for it."""
    import encodings

    known = dict(encodings._cache)
    for number in range(50):
        read_image(part(f"name=\"image\"; filename*=hostile-{number}''a.jpg", b"x"))
    assert not [name for name in encodings._cache if name not in known and "hostile" in name]
    for codec in ("idna", "punycode", "unicode_escape", "utf-7", "rot13", "base64", "zlib", "undefined", "mbcs", ""):
        assert part_heads.find_codec(codec) is None


def test_a_result_carries_the_name_of_its_image(key, quick_model, small_png):
    for disposition in (
        "name=image; filename=\"=?utf-8?B?0YTQvtGC0L4ucG5n?=\"; filename*=utf-8''%D1%84%D0%BE%D1%82%D0%BE.png",
        'name="image"; filename="фото.png"',
    ):
        answer = Client(headers={"x-api-key": key}).post("/rmbg", part(disposition, small_png) + END, content_type=MULTIPART)
        assert answer.status_code == 200
        assert "filename*=utf-8''%D1%84%D0%BE%D1%82%D0%BE-no-bg.webp" in answer.headers["Content-Disposition"]
    latin = part('name="image"; filename="Bücher.png"'.encode("latin-1"), small_png) + END
    answer = Client(headers={"x-api-key": key}).post("/rmbg", latin, content_type=MULTIPART)
    assert "filename*=utf-8''B%C3%BCcher-no-bg.webp" in answer.headers["Content-Disposition"]


def test_one_name_of_another_charset_does_not_stop_a_batch(key, pictures, small_png):
    images = [part(f'name="image"; filename="{name}"'.encode(charset), small_png) for name, charset in
              ((GERMAN, "latin-1"), (JAPANESE, "cp932"), (CYRILLIC, "utf-8"))]  # fmt: skip
    answer = Client(headers={"x-api-key": key}).post("/api/batches", b"".join(images) + END, content_type=MULTIPART)
    assert answer.status_code == 202
    assert [item["name"] for item in answer.json()["items"]] == [GERMAN, JAPANESE, CYRILLIC]


# --- Transfer encodings ---------------------------------------------------------------------------

CONTENT = bytes(range(256)) * 40
QUOTED_CONTENT = binascii.b2a_qp(CONTENT, istext=False).replace(b"=\n", b"=\r\n")


@pytest.mark.parametrize("piece", [1, 7, 1000, 2**30])
@pytest.mark.parametrize(
    ("coding", "text"),
    [("base64", base64.encodebytes(CONTENT)), ("BASE64 ", base64.encodebytes(CONTENT).replace(b"\n", b"\r\n")),
     ("base64", base64.b64encode(CONTENT)), ("quoted-printable", QUOTED_CONTENT),
     ("binary", CONTENT), ("8bit", CONTENT), ("no-such", CONTENT)],
    ids=["lines", "CRLF", "one line", "quoted-printable", "binary", "8bit", "unknown"],
)  # fmt: skip
def test_an_image_in_a_transfer_encoding(coding, text, piece):
    image = part('name="image"; filename="a.png"', text, f"Content-Transfer-Encoding: {coding}")
    assert read_image(image, piece=piece) == ("a.png", CONTENT)


def test_a_text_in_a_transfer_encoding():
    form = parse(
        part('name="format"', b"cG5n", BASE64), part('name="w"', b"=31=\r\n2", "Content-Transfer-Encoding: quoted-printable")
    )
    assert form == {"format": "png", "w": "12"}


@pytest.mark.parametrize(
    "text", [b"AAA", b"A", b"AAAA=", b"AA=AAAAA", b"AA==AAAA", b"AA-_", b"AAAA\x00AAA", b"====", b"nonsense!"]
)
@pytest.mark.parametrize("name", ["image", "format"])
def test_broken_base64_is_said_to_be(text, name):
    error = refused(part(f'name="{name}"; filename="a.png"', text, BASE64))
    assert (error.status, error.code) == (400, "malformed_form")
    assert error.message.startswith("The form data could not be read: the base64 of a part ")


@pytest.mark.parametrize(("extra", "is_kept"), [(0, True), (1, False)])
def test_base64_counts_as_what_it_stands_for(extra, is_kept):
    text = base64.b64encode(bytes(3 * MEGABYTE))
    rest = MAX_BYTES - 48 * MEGABYTE + extra

    def chunks():
        yield part('name="image"; filename="a.png"', b"", BASE64)[:-2]
        yield from [text] * 16
        yield base64.b64encode(bytes(rest))
        yield b"\r\n" + END

    with read_form(request(Stream(chunks()), 2**30)) as form:
        assert form.image is not None
        assert form.image.size == MAX_BYTES + extra
        form.image.file.seek(0, 2)
        assert form.image.file.tell() == (MAX_BYTES if is_kept else 0)


def test_of_base64_that_is_far_too_long_the_end_need_not_be_there():
    """The server keeps no more of a part than an image can need: the rest is zeros here."""
    chunks = [
        part('name="image"; filename="a.png"', b"", BASE64)[:-2],
        *[b"AAAA" * (MEGABYTE // 4)] * 68,
        bytes(MEGABYTE + 1),
    ]
    with read_form(request(Stream(iter([*chunks, b"\r\n" + END])), 2**30)) as form:
        assert form.image is not None
        assert form.image.size > MAX_BYTES


# --- Boundaries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 3, 50, 2**30])
@pytest.mark.parametrize("padding", [b" ", b"\t", b" \t  ", b" " * 100])
def test_white_space_behind_boundaries(padding, piece):
    mark = b"--" + BOUNDARY.encode()
    body = part('name="w"', b"5") + part('name="image"; filename="a.png"', b"x \r\n--test-bound y") + part('name="h"', b"6")
    for padded in (body.replace(mark + b"\r\n", mark + padding + b"\r\n"), body.replace(mark, mark + padding, 1)):
        assert read_image(padded, piece=piece) == ("a.png", b"x \r\n--test-bound y")
        assert parse(padded, piece=piece) == {"w": "5", "h": "6"}


@pytest.mark.parametrize("padding", [b" " * 101, b" x", b"\x0b", b" \n"])
def test_what_is_no_white_space_is_not_taken_for_it(padding):
    body = part('name="w"', b"5") + part('name="h"', b"6").replace(b"\r\n", padding + b"\r\n", 1)
    assert refused(body).code == "malformed_form"


@pytest.mark.parametrize(
    ("boundary", "written"),
    [("----=_Part_0_1.2", "----=_Part_0_1.2"), ("----=_Part_0_1.2", '"----=_Part_0_1.2"'), ("a b;c", '"a b;c"'),
     ("'XbX'", "'XbX'"), ("XbX", "'XbX'"), ("XbX", "XbX ; charset=utf-8"), ("=?()/:", "=?()/:"), ("a,b", "a,b"),
     ("NextPart_000_0000_01C2=A.B", "NextPart_000_0000_01C2=A.B;type=x")],
)  # fmt: skip
def test_boundaries_as_they_are_written(boundary, written):
    body = (part('name="w"', b"5") + END).replace(BOUNDARY.encode(), boundary.encode())
    with read_form(asked(body, f"multipart/form-data; boundary={written}")) as form:
        assert form == {"w": "5"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it broke off before its end."),
        (b"nonsense", "it broke off before its end."),
        (part('name="w"', b"5"), "it broke off before its end."),
        ((part('name="w"', b"5") + END).replace(b"\r\n", b"\n"), "its lines do not all end with CR and LF."),
        (part('name="w"', b"5").replace(b"form-", b"x-"), "the Content-Disposition of one of its parts is not form-data."),
        (b"--test-boundary\r\nX: y\r\n\r\nx\r\n" + END, "one of its parts has no Content-Disposition."),
        (b"--test-boundary\r\nno header\r\n\r\nx\r\n" + END, "a header of one of its parts is malformed."),
        (b"x--test-boundary\r\n" + END, "there is something at a boundary that does not belong there."),
        (part('name="w"', b"5", *["X: y"] * 20), "the headers of its parts are too long or too many."),
        (part('name="' + "w" * 5000, b"5"), "the headers of its parts are too long or too many."),
        (part('name="w"', b"") * 201, "it has too many parts."),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_form_is_said_in_our_words(body, reason):
    with pytest.raises(ApiError) as refusal, read_form(asked(body)):
        pass
    assert refusal.value.message == f"The form data could not be read: {reason}"


def test_a_form_without_a_boundary():
    assert refused(content_type="multipart/form-data").message.endswith("its Content-Type names no boundary.")
    assert refused(content_type='multipart/form-data; boundary="a\nb"').message.endswith("is not a boundary.")


@pytest.mark.parametrize("said", ["1", "5", "-1", "x", "99999999999999999999"])
def test_what_a_part_says_of_its_length_is_ignored(said):
    """RFC 7578, 4.8. Some clients count characters, or the length before encoding."""
    image = part('name="image"; filename="a.png"', b"cG5n", f"Content-Length: {said}", BASE64, f"content-length: {said}")
    assert read_image(image) == ("a.png", b"png")
