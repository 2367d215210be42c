"""The walk through a JPEG: its segments up to the first scan, and the scans of a file that has several (T.81, annex B).

Pillow handles each segment in Python, and joins those of EXIF one by one, which is quadratic. libjpeg goes through the whole
image for each scan, however short: 141 bytes cost 0.12 s at 100 megapixels.
"""

import re
import struct
from dataclasses import dataclass

from imaging.core.codecs.exif import MAX_EXIF_BYTES, orientation_of
from imaging.core.codecs.walk import Data, Part, Probe, Walk
from imaging.core.problems import INVALID_IMAGE, ImageRefused, too_complex

# Metadata is in segments of up to 64 kB: 1,000 of them would hold more than the largest file.
MAX_SEGMENTS = 1000
# Bytes between segments that belong to no segment. Some cameras pad with zeros.
MAX_STRAY_BYTES = 64 * 1024
# Four quantisation tables and eight Huffman tables take 3 kB; some encoders repeat them.
MAX_TABLE_BYTES = 64 * 1024
# Encoders write 10, optimising ones up to 20 or so. libjpeg-turbo advises treating more than 100 to 500 as hostile.
MAX_SCANS = 100
# Scans, each counted with the megasamples that it covers. The 10 scans of libjpeg's encoder make 1,400 of 100 megapixels
# with full colour; mozjpeg's make up to 2,000. At the limit libjpeg takes 5 s.
MAX_SCANNED_MEGASAMPLES = 4000

# Seconds, measured on one core of an EPYC: for a megasample, for a megasample of each further scan, for a megabyte of coded
# data. An arithmetic decoder spends time on each coefficient, with or without data.
_SAMPLE, _SCAN, _ARITHMETIC_SCAN, _MEGABYTE = 0.006, 0.0014, 0.01, 0.02

# The profile of a CMYK image is applied, and a hostile one may chain any number of steps, each of them done for the 280,000
# points of a table. One up to this size has some 200 at most; with a larger one the image is decoded in a separate process.
SMALL_PROFILE_BYTES = 16 * 1024
_APPLIED_PROFILE = 1.5

_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)
# The frame types that libjpeg decodes: baseline, extended, progressive, lossless; with Huffman and with arithmetic coding.
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCB}
_PROGRESSIVE = {0xC2, 0xCA}
_ARITHMETIC = {0xC9, 0xCA, 0xCB}
_TABLES = {0xC4, 0xCC, 0xDB, 0xDD}
_APP0, _APP1, _APP2, _APP14, _APP15, _COM, _DNL = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE, 0xDC
# What the decoder needs: how colours are coded, and the colour profile. libjpeg skips segments shorter than the second
# number; Pillow fails.
_KEPT = {_APP0: (b"JFIF\x00", 14), _APP2: (b"ICC_PROFILE\x00", 14), _APP14: (b"Adobe", 12)}
_EXIF = b"Exif\x00\x00"
_LAYERS, _CMYK = (1, 3, 4), 4
_NOT_BEGUN = 16

TOO_MANY_SEGMENTS = too_complex(
    f"This JPEG has more than {MAX_SEGMENTS:,} segments. Save it again without its metadata and try again."
)
TOO_MANY_SCANS = too_complex(f"This JPEG has more than {MAX_SCANS} scans. Save it as a baseline JPEG and try again.")
TOO_MANY_SCANS_FOR_ITS_SIZE = too_complex(
    "This JPEG has too many scans for its size in pixels. Save it as a baseline JPEG and try again."
)

_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
# Within coded data FF is followed by 00 (a stuffed byte) or a restart marker.
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_START_MARKER, _END_MARKER = b"\xff\xd8", b"\xff\xd9"
# Separate patterns: `re` takes seven times as long for a combined one when all bytes are FF.
_START, _END = re.compile(_START_MARKER), re.compile(_END_MARKER)
_TAIL_BYTES = 1024
# Appended to data without an end. Zeros would be codes for empty blocks; this hardly decodes to what libjpeg fills in.
_NOISE = bytes(167 * number % 255 for number in range(1, 255)) + _END_MARKER
# This many blocks of the last row may be missing: one byte holds up to four in a plain area.
_MISSING_BLOCKS = 4


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a SOF segment says. `shares` are each component's samples per pixel, by its id; `block` is the size of a MCU."""

    marker: int
    width: int
    height: int
    layers: int
    shares: dict[int, float]
    block: tuple[int, int]

    @property
    def megapixels(self) -> float:
        return self.width * self.height / 1e6


