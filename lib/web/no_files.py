"""No page accepts files: a form with one is refused at the file's first byte.

`/rmbg` and `/api/batches` have their own parser and never come here. For all others Django would write every file to the
disk, however large, before it checks the form's token: anyone could fill the disk.
"""

from typing import Any, NoReturn

from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParserError


class FilesRefused(MultiPartParserError):
    """The form contains a file. Django answers 400 as for any form that it cannot parse, and reads no further."""


class RefuseFiles(FileUploadHandler):
    """The only upload handler."""

    def new_file(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Called with a file's head, before its content. Raises FilesRefused."""
        raise FilesRefused("this form takes no files")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> NoReturn:
        """Not reached. Raises FilesRefused."""
        raise FilesRefused("this form takes no files")

    def file_complete(self, file_size: int) -> None:
        """Not reached."""
