"""Feeds broken, hostile and huge forms to the form readers of `/rmbg` and `/api/batches`.

    python tests/bench/fuzz_multipart.py [--seconds 600] [--seed N] [--limit 50]

Only an ApiError may be raised, and no form may cost more than `--limit` milliseconds of CPU per megabyte (or part of the
first one). A form that breaks a rule is printed with its number: `--seed N --only NUMBER` runs it again. Exits with 1 if
any did.
"""

import argparse
import gzip
import os
import random
import sys
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MEGABYTE = 1024**2
BIG = 2 * MEGABYTE

BOUNDARIES = [
    b"b",
    b"test-boundary",
    b"-" * 40 + b"17",
    b"x" * 70,
    b"-" * 900,
    b"a b",
    b"\xe9",
    b"'()+_,-./:=?",
    b"\r",
    b'"',
    b"--",
]
NAMES = [
    b"image",
    b"zip",
    b"image_url",
    b"w",
    b"format",
    b"callback_url",
    b"",
    b"n" * 3000,
    b"\xff\xfe",
    b"a\x00b",
    b"%22%0d%0a",
]
DISPOSITIONS = [
    b'form-data; name="%s"; filename="a.png"', b'form-data; name="%s"', b"form-data; name=%s; filename=a.png",
    b"form-data", b'form-data; name="%s"; filename=""', b"form-data; name=\"%s\"; filename*=UTF-8''caf%%C3%%A9.png",
    b"attachment; name=%s", b"form-data; name=\"%s\"; filename*=utf-8'en'%%ff%%00",
    b"form-data; name=\"%s\"; filename*=latin-1''%%E9", b'form-data; name="%s"; filename="a\\"b.png"',
    b'form-data; name="%s"; filename="C:\\\\x\\\\a.png"', b'FORM-DATA ;NAME="%s"',
    b'form-data; name="%s"; filename="a%%22%%0D%%0Ab.png"', b'form-data; name="%s',
    b"form-data; name=\"%s\"; filename*=utf-8''", b'form-data; name="%s"; filename="\xe5\x86\x99.png"',
    b'form-data; name="%s"; filename="\xff.png"', b'form-data; name="%s"; filename="B\xfccher.jpg"',
    b'form-data; name="%s"; filename="\x8e\xca\x90\x5e\x95\x5c"', b"form-data; name='%s'; filename='a b.png'",
    b"form-data; name=%s; filename=my photo.png; x=y", b'form-data; name="%s"; filename="=?utf-8?B?0YTQvtGC0L4uanBn?="',
    b"form-data; name=\"%s\"; filename=\"x.jpg\"; filename*=iso-8859-1''B%%FCcher.jpg",
    b'form-data; name="%s"; filename="=?x?Q?=41_?= =?iso-8859-1*de?q?B=FC?="',
    b"form-data; name=\"%s\"; filename*0*=utf-8''a%%C3; filename*1*=%%A9; filename*2=.png",
    b"form-data; name=\"%s\"; filename*=no-such'x", b'form-data; name="%s"; filename="a"b"; c.png"',
]  # fmt: skip
SOUND_DISPOSITIONS = [*DISPOSITIONS[:6], *DISPOSITIONS[17:24]]
HEADERS = [
    b"Content-Type: image/png", b"Content-Type: application/octet-stream", b"Content-Type: text/plain; charset=utf-16",
    b"Content-Type: multipart/mixed; boundary=inner", b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: quoted-printable", b"Content-Length: 5", b"content-transfer-encoding: BASE64 ",
    b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: x", b"X: " + b"y" * 4000, b"X",
    b": x", b"X : y", b" folded", b"\tfolded", b"Content-Disposition: form-data; name=second", b"\x00: \x00",
    b"Content-Type: " + b";a=\"" * 900, b"X:", b"Content-Type:" + b"; a" * 900,
]  # fmt: skip
CONTENTS = [
    b"", b"5", b"\x89PNG\r\n\x1a\n" + bytes(40), b"\r", b"\n", b"\r\n", b"\r\n--", b"--", b"\x00" * 300, b"\xff" * 20,
    b"1" * 9000, b"https://example.com/a.png", b"PK\x03\x04" + bytes(30), b"PK\x05\x06" + bytes(18), b"\r\n\r\n",
    b"nonsense" * 100, b"\r\r\r\r" * 50, b"iVBORw0KGgo=", b"iVBORw0K\r\nGgo", b"=41=\r\n=\r", b"====",
]  # fmt: skip
# What is repeated to make a form large.
PIECES = [
    b"\r", b"\n", b"\r\n", b"-", b"\r\n-", b"\r\n--", b"\r\n a", b"\r\n\ta:b", b"\r\nX: y", b"; a=b", b'; a="', b'\\"',
    b'; a="\\"', b"%22", b"filename*=utf-8'", b"filename*=utf-8''", b"\x00", b"\xff", b"\xc3", b"a", b" ", b";",
    b"; filename*=utf-8''a", b'"', b"\r\n--b", b"=", b"=?", b"=?a?q?", b"?=", b"\x8e\xca", b"\x8a", b"\x92a", b'";', b'";a=',
    b"\r\n--b \r\n", b"\t", b"\\", b"AAAA", b"=41", b"%", b"'",
]  # fmt: skip
TYPES = [
    b"multipart/form-data; boundary=%s", b'multipart/form-data; boundary="%s"',
    b"Multipart/Form-Data;boundary=%s; charset=latin-1", b"multipart/form-data; charset=utf-16; boundary=%s",
    b"multipart/form-data; boundary=other; boundary=%s", b"multipart/form-data", b"multipart/form-data; boundary=",
    b"multipart/mixed; boundary=%s", b"multipart/form-data; boundary*=utf-8''%s", b"text/plain",
    b"application/x-www-form-urlencoded", b"application/x-www-form-urlencoded; charset=utf-16", b"",
    b"multipart/form-data; boundary='%s'", b"multipart/form-data; charset=shift_jis; boundary=%s ; x",
    b"application/x-www-form-urlencoded; charset=no-such", b"multipart/form-data; boundary=%s" + b"; a=b" * 1500,
]  # fmt: skip
UNPACKING_MS = 150
CODINGS = ["gzip", "deflate", "x-gzip", "br", "utf-8", "gzip, gzip", "identity"]


