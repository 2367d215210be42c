"""One cutout, from the uploaded file to the delivered bytes."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from imaging.core.codecs.decode import decode
from imaging.core.codecs.encode import MEDIA_TYPES, encode
from imaging.core.codecs.headers import ImageHeader
from imaging.core.compose import compose_cutout, compose_mask
from imaging.core.finishing.edge_colours import decontaminate
from imaging.core.matting.matte import MatteModel
from imaging.core.matting.refine import enlarge
from imaging.core.memory import is_large, trim
from imaging.core.options import CutoutOptions
from imaging.core.watch import Watch


@dataclass(frozen=True, slots=True)
class Cutout:
    """The delivered file and the facts about it; `timings` are seconds by step: decode, inference, compose, encode.

    `content` is open at its start: in memory, or on disk if it is large. `size` is in bytes.
    """

    content: BinaryIO
    size: int
    media_type: str
    extension: str
    width: int
    height: int
    model: str
    timings: Mapping[str, float]

    @property
    def data(self) -> bytes:
        """All of `content`, which is rewound to its start."""
        self.content.seek(0)
        data = self.content.read()
        self.content.seek(0)
        return data


def cut_out(
    file: BinaryIO,
    header: ImageHeader,
    options: CutoutOptions,
    model: MatteModel,
    *,
    refine: bool = True,
    watch: Watch | None = None,
) -> Cutout:
    """Remove the background of the image in `file`, whose checked header is `header`.

    `refine` redraws the edges of a matte that is smaller than the image (see imaging.core.matting.refine). `watch` is
    checked before each step.

    Raises ImageRefused if it does not decode, and what `watch` raises. The order is the contract's: upright, cut out,
    rotated, resized, on its background, encoded.
    """
    timings: dict[str, float] = {}
    watch = watch or Watch()
    watch.check()
    with _timed(timings, "decode"):
        decoded = decode(file, header, watch)
    watch.check()
    with _timed(timings, "inference"):
        prediction = model.predict(decoded.pixels)
    watch.check()
    with _timed(timings, "compose"):
        matte = enlarge(prediction.matte, decoded.pixels, refine=refine)
        if options.mask:
            picture = compose_mask(decoded.pixels, matte, options)
        else:
            if options.decontaminate:
                decontaminate(decoded.pixels, matte)
            picture = compose_cutout(decoded.pixels, matte, options, decoded.icc_profile)
        if is_large(picture.size):
            # Encoding is the memory peak: free what composing left behind first.
            trim()
    watch.check()
    with _timed(timings, "encode"):
        # A matte has no colours for a profile to describe.
        content = encode(picture, options.format, None if options.mask else decoded.icc_profile)
    width, height = picture.size
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    return Cutout(content, size, MEDIA_TYPES[options.format], options.format, width, height, prediction.model, timings)


@contextmanager
def _timed(timings: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[step] = time.perf_counter() - start
