"""Converts images coded for HDR screens (PQ and HLG, ITU-R BT.2100) to their look on an ordinary screen.

A matrix profile cannot do that: the light has to be compressed. Like browsers, this uses the operator that SMPTE ST 2094-50
defines for images without one: the reference white becomes darker than the screen's, which leaves room for highlights.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.core.codecs.icc import Chromaticities, Matrix, to_xyz
from imaging.core.strips import CACHED_PIXELS, strips

Floats = npt.NDArray[np.float32]

# Seconds for a megapixel, measured on one core of an EPYC.
MEGAPIXEL = 0.08

BT709: Chromaticities = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
BT2020: Chromaticities = (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046)
# cd/m²: HDR's reference white (ITU-R BT.2408); the light of the full signal, for HLG on its grading display; and the default
# for the brightest pixel.
_REFERENCE_WHITE, _FULL, DEFAULT_PEAK = 203.0, {"PQ": 10_000.0, "HLG": 1000.0}, 1000.0
# In stops above the reference white.
_MAX_HEADROOM, _USUAL_HEADROOM = 6.0, math.log2(DEFAULT_PEAK / _REFERENCE_WHITE)
_HLG_GAMMA = 1.2
_BT2020_LUMINANCE = np.array([0.2627, 0.678, 0.0593], np.float32)
# Where the middle of the curve lies between the knee and the highlights.
_BEND = 0.65
_ENCODED = 65535


@dataclass(frozen=True, slots=True)
class HdrCoding:
    """How samples encode light. `peak` is the brightest pixel's light, in cd/m²."""

    transfer: Literal["PQ", "HLG"]
    chromaticities: Chromaticities
    peak: float = DEFAULT_PEAK

    def to_srgb(self, image: Image.Image) -> None:
        """Convert `image` (RGB or RGBA, 8 bits of the coding) to sRGB, in place."""
        light, encoded, gain = _light(self.transfer), _srgb(), _mapping(self.peak)
        to_working, to_screen = _conversion(self.chromaticities, BT2020), _conversion(BT2020, BT709)
        for top, bottom in strips(image.size, pixels=CACHED_PIXELS):
            strip = image.crop((0, top, image.width, bottom))
            samples = np.array(strip)
            colours = light[samples[..., :3]] @ to_working
            if self.transfer == "HLG":
                # The display's own gamma (BT.2100, table 5, OOTF).
                colours *= np.maximum(colours @ _BT2020_LUMINANCE, 0)[..., np.newaxis] ** np.float32(_HLG_GAMMA - 1)
            colours *= np.float32(_FULL[self.transfer] / _REFERENCE_WHITE)
            colours *= gain(colours.max(axis=-1))[..., np.newaxis]
            samples[..., :3] = encoded[((colours @ to_screen).clip(0, 1) * _ENCODED + 0.5).astype(np.uint16)]
            image.paste(Image.fromarray(samples), (0, top))


def _conversion(source: Chromaticities, target: Chromaticities) -> Floats:
    """The matrix to multiply rows of linear RGB by; white stays white across white points."""
    ours, theirs = to_xyz(source), to_xyz(target)
    assert ours is not None and theirs is not None  # noqa: S101 - of tables
    matrix: Matrix = np.linalg.inv(theirs) @ ours
    return matrix.T.astype(np.float32)


def _light(transfer: str) -> Floats:
    """The light of each 8-bit sample, 1 being that of the full signal (BT.2100: table 4, EOTF; table 5, inverse OETF)."""
    signal = np.arange(256) / 255
    if transfer == "HLG":
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene: Floats = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12).astype(np.float32)
        return scene
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    light: Floats = (((root - c1).clip(0) / (c2 - c3 * root)) ** (1 / m1)).astype(np.float32)
    return light


def _srgb() -> npt.NDArray[np.uint8]:
    """The 8-bit sample for each light level from 0 to 1, in steps of 1 / _ENCODED (IEC 61966-2-1)."""
    light = np.arange(_ENCODED + 1) / _ENCODED
    signal = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(signal * 255).astype(np.uint8)


def _mapping(peak: float) -> Callable[[Floats], Floats]:
    """A function that returns the factor for a pixel whose largest component is x, 1 being the reference white.

    The factor is constant up to 1. From there to the peak, which becomes the screen's white, the result follows a quadratic
    Bézier curve.
    """
    if peak <= _REFERENCE_WHITE:
        return np.ones_like
    headroom = min(math.log2(peak / _REFERENCE_WHITE), _MAX_HEADROOM)
    white, top = 1 - 0.5 * min(headroom / _USUAL_HEADROOM, 1), 2**headroom
    middle = 1 - _BEND + _BEND / white, (1 - _BEND) * white + _BEND
    # Both coordinates as polynomials of the curve's parameter.
    (x2, x1), (y2, y1) = (
        (start - 2 * bend + end, 2 * (bend - start)) for start, bend, end in ((1.0, middle[0], top), (white, middle[1], 1.0))
    )

    def gain(x: Floats) -> Floats:
        within = x.clip(1, top)
        # The root of x2 t² + x1 t + 1 = x in a form that needs no x2.
        t = 2 * (within - 1) / (x1 + np.sqrt(np.maximum(x1 * x1 + 4 * x2 * (within - 1), 0)))
        factor: Floats = (y2 * t * t + y1 * t + white) / np.maximum(x, within)
        return factor

    return gain
