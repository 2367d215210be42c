"""What can be wrong with a picture or with the options that came with it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of one field. `message` is shown to the caller as it stands; `code` is stable for machines."""

    field: str
    code: str
    message: str


class ImageRefused(Exception):
    """The picture cannot be processed, and it is the picture's fault. Carries one or more problems."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class CallerGone(Exception):
    """The caller no longer waits for the image, so that the work on it was stopped."""
