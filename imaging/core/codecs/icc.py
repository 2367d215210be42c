"""ICC profiles of RGB images, made from primaries and a curve (ICC.1:2022, version 4; matrix and curves, section 8.3.3)."""

import struct

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
# x and y of white, red, green and blue, as cHRM has them.
Chromaticities = tuple[float, ...]
# A parametric curve, section 10.18: `g`, then up to `a b c d`, in the order of the functions 0 (x^g), 1 and 3.
Curve = tuple[float, ...]

_XYZ, _COLOURS = b"XYZ \0\0\0\0", (b"r", b"g", b"b")
_FUNCTIONS = {1: 0, 3: 1, 5: 3}
_D50 = np.array([0.9642, 1.0, 0.8249])
# Annex E.3.
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_LARGEST = 32767.0
_SMALLEST_EXPONENT = 1 / 65536


def to_xyz(chromaticities: Chromaticities) -> Matrix | None:
    """The matrix from linear RGB to XYZ, with white at 1,1,1 and Y 1 (SMPTE RP 177); None if there is none."""
    points = np.array(chromaticities).reshape(4, 2)
    white, primaries = _with_z(points[0]), np.array([_with_z(point) for point in points[1:]]).T
    if not 0 <= points.min() <= points.max() <= 1 or not white[1] or abs(np.linalg.det(primaries)) < 1e-6:
        return None
    scales = np.linalg.solve(primaries, white / white[1])
    matrix: Matrix = primaries * scales
    return matrix


def make_profile(chromaticities: Chromaticities, curve: Curve, name: str) -> bytes | None:
    """The profile of these primaries and this one curve; None if they are invalid or do not fit into a profile."""
    matrix = to_xyz(chromaticities)
    if matrix is None:
        return None
    with np.errstate(all="ignore"):
        adaptation = _to_d50(matrix.sum(axis=1))
        columns = (adaptation @ matrix).T
    if not max(np.abs(columns).max(), np.abs(adaptation).max()) <= _LARGEST:
        return None
    exponent = min(max(curve[0], _SMALLEST_EXPONENT), _LARGEST)
    shape = b"para" + struct.pack(">IHH", 0, _FUNCTIONS[len(curve)], 0) + _numbers(exponent, *curve[1:])
    tags = {
        b"desc": _text(name),
        b"cprt": _text("No copyright"),
        b"wtpt": _XYZ + _numbers(*_D50),
        b"chad": b"sf32\0\0\0\0" + _numbers(*adaptation.flat),
        **{color + b"XYZ": _XYZ + _numbers(*column) for color, column in zip(_COLOURS, columns, strict=True)},
        **{color + b"TRC": shape for color in _COLOURS},
    }
    return _assembled(tags)


def _assembled(tags: dict[bytes, bytes]) -> bytes:
    """The profile file of `tags`; tags with the same content share it."""
    places: dict[bytes, int] = {}
    body, start = b"", 128 + 4 + 12 * len(tags)
    for content in tags.values():
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
    table = b"".join(name + struct.pack(">II", places[content], len(content)) for name, content in tags.items())
    size = start + len(body)
    # A fixed date: the same image gives the same file.
    date = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    header = struct.pack(">I4xI4s4s4s", size, 0x04300000, b"mntr", b"RGB ", b"XYZ ") + date + b"acsp" + bytes(28)
    header += _numbers(*_D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _with_z(point: Matrix) -> Matrix:
    return np.array([*point, 1 - point.sum()])


def _to_d50(white: Matrix) -> Matrix:
    """The matrix that adapts colours seen under `white` (XYZ) to D50, by Bradford's method."""
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    matrix: Matrix = np.linalg.inv(_BRADFORD) @ (gains[:, np.newaxis] * _BRADFORD)
    return matrix


def _numbers(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _text(text: str) -> bytes:
    content = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(content), 28) + content
