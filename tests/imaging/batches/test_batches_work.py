"""Work on batch images: which worker does it, and that it happens exactly once."""

import threading
import time
from datetime import timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.models import ApiKey
from billing.credits import ledger
from billing.credits.reconciliation import reconcile
from billing.models import Hold, UsageWindow
from imaging.batches import dispatch, leases, runner, work
from imaging.batches.tasks import work_on_batch_item
from imaging.core.problems import Problem
from imaging.executor import runtime
from imaging.executor.gate import Busy, Gate
from imaging.models import Batch, BatchItem
from imaging.removal import cutouts
from tests.hosts import answer, networks
from tests.imaging.batches.forms import caller, content_of, post, the_batch, work_through

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_model")]


@pytest.fixture(autouse=True)
def kept(pictures):
    """Where the images are stored."""
    return pictures


def make(key: str, png: bytes, pictures: int = 1) -> list[BatchItem]:
    assert post(key, *((f"{n}.png", png) for n in range(pictures))).status_code == 202
    return list(BatchItem.objects.order_by("position"))


def lease_is_over() -> None:
    BatchItem.objects.filter(state="running").update(leased_until=timezone.now() - timedelta(seconds=1))


def retry_is_due() -> None:
    BatchItem.objects.filter(state="queued").update(leased_until=timezone.now())


def files_left(folder) -> list[str]:
    return sorted(f"{path.parent.name}/{path.name}" for path in folder.rglob("*") if path.is_file())


def read_item(key: str, item: BatchItem) -> dict:
    return caller(key).get(f"/api/batches/{item.batch_id}").json()["items"][item.position]


def test_an_image_is_taken_once(key, small_png):
    (item,) = make(key, small_png)
    taken = leases.take(item.pk)
    assert taken is not None
    assert (taken.state, taken.attempts) == ("running", 1)
    assert leases.take(item.pk) is None
    assert leases.take_next() is None
    lease_is_over()
    again = leases.take_next()
    assert again is not None
    assert again.attempts == 2


def test_a_lease_is_renewed_while_it_is_ours(key, small_png):
    (item,) = make(key, small_png)
    leases.take(item.pk)
    lease_is_over()
    leases.renew({item.pk: 1})
    assert leases.take(item.pk) is None
    lease_is_over()
    assert leases.take(item.pk) is not None
    BatchItem.objects.update(leased_until=None)
    leases.renew({item.pk: 1})
    assert BatchItem.objects.get().leased_until is None, "it is another's"


def test_long_work_keeps_its_lease(key, small_png, monkeypatch):
    make(key, small_png)
    item = leases.take_next()
    assert item is not None
    renewed = threading.Event()
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(leases, "renew", lambda held: renewed.set() if held == {item.pk: 1} else None)
    with leases.kept(item):
        assert renewed.wait(5)
    assert leases._keeper._items == {}


def test_batches_take_turns(key, small_png):
    """A single image need not wait for the many that came before it."""
    make(key, small_png, 3)
    single = post(key, ("a.png", small_png)).json()["id"]
    waiting = [BatchItem.objects.get(pk=pk) for pk in leases.find_waiting(10)]
    assert str(waiting[1].batch_id) == single


def test_two_who_work_on_the_same_image_deliver_it_once(key, small_png, kept, user):
    """The first was only slow: its lease ran out, another took over and finished, and then the first finishes too."""
    make(key, small_png)
    slow = leases.take_next()
    assert slow is not None
    cutout = work._cut_out(slow)
    lease_is_over()
    assert work_through() == 1
    work._deliver(slow, cutout)
    assert Hold.objects.get().state == "posted"
    assert UsageWindow.objects.get().used == 100
    assert files_left(kept) == ["out/0-2"], "the late result is erased"
    assert reconcile(ledger.get_account(user)) == []
    assert content_of(caller(key).get(f"/api/batches/{slow.batch_id}/items/0"))


def test_the_slow_one_may_come_first(key, small_png, kept):
    make(key, small_png)
    slow = leases.take_next()
    assert slow is not None
    slow_cutout = work._cut_out(slow)
    lease_is_over()
    other = leases.take_next()
    assert other is not None
    other_cutout = work._cut_out(other)
    work._deliver(slow, slow_cutout)
    work._deliver(other, other_cutout)
    assert files_left(kept) == ["out/0-1"]
    assert content_of(caller(key).get(f"/api/batches/{slow.batch_id}/items/0")) == slow_cutout.data
    assert UsageWindow.objects.get().used == 100