def walk(data: Data) -> Walk:
    """Walk through a JPEG file. Raises ImageRefused."""
    head = _Head(data)
    frame = head.frame
    if frame is None:
        raise ImageRefused(INVALID_IMAGE)
    first = _components(data, head.scan_start)
    several = frame.marker in _PROGRESSIVE or len(first) < frame.layers
    scans = _Scans(data, head.scan_start, frame)
    # For a single scan libjpeg reads as much as it needs, and refuses a second.
    end, ends = scans.walk() if several else _single_scan(data, head.scan_start)
    scanned = scans.scanned
    samples = frame.megapixels * sum(frame.shares.values())
    scan = _ARITHMETIC_SCAN if frame.marker in _ARITHMETIC else _SCAN
    once = samples * (_SAMPLE + (0 if several or scan == _SCAN else scan))
    seconds = once + scanned * scan + (end - head.scan_start) / 1e6 * _MEGABYTE
    if frame.layers == _CMYK and head.profile_bytes > SMALL_PROFILE_BYTES:
        seconds += _APPLIED_PROFILE
    parts = (*head.parts, (head.scan_start, end))
    orientation = orientation_of(bytes(head.exif))
    if ends:
        return Walk("JPEG", frame.width, frame.height, orientation, seconds, parts)
    if several and not scans.are_complete:
        raise ImageRefused(INVALID_IMAGE)
    width, height = frame.block
    # Within data FF is followed by a byte that does not count.
    stuffing = b"\x00" if data[end - 1] == 0xFF else b""
    probe = Probe((*parts, stuffing, _NOISE), _MISSING_BLOCKS * width, height)
    return Walk("JPEG", frame.width, frame.height, orientation, 2 * seconds, (*parts, _END_MARKER), probe=probe)


class _Head:
    """Everything before the first scan."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.parts: list[Part] = [_START_MARKER]
        self.exif = bytearray()
        self.frame: _Frame | None = None
        self.table_bytes = self.profile_bytes = 0
        self._profile_parts: set[int] = set()
        self.scan_start = self._walk()

    def _walk(self) -> int:
        """Return where the first scan's segment starts."""
        position, stray = 2, 0
        for _ in range(MAX_SEGMENTS):
            found = _MARKER.search(self.data, position, position + MAX_STRAY_BYTES + 2)
            if found is None or (stray := stray + found.start() - position) > MAX_STRAY_BYTES:
                raise ImageRefused(INVALID_IMAGE)
            marker = self.data[found.start() + 1]
            if marker == _SOS:
                return found.start()
            position = found.end()
            if marker != _TEM and marker not in _RESTARTS:
                position = _segment_end(self.data, found.start())
                self._take(marker, found.start(), position)
        raise ImageRefused(TOO_MANY_SEGMENTS)

    def _take(self, marker: int, start: int, end: int) -> None:
        if marker in _FRAMES:
            if self.frame is not None:
                raise ImageRefused(INVALID_IMAGE)
            self.frame = _frame(marker, self.data[start + 4 : end])
        elif marker == _APP1:
            self._take_exif(start + 4, end)
            return
        elif marker in _TABLES:
            self.table_bytes += end - start
            if self.table_bytes > MAX_TABLE_BYTES:
                raise ImageRefused(INVALID_IMAGE)
        elif not self._is_kept(marker, start, end):
            if _is_skipped(marker):
                return
            raise ImageRefused(INVALID_IMAGE)
        elif marker == _APP2:
            self.profile_bytes += end - start
        self.parts.append((start, end))

    def _is_kept(self, marker: int, start: int, end: int) -> bool:
        prefix, size = _KEPT.get(marker, (b"", end))
        payload = self.data[start + 4 : min(end, start + 4 + size)]
        if len(payload) < size or not payload.startswith(prefix):
            return False
        if marker == _APP2:
            # If a part of the profile occurs twice, the first one counts.
            number = payload[12]
            self._profile_parts, is_new = self._profile_parts | {number}, number not in self._profile_parts
            return is_new
        return True

    def _take_exif(self, start: int, end: int) -> None:
        if len(self.exif) < MAX_EXIF_BYTES and self.data[start : start + len(_EXIF)] == _EXIF:
            # A block that does not fit into one segment continues in the next.
            self.exif += self.data[start + len(_EXIF) : end]


def _is_skipped(marker: int) -> bool:
    """Whether libjpeg can skip a segment regardless of its content."""
    return _APP0 <= marker <= _APP15 or marker in (_COM, _DNL)


