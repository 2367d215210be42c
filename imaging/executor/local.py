"""Work in this process: wait for a place, then cut out."""

from collections.abc import Callable
from typing import BinaryIO

from imaging import runtime
from imaging.core.geometry import peak_megapixels
from imaging.core.pipeline import cut_out
from imaging.executor.orders import Delivery, Order


def execute(file: BinaryIO, order: Order, *, still_wanted: Callable[[], bool] | None = None) -> Delivery:
    """Cut out the picture in `file`, when it is the turn of `order.requester`.

    Raises ApiError 503 without a place, ImageRefused for one that does not decode, LeftQueue if the caller goes meanwhile.
    """
    megapixels = peak_megapixels(order.header, order.options)
    with runtime.get_gate().admit(megapixels, order.requester, still_wanted) as queued:
        return Delivery(cut_out(file, order.header, order.options, runtime.get_model(), refine=order.refine), queued)