def test_cancelled_under_our_hands(key, small_png, kept):
    """The result exists, but it was not paid for, so it is not delivered."""
    make(key, small_png, 2)
    item = leases.take_next()
    assert item is not None
    cutout = work._cut_out(item)
    caller(key).post(f"/api/batches/{item.batch_id}/cancel")
    work._deliver(item, cutout)
    assert [read_item(key, one)["status"] for one in BatchItem.objects.all()] == ["cancelled"] * 2
    assert list(Hold.objects.values_list("state", flat=True)) == ["voided"] * 2
    assert UsageWindow.objects.get().used == 0
    assert not [name for name in files_left(kept) if name.startswith("out/")]


def test_a_hold_that_was_voided_meanwhile_is_replaced(key, small_png, kept, user):
    make(key, small_png)
    item = leases.take_next()
    assert item is not None
    cutout = work._cut_out(item)
    ledger.void(Hold.objects.get())
    work._deliver(item, cutout)
    assert read_item(key, item)["status"] == "done"
    item.refresh_from_db()
    assert item.hold is not None
    assert item.hold.state == "posted"
    assert sorted(Hold.objects.values_list("state", flat=True)) == ["posted", "voided"]
    assert UsageWindow.objects.get().used == 100
    assert reconcile(user.account) == []


def test_without_a_credit_to_replace_it_there_is_no_result(key, small_png, kept, user):
    make(key, small_png)
    item = leases.take_next()
    assert item is not None
    cutout = work._cut_out(item)
    ledger.void(Hold.objects.get())
    UsageWindow.objects.update(allowance=0)
    work._deliver(item, cutout)
    assert (read_item(key, item)["status"], read_item(key, item)["code"]) == ("failed", "hold_expired")
    assert the_batch().state == "finished"
    assert UsageWindow.objects.get().used == 0
    assert files_left(kept) == []


def test_a_crash_of_ours_is_tried_again(key, small_png, monkeypatch, quick_model):
    make(key, small_png)
    with monkeypatch.context() as broken:
        broken.setattr(quick_model, "predict", lambda image: 1 / 0)
        assert work_through() == 1, "not at once again"
    assert BatchItem.objects.get().state == "queued"
    assert Hold.objects.get().state == "held"
    retry_is_due()
    work_through()
    assert Hold.objects.get().state == "posted"


def test_three_crashes_are_enough(key, small_png, monkeypatch, quick_model, kept):
    (item,) = make(key, small_png)
    monkeypatch.setattr(quick_model, "predict", lambda image: 1 / 0)
    for _ in range(3):
        assert work_through() == 1
        retry_is_due()
    assert work_through() == 0
    assert (read_item(key, item)["status"], read_item(key, item)["code"]) == ("failed", "internal_error")
    assert "not charged" in read_item(key, item)["error"]
    assert Hold.objects.get().state == "voided"
    assert the_batch().state == "finished"
    assert files_left(kept) == []


def test_an_image_that_kills_its_worker_each_time_is_given_up(key, small_png):
    (item,) = make(key, small_png)
    for _ in range(3):
        assert leases.take_next() is not None
        lease_is_over()
    work_through()
    assert read_item(key, item)["code"] == "internal_error"
    assert Hold.objects.get().state == "voided"


def test_no_place_is_no_try(key, small_png, monkeypatch):
    (item,) = make(key, small_png)

    def busy(*arguments, **options):
        raise Busy

    with monkeypatch.context() as full:
        full.setattr(cutouts, "remove_background", busy)
        for _ in range(5):
            assert work_through() == 1
            retry_is_due()
    found = BatchItem.objects.get()
    assert (found.state, found.attempts) == ("queued", 0)
    work_through()
    assert read_item(key, item)["status"] == "done"


def test_requests_go_first_at_the_gate(key, small_png, monkeypatch):
    """A batch's image enters last, and does not fill the queue."""
    gate = Gate(slots=1, megapixels=100, queue_size=0, seconds=0.01)
    monkeypatch.setattr(runtime, "get_gate", lambda: gate)
    make(key, small_png)
    with gate.admit(1):
        assert work_through() == 1
    assert BatchItem.objects.get().state == "queued"
    retry_is_due()
    work_through()
    assert BatchItem.objects.get().state == "done"


