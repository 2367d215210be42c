"""Databases for one run: fresh on this machine's PostgreSQL and Redis, dropped afterwards. Needs no Django."""

import fcntl
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

DATABASE_URL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/")
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/")
BROKER_URL = os.environ.get("TEST_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672//")
# The Redis databases of the tests, of the benchmarks and of `make image-test`, so that each may flush.
REDIS_DATABASES = (9, 12, 13, 14, 15)
REDIS_BENCH_DATABASE = 10
REDIS_IMAGE_DATABASE = 11


@contextmanager
def scratch_postgres() -> Iterator[str]:
    """The address of an empty database. Raises psycopg.OperationalError where no PostgreSQL answers."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(DATABASE_URL, autocommit=True, connect_timeout=3) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{DATABASE_URL.rstrip('/')}/{name}"
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def scratch_redis(number: int | None = None) -> Iterator[str]:
    """The address of an empty Redis database: `number`, or one of REDIS_DATABASES that no other process has.

    Raises redis.RedisError where no Redis answers.
    """
    with ExitStack() as stack:
        free = stack.enter_context(_free_redis_database()) if number is None else number
        url = f"{REDIS_URL.rstrip('/')}/{free}"
        client = stack.enter_context(redis.Redis.from_url(url, socket_connect_timeout=3))
        client.flushdb()
        try:
            yield url
        finally:
            client.flushdb()


@contextmanager
def _free_redis_database() -> Iterator[int]:
    """Workers of one run, and other runs on this machine, flush what is theirs: each has databases for itself meanwhile."""
    for number in REDIS_DATABASES:
        # Where all are taken, wait for the last one.
        wait = 0 if number == REDIS_DATABASES[-1] else fcntl.LOCK_NB
        with (Path(tempfile.gettempdir()) / f"rembg-tests-redis-{number}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | wait)
            except BlockingIOError:
                continue
            yield number
            return


@contextmanager
def scratch_rabbitmq() -> Iterator[str]:
    """The address of an empty virtual host. Raises subprocess.CalledProcessError without the right to."""
    name, server = f"test_{secrets.token_hex(6)}", urlsplit(BROKER_URL)
    _rabbitmqctl("add_vhost", name)
    try:
        _rabbitmqctl("set_permissions", "-p", name, server.username or "guest", ".*", ".*", ".*")
        yield f"{server.scheme}://{server.netloc}/{name}"
    finally:
        _rabbitmqctl("delete_vhost", name)


def _rabbitmqctl(*arguments: str) -> None:
    subprocess.run(["rabbitmqctl", "--quiet", *arguments], check=True, timeout=60)
