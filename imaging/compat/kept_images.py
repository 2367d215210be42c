"""The images that callers of `/v1.0/improve` give to the operator: files in IMPROVE_FOLDER, in a folder for each customer.

Next to each image lies a JSON file with what the caller said of it. Nothing else reads them; the folder is the operator's.
"""

import json
import shutil
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from accounts.models import User
from imaging.core.codecs.checks import MEBIBYTE
from imaging.core.codecs.headers import ImageHeader

DAY_SECONDS = 86_400
_EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp"}


class NoRoom(Exception):
    """The customer has sent as many images as an account may in a day, or the folder is full."""


def is_on() -> bool:
    """Whether the operator collects images."""
    return bool(settings.IMPROVE_FOLDER)


def keep(file: BinaryIO, header: ImageHeader, customer: User, facts: Mapping[str, str]) -> str:
    """Keep a checked image and what its sender said of it. Returns its id.

    Raises NoRoom past IMPROVE_PER_DAY images of the customer in 24 hours, or IMPROVE_MEGABYTES in all. Images sent at the
    same time may exceed either by their number.
    """
    folder = _folder_of(customer)
    folder.mkdir(parents=True, exist_ok=True)
    size = file.seek(0, 2)
    _check_room(folder, size)
    name = str(uuid.uuid4())
    image = folder / f"{name}.{_EXTENSIONS[header.format]}"
    file.seek(0)
    try:
        with image.open("xb") as kept:
            shutil.copyfileobj(file, kept)
        image.with_suffix(".json").write_text(json.dumps({"id": name, "received": int(time.time()), **facts}))
    except BaseException:
        image.unlink(missing_ok=True)
        raise
    return name


def forget_customer(user: User) -> None:
    """Delete all images of a customer."""
    if is_on():
        shutil.rmtree(_folder_of(user), ignore_errors=True)


def _folder_of(customer: User) -> Path:
    return Path(settings.IMPROVE_FOLDER) / str(customer.public_id)


def _check_room(folder: Path, size: int) -> None:
    since = time.time() - DAY_SECONDS
    recent = sum(1 for image in folder.glob("*.json") if image.stat().st_mtime > since)
    total = 0
    for path in Path(settings.IMPROVE_FOLDER).glob("*/*"):
        # It may be deleted at this moment.
        with suppress(OSError):
            total += path.stat().st_size
    if recent >= settings.IMPROVE_PER_DAY or total + size > settings.IMPROVE_MEGABYTES * MEBIBYTE:
        raise NoRoom
