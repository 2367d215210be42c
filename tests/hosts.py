"""Test servers on loopback addresses that misbehave on request, and the names that resolve to them."""

import datetime
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Reply = Callable[[str], Iterable[bytes]]


def answer(body: bytes = b"", *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A complete HTTP response. `length` is what its Content-Length claims, the truth by default; -1 leaves it out."""
    announced = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", *headers, *([] if announced < 0 else [f"Content-Length: {announced}"])]
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    """A redirect."""
    return answer(b"", f"Location: {location}", status=status)


class Host:
    """Answers each connection with what `reply` yields for the requested path.

    `requests` are the heads it received, `bodies` what followed each.
    `listens=False` responds before anything is requested.
    """

    def __init__(
        self,
        reply: Reply,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        listens: bool = True,
    ) -> None:
        self.reply, self.tls, self.listens = reply, tls, listens
        self.requests: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._socket = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.port = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def drip(self, *pieces: bytes) -> Iterator[bytes]:
        """The pieces, then one byte at intervals, forever."""
        yield from pieces
        while not self.stopping.wait(0.05):
            yield b"0"

    def stop(self) -> None:
        """Stop accepting and wait for the open connections."""
        self.stopping.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._socket.accept()[0]
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=[connection])
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with suppress(OSError):
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self._converse(connection)
        connection.close()

    def _converse(self, connection: socket.socket) -> None:
        head = b""
        while self.listens and b"\r\n\r\n" not in head:
            if not (data := connection.recv(4096)):
                return
            head += data
        head, _, body = head.partition(b"\r\n\r\n")
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        while length and len(body) < int(length.group(1)):
            if not (data := connection.recv(4096)):
                return
            body += data
        self.requests.append(f"{head.decode()}\r\n\r\n")
        self.bodies.append(body)
        for piece in self.reply(head.split(b" ")[1].decode() if head else ""):
            connection.sendall(piece)
        # Both sides are done once the other one closes: a reset must not overtake the response.
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)


class Names:
    """A resolver: each query for a name gets the next of its answers, the last one repeatedly."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.looked_up: list[str] = []

    def look_up(self, host: str, port: int) -> list[str]:
        """Replaces `lib.outbound.addresses.look_up`."""
        self.looked_up.append(host)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def make_certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for `name`: the file that makes a client trust it, and the server's side."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


def networks(*names: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The value for OUTBOUND_ALLOWED_NETWORKS."""
    return [ipaddress.ip_network(name) for name in names]
