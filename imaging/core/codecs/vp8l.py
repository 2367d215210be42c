"""The lossless half of WebP (VP8L, RFC 9649, section 3) for a single plane of grey or alpha, in numpy.

libwebp spends more on the alpha plane of a cutout than on its colours: two thirds of the time, and 18 bytes of memory a
pixel. A matte is easy to compress, long runs with soft edges between them, and this takes a few strips of memory:
gradient prediction, then literals and runs, then one Huffman code.
"""

import heapq
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.core.canvas import rows_of
from imaging.core.memory import is_large

Ints: TypeAlias = npt.NDArray[np.int64]
Bytes: TypeAlias = npt.NDArray[np.uint8]
# Symbols of the green alphabet, the value of the bits that follow each, and their number.
Tokens: TypeAlias = tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16], Bytes]

_SIGNATURE = 0x2F
_SUBTRACT_GREEN, _PREDICTOR = 2, 0
# Predictor 12 of VP8L is the gradient filter of an ALPH chunk: left + top - top left, clamped.
_GRADIENT_PREDICTOR = 12
_GRADIENT_FILTER = 3
_LOSSLESS_COMPRESSION = 1

_LITERALS = 256
_LENGTH_PREFIXES = 24
_ALPHABET = _LITERALS + _LENGTH_PREFIXES
_MAX_CODE_LENGTH = 15
_MAX_RUN = 4096
# A shorter run is cheaper as literals.
_MIN_RUN = 4

_WORD = 0xFFFF_FFFF
_STRIP_PIXELS = 256 * 1024


def encode_image(plane: Image.Image) -> bytes:
    """The payload of a `VP8L` chunk: `plane` (L, in its own memory) as an opaque grey image."""
    bits = _BitWriter()
    bits.write(_SIGNATURE, 8)
    bits.write(plane.width - 1, 14)
    bits.write(plane.height - 1, 14)
    bits.write(0, 1 + 3)  # no alpha, version 0
    # Red and blue equal green, so subtracting leaves 0; alpha is 255, as predicted. So all three are always 0.
    bits.write(1 | _SUBTRACT_GREEN << 1, 1 + 2)
    bits.write(1 | _PREDICTOR << 1 | 7 << 3, 1 + 2 + 3)  # blocks of 2**(7 + 2) pixels
    _write_predictors(bits)
    bits.write(0, 1)  # no more transforms
    bits.write(0, 1 + 1)  # no colour cache, one set of codes for the whole image
    _write_plane(bits, plane)
    return bits.finish()


def encode_alpha(plane: Image.Image) -> bytes:
    """The payload of an `ALPH` chunk (RFC 9649, section 2.7.1.2): the alpha of `plane` (RGBA, in its own memory)."""
    bits = _BitWriter()
    bits.write(_LOSSLESS_COMPRESSION | _GRADIENT_FILTER << 2, 8)
    bits.write(0, 1 + 1 + 1)  # no transform, no colour cache, one set of codes
    _write_plane(bits, plane)
    return bits.finish()


