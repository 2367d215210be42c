"""Giving memory back to the system."""

import ctypes


def trim() -> None:
    """Return freed memory to the system, where the C library can (glibc); else do nothing.

    glibc keeps what was freed below the top of its heap. After a session of u2net was loaded that is 230 of 470 MB.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


# Of glibc's mallopt, see its manual page.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_ARENAS = 2
_MMAP_BYTES = 4 * 1024 * 1024


def bound_heaps() -> None:
    """Keep what many threads free from staying with each of them, where the C library can (glibc); else do nothing.

    By default each thread gets a heap of its own, up to eight for every core, and blocks of up to 32 MB, whole pictures,
    stay in them when they are freed. To be called before there are threads.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)


# From here on the memory that a step leaves behind (100 MB and more) matters more than the milliseconds to return it.
LARGE_PIXELS = 24_000_000


def is_large(size: tuple[int, int]) -> bool:
    """Whether a picture of `size` is worth giving memory back between its steps."""
    return size[0] * size[1] >= LARGE_PIXELS
