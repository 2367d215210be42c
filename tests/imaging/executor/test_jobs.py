"""`/rmbg` with IMAGING_EXECUTOR=celery, on Redis, with workers in threads: one response, one charge, and nothing left."""

import dataclasses
import io
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.test import Client
from PIL import Image

from imaging import tasks
from imaging.core.codecs.headers import ImageHeader
from imaging.core.options import CutoutOptions
from imaging.core.problems import CallerGone
from imaging.executor import jobs, payloads, presence, remote, runtime, store, worker
from imaging.executor.fair_queue import SOMEONE, Rank, Requester
from imaging.executor.gate import Busy, Gate
from imaging.executor.jobs import Job
from lib.ops import broker, redis_client
from tests.imaging.executor.fake_broker import WAIT, broken_png, left, lose_everything, send, states

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def forget(settings: Any, name: str, value: str) -> None:
    """Change a setting, and drop what was cached for the old value."""
    setattr(settings, name, value)
    broker.forget()
    redis_client.reset()


def ready() -> tuple[int, dict[str, bool]]:
    response = Client().get("/readyz")
    return response.status_code, response.json()["parts"]


def status() -> dict:
    return Client().get("/status.json").json()


def in_thread(pool: ThreadPoolExecutor, job: Job) -> Any:
    return pool.submit(remote.execute, job)


def test_a_picture_is_cut_out_by_a_worker_and_charged(key, small_png, quick_model, broker):
    answer = send(key, small_png, format="png", bg_color="#ff000080", w="16")
    assert (answer.status_code, answer["X-Model"], answer["X-Credits-Charged"]) == (200, "ellipse", "1")
    assert Image.open(io.BytesIO(answer.content)).size == (16, 12)
    assert [step.split(";")[0] for step in answer["Server-Timing"].split(", ")] == [
        "queue", "decode", "inference", "compose", "encode", "total",
    ]  # fmt: skip
    assert states() == ["posted"]


def test_the_same_bytes_as_from_this_process(key, small_png, quick_model, broker, settings):
    fields = {"format": "png", "angle": "30", "bg_color": "#8af8", "w": "40"}
    there = send(key, small_png, **fields).content
    settings.IMAGING_EXECUTOR = "local"
    runtime.get_gate.cache_clear()
    assert send(key, small_png, **fields).content == there
    assert len(broker.jobs) == 1


def test_a_picture_that_does_not_decode_is_refused_and_costs_nothing(key, quick_model, broker):
    answer = send(key, broken_png())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_image")
    assert states() == ["voided"]


def test_a_worker_that_crashes_is_a_500_and_costs_nothing(key, small_png, quick_model, broker, monkeypatch):
    monkeypatch.setattr(quick_model, "predict", lambda image: 1 / 0)
    answer = send(key, small_png)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert states() == ["voided"]


def test_no_answer_until_the_deadline_is_a_503_and_costs_nothing(key, small_png, broker, settings):
    settings.IMAGING_QUEUE_SECONDS = 0.3
    broker.deliver = broker.lose
    answer = send(key, small_png)
    assert (answer.status_code, answer.json()["code"]) == (503, "server_busy")
    assert answer["Retry-After"]
    assert states() == ["voided"]


def test_an_answer_after_the_deadline_is_thrown_away(key, small_png, held_model, broker, settings):
    settings.IMAGING_QUEUE_SECONDS = 0.3
    assert send(key, small_png).status_code == 503
    held_model.go_on.release()
    broker.join()
    assert broker.wanted == [False]
    assert left() == []


def test_a_message_that_comes_after_the_deadline_starts_no_work(job, small_png, held_model, broker, settings):
    settings.IMAGING_QUEUE_SECONDS = 0.2
    broker.deliver = broker.lose
    with pytest.raises(Busy):
        remote.execute(job)
    broker.to_worker(broker.jobs[0])
    broker.join()
    assert (broker.wanted, held_model.times) == ([False], 0)


def test_a_second_message_of_the_same_job_is_dropped(job, small_png, held_model, broker):
    with ThreadPoolExecutor(1) as pool:
        answer = in_thread(pool, job)
        assert held_model.begun.acquire(timeout=WAIT)
        assert worker.work(broker.jobs[0]) is False
        held_model.go_on.release()
        assert answer.result().model == "ellipse"
    assert worker.work(broker.jobs[0]) is False, "it was answered"
    assert held_model.times == 1


