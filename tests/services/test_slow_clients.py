"""Slow and hostile connections: honest callers are served, and what the slow ones hold is bounded."""

import io
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from PIL import Image

from tests.imaging.removal.forms import form
from tests.services.deployment import Deployment
from tests.services.slow_clients import (
    FORM,
    MODES,
    PART,
    exchange,
    head,
    is_served,
    modes_given_up,
    read_answer,
    slow_clients,
    wait_until,
)

pytestmark = pytest.mark.services

MEGABYTE = 1024**2
# Short deadlines, so that the tests need not wait for a real deployment's.
SHORT = {"WEB_HEADER_SECONDS": "2", "WEB_STALL_SECONDS": "2", "WEB_DRAIN_SECONDS": "1"}
RESULT = {"w": "4000", "h": "4000", "exact_resize": "true", "format": "bmp"}


@pytest.fixture(scope="module")
def defaults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One web process with the default configuration."""
    running = Deployment(tmp_path_factory.mktemp("defaults"), model_seconds=0)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The same with short deadlines."""
    running = Deployment(tmp_path_factory.mktemp("short"), model_seconds=0, **SHORT)
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize("mode", MODES)
def test_200_slow_clients_of_one_address_keep_no_caller_of_it_waiting(defaults, mode):
    with slow_clients(defaults.port, mode, 200) as clients:
        for pause in (0.3, 0.3, 0):
            clients.dribble()
            assert is_served(defaults.url)
            time.sleep(pause)


@pytest.fixture(scope="module")
def given_up(short: Deployment) -> set[str]:
    """The modes of which the server ends every client: all wait for their deadlines at the same time."""
    return modes_given_up(short.port, MODES, 12)


@pytest.mark.parametrize("mode", MODES)
def test_a_slow_client_is_given_up(given_up, mode):
    assert mode in given_up


def test_other_addresses_are_not_asked_to_make_room(defaults):
    """The limit on all connections is enforced on the address that has most of them."""
    with slow_clients(defaults.port, "headers", 20, source="127.0.0.9") as few:
        crowd = [slow_clients(defaults.port, "headers", 99, source=f"127.0.1.{number}") for number in range(1, 12)]
        entered = [each.__enter__() for each in crowd]
        few.dribble()
        assert few.ended == 0
        assert is_served(defaults.url)
        for each in entered:
            each.close()


@pytest.mark.parametrize(("mode", "code"), [("upload without a key", "request_timeout"), ("headers", None)])
def test_a_client_that_was_too_slow_gets_the_reason(short, mode, code):
    first, _ = MODES[mode]
    answer = exchange(short.port, first)
    assert answer.status == 408
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"]
    if code:
        assert answer.headers["content-type"] == "application/json"
        assert answer.code == code


def test_an_idle_connection_that_was_served_is_kept_and_then_closed(short):
    with socket.create_connection(("127.0.0.1", short.port), timeout=10) as connection:
        for _ in range(2):
            connection.sendall(head("GET", "/healthz"))
            assert read_answer(connection).status == 200
            time.sleep(0.5)
        began = time.monotonic()
        assert connection.recv(1) == b""
        assert 3 < time.monotonic() - began < 9


def test_a_steady_upload_may_take_longer_than_a_window(short):
    """What matters is that it moves."""
    key = short.issue_key("steady@example.com")
    body = form(b"x" * 60_000)
    with socket.create_connection(("127.0.0.1", short.port), timeout=10) as connection:
        lines = [f"x-api-key: {key}", f"Content-Type: {body['content_type']}", f"Content-Length: {len(body['data'])}"]
        connection.sendall(head("POST", "/rmbg", *lines))
        for at in range(0, len(body["data"]), 6_000):
            connection.sendall(body["data"][at : at + 6_000])
            time.sleep(0.6)
        assert read_answer(connection).status == 400


# --- Bodies --------------------------------------------------------------------------------------


def disk_of(deployment: Deployment) -> int:
    """Bytes of the deleted files that the web process has open."""
    (worker,) = deployment.workers()
    total = 0
    for link in Path(f"/proc/{worker}/fd").iterdir():
        try:
            if str(link.readlink()).startswith(tempfile.gettempdir()) and "(deleted)" in str(link.readlink()):
                total += link.stat().st_blocks * 512
        except OSError:
            continue
    return total


def send_until_refused(deployment: Deployment, lines: list[str], megabytes: int, path: str = "/rmbg") -> tuple[int, int]:
    """Megabytes that could be sent, and the most that was on disk while they were."""
    sent = most = 0
    with socket.create_connection(("127.0.0.1", deployment.port), timeout=10) as connection:
        connection.sendall(head("POST", path, *lines, FORM, f"Content-Length: {megabytes * MEGABYTE}") + PART)
        try:
            for sent in range(megabytes):
                connection.sendall(bytes(MEGABYTE))
                if sent % 20 == 0:
                    most = max(most, disk_of(deployment))
        except OSError:
            pass
    return sent, most


