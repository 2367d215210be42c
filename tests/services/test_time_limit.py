"""An image on which a worker's process hangs in C: the process is killed, and the caller gets a response and no charge."""

import pytest
from PIL import Image

from tests.conftest import encoded
from tests.services.inference import WorkerDeployment
from tests.services.stuck_model_worker import STUCK_WIDTH
from tests.services.test_inference_workers import rabbitmq  # noqa: F401 - a fixture

pytestmark = pytest.mark.services

# The settings give a process 10 s more than the image: well before the caller would be refused for want of an answer.
IMAGING_SECONDS = 1


def test_a_process_that_hangs_is_ended_and_the_image_refused(tmp_path, rabbitmq, postgres_url, redis_url, small_png):  # noqa: F811
    deployment = WorkerDeployment(
        tmp_path, broker=rabbitmq, DATABASE_URL=postgres_url, REDIS_URL=redis_url,
        workers_application="tests.services.stuck_model_worker", IMAGING_SECONDS=str(IMAGING_SECONDS),
    )  # fmt: skip
    try:
        deployment.start()
        worker = deployment.start_worker("one")
        account = deployment.call("open_account", included=10)
        before = worker.children()
        answer = deployment.cut_out(account["key"], encoded(Image.new("RGB", (STUCK_WIDTH, 5))))
        assert (answer.status_code, answer.json()["code"]) == (400, "image_too_slow"), deployment.logs()
        assert deployment.model_log.read_text().count("!") == 1, "it was given to one process only"
        # Another process has replaced it.
        assert deployment.cut_out(account["key"], small_png).ok, deployment.logs()
        assert worker.children() != before
        states = deployment.call("read", email=account["email"])["states"]
        assert (states.get("posted"), states.get("voided"), states.get("held", 0)) == (1, 1, 0)
    finally:
        deployment.stop()
