"""The colour space of a PNG (W3C PNG, third edition): cICP before iCCP, before sRGB, before gAMA with cHRM.

All but iCCP are a few numbers. They are converted to a profile, which the result can carry.
"""

import struct
import zlib
from collections.abc import Mapping

from imaging.core.codecs.hdr import BT709, BT2020, DEFAULT_PEAK, HdrCoding
from imaging.core.codecs.icc import Chromaticities, Curve, make_profile
from imaging.core.codecs.walk import Colours

# The largest profile that is unpacked. Profiles that a JPEG can hold are below 16 MB, real ones below 4 MB.
MAX_PROFILE_BYTES = 8 * 1024 * 1024
_PROFILE_HEADER_BYTES = 128

# Primaries and curves by their number in ITU-T H.273, tables 2 and 3. Television's use the gamma of its screens, 2.4
# (BT.1886), not that of its cameras. For other numbers the chunk is ignored.
_PRIMARIES: Mapping[int, Chromaticities] = {
    1: BT709,
    4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.329, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    8: (0.31, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: BT2020,
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (0.3127, 0.329, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
_TELEVISION: Curve = (2.4,)
_CURVES: Mapping[int, Curve] = {
    **dict.fromkeys((1, 6, 11, 14, 15), _TELEVISION),
    4: (2.2,),
    5: (2.8,),
    7: (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 4 * 0.0228),
    8: (1.0,),
    13: (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    17: (2.6, (52.37 / 48) ** (1 / 2.6), 0.0),
}
_PQ, _HLG = 16, 18
_SRGB = (1, 13)
# A gamma this close to 1 / 2.2, without cHRM, is treated as sRGB's curve.
_USUAL_GAMMA, _GAMMA_TOLERANCE = 2.2, 0.05


def is_hdr(chunks: Mapping[bytes, bytes]) -> bool:
    """Whether the samples have to be converted. `chunks` are the payloads of colour chunks by name."""
    return isinstance(_coding(chunks), HdrCoding)


def find_colours(chunks: Mapping[bytes, bytes], icc_chunk: bytes | None) -> Colours:
    """The image's colours. `chunks` are the payloads of valid colour chunks by name, `icc_chunk` that of iCCP."""
    coding = _coding(chunks)
    if isinstance(coding, HdrCoding):
        return Colours(to_srgb=coding.to_srgb)
    if coding == _SRGB:
        return Colours()
    if coding is not None:
        primaries, transfer = coding
        name = f"H.273, primaries {primaries}, transfer {transfer}"
        return Colours(make_profile(_PRIMARIES[primaries], _CURVES[transfer], name))
    if icc_chunk is not None and (profile := unpacked_profile(icc_chunk)):
        return Colours(profile)
    if chunks.get(b"sRGB", b"\xff")[0] <= 3:
        return Colours()
    return Colours(_by_gamma(chunks))


def _coding(chunks: Mapping[bytes, bytes]) -> HdrCoding | tuple[int, int] | None:
    """The coding in cICP, if it is supported."""
    primaries, transfer, matrix, full_range = chunks.get(b"cICP", bytes(4))
    if primaries not in _PRIMARIES or matrix or full_range != 1:
        return None
    if transfer in (_PQ, _HLG):
        return HdrCoding("PQ" if transfer == _PQ else "HLG", _PRIMARIES[primaries], _peak(chunks))
    return (primaries, transfer) if transfer in _CURVES else None


def _peak(chunks: Mapping[bytes, bytes]) -> float:
    """The brightest pixel's light in cd/m²: as measured, else the peak of the mastering display."""
    (brightest,) = struct.unpack_from(">I", chunks.get(b"cLLI", bytes(8)))
    (mastered,) = struct.unpack_from(">I", chunks.get(b"mDCV", bytes(24)), 16)
    return (brightest or mastered) / 10_000 or DEFAULT_PEAK


def _by_gamma(chunks: Mapping[bytes, bytes]) -> bytes | None:
    (stored,) = struct.unpack(">I", chunks.get(b"gAMA", bytes(4)))
    if not stored:
        # Without a gamma, primaries mean nothing: no browser guesses one.
        return None
    gamma = stored / 100_000
    if b"cHRM" in chunks:
        values = tuple(value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"]))
        return make_profile(values, (1 / gamma,), f"PNG, gamma {gamma:g}")
    if abs(gamma * _USUAL_GAMMA - 1) < _GAMMA_TOLERANCE:
        return None
    return make_profile(BT709, (1 / gamma,), f"PNG, gamma {gamma:g}")


def unpacked_profile(chunk: bytes) -> bytes | None:
    """The ICC profile in the payload of an iCCP chunk; None if it is broken or too large."""
    name, _, packed = chunk[:81].partition(b"\0")
    if not 1 <= len(name) <= 79 or packed[:1] != b"\0":
        return None
    unpacking = zlib.decompressobj()
    try:
        profile = unpacking.decompress(chunk[len(name) + 2 :], MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return None
    if len(profile) > MAX_PROFILE_BYTES:
        # Some are followed by arbitrary bytes.
        profile = profile[: int.from_bytes(profile[:4], "big")]
    elif not unpacking.eof:
        return None
    is_profile = _PROFILE_HEADER_BYTES < len(profile) <= MAX_PROFILE_BYTES and profile[36:40] == b"acsp"
    return profile if is_profile else None