class Stream:
    """A body that arrives in pieces, and may be cut off."""

    def __init__(self, body: bytes, piece: int, breaks: bool) -> None:
        self.body, self.piece, self.breaks, self.at = body, piece, breaks, 0

    def read(self, size: int = -1) -> bytes:
        """The WSGI signature."""
        wanted = self.piece if size < 0 else min(size, self.piece)
        data = self.body[self.at : self.at + wanted]
        self.at += len(data)
        if not data and self.breaks:
            raise OSError("connection reset")
        return data

    def readline(self, size: int = -1) -> bytes:
        """The WSGI signature."""
        return self.read(size)


@dataclass(slots=True)
class Form:
    """One form to feed: what it declares, and how it arrives."""

    content_type: bytes
    body: bytes
    length: int | None
    piece: int
    breaks: bool
    batch: bool
    # Content-Encoding, and the size in bytes before compression.
    coding: str = ""
    unpacked: int = 0


class Maker:
    """Makes the forms of a seed: form N is the same in every run."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def make(self, number: int) -> Form:
        """Form `number`."""
        rng = random.Random(f"{self.seed}/{number}")  # noqa: S311 - it has to be repeatable
        # Most forms are valid before one thing is broken: a form broken in many places is refused at the first of them.
        sound = rng.random() < 0.6
        boundary = rng.choice(BOUNDARIES[:5] if sound else BOUNDARIES)
        content_type = TYPES[0] if sound or rng.random() < 0.5 else rng.choice(TYPES)
        if b"%s" in content_type:
            content_type %= boundary
        body = self._body(rng, boundary, sound)
        for _ in range(rng.choice([0, 1, 1, 1, 1, 1, 2, 5])):
            body = self._mutated(rng, body)
        body = body[: 3 * MEGABYTE]
        coding, unpacked = "", 0
        if rng.random() < 0.15:
            coding = rng.choice(CODINGS)
            body, unpacked = self._packed(rng, body)
        # Reading byte by byte costs some 5 µs each: large forms would measure nothing else. Behind a server that takes
        # the whole body first, pieces are as large as requested.
        small = len(body) <= 5000
        piece = rng.choice([2**30, 2**30, 1000, 7, 1] if small else [2**30, 2**30, 65536, 1000, 500])
        lengths = [len(body), len(body), None]
        if not sound:
            lengths += [len(body) + 10, max(0, len(body) - 10), 0]
        breaks, batch = rng.random() < 0.05, rng.random() < 0.5
        return Form(content_type, body, rng.choice(lengths), piece, breaks, batch, coding, unpacked)

    def _packed(self, rng: random.Random, body: bytes) -> tuple[bytes, int]:
        """The body in gzip or deflate, possibly broken or expanding far beyond its length; and the original."""
        body += rng.choice([b"", b"", bytes(30 * MEGABYTE)])
        count = rng.choice([1, 1, 1, 2, 5000])
        bits = rng.choice([31, 31, 31, 15, -15])
        packer = zlib.compressobj(rng.choice([0, 1, 9]) if len(body) < MEGABYTE else 1, zlib.DEFLATED, bits)
        packed = packer.compress(body) + packer.flush()
        if count > 2:
            packed, body = packed[:200] + gzip.compress(b"") * count, b""
        packed *= min(count, 2)
        for _ in range(rng.choice([0, 0, 1])):
            packed = self._mutated(rng, packed)
        return packed, len(body) * min(count, 2)

    def _body(self, rng: random.Random, boundary: bytes, sound: bool) -> bytes:
        if rng.random() < 0.05:
            return rng.choice([b"w=1&image_url=x&", b"a=%ff&", b"&", b"=", b"a", b"%"]) * rng.choice([1, 10, 2000, 100_000])
        count = rng.choice([0, 1, 2, 3, 5, 20, 190, 210, 990, 1010])
        parts = [self._part(rng, boundary, sound) for _ in range(min(count, 8))]
        parts = [*parts, *(rng.choice(parts) for _ in range(count - len(parts)))]
        return (
            rng.choice([b"", b"", b"", b"\r\n", b"preamble\r\n"])
            + b"".join(parts)
            + b"--"
            + boundary
            + rng.choice([b"--\r\n", b"--", b"", b"\r\n"])
        )

    def _part(self, rng: random.Random, boundary: bytes, sound: bool) -> bytes:
        disposition, name = rng.choice(DISPOSITIONS), rng.choice(NAMES)
        if sound or rng.random() < 0.3:
            disposition, name = rng.choice(SOUND_DISPOSITIONS), rng.choice(NAMES[:6])
        if b"%s" in disposition:
            disposition %= name
        lines = [b"Content-Disposition: " + disposition]
        lines += rng.choices(HEADERS[:6] if sound else HEADERS, k=rng.choice([0, 0, 1, 2, 7] if sound else [0, 1, 7, 9]))
        rng.shuffle(lines) if rng.random() < 0.2 else None
        end = rng.choice([b"\r\n"] * 9 + [b" \t\r\n"])
        return b"--" + boundary + end + b"\r\n".join(lines) + b"\r\n\r\n" + rng.choice(CONTENTS) + b"\r\n"

    def _mutated(self, rng: random.Random, body: bytes) -> bytes:
        at = rng.randrange(len(body) + 1)
        end = min(len(body), at + rng.choice([1, 2, 10, 100, 5000]))
        match rng.randrange(8):
            case 0:
                return body[:at]
            case 1:
                return body[:at] + body[end:]
            case 2:
                return body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :]
            case 3:
                return body[:at] + rng.choice([*PIECES, *HEADERS, *CONTENTS, *NAMES]) + body[at:]
            case 4:
                return body[:at] + body[at:end] * rng.choice([2, 3, 50]) + body[end:]
            case 5:
                # Into one header of a form.
                at = body.find(
                    rng.choice([b"\r\n\r\n", b"form-data", b"filename", b'"', b";"]), at if rng.random() < 0.5 else 0
                )
                return body[: max(at, 0)] + rng.choice(PIECES) * rng.choice([50, 1000, 4000]) + body[max(at, 0) :]
            case 6:
                piece = rng.choice(PIECES)
                return body[:at] + piece * (rng.choice([2000, BIG]) // len(piece)) + body[at:]
            case _:
                fragment = body[at:end] or b"x"
                return body[:at] + fragment * (BIG // len(fragment)) + body[end:]


class Runner:
    """Feeds forms to the real readers."""

    def __init__(self) -> None:
        from lib.web.errors import ApiError
        from tests.imaging.removal.forms import read_batch, read_form

        self.refusal = ApiError
        self.readers: dict[bool, Callable] = {True: read_batch, False: read_form}

    def feed(self, form: Form) -> tuple[str, float]:
        """The outcome of a form, and the milliseconds of CPU that it took."""
        request = self._request(form)
        started = time.thread_time()
        try:
            with self.readers[form.batch](request):
                outcome = "read"
        except self.refusal as refused:
            assert "Error" not in refused.message, refused.message
            assert "0x" not in refused.message, refused.message
            outcome = f"{refused.status} {refused.code}"
        return outcome, (time.thread_time() - started) * 1000

    def _request(self, form: Form):
        from django.core.handlers.wsgi import WSGIRequest
        from django.test import RequestFactory

        path = "/api/batches" if form.batch else "/rmbg"
        content_type = form.content_type.decode("latin-1")
        environ = RequestFactory().generic("POST", path, b"x", content_type=content_type).environ
        # The server knows the length of a chunked body once it has arrived, and passes on no more than was announced.
        environ["CONTENT_LENGTH"] = str(len(form.body) if form.length is None else form.length)
        if form.coding:
            environ["HTTP_CONTENT_ENCODING"] = form.coding
        body = form.body if form.length is None else form.body[: form.length]
        environ["wsgi.input"] = Stream(body, form.piece, form.breaks)
        return WSGIRequest(environ)


def allowed_ms(form: Form, limit: float) -> float:
    """Milliseconds that a form may take. A packed one may unpack to 32 MB, at 4 ms each, however short it is."""
    return limit * max(1.0, max(len(form.body), form.unpacked) / MEGABYTE) + (UNPACKING_MS if form.coding else 0)


def numbers(only: int | None, seconds: float) -> Iterator[int]:
    """Which forms to run: one, or all until time runs out."""
    if only is not None:
        yield only
        return
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        yield number
        number += 1


def run(seed: int, seconds: float, limit: float, only: int | None = None) -> int:
    """Feed forms; return how many broke a rule."""
    maker, runner = Maker(seed), Runner()
    outcomes: Counter[str] = Counter()
    bad, count, size, slowest = 0, 0, 0, (0.0, 0.0, -1)
    started = time.monotonic()
    for number in numbers(only, seconds):
        form = maker.make(number)
        count, size = count + 1, size + len(form.body)
        try:
            outcome, ms = runner.feed(form)
            # The machine may have been busy: a slow form is slow three times.
            for _ in range(3 if ms > allowed_ms(form, limit) else 0):
                ms = min(ms, runner.feed(form)[1])
        except Exception:
            bad += 1
            print(
                f"form {number}: something else than an ApiError came out\n{traceback.format_exc(limit=-3, chain=False)}",
                flush=True,
            )
            continue
        outcomes[outcome] += 1
        slowest = max(slowest, (ms / allowed_ms(form, 1), ms, number))
        if ms > allowed_ms(form, limit):
            bad += 1
            print(f"form {number}: {ms:.0f} ms for {len(form.body)} bytes, {outcome}, pieces of {form.piece}", flush=True)
    elapsed = time.monotonic() - started
    print(f"{count} forms, {size / MEGABYTE:.0f} MB in {elapsed:.0f} s: {count / elapsed:.0f} a second; seed {seed}")
    print(f"slowest: form {slowest[2]}, {slowest[1]:.1f} ms, {slowest[0]:.1f} ms/MB (limit {limit:g}); {bad} broke a rule")
    print(", ".join(f"{outcome}: {times}" for outcome, times in outcomes.most_common()))
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--limit", type=float, default=50)
    parser.add_argument("--only", type=int, default=None)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    seed = random.SystemRandom().randrange(10**9) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    return 1 if run(seed, arguments.seconds, arguments.limit, arguments.only) else 0


if __name__ == "__main__":
    sys.exit(main())
