"""Reading the form of a batch: bounded in memory and in bytes, whatever a caller or a zip says of itself."""

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator

import pytest
from django.core.handlers.wsgi import WSGIRequest

from billing.models import Hold
from config.errors import ApiError
from imaging.batches import files, upload, zips
from imaging.batches.upload import BatchForm, read_batch
from imaging.models import Batch
from tests.imaging.batches import batch_form, caller, content_of, post, work_through, zipped
from tests.imaging.forms import BOUNDARY, part
from tests.imaging.test_upload import MEGABYTE, Stream, request

TAIL = f"--{BOUNDARY}--\r\n".encode()


def batch_request(*chunks: bytes) -> WSGIRequest:
    return request(Stream(iter(chunks)), sum(map(len, chunks)))


def read(*pictures: tuple[str, bytes], **parts) -> list[tuple[str, str | None]]:
    """Names of what a form brings, each with the code of what is wrong with it."""
    body = batch_form(*pictures, **parts)["data"]
    with read_batch(batch_request(body)) as form:
        return told(form)


def told(form: BatchForm) -> list[tuple[str, str | None]]:
    return [(entry.name, entry.problem.code if entry.problem else None) for entry in form.entries]


def refusal(*pictures: tuple[str, bytes], **parts) -> tuple[int, str]:
    with pytest.raises(ApiError) as refused:
        read(*pictures, **parts)
    return refused.value.status, refused.value.code