def test_accounts_take_turns_however_many_batches_each_has(key, small_png, django_user_model, monkeypatch):
    monkeypatch.setattr(leases, "_turns", {})
    other = django_user_model.objects.create_user("second@example.com")
    other.verify_email()
    other_key = ApiKey.objects.issue(other, name="x")[1].text
    for _ in range(3):
        assert post(key, ("a.png", small_png), ("b.png", small_png)).status_code == 202
    assert post(other_key, *((f"{n}.png", small_png) for n in range(3))).status_code == 202
    order = []
    while item := leases.take_next():
        order.append("other" if item.batch.account.user == other else "key")
        work.work(item)
    assert order == ["key", "other"] * 3 + ["key"] * 3


def send_address(key: str, url: str) -> BatchItem:
    assert post(key, urls=(url,)).status_code == 202
    return BatchItem.objects.get()


def test_an_address_is_fetched_when_its_turn_comes(key, small_png, hosts, settings):
    host = hosts(lambda path: [answer(small_png)])
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.0/8")
    settings.IMAGE_URL_PORTS = [host.port]
    item = send_address(key, f"http://127.0.0.1:{host.port}/photos/cat.png?size=2")
    assert host.requests == []
    work_through()
    found = read_item(key, item)
    assert (found["name"], found["status"], found["width"]) == ("cat.png", "done", 8)
    assert len(host.requests) == 1


def test_an_address_that_does_not_answer_fails_alone(key, hosts, settings):
    host = hosts(lambda path: [answer(b"", status="404 Not Found")])
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.0/8")
    settings.IMAGE_URL_PORTS = [host.port]
    item = send_address(key, f"http://127.0.0.1:{host.port}/cat.png")
    work_through()
    assert read_item(key, item)["code"] == "image_url_failed"
    assert Hold.objects.get().state == "voided"


def test_a_private_address_is_not_connected_to(key, hosts, settings):
    host = hosts(lambda path: [answer(b"secret")])
    settings.IMAGE_URL_PORTS = [host.port]
    item = send_address(key, f"http://127.0.0.1:{host.port}/cat.png")
    work_through()
    assert read_item(key, item)["code"] == "image_url_forbidden"
    assert host.connections == 0


def test_what_was_sent_is_erased_once_its_work_has_ended(key, small_png, kept):
    post(key, ("a.png", small_png), ("b.png", b"bad"))
    assert files_left(kept) == ["in/0", "in/1"]
    work_through()
    assert files_left(kept) == ["out/0-1"]


def test_the_queries_of_one_image(key, small_png):
    """A lease, a lookup, and one transaction for result, credit and batch."""
    make(key, small_png, 3)
    item = leases.take_next()
    assert item is not None
    with CaptureQueriesContext(connection) as queries:
        work.work(item)
    statements = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert len(statements) <= 13, statements


def test_with_a_broker_each_image_is_sent_after_the_commit(
    key, small_png, settings, monkeypatch, django_capture_on_commit_callbacks
):
    settings.CELERY_BROKER_URL = "amqp://broker"
    sent: list[int] = []
    monkeypatch.setattr(dispatch, "_send", lambda pks, countdown=None: sent.extend(pks))
    with django_capture_on_commit_callbacks(execute=True):
        post(key, ("a.png", small_png), ("empty.png", b""), ("b.png", small_png))
    queued = list(BatchItem.objects.filter(state="queued").values_list("pk", flat=True))
    assert sent == queued
    assert dispatch.resend() == 0, "they are on their way"
    BatchItem.objects.filter(pk=queued[0]).update(leased_until=timezone.now())
    leases.take(queued[1])
    lease_is_over()
    assert dispatch.resend() == 2, "one was lost, the other's worker was"
    assert sorted(sent) == sorted(queued * 2)
    assert leases.take(queued[0]) is not None, "a task that is sent may start at once"


def test_an_absent_broker_refuses_no_batch(key, small_png, settings, monkeypatch, django_capture_on_commit_callbacks):
    settings.CELERY_BROKER_URL = "amqp://broker"

    def away(*arguments, **options):
        raise OperationalError("no broker")

    monkeypatch.setattr(work_on_batch_item, "apply_async", away)
    with django_capture_on_commit_callbacks(execute=True):
        assert post(key, ("a.png", small_png)).status_code == 202
    BatchItem.objects.update(leased_until=timezone.now())
    assert leases.find_waiting(1)


def test_the_runner_works_until_it_is_stopped(key, small_png, monkeypatch, settings, pictures):
    """Its threads see committed data, so the database is left out here: `tests/services` covers the whole."""
    (item,) = make(key, small_png)
    taken = iter([leases.take(item.pk)])
    done = threading.Event()
    settings.IMAGING_SLOTS = 1
    monkeypatch.setattr(leases, "take_next", lambda: next(taken, None))
    monkeypatch.setattr(work, "work", lambda one: done.set() if one.pk == item.pk else None)
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.01)
    running = runner.Runner()
    running.start()
    running.start()
    assert done.wait(10)
    running.stop()
    assert not any(thread.is_alive() for thread in running._threads)


