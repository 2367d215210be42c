"""Reading a batch form: bounded in memory and in bytes, whatever a caller or a zip declares."""

import io
import itertools
import random
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Iterator

import pytest
from django.core.handlers.wsgi import WSGIRequest
from PIL import Image, ImageDraw

from billing.models import Hold
from imaging.batches import files, upload, zips
from imaging.batches.spool import Spool
from imaging.batches.upload import BatchForm
from imaging.models import Batch, BatchItem
from lib.web.errors import ApiError
from tests.conftest import encoded
from tests.imaging.batches.forms import batch_form, caller, content_of, post, work_through, zipped
from tests.imaging.removal.forms import BOUNDARY, part, read_batch
from tests.imaging.removal.test_upload import MEGABYTE, Stream, request

TAIL = f"--{BOUNDARY}--\r\n".encode()
PNG = b"\x89PNG\r\n\x1a\n"


def zip_of_copies(count: int, extension: str, content: bytes) -> bytes:
    """A zip with `count` files of the same content, each with its own bytes, deflated once."""
    one = zipped((f"000{extension}", content))
    directory = one.index(b"PK\x01\x02")
    local, listed = one[:directory], one[directory : one.rindex(b"PK\x05\x06")]
    locals_, entries = [], []
    for number in range(count):
        name = f"{number:03}".encode()
        locals_.append(local.replace(b"000" + extension.encode(), name + extension.encode(), 1))
        entry = bytearray(listed.replace(b"000" + extension.encode(), name + extension.encode(), 1))
        struct.pack_into("<I", entry, 42, number * len(local))
        entries.append(bytes(entry))
    size, start = count * len(listed), count * len(local)
    return b"".join([*locals_, *entries, struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, size, start, 0)])


def batch_request(*chunks: bytes) -> WSGIRequest:
    return request(Stream(iter(chunks)), sum(map(len, chunks)))


def read(*pictures: tuple[str, bytes], **parts) -> list[tuple[str, str | None]]:
    """Names of a form's entries, each with the code of its problem."""
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
    """A form with images of these sizes in megabytes, generated while it is read."""
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
    assert read(zips=(zipped(*entries),)) == [
        ("folder/a.png", None), ("../up.png", None), ("notes.txt", "unsupported_file_type"),
    ]  # fmt: skip


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
    noise = PNG + bytes(range(256)) * 8
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
def test_methods_with_unbounded_memory_are_refused(small_png, method):
    assert read(zips=(zipped(("a.png", small_png), method=method),)) == [("a.png", "zip_entry_unreadable")]


def test_an_entry_that_unpacks_to_more_than_a_picture_may_have_is_not_unpacked(small_png):
    bomb = zipped(("bomb.png", PNG + bytes(60 * MEGABYTE - len(PNG))), ("a.png", small_png))
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
    content = bytearray(zipped(("liar.png", PNG + bytes(10_000)), ("a.png", small_png)))
    at = content.index(b"PK\x01\x02")
    struct.pack_into("<I", content, at + 24, 10)
    assert read(zips=(bytes(content),)) == [("liar.png", "zip_entry_unreadable"), ("a.png", None)]


def test_images_of_many_zips_are_too_large_together(monkeypatch):
    monkeypatch.setattr(upload, "MAX_TOTAL", 20 * MEGABYTE)
    full = zipped(*((f"{n}.png", PNG + bytes(5 * MEGABYTE)) for n in range(3)), method=zipfile.ZIP_STORED)
    assert refusal(zips=(full, full)) == (413, "batch_too_large")


@pytest.mark.parametrize(
    ("start", "code"), [(b"", "invalid_image"), (b"BM", "invalid_image"), (PNG, "zip_entry_unreadable")]
)
def test_2_gb_of_zeros_in_a_zip_of_2_mb(start, code):
    """Only its first bytes are unpacked, unless they are an image's: then the allowance ends it."""
    bomb = zip_of_copies(40, ".png", start + bytes(50 * MEGABYTE - len(start)))
    assert len(bomb) < 3 * MEGABYTE
    began = time.process_time()
    with read_batch(batch_request(batch_form(zips=(bomb,))["data"])) as form:
        kept = [entry for entry in form.entries if entry.problem is None]
        assert len(form.entries) == 40
        assert {entry.problem.code for entry in form.entries if entry.problem} == {code}
        assert len(kept) == (2 if start == PNG else 0), "the allowance is 100 MB"
        assert form.spool.end < len(bomb) + 101 * MEGABYTE
    assert time.process_time() - began < 1


def test_blank_images_have_an_allowance_and_others_go_on():
    """A white page as BMP legitimately shrinks a thousandfold. Of the largest size, a few are taken."""
    blank = encoded(Image.new("RGB", (4180, 4180), "white"), "BMP")
    assert 49 * MEGABYTE < len(blank) < 50 * MEGABYTE
    text = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), "BMP")
    with read_batch(
        batch_request(batch_form(zips=(zip_of_copies(6, ".bmp", blank), zipped(("t.bmp", text))))["data"])
    ) as form:
        codes = [entry.problem.code if entry.problem else None for entry in form.entries]
        assert codes == [None, None, *["zip_entry_unreadable"] * 4, None]
        assert form.entries[2].problem == zips.TOO_MUCH
        assert form.content(form.entries[-1]).read() == text


