"""The gate's promises over HTTP: large images and busy callers do not keep others waiting."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import requests
from PIL import Image

from tests.conftest import encoded
from tests.imaging.removal.forms import form
from tests.scratch_databases import scratch_redis
from tests.server import READY_SECONDS
from tests.services.deployment import Deployment, code_of
from tests.services.inference import WorkerDeployment

pytestmark = pytest.mark.services

IMAGE_SECONDS, SECONDS_PER_MEGAPIXEL = 0.6, 2.0
# In megapixels: of two of these, one fits.
BUDGET, LARGE = 3, 2.0
AT_ONCE = 16


@pytest.fixture
def redis_broker(redis_url: str) -> Iterator[str]:
    with scratch_redis() as url:
        yield url


@pytest.fixture(scope="module")
def two_slots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One web process with two slots; an image takes IMAGE_SECONDS, and SECONDS_PER_MEGAPIXEL more."""
    running = Deployment(
        tmp_path_factory.mktemp("two-slots"), model_seconds=IMAGE_SECONDS, IMAGING_SLOTS="2", IMAGING_QUEUE_SIZE="32",
        IMAGING_MEGAPIXELS=str(BUDGET), FAKE_MODEL_SECONDS_PER_MEGAPIXEL=str(SECONDS_PER_MEGAPIXEL), WEB_THREADS="32",
    )  # fmt: skip
    running.start()
    yield running
    running.stop()


def large_png() -> bytes:
    return encoded(Image.new("L", (1250, round(LARGE * 1e6 / 1250)), 200))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def waiting(deployment: Deployment) -> int:
    return int(requests.get(f"{deployment.url}/status.json", timeout=10).json()["queue"]["waiting"])


def send_anonymously(deployment: Deployment, image: bytes) -> requests.Response:
    body = form(image)
    headers = {"Content-Type": body["content_type"]}
    return requests.post(f"{deployment.url}/rmbg", body["data"], headers=headers, timeout=60)


def test_two_large_anonymous_images_keep_no_customer_waiting(two_slots, small_png):
    """One is running, the other does not fit next to it: there is a slot for a small one."""
    key = two_slots.call("open_account", included=100)["key"]
    seen = len(two_slots.events("+-"))
    large = large_png()
    with ThreadPoolExecutor(2) as pool:
        bombs = [pool.submit(send_anonymously, two_slots, large) for _ in range(2)]
        wait_until(lambda: len(two_slots.events("+")) > 0 and waiting(two_slots) == 1)
        started = time.monotonic()
        answer = two_slots.cut_out(key, small_png)
        took = time.monotonic() - started
        assert code_of(answer) == "ok"
        assert not any(bomb.done() for bomb in bombs)
        assert [code_of(bomb.result()) for bomb in bombs] == ["ok", "ok"]
    assert took < LARGE * SECONDS_PER_MEGAPIXEL / 2
    # The customer's image began and ended while the first large one was running.
    assert "".join(kind for kind, _, _ in two_slots.events("+-")[seen:]) == "++--+-"


def test_a_key_with_sixteen_at_once_keeps_another_key_waiting_for_about_one_image(two_slots, small_png):
    heavy, light = (two_slots.call("open_account", included=100)["key"] for _ in range(2))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        many = [pool.submit(two_slots.cut_out, heavy, small_png) for _ in range(AT_ONCE)]
        wait_until(lambda: waiting(two_slots) >= AT_ONCE / 2)
        overtaken, queued = overtakes(many, lambda: two_slots.cut_out(light, small_png))
        assert {code_of(answer.result()) for answer in many} == {"ok"}
    assert overtaken >= AT_ONCE / 4
    assert queued <= 2 * IMAGE_SECONDS


def overtakes(many: list[Future[requests.Response]], send: Callable[[], requests.Response]) -> tuple[int, float]:
    """How many of `many` are still open when the one sent now is answered, and the seconds it waited for a place."""
    answer = send()
    left = sum(not other.done() for other in many)
    assert code_of(answer) == "ok"
    queued = next(step for step in answer.headers["Server-Timing"].split(", ") if step.startswith("queue;"))
    return left, float(queued.partition("dur=")[2]) / 1000


def test_the_same_with_workers(tmp_path, redis_broker, postgres_url, redis_url, small_png):
    """The workers' queue is first come, first served: the web process passes on little more than they are working on."""
    deployment = WorkerDeployment(
        tmp_path, broker=redis_broker, model_seconds=IMAGE_SECONDS, DATABASE_URL=postgres_url, REDIS_URL=redis_url
    )
    try:
        deployment.start()
        deployment.start_worker("one")
        heavy, light = (deployment.call("open_account", included=100)["key"] for _ in range(2))
        assert code_of(deployment.cut_out(light, small_png)) == "ok"
        time.sleep(2)  # the web process counts the workers every two seconds
        with ThreadPoolExecutor(AT_ONCE) as pool:
            many = [pool.submit(deployment.cut_out, heavy, small_png) for _ in range(AT_ONCE)]
            wait_until(lambda: waiting(deployment) >= AT_ONCE / 2)
            overtaken, queued = overtakes(many, lambda: deployment.cut_out(light, small_png))
            assert {code_of(answer.result()) for answer in many} == {"ok"}
        # First come, first served, it would be the last: only the running one and the next one go before it.
        assert overtaken >= AT_ONCE / 4
        assert queued <= AT_ONCE / 2 * IMAGE_SECONDS
    finally:
        deployment.stop()
