"""`POST /rmbg` with `image_url`: good images are fetched, and bad servers and forms are refused."""

import gzip
import io
import itertools
import threading
import time
from typing import BinaryIO

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from PIL import Image

from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.models import UsageWindow
from imaging.core.codecs.checks import MAX_BYTES
from imaging.executor import runtime
from imaging.models import BatchItem
from imaging.removal import image_url
from imaging.removal.forms import new_file
from lib.outbound import addresses as public_addresses
from lib.outbound import client as outbound
from lib.outbound.lookups import Asker, Lookups
from lib.web import rate_limits
from tests.hosts import Host, answer, networks, redirect
from tests.imaging.batches.forms import work_through
from tests.imaging.removal.forms import form
from tests.imaging.removal.image_urls import UNREACHABLE, ask, assert_refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_places")]


# --- Images that are fetched --------------------------------------------------------------------


def test_a_picture_is_fetched_cut_out_and_charged(quick_model, web, key, small_png):
    host = web(lambda path: [answer(small_png, "Content-Type: text/html")])
    response = ask(f"http://127.0.0.1:{host.port}/shop/a%20red%20chair.php?size=1", key, format="png")
    assert response.status_code == 200, response.content
    assert Image.open(io.BytesIO(response.content)).size == (8, 6)
    assert response.headers["Content-Disposition"] == 'inline; filename="a red chair-no-bg.png"'
    assert response.headers["X-Credits-Charged"] == "1"
    assert UsageWindow.objects.get().used == 100
    assert host.requests[0].startswith("GET /shop/a%20red%20chair.php?size=1 HTTP/1.1\r\n")
    assert "\r\nAccept-Encoding: identity\r\n" in host.requests[0]
    assert key not in host.requests[0]


def test_a_plain_form_will_do(quick_model, web, small_png):
    host = web(lambda path: [answer(small_png, length=-1)])
    body = f"image_url=http%3A%2F%2F127.0.0.1%3A{host.port}&format=png"
    response = Client().post("/rmbg", body, content_type="application/x-www-form-urlencoded")
    assert response.headers["Content-Disposition"] == 'inline; filename="image-no-bg.png"'


def test_a_browsers_form_with_no_file_chosen(quick_model, web, small_png):
    host = web(lambda path: [answer(small_png)])
    sent = form(b"", name="", image_url=f"http://127.0.0.1:{host.port}/a.png")
    assert Client().post("/rmbg", **sent).status_code == 200


def test_an_empty_address_is_none(quick_model, small_png):
    assert Client().post("/rmbg", **form(small_png, image_url=" ")).status_code == 200
    assert_refused(ask(""), "missing_image")


def test_a_chunked_answer(quick_model, web, small_png):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    host = web(
        lambda path: [head, b"5;a=b\r\n", small_png[:5], b"\r\n%x\r\n" % len(small_png[5:]), small_png[5:], b"\r\n0\r\n\r\n"]
    )
    assert ask(f"http://127.0.0.1:{host.port}/a.png").status_code == 200


def test_three_redirects_are_followed(quick_model, web, names, small_png):
    def reply(path: str):
        step = int(path[1:])
        return [answer(small_png)] if step == 3 else [redirect(f"/{step + 1}", f"{(301, 302, 307)[step]} Moved")]

    host = web(reply)
    names.answers = {"pictures.test": [["127.0.0.1"]]}
    assert ask(f"http://pictures.test:{host.port}/0").status_code == 200
    assert names.looked_up == ["pictures.test"] * 4


def test_a_retry_is_known_by_the_bytes(quick_model, web, key, small_png, photo):
    pictures = iter([small_png, small_png, photo])
    host = web(lambda path: [answer(next(pictures))])
    headers = {"x-api-key": key, "Idempotency-Key": "order-1"}
    sent = form(image_url=f"http://127.0.0.1:{host.port}/a")
    first, second, third = (Client(headers=headers).post("/rmbg", **sent) for _ in range(3))
    assert (first.headers["X-Credits-Charged"], second.headers["X-Credits-Charged"]) == ("1", "0")
    assert (third.status_code, third.json()["code"]) == (409, "idempotency_key_reused")


def test_an_ipv6_address(quick_model, settings, web, small_png):
    host = web(lambda path: [answer(small_png)], address="::1")
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("::1")
    assert ask(f"http://[0:0::1]:{host.port}/a.png").status_code == 200
    assert f"\r\nHost: [::1]:{host.port}\r\n" in host.requests[0]


