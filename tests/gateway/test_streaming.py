"""Bodies pass as they come, in both directions, in memory that does not grow with them."""

from __future__ import annotations

import threading

import pytest

from support import proc
from support.client import chunked, request_bytes
from support.gateway import Gateway
from support.message import Request, read_chunks
from support.origin import Origin, OriginConnection
from support.wait import wait_until, wait_until_still

pytestmark = pytest.mark.threads

MIB = 1024 * 1024
GROWTH = 24 * MIB         # what a sanitizer's own bookkeeping may add


def test_the_first_byte_of_an_answer_passes_at_once(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    gate = origin.gate()

    def handler(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        gate.wait(10)
        connection.send(b"1\r\nb\r\n0\r\n\r\n")
    origin.handler = handler
    with gateway.connect() as client:
        client.send_request("GET", "/")
        assert client.read_head().status == 200
        chunks = read_chunks(client.reader)
        assert next(chunks)[0] == b"a"
        gate.set()
        assert next(chunks)[0] == b"b"


def test_events_arrive_one_by_one(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    gates = [origin.gate() for _ in range(5)]

    def handler(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number, gate in enumerate(gates):
            gate.wait(10)
            event = b"data: %d\n\n" % number
            connection.send(b"%x\r\n%s\r\n" % (len(event), event))
        connection.send(b"0\r\n\r\n")
    origin.handler = handler
    with gateway.connect() as client:
        client.send_request("GET", "/events")
        assert client.read_head().headers["Content-Type"] == "text/event-stream"
        chunks = read_chunks(client.reader)
        for number, gate in enumerate(gates):
            gate.set()
            assert next(chunks)[0] == b"data: %d\n\n" % number


def test_the_head_of_an_answer_passes_before_its_body(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    gate = origin.gate()

    def handler(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        gate.wait(10)
        connection.send(b"late")
    origin.handler = handler
    with gateway.connect() as client:
        client.send_request("GET", "/")
        assert client.read_head().headers["Content-Length"] == "4"
        gate.set()
        assert client.read_exactly(4) == b"late"


def test_the_first_byte_of_a_request_body_passes_at_once(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    first = threading.Event()

    def handler(request: Request, connection: OriginConnection) -> None:
        chunks = read_chunks(connection.reader)
        assert next(chunks)[0] == b"a"
        first.set()
        connection.reply(body=b"".join(data for data, _ in chunks))
    origin.early, origin.handler = True, handler
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + b"1\r\na\r\n")
        assert first.wait(10)
        client.send(chunked([b"the rest"]))
        assert client.read_response().body == b"the rest"


def test_both_directions_stream_at_the_same_time(gateway: Gateway, origin: Origin) -> None:
    gateway.load()

    def handler(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _, raw in read_chunks(connection.reader):
            connection.send(raw)
    origin.early, origin.handler = True, handler
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}))
        assert client.read_head().status == 200
        chunks = read_chunks(client.reader)
        for number in range(20):
            piece = b"piece %d" % number
            client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            assert next(chunks)[0] == piece
        client.send(b"0\r\n\r\n")
        assert next(chunks)[0] == b""


def _sending(total: int, sent: list[int]) -> object:
    """A handler that sends so many bytes and counts what was taken."""
    def handler(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        piece = b"x" * 65536
        while sent[0] < total:
            connection.send(piece)
            sent[0] += len(piece)
    return handler


def test_a_client_that_does_not_read_holds_the_origin_back(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    assert gateway.get("/").status == 200
    before, sent, total = gateway.rss(), [0], 512 * MIB
    origin.handler = _sending(total, sent)  # type: ignore[assignment]
    with gateway.connect(receive_buffer=65536) as client:
        client.send_request("GET", "/")
        origin.wait_for(2)
        assert wait_until_still(lambda: sent[0]) < 64 * MIB, "the sockets' buffers are full long before"
        assert gateway.rss() - before < GROWTH
    wait_until(lambda: not origin.open, what="the origin's connection to be closed with the client's")


def test_a_slow_client_still_gets_everything(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    sent, total = [0], 32 * MIB
    origin.handler = _sending(total, sent)  # type: ignore[assignment]
    with gateway.connect(receive_buffer=8192) as client:
        client.send_request("GET", "/")
        wait_until_still(lambda: sent[0], period=0.2)
        assert len(client.read_response().body) == total


def test_an_origin_that_does_not_read_holds_the_client_back(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    assert gateway.get("/").status == 200
    before, gate, sent = gateway.rss(), origin.gate(), [0]

    def never_read(request: Request, connection: OriginConnection) -> None:
        gate.wait(30)
        connection.close()
    origin.early, origin.handler = True, never_read
    with gateway.connect(timeout=30) as client:
        client.send(request_bytes("POST", "/", {"Content-Length": str(512 * MIB)}))

        def send() -> None:
            try:
                while sent[0] < 512 * MIB:
                    client.sock.sendall(b"x" * 65536)
                    sent[0] += 65536
            except OSError:
                pass
        sender = threading.Thread(target=send)
        sender.start()
        origin.wait_for(2)
        assert wait_until_still(lambda: sent[0]) < 64 * MIB
        assert gateway.rss() - before < GROWTH
        gate.set()
        sender.join(30)


def test_a_slow_client_slows_down_nobody_else(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    sent = [0]
    slow = _sending(512 * MIB, sent)

    def handler(request: Request, connection: OriginConnection) -> None:
        if request.target == "/slow":
            slow(request, connection)  # type: ignore[operator]
        else:
            connection.reply(body=b"quick")
    origin.handler = handler
    with gateway.connect(receive_buffer=8192) as client:
        client.send_request("GET", "/slow")
        wait_until_still(lambda: sent[0], period=0.2)
        for _ in range(20):
            assert gateway.get("/quick").body == b"quick"


def test_a_large_download_needs_little_memory(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    assert gateway.get("/").status == 200
    before, sent, total, received = gateway.rss(), [0], 100 * MIB, 0
    origin.handler = _sending(total, sent)  # type: ignore[assignment]
    with gateway.connect() as client:
        client.send_request("GET", "/")
        client.read_head()
        while received < total:
            received += len(client.read_exactly(min(MIB, total - received)))
    assert proc.rss_peak(gateway.worker_pid) - before < GROWTH


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_upload_needs_little_memory(gateway: Gateway, origin: Origin, framing: str) -> None:
    gateway.load(workers=1)
    assert gateway.get("/").status == 200
    before, total = gateway.rss(), 100 * MIB

    def handler(request: Request, connection: OriginConnection) -> None:
        count = 0
        if framing == "chunked":
            count = sum(len(data) for data, _ in read_chunks(connection.reader))
        else:
            while count < total:
                count += len(connection.reader.exactly(MIB, "the upload"))
        connection.reply(body=b"%d" % count)
    origin.early, origin.handler = True, handler
    with gateway.connect(timeout=60) as client:
        if framing == "chunked":
            client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}))
            piece = b"100000\r\n" + b"x" * MIB + b"\r\n"
        else:
            client.send(request_bytes("POST", "/", {"Content-Length": str(total)}))
            piece = b"x" * MIB
        for _ in range(100):
            client.send(piece)
        if framing == "chunked":
            client.send(b"0\r\n\r\n")
        assert client.read_response().body == b"%d" % total
    assert proc.rss_peak(gateway.worker_pid) - before < GROWTH


def test_tiny_chunks_do_not_multiply_memory(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    assert gateway.get("/").status == 200
    before = gateway.rss()
    body = b"1\r\nx\r\n" * 500_000 + b"0\r\n\r\n"
    with gateway.connect(timeout=60) as client:
        client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + body)
        assert client.read_response().status == 200
    assert len(origin.last.body) == 500_000
    assert proc.rss_peak(gateway.worker_pid) - before < GROWTH


def test_bodies_arrive_unchanged_whatever_their_size(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    origin.handler = lambda request, connection: connection.reply(body=request.body)
    pattern = bytes(range(256)) * 1024
    with gateway.connect() as client:
        for size in (0, 1, 4095, 4096, 4097, 16384, 32768, 65535, 65536, 65537, 131073, 262144):
            body = pattern[:size]
            assert client.request("POST", "/", None, body).body == body
            assert client.request("POST", "/", None, [body[:size // 3], body[size // 3:]] if body else []).body == body


def test_idle_connections_give_their_memory_back(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    connections = [gateway.connect() for _ in range(200)]
    for connection in connections:
        assert connection.request("POST", "/", None, b"x" * 10_000).status == 200
    resting = gateway.rss()
    for _ in range(5):
        for connection in connections:
            assert connection.request("POST", "/", None, b"x" * 10_000).status == 200
    assert gateway.rss() - resting < 8 * MIB
    for connection in connections:
        connection.close()
