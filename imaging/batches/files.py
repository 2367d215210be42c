"""Where the images of batches are stored: inputs as `batches/ID/in/POSITION`, results as `batches/ID/out/POSITION-ATTEMPT`.

Further outputs of an image have `-1`, `-2` and so on appended. A path never contains a customer's file name.
"""

import uuid
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from io import RawIOBase
from typing import BinaryIO, cast

from django.core.files import File
from django.core.files.storage import Storage, storages

from imaging.models import BatchItem

ROOT = "batches"
FOLDERS = ("in", "out")
# In place of a position.
_BACKGROUND = "background"


def storage() -> Storage:
    """The storage of all images that outlive a request."""
    return storages["pictures"]


def store_input(batch_id: uuid.UUID, position: int, content: RawIOBase) -> None:
    """Store an image as it was sent."""
    storage().save(_input(batch_id, position), File(cast(BinaryIO, content)))


def store_background(batch_id: uuid.UUID, content: RawIOBase) -> None:
    """Store the image that goes behind all subjects of a batch. It stays until the batch is erased."""
    storage().save(_input(batch_id, _BACKGROUND), File(cast(BinaryIO, content)))


def open_background(batch_id: uuid.UUID) -> BinaryIO:
    """The image that goes behind the subjects. Raises FileNotFoundError if it is gone."""
    return cast(BinaryIO, storage().open(_input(batch_id, _BACKGROUND)))


def open_input(item: BatchItem) -> BinaryIO:
    """The image as it was sent. Raises FileNotFoundError if it is gone."""
    return cast(BinaryIO, storage().open(_input(item.batch_id, item.position)))


def erase_input(item: BatchItem) -> None:
    """Erase an input that is no longer needed."""
    storage().delete(_input(item.batch_id, item.position))


def store_result(item: BatchItem, content: BinaryIO, output: int = 0) -> None:
    """Store a cutout. Each attempt has separate files, so a late one overwrites nothing that is being read."""
    storage().save(_result(item, item.attempts, output), File(content))


def open_result(item: BatchItem, output: int = 0) -> BinaryIO:
    """The cutout. Raises FileNotFoundError if it is gone."""
    return cast(BinaryIO, storage().open(_result(item, item.attempts, output)))


def erase_results(item: BatchItem, attempts: Iterable[int], outputs: int) -> None:
    """Erase what these attempts stored, of up to `outputs` files each. Missing files are not an error."""
    for attempt in attempts:
        for output in range(outputs):
            storage().delete(_result(item, attempt, output))


def erase_unused_results(batch_id: uuid.UUID) -> None:
    """Erase the files of a batch that has ended which are no item's result: a killed process left them."""
    done = BatchItem.objects.filter(batch=batch_id, state=BatchItem.State.DONE)
    kept = {_result(item, item.attempts, output) for item in done for output in range(len(item.delivered))}
    folder = f"{ROOT}/{batch_id}/out"
    for name in _listed(folder)[1]:
        if (path := f"{folder}/{name}") not in kept:
            storage().delete(path)


def erase(batch_id: uuid.UUID, folders: tuple[str, ...] = FOLDERS) -> None:
    """Erase the images of a batch. Missing files are not an error."""
    for folder in folders:
        path = f"{ROOT}/{batch_id}/{folder}"
        for name in _listed(path)[1]:
            storage().delete(f"{path}/{name}")
        _remove_folder(path)
    _remove_folder(f"{ROOT}/{batch_id}")


def batch_ids() -> list[uuid.UUID]:
    """Every batch that has stored files."""
    found = []
    for name in _listed(ROOT)[0]:
        with suppress(ValueError):
            found.append(uuid.UUID(name))
    return found


def last_change(batch_id: uuid.UUID) -> datetime | None:
    """When the newest of a batch's images was stored; None without any."""
    paths = [f"{ROOT}/{batch_id}/{folder}" for folder in FOLDERS]
    names = [f"{path}/{name}" for path in paths for name in _listed(path)[1]]
    times = []
    for name in names:
        with suppress(FileNotFoundError):
            times.append(storage().get_modified_time(name))
    return max(times, default=None)


def _input(batch_id: uuid.UUID, position: int | str) -> str:
    return f"{ROOT}/{batch_id}/in/{position}"


def _result(item: BatchItem, attempt: int, output: int) -> str:
    # The first has the path that it has alone, where processes of the release before find it.
    return f"{ROOT}/{item.batch_id}/out/{item.position}-{attempt}{f'-{output}' if output else ''}"


def _listed(path: str) -> tuple[list[str], list[str]]:
    try:
        return storage().listdir(path)
    except FileNotFoundError:
        return [], []


def _remove_folder(path: str) -> None:
    # A file system removes a folder only if it is empty. An object store has no folders, and ignores missing keys.
    with suppress(OSError):
        storage().delete(path)
