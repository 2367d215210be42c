"""No page takes files: a form that holds one is refused at its first byte.

`/rmbg` and `/api/batches` have a reader of their own and never come here. For all others Django would write every file to
the disk, however large, before it looks at the form's token: anybody could fill the disk.
"""

from typing import Any, NoReturn

from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParserError


class FilesRefused(MultiPartParserError):
    """The form holds a file. Django answers 400 as for any form that it cannot read, and reads no further."""


class RefuseFiles(FileUploadHandler):
    """The one upload handler there is."""

    def new_file(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Called with a file's head, before its content. Raises FilesRefused."""
        raise FilesRefused("this form takes no files")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> NoReturn:
        """Not reached. Raises FilesRefused."""
        raise FilesRefused("this form takes no files")

    def file_complete(self, file_size: int) -> None:
        """Not reached."""