def test_proxies_of_the_environment_are_not_used(quick_model, web, monkeypatch, small_png):
    host, proxy = web(lambda path: [answer(small_png)]), web(lambda path: [answer(small_png)])
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert ask(f"http://127.0.0.1:{host.port}/a.png").status_code == 200
    assert proxy.connections == 0


# --- Forms that are wrong -------------------------------------------------------------------------


def test_both_a_file_and_an_address(web, key, small_png):
    host = web(lambda path: [answer(small_png)])
    sent = form(small_png, image_url=f"http://127.0.0.1:{host.port}/")
    message = "Send the picture either as 'image' or by 'image_url', not both."
    assert_refused(Client(headers={"x-api-key": key}).post("/rmbg", **sent), "two_pictures", message)
    assert host.connections == 0


def test_nothing_is_fetched_for_a_form_with_a_wrong_option(web, key):
    host = web(lambda path: [answer(b"")])
    assert_refused(ask(f"http://127.0.0.1:{host.port}/", key, w="abc"), "invalid_integer")
    assert host.connections == 0


def test_all_problems_are_reported_at_once():
    response = ask("ftp://example.com/a.png", w="abc", angle="500")
    assert_refused(response, "validation_error")
    assert [detail["field"] for detail in response.json()["details"]] == ["image_url", "w", "angle"]


def test_an_operator_may_switch_it_off(settings, web):
    host = web(lambda path: [answer(b"")])
    settings.IMAGE_URL_ENABLED = False
    message = "'image_url' is switched off here. Send the picture itself as 'image'."
    assert_refused(ask(f"http://127.0.0.1:{host.port}/"), "image_url_disabled", message)
    assert host.connections == 0


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("file:///etc/passwd", "invalid", "is not an address that can be fetched: it must begin with http:// or https://."),
        ("http://a@b.test/", "invalid", "is not an address that can be fetched: it may not have a user name or password."),
        ("http://example.com:22/", "forbidden", "may not be fetched: port 22 is not allowed."),
    ],
)  # fmt: skip
def test_an_unusable_address_says_why(url, code, message):
    assert_refused(ask(url), f"image_url_{code}", f"'image_url' {message}")


def test_an_address_that_is_too_long():
    message = "'image_url' is not an address that can be fetched: it is longer than 4096 characters."
    assert_refused(ask("http://example.com/" + "a" * 9000), "image_url_invalid", message)


# --- Servers that misbehave -----------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"
# They would go on for ever. Long enough for the busiest machine.
PATIENCE = 30.0


@pytest.mark.parametrize(
    "start",
    [
        pytest.param((HEAD[:-2],), id="status line"),
        pytest.param((HEAD, b"X-Endless: "), id="header"),
        pytest.param((HEAD, b"Content-Length: 100000\r\n\r\n"), id="body"),
        pytest.param((HEAD, b"\r\n"), id="body without end"),
        pytest.param((HEAD, b"Transfer-Encoding: chunked\r\n\r\n"), id="chunk size"),
    ],
)
def test_a_server_that_drips_is_cut_off(settings, web, key, start):
    settings.IMAGE_URL_SECONDS = 0.5
    host: Host = web(lambda path: host.drip(*start))
    started = time.monotonic()
    response = ask(f"http://127.0.0.1:{host.port}/", key)
    assert time.monotonic() - started < PATIENCE
    assert_refused(response, "image_url_timeout", "The picture of 'image_url' did not arrive within 0.5 seconds.")


def test_a_server_that_says_nothing_is_cut_off(settings, web, key):
    settings.IMAGE_URL_SECONDS = 0.5
    host: Host = web(lambda path: (b"" for _ in iter(host.stopping.wait, True)))
    started = time.monotonic()
    assert_refused(ask(f"http://127.0.0.1:{host.port}/", key), "image_url_timeout")
    assert time.monotonic() - started < PATIENCE


def test_a_server_that_drips_what_is_no_answer_is_not_waited_for(settings, web, key):
    settings.IMAGE_URL_SECONDS = 2 * PATIENCE
    host: Host = web(lambda path: host.drip())
    started = time.monotonic()
    assert_refused(ask(f"http://127.0.0.1:{host.port}/", key), "image_url_unreachable", UNREACHABLE)
    assert time.monotonic() - started < PATIENCE


def test_a_handshake_that_drips_is_cut_off(settings, web):
    settings.IMAGE_URL_SECONDS = 0.5
    host: Host = web(lambda path: host.drip(b"\x16\x03\x03\x40\x00"), listens=False)
    started = time.monotonic()
    assert_refused(ask(f"https://127.0.0.1:{host.port}/"), "image_url_timeout")
    assert time.monotonic() - started < PATIENCE


