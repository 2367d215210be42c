"""Giving memory back to the system."""

import ctypes


def trim() -> None:
    """Return freed memory to the system, where the C library can (glibc); else do nothing.

    glibc keeps what was freed below the top of its heap. After a session of u2net was loaded that is 230 of 470 MB.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


# From here on the memory that a step leaves behind (100 MB and more) matters more than the milliseconds to return it.
LARGE_PIXELS = 24_000_000


def is_large(size: tuple[int, int]) -> bool:
    """Whether a picture of `size` is worth giving memory back between its steps."""
    return size[0] * size[1] >= LARGE_PIXELS
