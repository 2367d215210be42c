"""Calls the unmodified clients of PyPI, and prints one JSON object per case. It runs in an environment that has only them.

Usage: python python_clients.py KEY PHOTO URL FOLDER. HTTPS_PROXY and REQUESTS_CA_BUNDLE lead them to the product.
"""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEY, PHOTO, URL, FOLDER = sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
TEXT = base64.b64encode(PHOTO.read_bytes()).decode()
OUT = FOLDER / "out.png"


def removebg(name: str, *arguments: str, key: str = KEY) -> None:
    from removebg import RemoveBg

    client = RemoveBg(key, str(FOLDER / "error.log"))
    getattr(client, name)(*arguments)


def removebg_of_a_file() -> None:
    copy = FOLDER / "photo.jpg"
    copy.write_bytes(PHOTO.read_bytes())
    removebg("remove_background_from_img_file", str(copy))
    (FOLDER / "photo.jpg_no_bg.png").rename(OUT)


def rembgpy(name: str, source: str, **options: Any) -> None:
    from rembgpy import RemBg

    getattr(RemBg(KEY, str(FOLDER / "error.log")), name)(source, nfn=str(OUT), **options)


def remove_bg_api() -> None:
    from remove_bg_api import RemoveBg

    client = RemoveBg(KEY)
    before = client.account.balance()
    client.remove_bg_file(str(PHOTO), out_path=str(OUT), size="full", raw=False)
    assert client.account.balance() == before - 1
    assert client.account.free_api_calls() == 0
    client.account.refresh_balance()
    assert client.account.balance() == before - 1, "the product counts as the client does"


def removebg_cli(*arguments: str) -> None:
    command = [str(Path(sys.executable).parent / "removebg"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def removebgplus(name: str, source: str) -> None:
    from removebgplus.removebg import RemoveBg

    getattr(RemoveBg(KEY), name)(source, str(OUT))


CASES: dict[str, Callable[[], None]] = {
    "removebg file": removebg_of_a_file,
    "removebg url": lambda: removebg("remove_background_from_img_url", URL, "regular", str(OUT)),
    "removebg base64": lambda: removebg("remove_background_from_base64_img", TEXT, "hd", str(OUT), "81d4fa"),
    "removebg wrong key": lambda: removebg("remove_background_from_img_url", URL, key="wrong"),
    "rembgpy url": lambda: rembgpy("remove_img", URL, crop="10px", type="person"),
    "rembgpy base64": lambda: rembgpy("remove_b64", TEXT, size="4k", bg="green", bg_type="color"),
    "remove-bg-api": remove_bg_api,
    "removebg-cli file": lambda: removebg_cli(str(PHOTO), "-o", str(OUT), "-s", "preview"),
    "removebg-cli url": lambda: removebg_cli(URL, "-o", str(OUT), "-f", "webp", "-c"),
    "removebg-cli account": lambda: removebg_cli("--account"),
    "removebgplus file": lambda: removebgplus("remove_from_file", str(PHOTO)),
    "removebgplus url": lambda: removebgplus("remove_from_url", URL),
    "removebgplus base64": lambda: removebgplus("remove_from_base64", TEXT),
}

for case, call in CASES.items():
    OUT.unlink(missing_ok=True)
    outcome: dict[str, Any] = {"name": case}
    try:
        call()
    except Exception as error:
        outcome["error"] = str(error) or type(error).__name__
    if OUT.exists():
        outcome["data"] = base64.b64encode(OUT.read_bytes()).decode()
    sys.stdout.write(json.dumps(outcome) + "\n")
