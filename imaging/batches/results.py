"""Sends results to the customer: one, or all of them as a zip that is built while it is sent."""

from collections.abc import Iterator
from typing import BinaryIO

from zipstream import ZIP_STORED, ZipStream

from imaging.batches import files, names
from imaging.batches.refusals import BatchErased, NoResult, NoResults, NoSuchImage, NoSuchOutput
from imaging.models import Batch, BatchItem, Result
from imaging.removal.upload import CHUNK_BYTES


def open_one(batch: Batch, position: int, output: int = 0) -> tuple[BatchItem, Result, BinaryIO]:
    """A finished item, one of its results and that one's bytes. Raises NoSuchImage; NoResult; NoSuchOutput; BatchErased."""
    item = BatchItem.objects.filter(batch=batch, position=position).first()
    if item is None:
        raise NoSuchImage(position)
    check_kept(batch)
    if item.state != BatchItem.State.DONE:
        raise NoResult(item.state)
    results = item.delivered
    if output >= len(results):
        raise NoSuchOutput(output)
    try:
        return item, results[output], files.open_result(item, output)
    except FileNotFoundError as error:
        raise BatchErased from error


def zip_of(batch: Batch) -> ZipStream:
    """A zip of the results so far. They are read from storage while the zip is read; its length is known in advance.

    Names are the images' own with the output's name and the extension of the result. Images are stored uncompressed, as they
    hardly shrink. Raises NoResults while nothing is done, BatchErased.
    """
    check_kept(batch)
    done = list(batch.items.filter(state=BatchItem.State.DONE).order_by("position"))
    if not done:
        raise NoResults
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    results = [(item, number, result) for item in done for number, result in enumerate(item.delivered)]
    own_names = (names.result_name(item.name, result.media_type, result.output) for item, _, result in results)
    for (item, number, result), name in zip(results, names.distinct(own_names), strict=True):
        archive.add(_read(item, number), name, size=result.size)
    return archive


def check_kept(batch: Batch) -> None:
    """Raise BatchErased once a batch's images are erased."""
    if batch.erased_at is not None:
        raise BatchErased


def _read(item: BatchItem, output: int) -> Iterator[bytes]:
    # If a file is erased meanwhile, the response breaks off; the client notices by its Content-Length.
    with files.open_result(item, output) as file:
        while data := file.read(CHUNK_BYTES):
            yield data
