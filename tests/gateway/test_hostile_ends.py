"""Clients that leave at awkward moments: the process survives each of them."""
from __future__ import annotations

import os
import signal
import threading

import pytest

from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection, response_bytes
from support.wait import wait_until


@pytest.mark.parametrize("rest", [b"", b"GET /next HTTP/1.1\r\nHost: a\r\n", b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_client_may_leave_in_the_same_turn_in_which_its_answer_comes(gateway: Gateway, origin: Origin, rest: bytes) -> None:
    """The gateway is stopped while the answer and the end of the client arrive, so that both are in one batch of events."""
    gateway.load(workers=1)
    pid, body = gateway.worker_pid, b"x" * 300_000
    may_answer, has_answered = threading.Event(), threading.Event()

    def handler(request: Request, connection: OriginConnection) -> None:
        may_answer.wait(10)
        connection.send(response_bytes(200, None, b"late"))
        has_answered.set()

    for _ in range(5):
        may_answer.clear()
        has_answered.clear()
        origin.handler = handler
        before = len(origin.requests)
        with gateway.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body + rest)
            wait_until(lambda: len(origin.requests) > before, what="the upload to arrive")
            os.kill(pid, signal.SIGSTOP)
            may_answer.set()
            assert has_answered.wait(10)
        os.kill(pid, signal.SIGCONT)
        origin.reply()
        assert gateway.get("/").status == 200
    assert gateway.worker_pid == pid, "no crash and restart in between"
