"""Quick checks of the background tasks' broker: does it answer, and how many tasks wait there?"""

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from celery import current_app
from django.conf import settings
from kombu.exceptions import ChannelError, OperationalError

TIMEOUT_SECONDS = 1.0
# Several places probe every few seconds, and each check opens a connection.
CACHE_SECONDS = 5.0

Answer = TypeVar("Answer")

_lock = threading.Lock()
_cached: list[tuple[float, bool]] = [(0.0, False)]


def answers() -> bool:
    """Whether the broker answered, at most CACHE_SECONDS ago."""
    with _lock:
        until, found = _cached[0]
        if time.monotonic() >= until:
            found = _ask(lambda connection: True) is not None
            _cached[0] = (time.monotonic() + CACHE_SECONDS, found)
        return found


def forget() -> None:
    """Ask again next time."""
    _cached[0] = (0.0, False)


@cache
def errors() -> tuple[type[Exception], ...]:
    """The exceptions that publishing raises while the broker is unreachable."""
    connection = current_app.connection_for_write()
    return (OperationalError, OSError, *connection.connection_errors, *connection.channel_errors)


def find_waiting_tasks() -> dict[str, int]:
    """Tasks that no worker has taken yet, for each of QUEUES; empty without a broker or while it is unreachable."""
    return _ask(_count) or {} if settings.CELERY_BROKER_URL else {}


def _count(connection: Any) -> dict[str, int]:
    return {role: _length(connection, name) for role, name in settings.QUEUES.items()}


def _length(connection: Any, name: str) -> int:
    try:
        # A missing queue closes the channel.
        return int(connection.channel().queue_declare(queue=name, passive=True).message_count)
    except ChannelError:  # not declared yet
        return 0


def _ask(question: Callable[[Any], Answer]) -> Answer | None:
    url = settings.CELERY_BROKER_URL
    # RabbitMQ's client and Redis's each have their own names for it.
    timeouts = ("socket_connect_timeout", "socket_timeout") if "redis" in url else ("read_timeout", "write_timeout")
    options = dict.fromkeys(timeouts, TIMEOUT_SECONDS)
    connection = current_app.connection_for_write(url, connect_timeout=TIMEOUT_SECONDS, transport_options=options)
    try:
        with connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
            return question(connection)
    except (OperationalError, OSError, *connection.connection_errors, *connection.channel_errors):
        return None