def test_what_the_broker_has_taken_from_a_lost_worker_begins_at_once(job, small_png, held_model, broker):
    """The first worker still holds its claim, and may even be alive: the first result counts."""
    with ThreadPoolExecutor(1) as pool:
        answer = in_thread(pool, job)
        assert held_model.begun.acquire(timeout=WAIT)
        broker.to_worker(broker.jobs[0], redelivered=True)
        assert held_model.begun.acquire(timeout=WAIT)
        held_model.go_on.release(2)
        assert answer.result().model == "ellipse"
        broker.join()
    assert sorted(broker.wanted) == [False, True]


def test_a_job_whose_worker_died_is_given_to_another_one(job, small_png, quick_model, broker, monkeypatch):
    monkeypatch.setattr(store, "CLAIM_SECONDS", 0.3)

    def to_one_that_dies(job_id: str) -> None:
        assert store.claim(job_id, "killed")
        broker.deliver = broker.to_worker

    broker.deliver = to_one_that_dies
    assert remote.execute(job).model == "ellipse"
    assert len(broker.jobs) >= 2


def test_a_claim_is_kept_for_as_long_as_the_work_takes(job, small_png, held_model, broker, monkeypatch):
    monkeypatch.setattr(store, "CLAIM_SECONDS", 1.0)
    with ThreadPoolExecutor(1) as pool:
        answer = in_thread(pool, job)
        assert held_model.begun.acquire(timeout=WAIT)
        assert not held_model.begun.acquire(timeout=1.5), "a second worker has begun"
        held_model.go_on.release()
        answer.result()
    assert len(broker.jobs) == 1


def test_a_worker_that_is_stopped_lets_go_of_the_job_at_once(job, small_png, quick_model, broker, monkeypatch):
    stops = iter([SystemExit])
    predict = quick_model.predict

    def stop_once(image: Image.Image) -> Any:
        for stop in stops:
            raise stop
        return predict(image)

    monkeypatch.setattr(quick_model, "predict", stop_once)
    monkeypatch.setattr(remote, "RESEND_SECONDS", 0.2)
    assert remote.execute(job).model == "ellipse"
    assert len(broker.jobs) == 2


def test_a_message_that_the_broker_lost_is_sent_again(job, small_png, quick_model, broker, monkeypatch):
    monkeypatch.setattr(remote, "RESEND_SECONDS", 0.2)

    def lose_once(job_id: str) -> None:
        broker.deliver = broker.to_worker

    broker.deliver = lose_once
    assert remote.execute(job).timings["queue"] >= 0.2
    assert len(broker.jobs) == 2


def test_a_broker_that_is_away_is_waited_for(job, small_png, quick_model, broker):
    def refuse_once(job_id: str) -> None:
        broker.deliver = broker.to_worker
        raise ConnectionRefusedError

    broker.deliver = refuse_once
    assert remote.execute(job).model == "ellipse"


def test_a_job_that_redis_has_lost_is_handed_over_again(job, small_png, quick_model, broker):
    def flush_once(job_id: str) -> None:
        lose_everything()
        broker.deliver = broker.to_worker

    broker.deliver = flush_once
    assert remote.execute(job).model == "ellipse"


def test_a_picture_that_kills_workers_is_not_given_to_all_of_them(job, small_png, quick_model, broker):
    def to_some_that_die(job_id: str) -> None:
        for number in range(worker.MAX_ATTEMPTS):
            assert store.claim(job_id, f"killed {number}", take_over=True)
        broker.to_worker(job_id, redelivered=True)

    broker.deliver = to_some_that_die
    with pytest.raises(jobs.WorkFailed):
        remote.execute(job)


def test_what_a_killed_web_process_leaves_ends_by_itself_and_soon(job, small_png, broker):
    """What is written before the caller waits: every key has an expiry."""
    store.put("job", job.to_json())
    payloads.put_image("job", small_png)
    assert store.claim("job", "worker")
    store.wait("job", 0.01)
    payloads.put_result("job", "worker", small_png)
    ends = {key: store.get_redis().ttl(key) for key in left()}
    assert len(ends) == 4
    assert all(0 < end <= store.ANSWER_SECONDS for end in ends.values())
    assert store.answer("job", "{}")
    assert all(0 < store.get_redis().ttl(key) <= store.ANSWER_SECONDS for key in left())
    lose_everything()


