"""How many requests a service has at once, and who waits for a turn."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from support.client import Connection, request_bytes
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection
from support.wait import wait_until


class Crowd:
    """An origin that answers only when it is told to, and knows how many it has at once."""

    def __init__(self, *origins: Origin) -> None:
        self.lock = threading.Lock()
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.most_in_all = 0
        self.order: list[str] = []
        self.may_go = threading.Semaphore(0)
        for one in origins:
            one.handler = self._handler(one)
            one.gate()

    def _handler(self, origin: Origin) -> Any:
        def handler(request: Request, connection: OriginConnection) -> None:
            with self.lock:
                self.order.append(request.target)
                self.now[origin.name] = self.now.get(origin.name, 0) + 1
                self.most[origin.name] = max(self.most.get(origin.name, 0), self.now[origin.name])
                self.most_in_all = max(self.most_in_all, sum(self.now.values()))
            self.may_go.acquire(timeout=20)
            with self.lock:
                self.now[origin.name] -= 1
            connection.reply(200, None, request.target.encode())
        return handler

    def release(self, count: int) -> None:
        for _ in range(count):
            self.may_go.release()


def load(gateway: Gateway, *origins: Origin, workers: int = 2, **concurrency: Any) -> None:
    gateway.load(workers=workers, services={"pool": {"endpoints": [one.url for one in origins],
                                                     "concurrency": {"timeout": "20s", **concurrency}}})


def ask(gateway: Gateway, count: int) -> list[Connection]:
    clients = [gateway.connect() for _ in range(count)]
    for number, client in enumerate(clients):
        client.send(request_bytes("GET", f"/{number}"))
    return clients


def settle(gateway: Gateway, crowd: Crowd, at_work: int, in_row: int) -> None:
    """Wait until so many are at the origins, and the others in the row."""
    wait_until(lambda: (sum(crowd.now.values()), waiting(gateway)) == (at_work, in_row), what="everybody to be in place")


def waiting(gateway: Gateway) -> float:
    return gateway.metrics().value("turnpike_queue_waiting", service="pool")


@pytest.mark.parametrize("limit", [{"requests": 3}, {"per_endpoint": 3}])
def test_no_more_than_allowed_at_once(gateway: Gateway, origin: Origin, limit: dict[str, int]) -> None:
    crowd = Crowd(origin)
    load(gateway, origin, **limit)
    clients = ask(gateway, 20)
    settle(gateway, crowd, 3, 17)
    crowd.release(20)
    assert [client.read_response().status for client in clients] == [200] * 20
    assert crowd.most["origin"] == 3
    metrics = gateway.metrics()
    assert metrics.value("turnpike_queue_waiting") == 0
    wait_until(lambda: gateway.metrics().value("turnpike_service_in_flight") == 0, what="all permits to come back")


def test_first_come_first_served_whichever_worker(gateway: Gateway, origin: Origin) -> None:
    crowd = Crowd(origin)
    load(gateway, origin, requests=1)
    clients = []
    for number in range(12):
        client = gateway.connect()
        client.send(request_bytes("GET", f"/{number}"))
        clients.append(client)
        wait_until(lambda: waiting(gateway) + len(crowd.order) == len(clients), what="it to have its place")
    crowd.release(12)
    for client in clients:
        assert client.read_response().status == 200
    assert crowd.order == [f"/{number}" for number in range(12)]


def test_each_endpoint_has_its_limit(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    crowd = Crowd(origin, second_origin)
    load(gateway, origin, second_origin, per_endpoint=2)
    clients = ask(gateway, 16)
    settle(gateway, crowd, 4, 12)
    crowd.release(16)
    assert [client.read_response().status for client in clients] == [200] * 16
    assert crowd.most == {origin.name: 2, second_origin.name: 2}


def test_both_limits_together(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    crowd = Crowd(origin, second_origin)
    load(gateway, origin, second_origin, per_endpoint=2, requests=3)
    clients = ask(gateway, 12)
    settle(gateway, crowd, 3, 9)
    crowd.release(12)
    assert [client.read_response().status for client in clients] == [200] * 12
    assert crowd.most_in_all == 3 and max(crowd.most.values()) <= 2


def test_a_full_queue_refuses_at_once(gateway: Gateway, origin: Origin) -> None:
    crowd = Crowd(origin)
    load(gateway, origin, requests=1, queue=2, timeout="7s")
    clients = ask(gateway, 1)
    origin.wait_for(1)
    clients += ask(gateway, 2)
    wait_until(lambda: waiting(gateway) == 2, what="the row to be full")
    answer = gateway.get("/")
    assert (answer.status, answer.headers.get("Retry-After")) == (503, "7")
    wait_until(lambda: gateway.metrics().value("turnpike_errors_total", kind="queue-full") == 1, what="it to be counted")
    metrics = gateway.metrics()
    assert metrics.value("turnpike_queue_refused_total", service="pool") == 1
    crowd.release(3)
    assert [client.read_response().status for client in clients] == [200] * 3


def test_a_turn_that_does_not_come_in_time(gateway: Gateway, origin: Origin) -> None:
    crowd = Crowd(origin)
    load(gateway, origin, requests=1, timeout="200ms")
    first = ask(gateway, 1)[0]
    origin.wait_for(1)
    answer = gateway.get("/")
    assert (answer.status, answer.headers.get("Retry-After")) == (503, "1")
    wait_until(lambda: gateway.metrics().value("turnpike_errors_total", kind="queue-timeout") == 1, what="it to be counted")
    assert gateway.metrics().value("turnpike_queue_timeouts_total", service="pool") == 1
    crowd.release(2)
    assert first.read_response().status == 200
    assert gateway.get("/").status == 200, "the permit came back"


def test_no_queue_at_all(gateway: Gateway, origin: Origin) -> None:
    crowd = Crowd(origin)
    load(gateway, origin, requests=1, queue=0)
    first = ask(gateway, 1)[0]
    origin.wait_for(1)
    assert gateway.get("/").status == 503
    crowd.release(2)
    assert first.read_response().status == 200
    wait_until(lambda: gateway.metrics().value("turnpike_service_in_flight") == 0, what="the permit to come back")
    assert gateway.get("/").status == 200


def test_who_waits_is_shown(gateway: Gateway, origin: Origin) -> None:
    crowd = Crowd(origin)
    load(gateway, origin, requests=1)
    clients = ask(gateway, 2)
    wait_until(lambda: '"queue"' in gateway.admin_response("/exchanges").text, what="the exchange to wait")
    crowd.release(2)
    assert [client.read_response().status for client in clients] == [200, 200]


def test_a_reload_keeps_the_count(gateway: Gateway, origin: Origin) -> None:
    crowd = Crowd(origin)
    load(gateway, origin, requests=2)
    clients = ask(gateway, 2)
    settle(gateway, crowd, 2, 0)
    load(gateway, origin, requests=1)
    clients += ask(gateway, 2)
    settle(gateway, crowd, 2, 2)
    crowd.release(4)
    assert [client.read_response().status for client in clients] == [200] * 4
    wait_until(lambda: gateway.metrics().value("turnpike_service_in_flight") == 0, what="all permits to come back")
    crowd.most.clear()
    clients = ask(gateway, 4)
    settle(gateway, crowd, 1, 3)
    crowd.release(4)
    assert [client.read_response().status for client in clients] == [200] * 4
    assert crowd.most == {origin.name: 1}


def test_who_goes_away_leaves_nothing_behind(gateway: Gateway, origin: Origin) -> None:
    crowd = Crowd(origin)
    load(gateway, origin, requests=1, queue=4, timeout="300ms")
    first = ask(gateway, 1)[0]
    settle(gateway, crowd, 1, 0)
    for _ in range(5):                      # more than there are slots, and nobody's turn comes
        clients = ask(gateway, 4)
        assert [client.read_response().status for client in clients] == [503] * 4
    assert gateway.metrics().value("turnpike_queue_timeouts_total") == 20, "each had its time in the row"
    crowd.release(2)
    assert first.read_response().status == 200
    assert gateway.get("/").status == 200
