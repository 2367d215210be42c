"""Stores the bytes of images in transit between web process and workers.

In Redis (IMAGING_HANDOVER=redis), where each expires automatically, or in the storage `pictures` (storage), usually
S3-compatible, for images that would fill Redis. There, `sweep` removes what a killed process left behind.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

import redis
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.utils import timezone

from imaging.executor import store
from lib.ops.redis_client import key_name

logger = logging.getLogger(__name__)

# Expiry: an image's is renewed with the job, a result's is that of its answer.
# The names are part of keys and paths that processes of the previous release use.
IMAGE, BACKGROUND, RESULT = "picture", "background", "result"
FOLDER = "handover"
# Longer than any caller waits for an answer, or any worker to store it.
LEFT_OVER = timedelta(hours=1)


class StorageAway(Exception):
    """The storage failed. A later retry may succeed."""


AWAY = (redis.RedisError, StorageAway)


def put_image(job_id: str, data: bytes, name: str = IMAGE) -> None:
    """Store an uploaded image, or as BACKGROUND the one behind it. This and all functions below raise one of AWAY."""
    _place().put(job_id, name, data, store.JOB_SECONDS)


def renew_image(job_id: str, name: str = IMAGE) -> bool:
    """Renew its expiry; False if it is gone."""
    return _place().renew(job_id, name, store.JOB_SECONDS)


def find_image(job_id: str, name: str = IMAGE) -> bytes | None:
    """The uploaded image, None once no one waits."""
    return _place().find(job_id, name)


def put_result(job_id: str, worker: str, data: bytes) -> str:
    """Store this worker's result and return its name. Two workers on one job do not overwrite each other."""
    name = f"{RESULT}-{worker}"
    _place().put(job_id, name, data, store.ANSWER_SECONDS)
    return name


def find_result(job_id: str, name: str) -> bytes | None:
    """A worker's result."""
    return _place().find(job_id, name)


def remove(job_id: str, *names: str) -> None:
    """Remove payloads that were used or are no longer wanted."""
    for name in names:
        _place().remove(job_id, name)


def sweep() -> int:
    """Remove files that killed processes left in the storage; return how many. Raises StorageAway."""
    storage, limit, removed = storages["pictures"], timezone.now() - LEFT_OVER, 0
    with _explained():
        for name in _files(storage):
            if storage.get_modified_time(name) < limit:
                storage.delete(name)
                removed += 1
    return removed


class _Place(Protocol):
    def put(self, job_id: str, name: str, data: bytes, seconds: int) -> None: ...
    def renew(self, job_id: str, name: str, seconds: int) -> bool: ...
    def find(self, job_id: str, name: str) -> bytes | None: ...
    def remove(self, job_id: str, name: str) -> None: ...


class _InRedis:
    def put(self, job_id: str, name: str, data: bytes, seconds: int) -> None:
        store.get_redis().set(_key(job_id, name), data, ex=seconds)

    def renew(self, job_id: str, name: str, seconds: int) -> bool:
        return bool(store.get_redis().expire(_key(job_id, name), seconds))

    def find(self, job_id: str, name: str) -> bytes | None:
        found = store.get_redis().get(_key(job_id, name))
        return found if isinstance(found, bytes) else None

    def remove(self, job_id: str, name: str) -> None:
        store.get_redis().delete(_key(job_id, name))


class _InStorage:
    def put(self, job_id: str, name: str, data: bytes, seconds: int) -> None:
        with _explained():
            storages["pictures"].save(_path(job_id, name), ContentFile(data))

    def renew(self, job_id: str, name: str, seconds: int) -> bool:
        return True  # it does not expire; the worker finds out whether it exists

    def find(self, job_id: str, name: str) -> bytes | None:
        try:
            with _explained(), storages["pictures"].open(_path(job_id, name)) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def remove(self, job_id: str, name: str) -> None:
        with _explained():
            storages["pictures"].delete(_path(job_id, name))


def _place() -> _Place:
    return _InStorage() if settings.IMAGING_HANDOVER == "storage" else _InRedis()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        # Each storage raises its library's exceptions, some without a common base class.
        raise StorageAway(f"{type(error).__name__}: {error}") from error


def _files(storage: Storage) -> list[str]:
    try:
        return [f"{FOLDER}/{name}" for name in storage.listdir(FOLDER)[1]]
    except FileNotFoundError:
        return []


def _key(job_id: str, name: str) -> str:
    # In braces: the hash tag by which a Redis cluster distributes keys.
    return key_name(f"imaging:{{{job_id}}}:{name}")


def _path(job_id: str, name: str) -> str:
    return f"{FOLDER}/{job_id}-{name}"
