"""Horizontal strips of an image, for steps that need a copy in another mode but not all of it at once."""

from collections.abc import Iterator

# 16 MB as RGBA: little compared to a large canvas, and long enough that the overhead of a strip does not matter.
_STRIP_PIXELS = 4 * 1024 * 1024

# 1 MB as RGBA: for numpy, which makes several copies, and is twice as fast while they stay in the processor's cache.
CACHED_PIXELS = 256 * 1024


def strips(
    size: tuple[int, int], *, stretch: float = 1.0, multiple: int = 1, pixels: int | None = None
) -> Iterator[tuple[int, int]]:
    """(top, bottom) of the strips that cover an image of `size`, each of about four million pixels, or `pixels`.

    If each row corresponds to `stretch` rows of another image, the larger of the two counts. All strips but the last have a
    multiple of `multiple` rows.
    """
    width, height = size
    rows = int((pixels or _STRIP_PIXELS) / (width * max(1.0, stretch))) // multiple * multiple or multiple
    for top in range(0, height, rows):
        yield top, min(top + rows, height)
