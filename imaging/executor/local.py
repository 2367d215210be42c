"""Work in this process: wait for a place, then cut out."""

from collections.abc import Callable
from functools import partial
from typing import BinaryIO

from django.conf import settings

from imaging.core.geometry import peak_megapixels
from imaging.core.pipeline import cut_out
from imaging.core.watch import Watch
from imaging.executor import low_priority, runtime
from imaging.executor.fair_queue import LARGE_MEGAPIXELS
from imaging.executor.orders import Delivery, Order


def execute(file: BinaryIO, order: Order, *, still_wanted: Callable[[], bool] | None = None) -> Delivery:
    """Cut out the image in `file` when `order.requester`'s turn comes.

    Raises Busy without a place; ImageRefused for an image that does not decode, or takes longer than
    IMAGING_SECONDS; once `still_wanted` is False, LeftQueue before the work began, or CallerGone later.
    """
    megapixels = peak_megapixels(order.header, order.options)
    gate = runtime.get_gate()
    with gate.admit(megapixels, order.requester, still_wanted) as queued:
        model = runtime.get_model()
        # Neither waiting nor loading the model counts against the limit.
        watch = Watch(settings.IMAGING_SECONDS, still_wanted)
        # Several images share the cores best with one each.
        cores = max(1, settings.IMAGING_THREADS // gate.running)
        work = partial(cut_out, file, order.header, order.options, model, refine=order.refine, watch=watch, cores=cores)
        # A worker's process has nothing else to do, and Celery's time limit interrupts only its main thread.
        is_low = megapixels > LARGE_MEGAPIXELS and not runtime.is_worker()
        return Delivery(low_priority.run(work) if is_low else work(), queued)
