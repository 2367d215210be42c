"""One cutout, from the uploaded file to the delivered bytes, or several of one matte."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, Literal

from PIL import Image

from imaging.core.canvas import copied, release
from imaging.core.codecs.decode import DecodedImage, decode
from imaging.core.codecs.encode import MEDIA_TYPES, encode
from imaging.core.codecs.headers import ImageHeader
from imaging.core.compose import without_needless_alpha
from imaging.core.cores import use_cores
from imaging.core.finishing.background import Backdrop, blurred, shrunk
from imaging.core.finishing.edge_colours import decontaminate
from imaging.core.finishing.finish import Finished, finish_cutout, finish_mask
from imaging.core.geometry import Box, Size, find_region
from imaging.core.matting.looks import look
from imaging.core.matting.matte import MatteModel, Prediction
from imaging.core.matting.refine import enlarge
from imaging.core.memory import is_large, trim
from imaging.core.options import CutoutOptions, FileFormat
from imaging.core.outputs import of_output
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
    `more` are the results of further outputs; the timings are of all of them together.
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
    more: "tuple[Cutout, ...]" = ()

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
    more: Sequence[CutoutOptions] = (),
    background: BackgroundImage | None = None,
    refine: bool = True,
    watch: Watch | None = None,
    cores: int = 1,
) -> Cutout:
    """Remove the background of the image in `file`, whose checked header is `header`.

    `more` are options of further outputs of the same matte, so with the same `roi` and `detail`; each result is what it
    would be alone. `background` goes behind the subject where the options say so. `refine` redraws the edges of a matte that
    is smaller than the image (see imaging.core.matting.refine). `watch` is checked before each step. `cores` is how many
    cores to use for what is not inference; the result is the same.

    Raises ImageRefused if one of them does not decode or the result would be too large, and what `watch` raises. The order
    is the contract's: upright, cut out, edge colours, then that of imaging.core.finishing.finish, encoded.
    """
    with use_cores(cores):
        return _cut_out(file, header, (options, *more), model, background, refine, watch or Watch())


def _cut_out(
    file: BinaryIO,
    header: ImageHeader,
    outputs: Sequence[CutoutOptions],
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
        region = find_region(decoded.pixels.size, outputs[0].roi)
        part = decoded.pixels if region is None else decoded.pixels.crop(region)
        prediction = look(part, predict, again=outputs[0].detail == "auto")
    watch.check()
    with _timed(timings, "compose"):
        matte = _on_whole(enlarge(prediction.matte, part, refine=refine), decoded.pixels.size, region)
        del part
    source = _Source(decoded, matte, prediction, background, timings, watch)
    with ExitStack() as made:
        first, *others = [_make(source, outputs, index, made) for index in range(len(outputs))]
        made.pop_all()
    return dataclasses.replace(first, more=tuple(others))


@dataclass(frozen=True, slots=True)
class _Source:
    """What all outputs of an image are made of. `timings` are added to."""

    decoded: DecodedImage
    matte: Image.Image
    prediction: Prediction
    background: BackgroundImage | None
    timings: dict[str, float]
    watch: Watch


def _make(source: _Source, outputs: Sequence[CutoutOptions], index: int, made: ExitStack) -> Cutout:
    """The result of one output. The last one takes the source's images. `made` closes the file."""
    options, decoded, matte = outputs[index], source.decoded, source.matte
    with _timed(source.timings, "compose"):
        if index < len(outputs) - 1:
            decoded, matte = dataclasses.replace(decoded, pixels=copied(decoded.pixels)), copied(matte)
        photo = decoded.pixels.copy() if _keeps_photo(options) else None
        with _of_output(index, outputs):
            finished = _finish(decoded, matte, options, _find_behind(source, options))
        if is_large(finished.image.size):
            # Encoding is the memory peak: free what composing left behind first.
            trim()
    source.watch.check()
    with _timed(source.timings, "encode"):
        # A matte has no colours for a profile to describe.
        profile = None if options.mask else decoded.icc_profile
        content, format = _encode(finished, photo, options, profile)
    made.callback(content.close)
    return _cutout(content, finished, format, source.prediction, source.timings)


@contextmanager
def _of_output(index: int, outputs: Sequence[CutoutOptions]) -> Iterator[None]:
    """Names the output in problems, where there are several. The background image is that of all of them."""
    try:
        yield
    except ImageRefused as refused:
        if len(outputs) == 1 or refused.problems[0].field == BACKGROUND_FIELD:
            raise
        raise ImageRefused(*(of_output(index, problem) for problem in refused.problems)) from None


def _find_behind(source: _Source, options: CutoutOptions) -> Callable[[Size], Backdrop] | None:
    if source.background is None or not options.background_image:
        return None
    return partial(_decode_background, source.background, source.watch)


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
    timings[step] = timings.get(step, 0.0) + time.perf_counter() - start
