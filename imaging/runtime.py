"""The process's one model and one gate, made on first use: after any fork, which onnxruntime's threads do not survive."""

import logging
import threading
from functools import cache

from django.conf import settings

from imaging.core import matte
from imaging.core.matte import MatteModel, RembgMatte
from imaging.core.serving import load_u2net
from imaging.gate import QUEUE_SIZE, SLOTS, Gate

logger = logging.getLogger(__name__)

_loading = threading.Lock()
_model: MatteModel | None = None


def get_model() -> MatteModel:
    """The loaded and warmed-up model. The first caller loads it, others wait for that."""
    global _model
    if _model is None:
        with _loading:
            if _model is None:
                _model = _load()
    return _model


def is_ready() -> bool:
    """Whether the model is loaded and warm."""
    return _model is not None


def model_name() -> str:
    """The name of the model that is loaded, or of the one to be loaded."""
    return _model.name if _model else str(settings.IMAGING_MODEL)


def warm_up() -> None:
    """Make gate and model, so that the first caller need not wait. A failure is logged; `/readyz` then stays not ready."""
    get_gate()
    try:
        get_model()
    except Exception:
        logger.exception("the model could not be loaded; run `manage.py prepare_model`")


@cache
def get_gate() -> Gate:
    """The gate that every picture of this process goes through."""
    SLOTS.set(settings.IMAGING_SLOTS)
    QUEUE_SIZE.set(settings.IMAGING_QUEUE_SIZE)
    return Gate(
        slots=settings.IMAGING_SLOTS,
        megapixels=settings.IMAGING_MEGAPIXELS,
        queue_size=settings.IMAGING_QUEUE_SIZE,
        seconds=settings.IMAGING_QUEUE_SECONDS,
    )


def _load() -> MatteModel:
    name = settings.IMAGING_MODEL
    if name == "u2net":
        return load_u2net(
            precision=settings.IMAGING_PRECISION,
            runtime=settings.IMAGING_RUNTIME,
            threads=settings.IMAGING_THREADS,
        )
    model = RembgMatte(name)
    matte.warm_up(model)
    return model
