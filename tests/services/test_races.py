"""More requests than credits, at the same moment: exactly as many succeed as there are credits, and all figures agree."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from billing.credits import prices
from tests.services.deployment import Deployment, at_once, code_of

pytestmark = pytest.mark.services

INCLUDED, PREPAID = 7, 5
CREDITS = INCLUDED + PREPAID


@contextmanager
def priced(deployment: Deployment, hundredths: int) -> Iterator[None]:
    """An image costs that much for as long as the block runs."""
    set_price(deployment, hundredths)
    try:
        yield
    finally:
        set_price(deployment, 100)


def set_price(deployment: Deployment, hundredths: int) -> None:
    """Change the price, and wait until every process has read it."""
    deployment.call("set_price", operation="image", hundredths=hundredths)
    time.sleep(prices.SECONDS + 0.1)


def test_of_four_times_as_many_requests_exactly_as_many_succeed_as_there_are_credits(deployment, small_png):
    account = deployment.call("open_account", included=INCLUDED, prepaid=PREPAID)
    answers = at_once(4 * CREDITS, lambda: deployment.cut_out(account["key"], small_png))
    assert Counter(map(code_of, answers)) == {"ok": CREDITS, "monthly_limit_reached": 3 * CREDITS}
    assert all(answer.status_code == 429 and "Retry-After" in answer.headers for answer in answers if not answer.ok)

    usage = deployment.usage(account["key"])
    cycle = usage["billingCycle"]
    assert (usage["app_usage"], usage["api_usage"], usage["prepaidCredits"]) == (0, INCLUDED, 0)
    assert (cycle["apiUsage"], cycle["usedIncludedCredits"], cycle["remainingIncludedCredits"]) == (INCLUDED, INCLUDED, 0)

    figures = deployment.call("read", email=account["email"])
    assert figures["differences"] == figures["reconciled"] == []
    assert figures["states"] == {"posted": CREDITS}
    assert (figures["included"], figures["prepaid"], figures["key_used"]) == (0, 0, CREDITS)
    if "REDIS_URL" in deployment.environment:
        assert deployment.documented_usage(account["uid"]) == {"app": "0", "api": str(INCLUDED)}


def test_of_four_times_as_many_quarters_of_a_credit_exactly_four_are_delivered_for_each_credit(deployment, small_png):
    account = deployment.call("open_account", included=2, prepaid=1)
    with priced(deployment, 25):
        answers = at_once(48, lambda: deployment.cut_out(account["key"], small_png))
    assert Counter(map(code_of, answers)) == {"ok": 12, "monthly_limit_reached": 36}
    assert {answer.headers["X-Credits-Charged"] for answer in answers if answer.ok} == {"0.25"}
    figures = deployment.call("read_one", email=account["email"])
    assert (figures["included"], figures["prepaid"], figures["key_used"]) == (0, 0, 3)
    assert figures["differences"] == figures["reconciled"] == []


def test_at_once_prices_that_fit_no_bucket_alone_leave_less_than_one_of_them(deployment, small_png):
    account = deployment.call("open_account", included=2, prepaid=2)
    with priced(deployment, 63):
        answers = at_once(30, lambda: deployment.cut_out(account["key"], small_png))
    # 6 of 0.63 make 3.78: three of each bucket, where 0.11 of both remain.
    assert Counter(map(code_of, answers)) == {"ok": 6, "monthly_limit_reached": 24}
    figures = deployment.call("read_one", email=account["email"])
    assert (figures["included"], figures["prepaid"]) == (0.11, 0.11)
    with priced(deployment, 20):
        answers = at_once(8, lambda: deployment.cut_out(account["key"], small_png))
    assert Counter(map(code_of, answers)) == {"ok": 1, "monthly_limit_reached": 7}
    figures = deployment.call("read_one", email=account["email"])
    assert figures["included"] + figures["prepaid"] == pytest.approx(0.02)
    assert figures["differences"] == figures["reconciled"] == []


def test_a_race_with_a_refusal_of_the_image_gives_every_credit_back(deployment, small_png):
    account = deployment.call("open_account", included=INCLUDED, prepaid=PREPAID)
    broken = small_png[:45]
    answers = at_once(CREDITS, lambda: deployment.cut_out(account["key"], broken))
    assert {answer.status_code for answer in answers} == {400}
    figures = deployment.call("read", email=account["email"])
    assert figures["differences"] == figures["reconciled"] == []
    assert set(figures["states"]) <= {"voided"}
    assert (figures["included"], figures["prepaid"], figures["key_used"]) == (INCLUDED, PREPAID, 0)


def test_one_idempotency_key_sent_many_times_at_once_is_charged_once(deployment, small_png):
    account = deployment.call("open_account", included=20)
    answers = at_once(8, lambda: deployment.cut_out(account["key"], small_png, **{"Idempotency-Key": "order-1"}))
    reported = Counter(answer.headers["X-Credits-Charged"] if answer.ok else code_of(answer) for answer in answers)
    assert reported.pop("1") == 1
    assert set(reported) <= {"0", "idempotency_in_progress"}
    retry = deployment.cut_out(account["key"], small_png, **{"Idempotency-Key": "order-1"})
    assert (retry.status_code, retry.headers["X-Credits-Charged"]) == (200, "0")
    figures = deployment.call("read", email=account["email"])
    assert (figures["differences"], figures["states"], figures["included"]) == ([], {"posted": 1}, 19)


@contextmanager
def swept_all_the_time(deployment: Deployment) -> Iterator[list[int]]:
    """Every open hold counts as stale, and is voided as soon as it is seen. Yields how many each sweep has voided."""
    ended, voided = threading.Event(), []

    def sweep() -> None:
        while not ended.is_set():
            voided.append(deployment.call("sweep"))

    thread = threading.Thread(target=sweep)
    thread.start()
    try:
        yield voided
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("credits", [CREDITS, 100])
def test_no_image_is_free_however_often_its_hold_is_voided(deployment, small_png, credits):
    # On a busy machine a sweep may be too late for each of the requests: then they are sent again.
    for _ in range(10):
        account = deployment.call("open_account", included=credits - PREPAID, prepaid=PREPAID)
        with swept_all_the_time(deployment) as voided:
            answers = at_once(2 * CREDITS, lambda key=account["key"]: deployment.cut_out(key, small_png))
        codes = Counter(map(code_of, answers))
        figures = deployment.call("read", email=account["email"])
        assert figures["differences"] == figures["reconciled"] == []
        assert figures["states"].get("posted", 0) == codes["ok"] <= credits
        assert set(codes) <= ({"ok"} if credits == 100 else {"ok", "monthly_limit_reached", "hold_expired"})
        assert figures["included"] + figures["prepaid"] == credits - codes["ok"]
        if sum(voided):
            return
    pytest.fail("no hold was voided under a request's hands: this proves nothing")