def test_more_callers_than_may_wait_are_turned_away_at_once(job, small_png, broker, settings):
    settings.IMAGING_SLOTS, settings.IMAGING_QUEUE_SIZE = 1, 0
    gate = runtime.get_gate()
    assert (gate.slots, gate.queue_size) == (1, 0)
    with gate.admit(0), pytest.raises(Busy):
        remote.execute(job)
    assert broker.jobs == []


@pytest.mark.parametrize(
    "options",
    [
        CutoutOptions(),
        CutoutOptions(
            format="jpeg", width=1, height=2, exact_resize=True, background=(1, 2, 3, 4), angle=-12.5, expand=False
        ),
        CutoutOptions(mask=True),
    ],
)
def test_a_job_arrives_as_it_was_sent(options):
    file, requester = io.BytesIO(), Requester("account:7", Rank.ANONYMOUS)
    job = Job(file, ImageHeader("WEBP", 10_000, 1, 8), options, refine=True, requester=requester)
    assert Job.from_json(job.to_json(), file) == job


def test_a_job_of_the_release_before_has_no_requester(job):
    facts = json.loads(job.to_json())
    del facts["requester"]
    assert Job.from_json(json.dumps(facts), job.file).requester == SOMEONE


def test_the_release_before_reads_the_jobs_and_results_of_this_one(small_png, quick_model, broker, job):
    """It knows these keys, and not options that came later; it looks for `background` in any case."""
    assert json.loads(job.to_json()) == {
        "header": {"format": "PNG", "width": 8, "height": 6, "orientation": 1},
        "options": {"format": "png", "background": None},
        "refine": False,
        "requester": {"name": "", "rank": 0},
    }
    cutout = dataclasses.replace(remote.execute(job), timings={"queue": 7.0, "decode": 0.5})
    facts = json.loads(jobs.delivered(cutout, ["result-1"]))
    assert facts == {
        "outcome": "delivered",
        "cutout": {
            "media_type": "image/png",
            "extension": "png",
            "width": 8,
            "height": 6,
            "model": "ellipse",
            "timings": {"decode": 0.5},
        },
        "foreground": [0, 0, 8, 6],
        "parcel": "result-1",
        "confidence": 1.0,  # outside of the fields of a cutout, which the release before knows exactly
    }


def several(job: Job) -> Job:
    """The same job with three outputs."""
    return dataclasses.replace(job, more=(CutoutOptions(width=4), CutoutOptions(mask=True, format="bmp")))


def test_several_outputs_come_back_together(quick_model, broker, job, settings):
    there = remote.execute(several(job))
    assert len(broker.jobs) == 1
    settings.IMAGING_EXECUTOR = "local"
    runtime.get_gate.cache_clear()
    here = runtime.execute(several(job))
    for one, other in zip((there, *there.more), (here, *here.more), strict=True):
        assert (one.data, one.width, one.media_type, one.foreground) == (
            other.data, other.width, other.media_type, other.foreground,
        )  # fmt: skip
    assert [one.width for one in there.more] == [4, 8]


def test_several_outputs_are_options_that_the_release_before_does_not_know(job):
    facts = json.loads(several(job).to_json())
    assert set(facts["options"]) - {field.name for field in dataclasses.fields(CutoutOptions)} == {"more"}
    assert Job.from_json(json.dumps(facts), job.file).more == several(job).more


def test_several_results_that_come_too_late_leave_nothing(quick_model, broker, job, monkeypatch):
    store.put("late", several(job).to_json())
    payloads.put_image("late", job.file.read())
    monkeypatch.setattr(store, "answer", lambda job_id, outcome: False)
    assert worker.work("late") is False
    assert not [name for name in left() if b"result" in name]
    lose_everything()


def test_a_job_with_options_of_a_newer_release_is_left_to_its_workers(job, small_png, quick_model):
    facts = json.loads(job.to_json())
    facts["options"]["brightness"] = 7
    store.put("newer", json.dumps(facts))
    payloads.put_image("newer", small_png)
    assert worker.work("newer") is False
    assert store.claim("newer", "another worker") is not None, "the job is still there, and free"
    lose_everything()


def test_this_release_reads_the_jobs_of_the_one_before(job):
    """It sends every option."""
    facts = json.loads(job.to_json())
    facts["options"] = dataclasses.asdict(dataclasses.replace(job.options, background=(1, 2, 3, 4)))
    assert Job.from_json(json.dumps(facts), job.file).options.background == (1, 2, 3, 4)


