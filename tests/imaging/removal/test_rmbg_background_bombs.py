"""`bg_image` of `POST /rmbg`: files that cost far more than their size are bounded as `image` is."""

import io
import zlib

import pytest
from PIL import Image

from tests.imaging.core import hostile
from tests.imaging.core.hostile import MEBIBYTE, segment
from tests.imaging.core.pictures import file_bytes, photo, png_chunk

SIDE = 2000
ROWS = zlib.compress((b"\0" + bytes(3 * SIDE)) * SIDE, 9)
RUNS = b"\x01\x00\x00\x00" * SIDE + b"\0\1"
# The kinds of files that tests/imaging/core/test_walks.py has.
REFUSED = {
    "segments.jpg": (hostile.jpeg(segment(0xFE) * 300_000), "image_too_complex"),
    "tables.jpg": (hostile.jpeg(segment(0xDB, hostile.QUANTISATION * 1000) * 30), "invalid_image"),
    "no-markers.jpg": (b"\xff\xd8\xff\xfe\x00\x02" + bytes(2 * MEBIBYTE), "invalid_image"),
    "scans.jpg": (hostile.progressive(10_000, 10_000, 1000), "image_too_complex"),
    "cut-off.png": (hostile.png(SIDE, SIDE, data=png_chunk(b"IDAT", ROWS[: len(ROWS) // 2])), "invalid_image"),
    "too-large.png": (hostile.png(3 * SIDE, 6 * SIDE, data=png_chunk(b"IDAT", ROWS)), "image_too_tall"),
}
# At their full price, and no more.
TAKEN = {
    "empty.png": hostile.png(SIDE, SIDE, data=png_chunk(b"IDAT", ROWS)),
    "texts.png": hostile.png(before=png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(8 * MEBIBYTE - 10))) * 20),
    "profile.png": hostile.png(before=png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(50 * MEBIBYTE), 9))),
    "frames.webp": hostile.animation(300),
    "runs.bmp": hostile.run_length_bmp(SIDE, SIDE, RUNS),
}


def send(server, key, **sent):
    return server.rmbg(key, files=sent, data={"format": "png"})


@pytest.fixture(scope="module")
def subject():
    return "a.png", file_bytes(photo((120, 90)))


@pytest.mark.parametrize("name", REFUSED)
def test_a_bomb_is_refused_as_an_image_is(server, server_key, subject, name):
    content, code = REFUSED[name]
    behind = send(server, server_key, image=subject, bg_image=(name, content))
    assert (behind.status_code, behind.json()["code"]) == (400, code)
    assert "X-Credits-Charged" not in behind.headers
    assert send(server, server_key, image=(name, content)).json() == behind.json()


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_merely_large_goes_behind_the_subject(server, server_key, subject, name):
    response = send(server, server_key, image=subject, bg_image=(name, TAKEN[name]))
    assert response.status_code == 200, response.text
    assert Image.open(io.BytesIO(response.content)).size == (120, 90)


def test_the_field_is_named_where_there_are_several(server, server_key):
    bombs = (("a.jpg", REFUSED["segments.jpg"][0]), ("b.jpg", REFUSED["tables.jpg"][0]))
    details = send(server, server_key, image=bombs[0], bg_image=bombs[1]).json()["details"]
    assert [detail["field"] for detail in details] == ["image", "bg_image"]
