"""Clients that leave at awkward moments: the process survives each of them."""
from __future__ import annotations

import socket
import struct

import pytest

from support.gateway import Gateway
from support.origin import Origin


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("rest", [b"", b"GET /next HTTP/1.1\r\nHost: a\r\n", b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_client_that_leaves_right_after_its_request_harms_nobody(gateway: Gateway, origin: Origin, rest: bytes) -> None:
    """What was posted for later in the turn must not outlive its connection."""
    gateway.load(workers=1)
    pid = gateway.worker_pid
    host, port = gateway.address()
    body = b"x" * 200_000
    for _ in range(150):
        client = socket.create_connection((host, port), 10)
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body + rest)
        _reset(client)
    assert gateway.get("/").status == 200
    assert gateway.worker_pid == pid, "no crash and restart in between"
