"""A zip is built while it is sent, by a thread that waits for its reader: not all threads may do so."""

from threading import BoundedSemaphore

import pytest

from imaging.batches import api
from imaging.executor.gate import Busy
from imaging.models import Batch


class Archive(list):
    """zipstream's result, as far as a response needs it."""


def test_so_many_zips_are_sent_at_once_and_no_more(monkeypatch, db):
    monkeypatch.setattr(api, "_zips", BoundedSemaphore(2))
    monkeypatch.setattr("imaging.batches.results.zip_of", lambda batch: Archive([b"zip"]))
    batch = Batch()
    first, second = api.zip_response(batch), api.zip_response(batch)
    with pytest.raises(Busy):
        api.zip_response(batch)
    first.close()
    third = api.zip_response(batch)
    # One whose response is never sent does not keep its place.
    del second
    fourth = api.zip_response(batch)
    third.close()
    fourth.close()
