"""A stand-in for the model, for tests whose subject is not the matte.

`FAKE_MODEL_SECONDS` is how long a prediction takes, `FAKE_MODEL_SECONDS_PER_MEGAPIXEL` how much longer; `FAKE_MODEL_LOG` a
file that gets a line for each event: `=` a process is up, `>` a request came in, `+` a prediction starts, `-` it ends. Each
has the process and the machine's monotonic clock, which all processes share.
"""

import os
import time

from PIL import Image, ImageDraw

from imaging.core.matting.matte import Prediction


class SlowEllipse:
    """A model with one fixed result that takes its time."""

    name = "ellipse"

    def __init__(self) -> None:
        self.seconds = float(os.environ.get("FAKE_MODEL_SECONDS", "0"))
        self.seconds_per_megapixel = float(os.environ.get("FAKE_MODEL_SECONDS_PER_MEGAPIXEL", "0"))
        # Appending is atomic for lines this short, from any process.
        self.log = os.open(os.environ["FAKE_MODEL_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.note("=")

    def predict(self, image: Image.Image) -> Prediction:
        self.note("+")
        time.sleep(self.seconds + self.seconds_per_megapixel * image.width * image.height / 1e6)
        matte = Image.new("L", image.size)
        ImageDraw.Draw(matte).ellipse((0, 0, image.width - 1, image.height - 1), fill=255)
        self.note("-")
        return Prediction(matte, self.name, 1.0)

    def note(self, event: str) -> None:
        os.write(self.log, f"{event} {os.getpid()} {time.monotonic()}\n".encode())
