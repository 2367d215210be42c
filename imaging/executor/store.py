"""The state of a job in Redis, shared by web process and workers.

| key | holds | lives |
|---|---|---|
| `imaging:{ID}:job` | a hash: `order`, the job as JSON; `attempts`, how often one began | while the web process renews it |
| `imaging:{ID}:claim` | the worker that is at it | while that worker renews it |
| `imaging:{ID}:answer` | the outcome as JSON | ANSWER_SECONDS |
| `imaging:{ID}:bell` | the notification: a list that gets one element once there is an answer | ANSWER_SECONDS |

The names of keys and fields are part of a release: processes of the one before use them while an upgrade runs.

The job's key is the only sign that a caller waits. The first answer deletes it atomically, so there is one answer however
often the job ran, and none once no one waits. The images' bytes are in `payloads`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from threading import Event, Thread
from typing import Any, cast

import redis
from django.conf import settings
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from lib.ops.redis_client import key_name

# A web process renews the job about once a second. If it is killed, no worker starts the job after this long.
JOB_SECONDS = 15
# A worker renews its claim three times as often. If it is killed, another one takes over within this time.
CLAIM_SECONDS = 5.0
# The waiting process reads the answer within a second.
ANSWER_SECONDS = 60
# The longest wait for a notification in one command, and the extra time that the socket allows.
NOTIFICATION_SECONDS = 1.0
SOCKET_SECONDS = 10.0

# KEYS job, claim; ARGV worker, milliseconds, 1 to take over a claim. Returns {job, attempts}, or nothing.
_CLAIM = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
if ARGV[3] == '1' then redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
elseif not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
return {redis.call('HGET', KEYS[1], 'order'), redis.call('HINCRBY', KEYS[1], 'attempts', 1)}
"""
# KEYS claim; ARGV worker, milliseconds.
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
# KEYS claim, job; ARGV worker. The attempt did not kill the worker, so it does not count.
_LET_GO = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HINCRBY', KEYS[2], 'attempts', -1) end
return 1
"""
# KEYS job, answer, notification; ARGV outcome, seconds.
_ANSWER = """
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
redis.call('RPUSH', KEYS[3], '1')
return redis.call('EXPIRE', KEYS[3], ARGV[2])
"""


@dataclass(frozen=True, slots=True)
class View:
    """A job's state: its answer, if any; whether it is still known; whether a worker has claimed it."""

    facts: dict[str, Any] | None
    exists: bool
    is_claimed: bool


@cache
def get_redis() -> redis.Redis:
    """A separate client: waiting takes longer than `lib.ops.redis_client` allows, and callers wait out an outage."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=2,
        socket_keepalive=True,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
    )


def put(job_id: str, job: str) -> None:
    """Make the job, as JSON, known to workers."""
    with get_redis().pipeline() as pipe:
        pipe.hset(_key(job_id, "job"), "order", job)
        pipe.expire(_key(job_id, "job"), JOB_SECONDS)
        pipe.execute()


def wait(job_id: str, seconds: float) -> View:
    """Wait for the answer, at most `seconds` and NOTIFICATION_SECONDS. Then read the state and renew the job."""
    client = get_redis()
    client.blpop([_key(job_id, "bell")], timeout=max(0.01, min(seconds, NOTIFICATION_SECONDS)))
    with client.pipeline(transaction=False) as pipe:
        # The order matters: an answer deletes the job, so it must be read last.
        pipe.expire(_key(job_id, "job"), JOB_SECONDS)
        pipe.exists(_key(job_id, "claim"))
        pipe.get(_key(job_id, "answer"))
        exists, is_claimed, answer = pipe.execute()
    return View(json.loads(answer) if answer else None, bool(exists), bool(is_claimed))


def forget(job_id: str) -> None:
    """Forget the job: no one waits any more."""
    get_redis().delete(*(_key(job_id, part) for part in ("job", "claim", "answer", "bell")))


def claim(job_id: str, worker: str, *, take_over: bool = False) -> tuple[bytes, int] | None:
    """Claim the job: its JSON, and how many times a worker started it; None if no one waits or another worker has it."""
    keys = [_key(job_id, "job"), _key(job_id, "claim")]
    found = _run(_CLAIM, keys, worker, round(CLAIM_SECONDS * 1000), int(take_over))
    return (found[0], int(found[1])) if found else None


def is_wanted(job_id: str) -> bool:
    """Whether a caller waits for an answer."""
    return bool(get_redis().exists(_key(job_id, "job")))


@contextmanager
def kept(job_id: str, worker: str) -> Iterator[None]:
    """Renew the worker's claim during the block, and always release it at the end."""
    done = Event()
    renewer = Thread(target=_renew_until, args=[done, job_id, worker], name="claim", daemon=True)
    renewer.start()
    try:
        yield
    finally:
        done.set()
        renewer.join()
        _try(_LET_GO, [_key(job_id, "claim"), _key(job_id, "job")], worker)


def answer(job_id: str, outcome: str) -> bool:
    """Report the outcome, as JSON; False if no one waits for it any more."""
    keys = [_key(job_id, part) for part in ("job", "answer", "bell")]
    return bool(_run(_ANSWER, keys, outcome, ANSWER_SECONDS))


def _renew_until(done: Event, job_id: str, worker: str) -> None:
    while not done.wait(CLAIM_SECONDS / 3):
        _try(_RENEW, [_key(job_id, "claim")], worker, round(CLAIM_SECONDS * 1000))


def _try(script: str, keys: list[str], *arguments: str | float) -> None:
    # Otherwise the claim expires and another worker starts as well: wasted work, no harm.
    with suppress(redis.RedisError):
        _run(script, keys, *arguments)


def _run(script: str, keys: list[str], *arguments: str | float) -> Any:
    return cast("Any", get_redis().eval(script, len(keys), *keys, *arguments))


def _key(job_id: str, part: str) -> str:
    # In braces: the hash tag by which a cluster distributes keys.
    return key_name(f"imaging:{{{job_id}}}:{part}")
