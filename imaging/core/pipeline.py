"""One cutout, from the uploaded file to the delivered bytes."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from PIL import Image

from imaging.core.canvas import release
from imaging.core.codecs.decode import DecodedImage, decode
from imaging.core.codecs.encode import MEDIA_TYPES, encode
from imaging.core.codecs.headers import ImageHeader
from imaging.core.cores import use_cores
from imaging.core.finishing.background import Backdrop, blurred, shrunk
from imaging.core.finishing.edge_colours import decontaminate
from imaging.core.finishing.finish import Finished, finish_cutout, finish_mask
from imaging.core.geometry import Box, Size, find_region
from imaging.core.matting.looks import look
from imaging.core.matting.matte import MatteModel, Prediction
from imaging.core.matting.refine import enlarge
from imaging.core.memory import is_large, trim
from imaging.core.options import CutoutOptions
from imaging.core.problems import ImageRefused
from imaging.core.watch import Watch

BACKGROUND_FIELD = "bg_image"


@dataclass(frozen=True, slots=True)
class Cutout:
    """The delivered file and the facts about it; `timings` are seconds by step: decode, inference, compose, encode.

    `confidence` is how sure the model is of its matte, 0-1; None from a worker of the release before.
    `content` is open at its start: in memory, or on disk if it is large. `size` is in bytes. `foreground` is the subject's
    left, top, width and height, in pixels of the result; of a cropped one, in those of the uncropped image at its scale.
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
    # Workers of the release before do not find it.
    foreground: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def data(self) -> bytes:
        """All of `content`, which is rewound to its start."""
        self.content.seek(0)
        data = self.content.read()
        self.content.seek(0)
        return data


@dataclass(frozen=True, slots=True)
class BackgroundImage:
    """The file of an image to lay behind the subject, and its checked header."""

    file: BinaryIO
    header: ImageHeader


def cut_out(
    file: BinaryIO,
    header: ImageHeader,
    options: CutoutOptions,
    model: MatteModel,
    *,
    background: BackgroundImage | None = None,
    refine: bool = True,
    watch: Watch | None = None,
    cores: int = 1,
) -> Cutout:
    """Remove the background of the image in `file`, whose checked header is `header`.

    `background` goes behind the subject. `refine` redraws the edges of a matte that is smaller than the image (see
    imaging.core.matting.refine). `watch` is checked before each step. `cores` is how many cores to use for what is not
    inference; the result is the same.

    Raises ImageRefused if one of them does not decode or the result would be too large, and what `watch` raises. The order
    is the contract's: upright, cut out, edge colours, then that of imaging.core.finishing.finish, encoded.
    """
    with use_cores(cores):
        return _cut_out(file, header, options, model, background, refine, watch or Watch())


def _cut_out(
    file: BinaryIO,
    header: ImageHeader,
    options: CutoutOptions,
    model: MatteModel,
    background: BackgroundImage | None,
    refine: bool,
    watch: Watch,
) -> Cutout:
    timings: dict[str, float] = {}
    watch.check()
    with _timed(timings, "decode"):
        decoded = decode(file, header, watch)

    def predict(part: Image.Image) -> Prediction:
        watch.check()
        return model.predict(part)

    with _timed(timings, "inference"):
        region = find_region(decoded.pixels.size, options.roi)
        part = decoded.pixels if region is None else decoded.pixels.crop(region)
        prediction = look(part, predict, again=options.detail == "auto")
    watch.check()
    with _timed(timings, "compose"):
        matte = _on_whole(enlarge(prediction.matte, part, refine=refine), decoded.pixels.size, region)
        del part
        behind = None if background is None else partial(_decode_background, background, watch)
        finished = _finish(decoded, matte, options, behind)
        if is_large(finished.image.size):
            # Encoding is the memory peak: free what composing left behind first.
            trim()
    watch.check()
    with _timed(timings, "encode"):
        # A matte has no colours for a profile to describe.
        profile = None if options.mask else decoded.icc_profile
        content = encode(finished.image, options.format, profile, quality=options.quality, dpi=options.dpi)
    return _cutout(content, finished, options, prediction, timings)


def _decode_background(background: BackgroundImage, watch: Watch, canvas: Size) -> Backdrop:
    """The background image, no larger than `canvas` needs. Raises ImageRefused for its field, and what `watch` raises."""
    try:
        decoded = decode(background.file, background.header, watch)
    except ImageRefused as refused:
        raise ImageRefused(*(dataclasses.replace(problem, field=BACKGROUND_FIELD) for problem in refused.problems)) from None
    return Backdrop(shrunk(decoded.pixels, canvas), decoded.icc_profile)


def _on_whole(matte: Image.Image, size: Size, region: Box | None) -> Image.Image:
    """The matte of `region` as that of the whole image: outside everything is background. Takes ownership."""
    if region is None:
        return matte
    whole = Image.new("L", size)
    whole.paste(matte, region[:2])
    release(matte)
    return whole


def _finish(
    decoded: DecodedImage, matte: Image.Image, options: CutoutOptions, behind: Callable[[Size], Backdrop] | None
) -> Finished:
    if options.mask:
        return finish_mask(decoded.pixels, matte, options)
    if options.background_blur:
        photograph = blurred(decoded.pixels, matte, options.background_blur, options.angle)
        backdrop = Backdrop(photograph, decoded.icc_profile)
        behind = lambda _: backdrop  # noqa: E731 - as _decode_background, whatever the canvas
    if options.decontaminate:
        decontaminate(decoded.pixels, matte)
    return finish_cutout(decoded.pixels, matte, options, decoded.icc_profile, behind)


def _cutout(
    content: BinaryIO, finished: Finished, options: CutoutOptions, prediction: Prediction, timings: Mapping[str, float]
) -> Cutout:
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    left, top, right, bottom = finished.subject
    return Cutout(
        content=content,
        size=size,
        media_type=MEDIA_TYPES[options.format],
        extension=options.format,
        width=finished.image.width,
        height=finished.image.height,
        model=prediction.model,
        timings=timings,
        confidence=prediction.confidence,
        foreground=(left, top, right - left, bottom - top),
    )


@contextmanager
def _timed(timings: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[step] = time.perf_counter() - start