def test_a_large_upload_with_a_wrong_key_is_not_kept(defaults):
    _, most = send_until_refused(defaults, ["x-api-key: wrong"], 120)
    assert most < 4 * MEGABYTE
    assert wait_until(lambda: disk_of(defaults) < MEGABYTE)


@pytest.mark.parametrize(
    ("path", "lines", "status", "code"),
    [
        ("/rmbg", ["x-api-key: wrong"], 401, "invalid_api_key"),
        ("/rmbg", ["x-api-key: wrong", "Authorization: Bearer wrong"], 400, "two_credentials"),
        ("/rmbg", ["Authorization: Bearer wrong"], 401, "invalid_api_key"),
        ("/api/batches", [], 401, "invalid_api_key"),
        ("/api/batches", ["x-api-key: wrong"], 401, "invalid_api_key"),
    ],
)
def test_the_application_answers_who_is_refused_before_the_upload_is_there(short, path, lines, status, code):
    length = 40 * MEGABYTE
    with socket.create_connection(("127.0.0.1", short.port), timeout=10) as connection:
        connection.sendall(head("POST", path, *lines, FORM, f"Content-Length: {length}") + PART)
        began = time.monotonic()
        answer = read_answer(connection)
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["connection"] == "close"
    assert time.monotonic() - began < 4


def test_who_asks_first_need_not_send_what_is_refused(defaults):
    lines = ["x-api-key: wrong", FORM, f"Content-Length: {40 * MEGABYTE}", "Expect: 100-continue"]
    answer = exchange(defaults.port, head("POST", "/rmbg", *lines), seconds=3)
    assert (answer.status, answer.code) == (401, "invalid_api_key")


def test_a_client_that_asks_first_and_is_welcome_gets_a_continue(defaults):
    key = defaults.issue_key("continue@example.com")
    lines = [f"x-api-key: {key}", FORM, f"Content-Length: {2 * MEGABYTE}", "Expect: 100-continue"]
    with socket.create_connection(("127.0.0.1", defaults.port), timeout=10) as connection:
        connection.sendall(head("POST", "/rmbg", *lines))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(bytes(2 * MEGABYTE))
        assert read_answer(connection).status == 400


def test_an_address_that_has_used_its_day_up_sends_nothing_more(tmp_path_factory, image):
    folder = tmp_path_factory.mktemp("used-up")
    running = Deployment(folder, model_seconds=0, ANONYMOUS_IMAGES_PER_DAY="1", **SHORT)
    running.start()
    try:
        assert running.rmbg(files={"image": ("a.png", image)}).status_code == 200
        _, most = send_until_refused(running, [], 60)
        assert most < 4 * MEGABYTE
        body = form(bytes(20 * MEGABYTE))
        answer = requests.post(
            f"{running.url}/rmbg", body["data"], headers={"Content-Type": body["content_type"]}, timeout=20
        )
        assert (answer.status_code, answer.json()["code"]) == (429, "daily_limit_reached")
    finally:
        running.stop()


def test_visitors_fill_no_disk(defaults):
    """Callers without a key have room for two large images at once, no more."""

    def send(_: int) -> tuple[int, int]:
        return send_until_refused(defaults, [], 45)

    with ThreadPoolExecutor(8) as pool:
        most = max(each for _, each in pool.map(send, range(8)))
    assert most <= 145 * MEGABYTE, "and a megabyte and a half of each connection"
    assert wait_until(lambda: disk_of(defaults) < MEGABYTE)
    assert is_served(defaults.url)


@pytest.mark.parametrize(
    "path", ["/accounts/login/", "/language", "/healthz", "/api/stripe/webhook", "/api/openapi", "/rmbg/x"]
)
@pytest.mark.parametrize("chunked", [True, False])
def test_no_other_address_takes_a_large_body(defaults, path, chunked):
    def body() -> Iterator[bytes]:
        for _ in range(30):
            yield bytes(MEGABYTE)

    data = body() if chunked else bytes(30 * MEGABYTE)
    answer = requests.post(f"{defaults.url}{path}", data, timeout=20)
    assert answer.status_code == 413
    if path.startswith(("/api/", "/rmbg/")):
        assert answer.json()["code"] == "payload_too_large"
    assert disk_of(defaults) < 4 * MEGABYTE


def test_of_an_upload_that_is_too_large_only_the_size_is_kept(defaults):
    key = defaults.issue_key("large@example.com")
    _, most = send_until_refused(defaults, [f"x-api-key: {key}"], 200)
    assert most < 60 * MEGABYTE
    body = form(bytes(60 * MEGABYTE), w="100")
    headers = {"x-api-key": key, "Content-Type": body["content_type"]}
    answer = requests.post(f"{defaults.url}/rmbg", body["data"], headers=headers, timeout=20)
    assert answer.json()["error"] == "File size (60.0 MB) exceeds the maximum allowed size of 50 MB."


