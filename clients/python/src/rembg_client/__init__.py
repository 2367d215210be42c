"""Removes backgrounds from images, with a server of the self-hosted background-removal platform."""

from rembg_client.async_client import AsyncClient
from rembg_client.callbacks import verify_callback
from rembg_client.client import Client
from rembg_client.errors import (
    ApiError,
    ConnectionFailed,
    FieldProblem,
    InvalidInput,
    InvalidResponse,
    InvalidSignature,
    NotAllowed,
    NotFound,
    OutOfCredits,
    OutputFailed,
    RateLimited,
    Refused,
    RembgError,
    ServerBusy,
    ServerFault,
    TimedOut,
)
from rembg_client.options import BatchOutput, Options
from rembg_client.results import Batch, BillingCycle, Cutout, Foreground, Item, Model, Result, Usage
from rembg_client.version import __version__

__all__ = [
    "ApiError",
    "AsyncClient",
    "Batch",
    "BatchOutput",
    "BillingCycle",
    "Client",
    "ConnectionFailed",
    "Cutout",
    "FieldProblem",
    "Foreground",
    "InvalidInput",
    "InvalidResponse",
    "InvalidSignature",
    "Item",
    "Model",
    "NotAllowed",
    "NotFound",
    "Options",
    "OutOfCredits",
    "OutputFailed",
    "RateLimited",
    "Refused",
    "RembgError",
    "Result",
    "ServerBusy",
    "ServerFault",
    "TimedOut",
    "Usage",
    "__version__",
    "verify_callback",
]
