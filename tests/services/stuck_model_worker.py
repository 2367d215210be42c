"""`fake_model_worker` with a model that never ends with images of one width, in C, which no signal interrupts."""

from celery.signals import import_modules
from PIL import Image

from config.celery import app
from imaging.core.matting.matte import Prediction
from tests.services.slow_model import SlowEllipse

__all__ = ["app"]

STUCK_WIDTH = 13


class StuckEllipse(SlowEllipse):
    def predict(self, image: Image.Image) -> Prediction:
        if image.width == STUCK_WIDTH:
            self.note("!")
            sum(range(10**15))
        return super().predict(image)


@import_modules.connect(weak=False)  # type: ignore[untyped-decorator]
def put_model_in_place(**kwargs: object) -> None:
    from imaging.executor import runtime

    runtime._model = StuckEllipse()
