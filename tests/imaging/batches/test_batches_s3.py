"""Batches whose images are in an S3-compatible store."""

import uuid

import pytest
from moto.server import ThreadedMotoServer

from imaging.batches import expiry, files
from imaging.models import Batch
from tests.imaging.batches.forms import caller, content_of, post, the_batch, work_through

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_model", "bucket")]


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint, settings):
    """Every test has its own bucket."""
    name = f"pictures-{uuid.uuid4().hex}"
    options = {
        "bucket_name": name, "endpoint_url": endpoint, "region_name": "us-east-1", "access_key": "x", "secret_key": "y",
        "default_acl": None, "file_overwrite": True,
    }  # fmt: skip
    settings.STORAGES = {**settings.STORAGES, "pictures": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}}
    return files.storage().connection.create_bucket(Bucket=name)  # type: ignore[attr-defined]


def names(bucket) -> list[str]:
    return sorted(entry.key.partition("/")[2].partition("/")[2] for entry in bucket.objects.all())


def test_from_upload_to_results(key, small_png, bucket):
    url = post(key, ("a.png", small_png), ("b.png", b"bad"), ("c.png", small_png), format="png").json()["url"]
    assert names(bucket) == ["in/0", "in/1", "in/2"]
    work_through()
    assert names(bucket) == ["out/0-1", "out/2-1"]
    data = caller(key).get(url).json()
    assert data["credits"] == {"held": 0, "charged": 2}
    one = content_of(caller(key).get(data["items"][2]["result_url"]))
    assert len(one) == data["items"][2]["bytes"]
    archive = caller(key).get(data["zip_url"])
    assert len(content_of(archive)) == int(archive.headers["Content-Length"])


def test_erasing(key, small_png, bucket):
    post(key, ("a.png", small_png), ("b.png", small_png))
    work_through()
    assert files.batch_ids() == [the_batch().pk]
    assert files.last_change(the_batch().pk) is not None
    expiry.erase(the_batch())
    assert names(bucket) == []
    assert files.batch_ids() == []


def test_orphans_are_found(key, small_png, bucket, monkeypatch):
    post(key, ("a.png", small_png))
    Batch.objects.all().delete()
    assert expiry.erase_orphans() == 0
    monkeypatch.setattr(expiry, "ORPHAN_AGE", -expiry.ORPHAN_AGE)
    assert expiry.erase_orphans() == 1
    assert names(bucket) == []


def test_several_results_of_an_image(key, small_png, bucket):
    url = post(key, ("a.png", small_png), ("b.png", small_png), outputs='[{"format": "png"}, {"mask": true}]').json()["url"]
    work_through()
    assert names(bucket) == ["out/0-1", "out/0-1-1", "out/1-1", "out/1-1-1"]
    archive = caller(key).get(f"{url}/zip")
    assert len(content_of(archive)) == int(archive.headers["Content-Length"])
    bucket.put_object(Key=f"batches/{the_batch().pk}/out/0-2", Body=b"left by a killed process")
    files.erase_unused_results(the_batch().pk)
    assert names(bucket) == ["out/0-1", "out/0-1-1", "out/1-1", "out/1-1-1"]
