"""`GET /v1.0/account`: byte for byte what remove.bg's clients expect."""

from billing.credits import ledger
from billing.membership.balance import CreditsLeft
from imaging.compat.account import describe


def test_the_balance_byte_for_byte(client, user, key):
    left = ledger.get_account(user).plan.included_credits
    answer = client.get("/v1.0/account", headers={"x-api-key": key})
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.content == (
        b'{"data":{"attributes":{"credits":{"subscription":%d,"payg":0,"enterprise":0,"total":%d},'
        b'"api":{"free_calls":50,"sizes":"all"}}}}' % (left, left)
    )


def test_fractions_and_free_previews():
    found = describe(CreditsLeft(included=75, prepaid=1025, free_previews=50))
    assert found == {
        "credits": {"subscription": 0.75, "payg": 10.25, "enterprise": 0, "total": 11},
        "api": {"free_calls": 50, "sizes": "all"},
    }
    assert isinstance(found["credits"]["total"], int)


def test_a_read_counts_as_one(client, user, key, settings):
    settings.READS_PER_MINUTE = 1
    codes = [client.get("/v1.0/account", headers={"x-api-key": key}).status_code for _ in range(300)]
    refused = client.get("/v1.0/account", headers={"x-api-key": key})
    assert codes[0] == 200
    assert refused.status_code == 429
    assert refused.json()["errors"][0]["code"] == "rate_limit_exceeded"
    assert int(refused.headers["Retry-After"]) >= 1
