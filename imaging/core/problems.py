"""Problems with an image or with its options."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of one field. `message` is shown to the caller unchanged; `code` is stable for machines.

    `advice` says what to do about it, where that is not obvious.
    """

    field: str
    code: str
    message: str
    advice: str = ""


INVALID_IMAGE = Problem("image", "invalid_image", "File does not appear to be a valid image (invalid file signature)")


def too_complex(message: str) -> Problem:
    """The file would cost far more to decode than its size in pixels justifies; `message` says why and what to do."""
    return Problem("image", "image_too_complex", message)


def too_slow(seconds: float) -> Problem:
    """The work on the image took longer than `seconds` and was stopped."""
    message = f"This image took longer than {seconds:g} seconds to process and was stopped. Send a smaller or simpler image."
    return Problem("image", "image_too_slow", message)


class ImageRefused(Exception):
    """The image cannot be processed, and the image is at fault. Carries one or more problems."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class CallerGone(Exception):
    """The caller no longer waits for the image, so the work on it was stopped."""