def test_an_upload_without_end_is_answered(short):
    key = short.issue_key("endless@example.com")
    answer = exchange_while_sending(short.port, head("POST", "/rmbg", f"x-api-key: {key}", FORM, f"Content-Length: {2**40}"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"exceeds the maximum allowed size of 50 MB" in answer


def exchange_while_sending(port: int, first: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(first + PART)
        answer = b""
        connection.setblocking(False)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                connection.send(bytes(MEGABYTE))
            except BlockingIOError:
                time.sleep(0.001)
            except OSError:
                return answer
            try:
                data = connection.recv(65536)
                answer += data
                if not data:
                    return answer
            except BlockingIOError:
                continue
            except OSError:
                return answer
    return answer


# --- Readers -------------------------------------------------------------------------------------


def test_slow_readers_hold_their_place_and_no_memory(tmp_path_factory, image):
    """Six results of 48 MB that are not read: for a free account two wait on disk, the others are refused."""
    running = Deployment(tmp_path_factory.mktemp("readers"), model_seconds=0, IMAGING_SLOTS="2", WEB_STALL_SECONDS="600")
    running.start()
    try:
        keys = [running.issue_key(f"reader{number}@example.com", plan="Free") for number in range(3)]
        (worker,) = running.workers()
        assert running.rmbg(keys[0], files={"image": ("a.png", image)}).status_code == 200
        before = memory_of(worker)
        readers = [ask_and_do_not_read(running, key, image) for key in keys for _ in range(2)]
        assert all(wait_until(lambda one=one: begins_with(one, b"HTTP/1.1 200"), 60) for one in readers)
        assert wait_until(lambda: memory_of(worker) < before + 100 * MEGABYTE, 10), memory_of(worker) - before
        refused = running.rmbg(keys[0], files={"image": ("a.png", image)})
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        for one in readers:
            one.close()
        assert wait_until(lambda: disk_of(running) < MEGABYTE)
        assert running.rmbg(keys[0], files={"image": ("a.png", image)}).status_code == 200
    finally:
        running.stop()


def memory_of(pid: int) -> int:
    """A process's memory in bytes."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def ask_and_do_not_read(deployment: Deployment, key: str, image: bytes) -> socket.socket:
    body = form(image, **RESULT)
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(60)
    made.connect(("127.0.0.1", deployment.port))
    lines = [f"x-api-key: {key}", f"Content-Type: {body['content_type']}", f"Content-Length: {len(body['data'])}"]
    made.sendall(head("POST", "/rmbg", *lines) + body["data"])
    return made


def begins_with(connection: socket.socket, expected: bytes) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(len(expected), socket.MSG_PEEK) == expected
    except BlockingIOError:
        return False


def test_results_that_are_not_read_have_a_bound_and_cost_nothing_beyond_it(tmp_path_factory, image):
    running = Deployment(
        tmp_path_factory.mktemp("budget"),
        model_seconds=0,
        RATE_LIMIT_ENABLED="0",
        WEB_RESULT_BYTES=str(260 * MEGABYTE),
        WEB_STALL_SECONDS="600",
    )
    running.start()
    try:
        account = running.call("open_account", included=10)
        reader = ask_and_do_not_read(running, account["key"], image)
        assert wait_until(lambda: begins_with(reader, b"HTTP/1.1 200"), 60)
        body = form(image, **RESULT)
        headers = {"x-api-key": account["key"], "Content-Type": body["content_type"]}
        answer = requests.post(f"{running.url}/rmbg", body["data"], headers=headers, timeout=60)
        assert (answer.status_code, answer.json()["code"]) == (503, "server_busy")
        assert int(answer.headers["Retry-After"]) > 0
        states = running.call("read", email=account["email"])["states"]
        assert states.get("posted") == 1
        reader.close()
        assert wait_until(lambda: requests.post(f"{running.url}/rmbg", body["data"], headers=headers, timeout=60).ok)
    finally:
        running.stop()


# --- The end -------------------------------------------------------------------------------------


def test_a_server_that_stops_does_not_wait_for_slow_clients(tmp_path_factory, image):
    running = Deployment(tmp_path_factory.mktemp("stopping"), model_seconds=1, **SHORT)
    running.start()
    key = running.issue_key("stopping@example.com")
    with (
        slow_clients(running.port, "idle", 10),
        slow_clients(running.port, "headers", 10),
        slow_clients(running.port, "upload without a key", 10),
        slow_clients(running.port, "reader of a file", 10),
        ThreadPoolExecutor(1) as pool,
    ):
        customer = pool.submit(running.rmbg, key, files={"image": ("a.png", image)})
        assert wait_until(lambda: running.events("+"))
        began = time.monotonic()
        assert running.process is not None
        running.process.send_signal(signal.SIGTERM)
        assert customer.result().status_code == 200
        assert running.process.wait(20) == 0
        assert time.monotonic() - began < 15
    running.stop()


@pytest.fixture(scope="module")
def image() -> bytes:
    """A small image."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "PNG")
    return file.getvalue()
