"""The product's own WSGI application with a stand-in for the model: see `slow_model`."""

from config.wsgi import application as product
from imaging import runtime
from tests.services.slow_model import SlowEllipse

model = runtime._model = SlowEllipse()


def application(environ, start_response):
    """The product, with a note of each request."""
    model.note(">")
    return product(environ, start_response)
