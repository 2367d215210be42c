"""A CONNECT proxy that leads `api.remove.bg:443` to the product: it ends the TLS, with a certificate of the tests."""

import socket
import ssl
import threading
from contextlib import suppress


class Proxy:
    """Answers CONNECT for one host alone; all others get a 403. `refused` are the addresses of those."""

    def __init__(self, host: str, tls: ssl.SSLContext, product_port: int) -> None:
        self.host, self.tls, self.product_port = host, tls, product_port
        self.refused: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def stop(self) -> None:
        """Stop accepting, and wait for the open connections."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                thread = threading.Thread(target=self._serve, args=[self._socket.accept()[0]])
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(60)
        with connection, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            target = head.split(b" ")[1].decode()
            if target != f"{self.host}:443":
                self.refused.append(target)
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with (
                self.tls.wrap_socket(connection, server_side=True) as client,
                socket.create_connection(("127.0.0.1", self.product_port)) as product,
            ):
                back = threading.Thread(target=_copy, args=[product, client])
                back.start()
                _copy(client, product)
                back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
