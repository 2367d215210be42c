"""Reading a form while it arrives."""

import tracemalloc
from collections.abc import Iterator
from typing import BinaryIO, cast

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory

from config.errors import ApiError
from config.request_body import DRAIN_BYTES
from imaging.upload import Form, read_form

BOUNDARY = "test-boundary"
MEGABYTE = 1024**2
HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'.encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


class Stream:
    """A request body that is made while it is read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.rest = b""
        self.served = 0

    def read(self, size: int = -1) -> bytes:
        while not self.rest:
            chunk = next(self.chunks, None)
            if chunk is None:
                return b""
            self.rest = chunk
        data, self.rest = self.rest[:size], self.rest[size:]
        self.served += len(data)
        return data


def request(stream: Stream, length: int) -> WSGIRequest:
    made = RequestFactory().post("/rmbg", content_type=f"multipart/form-data; boundary={BOUNDARY}")
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
        assert form.picture is not None
        assert form.picture.size == 60 * MEGABYTE
        form.picture.file.seek(0)
        assert form.picture.file.read() == b"", "what was kept is let go of"
    tracemalloc.stop()
    assert peak < 5 * MEGABYTE


def test_49_mb_lie_in_a_file_without_a_name():
    stream, length = big_body(49)
    with read_form(request(stream, length)) as form:
        assert form.picture is not None
        form.picture.file.seek(0, 2)
        assert form.picture.file.tell() == 49 * MEGABYTE
        assert not isinstance(form.picture.file.name, str), "nothing to find on the disk"
        file = form.picture.file
    assert file.closed


def test_reading_ends_at_a_bound():
    megabytes = DRAIN_BYTES // MEGABYTE * 4
    stream, length = big_body(megabytes)
    with read_form(request(stream, length)) as form:
        assert form.picture is not None
        assert form.picture.size >= length
    assert stream.served < DRAIN_BYTES + 2 * MEGABYTE


def test_a_huge_text_field_is_cut_and_a_huge_form_refused():
    assert len(parse(part('name="w"', b"1" * 9000), TAIL).fields["w"]) == 8192
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
    assert form.picture is not None
    assert (form.picture.name, form.picture.size) == ("a.png", 5)
    assert form.fields == {}


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
    assert form.picture is not None
    assert form.picture.name == name


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
