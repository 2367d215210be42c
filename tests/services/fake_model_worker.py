"""The product's own Celery application with a stand-in for the model: see `slow_model`."""

from celery.signals import import_modules

from config.celery import app

__all__ = ["app"]


@import_modules.connect(weak=False)  # type: ignore[untyped-decorator]
def put_model_in_place(**kwargs: object) -> None:
    """Before the pool's processes are forked, so that they find a loaded model. Django is set up by now."""
    from imaging.executor import runtime
    from tests.services.slow_model import SlowEllipse

    if runtime._model is None:
        runtime._model = SlowEllipse()