def test_screenshots_as_bmp_shrink_and_are_taken():
    """300 tables on white, 1.8 GB in all but read as one copy here: far below the free ratio."""
    page = Image.new("RGB", (1920, 1080), "white")
    draw = ImageDraw.Draw(page)
    for row, column in itertools.product(range(40), range(24)):
        draw.text((80 * column, 27 * row), str(row * column), "black")
    shots = zip_of_copies(20, ".bmp", encoded(page, "BMP"))
    assert 20 * 1920 * 1080 * 3 / len(shots) > 30
    assert {code for _, code in read(zips=(shots,))} == {None}


@pytest.mark.parametrize("offset", [0, 10, 30 + 5])
def test_entries_that_share_their_bytes(small_png, offset):
    """The quoted zip bomb: each entry's data reaches over the following entries."""
    content = bytearray(zipped(("a.png", small_png), ("b.png", small_png), method=zipfile.ZIP_STORED))
    first = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", first + 1)
    at = struct.unpack_from("<I", content, second + 42)[0]
    struct.pack_into("<I", content, second + 42, at - len(small_png) - offset)
    assert refusal(zips=(bytes(content),)) == (400, "invalid_zip")


def test_an_entry_whose_data_reaches_into_the_directory(small_png):
    content = bytearray(zipped(("a.png", small_png), method=zipfile.ZIP_STORED))
    at = content.index(b"PK\x01\x02")
    struct.pack_into("<II", content, at + 20, len(small_png) + 40, len(small_png) + 40)
    assert refusal(zips=(bytes(content),)) == (400, "invalid_zip")


def test_an_entry_that_has_another_name_in_front_of_its_data(small_png):
    content = bytearray(zipped(("a.exe", small_png), ("b.png", small_png), method=zipfile.ZIP_STORED))
    at = content.index(b"PK\x01\x02") + 46
    content[at : at + 5] = b"a.png"
    assert read(zips=(bytes(content),)) == [("a.png", "zip_entry_unreadable"), ("b.png", None)]


def test_many_zips_with_long_lists(monkeypatch):
    """Noise is skipped, but not free: each list is parsed before anything is known of it."""
    noise = zipped(*((f"folder-{n}/", b"") for n in range(200)))
    monkeypatch.setattr(zips.Allowance.__init__, "__defaults__", (5 * 200 * 60, zips.MAX_EXCESS))
    assert refusal(zips=(noise,) * 20) == (400, "invalid_zip")


def test_an_entry_without_a_name(small_png):
    content = zipped(("a", small_png), method=zipfile.ZIP_STORED)
    at = content.index(b"PK\x01\x02")
    nameless = bytearray(content[:26] + b"\0\0" + content[28:30] + content[31:at] + content[at : at + 28] + b"\0\0")
    nameless += content[at + 30 : at + 46] + content[at + 47 :]
    struct.pack_into("<II", nameless, len(nameless) - 10, 46, at - 1)
    assert read(zips=(bytes(nameless),)) == [("image", None)]


def test_nothing_but_refusals_comes_out_of_damaged_zips(small_png):
    """The same ones each time; most of the damage is to the directory."""
    whole = zipped(("a.png", small_png), ("b/c.png", small_png), ("\u00fc.png", small_png), ("notes.txt", b"text"))
    outcomes: set[str | None] = set()
    for number in range(400):
        rng = random.Random(number)  # noqa: S311 - it has to be repeatable
        content = bytearray(whole)
        for _ in range(rng.choice([1, 1, 2, 5])):
            at = max(0, content.rfind(rng.choice([b"PK\x01\x02", b"PK\x05\x06"]))) + rng.randrange(50)
            values = rng.choice(
                [b"\0", b"\xff", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x01\0\0\0", bytes([rng.randrange(256)])]
            )
            content[at : at + len(values)] = values
        try:
            outcomes.update(code for _, code in read(zips=(bytes(content),)))
        except ApiError as error:
            outcomes.add(error.code)
    assert {None, "invalid_zip", "zip_entry_unreadable", "file_too_large"} <= outcomes


@pytest.mark.django_db
def test_an_entry_that_claims_more_than_a_column_holds(key, small_png, pictures):
    content = bytearray(zipped(("big.png", PNG), ("a.png", small_png), method=zipfile.ZIP_STORED))
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 2**32 - 2)
    told = post(key, zips=(bytes(content),)).json()
    assert [item["code"] for item in told["items"]] == ["file_too_large", None]
    assert BatchItem.objects.get(position=0).size == 2**31 - 1


def test_a_disk_that_is_full_is_no_damaged_zip(small_png, monkeypatch):
    def fail(spool, data):
        raise OSError("no space left")

    body = batch_request(batch_form(zips=(zipped(("a.png", small_png)),))["data"])
    take = upload._BatchReader._take_unpacked
    monkeypatch.setattr(
        upload._BatchReader, "_take_unpacked", lambda *args: (monkeypatch.setattr(Spool, "append", fail), take(*args))
    )
    with pytest.raises(OSError, match="no space left"), read_batch(body):
        pass


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
