"""`kill -9` of the web process in a stream of requests: nothing is lost, and nothing is charged without a result."""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from billing.credits import prices
from tests.services.deployment import Deployment

pytestmark = pytest.mark.services

ROUNDS, SENDERS, SEED = 3, 6, 20
INCLUDED, PREPAID = 60, 1_000


def stream(deployment: Deployment, key: str, image: bytes, ended: threading.Event) -> int:
    """Send one request after another until signalled to stop; return how many images came back whole."""
    delivered = 0
    while not ended.is_set():
        try:
            delivered += deployment.cut_out(key, image).ok
        except requests.RequestException:
            time.sleep(0.02)  # killed mid-request, or not back yet
    return delivered


def test_killed_web_processes_charge_for_results_alone_and_lose_no_credit(deployment, small_png):
    account = deployment.call("open_account", included=INCLUDED, prepaid=PREPAID)
    moments, ended = random.Random(SEED), threading.Event()  # noqa: S311 - no secret
    seen = len(deployment.events("-"))
    with ThreadPoolExecutor(SENDERS) as senders:
        streams = [senders.submit(stream, deployment, account["key"], small_png, ended) for _ in range(SENDERS)]
        try:
            for _ in range(ROUNDS):
                time.sleep(moments.uniform(0.2, 0.6))
                os.kill(moments.choice(deployment.workers()), signal.SIGKILL)
                deployment.wait_until_ready()
            time.sleep(0.2)
        finally:
            ended.set()
        delivered = sum(stream.result() for stream in streams)

    swept = deployment.call("sweep")
    figures = deployment.call("read", email=account["email"])
    posted, voided = figures["states"].get("posted", 0), figures["states"].get("voided", 0)
    made = len(deployment.events("-")) - seen
    assert figures["differences"] == figures["reconciled"] == []
    assert figures["states"].get("held", 0) == 0
    assert voided == swept >= 1, "the kills hit no request: they prove nothing"
    # A response may be lost on the wire after its credit was posted; an image that was never made is never posted.
    assert delivered <= posted <= made
    assert posted - delivered <= ROUNDS * SENDERS
    assert figures["included"] + figures["prepaid"] == INCLUDED + PREPAID - posted
    assert figures["kinds"]["hold"] == posted + voided
    assert deployment.usage(account["key"])["api_usage"] == INCLUDED - figures["included"]


PRICES = (25, 63, 250)


def kill_at_work(deployment: Deployment) -> None:
    """Kill a web process just as its model works on an image."""
    seen = len(deployment.events("+"))
    deadline = time.monotonic() + 30
    while len(begun := deployment.events("+")) <= seen and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(begun[-1][1], signal.SIGKILL)


def test_killed_web_processes_lose_no_part_of_a_credit_whatever_the_prices(deployment, small_png):
    account = deployment.call("open_account", included=INCLUDED, prepaid=PREPAID)
    ended = threading.Event()
    deployment.call("set_price", operation="image", hundredths=PRICES[0])
    time.sleep(prices.SECONDS + 0.1)
    with ThreadPoolExecutor(SENDERS) as senders:
        streams = [senders.submit(stream, deployment, account["key"], small_png, ended) for _ in range(SENDERS)]
        try:
            for price in PRICES:
                deployment.call("set_price", operation="image", hundredths=price)
                time.sleep(prices.SECONDS + 0.1)
                kill_at_work(deployment)
                deployment.wait_until_ready()
        finally:
            ended.set()
        delivered = sum(stream.result() for stream in streams)
    deployment.call("set_price", operation="image", hundredths=100)
    time.sleep(prices.SECONDS + 0.1)

    swept = deployment.call("sweep")
    figures = deployment.call("read_one", email=account["email"])
    posted = {int(price): count for price, count in figures["prices"].items()}
    assert figures["differences"] == figures["reconciled"] == []
    assert figures["states"].get("held", 0) == 0
    assert swept >= 1, "the kills hit no request: they prove nothing"
    assert set(posted) <= set(PRICES)
    assert delivered <= sum(posted.values())
    spent = sum(price * count for price, count in posted.items())
    left = round(100 * (figures["included"] + figures["prepaid"]))
    assert left == 100 * (INCLUDED + PREPAID) - spent
    assert 0 < round(100 * figures["key_used"]) == spent
