"""Database connections: few, shared by all threads, released before slow work. Also which errors mean an outage.

With PostgreSQL each process has a pool of DATABASE_POOL_SIZE connections. A request that gets none within POOL_SECONDS is
answered 503, as when the server does not respond: see `lib.web.errors`. With SQLite each thread has its own connection.
"""

import logging
import os
import sqlite3
import threading
import time
from typing import Any

import psycopg
from django.db import DataError, InterfaceError, OperationalError, connections
from psycopg import errors
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

logger = logging.getLogger(__name__)

# Seconds that a thread waits for a connection from the pool. /readyz takes as long to notice an outage.
POOL_SECONDS = 2.0
# Seconds to open a connection, and to check that a pooled one is alive.
CONNECT_SECONDS, CHECK_SECONDS = 2, 1.0
# A pool closes one connection after this many idle seconds: others may need it where the server has few.
IDLE_SECONDS = 5.0
# Seconds between attempts to connect. The pool's own default doubles the pause up to minutes.
RECONNECT_SECONDS = 0.5
# Seconds for a statement in a web process: a healthy server answers any query of a page or a call within it.
STATEMENT_SECONDS = 30.0
# An outage is logged this often; each failed request is in the access log.
LOG_SECONDS = 10.0

# SQLite's messages when it is locked, or its disk is full or gone. Its other errors of this class are our bugs.
_SQLITE_OUTAGES = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL,
}  # fmt: skip
# PostgreSQL's class 54, "program limit exceeded": the statement was too large, and always will be.
_TOO_LARGE = "54"

_statement_seconds: float | None = None


class BoundedConnection(psycopg.Connection[TupleRow]):
    """A connection that gives up on a server that does not answer. libpq has no such limit: it would wait forever."""

    _limit: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg's, with a limit for all statements. Past it, closes the connection and raises OperationalError."""
        limit = timeout or self._limit or _statement_seconds
        try:
            return super().wait(gen, interval, limit)
        except errors._WaitTimeout as error:
            if timeout is not None:
                raise
            # No caller would read a late answer.
            self.close()
            raise psycopg.OperationalError(f"the database has not answered for {limit} s") from error

    def execute(self, *arguments: Any, **options: Any) -> Any:
        """Only the pool calls this, to see whether a connection is alive before it hands it out. (Django uses cursors.)"""
        self._limit = CHECK_SECONDS
        try:
            return super().execute(*arguments, **options)
        except psycopg.Error:
            self.close()
            # After a restart of the server the idle ones are dead as well. Each would cost its own check.
            if isinstance(self._pool, ConnectionPool):
                self._pool.drain()
            raise
        finally:
            self._limit = None


def postgres_options(pool_size: int) -> dict[str, Any]:
    """Django's OPTIONS for PostgreSQL with a pool of at most `pool_size` connections a process."""
    return {
        "connect_timeout": CONNECT_SECONDS,
        # Detects a peer that vanished silently within about 20 seconds.
        "keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 20_000,
        "pool": {
            "connection_class": BoundedConnection, "min_size": 0, "max_size": pool_size, "timeout": POOL_SECONDS,
            "max_idle": IDLE_SECONDS, "reconnect_timeout": RECONNECT_SECONDS,
        },
    }  # fmt: skip


def bound_statements() -> None:
    """Limit every statement of this process to STATEMENT_SECONDS. For web processes only: a migration may take longer."""
    global _statement_seconds
    _statement_seconds = STATEMENT_SECONDS


def give_back() -> None:
    """Return this thread's connection to the pool, so that others can use it during slow work.

    The next query takes another. Does nothing inside a transaction or with SQLite. A thread that serves no requests
    calls this after each piece of work: it also drops a broken connection.
    """
    for one in connections.all(initialized_only=True):
        if one.in_atomic_block or one.connection is None:
            continue
        if one.settings_dict["OPTIONS"].get("pool"):
            one.close()
        elif one.errors_occurred:
            one.close_if_unusable_or_obsolete()


def is_outage(error: BaseException | None) -> bool:
    """Whether the database is unreachable, full, overloaded, or aborted the work: the same request may succeed later."""
    if isinstance(error, InterfaceError):
        return True
    cause = error.__cause__ if error is not None else None
    if isinstance(cause, errors.ReadOnlySqlTransaction):
        # A standby, after a failover.
        return True
    if not isinstance(error, OperationalError):
        return False
    if isinstance(cause, sqlite3.Error):
        # The lowest byte is the error's kind.
        return getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _SQLITE_OUTAGES
    return not (getattr(cause, "sqlstate", None) or "").startswith(_TOO_LARGE)


def is_refusal(error: BaseException | None) -> bool:
    """Whether a value cannot be stored: too long, too large, or not text. It came from outside and passed every check."""
    is_half = isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed"
    return is_half or isinstance(error, DataError | OverflowError)


class Sparse(logging.Filter):
    """Pass each log message once per LOG_SECONDS: an outage would repeat it at every attempt."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}
        self._guard = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        with self._guard:
            if now - self._last.get(str(record.msg), -LOG_SECONDS) < LOG_SECONDS:
                return False
            self._last[str(record.msg)] = now
            return True


class NoTraceback(logging.Filter):
    """Drop the traceback of an error that says only that the database is unreachable."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and is_outage(record.exc_info[1]):
            record.exc_info = None
        return True


def note_outage(error: BaseException) -> None:
    """Log an outage that made us refuse a request."""
    logger.error("the database does not answer", extra={"reason": str(error).strip()})


def _forget_pools() -> None:
    """A forked child has the parent's pool without its threads, and must neither use nor close the parent's connections."""
    from django.db.backends.postgresql.base import DatabaseWrapper

    pools: dict[str, ConnectionPool[Any]] = DatabaseWrapper._connection_pools  # type: ignore[attr-defined]  # untyped
    _inherited.extend(pools.values())
    pools.clear()
    for one in connections.all(initialized_only=True):
        if one.vendor == "postgresql":
            _inherited.append(one.connection)
            one.connection = None


_inherited: list[Any] = []
os.register_at_fork(after_in_child=_forget_pools)
