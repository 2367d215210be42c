"""The child process that decodes one image: see `apart`.

    python -m imaging.core.codecs.child SENT MADE PARENT SECONDS

SENT and MADE are the descriptors of two open files: the image's file, and an empty one for the pixels. PARENT is the
parent's process id. Prints one line of JSON: `outcome`, which is "decoded", "refused", "memory" or "crashed", and its
details.
"""

import ctypes
import dataclasses
import json
import math
import mmap
import os
import resource
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any

from PIL import Image

from imaging.core.canvas import PIXEL_BYTES, mapped_image
from imaging.core.codecs.decode import decode_here
from imaging.core.codecs.headers import walk_through
from imaging.core.codecs.walk import Walk
from imaging.core.problems import ImageRefused
from imaging.core.watch import Watch

_PR_SET_PDEATHSIG = 1
# Address space: interpreter and libraries; and per pixel the image (4 bytes), the result (4), the coefficients of a
# progressive CMYK image (8), and a copy in another mode (4), or WebP's canvases (8).
_BASE_BYTES = 768 * 1024**2
_BYTES_PER_PIXEL = 24


def main(sent: int, made: int, parent: int, seconds: float) -> None:
    """Decode, and print the outcome."""
    _end_with(parent, seconds)
    print(json.dumps(_outcome(sent, made)), flush=True)  # noqa: T201 - the parent reads it
    # Freeing 400 MB takes time, and no one needs it.
    os._exit(0)


def _end_with(parent: int, seconds: float) -> None:
    """Have the system kill this process when its parent ends, or after `seconds`, even while C code runs."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.01))
    _limit(resource.RLIMIT_CPU, math.ceil(seconds) + 1)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(kind: int, value: int) -> None:
    # Ignored if a lower limit is already set or the system does not support it.
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (value, value))


def _outcome(sent: int, made: int) -> dict[str, Any]:
    try:
        data = mmap.mmap(sent, 0, access=mmap.ACCESS_READ)
        walk = walk_through(data)
        _limit(resource.RLIMIT_AS, _BASE_BYTES + walk.width * walk.height * _BYTES_PER_PIXEL)
        return _decode(data, walk, made)
    except ImageRefused as refusal:
        return {"outcome": "refused", "problem": dataclasses.asdict(refusal.problems[0])}
    except MemoryError:
        return {"outcome": "memory"}
    except Exception:
        return {"outcome": "crashed", "trace": traceback.format_exc()}


def _decode(data: mmap.mmap, walk: Walk, made: int) -> dict[str, Any]:
    pixel_bytes = walk.width * walk.height * PIXEL_BYTES
    os.ftruncate(made, pixel_bytes)
    mapped = mmap.mmap(made, 0)
    targets: list[Image.Image] = []

    def make_image(mode: str) -> Image.Image:
        targets.append(mapped_image(mapped, mode, (walk.width, walk.height)))
        return targets[-1]

    pixels, profile = decode_here(data, walk, Watch(), make_image)
    if all(pixels.im is not target.im for target in targets):
        # It was converted. The core's own paste is one copy; Pillow's would look at modes and palettes first.
        make_image(pixels.mode).im.paste(pixels.im, (0, 0, *pixels.size))
    profile = profile or b""
    os.ftruncate(made, pixel_bytes + len(profile))
    os.pwrite(made, profile, pixel_bytes)
    return {"mode": pixels.mode, "profile_bytes": len(profile), "outcome": "decoded"}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
