"""The editor's JPEG encoder against mozjpeg in WebAssembly (@jsquash/jpeg), at 12 megapixels and quality 90.

Prints for each the median time, the bytes, and the mean difference from what the API writes of the same pixels. Both run in
Node, whose engine is Chromium's. Needs Node and `make assets`, which installs the library.
"""

import io
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

SCRIPT = Path(__file__).with_name("encode_jpeg.mjs")
LIBRARY = Path(__file__).parent.parent.parent / "frontend/node_modules/@jsquash/jpeg"
PHOTOGRAPH = Path(__file__).parent.parent.parent / "imaging/static/imaging/samples/coffee.jpg"
SIZE, ROUNDS = (4000, 3000), 5


def main() -> None:
    if not LIBRARY.exists():
        print("Skipped: `make assets` installs the library to compare with.")
        return
    image = Image.open(PHOTOGRAPH).convert("RGBA").resize(SIZE, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=90, subsampling=0)
    expected = np.asarray(Image.open(file), np.int16)
    print(f"{'the API':24}{'':10}{file.tell():>12,} bytes")
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        raw.write_bytes(image.tobytes())
        command = ["node", str(SCRIPT), str(raw), *map(str, SIZE), str(ROUNDS)]
        times = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for name, milliseconds in times.items():
            written = raw.with_name(f"raw.{name}.jpg")
            difference = np.abs(np.asarray(Image.open(written).convert("RGB"), np.int16) - expected).mean()
            took = f"{statistics.median(milliseconds):.0f} ms"
            print(f"{name:24}{took:>10}{written.stat().st_size:>12,} bytes   differs by {difference:.2f} of 255")


if __name__ == "__main__":
    main()
