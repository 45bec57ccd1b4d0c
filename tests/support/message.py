"""HTTP/1.1 messages as the tests see them: nothing is hidden, nothing is mended, and what is malformed is an error."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

HeaderPairs = list[tuple[str, str]]

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


class Malformed(Exception):
    """The peer sent something that is not HTTP/1.1."""


class Truncated(Exception):
    """The peer closed before the message was complete. `partial` holds what came of the body."""

    def __init__(self, what: str, partial: bytes = b"") -> None:
        super().__init__(f"the connection closed before {what} was complete; got {partial[-200:]!r}")
        self.partial = partial


class Headers:
    """Fields in the order in which they came, names compared without case."""

    def __init__(self, pairs: HeaderPairs) -> None:
        self.pairs = pairs

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key.lower() == name.lower()]

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of a field that may come once at most."""
        values = self.all(name)
        if len(values) > 1:
            raise AssertionError(f"{name} came {len(values)} times: {values}")
        return values[0] if values else default

    def tokens(self, name: str) -> list[str]:
        """The members of a list field, in lower case."""
        return [part.strip().lower() for value in self.all(name) for part in value.split(",") if part.strip()]

    def names(self) -> list[str]:
        return [key.lower() for key, _ in self.pairs]

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(f"{name} is not among {self.names()}")
        return value

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        return f"Headers({self.pairs!r})"


@dataclass
class Request:
    """A request as the origin received it."""

    method: str
    target: str
    version: str
    headers: Headers
    head: bytes                           # exactly as received, with the empty line
    body: bytes = b""
    raw_body: bytes = b""                 # exactly as received, with the chunk framing
    trailers: Headers = field(default_factory=lambda: Headers([]))
    complete: bool = False                # the whole body arrived
    connection: int = 0                   # number of the connection, from 1

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def raw(self) -> bytes:
        return self.head + self.raw_body


@dataclass
class Response:
    """A response as the client received it."""

    status: int
    reason: str
    version: str
    headers: Headers
    head: bytes
    body: bytes = b""
    raw_body: bytes = b""
    trailers: Headers = field(default_factory=lambda: Headers([]))
    interim: list[Response] = field(default_factory=list)      # the 1xx answers that came before

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Reader:
    """Takes exact pieces from a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = bytearray()
        self.ended = False

    def fill(self) -> bool:
        """Read once more. False at the end of the stream."""
        if self.ended:
            return False
        piece = self.sock.recv(65536)
        self.buffer += piece
        self.ended = not piece
        return bool(piece)

    def until(self, marker: bytes, what: str) -> bytes:
        """Everything up to and with the marker."""
        start = 0
        while (found := self.buffer.find(marker, start)) < 0:
            start = max(0, len(self.buffer) - len(marker))
            if not self.fill():
                raise Truncated(what, bytes(self.buffer))
        return self._take(found + len(marker))

    def exactly(self, count: int, what: str) -> bytes:
        while len(self.buffer) < count:
            if not self.fill():
                raise Truncated(what, bytes(self.buffer))
        return self._take(count)

    def rest(self) -> bytes:
        while self.fill():
            pass
        return self._take(len(self.buffer))

    def _take(self, count: int) -> bytes:
        piece = bytes(self.buffer[:count])
        del self.buffer[:count]
        return piece


def parse_fields(block: bytes) -> Headers:
    """Parse field lines that each end with CRLF."""
    pairs: HeaderPairs = []
    for line in block.split(b"\r\n")[:-1]:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name):
            raise Malformed(f"not a field line: {line!r}")
        if any(byte in value for byte in (b"\r", b"\n", b"\0")):
            raise Malformed(f"a control byte in a field value: {line!r}")
        pairs.append((name.decode(), value.strip(b" \t").decode("latin-1")))
    return Headers(pairs)


def read_request_head(reader: Reader) -> Request:
    head = reader.until(b"\r\n\r\n", "the request head")
    line, _, fields = head[:-2].partition(b"\r\n")
    parts = line.decode("latin-1").split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise Malformed(f"not a request line: {line!r}")
    return Request(*parts, headers=parse_fields(fields), head=head)


def read_response_head(reader: Reader) -> Response:
    head = reader.until(b"\r\n\r\n", "the response head")
    line, _, fields = head[:-2].partition(b"\r\n")
    match = re.fullmatch(rb"(HTTP/1\.[01]) ([1-9][0-9]{2}) ([^\r\n\0]*)", line)
    if not match:
        raise Malformed(f"not a status line: {line!r}")
    return Response(int(match[2]), match[3].decode("latin-1"), match[1].decode(), parse_fields(fields), head)


def read_request_body(reader: Reader, request: Request) -> None:
    """Read what the head announces into the request."""
    _read_framed(reader, request, "the request body")
    request.complete = True


def read_response_body(reader: Reader, response: Response, method: str) -> None:
    if method == "HEAD" or response.status in (204, 304) or response.status < 200:
        return
    if "Transfer-Encoding" not in response.headers and "Content-Length" not in response.headers:
        response.body = response.raw_body = reader.rest()
        return
    _read_framed(reader, response, "the response body")


def read_chunks(reader: Reader) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk as (data, raw bytes); the last one has no data and carries the trailer section in its raw bytes."""
    while True:
        line = reader.until(b"\r\n", "a chunk size")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}(?:;[^\r\n]*)?\r\n", line):
            raise Malformed(f"not a chunk size: {line!r}")
        size = int(line.partition(b";")[0].strip(), 16)
        if size == 0:
            raw = line
            while (trailer := reader.until(b"\r\n", "the trailers")) != b"\r\n":
                raw += trailer
            yield b"", raw + b"\r\n"
            return
        piece = reader.exactly(size + 2, "a chunk")
        if piece[-2:] != b"\r\n":
            raise Malformed(f"a chunk does not end with CRLF: {piece[-20:]!r}")
        yield piece[:-2], line + piece


def _read_framed(reader: Reader, message: Request | Response, what: str) -> None:
    codings, lengths = message.headers.all("Transfer-Encoding"), message.headers.all("Content-Length")
    if codings and lengths or len(lengths) > 1 or len(codings) > 1:
        raise Malformed(f"ambiguous framing: {message.head!r}")
    if codings:
        if codings[0].lower() != "chunked":
            raise Malformed(f"transfer coding {codings[0]!r}")
        body, raw = bytearray(), bytearray()
        try:
            for data, piece in read_chunks(reader):
                body += data
                raw += piece
        except Truncated as error:
            raise Truncated(what, bytes(body)) from error
        finally:
            message.body, message.raw_body = bytes(body), bytes(raw)
        message.trailers = parse_fields(piece.partition(b"\r\n")[2][:-2])
    elif lengths:
        if not re.fullmatch(r"[0-9]{1,15}", lengths[0]):
            raise Malformed(f"content length {lengths[0]!r}")
        try:
            message.body = message.raw_body = reader.exactly(int(lengths[0]), what)
        except Truncated as error:
            message.body = message.raw_body = error.partial
            raise
