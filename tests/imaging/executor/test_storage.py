"""Images that travel through an S3-compatible store instead of Redis: used, then deleted."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from moto.server import ThreadedMotoServer

from imaging import tasks
from imaging.executor import payloads, remote
from tests.imaging.executor.fake_broker import WAIT, broken_png, left, send, states

pytestmark = [pytest.mark.services, pytest.mark.django_db]

BUCKET = "pictures"
ACCESS = {"region_name": "us-east-1", "access_key": "test", "secret_key": "test"}


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A client of a server with an empty bucket."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    client = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    client.create_bucket(Bucket=BUCKET)
    yield client
    server.stop()


@pytest.fixture
def bucket(s3: Any, settings) -> Iterator[Any]:
    """The same as the product's storage; nothing may be left in it."""
    use(settings, BUCKET, s3.meta.endpoint_url)
    yield s3
    assert objects(s3) == []


def use(settings: Any, bucket: str, endpoint: str) -> None:
    options = {"bucket_name": bucket, "endpoint_url": endpoint, **ACCESS, "default_acl": None, "file_overwrite": True}
    pictures = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    settings.IMAGING_HANDOVER = "storage"
    settings.STORAGES = {**settings.STORAGES, "pictures": pictures}


def objects(s3: Any) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_a_picture_goes_there_and_back_through_the_bucket(key, small_png, quick_model, broker, bucket, settings):
    fields = {"format": "png", "angle": "10"}
    answer = send(key, small_png, **fields)
    assert (answer.status_code, answer["X-Credits-Charged"], states()) == (200, "1", ["posted"])
    settings.IMAGING_HANDOVER = "redis"
    assert send(key, small_png, **fields).content == answer.content


def test_redis_holds_no_picture_meanwhile(job, small_png, held_model, broker, bucket):
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(remote.execute, job)
        assert held_model.begun.acquire(timeout=WAIT)
        (name,) = objects(bucket)
        assert bucket.get_object(Bucket=BUCKET, Key=name)["Body"].read() == small_png
        assert {found.rpartition(b":")[2] for found in left()} == {b"job", b"claim"}
        held_model.go_on.release()
        answer.result()


def test_a_refusal_and_a_deadline_leave_nothing(key, small_png, held_model, broker, bucket, settings):
    assert send(key, broken_png()).status_code == 400
    settings.IMAGING_QUEUE_SECONDS = 1
    assert send(key, small_png).status_code == 503
    held_model.go_on.release()
    broker.join()
    assert broker.wanted == [True, False]
    assert states() == ["voided", "voided"]


def test_a_store_that_is_away_is_waited_for(job, small_png, quick_model, broker, bucket, settings, monkeypatch):
    """As long as the caller waits; a worker that cannot read the image does not count as crashed over it."""
    found, tries = payloads._InStorage.find, iter(range(2 * 5))

    def away_at_first(self, job_id: str, name: str) -> bytes | None:
        if next(tries, None) is not None:
            raise payloads.StorageAway
        return found(self, job_id, name)

    def to_worker(job_id: str) -> None:
        with suppress(payloads.StorageAway):  # Celery logs it
            tasks.cut_out(job_id)

    monkeypatch.setattr(payloads._InStorage, "find", away_at_first)
    monkeypatch.setattr(remote, "RESEND_SECONDS", 0.05)
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.02)
    broker.deliver = to_worker
    assert remote.execute(job).model == "ellipse"


def test_a_bucket_that_is_not_there_is_a_503_and_costs_nothing(key, small_png, broker, s3, settings):
    use(settings, "nobody-has-made-this", s3.meta.endpoint_url)
    settings.IMAGING_QUEUE_SECONDS = 1
    assert send(key, small_png).status_code == 503
    assert (states(), broker.jobs) == (["voided"], [])


def test_what_killed_processes_have_left_is_swept(settings, tmp_path: Path):
    pictures = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "pictures": pictures}
    tasks.sweep_handover()
    settings.IMAGING_HANDOVER = "storage"
    tasks.sweep_handover()
    payloads.put_image("old", b"old")
    payloads.put_image("new", b"new")
    storages["pictures"].save("batches/old", ContentFile(b"another's"))
    hours_ago = time.time() - payloads.LEFT_OVER.total_seconds() - 1
    for name in ("handover/old-picture", "batches/old"):
        os.utime(tmp_path / name, (hours_ago, hours_ago))
    tasks.sweep_handover()
    assert payloads.find_image("old") is None
    assert payloads.find_image("new") == b"new"
    assert (tmp_path / "batches/old").exists()


def test_what_is_old_in_a_bucket_is_swept(bucket, monkeypatch):
    payloads.put_image("left", b"left")
    assert payloads.sweep() == 0
    monkeypatch.setattr(payloads, "LEFT_OVER", -payloads.LEFT_OVER)
    assert payloads.sweep() == 1
