"""Why a batch, or a result of one, is refused. `imaging.batches.errors` makes the API's errors of these."""


class BatchTooLarge(Exception):
    """The form is larger than a batch may be, packed or unpacked."""


class TooManyBatches(Exception):
    """As many batches as one account may have at once are in progress."""


class DailyBatchLimitReached(Exception):
    """The account has created as many batches as it may in 24 hours. `wait`: the seconds until it may create another."""

    def __init__(self, wait: int) -> None:
        super().__init__(wait)
        self.wait = wait


class NoSuchImage(Exception):
    """The batch has no image at `position`."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class NoSuchOutput(Exception):
    """The image has no result at `position` of its outputs."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class NoResult(Exception):
    """The image has no result (yet). `state` is that of its item."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class NoResults(Exception):
    """No image of the batch has a result (yet)."""


class BatchErased(Exception):
    """The batch's images have been erased."""