def test_the_time_is_one_for_all_redirects(settings, web):
    settings.IMAGE_URL_SECONDS = 0.5

    def reply(path: str):
        time.sleep(0.2)
        yield redirect(f"{path}x")

    assert_refused(ask(f"http://127.0.0.1:{web(reply).port}/"), "image_url_timeout")


MEGABYTE = b"\0" * 1024**2
TOO_LARGE = "The picture of 'image_url' exceeds the maximum allowed size of 50 MB."


def test_an_endless_body_is_counted(web, key):
    sent = itertools.count()
    host = web(lambda path: itertools.chain([HEAD + b"\r\n"], (MEGABYTE for _ in sent)))
    assert_refused(ask(f"http://127.0.0.1:{host.port}/", key), "image_url_too_large", TOO_LARGE)
    assert next(sent) < 70


def test_an_announced_size_is_believed_if_it_is_too_large(web):
    host = web(lambda path: [answer(b"x", length=MAX_BYTES + 1)])
    assert_refused(ask(f"http://127.0.0.1:{host.port}/"), "image_url_too_large", TOO_LARGE)


def test_a_body_longer_than_announced_ends_as_announced(web, small_png):
    host = web(lambda path: [answer(small_png, length=20)])
    assert_refused(ask(f"http://127.0.0.1:{host.port}/"), "invalid_image")


def test_a_body_shorter_than_announced(web, small_png):
    host = web(lambda path: [answer(small_png, length=len(small_png) + 1)])
    assert_refused(ask(f"http://127.0.0.1:{host.port}/"), "image_url_unreachable", UNREACHABLE)


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP", "identity, gzip"])
def test_a_compressed_body_is_not_unpacked(web, key, small_png, encoding):
    host = web(lambda path: [answer(gzip.compress(small_png), f"Content-Encoding: {encoding}")])
    assert_refused(ask(f"http://127.0.0.1:{host.port}/", key), "image_url_encoding")


def test_a_bomb_without_a_label_is_no_picture(web):
    host = web(lambda path: [answer(gzip.compress(MEGABYTE * 20))])
    assert_refused(ask(f"http://127.0.0.1:{host.port}/"), "invalid_image")


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "empty_file"), (b"<html>hello</html>", "invalid_image"), (b"GIF89a" + b"0" * 99, "invalid_image")],
)
def test_what_is_not_a_picture(web, key, body, code):
    host = web(lambda path: [answer(body, "Content-Type: image/png")])
    assert_refused(ask(f"http://127.0.0.1:{host.port}/a.png", key), code)


@pytest.mark.parametrize(
    "status", ["404 Not Found", "500 Oops", "204 No Content", "206 Partial Content", "304 Not Modified"]
)
def test_another_status_than_200(web, key, small_png, status):
    host = web(lambda path: [answer(small_png, status=status)])
    message = f"The server of 'image_url' answered with status {status[:3]} instead of a picture."
    assert_refused(ask(f"http://127.0.0.1:{host.port}/", key), "image_url_failed", message)


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-OpenSSH_9.9\r\n", b"-ERR unknown command\r\n", HEAD + b"X: " + b"a" * 70_000]
)
def test_whatever_is_not_http_looks_like_a_closed_port(web, names, said):
    host = web(lambda path: [said])
    assert_refused(ask(f"http://127.0.0.1:{host.port}/"), "image_url_unreachable", UNREACHABLE)
    host.stop()
    assert_refused(ask(f"http://127.0.0.1:{host.port}/"), "image_url_unreachable", UNREACHABLE)


# --- What a download takes up ---------------------------------------------------------------------


def test_the_file_is_gone_whatever_happens(web, monkeypatch, quick_model, photo):
    files: list[BinaryIO] = []

    def kept() -> BinaryIO:
        files.append(new_file())
        return files[-1]

    monkeypatch.setattr(image_url, "new_file", kept)
    bodies = iter([answer(photo), answer(b"no picture"), answer(photo, length=len(photo) + 1)])
    host = web(lambda path: [next(bodies)])
    assert [ask(f"http://127.0.0.1:{host.port}/").status_code for _ in range(3)] == [200, 400, 400]
    assert [file.closed for file in files] == [True] * 3


