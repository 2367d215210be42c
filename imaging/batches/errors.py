"""The errors that views answer when batches or callbacks raise."""

from django.conf import settings

from imaging.batches.refusals import (
    BatchErased,
    BatchTooLarge,
    DailyBatchLimitReached,
    NoResult,
    NoResults,
    NoSuchImage,
    NoSuchOutput,
    TooManyBatches,
)
from imaging.batches.upload import MAX_TOTAL
from imaging.callbacks.announcing import MAX_TRIES, CallbackGone, TriesUsedUp
from lib.web.errors import ApiError, register_translation


def batch_too_large() -> ApiError:
    """The 413 for a batch that is too large, packed or unpacked."""
    return ApiError("batch_too_large", gigabytes=MAX_TOTAL // 1024**3)


def no_results() -> ApiError:
    """The 404 for a request for a zip that would be empty."""
    return ApiError("no_result", message="No image of this batch has a result yet.")


def no_result(state: str) -> ApiError:
    """The 404 for an image without a result, in this state."""
    return ApiError("no_result", state=state)


def no_such_image(position: int) -> ApiError:
    """The 404 for a position that the batch does not have."""
    return ApiError("no_such_image", position=position)


def no_such_output(position: int) -> ApiError:
    """The 404 for a position among the outputs that the batch does not have."""
    return ApiError("no_such_output", position=position)


def too_many_batches() -> ApiError:
    """The 429 while too many batches are in progress."""
    return ApiError("too_many_batches", batches=settings.BATCHES_AT_ONCE)


def daily_limit_reached(wait: int) -> ApiError:
    """The 429 for too many batches in 24 hours; another may be created in `wait` seconds."""
    return ApiError("daily_batch_limit_reached", batches=settings.BATCHES_PER_DAY, retry_after=wait)


def tries_used_up() -> ApiError:
    """The 409 for a callback that was tried too often."""
    return ApiError("callback_tries_used_up", tries=MAX_TRIES)


def register() -> None:
    """Called once, when the app is ready."""
    register_translation(BatchTooLarge, lambda _: batch_too_large())
    register_translation(TooManyBatches, lambda _: too_many_batches())
    register_translation(DailyBatchLimitReached, lambda refused: daily_limit_reached(refused.wait))
    register_translation(NoSuchImage, lambda refused: no_such_image(refused.position))
    register_translation(NoSuchOutput, lambda refused: no_such_output(refused.position))
    register_translation(NoResult, lambda refused: no_result(refused.state))
    register_translation(NoResults, lambda _: no_results())
    register_translation(BatchErased, lambda _: ApiError("batch_expired"))
    register_translation(CallbackGone, lambda _: ApiError("callback_gone"))
    register_translation(TriesUsedUp, lambda _: tries_used_up())
