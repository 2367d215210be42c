"""The sample pictures: the front page shows what the service made of them, the editor offers them to try."""

from dataclasses import dataclass

from django.templatetags.static import static
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

_FOLDER = "imaging/samples"


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture. `width` and `height` are those of its JPEG; `widths` those of the WebP files for the front page."""

    name: str
    kind: str | Promise
    label: str | Promise
    width: int
    height: int
    widths: tuple[int, ...]

    @property
    def original(self) -> str:
        """The address of the JPEG: what a visitor sends to try it."""
        return static(f"{_FOLDER}/{self.name}.jpg")

    @property
    def thumb(self) -> str:
        """The address of its thumbnail, 144 × 96."""
        return static(f"{_FOLDER}/{self.name}-thumb.webp")

    @property
    def before(self) -> "Files":
        """The picture."""
        return self._files("")

    @property
    def after(self) -> "Files":
        """Its cutout."""
        return self._files("no-bg-")

    def _files(self, role: str) -> "Files":
        addresses = [static(f"{_FOLDER}/{self.name}-{role}{width}.webp") for width in self.widths]
        candidates = [f"{address} {width}w" for address, width in zip(addresses, self.widths, strict=True)]
        return Files(addresses[0], ", ".join(candidates))


@dataclass(frozen=True, slots=True)
class Files:
    """One picture in its widths, as `<img>` names them."""

    src: str
    srcset: str


# The first one is on the stage when the front page opens.
SAMPLES = (
    Sample("moose", _("Animal"), _("Sample: a moose"), 1024, 683, (480, 640, 1024)),
    Sample("astronaut", _("Person"), _("Sample: an astronaut"), 512, 512, (512,)),
    Sample("coffee", _("Product"), _("Sample: a cup of coffee"), 600, 400, (600,)),
    Sample("motorcycle", _("Vehicle"), _("Sample: a motorcycle"), 640, 427, (640,)),
)
