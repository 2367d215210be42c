"""Reading a form while it arrives."""

import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from functools import partialmethod
from typing import BinaryIO, cast

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client, RequestFactory

from imaging.batches.upload import BatchForm
from imaging.removal.upload import Form
from lib.web.errors import ApiError
from lib.web.request_body import DRAIN_BYTES
from tests.bench.fuzz_multipart import Maker, Runner
from tests.imaging.removal.forms import form as image_form
from tests.imaging.removal.forms import read_form

BOUNDARY = "test-boundary"
MEGABYTE = 1024**2
HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'.encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


class Stream:
    """A request body that is generated while it is read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.rest = b""
        self.served = 0

    def readline(self, size: int = -1) -> bytes:
        """WSGI asks for it; no reader in the product takes bodies by line."""
        return self.read(size)

    def read(self, size: int = -1) -> bytes:
        while not self.rest:
            chunk = next(self.chunks, None)
            if chunk is None:
                return b""
            self.rest = chunk
        data, self.rest = self.rest[:size], self.rest[size:]
        self.served += len(data)
        return data


MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
PLAIN = "application/x-www-form-urlencoded"


def request(stream: Stream, length: int, content_type: str = MULTIPART) -> WSGIRequest:
    made = RequestFactory().generic("POST", "/rmbg", b"x", content_type=content_type)
    made.META["CONTENT_LENGTH"] = str(length)
    made._stream = cast(BinaryIO, stream)
    return made


def big_body(megabytes: int) -> tuple[Stream, int]:
    def chunks() -> Iterator[bytes]:
        yield HEAD
        for _ in range(megabytes):
            yield bytes(MEGABYTE)
        yield TAIL

    return Stream(chunks()), len(HEAD) + megabytes * MEGABYTE + len(TAIL)


def parse(*parts: bytes) -> Form:
    body = b"".join(parts)
    with read_form(request(Stream(iter([body])), len(body))) as form:
        return form


def part(disposition: str, content: bytes, *headers: str) -> bytes:
    lines = [f"--{BOUNDARY}", f"Content-Disposition: form-data; {disposition}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content + b"\r\n"


def test_60_mb_are_counted_without_being_kept():
    stream, length = big_body(60)
    tracemalloc.start()
    with read_form(request(stream, length)) as form:
        peak = tracemalloc.get_traced_memory()[1]
        assert form.image is not None
        assert form.image.size == 60 * MEGABYTE
        form.image.file.seek(0)
        assert form.image.file.read() == b"", "what was kept is let go of"
    tracemalloc.stop()
    assert peak < 5 * MEGABYTE


def test_49_mb_lie_in_a_file_without_a_name():
    stream, length = big_body(49)
    with read_form(request(stream, length)) as form:
        assert form.image is not None
        form.image.file.seek(0, 2)
        assert form.image.file.tell() == 49 * MEGABYTE
        assert not isinstance(form.image.file.name, str), "nothing to find on the disk"
        file = form.image.file
    assert file.closed


def test_reading_ends_at_a_bound():
    megabytes = DRAIN_BYTES // MEGABYTE * 4
    stream, length = big_body(megabytes)
    with read_form(request(stream, length)) as form:
        assert form.image is not None
        assert form.image.size >= length
    assert stream.served < DRAIN_BYTES + 2 * MEGABYTE


def test_a_huge_text_field_is_cut_and_a_huge_form_refused():
    assert len(parse(part('name="w"', b"1" * 9000), TAIL)["w"]) == 8192
    with pytest.raises(ApiError) as refusal:
        body = (bytes(MEGABYTE) for _ in range(DRAIN_BYTES // MEGABYTE * 2))
        head = b"--" + BOUNDARY.encode() + b'\r\nContent-Disposition: form-data; name="w"\r\n\r\n'
        with read_form(request(Stream(iter([head, *body])), 2 * DRAIN_BYTES)):
            pass
    assert refusal.value.status == 413


def test_the_first_picture_counts_and_unknown_files_are_ignored():
    form = parse(
        part('name="other"; filename="b.bin"', b"ignored"),
        part('name="image"; filename="a.png"', b"first"),
        part('name="image"; filename="b.png"', b"second"),
        TAIL,
    )
    assert form.image is not None
    assert (form.image.name, form.image.size) == ("a.png", 5)
    assert form == {"other": "ignored"}, "a text like any other, which no option is called by"


@pytest.mark.parametrize(
    ("disposition", "headers", "name"),
    [
        ('name="image"; filename="caf\u00e9.png"', (), "caf\u00e9.png"),
        ("name=\"image\"; filename*=UTF-8''caf%C3%A9.png", (), "caf\u00e9.png"),
        ('name="image"', ("Content-Type: image/png",), "blob"),
        ("name=image; filename=plain.png", (), "plain.png"),
    ],
)
def test_how_clients_name_their_file(disposition, headers, name):
    form = parse(part(disposition, b"x", *headers), TAIL)
    assert form.image is not None
    assert form.image.name == name


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", HEAD, HEAD + b"cut", b"--" + BOUNDARY.encode() + b"\r\n\r\nno header\r\n"]
)
def test_a_body_that_is_no_form(body):
    with pytest.raises(ApiError) as refusal, read_form(request(Stream(iter([body])), len(body) + 10)):
        pass
    assert (refusal.value.status, refusal.value.code) == (400, "malformed_form")


def test_too_many_parts():
    with pytest.raises(ApiError) as refusal:
        parse(*[part(f'name="f{number}"', b"") for number in range(300)], TAIL)
    assert refusal.value.status == 400


def refused(body: bytes, content_type: str = MULTIPART) -> ApiError:
    made = request(Stream(iter([body])), len(body), content_type)
    with pytest.raises(ApiError) as refusal, read_form(made):
        pass
    return refusal.value


def test_a_body_that_breaks_off_is_reported_in_words():
    def chunks() -> Iterator[bytes]:
        yield HEAD
        raise OSError("[Errno 104] Connection reset by peer")

    with pytest.raises(ApiError) as refusal, read_form(request(Stream(chunks()), 1000)):
        pass
    assert refusal.value.message == "The form data could not be read: it broke off before its end."


@pytest.mark.parametrize("line", ["\r\n a", "\r\n\ta", "; a=b", ';a=";a="'])
@pytest.mark.parametrize("parts", [1, 150])
def test_headers_made_of_nothing_but_options_or_folded_lines(line, parts):
    """They took 350 ms per megabyte; now reading ends at the bound. `fuzz_multipart` measures the time of each."""
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=a"
    bodies = [(head + line * (4000 // len(line)) + "\r\n\r\nx\r\n").encode()] * parts
    body = b"".join(bodies) + f"--{BOUNDARY}--\r\n".encode()
    if parts > 1:
        assert refused(body).code == "malformed_form"
    else:
        refused_or_read(body)


def refused_or_read(body: bytes) -> None:
    """Accept either outcome."""
    with suppress(ApiError), read_form(request(Stream(iter([body])), len(body))):
        pass


def test_what_browsers_and_libraries_send_is_far_from_the_bounds():
    name = "; ".join(f"holiday {number}" for number in range(50))
    parts = [part(f'name="f{number}"', b"x", "Content-Type: text/plain;\r\n charset=utf-8") for number in range(199)]
    form = parse(*parts, part(f'name="image"; filename="{name}.png"', b"x"), TAIL)
    assert form.image is not None
    assert form.image.name == f"{name}.png"
    assert len(form) == 199


def plain(body: bytes, content_type: str = PLAIN) -> dict[str, str]:
    made = request(Stream(iter([body])), len(body), content_type)
    with read_form(made) as form:
        return form


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", "; charset=utf-16", "; charset=x"])
def test_a_plain_form(charset):
    body = "w=5&format=p%6Eg&&bg_color=%23f00+&name=caf%C3%A9+caf\u00e9&empty=&bare&crop=10%&bad=%zz%&a=b=c".encode()
    assert plain(body, PLAIN + charset) == {
        "w": "5", "format": "png", "bg_color": "#f00 ", "name": "caf\u00e9 caf\u00e9", "empty": "", "bare": "",
        "crop": "10%", "bad": "%zz%", "a": "b=c",
    }  # fmt: skip


def test_a_plain_form_is_bounded():
    assert len(plain(b"w=" + b"1" * 9000)["w"]) == 8192
    assert (
        refused(b"&".join([b"a=1"] * 1001), PLAIN).message
        == "The form data could not be read: it has more than 1000 fields."
    )
    assert refused(b"a=" + bytes(3 * MEGABYTE), PLAIN).status == 413
    for hostile in (b"%" * 2 * MEGABYTE, b"%41" * (2 * MEGABYTE // 3), "%\u00e9".encode() * (2 * MEGABYTE // 3)):
        assert refused(b"a=" + hostile, PLAIN).status == 413


def test_500_addresses_fit_into_a_plain_form():
    address = b"https%3A%2F%2Fexample.com%2F" + b"%25D8%25A7" * 40 + b"%3FX-Amz-Signature%3D" + b"a" * 64
    body = b"&".join([b"image_url=" + address] * 500)
    assert len(body) < 2.5 * MEGABYTE
    assert len(plain(body)["image_url"]) == 341


def test_nothing_but_refusals_comes_out_whatever_goes_in():
    """A small part of what tests/bench/fuzz_multipart.py does; the same forms each time."""
    maker, runner = Maker(seed=20), Runner()
    outcomes = {runner.feed(maker.make(number))[0] for number in range(200)}
    assert {"read", "400 malformed_form", "400 missing_image"} <= outcomes


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content_type", "status", "code"),
    [
        (MULTIPART, 400, "malformed_form"),
        (PLAIN, 400, "missing_image"),
        ("", 400, "missing_image"),
        ("application/json", 415, "unsupported_media_type"),
    ],
)
@pytest.mark.parametrize("path", ["/rmbg", "/api/batches"])
def test_an_empty_body_is_refused_like_any_other(path, content_type, status, code, key, quick_model):
    """DRF calls no parser for one."""
    answer = Client().generic("POST", path, headers={"X-API-Key": key}, CONTENT_TYPE=content_type, CONTENT_LENGTH="0")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/rmbg", "/api/batches"])
def test_the_files_of_a_form_are_closed_before_the_answer_is_sent(path, key, small_png, quick_model, monkeypatch, pictures):
    closed: list[str] = []
    for kind in (Form, BatchForm):
        monkeypatch.setattr(kind, "close", partialmethod(_noting, kind.close, closed))
    answer = Client().post(path, **image_form(small_png), headers={"X-API-Key": key})
    assert answer.status_code in (200, 202)
    assert closed == [path]


def _noting(form, close, closed: list[str]) -> None:
    closed.append("/rmbg" if isinstance(form, Form) else "/api/batches")
    close(form)
