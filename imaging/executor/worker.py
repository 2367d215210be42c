"""The worker's side: begin a job that somebody waits for, do the work as a web process would, tell the outcome."""

import io
import logging
import uuid

from config.errors import ApiError
from imaging.core.problems import ImageRefused
from imaging.executor import local, orders, parcels, store
from imaging.executor.orders import Order, Outcome

logger = logging.getLogger(__name__)

# A picture over which so many workers have died is not given to another one.
MAX_ATTEMPTS = 5


def work(job_id: str, *, redelivered: bool = False) -> bool:
    """Do the job, if somebody waits for it and no other worker is at it. Whether the answer was wanted.

    `redelivered`: the broker has taken the job from a worker that it lost, so that its claim counts no more.
    """
    worker = uuid.uuid4().hex
    begun = store.claim(job_id, worker, take_over=redelivered)
    if begun is None:
        return False
    order, attempts = begun
    with store.kept(job_id, worker):
        if attempts > MAX_ATTEMPTS:
            logger.error("a picture has cost several workers", extra={"job": job_id, "attempts": attempts})
            return _tell(job_id, worker, orders.CRASHED)
        picture = parcels.find_picture(job_id)
        return picture is not None and _tell(job_id, worker, _outcome(order, picture))


def _outcome(order: bytes, picture: bytes) -> Outcome:
    try:
        return orders.delivered(local.execute(io.BytesIO(picture), Order.from_json(order)).cutout)
    except ImageRefused as refusal:
        return orders.refused(refusal)
    except ApiError:  # every place of this process is taken
        return orders.BUSY
    except Exception:
        logger.exception("a picture could not be worked on")
        return orders.CRASHED


def _tell(job_id: str, worker: str, outcome: Outcome) -> bool:
    if outcome.data is None:
        return store.answer(job_id, outcome.to_json())
    # No trace of the picture for a caller who has gone.
    if not store.is_wanted(job_id):
        return False
    name = parcels.put_result(job_id, worker, outcome.data)
    told = False
    try:
        told = store.answer(job_id, outcome.to_json(parcel=name))
    finally:
        if not told:
            _remove(job_id, name)
    return told


def _remove(job_id: str, name: str) -> None:
    try:
        parcels.remove(job_id, name)
    except parcels.AWAY:
        return  # in Redis it ends by itself, in a storage it is swept
