"""One request as it arrives. Stricter than waitress's own parser, which it replaces: input that two servers could read
differently is refused, every length is bounded, and every regular expression runs in linear time."""

import io
import re
import time
from typing import Any, BinaryIO

from django.conf import settings
from waitress.parser import HTTPRequestParser, unquote_bytes_to_wsgi

from lib.web import header_parameters
from lib.web.errors import ApiError, is_full_disk
from lib.web.server import budgets, client, uploads
from lib.web.server.bodies import ChunkedFraming, FixedFraming, Store
from lib.web.server.refusals import Refused, server_error
from lib.web.server.uploads import SMALL_BODY_BYTES, UNCHECKED_BYTES, Verdict

# Bytes. The request line and a field have the same bounds as with gunicorn.
MAX_REQUEST_LINE = 4094
MAX_FIELD = 8190
MAX_FIELDS = 100
MAX_HEADER = 64 * 1024
REQUEST_LINE = re.compile(rb"([!$%&'*+\-.^_`|~0-9A-Z]{3,20}) ([\x21-\x7e]+) HTTP/(1\.[01])")
TARGET = re.compile(rb"(?:https?://[^/?#]+)?(/[^?#]*)?(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE)
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)")
LENGTH = re.compile(r"[0-9]{1,18}")
# RFC 2046, 5.1.1.
MAX_BOUNDARY = 70
# A second one would make it ambiguous which of the two counts.
SINGLE_FIELDS = {"HOST", "CONTENT_TYPE", "CONTENT_LENGTH", "TRANSFER_ENCODING"}
PATH_GUESS = re.compile(rb"\s*\S+ (?:https?://[^/\s]*)?(/[^?#\s]*)")
# Two images of the largest size, and the form around them.
KEPT_PARTS = 2


