"""What goes over the wire, and what becomes of connections that break: the Python client against a server of ours."""

import asyncio
import io
import os
import threading
import time

import numpy as np
import pytest
from PIL import Image
from rembg_client import (
    AsyncClient,
    Client,
    ConnectionFailed,
    InvalidInput,
    InvalidResponse,
    OutputFailed,
    RateLimited,
    RembgError,
    ServerBusy,
    TimedOut,
)

from tests.clients.python.fake_server import IMAGE, Listener, answering, break_off, drip, fake_server, image, refusal
from tests.clients.python.run_async import run_async
from tests.conftest import encoded

PNG = bytes(1000)
LARGE = bytes(20_000_000)


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv("REMBG_API_KEY", raising=False)
    monkeypatch.delenv("REMBG_BASE_URL", raising=False)


def sent(source) -> tuple[str, bytes]:
    """The file name and bytes that a source becomes."""
    with fake_server(image) as server, Client(base_url=server.url) as client:
        client.remove_background(source)
    [(field, name, data)] = server.seen[0].files
    assert field == "image"
    return name, data


def test_a_path_is_sent_under_its_name(tmp_path):
    path = tmp_path / 'Ein "Bild" für mich.jpg'
    path.write_bytes(PNG)
    assert sent(path)[1] == sent(str(path))[1] == PNG
    assert sent(path)[0].endswith("mich.jpg")


def test_bytes_of_each_kind():
    assert sent(PNG) == sent(bytearray(PNG)) == sent(memoryview(PNG)) == ("image.png", PNG)


def test_a_file_is_sent_from_where_it_stands_and_stays_open(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"skipped" + PNG)
    with (tmp_path / "photo.jpg").open("rb") as file:
        file.seek(len(b"skipped"))
        assert sent(file) == ("photo.jpg", PNG)
        assert not file.closed


def test_a_pipe_can_be_sent_again():
    reading, writing = os.pipe()
    os.write(writing, PNG)  # which the system holds until it is read
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, fake_server(break_off, image) as server, Client(base_url=server.url) as client:
        client.remove_background(pipe)
    assert [seen.files for seen in server.seen] == [[("image", "image.png", PNG)]] * 2


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK"])
def test_a_pillow_image_loses_nothing(mode):
    picture = Image.fromarray(np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)).convert(mode)
    with Image.open(io.BytesIO(sent(picture)[1])) as received:
        assert received.convert("RGBA").tobytes() == picture.convert("RGBA").tobytes()


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 2), (4, 5, 3), (4, 5, 4)])
def test_an_array_loses_nothing(shape):
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(sent(array)[1])) as received:
        assert (np.asarray(received).reshape(shape) == array).all()
    assert sent(array[::2, ::-1])[1] != sent(array)[1], "a view is sent as it looks"


def test_an_address_is_fetched_by_the_server():
    with fake_server(image) as server, Client(base_url=server.url) as client:
        client.remove_background("https://example.com/a.jpg", w=5)
    assert server.seen[0].body == b"w=5&image_url=https%3A%2F%2Fexample.com%2Fa.jpg"


@pytest.mark.parametrize(
    "source",
    [
        "missing.png", ".", 5, None, io.StringIO("text"), np.zeros((4, 5), np.float32), np.zeros((4, 5, 7), np.uint8),
        np.zeros((0, 5), np.uint8),
    ],
    ids=["missing", "folder", "number", "nothing", "text", "floats", "seven bands", "empty"],
)  # fmt: skip
def test_what_is_no_image_is_told_before_anything_is_sent(source):
    with fake_server(image) as server, Client(base_url=server.url) as client, pytest.raises(InvalidInput):
        client.remove_background(source)
    assert not server.seen


def test_an_unknown_option_is_told_before_anything_is_sent():
    with fake_server(image) as server, Client(base_url=server.url) as client, pytest.raises(InvalidInput, match="colour"):
        client.remove_background(PNG, colour="red")  # type: ignore[call-arg]
    assert not server.seen


def test_a_result_in_memory_on_disk_and_in_a_file(tmp_path):
    stream = io.BytesIO()
    with fake_server(image) as server, Client(base_url=server.url) as client:
        assert client.remove_background(PNG).data == IMAGE
        assert client.remove_background(PNG, tmp_path / "a.png").data == (tmp_path / "a.png").read_bytes() == IMAGE
        assert client.remove_background(PNG, stream).path is None
        assert client.remove_background(PNG).save(tmp_path / "b.png").read_bytes() == stream.getvalue() == IMAGE


@pytest.mark.parametrize(
    "answer", [break_off, refusal(400, "invalid_image"), answering(200, "<h1>", {"content-type": "text/html"})]
)
def test_a_failure_leaves_the_file_as_it_was(tmp_path, answer):
    stream = io.BytesIO()
    (tmp_path / "a.png").write_bytes(b"before")
    with fake_server(answer) as server, Client(base_url=server.url, retries=0) as client:
        for output in (tmp_path / "a.png", tmp_path / "new.png", stream):
            with pytest.raises(RembgError):
                client.remove_background(PNG, output)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"before"
    assert stream.getvalue() == b""


def test_a_file_whose_try_broke_off_is_whole_after_the_next(tmp_path):
    with fake_server(break_off, image) as server, Client(base_url=server.url) as client:
        client.remove_background(PNG, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == IMAGE
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_no_folder_and_a_full_disk_are_told(tmp_path):
    with fake_server(image) as server, Client(base_url=server.url) as client:
        for output in (tmp_path / "nowhere/a.png", tmp_path):
            with pytest.raises(InvalidInput):
                client.remove_background(PNG, output)
        assert not server.seen
        with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OutputFailed, match="space"):  # noqa: PTH123
            client.remove_background(PNG, full)
        assert len(server.seen) == 1, "what the disk did is not tried again"


