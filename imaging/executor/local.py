"""Work in this process: wait for a place, then cut out."""

from typing import BinaryIO

from imaging import runtime
from imaging.core.geometry import peak_megapixels
from imaging.core.pipeline import cut_out
from imaging.executor.orders import Delivery, Order


def execute(file: BinaryIO, order: Order, *, patient: bool = False) -> Delivery:
    """Cut out the picture in `file`; `patient` lets others go first.

    Raises ApiError 503 without a place, ImageRefused for one that does not decode.
    """
    with runtime.get_gate().admit(peak_megapixels(order.header, order.options), patient=patient) as queued:
        return Delivery(cut_out(file, order.header, order.options, runtime.get_model(), refine=order.refine), queued)