def big_body(pictures: int, megabytes: int) -> tuple[Stream, int]:
    """A form with pictures of so many megabytes, made while it is read."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'.encode()

    def chunks() -> Iterator[bytes]:
        for _ in range(pictures):
            yield head
            yield from (bytes(MEGABYTE) for _ in range(megabytes))
            yield b"\r\n"
        yield TAIL

    return Stream(chunks()), pictures * (len(head) + megabytes * MEGABYTE + 2) + len(TAIL)


def test_240_mb_are_read_in_little_memory_and_into_one_nameless_file():
    stream, length = big_body(6, 40)
    tracemalloc.start()
    with read_batch(request(stream, length)) as form:
        peak = tracemalloc.get_traced_memory()[1]
        assert [entry.size for entry in form.entries] == [40 * MEGABYTE] * 6
        assert not isinstance(form.spool._file.name, str), "nothing to find on the disk"
        last = form.content(form.entries[-1])
        assert last.seek(0, io.SEEK_END) == 40 * MEGABYTE
        assert (last.seek(-1, io.SEEK_END), last.read()) == (40 * MEGABYTE - 1, b"\0")
    tracemalloc.stop()
    assert peak < 5 * MEGABYTE
    assert form.spool._file.closed


def test_a_picture_over_the_limit_is_counted_and_not_kept():
    stream, length = big_body(2, 60)
    with read_batch(request(stream, length)) as form:
        assert [entry.problem.message for entry in form.entries if entry.problem] == [
            "File size (60.0 MB) exceeds the maximum allowed size of 50 MB."
        ] * 2
        assert form.spool.end == 0


@pytest.mark.parametrize("known", [True, False])
def test_more_bytes_than_a_batch_may_have(monkeypatch, known):
    monkeypatch.setattr(upload, "MAX_TOTAL", 3 * MEGABYTE)
    monkeypatch.setattr(upload, "FRAMING_BYTES", MEGABYTE)
    stream, length = big_body(5, 1)
    asked = request(stream, length if known else 2**62)
    if not known:
        asked.META["HTTP_TRANSFER_ENCODING"] = "chunked"
    with pytest.raises(ApiError) as refused, read_batch(asked):
        pass
    assert (refused.value.status, refused.value.code) == (413, "batch_too_large")
    assert stream.served <= (0 if known else 4.5 * MEGABYTE)


def test_pictures_and_zips_and_addresses_in_the_order_that_they_come_in(small_png):
    body = b"".join(
        [
            part('name="image"; filename="first.png"', small_png),
            part('name="zip"; filename="a.zip"', zipped(("in/one.png", small_png), ("in/two.png", small_png))),
            part('name="image_url"', b"https://example.com/photos/third.jpg?size=2"),
            part('name="image"; filename="last.png"', small_png),
            TAIL,
        ]
    )
    with read_batch(batch_request(body)) as form:
        assert [entry.name for entry in form.entries] == [
            "first.png", "in/one.png", "in/two.png", "third.jpg", "last.png",
        ]  # fmt: skip
        assert form.content(form.entries[2]).read() == small_png


def test_at_most_500_pictures_however_they_come(small_png):
    few = tuple((f"{n}.png", small_png) for n in range(250))
    assert len(read(*few, zips=(zipped(*few),))) == 500
    assert refusal(*few, ("one-more.png", small_png), zips=(zipped(*few),)) == (400, "too_many_images")
    assert refusal(*few, *few, ("one-more.png", small_png)) == (400, "too_many_images")
    assert refusal(urls=("https://example.com/a",) * 501) == (400, "too_many_images")
    assert refusal(zips=(zipped(*few, *((f"more/{n}.png", b"") for n in range(251))),)) == (400, "too_many_images")


@pytest.mark.django_db
def test_addresses_in_a_plain_form(key, pictures):
    body = "image_url=https://example.com/a.png&image_url=https://example.com/b.png&format=png"
    answer = caller(key).post("/api/batches", body, content_type="application/x-www-form-urlencoded")
    assert [item["image_url"] for item in answer.json()["items"]] == [
        "https://example.com/a.png",
        "https://example.com/b.png",
    ]


def test_an_address_that_cannot_be_one_fails_alone(small_png):
    urls = ("nonsense", "http://example.com:25/a.png", "https://example.com/a.png")
    assert read(urls=urls) == [
        ("nonsense", "image_url_invalid"), ("a.png", "image_url_forbidden"), ("a.png", None),
    ]  # fmt: skip


def test_addresses_where_they_are_switched_off(settings):
    settings.IMAGE_URL_ENABLED = False
    assert refusal(urls=("https://example.com/a.png",)) == (400, "image_url_disabled")


def test_what_systems_put_into_zips_is_left_out(small_png):
    entries = [
        ("folder/", b""), ("folder/a.png", small_png), ("__MACOSX/folder/._a.png", b"x"), (".DS_Store", b"x"),
        ("folder/.hidden/b.png", small_png), ("../up.png", small_png), ("notes.txt", b"text"),
    ]  # fmt: skip
    assert read(zips=(zipped(*entries),)) == [("folder/a.png", None), ("../up.png", None), ("notes.txt", None)]


def test_an_empty_zip_brings_nothing():
    assert refusal(zips=(zipped(),)) == (400, "missing_image")
    assert read(("a.png", b"x"), zips=(zipped(),)) == [("a.png", None)]


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"no zip", b"PK\x03\x04" + bytes(100)])
def test_a_file_that_is_no_zip(content, small_png):
    assert refusal(("a.png", small_png), zips=(content,)) == (400, "invalid_zip")


def test_a_zip_that_was_cut_off(small_png):
    whole = zipped(*((f"{n}.png", small_png) for n in range(20)))
    assert refusal(zips=(whole[: len(whole) // 2],)) == (400, "invalid_zip")


def test_a_damaged_entry_fails_alone(small_png):
    noise = bytes(range(256)) * 8
    content = bytearray(zipped(("a.png", small_png), ("b.png", noise), ("c.png", small_png), method=zipfile.ZIP_STORED))
    content[content.index(noise) + 100] ^= 0xFF
    assert read(zips=(bytes(content),)) == [("a.png", None), ("b.png", "zip_entry_unreadable"), ("c.png", None)]


def test_an_encrypted_entry_fails_alone(small_png):
    content = bytearray(zipped(("a.png", small_png), ("b.png", small_png)))
    at = content.rindex(b"PK\x01\x02")
    struct.pack_into("<H", content, at + 8, 1)
    entries = read(zips=(bytes(content),))
    assert entries == [("a.png", None), ("b.png", "zip_entry_unreadable")]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_whose_memory_nobody_bounds(small_png, method):
    assert read(zips=(zipped(("a.png", small_png), method=method),)) == [("a.png", "zip_entry_unreadable")]


def test_an_entry_that_unpacks_to_more_than_a_picture_may_have_is_not_kept(small_png):
    bomb = zipped(("bomb.png", bytes(60 * MEGABYTE)), ("a.png", small_png))
    assert len(bomb) < MEGABYTE
    tracemalloc.start()
    with read_batch(batch_request(batch_form(zips=(bomb,))["data"])) as form:
        peak = tracemalloc.get_traced_memory()[1]
        assert told(form) == [("bomb.png", "file_too_large"), ("a.png", None)]
        assert form.entries[0].problem is not None
        assert "(60.0 MB)" in form.entries[0].problem.message
        assert form.spool.end < 2 * MEGABYTE
        assert form.content(form.entries[1]).read() == small_png
    tracemalloc.stop()
    assert peak < 5 * MEGABYTE


def test_an_entry_that_lies_about_its_size_is_bounded_by_what_it_says_and_found_out(small_png):
    content = bytearray(zipped(("liar.png", bytes(10_000)), ("a.png", small_png)))
    at = content.index(b"PK\x01\x02")
    struct.pack_into("<I", content, at + 24, 10)
    assert read(zips=(bytes(content),)) == [("liar.png", "zip_entry_unreadable"), ("a.png", None)]


def test_many_bombs_are_too_large_together(monkeypatch):
    monkeypatch.setattr(upload, "MAX_TOTAL", 20 * MEGABYTE)
    bombs = zipped(*((f"{n}.png", bytes(5 * MEGABYTE)) for n in range(10)))
    assert refusal(zips=(bombs,)) == (413, "batch_too_large")


def test_a_list_of_entries_that_is_too_long_is_not_read_into_memory(monkeypatch):
    monkeypatch.setattr(zips, "MAX_DIRECTORY", 1024)
    assert refusal(zips=(zipped(*((f"{n}.png", b"") for n in range(100))),)) == (400, "invalid_zip")


@pytest.mark.django_db
@pytest.mark.usefixtures("quick_model")
def test_names_are_labels_and_never_paths(key, small_png, pictures):
    names = ["../../../evil.png", "/etc/evil.png", "a\x00b\n.png", "long" * 100 + ".png"]
    told = post(key, zips=(zipped(*((name, small_png) for name in names)),)).json()
    assert [item["name"] for item in told["items"]] == [
        "../../../evil.png", "/etc/evil.png", "a", ("long" * 100 + ".png")[-255:],
    ]  # fmt: skip
    work_through()
    content_of(caller(key).get(f"{told['url']}/zip"))
    kept = sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*") if path.is_file())
    assert kept == [f"batches/{told['id']}/out/{n}-1" for n in range(4)]
    assert not list(pictures.parent.glob("**/evil*"))


@pytest.mark.django_db
def test_what_is_refused_leaves_nothing(key, small_png, pictures):
    for answer in (post(key, ("a.png", small_png), w="x"), post(key, ("a.png", small_png), zips=(b"x",))):
        assert answer.status_code == 400
    assert not Batch.objects.exists()
    assert not Hold.objects.exists()
    assert not pictures.exists()


@pytest.mark.django_db
def test_a_storage_that_fails_costs_nothing_and_keeps_nothing(key, small_png, pictures, monkeypatch):
    def fail_second(batch_id, position, content, store=files.store_input):
        if position == 1:
            raise OSError("no space left")
        store(batch_id, position, content)

    monkeypatch.setattr(files, "store_input", fail_second)
    answer = post(key, ("a.png", small_png), ("b.png", small_png))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert not Hold.objects.exists()
    assert not [path for path in pictures.rglob("*") if path.is_file()]
