"""Where the bytes of a request body are stored, and how they are counted."""

import errno
import json
import random

import pytest
from django.http import HttpRequest

from lib.ops import tracing
from lib.web.errors import render_exception
from lib.web.server import budgets
from lib.web.server.bodies import ChunkedFraming, Store
from lib.web.server.budgets import Budget
from lib.web.server.parser import RequestParser
from lib.web.server.refusals import Refused, render, server_error

MEGABYTE = 1024**2
DELIMITER = b"\r\n--XX"


@pytest.fixture(autouse=True)
def _fresh_budgets():
    budgets.reset()
    yield
    budgets.reset()


def store(**limits) -> Store:
    return Store(Budget(100 * MEGABYTE, 100 * MEGABYTE), "someone", **limits)


@pytest.mark.parametrize("seed", range(20))
def test_a_long_part_is_counted_and_what_follows_it_is_kept(seed):
    """However the bytes arrive, and wherever a delimiter is split."""
    chance = random.Random(seed)  # noqa: S311
    parts = [b"a" * 10, b"b" * 5000, b"\r\n--X" * 1000, b"c" * 30, b"d" * 3000]
    body = DELIMITER.join(parts)
    kept = store(delimiter=DELIMITER, kept_of_part=1000)
    at = 0
    while at < len(body):
        size = chance.choice([1, 2, 3, 100, 1500])
        kept.append(body[at : at + size])
        at += size
    read = kept.open().read()
    kept.close()
    assert len(read) == kept.size == len(body)
    assert read.count(DELIMITER) == len(parts) - 1
    back = read.split(DELIMITER)
    assert (back[0], back[3]) == (parts[0], parts[3])
    assert [len(part) for part in back] == [len(part) for part in parts]
    assert back[1].startswith(b"b" * 1000)
    assert back[1].count(b"b") < 1000 + 1600 + len(DELIMITER)


def test_a_budget_is_given_back_and_one_holder_cannot_have_all_of_it():
    budget = Budget(10, 6)
    assert budget.take("a", 6)
    assert not budget.take("a", 1)
    assert not budget.has_room("a")
    assert budget.take("b", 4)
    assert not budget.take("c", 1)
    budget.give_back("a", 6)
    assert budget.take("c", 6)


def test_a_body_beyond_the_budget_is_refused_and_takes_nothing():
    budget = Budget(MEGABYTE, MEGABYTE)
    kept = Store(budget, "someone")
    kept.append(bytes(2 * MEGABYTE))
    assert 0 < budget.used < MEGABYTE
    with pytest.raises(Refused) as refusal:
        kept.append(bytes(MEGABYTE))
    assert (refusal.value.error.status, refusal.value.error.code) == (503, "server_busy")
    assert refusal.value.error.headers["Retry-After"]
    kept.close()
    kept.close()
    assert budget.used == 0


def test_small_bodies_pass_while_others_fill_the_budget():
    budget = Budget(MEGABYTE, MEGABYTE)
    budget.take("someone else", MEGABYTE)
    kept = Store(budget, "someone")
    kept.append(bytes(MEGABYTE))
    assert kept.open().read() == bytes(MEGABYTE)
    customers = Budget(MEGABYTE, MEGABYTE)
    kept.hand_to(customers, "customer")
    kept.append(bytes(MEGABYTE))
    assert customers.used == MEGABYTE // 2
    kept.close()
    assert customers.used == 0


class FullDisk:
    """A file on a full disk."""

    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        pass


