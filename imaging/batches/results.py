"""Sends results to the customer: one image, or all of them as a zip that is built while it is sent."""

from collections.abc import Iterator
from typing import BinaryIO

from zipstream import ZIP_STORED, ZipStream

from imaging.batches import files, names
from imaging.batches.refusals import BatchErased, NoResult, NoResults, NoSuchImage
from imaging.models import Batch, BatchItem
from imaging.removal.upload import CHUNK_BYTES


def open_one(batch: Batch, position: int) -> tuple[BatchItem, BinaryIO]:
    """A finished item and its bytes. Raises NoSuchImage; NoResult; BatchErased."""
    item = BatchItem.objects.filter(batch=batch, position=position).first()
    if item is None:
        raise NoSuchImage(position)
    check_kept(batch)
    if item.state != BatchItem.State.DONE:
        raise NoResult(item.state)
    try:
        return item, files.open_result(item)
    except FileNotFoundError as error:
        raise BatchErased from error


def zip_of(batch: Batch) -> ZipStream:
    """A zip of the results so far. They are read from storage while the zip is read; its length is known in advance.

    Names are the images' own with the extension of the result. Images are stored uncompressed, as they hardly shrink.
    Raises NoResults while nothing is done, BatchErased.
    """
    check_kept(batch)
    done = list(batch.items.filter(state=BatchItem.State.DONE).order_by("position"))
    if not done:
        raise NoResults
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    for item, name in zip(done, distinct_names(done), strict=True):
        archive.add(_read(item), name, size=item.result_size)
    return archive


def distinct_names(items: list[BatchItem]) -> Iterator[str]:
    """The name of each result, without duplicates."""
    return names.distinct(names.result_name(item.name, item.media_type) for item in items)


def check_kept(batch: Batch) -> None:
    """Raise BatchErased once a batch's images are erased."""
    if batch.erased_at is not None:
        raise BatchErased


def _read(item: BatchItem) -> Iterator[bytes]:
    # If a file is erased meanwhile, the response breaks off; the client notices by its Content-Length.
    with files.open_result(item) as file:
        while data := file.read(CHUNK_BYTES):
            yield data
