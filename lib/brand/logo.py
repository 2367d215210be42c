"""The operator's logo: one file, an SVG, PNG or WebP, and what is drawn from it."""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import resvg_py
from PIL import Image

# A logo comes with every first visit.
MAX_BYTES = 256 * 1024
MAX_SIDE = 4096
# Width by height. Beyond these nothing is left of it in the height of a page's header.
MIN_RATIO, MAX_RATIO = 1 / 3, 8.0
_MEASURED_WIDTH = 256
MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png", "webp": "image/webp"}


class BadLogo(ValueError):
    """It cannot be the logo. Its text is for the operator."""


@dataclass(frozen=True, slots=True)
class Logo:
    """A logo that can be shown. `ratio` is its width divided by its height."""

    data: bytes
    suffix: str
    media_type: str
    ratio: float

    @property
    def file_name(self) -> str:
        """Under which pages find it."""
        return f"logo.{self.suffix}"

    def drawn(self, width: int, height: int) -> Image.Image:
        """The whole logo in the middle of a transparent RGBA image of `width` by `height` pixels, as large as fits."""
        wide = max(1, min(width, round(height * self.ratio)))
        high = max(1, min(height, round(wide / self.ratio)))
        image = _draw_svg(self.data, wide) if self.suffix == "svg" else _decoded(self.data)
        canvas = Image.new("RGBA", (width, height))
        canvas.paste(image.resize((wide, high), Image.Resampling.LANCZOS), ((width - wide) // 2, (height - high) // 2))
        return canvas


@lru_cache(maxsize=4)
def read_logo(path: Path) -> Logo:
    """The logo in a file. A process reads a file once. Raises BadLogo."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadLogo(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise BadLogo(f"{path} has more than {MAX_BYTES // 1024} kB")
    return _parse(data, path)


def _parse(data: bytes, path: Path) -> Logo:
    suffix = _suffix(data)
    try:
        image = _draw_svg(data, _MEASURED_WIDTH) if suffix == "svg" else _decoded(data)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadLogo(f"{path} is not an SVG, PNG or WebP that can be shown: {error}") from error
    ratio = image.width / image.height
    if not MIN_RATIO <= ratio <= MAX_RATIO:
        raise BadLogo(f"{path} is too wide or too tall: its width must be 1/3 to 8 times its height")
    if image.getchannel("A").getbbox() is None:
        raise BadLogo(f"{path} shows nothing")
    return Logo(data, suffix, MEDIA_TYPES[suffix], ratio)


def _suffix(data: bytes) -> str:
    if data.startswith(b"\x89PNG\r\n"):
        return "png"
    return "webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else "svg"


def _draw_svg(data: bytes, width: int) -> Image.Image:
    """The SVG as RGBA, `width` pixels wide. Runs no script and fetches nothing. Raises ValueError."""
    drawn = resvg_py.svg_to_bytes(svg_string=data.decode(), width=width, skip_system_fonts=True)
    return Image.open(io.BytesIO(drawn)).convert("RGBA")


def _decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["PNG", "WEBP"])
    if max(image.size) > MAX_SIDE:
        raise ValueError(f"it is larger than {MAX_SIDE} x {MAX_SIDE} pixels")
    return image.convert("RGBA")