def test_work_on_an_image_of_a_cancelled_batch_stops(key, small_png, kept, monkeypatch, quick_model):
    """After the current step: here the model, which takes long enough for a check of the batch."""
    monkeypatch.setattr("imaging.core.watch.CHECK_SECONDS", 0.0)
    monkeypatch.setattr("imaging.core.pipeline.enlarge", lambda *_, **__: pytest.fail("composed"))
    (item,) = make(key, small_png)
    predict = quick_model.predict

    def cancel_meanwhile(image):
        caller(key).post(f"/api/batches/{item.batch_id}/cancel")
        return predict(image)

    monkeypatch.setattr(quick_model, "predict", cancel_meanwhile)
    assert work_through() == 1
    assert read_item(key, item)["status"] == "cancelled"
    assert [hold.state for hold in Hold.objects.all()] == ["voided"]
    assert not [name for name in files_left(kept) if name.startswith("out/")]


@pytest.mark.parametrize("seconds", [0.1, 60])
def test_an_image_that_takes_too_long_fails_and_costs_nothing(
    seconds, key, small_png, kept, settings, monkeypatch, quick_model
):
    """By its own deadline, or by a worker's soft time limit."""
    settings.IMAGING_SECONDS = seconds
    predict = quick_model.predict

    def slow(image):
        if seconds == 60:
            raise SoftTimeLimitExceeded
        time.sleep(0.2)
        return predict(image)

    monkeypatch.setattr(quick_model, "predict", slow)
    (item,) = make(key, small_png)
    assert work_through() == 1
    failed = read_item(key, item)
    assert (failed["status"], failed["code"]) == ("failed", "image_too_slow")
    assert Hold.objects.get().state == "voided"
    assert (the_batch().state, files_left(kept)) == ("finished", [])


def test_an_image_over_which_a_worker_was_ended_is_not_tried_again(key, small_png, kept, monkeypatch):
    monkeypatch.setattr(connections, "close_all", lambda: None)
    (item,) = make(key, small_png)
    assert leases.take(item.pk)
    work_on_batch_item.give_up(item.pk)
    assert read_item(key, item)["code"] == "image_too_slow"
    assert Hold.objects.get().state == "voided"
    assert (the_batch().state, files_left(kept)) == ("finished", [])
    work_on_batch_item.give_up(item.pk)
    work_on_batch_item.give_up(item.pk + 1000)


def test_workers_use_the_options_as_they_were_parsed(key, small_png):
    """The text fields are for the API and for workers of the release before."""
    assert post(key, ("a.png", small_png), format="png", bg_color="#0af8", w="4").status_code == 202
    batch = the_batch()
    assert batch.options == {"format": "png", "bg_color": "#0af8", "w": "4"}
    assert batch.parsed_options == {
        "version": 1,
        "options": {"format": "png", "background": [0, 170, 255, 136], "width": 4},
    }
    Batch.objects.update(options={"format": "bmp"})
    work_through()
    assert BatchItem.objects.get().media_type == "image/png"


@pytest.mark.parametrize("parsed", [{"version": 2, "options": {}}, {"version": 1, "options": {"brightness": 7}}])
def test_a_batch_of_a_newer_release_is_left_to_its_workers(parsed, key, small_png):
    make(key, small_png)
    Batch.objects.update(parsed_options=parsed)
    work_through()
    item = BatchItem.objects.get()
    assert (item.state, item.attempts) == ("queued", 0)
    assert item.leased_until is not None and item.leased_until > timezone.now()


def test_a_batch_of_the_release_before_goes_by_its_text_fields(key, small_png):
    assert post(key, ("a.png", small_png), format="png", w="4").status_code == 202
    Batch.objects.update(parsed_options=None)
    work_through()
    item = BatchItem.objects.get()
    assert (item.state, item.media_type, item.width) == ("done", "image/png", 4)


def test_several_problems_are_stored_as_one_text(key, small_png):
    """As the API would answer them, without a status."""
    (item,) = make(key, small_png)
    problems = (Problem("image", "image_too_wide", "Too wide."), Problem("image", "image_too_tall", "Too tall."))
    work._refuse(item, problems)
    found = BatchItem.objects.get()
    assert (found.state, found.code, found.error) == ("failed", "validation_error", "Too wide. Too tall.")
