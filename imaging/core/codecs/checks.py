"""Checks that an uploaded file must pass before it is decoded."""

import os.path
from typing import BinaryIO

from imaging.core.codecs.headers import CONVERT_AVIF, CONVERT_HEIC, ImageHeader, find_format, has_bmp_size, read_header
from imaging.core.problems import INVALID_IMAGE, ImageRefused, Problem
from imaging.core.values import MAX_SIDE, shortened

__all__ = ["ALLOWED_EXTENSIONS", "INVALID_IMAGE", "MAX_BYTES", "MAX_SIDE", "ImageHeader", "check_image"]

_ADVICE = {".heic": CONVERT_HEIC, ".heif": CONVERT_HEIC, ".avif": CONVERT_AVIF}
MEBIBYTE = 1024 * 1024
MAX_BYTES = 50 * MEBIBYTE
ALLOWED_EXTENSIONS = ("webp", "bmp", "png", "jpg", "jpeg")


def check_image(file: BinaryIO, *, name: str, size: int) -> tuple[ImageHeader | None, list[Problem]]:
    """Check an upload, cheapest check first, and read its header; nothing is decoded.

    `name` is the caller's file name; its extension must be allowed, but the bytes alone decide the format. A name without an
    extension (browsers call a Blob `blob`) is fine. `size` is the upload's real size in bytes, which may be more than `file`
    holds if the rest was discarded. The header is None if there are problems.
    """
    if problem := _extension_problem(name) or find_size_problem(size):
        return None, [problem]
    try:
        header = read_header(file)
    except ImageRefused as refusal:
        return None, list(refusal.problems)
    problems = find_side_problems(header.width, header.height)
    return (None if problems else header), problems


def find_early_problem(name: str, size: int) -> Problem | None:
    """The problem that name and size alone reveal, worded as in `check_image`."""
    return _extension_problem(name) or find_size_problem(size)


def find_start_problem(start: bytes) -> Problem | None:
    """The problem in a file's first START_BYTES bytes, worded as in `check_image`; None if they do not decide."""
    format = find_format(start)
    # Two letters match easily by chance: a BMP must also state its size.
    is_image = has_bmp_size(start) if format == "BMP" else format is not None
    return None if is_image else INVALID_IMAGE


def _extension_problem(name: str) -> Problem | None:
    base = name.replace("\\", "/").rpartition("/")[2].strip()
    extension = os.path.splitext(base)[1].lower()  # noqa: PTH122 - a caller's file name, not a path on our disk
    if extension in ("", ".") or extension[1:] in ALLOWED_EXTENSIONS:
        return None
    allowed = ", ".join(ALLOWED_EXTENSIONS)
    message = f"File type '{shortened(extension)}' is not supported. Allowed formats: {allowed}"
    return Problem("image", "unsupported_file_type", message, _ADVICE.get(extension, ""))


def find_size_problem(size: int) -> Problem | None:
    """What is wrong with an upload of `size` bytes, if anything is."""
    if size <= 0:
        return Problem("image", "empty_file", "Uploaded file is empty (0 bytes).")
    if size > MAX_BYTES:
        limit = MAX_BYTES // MEBIBYTE
        message = f"File size ({size / MEBIBYTE:.1f} MB) exceeds the maximum allowed size of {limit} MB."
        return Problem("image", "file_too_large", message)
    return None


def find_side_problems(width: int, height: int) -> list[Problem]:
    """What is wrong with an image of this size in pixels, if anything is."""
    problems = []
    if width > MAX_SIDE:
        message = f"Image width ({width}px) exceeds the maximum allowed width of {MAX_SIDE}px."
        problems.append(Problem("image", "image_too_wide", message))
    if height > MAX_SIDE:
        message = f"Image height ({height}px) exceeds the maximum allowed height of {MAX_SIDE}px."
        problems.append(Problem("image", "image_too_tall", message))
    return problems
