"""`make image-test`: the container image is built, and its processes run as compose.yaml has them."""

import os
import shutil
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from imaging.core.weights.engines import RUNTIMES
from imaging.core.weights.files import weights_path
from tests.image import engines
from tests.image.compose import read_build_arguments
from tests.image.deployment import PROCESSES, Deployment
from tests.image.engines import Engine
from tests.imaging.batches.forms import batch_form
from tests.imaging.removal.forms import form
from tests.scratch_databases import REDIS_IMAGE_DATABASE, scratch_postgres, scratch_rabbitmq, scratch_redis

MODELS = os.environ.get("MODELS", "u2net")
SLIM_BYTES = 900e6
BATCH_SECONDS = 60


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The image, built."""
    chosen = engines.choose(tmp_path_factory.mktemp("engine"))
    try:
        begun = time.monotonic()
        chosen.build(read_build_arguments({"MODELS": MODELS}))
        seconds = time.monotonic() - begun
        print(f"\nMODELS={MODELS}: built in {seconds:.0f} s, {chosen.size() / 1e6:.0f} MB")  # noqa: T201
        yield chosen
    finally:
        chosen.remove()


@pytest.fixture(scope="module")
def deployment(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """All processes, on scratch databases and a scratch virtual host of the broker."""
    with scratch_postgres() as database, scratch_redis(REDIS_IMAGE_DATABASE) as redis_url, scratch_rabbitmq() as broker_url:
        stores = {"DATABASE_URL": database, "REDIS_URL": redis_url, "CELERY_BROKER_URL": broker_url}
        running = Deployment(engine, tmp_path_factory.mktemp("deployment"), stores)
        try:
            running.start()
            yield running
        finally:
            running.kill()


@pytest.fixture(scope="module")
def key(deployment: Deployment) -> str:
    """A customer's."""
    return deployment.run("web", "python", "manage.py", "issue_key", "image@example.com").stdout.strip()


def test_the_default_image_is_below_900_mb(engine):
    if MODELS == "u2net":
        assert engine.size() < SLIM_BYTES


def test_nothing_of_the_build_s_configuration_is_in_the_image(deployment):
    printed = deployment.run("web", "python", "-m", "pip", "config", "list").stdout
    assert printed.strip() == ""


def test_processes_are_not_root_and_cannot_change_the_code(deployment):
    assert deployment.run("web", "id", "-u").stdout.strip() == "10001"
    assert deployment.run("web", "touch", "/app/config/settings.py").returncode != 0


def test_an_image_goes_through(deployment, key, photo):
    body = form(photo)
    answer = deployment.request("POST", "/rmbg", key, data=body["data"], headers={"Content-Type": body["content_type"]})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/webp"), answer.text
    assert answer.headers["X-Credits-Charged"] == "1"


def test_a_batch_goes_to_its_end(deployment, key, photo):
    body = batch_form(("a.jpg", photo), ("bad.jpg", b"no image"))
    made = deployment.request("POST", "/api/batches", key, data=body["data"], headers={"Content-Type": body["content_type"]})
    assert made.status_code == 202, made.text
    path = urlsplit(made.headers["Location"]).path
    deployment.wait_for(lambda: deployment.request("GET", path, key).json()["status"] == "finished", BATCH_SECONDS)
    batch = deployment.request("GET", path, key).json()
    assert (batch["counts"]["done"], batch["counts"]["failed"], batch["credits"]["charged"]) == (1, 1, 1)
    assert deployment.request("GET", f"{path}/zip", key).status_code == 200


@pytest.mark.parametrize("name", ["web", "worker", "batch"])
def test_the_health_checks_pass(deployment, name):
    assert deployment.health(name) == 0


def test_the_baked_weights_need_no_preparation(deployment):
    assert "nothing to do" in deployment.run("web", "python", "manage.py", "prepare_model").stdout


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_engine_serves_from_the_shared_weights(deployment, photo, runtime):
    """On another processor than the build's, another engine may be the one."""
    folder = deployment.volume("pictures")
    (folder / "photo.jpg").write_bytes(photo)
    out = f"/var/app/pictures/{runtime}"
    command = ("python", "manage.py", "remove_background", "/var/app/pictures/photo.jpg", "--out", out)
    done = deployment.run("batch", *command, IMAGING_RUNTIME=runtime)
    assert done.returncode == 0, done.stderr
    assert f"serving u2net with {runtime}-" in done.stdout + done.stderr
    assert list((folder / runtime).iterdir())


def test_s3_can_be_used(deployment):
    """The image has the description of this service, and of hardly any other."""
    code = "import boto3; print(boto3.client('s3', region_name='eu-central-1').meta.endpoint_url)"
    assert deployment.run("batch", "python", "-c", code).stdout.strip() == "https://s3.eu-central-1.amazonaws.com"


def test_weights_in_a_mounted_folder_are_prepared_in_int8_too(deployment):
    """As the image's user, from u2net.onnx in the folder."""
    folder = deployment.volume("pictures") / "weights"
    (folder / "models" / "u2net").mkdir(parents=True)
    shutil.copy(weights_path("u2net"), folder / "models" / "u2net")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777)
    home = {"U2NET_HOME": "/var/app/pictures/weights", "IMAGING_PRECISION": "int8"}
    done = deployment.run("web", "python", "manage.py", "prepare_model", **home)
    assert done.returncode == 0, done.stderr
    assert "Quantising u2net to INT8" in done.stdout
    assert list(folder.rglob("u2net-serving-*.onnx"))
    assert list(folder.rglob("u2net-int8-*"))
    shutil.rmtree(folder)


@pytest.mark.skipif(MODELS != "u2net", reason="the image with all models has this one, too")
@pytest.mark.parametrize("command", ["check", "migrate", "prepare_model"])
def test_another_model_gets_a_clear_error(deployment, command):
    done = deployment.run("web", "python", "manage.py", command, IMAGING_MODEL="silueta")
    assert done.returncode != 0
    assert "silueta needs rembg, which is not installed" in done.stderr
    assert "MODELS=all" in done.stderr


def test_processes_end_in_time_with_status_0(deployment):
    """The last test: it ends what the others need."""
    ended = deployment.stop()
    print("\nseconds after SIGTERM:", {name: round(seconds, 1) for name, (_, seconds) in ended.items()})  # noqa: T201
    assert {name: status for name, (status, _) in ended.items()} == dict.fromkeys(PROCESSES, 0), deployment.logs()
    assert deployment.health("web") != 0
