"""150 images, six of them bad, through a running server that is killed in the middle: 144 results, 144 credits.

With EXHAUSTIVE=1 there are 500.
"""

import os
import random
import signal
import time
from collections import Counter
from typing import Any

import pytest
import requests

from tests.examples import EXHAUSTIVE
from tests.imaging.batches.forms import batch_form
from tests.services.deployment import Deployment, at_once, code_of

pytestmark = pytest.mark.services

# Every 25th is bad.
IMAGES, INCLUDED, PREPAID = (500, 300, 400) if EXHAUSTIVE else (150, 90, 120)
BAD, KILLS = IMAGES // 25, 2
SECONDS = 90


def images(good: bytes) -> list[tuple[str, bytes]]:
    """Every 25th is bad, in one of three ways."""
    bad = [b"", b"not an image", good[: len(good) // 2]]
    return [(f"{n:03}.png", bad[n // 25 % 3] if n % 25 == 0 else good) for n in range(IMAGES)]


class Customer:
    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.account = deployment.call("open_account", included=INCLUDED, prepaid=PREPAID)
        self.headers = {"x-api-key": self.account["key"]}

    def send(self, files: list[tuple[str, bytes]], **fields: Any) -> dict[str, Any]:
        body = batch_form(*files, **fields)
        headers = {**self.headers, "Content-Type": body["content_type"]}
        answer = requests.post(f"{self.deployment.url}/api/batches", body["data"], headers=headers, timeout=60)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def get(self, url: str) -> requests.Response:
        return requests.get(url, headers=self.headers, timeout=60)

    def wait_for(self, url: str, happened) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while not happened(batch := self.get(f"{url}?items=0").json()):
            assert time.monotonic() < deadline, (batch["counts"], self.deployment.log.read_text()[-3000:])
            time.sleep(0.05)
        return batch


def test_killed_in_the_middle_it_goes_on_and_charges_each_result_once(deployment, small_png):
    customer = Customer(deployment)
    url = customer.send(images(small_png))["url"]
    for kill in range(1, KILLS + 1):
        customer.wait_for(url, lambda batch, kill=kill: batch["counts"]["done"] >= kill * IMAGES / (KILLS + 2))
        os.kill(random.choice(deployment.workers()), signal.SIGKILL)  # noqa: S311 - no secret
        deployment.wait_until_ready()
    customer.wait_for(url, lambda batch: batch["status"] == "finished")

    batch = customer.get(url).json()
    assert Counter(item["status"] for item in batch["items"]) == {"done": IMAGES - BAD, "failed": BAD}
    failed = [item for item in batch["items"] if item["status"] == "failed"]
    assert [item["index"] for item in failed] == list(range(0, IMAGES, 25))
    assert {item["code"] for item in failed} == {"empty_file", "invalid_image"}
    assert all(item["error"] for item in failed)
    assert batch["credits"] == {"held": 0, "charged": IMAGES - BAD}

    figures = deployment.call("read", email=customer.account["email"])
    assert figures["states"]["posted"] == IMAGES - BAD
    assert "held" not in figures["states"]
    assert figures["included"] + figures["prepaid"] == INCLUDED + PREPAID - (IMAGES - BAD)
    assert figures["differences"] == figures["reconciled"] == []
    assert len(customer.get(batch["items"][1]["result_url"]).content) == batch["items"][1]["bytes"]


def test_killed_between_the_results_of_an_image_it_leaves_no_stray_file(deployment, small_png):
    """Each image has three results, in three files, for one credit."""
    customer, count = Customer(deployment), 60
    outputs = '[{"name": "cutout", "format": "png"}, {"name": "white", "format": "jpeg"}, {"mask": true}]'
    batch = customer.send([(f"{n}.png", small_png) for n in range(count)], outputs=outputs)
    for kill in range(1, KILLS + 1):
        customer.wait_for(batch["url"], lambda batch, kill=kill: batch["counts"]["done"] >= kill * count / (KILLS + 2))
        os.kill(random.choice(deployment.workers()), signal.SIGKILL)  # noqa: S311 - no secret
        deployment.wait_until_ready()
    customer.wait_for(batch["url"], lambda batch: batch["status"] == "finished")

    batch = customer.get(batch["url"]).json()
    assert batch["credits"] == {"held": 0, "charged": count}
    assert {len(item["results"]) for item in batch["items"]} == {3}
    folder = next(path for path in deployment.folder.rglob(batch["id"]) if path.is_dir())
    assert len(list(folder.glob("out/*"))) == 3 * count
    # The input of an image whose worker was killed right after delivering it is erased when the batch expires.
    assert len(list(folder.glob("in/*"))) <= KILLS
    figures = deployment.call("read", email=customer.account["email"])
    assert (figures["states"], figures["differences"]) == ({"posted": count}, [])


def test_one_key_sent_many_times_at_once_makes_one_batch(deployment, small_png):
    customer = Customer(deployment)
    customer.headers["Idempotency-Key"] = "order-1"
    made = at_once(6, lambda: customer.send([("a.png", small_png), ("b.png", small_png)]))
    assert len({one["id"] for one in made}) == 1
    customer.wait_for(made[0]["url"], lambda batch: batch["status"] == "finished")
    figures = deployment.call("read", email=customer.account["email"])
    assert (figures["states"], figures["differences"]) == ({"posted": 2}, [])


def test_of_many_batches_at_once_as_many_pass_as_there_are_credits_for(deployment, small_png):
    """Credits are posted or held: at no time does one become free for a sixth batch."""
    customer = Customer(deployment)
    fifth = [(f"{n}.png", small_png) for n in range((INCLUDED + PREPAID) // 5)]

    def send() -> str:
        body = batch_form(*fifth)
        headers = {**customer.headers, "Content-Type": body["content_type"]}
        return code_of(requests.post(f"{deployment.url}/api/batches", body["data"], headers=headers, timeout=60))

    assert Counter(at_once(8, send)) == {"ok": 5, "not_enough_credits": 3}
    batches = customer.get(f"{deployment.url}/api/batches").json()["batches"]
    for batch in batches:
        requests.post(f"{batch['url']}/cancel", headers=customer.headers, timeout=60)
    figures = deployment.call("read", email=customer.account["email"])
    assert figures["differences"] == figures["reconciled"] == []
    assert figures["states"].get("held", 0) == 0
    assert sum(figures["states"].values()) == INCLUDED + PREPAID
    assert figures["included"] + figures["prepaid"] == figures["states"].get("voided", 0)
