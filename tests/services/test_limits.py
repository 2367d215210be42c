"""Rate limits counted in Redis by two web processes at once: not one request too many, not one too few."""

import time
from collections import Counter

import pytest

from tests.services.deployment import at_once, code_of

pytestmark = pytest.mark.services

PER_MINUTE, TRIES, ROUNDS = 20, 60, 3
AT_ONCE, SENDERS, EACH = 2, 8, 2


def test_exactly_as_many_requests_pass_as_a_minute_allows(on_postgres, small_png):
    # The kernel chooses which process takes a connection: try a few times, until both took part.
    for _ in range(ROUNDS):
        account = on_postgres.call("open_account", included=100, per_minute=PER_MINUTE)
        seen = len(on_postgres.events(">"))
        answers = at_once(TRIES, lambda key=account["key"]: on_postgres.cut_out(key, small_png))
        assert Counter(map(code_of, answers)) == {"ok": PER_MINUTE, "rate_limited": TRIES - PER_MINUTE}
        assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in answers if not answer.ok)
        assert on_postgres.usage(account["key"])["api_usage"] == PER_MINUTE
        if {pid for _, pid, _ in on_postgres.events(">")[seen:]} == set(on_postgres.workers()):
            break


def test_never_more_requests_at_once_than_the_plan_allows(on_postgres, small_png):
    account = on_postgres.call("open_account", included=100, at_once=AT_ONCE)
    seen = len(on_postgres.events("+-"))

    def send_until_served() -> int:
        refused, served, deadline = 0, 0, time.monotonic() + 30
        while served < EACH and time.monotonic() < deadline:
            answer = on_postgres.cut_out(account["key"], small_png)
            served += answer.ok
            refused += code_of(answer) == "rate_limited"
            time.sleep(0 if answer.ok else 0.02)
        return refused

    refusals = at_once(SENDERS, send_until_served)
    assert sum(refusals) >= SENDERS - AT_ONCE
    running = peak = 0
    for event, _, _ in on_postgres.events("+-")[seen:]:
        running += 1 if event == "+" else -1
        peak = max(peak, running)
    assert peak == AT_ONCE
    assert on_postgres.usage(account["key"])["api_usage"] == SENDERS * EACH
