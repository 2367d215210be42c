"""The form of `/v1.0/`: text fields and images, multipart, urlencoded or JSON."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework.parsers import BaseParser

from imaging.compat.bodies import FieldReader, read_json, read_urlencoded
from imaging.compat.encoded import EncodedImage
from imaging.core.codecs.checks import MAX_BYTES
from imaging.core.problems import Problem
from imaging.removal.forms import ImageFile, UploadForm, new_file
from imaging.removal.refusals import BodyTooLarge
from imaging.removal.upload import MAX_PARTS, read_body
from lib.web.request_body import DRAIN_BYTES

FILE, ENCODED, URL, BACKGROUND, BACKGROUND_URL = (
    "image_file", "image_file_b64", "image_url", "bg_image_file", "bg_image_url",
)  # fmt: skip
SOURCES = FILE, ENCODED, URL
# Base64 of the largest image with line breaks, and room for the other fields.
MAX_KEPT_OF_PART = int(1.4 * MAX_BYTES) + 1024**2


class CompatForm(UploadForm):
    """The form: its text fields, and its non-empty images by field. `damaged` has the fields that are not base64."""

    def __init__(self) -> None:
        super().__init__()
        self.images: dict[str, ImageFile] = {}
        self.damaged: set[str] = set()

    def text(self, field: str) -> str:
        """The text of a field without white space around it; empty if it is unset."""
        return self.get(field, "").strip()

    def sources(self, names: tuple[str, ...]) -> list[str]:
        """Those of the fields `names` that hold an image or an address."""
        return [name for name in names if name in self.images or name in self.damaged or self.text(name)]

    def close(self) -> None:
        for image in self.images.values():
            image.file.close()


class CompatParser(BaseParser):
    """Parses the form, of any content type that remove.bg documents. No image is judged by its name or its part's type."""

    media_type = "*/*"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> CompatForm:
        """Read the request's body.

        Raises UnsupportedMediaType or UnsupportedCoding; MalformedForm for a body that does not match its headers;
        BodyTooLarge. A file over the limit is counted, not kept.
        """
        request = (parser_context or {})["request"]
        form = CompatForm()
        reader = _CompatReader(form)
        try:
            is_whole = read_body(
                request,
                reader,
                max_parts=MAX_PARTS,
                max_bytes=DRAIN_BYTES,
                max_unpacked=DRAIN_BYTES,
                plain_readers=_READERS,
            )
            reader.drop_unused()
            if not is_whole and all(image.size <= MAX_BYTES for image in form.images.values()):
                raise BodyTooLarge
        except BaseException:
            reader.drop_unused()
            form.close()
            raise
        return form


class _CompatReader(FieldReader):
    """Stores the fields of a form: the first non-empty one of each image, and the text fields. Drops all others."""

    # In multipart, base64 comes piece by piece as files do.
    file_fields: ClassVar[tuple[str, ...]] = (FILE, BACKGROUND, ENCODED)
    pure_files: ClassVar[tuple[str, ...]] = file_fields

    def __init__(self, form: CompatForm) -> None:
        super().__init__()
        self.form = form
        self.sink: ImageFile | None = None
        self.decoder: EncodedImage | None = None

    def begin_file(self, filename: str) -> None:
        self.drop_unused()
        if self.name == ENCODED:
            self.begin_text(ENCODED)
        elif self.name not in self.form.images:
            self.sink = _new_image()

    def take_bytes(self, data: bytes) -> None:
        if self.decoder:
            self.decoder.take(data)
        elif self.sink:
            self.sink.write(data)

    def end_file(self) -> None:
        if self.decoder:
            self.end_text()
        else:
            self._keep(self.name)

    def has_enough(self) -> bool:
        return self.sink is not None and self.sink.size > MAX_BYTES

    def is_streamed(self, name: str) -> bool:
        return name == ENCODED

    def begin_text(self, name: str) -> None:
        self.drop_unused()
        self.sink = _new_image()
        self.decoder = EncodedImage(self.sink)

    def take_piece(self, data: bytes) -> None:
        if self.decoder:
            self.decoder.take(data)

    def end_text(self) -> None:
        decoder, self.decoder = self.decoder, None
        if decoder is None:
            return
        decoder.end()
        if decoder.is_damaged:
            self.form.damaged.add(ENCODED)
            self.drop_unused()
        elif ENCODED not in self.form.images:
            self._keep(ENCODED)

    def take_text(self, name: str, text: str) -> None:
        if name == ENCODED and text.strip():
            # A value of JSON that is no text.
            self.form.damaged.add(ENCODED)
        elif name not in self.file_fields:
            # A text cannot be the image that a file field is for.
            self.form[name] = text

    def drop_unused(self) -> None:
        """Delete the file of a field that is empty or incomplete."""
        if self.sink:
            self.sink.file.close()
        self.sink = self.decoder = None

    def _keep(self, name: str) -> None:
        if self.sink and self.sink.size:
            self.form.images[name], self.sink = self.sink, None
        self.drop_unused()


def _new_image() -> ImageFile:
    # As one that was fetched: its name proves nothing.
    return ImageFile("image", new_file(), fetched=True)


_READERS = {
    "": read_urlencoded,
    "application/x-www-form-urlencoded": read_urlencoded,
    "application/json": read_json,
}


def find_damage(form: CompatForm) -> list[Problem]:
    """The problem of base64 that is none."""
    message = f"'{ENCODED}' is not valid base64."
    return [Problem(ENCODED, "unreadable_image", message)] if form.damaged else []