@pytest.mark.parametrize(
    "value", [lambda: "1", lambda: time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))]
)
def test_retry_after_is_honoured_in_seconds_and_as_a_date(value):
    with (
        fake_server(refusal(503, "server_busy", retry_after=value()), image) as server,
        Client(base_url=server.url) as client,
    ):
        started = time.monotonic()
        client.remove_background(PNG)
    # Dates know no fractions of a second.
    assert time.monotonic() - started >= 0.95


def test_a_pause_beyond_the_time_limit_is_not_begun():
    with (
        fake_server(refusal(429, "rate_limited", retry_after="60")) as server,
        Client(base_url=server.url, timeout=5) as client,
        pytest.raises(RateLimited) as raised,
    ):
        client.remove_background(PNG)
    assert (raised.value.retry_after, len(server.seen)) == (60, 1)


def test_the_time_limit_ends_an_answer_that_only_drips(tmp_path):
    with fake_server(drip) as server, Client(base_url=server.url, timeout=0.3) as client, pytest.raises(TimedOut):
        client.remove_background(PNG, tmp_path / "a.png")
    assert len(server.seen) == 1
    assert not list(tmp_path.iterdir())


def test_the_time_limit_ends_an_upload_that_is_not_read():
    event = threading.Event()

    def deaf(handler) -> None:
        event.wait(20)

    deaf.is_early = True  # type: ignore[attr-defined]
    with fake_server(deaf) as server, Client(base_url=server.url, timeout=0.3) as client:
        try:
            with pytest.raises(TimedOut):
                client.remove_background(LARGE)
        finally:
            event.set()


def test_no_server():
    with Client(base_url="http://127.0.0.1:9", retries=1) as client, pytest.raises(ConnectionFailed) as raised:
        client.remove_background(PNG)
    assert (raised.value.code, raised.value.status) == ("network_error", 0)


def test_a_file_that_becomes_shorter_is_told_and_not_tried_again(tmp_path):
    path = tmp_path / "shrinking.png"
    path.write_bytes(LARGE)

    def shorten(sent: int, total: int) -> None:
        if sent > 100_000:
            os.truncate(path, 70_000)

    with fake_server(image) as server, Client(base_url=server.url) as client, pytest.raises(InvalidInput, match="shorter"):
        client.remove_background(path, on_upload=shorten)
    assert len(server.seen) == 1


def test_progress_is_told():
    listener = Listener()
    with fake_server(image) as server, Client(base_url=server.url) as client:
        client.remove_background(LARGE, on_upload=listener)
    assert listener.events == sorted(listener.events)
    assert listener.events[-1] == (len(LARGE), len(LARGE))
    assert len(listener.events) > 100


def test_the_key_is_a_header_alone_and_follows_no_redirect():
    with (
        fake_server(answering(308, headers={"location": "/elsewhere"})) as server,
        Client("s3cret", base_url=server.url) as client,
        pytest.raises(RembgError),
    ):
        client.remove_background(PNG)
    assert len(server.seen) == 1
    assert server.seen[0].headers["x-api-key"] == "s3cret"
    assert b"s3cret" not in server.seen[0].body
    assert "s3cret" not in server.seen[0].path


def test_settings_come_from_the_environment(monkeypatch):
    with fake_server(image) as server:
        monkeypatch.setenv("REMBG_API_KEY", "from-the-environment")
        monkeypatch.setenv("REMBG_BASE_URL", server.url + "/")
        with Client() as client:
            client.remove_background(PNG)
    assert server.seen[0].headers["x-api-key"] == "from-the-environment"
    assert server.seen[0].path == "/rmbg"


def test_a_server_below_a_path():
    with fake_server(image) as server, Client(base_url=f"{server.url}/tools/") as client:
        client.remove_background(PNG)
    assert server.seen[0].path == "/tools/rmbg"


def test_models_are_as_the_server_describes_them():
    rows = [{"name": "u2net", "default": True}]
    for body in (rows, {"models": rows}):
        with fake_server(answering(200, body)) as server, Client(base_url=server.url) as client:
            assert client.models() == rows
        assert server.seen[0].path == "/api/models"
    with fake_server(answering(200, {})) as server, Client(base_url=server.url) as client, pytest.raises(InvalidResponse):
        client.models()


@pytest.mark.parametrize("batch", ["../admin", "1", "x?items=0"])
def test_what_is_no_id_of_a_batch_never_becomes_a_path(batch):
    with fake_server(image) as server, Client(base_url=server.url) as client, pytest.raises(InvalidInput):
        client.batches.get(batch)
    assert not server.seen


def test_the_asynchronous_client_can_be_cancelled(tmp_path):
    async def main() -> None:
        async with AsyncClient(base_url=server.url) as client:
            await asyncio.wait_for(client.remove_background(PNG, tmp_path / "a.png"), 0.3)

    with fake_server(drip) as server, pytest.raises(asyncio.TimeoutError):
        run_async(main())
    assert not list(tmp_path.iterdir()), "no half result is left"


def test_many_threads_share_a_client():
    with fake_server(image) as server, Client(base_url=server.url) as client:
        threads = [threading.Thread(target=client.remove_background, args=(PNG,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({seen.headers["idempotency-key"] for seen in server.seen}) == len(server.seen) == 8


def test_a_busy_server_is_told_after_the_last_try():
    busy = refusal(503, "server_busy", retry_after="0")
    with fake_server(busy) as server, Client(base_url=server.url) as client, pytest.raises(ServerBusy):
        client.remove_background(encoded(Image.new("RGB", (2, 2))))
    assert len(server.seen) == 3
