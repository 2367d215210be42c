"""The name and look of this deployment: SITE_NAME, SITE_LOGO, SITE_COLOR, SITE_SUPPORT_EMAIL, and what follows from them.

Every page, mail and request to another server takes the name from here. The files that are made from the brand (icons,
preview image, style sheet) are in `website.brand_files`.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from lib.brand.colours import Accents, accents
from lib.brand.logo import Logo, read_logo

# The product's own. frontend/css/tokens.css has the accents of this colour.
DEFAULT_COLOUR = "#3d4fe0"
DEFAULT_LOGO = Path(__file__).parent / "offcut.svg"
# Characters. Longer names do not fit the header of a phone.
MAX_NAME = 40
# Where a brand's files are. Their addresses change with their contents.
FILES = "/brand/"
# The height of the logo in a page's header, in CSS pixels.
HEADER_HEIGHT = 26
# The name in `User-Agent` if SITE_NAME has no ASCII letters.
_NAMELESS = "background-removal"


@dataclass(frozen=True, slots=True)
class Brand:
    """How this deployment presents itself.

    `has_own_colour`: the accents are not those of the pages' style sheet. `digest` changes with what files are made from.
    """

    name: str
    logo: Logo
    light: Accents
    dark: Accents
    has_own_colour: bool
    digest: str

    @property
    def header_size(self) -> tuple[int, int]:
        """Width and height of the logo in a page's header, in CSS pixels."""
        return round(HEADER_HEIGHT * self.logo.ratio), HEADER_HEIGHT

    @property
    def support_email(self) -> str:
        """Where customers write to; empty if the operator has named no address."""
        address: str = settings.SITE_SUPPORT_EMAIL
        return address


def current() -> Brand:
    """The brand that the settings describe. Raises BadColour and BadLogo, which the system checks have reported before."""
    return _make(settings.SITE_NAME, logo_path(settings.SITE_LOGO), settings.SITE_COLOR, _release())


def context(request: object) -> dict[str, Any]:
    """A context processor: `brand`, for every template."""
    return {"brand": current()}


def logo_path(setting: str) -> Path:
    """Where SITE_LOGO is, seen from the folder of `manage.py`; the product's own logo if it is empty."""
    return Path(settings.BASE_DIR, setting) if setting else DEFAULT_LOGO


def user_agent() -> str:
    """What other servers are called with: the name, and where its owner is to be found if PUBLIC_URL is set."""
    ascii_name = unicodedata.normalize("NFKD", settings.SITE_NAME).encode("ascii", "ignore").decode()
    product = re.sub(r"[^A-Za-z0-9.-]+", "-", ascii_name).strip("-.") or _NAMELESS
    return f"{product} (+{settings.PUBLIC_URL})" if settings.PUBLIC_URL else product


def _release() -> str:
    return str(settings.SPECTACULAR_SETTINGS["VERSION"])


@lru_cache(maxsize=4)
def _make(name: str, logo: Path, colour: str, release: str) -> Brand:
    image = read_logo(logo)
    light, dark = accents(colour or DEFAULT_COLOUR)
    if logo == DEFAULT_LOGO:
        image = replace(image, data=image.data.replace(DEFAULT_COLOUR.encode(), light.accent.encode()))
    # The release: it may draw the same brand differently.
    digest = hashlib.sha256("\0".join((name, colour, release)).encode() + image.data).hexdigest()[:16]
    return Brand(name, image, light, dark, bool(colour), digest)
