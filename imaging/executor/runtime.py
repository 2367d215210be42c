"""The process's models and one gate, and the work with them: wait for a place, then cut out.

Both are created on first use: after any fork, which onnxruntime's threads do not survive.
A web process that hands images to workers has no model, and its gate bounds the images handed out.
"""

import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

import redis
from django.conf import settings

from imaging.core.geometry import peak_megapixels, peak_of_outputs
from imaging.core.matting import matte
from imaging.core.matting.matte import MatteModel, RembgMatte
from imaging.core.options import CutoutOptions
from imaging.core.pipeline import Cutout, cut_out
from imaging.core.problems import Problem
from imaging.core.watch import Watch
from imaging.core.weights.files import missing_rembg
from imaging.core.weights.registry import NATIVE, versioned
from imaging.core.weights.serving import CannotServe, load_native
from imaging.executor import low_priority, models, presence
from imaging.executor.fair_queue import LARGE_MEGAPIXELS
from imaging.executor.gate import QUEUE_SIZE, SLOTS, Busy, Gate
from imaging.executor.jobs import QUEUE, Job

logger = logging.getLogger(__name__)

_loading = threading.Lock()
_model: MatteModel | None = None
_is_worker = False
_adjusting = threading.Lock()
_adjust_at = [0.0]
# Seconds between counts of the workers.
ADJUST_SECONDS = 2.0


def become_worker() -> None:
    """Mark this process as a worker: it does the work itself."""
    global _is_worker
    _is_worker = True


def is_worker() -> bool:
    """Whether this process is a worker."""
    return _is_worker


def is_remote() -> bool:
    """Whether this process hands its images to workers."""
    return settings.IMAGING_EXECUTOR == "celery" and not _is_worker


def get_model() -> MatteModel:
    """The default model, loaded and warm. The first caller loads it; others wait. It stays loaded."""
    global _model
    if _model is None:
        with _loading:
            if _model is None:
                _model = _load(models.default_name())
    return _model


@contextmanager
def model_for(name: str) -> Iterator[MatteModel]:
    """Model `name`, loaded, for the work on one image. Raises Busy if its weights are not on this machine."""
    if name == models.default_name():
        yield get_model()
        return
    if name not in models.ready_names():
        # A batch's image, on a worker without the model: another worker takes it.
        raise Busy
    with _pool.borrowed(name, settings.IMAGING_MODELS_MEMORY - models.megabytes(models.default_name())) as model:
        yield model


def model_names() -> list[str]:
    """The models that callers may name, the default first: those whose weights are here, or that live workers have."""
    if not is_remote():
        return models.ready_names()
    announced = presence.find_names()
    first, *others = settings.IMAGING_MODELS
    return [first, *(name for name in others if name in announced)]


def find_model_problems(options: CutoutOptions) -> list[Problem]:
    """What is wrong with the model that `options` name: one problem at most."""
    return models.find_problems(options.model, model_names()) if options.model else []


def is_ready() -> bool:
    """Whether the model is loaded and warm, here or on some worker."""
    return bool(presence.find_models()) if is_remote() else _model is not None


def model_label() -> str:
    """What `X-Model` says of the default model: loaded here, by a worker, or not yet."""
    if is_remote():
        return next(iter(presence.find_models()), versioned(models.default_name()))
    return _model.name if _model else versioned(models.default_name())


def model_labels() -> list[str]:
    """The same for all models that are loaded here, the default first."""
    return [model_label(), *([] if is_remote() else _pool.names())]


def warm_up() -> None:
    """Create gate and model, so the first caller need not wait. A failure is logged; `/readyz` then stays not ready."""
    get_gate()
    if is_remote():
        return
    try:
        get_model()
    except Exception:
        logger.exception("the model could not be loaded; run `manage.py prepare_model`")


@cache
def get_gate() -> Gate:
    """The gate for every image of this process. With workers, `adjust_gate` sets its bounds."""
    # In a process with workers, their gates bound the memory.
    slots = settings.IMAGING_SLOTS + settings.IMAGING_QUEUE_SIZE if is_remote() else settings.IMAGING_SLOTS
    queue_size = 0 if is_remote() else settings.IMAGING_QUEUE_SIZE
    SLOTS.set(slots)
    QUEUE_SIZE.set(queue_size)
    return Gate(
        slots=slots,
        megapixels=math.inf if is_remote() else settings.IMAGING_MEGAPIXELS,
        queue_size=queue_size,
        seconds=settings.IMAGING_QUEUE_SECONDS,
    )


def adjust_gate() -> None:
    """In a web process with workers: hand out as many images as they can work on and a few more; the rest waits here.

    The workers' queue is first come, first served: an image there waits behind everything handed out before. The order is
    fair only for images that wait here. While the number of places is unknown, everything is handed out; while Redis is
    down, as much as before.
    """
    if not _adjusting.acquire(blocking=False):
        return
    try:
        if time.monotonic() < _adjust_at[0]:
            return
        _adjust_at[0] = time.monotonic() + ADJUST_SECONDS
        total = settings.IMAGING_SLOTS + settings.IMAGING_QUEUE_SIZE
        try:
            places = presence.count_places()
        except redis.RedisError:
            return
        slots = min(total, places + places // 4 + 1) if places else total
        SLOTS.set(slots)
        QUEUE_SIZE.set(total - slots)
        get_gate().resize(slots=slots, queue_size=total - slots, large_slots=(places or total) - 1)
    finally:
        _adjusting.release()


def weight(job: Job) -> float:
    """The megapixels of a job for memory admission: its own largest canvas, or the image that goes behind it."""
    behind = peak_megapixels(job.background.header, CutoutOptions()) if job.background else 0.0
    return max(behind, peak_of_outputs(job.header, (job.options, *job.more)))


def execute(job: Job, *, still_wanted: Callable[[], bool] | None = None) -> Cutout:
    """Cut out the image of `job` in this process, when its requester's turn comes.

    Raises Busy without a place; ImageRefused for an image that does not decode, or takes longer than
    IMAGING_SECONDS; once `still_wanted` is False, LeftQueue before the work began, or CallerGone later.
    """
    megapixels = weight(job)
    name = models.name_of(job.options.model)
    gate = get_gate()
    with gate.admit(megapixels, job.requester, still_wanted) as queued, model_for(name) as model:
        # Neither waiting nor loading the model counts against the limit.
        watch = Watch(settings.IMAGING_SECONDS, still_wanted)
        # Several images share the cores best with one each.
        cores = max(1, settings.IMAGING_THREADS // gate.running)
        work = partial(
            cut_out, job.file, job.header, job.options, model,
            more=job.more, background=job.background, refine=job.refine, watch=watch, cores=cores,
        )  # fmt: skip
        # A worker's process has nothing else to do, and Celery's time limit interrupts only its main thread.
        is_low = megapixels > LARGE_MEGAPIXELS and not _is_worker
        cutout = low_priority.run(work) if is_low else work()
    return dataclasses.replace(cutout, timings={QUEUE: queued, **cutout.timings})


def _load(name: str) -> MatteModel:
    if name in NATIVE:
        return load_native(
            name,
            precision=settings.IMAGING_PRECISION,
            runtime=settings.IMAGING_RUNTIME,
            threads=settings.IMAGING_THREADS,
            device=settings.IMAGING_DEVICE,
            batch_size=settings.IMAGING_BATCH_SIZE,
        )
    if problem := missing_rembg(name):
        raise CannotServe(f"IMAGING_MODELS: {problem}")
    model = RembgMatte(name)
    matte.warm_up(model)
    return model


_pool = models.Pool(_load)
