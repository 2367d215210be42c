"""Where the pictures of batches lie: `batches/ID/in/POSITION` as sent, `batches/ID/out/POSITION-ATTEMPT` as cut out.

No name of a customer's is ever part of a path.
"""

import uuid
from contextlib import suppress
from datetime import datetime
from io import RawIOBase
from typing import BinaryIO, cast

from django.core.files import File
from django.core.files.storage import Storage, storages

from imaging.models import BatchItem

ROOT = "batches"
FOLDERS = ("in", "out")


def storage() -> Storage:
    """The one of all pictures that outlive a request."""
    return storages["pictures"]


def store_input(batch_id: uuid.UUID, position: int, content: RawIOBase) -> None:
    """Keep a picture as it was sent."""
    storage().save(_input(batch_id, position), File(cast(BinaryIO, content)))


def open_input(item: BatchItem) -> BinaryIO:
    """The picture as it was sent. Raises FileNotFoundError where it is gone."""
    return cast(BinaryIO, storage().open(_input(item.batch_id, item.position)))


def erase_input(item: BatchItem) -> None:
    """Nobody needs it any more."""
    storage().delete(_input(item.batch_id, item.position))


def store_result(item: BatchItem, content: BinaryIO) -> None:
    """Keep a cutout. Each attempt has a file of its own: one that comes late overwrites nothing that is being read."""
    storage().save(_result(item), File(content))


def open_result(item: BatchItem) -> BinaryIO:
    """The cutout. Raises FileNotFoundError where it is gone."""
    return cast(BinaryIO, storage().open(_result(item)))


def erase_result(item: BatchItem) -> None:
    """The attempt came too late: nobody is to have its result."""
    storage().delete(_result(item))


def erase(batch_id: uuid.UUID, folders: tuple[str, ...] = FOLDERS) -> None:
    """Erase the pictures of a batch. Erasing what is gone is no error."""
    for folder in folders:
        path = f"{ROOT}/{batch_id}/{folder}"
        for name in _listed(path)[1]:
            storage().delete(f"{path}/{name}")
        _remove_folder(path)
    _remove_folder(f"{ROOT}/{batch_id}")


def batch_ids() -> list[uuid.UUID]:
    """Every batch that anything is kept of."""
    found = []
    for name in _listed(ROOT)[0]:
        with suppress(ValueError):
            found.append(uuid.UUID(name))
    return found


def last_change(batch_id: uuid.UUID) -> datetime | None:
    """When the newest of a batch's pictures was kept; None without any."""
    paths = [f"{ROOT}/{batch_id}/{folder}" for folder in FOLDERS]
    names = [f"{path}/{name}" for path in paths for name in _listed(path)[1]]
    times = []
    for name in names:
        with suppress(FileNotFoundError):
            times.append(storage().get_modified_time(name))
    return max(times, default=None)


def _input(batch_id: uuid.UUID, position: int) -> str:
    return f"{ROOT}/{batch_id}/in/{position}"


def _result(item: BatchItem) -> str:
    return f"{ROOT}/{item.batch_id}/out/{item.position}-{item.attempts}"


def _listed(path: str) -> tuple[list[str], list[str]]:
    try:
        return storage().listdir(path)
    except FileNotFoundError:
        return [], []


def _remove_folder(path: str) -> None:
    # A folder of a file system goes once it is empty. An object store has none, and deletes what is not there in silence.
    with suppress(OSError):
        storage().delete(path)