def adjusted(monkeypatch) -> tuple[int, int]:
    """Slots and queue of the web process after it has checked the workers."""
    monkeypatch.setattr(runtime, "_adjust_at", [0.0])
    runtime.adjust_gate()
    gate = runtime.get_gate()
    return gate.slots, gate.queue_size


def test_a_web_process_hands_out_what_workers_can_hold_and_a_little_more(settings, monkeypatch):
    settings.IMAGING_SLOTS, settings.IMAGING_QUEUE_SIZE = 2, 30
    store.get_redis().delete(presence.KEY, presence.PLACES_KEY, presence.NAMES_KEY)
    assert adjusted(monkeypatch) == (32, 0), "while there is no worker, everything"
    presence.send_heartbeat("one", "u2net")
    assert adjusted(monkeypatch) == (2, 30)
    presence.send_heartbeat("threads", "u2net", 16)
    assert adjusted(monkeypatch) == (22, 10)
    presence.send_heartbeat("large", "u2net", 100)
    assert adjusted(monkeypatch) == (32, 0)
    store.get_redis().zrem(presence.PLACES_KEY, "large 100")
    assert adjusted(monkeypatch) == (32, 0), "a worker of the release before does not report its places"
    store.get_redis().delete(presence.KEY, presence.PLACES_KEY, presence.NAMES_KEY)


