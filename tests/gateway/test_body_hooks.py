"""Bodies that pass through a policy's hook: what the service gets is a whole message, also where there is nothing to pass."""

from __future__ import annotations

import pytest

from support.gateway import Gateway
from support.origin import Origin

HOOK = {"size-limit": {"request_body": "1KiB", "response_body": "1KiB"}}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
def test_an_empty_body_with_a_length_ends_where_it_begins(gateway: Gateway, origin: Origin, method: str) -> None:
    gateway.load(policies=[HOOK])
    assert gateway.request(method, "/", body=b"").status == 200
    assert origin.last.complete and origin.last.body == b""
    assert origin.last.headers.all("Content-Length") in ([], ["0"]) and "Transfer-Encoding" not in origin.last.headers


def test_an_empty_chunked_body_ends_where_it_begins(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[HOOK])
    assert gateway.post("/", body=iter([])).status == 200
    assert origin.last.complete and origin.last.body == b""


def test_a_request_without_a_body_gets_none(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[HOOK])
    assert gateway.get("/").status == 200
    assert "Transfer-Encoding" not in origin.last.headers and "Content-Length" not in origin.last.headers


def test_a_body_comes_through_with_the_next_request_behind_it(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[HOOK])
    with gateway.connect() as client:
        for body in (b"", b"one", b"", b"two"):
            assert client.request("POST", "/", body=body).status == 200
    assert [request.body for request in origin.requests] == [b"", b"one", b"", b"two"]
    assert origin.connections == 1


@pytest.mark.parametrize("body", [b"", b"answer"])
def test_an_answer_comes_whole(gateway: Gateway, origin: Origin, body: bytes) -> None:
    gateway.load(policies=[HOOK])
    origin.reply(body=body)
    assert gateway.get("/").body == body
    assert gateway.request("HEAD", "/").body == b""
    origin.reply(status=204, body=b"")
    assert gateway.get("/").status == 204
