"""A request that waits too long is sent to another endpoint as well; the first answer is taken."""

from __future__ import annotations

import time
from typing import Any

import pytest

from support.client import request_bytes
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection, response_bytes
from support.wait import wait_until


def load(gateway: Gateway, *origins: Origin, hedge: dict[str, Any] | None = None, **service: Any) -> None:
    gateway.load(services={"pool": {"endpoints": [one.url for one in origins], "passive": {"failures": 0},
                                    "hedge": hedge or {"after": "100ms"},
                                    "retry": {"budget": {"share": "100%", "min": 100}}, **service}})


def slow(origin: Origin, then: Any = None) -> Any:
    """Requests at this origin wait until the event is set."""
    gate = origin.gate()

    def handler(request: Request, connection: OriginConnection) -> None:
        gate.wait(20)
        if then:
            then(request, connection)
        else:
            connection.reply(200, None, b"late")
    origin.handler = handler
    return gate


def count(gateway: Gateway, name: str) -> float:
    return gateway.metrics().value(f"turnpike_{name}", service="pool")


@pytest.mark.parametrize("method, body", [("GET", None), ("PUT", b"x" * 1000), ("PUT", [b"chunk", b"ed"])],
                         ids=["GET", "length", "chunked"])
def test_the_second_endpoint_answers(gateway: Gateway, origin: Origin, second_origin: Origin, method: str,
                                     body: Any) -> None:
    slow(origin)
    second_origin.reply(200, None, b"quick")
    load(gateway, origin, second_origin)
    assert [gateway.request(method, "/", body=body).text for _ in range(2)] == ["quick", "quick"]
    whole = b"".join(body) if isinstance(body, list) else body or b""
    assert {request.body for request in second_origin.requests} == {whole}
    assert count(gateway, "hedges_total") == count(gateway, "hedges_won_total") >= 1


def test_the_first_may_still_win(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    gates = [slow(one) for one in (origin, second_origin)]
    load(gateway, origin, second_origin)
    with gateway.connect() as client:
        client.send(request_bytes("GET", "/"))
        origin.wait_for(1)
        second_origin.wait_for(1)
        gates[0].set()
        assert client.read_response().text == "late"
        gates[1].set()
    assert count(gateway, "hedges_won_total") == 0


def test_the_loser_is_cancelled(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    ended: list[bool] = []

    def watch(request: Request, connection: OriginConnection) -> None:
        ended.append(connection.ended())
        connection.closing = True
    origin.handler = watch
    second_origin.reply(200, None, b"quick")
    load(gateway, origin, second_origin)
    for _ in range(2):
        assert gateway.get("/").text == "quick"
    wait_until(lambda: ended and all(ended), what="the connection of the loser to be closed")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_only_idempotent_requests(gateway: Gateway, origin: Origin, second_origin: Origin, method: str) -> None:
    gates = [slow(one) for one in (origin, second_origin)]
    load(gateway, origin, second_origin, hedge={"after": "20ms"})
    with gateway.connect() as client:
        client.send(request_bytes(method, "/", {"Content-Length": "0"}))
        wait_until(lambda: len(origin.requests) + len(second_origin.requests) == 1, what="the request")
        began = time.monotonic()
        while time.monotonic() - began < 0.2:
            gateway.admin("/status")
        assert len(origin.requests) + len(second_origin.requests) == 1
        for gate in gates:
            gate.set()
        assert client.read_response(method).status == 200


def test_one_endpoint_has_no_hedge(gateway: Gateway, origin: Origin) -> None:
    def late(request: Request, connection: OriginConnection) -> None:
        wait_until(lambda: time.monotonic() - began > 0.3, what="a while")
        connection.reply(200)
    began = time.monotonic()
    origin.handler = late
    load(gateway, origin, hedge={"after": "20ms"})
    assert gateway.get("/").status == 200
    assert len(origin.requests) == 1


def test_a_hedge_that_fails_changes_nothing(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    gate = slow(origin)

    def hang_up(request: Request, connection: OriginConnection) -> None:
        connection.close()
        gate.set()
    second_origin.handler = hang_up
    load(gateway, origin, second_origin)
    with gateway.connect() as client:
        client.send(request_bytes("GET", "/"))
        assert client.read_response().text == "late"


def test_a_hedge_takes_the_place_of_an_attempt_that_fails(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    def hang_up(request: Request, connection: OriginConnection) -> None:
        connection.close()
    first, second = slow(origin, hang_up), slow(second_origin)
    load(gateway, origin, second_origin, retry={"attempts": 0, "budget": {"min": 10}})
    with gateway.connect() as client:
        client.send(request_bytes("GET", "/"))
        second_origin.wait_for(1)
        first.set()
        second.set()
        assert client.read_response().text == "late"


def test_a_hedge_whose_answer_would_be_retried_is_not_taken(gateway: Gateway, origin: Origin,
                                                            second_origin: Origin) -> None:
    gate = slow(origin)

    def busy(request: Request, connection: OriginConnection) -> None:
        connection.send(response_bytes(503))
        gate.set()
    second_origin.handler = busy
    load(gateway, origin, second_origin, retry={"on": "503", "budget": {"min": 10}})
    with gateway.connect() as client:
        client.send(request_bytes("GET", "/"))
        assert client.read_response().text == "late"


def test_hedges_are_within_the_budget(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    def late(request: Request, connection: OriginConnection) -> None:
        gate.wait(0.15)
        connection.reply(200)
    gate = origin.gate()
    origin.handler = second_origin.handler = late
    load(gateway, origin, second_origin, hedge={"after": "20ms"},
         retry={"budget": {"share": "0%", "min": 3, "window": "1h"}})
    for _ in range(8):
        assert gateway.get("/").status == 200
    assert len(origin.requests) + len(second_origin.requests) == 11
    assert count(gateway, "hedges_total") == 3


def test_a_percentile_learns(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    for one in (origin, second_origin):
        one.reply(200, None, b"quick")
    load(gateway, origin, second_origin, hedge={"after": "p90", "min": "50ms"})
    with gateway.connect() as client:
        for _ in range(100):
            assert client.get("/").status == 200
    slow(origin)
    assert [gateway.get("/").text for _ in range(2)] == ["quick", "quick"]
    assert count(gateway, "hedges_won_total") >= 1
