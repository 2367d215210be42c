"""What an image may come as: a path, bytes, a file, a Pillow image, an array, an address."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias, Union

from rembg_client.errors import InvalidInput

if TYPE_CHECKING:
    from PIL.Image import Image


class Array(Protocol):
    """A numpy array, or what looks like one."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def tobytes(self) -> bytes: ...


ImageSource: TypeAlias = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO, "Image", Array]

# The server looks at the bytes; the name's extension only has to be one that it allows.
DEFAULT_NAME = "image.png"


class Readable(Protocol):
    """An open file."""

    def read(self, size: int = -1, /) -> bytes: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Part:
    """A file of a form: `open` gives its bytes from the start each time; `size` is in bytes."""

    name: str
    size: int
    open: Callable[[], Readable]


@dataclass(frozen=True)
class Address:
    """An image that the server fetches itself."""

    url: str


def read_source(image: ImageSource) -> Part | Address:
    """Something to send. Raises InvalidInput for what is no image's source or cannot be read."""
    if isinstance(image, str) and image.lower().startswith(("http://", "https://")):
        return Address(image)
    if isinstance(image, (str, os.PathLike)):
        return _of_path(Path(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _of_bytes(bytes(image))
    if _is_pillow(image):
        return _of_bytes(_encoded(image))
    if hasattr(image, "__array_interface__"):
        return _of_bytes(_png_of(image))
    if hasattr(image, "read"):
        return _of_file(image)
    raise InvalidInput(
        f"An image is a path, an address, bytes, a file, a Pillow image or an array, not {type(image).__name__}"
    )


def _of_path(path: Path) -> Part:
    try:
        if not path.is_file():
            raise InvalidInput(f"There is no file {path}")
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    return Part(path.name, size, lambda: path.open("rb"))


def _of_bytes(data: bytes, name: str = DEFAULT_NAME) -> Part:
    return Part(name, len(data), lambda: io.BytesIO(data))


def _of_file(file: Any) -> Part:
    """From where the file stands to its end. A pipe, which cannot be sent twice, is read into memory."""
    name = Path(file.name).name if isinstance(getattr(file, "name", None), str) else ""
    name = name if "." in name else DEFAULT_NAME
    if isinstance(file, io.TextIOBase):
        raise InvalidInput("The file is open as text; open it with 'rb'")
    if not (hasattr(file, "seekable") and file.seekable()):
        return _of_bytes(file.read(), name)
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    return Part(name, size, lambda: _Borrowed(file, start))


class _Borrowed:
    """The caller's file, which stays open."""

    def __init__(self, file: Any, start: int) -> None:
        self._file = file
        file.seek(start)

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(size)
        return data

    def close(self) -> None:
        """It is the caller's."""


def _is_pillow(image: object) -> bool:
    # Not imported for the question alone: without Pillow, nothing is a Pillow image.
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def _encoded(image: Any) -> bytes:
    """As PNG, which loses nothing. A mode that PNG lacks becomes RGB."""
    buffer = io.BytesIO()
    kept = image if image.mode in ("L", "LA", "P", "RGB", "RGBA", "1") else image.convert("RGB")
    # Quick rather than small: it is sent once.
    kept.save(buffer, "PNG", compress_level=1, icc_profile=image.info.get("icc_profile"))
    return buffer.getvalue()


# Colour types of PNG by the number of channels.
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def _png_of(array: Any) -> bytes:
    """A PNG of an array of bytes: height × width, or height × width × 1 to 4 channels (grey, grey and alpha, RGB, RGBA)."""
    shape = tuple(array.shape)
    channels = shape[2] if len(shape) == 3 else 1
    if len(shape) not in (2, 3) or channels not in _COLOUR_TYPES or 0 in shape:
        raise InvalidInput(f"An array must be height × width × 1 to 4 channels, got: {shape}")
    if array.__array_interface__["typestr"] != "|u1":
        raise InvalidInput(f"An array must be of uint8, 0 to 255, got: {array.__array_interface__['typestr']}")
    height, width = shape[:2]
    data, stride = memoryview(array.tobytes()), width * channels
    rows = b"".join(b"\0" + data[at : at + stride] for at in range(0, height * stride, stride))
    header = struct.pack(">2I5B", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
