"""One of three endpoints fails, is slow, or comes and goes: callers notice nothing where a retry is safe, and little where it is not; and the
survivors never get more than the budget allows."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection, response_bytes

REQUESTS, CLIENTS = 240, 4
# Retries take turns too: with one of three endpoints failing, half of the first tries meet it.
RETRY = {"on": ["connect-failure", "reset", "timeout", "503"], "attempts": 2, "try": "300ms",
         "backoff": {"base": "1ms", "max": "20ms"}, "budget": {"share": "60%", "min": 10, "window": "1m"}}


def storm(gateway: Gateway, method: str) -> list[int]:
    """The statuses of many requests from several clients at once."""
    statuses: list[int] = []

    def client() -> None:
        for _ in range(REQUESTS // CLIENTS):
            statuses.append(gateway.request(method, "/").status)
    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def load(gateway: Gateway, *origins: Origin, retry: dict[str, Any] | None = None, **service: Any) -> None:
    gateway.load(services={"pool": {"endpoints": [one.url for one in origins], "retry": {**RETRY, **(retry or {})},
                                    "passive": {"failures": 0}, **service}})


def fail(origin: Origin, kind: str) -> None:
    turns = itertools.count()

    def failing(request: Request, connection: OriginConnection) -> None:
        if kind == "status":
            connection.send(response_bytes(503))
        elif kind == "reset":
            connection.reset()
        elif kind == "slow":
            gate.wait(0.4)
            connection.reply(200)
        elif next(turns) // 5 % 2:
            connection.reset()
        else:
            connection.reply(200)
    gate = origin.gate()
    origin.handler = failing


@pytest.mark.parametrize("kind", ["status", "reset", "flapping"])
def test_idempotent_requests_do_not_notice(gateway: Gateway, origin: Origin, second_origin: Origin, third_origin: Origin,
                                           kind: str) -> None:
    fail(origin, kind)
    load(gateway, origin, second_origin, third_origin)
    assert storm(gateway, "GET").count(200) == REQUESTS


def test_slow_endpoints_are_left_in_time(gateway: Gateway, origin: Origin, second_origin: Origin,
                                         third_origin: Origin) -> None:
    fail(origin, "slow")
    load(gateway, origin, second_origin, third_origin, passive={"failures": 3, "window": "10s", "eject": "30s"})
    assert storm(gateway, "GET").count(200) == REQUESTS
    assert len(origin.requests) < REQUESTS // 6, "it was taken out of service"


def test_a_dead_endpoint_is_not_noticed_by_anyone(gateway: Gateway, origin: Origin, second_origin: Origin,
                                                  third_origin: Origin) -> None:
    load(gateway, origin, second_origin, third_origin)
    origin.stop()
    assert storm(gateway, "POST").count(200) == REQUESTS


def test_other_requests_fail_as_often_as_the_endpoint_is_asked(gateway: Gateway, origin: Origin, second_origin: Origin,
                                                               third_origin: Origin) -> None:
    fail(origin, "status")
    load(gateway, origin, second_origin, third_origin)
    statuses = storm(gateway, "POST")
    assert statuses.count(503) == len(origin.requests) <= REQUESTS // 3 + CLIENTS


def test_the_survivors_get_no_more_than_the_budget(gateway: Gateway, origin: Origin, second_origin: Origin,
                                                   third_origin: Origin) -> None:
    for one in (origin, second_origin, third_origin):
        fail(one, "status")
    load(gateway, origin, second_origin, third_origin,
         retry={"budget": {"share": "20%", "min": 0, "window": "1m"}, "attempts": 5})
    storm(gateway, "GET")
    total = sum(len(one.requests) for one in (origin, second_origin, third_origin))
    assert total <= REQUESTS * 1.2
    assert total >= REQUESTS * 1.1, "the budget was used"
