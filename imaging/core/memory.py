"""Returns memory to the system."""

import ctypes


def trim() -> None:
    """Return freed memory to the system if the C library supports it (glibc); else do nothing.

    glibc keeps memory freed below the top of its heap. After loading a session of u2net that is 230 of 470 MB.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


# Of glibc's mallopt, see its manual page.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_ARENAS = 2
_MMAP_BYTES = 4 * 1024 * 1024
# What a heap keeps at its end. With glibc's 128 kB the arrays of a strip, a few megabytes, would go back to the system after
# each step and come again, page by page, before the next: half of the time of all steps.
_KEPT_BYTES = 16 * 1024 * 1024


def bound_heaps() -> None:
    """Keep threads from retaining the memory they free, if the C library supports it (glibc); else do nothing.

    By default each thread gets its own heap, up to eight for every core, and freed blocks of up to 32 MB, whole images, stay
    in it. Call this before any thread starts.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


# From this size on, the memory that a step leaves behind (100 MB or more) matters more than the milliseconds to return it.
LARGE_PIXELS = 24_000_000


def is_large(size: tuple[int, int]) -> bool:
    """Whether an image of `size` is large enough to return memory between its steps."""
    return size[0] * size[1] >= LARGE_PIXELS
