"""A client that sends exactly the bytes that it is given and shows exactly the bytes that come back."""

from __future__ import annotations

import json as json_module
import socket
import struct
import threading
from collections.abc import Iterable, Mapping

from .message import Headers, Reader, Response, Truncated, read_response_body, read_response_head
from .wait import DEADLINE

Fields = Mapping[str, str] | Iterable[tuple[str, str]]

DEFAULT_HOST = "gateway.test"


def pairs_of(fields: Fields | None) -> list[tuple[str, str]]:
    if fields is None:
        return []
    return list(fields.items()) if isinstance(fields, Mapping) else list(fields)


def request_bytes(method: str, target: str, headers: Fields | None = None, body: bytes | Iterable[bytes] | None = None,
                  version: str = "HTTP/1.1") -> bytes:
    """One request. A body of bytes gets a Content-Length, any other iterable goes out as chunks."""
    fields = pairs_of(headers)
    names = {name.lower() for name, _ in fields}
    if "host" not in names:
        fields.insert(0, ("Host", DEFAULT_HOST))
    payload = b""
    if isinstance(body, bytes):
        payload = body
        if "content-length" not in names:
            fields.append(("Content-Length", str(len(body))))
    elif body is not None:
        payload = chunked(body)
        fields.append(("Transfer-Encoding", "chunked"))
    lines = [f"{method} {target} {version}"] + [f"{name}: {value}" for name, value in fields]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + payload


def chunked(pieces: Iterable[bytes], trailers: Fields | None = None) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
    tail = "".join(f"{name}: {value}\r\n" for name, value in pairs_of(trailers))
    return body + b"0\r\n" + tail.encode("latin-1") + b"\r\n"


class Connection:
    """One connection to the gateway."""

    def __init__(self, address: tuple[str, int], timeout: float = DEADLINE, receive_buffer: int = 0) -> None:
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = Reader(self.sock)
        self.methods: list[str] = []       # of the requests that have no answer yet

    def send(self, data: bytes) -> None:
        """Send raw bytes. A peer that has closed already is no error: what it answered is still to be read."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send_request(self, method: str, target: str, headers: Fields | None = None,
                     body: bytes | Iterable[bytes] | None = None, version: str = "HTTP/1.1") -> None:
        self.methods.append(method)
        self.send(request_bytes(method, target, headers, body, version))

    def drip(self, data: bytes, interval: float, stop: threading.Event) -> None:
        """Send byte by byte with a pause between, until all is sent, the peer closes or `stop` is set."""
        for byte in data:
            if stop.wait(interval):
                return
            try:
                self.sock.sendall(bytes([byte]))
            except OSError:
                return

    def read_head(self) -> Response:
        """One response head, interim or final, without its body."""
        return read_response_head(self.reader)

    def read_response(self, method: str | None = None) -> Response:
        """One whole final response; interim ones before it are in `interim`."""
        if method is None:
            method = self.methods.pop(0) if self.methods else "GET"
        interim: list[Response] = []
        while (response := self.read_head()).status < 200 and response.status != 101:
            interim.append(response)
        response.interim = interim
        if response.status != 101:
            read_response_body(self.reader, response, method)
        return response

    def request(self, method: str, target: str, headers: Fields | None = None,
                body: bytes | Iterable[bytes] | None = None, version: str = "HTTP/1.1") -> Response:
        self.send_request(method, target, headers, body, version)
        return self.read_response()

    def get(self, target: str, headers: Fields | None = None) -> Response:
        return self.request("GET", target, headers)

    def read_exactly(self, count: int) -> bytes:
        return self.reader.exactly(count, f"{count} bytes")

    def read_until(self, marker: bytes) -> bytes:
        return self.reader.until(marker, repr(marker))

    def read_all(self) -> bytes:
        """Everything until the peer closes. A reset counts as a close."""
        try:
            return self.reader.rest()
        except ConnectionResetError:
            rest = bytes(self.reader.buffer)
            self.reader.buffer.clear()
            return rest

    def read_responses(self) -> list[Response]:
        """Every whole response until the peer closes."""
        responses = []
        while not self._at_end():
            responses.append(self.read_response())
        return responses

    def closed(self) -> bool:
        """Whether the peer closes now, without sending another byte. Waits for it."""
        return self._at_end()

    def _at_end(self) -> bool:
        if self.reader.buffer:
            return False
        try:
            return not self.reader.fill()
        except ConnectionResetError:
            return True

    def finish_sending(self) -> None:
        """Half-close: no more from this side."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Client:
    """Requests on fresh connections to one address."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address

    def connect(self, timeout: float = DEADLINE, receive_buffer: int = 0) -> Connection:
        return Connection(self.address, timeout, receive_buffer)

    def request(self, method: str, target: str, headers: Fields | None = None,
                body: bytes | Iterable[bytes] | None = None, json: object = None,
                version: str = "HTTP/1.1") -> Response:
        if json is not None:
            body = json_module.dumps(json).encode()
            headers = pairs_of(headers) + [("Content-Type", "application/json")]
        with self.connect() as connection:
            return connection.request(method, target, headers, body, version)

    def exchange(self, data: bytes) -> bytes:
        """Send raw bytes and return all that comes until the gateway closes."""
        with self.connect() as connection:
            connection.send(data)
            return connection.read_all()


__all__ = ["Client", "Connection", "Fields", "Headers", "Response", "Truncated", "chunked", "request_bytes"]
