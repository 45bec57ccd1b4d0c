"""size-limit: what is too large, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from support.binary import turnpike
from support.client import request_bytes
from support.gateway import Gateway
from support.message import Request, Truncated
from support.origin import Origin, OriginConnection


def load(gateway: Gateway, *more: Any, **config: Any) -> None:
    gateway.load(policies=[{"size-limit": config}, *more])


EMPTY = (0, 200)


@pytest.mark.parametrize("size, status", [EMPTY, (99, 200), (100, 200), (101, 413)])
def test_a_body_with_a_length_may_be_as_large_as_the_limit(gateway: Gateway, origin: Origin, size: int, status: int) -> None:
    load(gateway, request_body=100)
    assert gateway.post("/", body=b"x" * size).status == status
    assert len(origin.requests) == (status == 200)
    if status == 200:
        assert origin.last.body == b"x" * size


def test_too_large_a_length_is_refused_before_the_body_comes(gateway: Gateway, origin: Origin) -> None:
    load(gateway, request_body="1KiB")
    with gateway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n")
        response = client.read_response("POST")
        assert response.status == 413
        assert response.headers["Content-Type"] == "application/problem+json"
        assert client.closed()
    assert origin.connections == 0


def test_a_client_that_asks_first_need_not_send_the_body(gateway: Gateway) -> None:
    load(gateway, request_body=10)
    with gateway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
        response = client.read_response("POST")
        assert (response.status, response.interim) == (413, [])


@pytest.mark.parametrize("pieces, status", [([b"x" * 60, b"x" * 40], 200), ([b"x" * 60, b"x" * 41], 413), ([b"x" * 5000], 413)])
def test_chunks_are_counted_as_they_come(gateway: Gateway, origin: Origin, pieces: list[bytes], status: int) -> None:
    load(gateway, request_body=100)
    assert gateway.post("/", body=iter(pieces)).status == status
    if status == 200:
        assert origin.last.body == b"".join(pieces)


def test_a_stream_that_never_ends_is_stopped(gateway: Gateway, origin: Origin) -> None:
    load(gateway, request_body=1000)
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}))
        client.send(b"1f4\r\n" + b"x" * 500 + b"\r\n")
        client.send(b"1f5\r\n" + b"x" * 501 + b"\r\n")
        assert client.read_response("POST").status == 413
    origin.stop()
    assert all(not request.complete for request in origin.requests)


@pytest.mark.parametrize("size, status", [(100, 200), (101, 502)])
def test_a_response_with_a_length_may_be_as_large_as_the_limit(gateway: Gateway, origin: Origin, size: int, status: int) -> None:
    origin.reply(body=b"x" * size)
    load(gateway, response_body=100)
    response = gateway.get("/")
    assert response.status == status
    assert (response.body == b"x" * size) == (status == 200)


def test_a_response_that_grows_too_large_is_cut_off_and_the_client_can_tell(gateway: Gateway, origin: Origin) -> None:
    load(gateway, response_body=100)
    origin.reply(body=iter([b"x" * 60, b"x" * 40]))
    assert gateway.get("/").body == b"x" * 100
    origin.reply(body=iter([b"x" * 60, b"x" * 41]))
    with pytest.raises(Truncated):
        gateway.get("/")


def test_a_response_that_ends_with_its_connection_is_cut_off_too(gateway: Gateway, origin: Origin) -> None:
    def endless(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 5000)
        connection.close()
    origin.handler = endless
    load(gateway, response_body=100)
    with pytest.raises(Truncated):
        gateway.get("/")


def test_head_may_announce_any_length(gateway: Gateway, origin: Origin) -> None:
    origin.reply(headers={"Content-Length": "5000"})
    load(gateway, response_body=100)
    response = gateway.request("HEAD", "/")
    assert (response.status, response.headers["Content-Length"]) == (200, "5000")


def test_answers_of_the_gateway_are_not_limited(gateway: Gateway) -> None:
    load(gateway, {"respond": {"body": "x" * 50}}, response_body=10)
    assert gateway.get("/").body == b"x" * 50


def test_a_head_may_be_as_large_as_the_limit(gateway: Gateway, origin: Origin) -> None:
    load(gateway, request_head=1000)
    base = len(request_bytes("GET", "/", {"Host": "a", "X-A": ""}))
    fits = {"Host": "a", "X-A": "x" * (1000 - base - len("Host: a\r\n"))}
    assert gateway.get("/", headers=fits).status == 200
    assert gateway.get("/", headers={**fits, "X-B": "x" * 100}).status == 431
    assert gateway.get("/" + "x" * 100, headers=fits).status == 431
    assert len(origin.requests) == 1


def test_what_is_not_limited_is_free(gateway: Gateway, origin: Origin) -> None:
    origin.reply(body=b"y" * 100000)
    load(gateway, request_head="4KiB")
    assert gateway.post("/", body=b"x" * 100000).body == b"y" * 100000
    assert origin.last.body == b"x" * 100000


BAD = [
    ("{}", "7:21", "nothing is limited"),
    ("{ request_body: 0 }", "7:37", "1"),
    ("{ request_body: -1 }", "7:37", "size"),
    ("{ body: 1KiB }", "7:23", "unknown field"),
]


@pytest.mark.parametrize("config, place, said", BAD, ids=[config for config, _, _ in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, config: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  f"routes:\n  r:\n    service: a\n    policies:\n      - size-limit: {config}\n")
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr + done.stdout, done.stderr
    assert said in done.stderr + done.stdout