class RequestParser(HTTPRequestParser):  # type: ignore[misc]  # untyped
    """A request, from its first byte until it has been answered.

    `error` is what the server answers instead of the application. `verdict` is what `check_sender` found out about the
    sender of a large body, and `is_waiting` whether the body must wait for it. While `is_discarding`, bytes are dropped.
    """

    error: ApiError | None
    headers_finished: bool
    header_plus: bytes
    # The address at the other end of the connection.
    peer = ""

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.path = "/"
        self.command, self.query, self.request_uri = "GET", "", ""
        self.upload: uploads.Upload | None = None
        self.verdict: Verdict | None = None
        self.is_judging = False
        self.is_cut = False
        self.discarding_since: float | None = None
        self.received_bytes = 0
        self._store: Store | None = None
        self._framing: FixedFraming | ChunkedFraming | None = None
        self._may_be_preceded_by_a_blank_line = True

    def received(self, data: bytes) -> int:
        """Take the next bytes of the connection. Returns how many of them belong to this request."""
        if self.completed:
            return 0
        try:
            return self._take_body(data) if self.headers_finished else self._take_header(data)
        except Refused as refused:
            self.refuse(refused.error)
        return len(data)

    # --- State ------------------------------------------------------------------------------------

    @property
    def is_framed(self) -> bool:
        """Whether the whole request has been received, so that another may follow on the connection."""
        return self.headers_finished and (self._framing is None or self._framing.is_complete)

    @property
    def is_discarding(self) -> bool:
        return self.discarding_since is not None

    @property
    def has_begun(self) -> bool:
        """Whether more than a blank line has arrived."""
        return self.headers_finished or bool(self.header_plus.strip())

    @property
    def needs_verdict(self) -> bool:
        """Whether the sender should be checked before more of the body is taken."""
        if self.upload is None or self.verdict is not None or self.completed or self.is_discarding:
            return False
        return self.content_length > UNCHECKED_BYTES or self.received_bytes > UNCHECKED_BYTES

    @property
    def is_waiting(self) -> bool:
        """Whether nothing more may be taken until the sender has been checked."""
        return self.needs_verdict and self.received_bytes >= UNCHECKED_BYTES

    @property
    def refusal(self) -> ApiError | None:
        """The error that the application would give in any case."""
        return self.verdict.refusal if self.verdict else None

    def refuse(self, error: ApiError) -> None:
        """Answer with an error. The rest of a body is dropped first: many clients read only after sending all of it."""
        if self.upload is not None and error.status == 400:
            # As the application words it for a malformed body.
            error = ApiError("malformed_form", reason=error.message)
        self.error = error
        self._drop()
        if self.headers_finished and error.status in (413, 503, 507):
            self._discard()
        else:
            self.completed = True

    def sender_checked(self, verdict: Verdict) -> None:
        """Apply the verdict on the sender."""
        self.verdict, self.is_judging = verdict, False
        if self.completed or self.is_discarding:
            return
        if verdict.refusal is not None:
            self._drop()
            self._discard()
        elif verdict.holder is not None and self._store is not None:
            try:
                self._store.hand_to(budgets.customer_bodies(), verdict.holder)
            except Refused as refused:
                self.refuse(refused.error)

    def tick(self, now: float) -> None:
        """Stop discarding after WEB_DRAIN_SECONDS."""
        if self.discarding_since is not None and now - self.discarding_since > settings.WEB_DRAIN_SECONDS:
            self.completed = True

    # --- For the application ----------------------------------------------------------------------

    def get_body_stream(self) -> BinaryIO:
        """The body from its beginning."""
        if self._store is None or self.refusal is not None:
            self.headers["CONTENT_LENGTH"] = self.headers.get("CONTENT_LENGTH", "0") if self.is_cut else "0"
            return io.BytesIO()
        stream = self._store.open()
        if not self.is_cut or not self.content_length:
            self.headers["CONTENT_LENGTH"] = str(self._store.size)
        return stream

    def close(self) -> None:
        """Release the body."""
        self._drop()

    def _drop(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _discard(self) -> None:
        self.discarding_since = time.monotonic()
        # A client that still waits for "100 Continue" has sent no body, so there is nothing to drain.
        self.completed = self.is_framed or self.expect_continue

    # --- Header -----------------------------------------------------------------------------------

    def _take_header(self, data: bytes) -> int:
        before = len(self.header_plus)
        head = self.header_plus + data
        if self._may_be_preceded_by_a_blank_line and len(head) >= 2:
            # Some clients end a form with a line break outside its Content-Length (RFC 9112, 2.2).
            self._may_be_preceded_by_a_blank_line = False
            if head.startswith(b"\r\n"):
                head, before = head[2:], before - 2
        self.header_plus = head[: MAX_HEADER + 1]
        end = head.find(b"\r\n\r\n", 0, MAX_HEADER)
        block = head[:end] if end >= 0 else head
        if block.count(b"\n") != block.count(b"\r\n"):
            raise Refused(400, "The request holds a line that does not end with CR and LF.")
        first = block.find(b"\r\n")
        if (first if first >= 0 else len(block)) > MAX_REQUEST_LINE:
            raise Refused(414)
        if end < 0 and len(head) > MAX_HEADER:
            raise Refused(431)
        if end < 0:
            return len(data)
        self.parse_header(block)
        self.headers_finished = True
        try:
            self._begin_body()
        except Refused as refused:
            self.refuse(refused.error)
        return end + 4 - before

    def parse_header(self, block: bytes) -> None:
        """Parse the request line and fields. Raises Refused."""
        line, *fields = block.split(b"\r\n")
        found = REQUEST_LINE.fullmatch(line)
        if found is None:
            raise Refused(400, "The request line is malformed.")
        self.first_line = line
        self.command, target, self.version = found[1].decode(), found[2], found[3].decode()
        self._parse_target(target)
        if len(fields) > MAX_FIELDS:
            raise Refused(431)
        for field in fields:
            self._parse_field(field)
        self._parse_connection()
        self._parse_framing()

    def _parse_target(self, target: bytes) -> None:
        found = TARGET.fullmatch(target)
        if target == b"*" and self.command == "OPTIONS":
            path, query = b"*", b""
        elif found is None or target[:1] in (b"?", b"#"):
            raise Refused(400, "The address is malformed.")
        else:
            path, query = found[1] or b"/", found[2] or b""
        self.path, self.query = unquote_bytes_to_wsgi(path), query.decode("latin-1")
        self.request_uri = target.decode("latin-1")
        self.url_scheme = self.adj.url_scheme

    def _parse_field(self, field: bytes) -> None:
        if len(field) > MAX_FIELD:
            raise Refused(431)
        found = FIELD.fullmatch(field)
        if found is None:
            raise Refused(400, "A header is malformed.")
        # `X_Forwarded_For` would become the same variable as `X-Forwarded-For`, and proxies let it through.
        if b"_" in found[1]:
            return
        name, value = found[1].upper().replace(b"-", b"_").decode(), found[2].strip(b" \t").decode("latin-1")
        if name not in self.headers:
            self.headers[name] = value
        elif name in SINGLE_FIELDS:
            raise Refused(400, "A header that may come once came twice.")
        else:
            self.headers[name] += f", {value}"

    def _parse_connection(self) -> None:
        tokens = {token.strip().lower() for token in self.headers.get("CONNECTION", "").split(",")}
        stays = "close" not in tokens and (self.version == "1.1" or "keep-alive" in tokens)
        self.connection_close = not stays
        # waitress looks for exactly these values.
        self.headers["CONNECTION"] = "keep-alive" if stays else "close"

    def _parse_framing(self) -> None:
        coding, length = self.headers.pop("TRANSFER_ENCODING", None), self.headers.get("CONTENT_LENGTH")
        if coding is not None:
            codings = [name.strip().lower() for name in coding.split(",")]
            if set(codings) - {"chunked", "identity"}:
                raise Refused(501)
            if codings != ["chunked"] or length is not None or self.version != "1.1":
                raise Refused(400, "The length of the body is ambiguous.")
            self.chunked = True
        elif length is not None and not LENGTH.fullmatch(length):
            raise Refused(400, "The length of the body is malformed.")
        self.content_length = int(length or 0)
        expected = self.headers.get("EXPECT")
        if expected is not None and expected.lower() != "100-continue":
            raise Refused(417)
        self.expect_continue = expected is not None and self.version == "1.1" and (self.chunked or self.content_length > 0)

    # --- Body -------------------------------------------------------------------------------------

    def _begin_body(self) -> None:
        if not self.chunked and not self.content_length:
            self.completed = True
            return
        self._framing = ChunkedFraming() if self.chunked else FixedFraming(self.content_length)
        self.upload = uploads.find(self.command, self.path)
        if self.content_length > SMALL_BODY_BYTES and self.upload is None:
            raise Refused(413)
        if self.upload and self.upload.refuses_by_length and self.content_length > self.upload.max_bytes:
            self.is_cut = True
            self._discard()
        else:
            self._store = self._new_store()

    def _new_store(self) -> Store:
        kept = self.upload.kept_of_part if self.upload else None
        boundary = header_parameters.parse(self.headers.get("CONTENT_TYPE", ""))[1].get("boundary", "")
        # A compressed body has no visible boundaries, and must be kept whole.
        has_parts = 0 < len(boundary) <= MAX_BOUNDARY and "CONTENT_ENCODING" not in self.headers
        delimiter = b"\r\n--" + boundary.encode("latin-1") if kept and has_parts else b""
        most = kept * KEPT_PARTS + SMALL_BODY_BYTES if kept else None
        return Store(budgets.visitor_bodies(), self.caller_address(), delimiter=delimiter, kept_of_part=kept, max_kept=most)

    def _take_body(self, data: bytes) -> int:
        carried, used = self._framing.take(data) if self._framing else (b"", 0)
        self.received_bytes += len(carried)
        self.completed = self.is_framed
        if not self.is_discarding:
            self._keep(carried)
        return used

    def _keep(self, carried: bytes) -> None:
        try:
            self._take_carried(carried)
        except Refused as refused:
            self.refuse(refused.error)
        except OSError as error:
            if not is_full_disk(error):
                raise
            self.refuse(server_error(507))

    def _take_carried(self, carried: bytes) -> None:
        limit = self.upload.max_bytes if self.upload else SMALL_BODY_BYTES
        if self.received_bytes > limit and self.upload is None:
            raise Refused(413)
        if self._store is not None:
            self._store.append(carried)
        if self.received_bytes > limit:
            self.is_cut = True
            self._discard()

    def caller_address(self) -> str:
        """The address that the request counts against, once its headers are known."""
        return client.forwarded_address(self.headers, self.peer) if settings.TRUSTED_PROXY_COUNT else self.peer

    def guess_path(self) -> str:
        """The path, as far as it was read, for an error in the header itself."""
        if self.headers_finished:
            return self.path
        found = PATH_GUESS.match(self.header_plus)
        return unquote_bytes_to_wsgi(found[1]) if found else "/"