def test_while_redis_is_away_as_much_is_handed_out_as_before(settings, monkeypatch):
    settings.IMAGING_SLOTS, settings.IMAGING_QUEUE_SIZE = 2, 30
    presence.send_heartbeat("one", "u2net")
    assert adjusted(monkeypatch) == (2, 30)
    store.get_redis().delete(presence.KEY, presence.PLACES_KEY, presence.NAMES_KEY)
    forget(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    assert presence.find_models() == []
    assert adjusted(monkeypatch) == (2, 30)


def pass_through(gate: Gate, requester: Requester) -> None:
    with gate.admit(100, requester):
        pass


def test_a_small_image_does_not_wait_for_large_ones_of_another_customer(
    job, small_png, quick_model, broker, settings, monkeypatch
):
    """Two workers: the large images of one customer take one of them."""
    settings.IMAGING_SLOTS, settings.IMAGING_QUEUE_SIZE = 2, 30
    presence.send_heartbeat("threads", "u2net", 2)
    adjusted(monkeypatch)
    large = Requester("large")
    gate = runtime.get_gate()
    with gate.admit(1, Requester("other")):
        pass
    with gate.admit(100, large), ThreadPoolExecutor(1) as pool:
        second = pool.submit(pass_through, gate, large)
        while gate.waiting == 0:
            time.sleep(0.001)
        assert remote.execute(job).model == "ellipse"
        assert not second.done()
        gate.resize(slots=3, queue_size=29, large_slots=2)
        second.result(WAIT)
    store.get_redis().delete(presence.KEY, presence.PLACES_KEY, presence.NAMES_KEY)


def test_a_caller_who_goes_leaves_nothing_for_workers(job, small_png, broker):
    broker.deliver = broker.lose
    answers = iter([True, False])
    with pytest.raises(CallerGone):
        remote.execute(job, still_wanted=lambda: next(answers))
    assert left() == []
    broker.to_worker(broker.jobs[0])
    broker.join()
    assert broker.wanted == [False]


def test_the_wait_for_a_turn_counts_for_the_deadline(job, small_png, broker, settings, monkeypatch):
    settings.IMAGING_SLOTS, settings.IMAGING_QUEUE_SIZE = 1, 1
    gate, waits = runtime.get_gate(), []
    gate.resize(slots=1, queue_size=1, large_slots=1)
    broker.deliver = broker.lose

    def give_up(job: str, seconds: float) -> NoReturn:
        waits.append(seconds)
        raise Busy

    monkeypatch.setattr(store, "wait", give_up)
    with ThreadPoolExecutor(1) as pool:
        with gate.admit(0):
            answer = pool.submit(remote.execute, job)
            while gate.waiting == 0:
                time.sleep(0.001)
            time.sleep(0.2)
        with pytest.raises(Busy):
            answer.result()
    assert waits[0] <= WAIT - 0.2


def test_the_web_process_holds_no_model(settings, monkeypatch):
    monkeypatch.setattr(runtime, "_model", None)
    runtime.warm_up()
    assert runtime._model is None


def test_status_readiness_and_metrics_tell_of_the_workers(settings):
    forget(settings, "CELERY_BROKER_URL", settings.REDIS_URL)
    assert ready() == (200, {"database": True, "cache": True, "broker": True, "model": False})
    assert status()["status"] == "down"
    presence.send_heartbeat("worker-1", "u2net-int8")
    presence.send_heartbeat("worker-2", "u2net-int8")
    assert ready()[1]["model"] is True
    report = status()
    assert (report["status"], report["model"]["name"], report["parts"]["model"]) == ("works", "u2net-int8", True)
    figures = Client().get("/metrics").content.decode()
    assert "rembg_inference_workers 2.0" in figures
    assert 'rembg_model_info{engine="",name="u2net-int8"' in figures
    store.get_redis().delete(presence.KEY)
    forget(settings, "CELERY_BROKER_URL", "")


@pytest.mark.parametrize("away", ["CELERY_BROKER_URL", "REDIS_URL"])
def test_a_web_process_that_reaches_no_worker_is_not_ready(settings, away):
    settings.CELERY_BROKER_URL = settings.REDIS_URL
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, and no one listens
        found, address = getattr(settings, away), f"redis://127.0.0.1:{closed.getsockname()[1]}/0"
        forget(settings, away, address)
        code, parts = ready()
        forget(settings, away, found)
    part = {"CELERY_BROKER_URL": "broker", "REDIS_URL": "cache"}[away]
    assert (code, parts[part]) == (503, False)


def test_a_worker_that_is_gone_is_soon_no_longer_listed(monkeypatch):
    monkeypatch.setattr(presence, "ALIVE_SECONDS", 1)
    presence.send_heartbeat("worker", "u2net")
    assert presence.find_models() == ["u2net"]
    assert store.get_redis().ttl(presence.KEY) <= 1
    deadline = time.monotonic() + WAIT
    while presence.find_models():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_stops_once_its_caller_has_gone(job, small_png, held_model, broker, settings, monkeypatch):
    """After the current step, and without a result."""
    monkeypatch.setattr("imaging.core.pipeline.enlarge", lambda *_, **__: pytest.fail("composed"))
    monkeypatch.setattr("imaging.core.watch.CHECK_SECONDS", 0.05)
    settings.IMAGING_QUEUE_SECONDS = 0.3
    with pytest.raises(Busy):
        remote.execute(job)
    held_model.go_on.release()
    broker.join()
    assert (broker.wanted, held_model.times) == ([False], 1)


def test_a_web_process_stops_waiting_once_its_caller_has_gone(job, small_png, held_model, broker):
    answers = iter([True, True, False])
    with pytest.raises(CallerGone):
        remote.execute(job, still_wanted=lambda: next(answers))
    assert left() == []
    held_model.go_on.release()
    broker.join()
    assert broker.wanted == [False]


def test_an_image_that_takes_too_long_is_refused_and_costs_nothing(
    key, small_png, quick_model, broker, settings, monkeypatch
):
    settings.IMAGING_SECONDS = 0.1
    predict = quick_model.predict

    def slow(image: Image.Image) -> Any:
        time.sleep(0.2)
        return predict(image)

    monkeypatch.setattr(quick_model, "predict", slow)
    answer = send(key, small_png)
    assert (answer.status_code, answer.json()["code"]) == (400, "image_too_slow")
    assert answer.json()["error"].startswith("This image took longer than 0.1 seconds")
    assert states() == ["voided"]


def test_an_image_over_which_the_time_limit_has_passed_is_refused(key, small_png, quick_model, broker, monkeypatch):
    def exceed(image: Image.Image) -> Any:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(quick_model, "predict", exceed)
    answer = send(key, small_png)
    assert (answer.status_code, answer.json()["code"]) == (400, "image_too_slow")
    assert (states(), len(broker.jobs)) == (["voided"], 1)


def test_an_image_over_which_a_process_was_ended_is_refused(key, small_png, broker):
    """By the worker's main process, in place of the killed one."""

    def to_one_that_is_ended(job_id: str) -> None:
        assert store.claim(job_id, "ended")
        tasks.cut_out.give_up(job_id)

    broker.deliver = to_one_that_is_ended
    answer = send(key, small_png)
    assert (answer.status_code, answer.json()["code"]) == (400, "image_too_slow")
    assert (states(), len(broker.jobs)) == (["voided"], 1)