class _BitWriter:
    """Bits to bytes, the lowest bit first."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        # The bits, fewer than 32, that do not fill a word yet.
        self._rest, self._rest_bits = 0, 0

    def write(self, value: int, count: int) -> None:
        """Append the `count` lowest bits of `value`."""
        self.write_all(np.array([value]), np.array([count]))

    def write_all(self, values: Ints, counts: Ints) -> None:
        """Append the `counts[i]` lowest bits, at most 32, of each `values[i]`, which has no higher ones."""
        ends = np.cumsum(counts) + self._rest_bits
        starts = ends - counts
        words = starts >> 5
        shifted = values.astype(np.uint64) << (starts & 31).astype(np.uint64)
        # All the values that start in one word, added up: their bits do not meet.
        first = np.flatnonzero(np.diff(words, prepend=-1))
        sums = np.zeros(int(ends[-1] >> 5) + 2, np.uint64)
        sums[words[first]] = np.add.reduceat(shifted, first)
        sums[0] += np.uint64(self._rest)
        whole = sums & np.uint64(_WORD)
        whole[1:] += sums[:-1] >> np.uint64(32)
        self._append(whole.astype("<u4"), int(ends[-1]))

    def _append(self, words: npt.NDArray[np.uint32], bits: int) -> None:
        self._bytes += words[: bits >> 5].tobytes()
        self._rest, self._rest_bits = int(words[bits >> 5]), bits & 31

    def finish(self) -> bytes:
        """All that was written, the last byte filled up with zeros."""
        return bytes(self._bytes + self._rest.to_bytes(4, "little")[: -(-self._rest_bits // 8)])


def _write_predictors(bits: _BitWriter) -> None:
    """The predictor image: the same predictor for every block, coded as one symbol, which takes no bits."""
    bits.write(0, 1)  # no colour cache
    _write_one_symbol_code(bits, _GRADIENT_PREDICTOR)
    for _ in ("red", "blue", "alpha", "distance"):
        _write_one_symbol_code(bits, 0)


def _write_one_symbol_code(bits: _BitWriter, symbol: int) -> None:
    bits.write(0b101 | symbol << 3, 1 + 1 + 1 + 8)  # a simple code, one symbol, of 8 bits


def _write_plane(bits: _BitWriter, plane: Image.Image) -> None:
    """The five codes and the pixels. For a large plane the tokens are computed twice, for counting and for writing.

    At 5 bytes each they would not fit in memory together if every pixel were a token.
    """
    kept = None if is_large(plane.size) else list(_tokens(plane))
    counts = np.zeros(_ALPHABET, np.int64)
    # At least two symbols, so the code is always a tree.
    counts[:2] = 1
    for symbols, _, _ in kept or _tokens(plane):
        counts += np.bincount(symbols, minlength=_ALPHABET)
    lengths = _code_lengths(counts)
    _write_code(bits, lengths)
    for _ in ("red", "blue", "alpha"):
        _write_one_symbol_code(bits, 0)
    _write_one_symbol_code(bits, 1)  # the distance to the pixel on the left (code 2 of the table of short distances)
    codes = _reversed_codes(lengths)
    for symbols, extra, extra_bits in kept or _tokens(plane):
        bits.write_all(codes[symbols] | extra.astype(np.int64) << lengths[symbols], lengths[symbols] + extra_bits)


def _tokens(plane: Image.Image) -> Iterator[Tokens]:
    """The tokens of the residuals of `plane`, strip by strip."""
    rows = max(1, _STRIP_PIXELS // plane.width)
    for top in range(0, plane.height, rows):
        yield _runs(_residuals(plane, top, min(top + rows, plane.height)))


def _residuals(plane: Image.Image, top: int, bottom: int) -> Bytes:
    """The gradient predictor's residuals for the rows from `top` to `bottom`, modulo 256, as one row.

    The first row is predicted from the left, the first column from above, the first pixel as 0.
    """
    if top == 0:
        pixels = _rows(plane, 0, bottom)
        pixels = np.concatenate((np.zeros_like(pixels[:1]), pixels))
    else:
        pixels = _rows(plane, top - 1, bottom)
    left, corner, over = pixels[1:, :-1], pixels[:-1, :-1], pixels[:-1, 1:]
    # left + over - corner, held to 0 to 255 at each of its two steps, of which only one is not zero: eight-bit arithmetic,
    # which is five times as fast as wider one.
    highest = np.maximum(over, corner)
    predicted = left + np.minimum(highest - corner, ~left)
    predicted -= np.minimum(predicted, highest - over)
    residuals = pixels[1:].copy()
    residuals[:, 1:] -= predicted
    residuals[:, 0] -= pixels[:-1, 0]
    if top == 0:
        residuals[0, 1:] = pixels[1, 1:] - pixels[1, :-1]
    return residuals.ravel()


def _rows(plane: Image.Image, top: int, bottom: int) -> Bytes:
    """Rows of the grey image or of the alpha, contiguous."""
    rows = rows_of(plane, top, bottom)
    return np.ascontiguousarray(rows[..., 3]) if plane.mode == "RGBA" else rows


def _runs(values: Bytes) -> Tokens:
    """`values` as literals and, for the rest of each long enough run, copies of the pixel on the left."""
    is_literal = np.concatenate(([True], values[1:] != values[:-1]))
    starts = np.flatnonzero(is_literal)
    lengths = np.diff(starts, append=len(values))
    for place in range(1, _MIN_RUN - 1):
        is_literal[starts[(place < lengths) & (lengths < _MIN_RUN)] + place] = True
    is_long = lengths >= _MIN_RUN
    starts, rests = starts[is_long], lengths[is_long] - 1
    copies = -(-rests // _MAX_RUN)
    # Before a run's first copy there are the literals up to its start, and the copies of the runs before.
    copies_before = np.cumsum(copies) - copies
    run, number = np.repeat(np.arange(len(copies)), copies), np.arange(copies.sum())
    places = (starts - (np.cumsum(rests) - rests) + 1)[run] + number
    copied = np.minimum(_MAX_RUN, rests[run] - _MAX_RUN * (number - copies_before[run]))
    return _with_copies(values[is_literal], places, copied)


def _with_copies(literals: Bytes, places: Ints, copied: Ints) -> Tokens:
    """Tokens of `literals`, and at `places` copies of the lengths `copied`."""
    symbols = np.empty(len(literals) + len(places), np.uint16)
    extra, extra_bits = np.zeros(len(symbols), np.uint16), np.zeros(len(symbols), np.uint8)
    is_copy = np.zeros(len(symbols), bool)
    is_copy[places] = True
    symbols[~is_copy] = literals
    prefix, extra[places], extra_bits[places] = (table[copied] for table in _LENGTH_TABLES)
    symbols[places] = _LITERALS + prefix
    return symbols, extra, extra_bits


def _length_tables() -> tuple[Ints, Ints, Ints]:
    """Prefix symbol, value and number of the extra bits for each length of a copy (RFC 9649, section 3.6.2.2)."""
    rest = np.arange(-1, _MAX_RUN)
    rest[0] = 0
    high_bit = np.floor(np.log2(np.maximum(rest, 1))).astype(np.int64)
    extra_bits = np.where(rest < 4, 0, high_bit - 1)
    prefix = np.where(rest < 4, rest, 2 * high_bit + (rest >> np.maximum(high_bit - 1, 0) & 1))
    return prefix, rest & (1 << extra_bits) - 1, extra_bits


_LENGTH_TABLES = _length_tables()


def _code_lengths(counts: Ints) -> Ints:
    """The length of each symbol's Huffman code, 0 for one that does not occur, none over 15 bits."""
    while True:
        lengths = _huffman_depths(counts)
        if lengths.max() <= _MAX_CODE_LENGTH:
            return lengths
        # Makes rare symbols less rare, which costs next to nothing.
        counts = np.where(counts > 0, counts // 2 + 1, 0)


def _huffman_depths(counts: Ints) -> Ints:
    depths = np.zeros(len(counts), np.int64)
    heap = [(int(counts[symbol]), int(symbol), [int(symbol)]) for symbol in np.flatnonzero(counts)]
    heapq.heapify(heap)
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        symbols = first[2] + second[2]
        depths[symbols] += 1
        # The second item only keeps the comparison from reaching the lists: symbols are in one tree each.
        heapq.heappush(heap, (first[0] + second[0], min(first[1], second[1]), symbols))
    return depths


def _reversed_codes(lengths: Ints) -> Ints:
    """The canonical code of each symbol (RFC 1951, section 3.2.2), its first bit lowest."""
    codes = np.zeros(len(lengths), np.int64)
    code = 0
    for length in range(1, _MAX_CODE_LENGTH + 1):
        code <<= 1
        for symbol in np.flatnonzero(lengths == length):
            codes[symbol] = int(f"{code:0{length}b}"[::-1], 2)
            code += 1
    return codes


def _write_code(bits: _BitWriter, lengths: Ints) -> None:
    """A normal code. The lengths are themselves coded; with 4 bits for each of 0 to 15 a length's code is itself."""
    bits.write(0, 1)
    bits.write(19 - 4, 4)
    for length_symbol in (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15):
        bits.write(4 if length_symbol < 16 else 0, 3)
    bits.write(0, 1)  # lengths of all symbols follow
    reversed_lengths = np.array([int(f"{length:04b}"[::-1], 2) for length in range(16)])[lengths]
    bits.write_all(reversed_lengths, np.full(len(lengths), 4))
