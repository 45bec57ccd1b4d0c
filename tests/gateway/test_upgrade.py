"""Upgrades: after 101 the gateway joins both sides, whatever they speak then."""

from __future__ import annotations

import pytest

from support.client import request_bytes
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection
from support.wait import wait_until


@pytest.fixture
def loaded(gateway: Gateway) -> Gateway:
    gateway.load()
    return gateway


UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def _switch(request: Request, connection: OriginConnection) -> None:
    """Switch protocols, greet, then echo until the end."""
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\ngreeting")
    while connection.reader.fill():
        connection.send(bytes(connection.reader.buffer))
        connection.reader.buffer.clear()


def test_an_upgrade_joins_both_sides(loaded: Gateway, origin: Origin) -> None:
    origin.handler = _switch
    with loaded.connect() as client:
        client.send_request("GET", "/chat", UPGRADE)
        response = client.read_response()
        assert response.status == 101
        assert response.headers["Upgrade"] == "websocket"
        assert response.headers.tokens("Connection") == ["upgrade"]
        assert client.read_exactly(8) == b"greeting"
        for piece in (b"\x81\x05hello", b"x" * 100_000, b"\r\n\r\n"):
            client.send(piece)
            assert client.read_exactly(len(piece)) == piece
        client.finish_sending()
        assert client.closed()
    assert origin.last.headers["Upgrade"] == "websocket"
    assert origin.last.headers.tokens("Connection") == ["upgrade"]
    assert origin.last.headers["Sec-WebSocket-Key"] == UPGRADE["Sec-WebSocket-Key"]


def test_bytes_sent_together_with_the_upgrade_are_not_lost(loaded: Gateway, origin: Origin) -> None:
    origin.handler = _switch
    with loaded.connect() as client:
        client.send(request_bytes("GET", "/", UPGRADE) + b"eager")
        assert client.read_response().status == 101
        assert client.read_exactly(13) == b"greetingeager"


def test_an_upgrade_that_the_origin_declines_is_an_ordinary_answer(loaded: Gateway, origin: Origin) -> None:
    with loaded.connect() as client:
        assert client.get("/", UPGRADE).body == b"hello"
        assert client.get("/").body == b"hello"


def test_an_upgrade_can_be_switched_off(gateway: Gateway, origin: Origin) -> None:
    origin.handler = _switch
    gateway.load(route={"websocket": False})
    with gateway.connect() as client:
        client.send_request("GET", "/", UPGRADE)
        assert client.read_response().status != 101
    assert all("Upgrade" not in request.headers for request in origin.requests)


def test_only_an_upgrade_that_was_asked_for_is_an_upgrade(loaded: Gateway, origin: Origin) -> None:
    origin.handler = _switch
    assert loaded.get("/").status == 502


def test_the_chunks_of_an_upgraded_connection_are_not_reframed(loaded: Gateway, origin: Origin) -> None:
    """A chunked request body before the switch must not leave the gateway in chunk mode after it."""
    origin.handler = _switch
    with loaded.connect() as client:
        client.send_request("GET", "/", UPGRADE)
        assert client.read_response().status == 101
        client.read_exactly(8)
        client.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert client.read_exactly(15) == b"5\r\nhello\r\n0\r\n\r\n"


def test_a_policy_that_fails_on_a_101_refuses_the_upgrade(gateway: Gateway, origin: Origin) -> None:
    origin.handler = _switch
    gateway.load(policies=[{"headers": {"response": {"set": {"X-Copy": "${request.headers['x-absent']}"}}}}])
    pid = gateway.worker_pid
    with gateway.connect() as client:
        client.send_request("GET", "/chat", UPGRADE)
        assert client.read_response().status == 503
    wait_until(lambda: not origin.open, what="the connection that had switched to be closed")
    assert gateway.worker_pid == pid, "no crash and restart in between"
