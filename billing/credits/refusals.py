"""Why the ledger does not hold or move credits. Times are in seconds, and at least 1."""


class KeyLimitReached(Exception):
    """The key's monthly cap leaves less than the price. A new month begins in `seconds_left`."""

    def __init__(self, seconds_left: int) -> None:
        super().__init__(seconds_left)
        self.seconds_left = seconds_left


class MonthlyLimitReached(Exception):
    """The account's credits, included and prepaid together, are less than the price.

    Its next window begins in `seconds_left`.
    """

    def __init__(self, seconds_left: int) -> None:
        super().__init__(seconds_left)
        self.seconds_left = seconds_left


class NotEnoughCredits(Exception):
    """A batch needs `wanted` hundredths of a credit, and the account has only `left`.

    Its next window begins in `seconds_left`.
    """

    def __init__(self, wanted: int, left: int, seconds_left: int) -> None:
        super().__init__(wanted, left, seconds_left)
        self.wanted = wanted
        self.left = left
        self.seconds_left = seconds_left


class HoldExpired(Exception):
    """The hold of a request was voided while it was running, and no other credit can be spent in its place."""


class ReasonRequired(Exception):
    """Staff may not adjust a balance without a reason."""


class BalanceTooLow(Exception):
    """The account has fewer prepaid credits than an adjustment is to take."""