def _segment_end(data: Data, start: int) -> int:
    """The end of the segment whose marker is at `start`. Raises ImageRefused if it is incomplete."""
    length = int.from_bytes(data[start + 2 : start + 4], "big")
    if length < 2 and _is_skipped(data[start + 1]):
        # libjpeg has read the length, and skips no more.
        length = 2
    end = start + 2 + length
    if length < 2 or end > len(data):
        raise ImageRefused(INVALID_IMAGE)
    return end


def _frame(marker: int, payload: bytes) -> _Frame:
    try:
        bits, height, width, layers = struct.unpack_from(">BHHB", payload)
        components = [struct.unpack_from("3B", payload, 6 + 3 * index) for index in range(layers)]
    except struct.error:
        raise ImageRefused(INVALID_IMAGE) from None
    # Pillow opens no other; a height of zero would be defined after the first scan.
    if bits != 8 or layers not in _LAYERS or not width or not height:
        raise ImageRefused(INVALID_IMAGE)
    sizes = {name: (sampling >> 4) * (sampling & 15) for name, sampling, _ in components}
    # libjpeg refuses factors of 0 and above 4.
    shares = {name: size / max(1, *sizes.values()) for name, size in sizes.items()}
    block = 8 * max(sampling >> 4 for _, sampling, _ in components), 8 * max(sampling & 15 for _, sampling, _ in components)
    return _Frame(marker, width, height, layers, shares, block)


def _components(data: Data, start: int) -> list[int]:
    """The ids of the components in the scan whose segment starts at `start`."""
    header = data[start + 4 : start + 4 + 9]
    count = header[0] if header else 0
    return list(header[1 : 1 + 2 * min(count, 4) : 2])


def _single_scan(data: Data, start: int) -> tuple[int, bool]:
    """Where the image ends, and whether with its marker."""
    tail = data[-_TAIL_BYTES:]
    if tail.endswith(_END_MARKER) and _START_MARKER not in tail:
        # Nearly every file: to search through all of it would take 5 % of the decoder's time.
        return len(data), True
    header = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    end = _END.search(data, header)
    # libjpeg cannot continue past the start of another image.
    other = _START.search(data, header, end.start() if end else len(data))
    if other is not None:
        return other.start(), False
    return (end.end(), True) if end else (len(data), False)


class _Scans:
    """Several scans. `scanned` are the megasamples that they cover together."""

    def __init__(self, data: Data, start: int, frame: _Frame) -> None:
        self.data, self.start, self.frame = data, start, frame
        self.count, self.scanned = 0, 0.0
        # For each component the lowest bits of the 64 coefficients that are still missing.
        self._left = {name: [_NOT_BEGUN] * 64 for name in frame.shares}

    @property
    def are_complete(self) -> bool:
        """Whether each component has been scanned to the last bit."""
        return not any(any(bits) for bits in self._left.values())

    def walk(self) -> tuple[int, bool]:
        """Where the image ends, and whether with its marker. Raises ImageRefused."""
        data, position = self.data, self.start
        for _ in range(MAX_SEGMENTS):
            found = _MARKER_IN_SCAN.search(data, position)
            if found is None:
                return len(data), False
            marker = data[found.start() + 1]
            if marker == _EOI:
                return found.end(), True
            if marker == _SOI or marker in _FRAMES:
                return found.start(), False
            position = found.end()
            if marker == _TEM:
                continue
            if marker == _SOS:
                self._take(found.start())
            length = max(2, int.from_bytes(data[position : position + 2], "big"))
            position = min(found.start() + 2 + length, len(data))
        raise ImageRefused(TOO_MANY_SEGMENTS)

    def _take(self, start: int) -> None:
        names = _components(self.data, start)
        self.count += 1
        self.scanned += self.frame.megapixels * sum(self.frame.shares.get(name, 1.0) for name in names)
        _check_scans(self.count, self.scanned * (_ARITHMETIC_SCAN / _SCAN if self.frame.marker in _ARITHMETIC else 1))
        place = start + 5 + 2 * len(names)
        first, last, approximation = self.data[place : place + 3].ljust(3, b"\xff")
        for name in names:
            if name in self._left and first <= last < 64:
                self._left[name][first : last + 1] = [approximation & 15] * (last + 1 - first)


def _check_scans(scans: int, scanned: float) -> None:
    if scans > MAX_SCANS:
        raise ImageRefused(TOO_MANY_SCANS)
    if scanned > MAX_SCANNED_MEGASAMPLES:
        raise ImageRefused(TOO_MANY_SCANS_FOR_ITS_SIZE)
