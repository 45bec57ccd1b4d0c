"""A scripted origin: a TCP server in threads that records what it receives and answers what the test tells it to."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable

from .client import Fields, chunked, pairs_of
from .message import Malformed, Reader, Request, Truncated, read_request_body, read_request_head
from .wait import DEADLINE, wait_until


class OriginConnection:
    """One connection that the gateway made to the origin."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        self.reader = Reader(sock)
        self.closing = False             # close after the present answer

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_slowly(self, data: bytes) -> None:
        """Each byte in a write of its own."""
        for byte in data:
            self.sock.sendall(bytes([byte]))

    def reply(self, status: int = 200, headers: Fields | None = None, body: bytes | Iterable[bytes] = b"",
              reason: str = "Scripted", method: str = "GET") -> None:
        self.send(response_bytes(status, headers, body, reason, method))

    def read_body(self, request: Request) -> bytes:
        """For handlers that are called at the head (`origin.early = True`)."""
        read_request_body(self.reader, request)
        return request.body

    def ended(self) -> bool:
        """Wait until the gateway closes or sends: True if it closed."""
        try:
            return not self.reader.fill()
        except (ConnectionError, ValueError):
            return True

    def close(self) -> None:
        self.closing = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def reset(self) -> None:
        self.closing = True
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Handler = Callable[[Request, OriginConnection], None]


def response_bytes(status: int = 200, headers: Fields | None = None, body: bytes | Iterable[bytes] = b"",
                   reason: str = "Scripted", method: str = "GET") -> bytes:
    """One answer. A body of bytes gets a Content-Length, any other iterable goes out as chunks."""
    fields = pairs_of(headers)
    names = {name.lower() for name, _ in fields}
    framed = bool(names & {"content-length", "transfer-encoding"})
    payload = body if isinstance(body, bytes) else chunked(body)
    if not framed and status >= 200 and status not in (204, 304):
        fields.append(("Content-Length", str(len(payload))) if isinstance(body, bytes) else ("Transfer-Encoding",
                                                                                             "chunked"))
    lines = [f"HTTP/1.1 {status} {reason}"] + [f"{name}: {value}" for name, value in fields]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (b"" if method == "HEAD" else payload)


class Origin:
    """The server. Its attributes may be changed at any time; they hold for the requests that come after."""

    def __init__(self, name: str = "origin") -> None:
        self.name = name
        self.handler: Handler = self._standard
        self.connection_handler: Callable[[OriginConnection], None] = self._serve
        self.tls: ssl.SSLContext | None = None   # speak TLS with it
        self.sessions_reused: list[bool] = []    # by handshakes, in their order
        self.handshakes_failed: list[str] = []
        self.early = False               # call the handler at the head, before the body is read
        self.requests: list[Request] = []
        self.connections = 0             # accepted so far
        self.open: set[OriginConnection] = set()
        self.errors: list[BaseException] = []
        self.truncated = b""             # what came of the newest body that broke off
        self.port = 0
        self._answer: tuple[int, Fields | None, bytes | Iterable[bytes]] = (200, None, b"hello")
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._gates: list[threading.Event] = []
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Request:
        """The newest request."""
        return self.requests[-1]

    @property
    def targets(self) -> list[str]:
        return [request.target for request in self.requests]

    # What to answer

    def reply(self, status: int = 200, headers: Fields | None = None, body: bytes | Iterable[bytes] = b"hello") -> None:
        """Answer every request so, from now on."""
        self._answer = (status, headers, body if isinstance(body, bytes) else list(body))
        self.handler = self._standard

    def reply_raw(self, data: bytes, close: bool = False) -> None:
        """Answer every request with these bytes, and close then if asked to."""
        def handler(request: Request, connection: OriginConnection) -> None:
            connection.send(data)
            if close:
                connection.close()
        self.handler = handler

    def reply_in_turn(self, *answers: Handler | bytes) -> None:
        """Answer the first request with the first, and so on; the last one holds for all that follow."""
        waiting = list(answers)

        def handler(request: Request, connection: OriginConnection) -> None:
            with self._lock:
                answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if isinstance(answer, bytes):
                connection.send(answer)
            else:
                answer(request, connection)
        self.handler = handler

    def reply_target(self) -> None:
        """Answer every request with its own target, so that a mix-up shows."""
        def handler(request: Request, connection: OriginConnection) -> None:
            connection.reply(body=request.target.encode(), method=request.method)
        self.handler = handler

    def hold(self) -> threading.Event:
        """Let the requests wait for the event that is returned before they are answered as until now."""
        gate, answer = self.gate(), self.handler

        def handler(request: Request, connection: OriginConnection) -> None:
            gate.wait(DEADLINE * 3)
            answer(request, connection)
        self.handler = handler
        return gate

    def gate(self) -> threading.Event:
        """An event that is set at the latest when the origin stops, so that no thread is left waiting."""
        gate = threading.Event()
        self._gates.append(gate)
        return gate

    def wait_for(self, count: int, timeout: float = DEADLINE) -> list[Request]:
        """Wait until so many requests have come."""
        wait_until(lambda: len(self.requests) >= count, timeout, f"{count} requests at {self.name}")
        return self.requests

    def forget(self) -> None:
        self.requests.clear()

    def _standard(self, request: Request, connection: OriginConnection) -> None:
        status, headers, body = self._answer
        connection.reply(status, headers, body, method=request.method)

    # The server

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(512)
        self.port = int(self._listener.getsockname()[1])
        self._spawn(self._accept, self._listener)

    def release(self) -> None:
        """Let every held request go on."""
        for gate in self._gates:
            gate.set()

    def stop(self) -> None:
        """Close the listener and every connection, and wait for the threads."""
        self.release()
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.close_connections()
        for thread in self._threads:
            thread.join(DEADLINE)
        self._threads.clear()

    def close_connections(self) -> None:
        """Close every connection, as a server does with idle ones."""
        with self._lock:
            connections = list(self.open)
        for connection in connections:
            connection.close()

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                connection = OriginConnection(sock, self.connections)
                self.open.add(connection)
            self._spawn(self._run, connection)

    def _secure(self, connection: OriginConnection, context: ssl.SSLContext) -> bool:
        try:
            secure = context.wrap_socket(connection.sock, server_side=True)
        except (OSError, ValueError) as error:
            self.handshakes_failed.append(str(error))
            return False
        self.sessions_reused.append(bool(secure.session_reused))
        connection.sock, connection.reader = secure, Reader(secure)
        return True

    def _run(self, connection: OriginConnection) -> None:
        try:
            if self.tls and not self._secure(connection, self.tls):
                return
            self.connection_handler(connection)
        except Truncated as error:
            if error.partial:
                self.truncated = error.partial
        except (OSError, ValueError):
            pass                          # closed under us, which tests do on purpose
        except BaseException as error:    # noqa: BLE001 - shown when the fixture ends
            self.errors.append(error)
        finally:
            with self._lock:
                self.open.discard(connection)
            connection.close()

    def _serve(self, connection: OriginConnection) -> None:
        while not connection.closing:
            if not connection.reader.buffer and not connection.reader.fill():
                return
            request = read_request_head(connection.reader)
            request.connection = connection.number
            if self.early:
                self._record(request)
            else:
                self._read_whole(connection, request)
            self.handler(request, connection)
            if "close" in request.headers.tokens("Connection") or request.version == "HTTP/1.0":
                return

    def _read_whole(self, connection: OriginConnection, request: Request) -> None:
        try:
            read_request_body(connection.reader, request)
        except (Truncated, Malformed, OSError):
            self._record(request)         # `complete` stays false
            raise
        self._record(request)

    def _record(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