def test_a_download_holds_no_slot_and_no_credit_but_the_callers_place(quick_model, web, key, small_png):
    places = rate_limits._places()
    assert isinstance(places, rate_limits._MemoryPlaces)
    events: list[object] = []

    def reply(path: str):
        events.append((runtime.get_gate().running, len(places.leases)))
        yield answer(small_png)

    def watch(execute, sql, *rest):
        if sql.startswith('INSERT INTO "billing_hold"'):
            events.append("hold")
        return execute(sql, *rest)

    host = web(reply)
    with connection.execute_wrapper(watch):
        assert ask(f"http://127.0.0.1:{host.port}/", key).status_code == 200
    assert events == [(0, 1), "hold"]


def test_more_downloads_than_a_process_may_do_are_asked_to_retry(settings, monkeypatch, web, key):
    settings.IMAGE_URL_DOWNLOADS = 1
    monkeypatch.setattr(image_url, "PLACE_SECONDS", 0.05)
    host = web(lambda path: [answer(b"")])
    with image_url._place():
        response = ask(f"http://127.0.0.1:{host.port}/", key)
    assert (response.status_code, response.json()["code"]) == (503, "server_busy")
    assert response.headers["Retry-After"]
    assert host.connections == 0
    assert_refused(ask(f"http://127.0.0.1:{host.port}/", key), "empty_file")


# --- Names that hang ------------------------------------------------------------------------------


@pytest.fixture
def hanging(settings, monkeypatch, names):
    """Makes a customer wait for two names that hang until the end of the test, as if left by others."""
    end, begun = threading.Event(), threading.Semaphore(0)
    look_up = names.look_up

    def slowly(host: str, port: int) -> list[str]:
        if host == "slow.test":
            begun.release()
            end.wait(20)
        return look_up(host, port)

    monkeypatch.setattr(public_addresses, "look_up", slowly)
    monkeypatch.setattr(image_url, "IMAGES", Lookups("test"))
    monkeypatch.setattr(image_url, "LOOKUP_SECONDS", 0.1)

    def occupy(owner: User, times: int = 2) -> None:
        asker = Asker(image_url.__dict__["IMAGES"], f"account:{owner.account.pk}")
        for _ in range(times):
            with pytest.raises(TimeoutError):
                public_addresses.find_addresses("slow.test", 80, 0.05, asker)
            assert begun.acquire(timeout=5)

    yield occupy
    end.set()


def test_the_names_of_one_customer_hang_and_the_pictures_of_others_come(quick_model, hanging, user, web, names, small_png):
    other = User.objects.create_user("quick@example.com")
    other.verify_email()
    hanging(user)
    host = web(lambda path: [answer(small_png)])
    names.answers = {"pictures.test": [["127.0.0.1"]]}
    # It would raise if it waited for them: they hang until the test has ended.
    outbound.send(
        "GET", f"http://pictures.test:{host.port}/", ports=[host.port], seconds=PATIENCE,
        asker=Asker(image_url.__dict__["IMAGES"], f"account:{ledger.get_account(other).pk}"),
    )  # fmt: skip
    assert ask(f"http://pictures.test:{host.port}/", ApiKey.objects.issue(other, name="x")[1].text).status_code == 200
    assert ask(f"http://pictures.test:{host.port}/").status_code == 200


def test_a_customer_whose_names_hang_gets_an_explanation(hanging, user, web, key, names, small_png):
    hanging(user)
    host = web(lambda path: [answer(small_png)])
    names.answers = {"pictures.test": [["127.0.0.1"]]}
    assert_refused(ask(f"http://pictures.test:{host.port}/", key), "image_url_timeout")
    assert host.connections == 0


def test_a_picture_of_a_batch_waits_meanwhile(quick_model, hanging, user, web, key, names, small_png, pictures):
    hanging(user)
    host = web(lambda path: [answer(small_png)])
    names.answers = {"pictures.test": [["127.0.0.1"]]}
    url = f"http://pictures.test:{host.port}/"
    assert Client(headers={"x-api-key": key}).post("/api/batches", {"image_url": url}).status_code == 202
    assert work_through() == 1
    item = BatchItem.objects.get()
    assert item.hold is not None
    assert (item.state, item.attempts, item.hold.state) == ("queued", 0, "held")
    assert item.leased_until > timezone.now()


def test_the_log_tells_the_host_and_the_cause_but_no_secret(web, caplog):
    host = web(lambda path: [b""])
    with caplog.at_level("INFO", "imaging.removal.image_url"):
        ask(f"http://127.0.0.1:{host.port}/private/token-confidential?signature=hidden")
    record = next(record for record in caplog.records if record.name == "imaging.removal.image_url")
    assert (record.host, record.error_code) == ("127.0.0.1", "image_url_unreachable")
    assert "Empty reply from server" in record.cause
    assert "confidential" not in str(record.__dict__) and "hidden" not in str(record.__dict__)
