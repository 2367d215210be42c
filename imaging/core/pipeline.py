"""One cutout, from the uploaded file to the delivered bytes."""

import dataclasses
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Literal

from PIL import Image

from imaging.core.codecs.decode import DecodedImage, decode
from imaging.core.codecs.encode import MEDIA_TYPES, encode
from imaging.core.codecs.headers import ImageHeader
from imaging.core.compose import without_needless_alpha
from imaging.core.cores import use_cores
from imaging.core.finishing.background import Backdrop, blurred, shrunk
from imaging.core.finishing.edge_colours import decontaminate
from imaging.core.finishing.finish import Finished, finish_cutout, finish_mask
from imaging.core.geometry import Box, Size, find_region, largest_canvas, rotated_size
from imaging.core.matting.matte import MatteModel, Prediction
from imaging.core.matting.refine import enlarge
from imaging.core.memory import is_large, trim
from imaging.core.options import CutoutOptions, FileFormat
from imaging.core.problems import ImageRefused
from imaging.core.two_files import ZIP_TYPE, encode_zip
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
        # First, so that its full size is gone again before the image is there.
        backdrop = None if background is None else _decode_background(background, header, options, watch)
        decoded = decode(file, header, watch)
    watch.check()
    with _timed(timings, "inference"):
        region = find_region(decoded.pixels.size, options.roi)
        part = decoded.pixels if region is None else decoded.pixels.crop(region)
        prediction = model.predict(part)
    watch.check()
    with _timed(timings, "compose"):
        matte = _on_whole(enlarge(prediction.matte, part, refine=refine), decoded.pixels.size, region)
        del part
        photo = decoded.pixels.copy() if _keeps_photo(options) else None
        finished = _finish(decoded, matte, options, backdrop)
        if is_large(finished.image.size):
            # Encoding is the memory peak: free what composing left behind first.
            trim()
    watch.check()
    with _timed(timings, "encode"):
        # A matte has no colours for a profile to describe.
        profile = None if options.mask else decoded.icc_profile
        content, format = _encode(finished, photo, options, profile)
    return _cutout(content, finished, format, prediction, timings)


def _decode_background(background: BackgroundImage, header: ImageHeader, options: CutoutOptions, watch: Watch) -> Backdrop:
    """The background image, no larger than needed. Raises ImageRefused for its own field."""
    try:
        decoded = decode(background.file, background.header, watch)
    except ImageRefused as refused:
        raise ImageRefused(*(dataclasses.replace(problem, field=BACKGROUND_FIELD) for problem in refused.problems)) from None
    upright = rotated_size(header.upright_size, options.angle, options.expand)
    return Backdrop(shrunk(decoded.pixels, largest_canvas(upright, options)), decoded.icc_profile)


def _on_whole(matte: Image.Image, size: Size, region: Box | None) -> Image.Image:
    """The matte of `region` as that of the whole image: outside everything is background. Takes ownership."""
    if region is None:
        return matte
    whole = Image.new("L", size)
    whole.paste(matte, region[:2])
    matte.close()
    return whole


def _finish(decoded: DecodedImage, matte: Image.Image, options: CutoutOptions, backdrop: Backdrop | None) -> Finished:
    if options.mask:
        return finish_mask(decoded.pixels, matte, options)
    if options.background_blur:
        behind = blurred(decoded.pixels, matte, options.background_blur, options.angle)
        backdrop = Backdrop(behind, decoded.icc_profile)
    if options.decontaminate:
        decontaminate(decoded.pixels, matte)
    return finish_cutout(decoded.pixels, matte, options, decoded.icc_profile, backdrop)


def _keeps_photo(options: CutoutOptions) -> bool:
    """Whether the photograph itself is delivered where the cutout is transparent: in a zip, unless the subject moves."""
    return options.format == "zip" and not options.crop and options.scale is None and options.position in (None, "original")


def _encode(
    finished: Finished, photo: Image.Image | None, options: CutoutOptions, profile: bytes | None
) -> tuple[BinaryIO, FileFormat | Literal["zip"]]:
    """The delivered file, and its format."""
    if options.format == "zip":
        return encode_zip(finished.image, photo, profile), "zip"
    image, format = finished.image, options.format
    if format == "auto":
        image, is_opaque = without_needless_alpha(image)
        format = "jpeg" if is_opaque else "png"
    return encode(image, format, profile, quality=options.quality, dpi=options.dpi), format


def _cutout(
    content: BinaryIO,
    finished: Finished,
    format: FileFormat | Literal["zip"],
    prediction: Prediction,
    timings: Mapping[str, float],
) -> Cutout:
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    left, top, right, bottom = finished.subject
    return Cutout(
        content=content,
        size=size,
        media_type=ZIP_TYPE if format == "zip" else MEDIA_TYPES[format],
        extension=format,
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
