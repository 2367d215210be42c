"""Images and models made up for the tests."""

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from imaging.core.codecs.checks import check_image
from imaging.core.codecs.decode import decode
from imaging.core.matting.matte import Prediction
from imaging.core.options import CutoutOptions
from imaging.core.pipeline import cut_out
from imaging.core.weights.files import weights_path

WEIGHTS = weights_path("u2net")
needs_weights = pytest.mark.skipif(not WEIGHTS.exists(), reason=f"the weights of u2net are not at {WEIGHTS}")

# The suite's workers share the machine's cores, and an inference that uses all of them waits for the others.
THREADS = 1

FORMATS = ("webp", "png", "jpeg", "bmp")


class RememberingEngine:
    """Another engine, called once per image: an inference of u2net in fp32 takes a second."""

    def __init__(self, engine):
        self.engine = engine
        self.answers = {}

    def run(self, batch, *, give_memory_back=False):
        key = hashlib.sha256(batch.tobytes()).digest()
        if key not in self.answers:
            self.answers[key] = self.engine.run(batch, give_memory_back=give_memory_back)
        return self.answers[key].copy()


class EllipseModel:
    """Takes the largest ellipse for the subject."""

    name = "ellipse"

    def predict(self, image):
        matte = Image.new("L", image.size)
        ImageDraw.Draw(matte).ellipse((0, 0, image.width - 1, image.height - 1), fill=255)
        return Prediction(matte, self.name, 1.0)


class UniformModel:
    """Takes everything for the subject, to the same degree."""

    name = "uniform"

    def __init__(self, alpha=255):
        self.alpha = alpha

    def predict(self, image):
        return Prediction(Image.new("L", image.size, self.alpha), self.name, 1.0)


def photo(size=(64, 48), mode="RGB", seed=0):
    """An image with no two equal corners."""
    noise = np.random.default_rng(seed).integers(0, 60, (size[1], size[0], 4), np.uint8)
    across, down = np.linspace(0, 190, size[0]), np.linspace(0, 190, size[1])
    pixels = noise.astype(float)
    pixels[..., 0] += across
    pixels[..., 1] += down[:, None]
    pixels[..., 2] += 190 - across
    pixels[..., 3] = (across[None, :] + down[:, None]) / 380 * 255
    image = Image.fromarray(pixels.astype(np.uint8))
    return image if mode == "RGBA" else image.convert("RGB").convert(mode)


def file_bytes(image, format="PNG", **settings):
    buffer = io.BytesIO()
    image.save(buffer, format, **settings)
    return buffer.getvalue()


def check(data, name="image.png", size=None):
    return check_image(io.BytesIO(data), name=name, size=len(data) if size is None else size)


def decoded(data):
    header, problems = check(data)
    assert problems == []
    assert header is not None
    result = decode(io.BytesIO(data), header)
    assert result.pixels.size == header.upright_size
    assert result.pixels.mode in ("RGB", "RGBA")
    assert result.pixels.info == {}
    return result


def cutout_of(data, model=None, *, refine=True, **options):
    header, problems = check(data)
    assert problems == []
    assert header is not None
    return cut_out(io.BytesIO(data), header, CutoutOptions(**options), model or EllipseModel(), refine=refine)


def opened(cutout):
    """The delivered image, decoded by Pillow, after checking what holds for every delivery."""
    image = Image.open(io.BytesIO(cutout.data))
    image.load()
    assert image.size == (cutout.width, cutout.height)
    assert image.get_format_mimetype() == cutout.media_type
    return image


def png_chunk(name, payload):
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def png(width, height, bits, colour_type, samples, *chunks):
    """A PNG file from its rows of packed samples, for what Pillow cannot write."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    rows = b"".join(b"\x00" + row for row in samples)
    parts = [png_chunk(b"IHDR", header), *(png_chunk(*chunk) for chunk in chunks)]
    parts += [png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def bmp(width, height, bits, rows, palette=b""):
    offset = 54 + len(palette)
    pixels = b"".join(row + b"\x00" * (-len(row) % 4) for row in reversed(rows))
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, len(pixels), 0, 0, len(palette) // 4, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + info + palette + pixels


def exif(orientation, order="<"):
    """An EXIF block with an orientation and, to be dropped, a GPS position and a maker."""
    mark = b"II*\x00" if order == "<" else b"MM\x00*"
    entries = struct.pack(f"{order}HHI4s", 0x010F, 2, 4, b"ACME")
    entries += struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    entries += struct.pack(f"{order}HHII", 0x8825, 4, 1, 50)
    gps = struct.pack(f"{order}HHHI4sI", 1, 1, 2, 2, b"N\x00\x00\x00", 0)
    return b"Exif\x00\x00" + mark + struct.pack(f"{order}IH", 8, 3) + entries + struct.pack(f"{order}I", 0) + gps