def test_an_upload_for_which_the_disk_has_no_room_is_refused(settings):
    request = RequestParser(None)
    request.adj = type("Adjustments", (), {"url_scheme": "http"})
    request.received(b"POST /rmbg HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
    assert request._store is not None
    request._store._file.close()
    request._store._file = FullDisk()  # type: ignore[assignment]
    request.received(b"hello")
    assert request.error is not None
    assert (request.error.status, request.error.code) == (507, "insufficient_storage")
    assert budgets.visitor_bodies().used == 0
    assert request.is_discarding, "the rest is read, so that the client sees the answer"
    request.received(b"world")
    assert request.completed
    request.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_crash(number):
    request = HttpRequest()
    response = render_exception(OSError(number, "full"), {"request": request})
    assert response is not None
    assert (response.status_code, response.data["code"]) == (507, "insufficient_storage")
    assert response.headers["Retry-After"]
    assert render_exception(OSError(errno.EIO, "broken"), {"request": request}) is None


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_chunks_however_they_are_cut(size):
    text = b"5\r\nhello\r\nA;x=y\r\n, chunks!!\r\n0\r\nX-A: b\r\n\r\n"
    framing, carried, used = ChunkedFraming(), b"", 0
    for at in range(0, len(text), size):
        piece, taken = framing.take(text[at : at + size])
        carried, used = carried + piece, used + taken
    assert (carried, framing.is_complete, used) == (b"hello, chunks!!", True, len(text))
    framing, next_one = ChunkedFraming(), b"GET / HTTP/1.1"
    assert framing.take(text + next_one) == (b"hello, chunks!!", len(text))


@pytest.mark.parametrize(("networks", "is_believed"), [([], False), (["10.0.0.0/8"], False), (["127.0.0.0/8"], True)])
def test_a_trace_is_continued_for_peers_that_are_named_alone(settings, monkeypatch, networks, is_believed):
    import ipaddress

    from opentelemetry import trace

    settings.TRACE_NETWORKS = [ipaddress.ip_network(network) for network in networks]
    monkeypatch.setattr(tracing, "start", lambda: None)
    seen = []
    monkeypatch.setattr(
        trace.get_tracer("x").__class__, "start_as_current_span", lambda *a, context, **k: seen.append(context)
    )
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": "127.0.0.1", "HTTP_TRACEPARENT": f"00-{'a' * 32}-{'b' * 16}-01"}
    tracing._span(request)
    span = trace.get_current_span(seen[0]).get_span_context()
    assert (span.trace_id == int("a" * 32, 16)) == is_believed


@pytest.mark.parametrize("coding", ["base64", "Quoted-Printable"])
@pytest.mark.parametrize("position", [0, 1])
def test_more_is_kept_of_a_part_that_is_encoded(coding, position):
    """Decoded, it may still be as small as any other part."""
    encoded = b"\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: %s\r\n\r\n" % coding.encode()
    encoded += b"A" * (1350 - len(encoded))
    # Text inside the content is not a header.
    plain = b"\r\nContent-Type: text/plain\r\n\r\nContent-Transfer-Encoding: base64\r\n" + b"B" * 1800
    parts = [encoded, plain, plain]
    parts.insert(position, parts.pop(0))
    body = DELIMITER[2:] + DELIMITER.join(parts) + DELIMITER
    kept = store(delimiter=DELIMITER, kept_of_part=1000)
    for at in range(0, len(body), 50):
        kept.append(body[at : at + 50])
    read = kept.open().read()
    kept.close()
    assert len(read) == len(body)
    assert encoded in read
    assert 1800 < read.count(b"B") < 2100


def begun(head: str, body: bytes = b"") -> RequestParser:
    """A request of which this much has arrived."""
    request = RequestParser(None)
    request.adj = type("Adjustments", (), {"url_scheme": "http"})
    sent = head.encode("latin-1") + body
    while sent and not request.completed:
        sent = sent[request.received(sent) :]
    return request


@pytest.mark.parametrize(
    ("headers", "delimiter"),
    [
        ("Content-Type: multipart/form-data; boundary=----=_Part_0_1.2", b"\r\n------=_Part_0_1.2"),
        ('Content-Type: multipart/form-data; boundary="a b"; charset=utf-8', b"\r\n--a b"),
        ("Content-Type: multipart/form-data; boundary=a,b", b"\r\n--a,b"),
        ("Content-Type: multipart/form-data; boundary=" + "a" * 71, b""),
        ("Content-Type: multipart/form-data", b""),
        # No bytes of a compressed body may be left out.
        ("Content-Type: multipart/form-data; boundary=XX\r\nContent-Encoding: gzip", b""),
    ],
)
def test_the_boundary_that_separates_parts(headers, delimiter):
    request = begun(f"POST /rmbg HTTP/1.1\r\nHost: a\r\n{headers}\r\nContent-Length: 10\r\n\r\n")
    assert request._store is not None
    assert request._store._delimiter == delimiter
    request.close()


REFUSED = {
    400: "POST {} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    413: "PUT {} HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n",
    414: "GET {}?" + "a" * 5000 + " HTTP/1.1\r\nHost: a\r\n\r\n",
    417: "POST {} HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 5\r\n\r\n",
    431: "POST {} HTTP/1.1\r\nHost: a\r\nX-A: " + "a" * 9000 + "\r\n\r\n",
    501: "POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
}


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize(
    ("path", "is_api"),
    [("/rmbg", True), ("/rmbg/x", True), ("/api/batches", True), ("/v1.0/removebg", True), ("/v1.0/account", True),
     ("http://localhost/api/x", True), ("/%72mbg", True), ("/", False), ("/docs", False), ("/v1.0x", False),
     ("/apix", False)],
)  # fmt: skip
def test_what_the_server_refuses_is_json_for_callers_of_the_api(status, path, is_api):
    request = begun(REFUSED[status].format(path))
    assert request.error is not None
    line, headers, body = render(request.error, request.guess_path(), request.headers)
    assert line.startswith(f"{status} ")
    fields = dict(headers)
    assert fields["X-Request-Id"]
    if is_api:
        answer = json.loads(body)
        assert fields["Content-Type"] == "application/json"
        if path.startswith("/v1.0/"):
            [entry] = answer["errors"]
            assert set(entry) <= {"title", "code", "detail"}
        else:
            assert set(answer) == {"error", "code", "status"}
            assert answer["status"] == status
    else:
        assert fields["Content-Type"].startswith("text/plain")
    request.close()


@pytest.mark.parametrize("status", [400, 408, 411, 413, 414, 417, 431, 500, 501, 503, 505, 507])
def test_every_status_of_the_server_has_the_shape_of_the_api(status):
    _, _, body = render(server_error(status), "/api/batches", {})
    answer = json.loads(body)
    assert (answer["status"], bool(answer["error"]), bool(answer["code"])) == (status, True, True)
    line, _, body = render(server_error(status), "/v1.0/removebg", {})
    [entry] = json.loads(body)["errors"]
    assert (line[:3], bool(entry["title"]), bool(entry["code"])) == (str(status), True, True)


@pytest.mark.parametrize("said", ["100-continue", "100-Continue"])
def test_a_caller_that_asks_first_is_answered_before_it_sends(said):
    request = begun(f"POST /rmbg HTTP/1.1\r\nHost: a\r\nExpect: {said}\r\nContent-Length: 5\r\n\r\n")
    assert request.expect_continue
    assert not request.completed
    request.close()
