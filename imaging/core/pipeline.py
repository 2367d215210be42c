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
from imaging.core.cores import use_cores
from imaging.core.matting.matte import MatteModel
from imaging.core.matting.refine import enlarge
from imaging.core.memory import is_large, trim
from imaging.core.options import CutoutOptions
from imaging.core.watch import Watch


@dataclass(frozen=True, slots=True)
class Cutout:
    """The delivered file and the facts about it; `timings` are seconds by step: decode, inference, compose, encode.

    `confidence` is how sure the model is of its matte, 0-1; None from a worker of the release before.
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
    confidence: float | None = None

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
    cores: int = 1,
) -> Cutout:
    """Remove the background of the image in `file`, whose checked header is `header`.

    `refine` redraws the edges of a matte that is smaller than the image (see imaging.core.matting.refine). `watch` is
    checked before each step. `cores` is how many cores to use for what is not inference; the result is the same.

    Raises ImageRefused if it does not decode, and what `watch` raises. The order is the contract's: upright, cut out,
    rotated, resized, on its background, encoded.
    """
    with use_cores(cores):
        return _cut_out(file, header, options, model, refine, watch or Watch())


def _cut_out(
    file: BinaryIO, header: ImageHeader, options: CutoutOptions, model: MatteModel, refine: bool, watch: Watch
) -> Cutout:
    timings: dict[str, float] = {}
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
            composed = compose_mask(decoded.pixels, matte, options)
        else:
            composed = compose_cutout(decoded.pixels, matte, options, decoded.icc_profile)
        if is_large(composed.size):
            # Encoding is the memory peak: free what composing left behind first.
            trim()
    watch.check()
    with _timed(timings, "encode"):
        # A matte has no colours for a profile to describe.
        content = encode(composed, options.format, None if options.mask else decoded.icc_profile)
    width, height = composed.size
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    media_type, made = MEDIA_TYPES[options.format], (prediction.model, timings, prediction.confidence)
    return Cutout(content, size, media_type, options.format, width, height, *made)


@contextmanager
def _timed(timings: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[step] = time.perf_counter() - start
