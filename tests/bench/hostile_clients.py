"""The attackers of `soak_hostile`, in a separate process so that they do not slow the customer's clock down.

    python -m tests.bench.hostile_clients PLAN

`PLAN` is JSON: `port`, `keys` of the attackers' own accounts, `addresses` they connect from, `seconds`, how many of each
kind, and the folder that holds the hostile images. Prints one JSON object at the end: the outcomes of their requests.
"""

import asyncio
import json
import os
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

BOUNDARY = "hostile"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
# What one slow connection sends or reads at a time, and how often.
DRIBBLE_SECONDS = 2.0
# A slow reader's window: the kernel accepts little more than this of a response in advance.
RECEIVE_BYTES = 4096
# Between two attempts of one attacker, so that the number of connections stays as planned.
PAUSE_SECONDS = 0.2
ANSWER_SECONDS = 120.0
# The largest result of a small image: 10000 by 10000 pixels in BMP, 300 MB.
HUGE = {"w": "10000", "h": "10000", "exact_resize": "true", "format": "bmp"}
SWAGGER = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Attack:
    """Everything the attackers share."""

    port: int
    keys: list[str]
    addresses: list[str]
    ends: float
    random: random.Random
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends

    async def connect(self, number: int, *, window: int | None = None) -> Streams:
        """A connection from the next address in turn."""
        address = self.addresses[number % len(self.addresses)]
        options: dict[str, Any] = {} if window is None else {"limit": window}
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0), **options), 10
        )
        if window is not None:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        return reader, writer

    def credential(self, number: int) -> str:
        """A header line: one of the keys, an invalid key, or nothing."""
        choices = [*(f"x-api-key: {key}\r\n" for key in self.keys), "x-api-key: rmbg_nope\r\n", ""]
        return choices[number % len(choices)]


def body(image: bytes, **fields: str) -> bytes:
    """A form with one image and text fields."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'.encode()
    return b"".join([*parts, head, image, f"\r\n--{BOUNDARY}--\r\n".encode()])


def post(path: str, length: int, *lines: str, content_type: str = FORM) -> bytes:
    """The head of a POST of `length` bytes; `lines` end in CRLF."""
    own = f"Host: 127.0.0.1\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n"
    return f"POST {path} HTTP/1.1\r\n{own}{''.join(lines)}\r\n".encode()


async def slow_headers(attack: Attack, number: int) -> None:
    """A request whose head never ends."""
    await dribble(attack, number, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"X-a: b\r\n")


async def slow_body(attack: Attack, number: int) -> None:
    """A request whose body never ends: uploads with and without a key, forms, and a GET."""
    start = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'.encode()
    heads = [
        post("/rmbg", 1_000_000, attack.credential(number)) + start,
        post("/api/batches", 50_000_000, attack.credential(number)) + start,
        post("/accounts/login/", 100_000, content_type="application/x-www-form-urlencoded"),
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n",
    ]
    await dribble(attack, number, heads[number % len(heads)], b"a")


async def dribble(attack: Attack, number: int, start: bytes, piece: bytes) -> None:
    """Send `start`, then `piece` at intervals, until the server closes the connection."""
    reader, writer = await attack.connect(number)
    try:
        writer.write(start)
        while not attack.is_over:
            await writer.drain()
            with suppress(TimeoutError):
                if not await asyncio.wait_for(reader.read(65536), DRIBBLE_SECONDS):
                    return
            writer.write(piece)
    finally:
        writer.close()


async def slow_reader(attack: Attack, number: int) -> None:
    """A client that asks for a lot and reads it a few kilobytes at a time: a result of 300 MB, or a large file."""
    reader, writer = await attack.connect(number, window=RECEIVE_BYTES)
    try:
        if number % 2:
            writer.write(f"GET {SWAGGER} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        else:
            sent = body(small_image(), **HUGE)
            writer.write(post("/rmbg", len(sent), attack.credential(number // 2)) + sent)
        await writer.drain()
        while not attack.is_over:
            with suppress(TimeoutError):
                if not await asyncio.wait_for(reader.read(RECEIVE_BYTES), ANSWER_SECONDS):
                    return
            await asyncio.sleep(DRIBBLE_SECONDS)
    finally:
        writer.close()


def thrower(files: list[Path]) -> Callable[[Attack, int], Awaitable[None]]:
    """Attackers who send hostile images as quickly as they get responses."""

    async def throw(attack: Attack, number: int) -> None:
        file = attack.random.choice(files)
        image = file.read_bytes()
        sent = body(image)
        reader, writer = await attack.connect(attack.random.randrange(len(attack.addresses)))
        try:
            writer.write(post("/rmbg", len(sent), attack.credential(attack.random.randrange(5)), "Connection: close\r\n"))
            writer.write(sent)
            answer = await asyncio.wait_for(reader.readline(), ANSWER_SECONDS)
            attack.outcomes[f"bomb {answer.split(b' ')[1].decode() if b' ' in answer else 'closed'}"] += 1
            await asyncio.wait_for(reader.read(), ANSWER_SECONDS)
        finally:
            writer.close()

    return throw


def small_image() -> bytes:
    """64 × 64 pixels."""
    buffer = BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, "PNG")
    return buffer.getvalue()


async def again_and_again(attack: Attack, name: str, act: Callable[[Attack, int], Awaitable[None]], number: int) -> None:
    """One attacker: as soon as one attempt ends, the next begins."""
    await asyncio.sleep(attack.random.random() * 2)
    while not attack.is_over:
        try:
            await act(attack, number)
            attack.outcomes[f"{name} ended"] += 1
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            attack.outcomes[f"{name} cut off"] += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def run(plan: dict[str, Any]) -> Counter[str]:
    """All attackers at once, until their time is up."""
    chance = random.Random(plan["seed"])  # noqa: S311 - a seeded one, so that a run can be repeated
    attack = Attack(plan["port"], plan["keys"], plan["addresses"], time.monotonic() + plan["seconds"], chance)
    kinds: dict[str, tuple[int, Callable[[Attack, int], Awaitable[None]]]] = {
        "slow headers": (plan["slow_headers"], slow_headers),
        "slow body": (plan["slow_bodies"], slow_body),
        "slow reader": (plan["slow_readers"], slow_reader),
        "bomb": (plan["throwers"], thrower(sorted(Path(plan["folder"]).iterdir()))),
    }
    attackers = [
        asyncio.create_task(again_and_again(attack, name, act, number))
        for name, (count, act) in kinds.items()
        for number in range(count)
    ]
    _, late = await asyncio.wait(attackers, timeout=plan["seconds"] + 5)
    for attacker in late:
        attacker.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return attack.outcomes


if __name__ == "__main__":
    # Real attackers use their own machines. Here they send as quickly as the server leaves them CPU time.
    os.nice(10)
    json.dump(asyncio.run(run(json.loads(sys.argv[1]))), sys.stdout)
