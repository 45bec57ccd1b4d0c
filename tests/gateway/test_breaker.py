"""Breakers of services and of endpoints: what opens them, what callers get, who tries, what closes them."""

from __future__ import annotations

import threading
import time
from email.utils import formatdate
from typing import Any

import pytest

from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection
from support.ports import free_port
from support.wait import wait_until

pytestmark = pytest.mark.threads

RULES = {"failures": 2, "open": "60s", "jitter": "0%"}


def load(gateway: Gateway, *origins: Origin | str, breaker: dict[str, Any] | None = None, **service: Any) -> None:
    endpoints = [one if isinstance(one, str) else one.url for one in origins]
    if breaker is not None:
        service["breaker"] = {**RULES, **breaker}
    gateway.load(services={"pool": {"endpoints": endpoints, "retry": {"attempts": 0}, **service}})


def breaker(gateway: Gateway) -> dict[str, Any]:
    found: dict[str, Any] = gateway.service_status("pool")["breaker"]
    return found


def wait_for_breaker(gateway: Gateway, state: str) -> None:
    wait_until(lambda: breaker(gateway)["state"] == state, what=f"the breaker to be {state}")


def statuses(gateway: Gateway, count: int) -> list[int]:
    """Of requests one after the other, each on its own connection and so on any worker."""
    return [gateway.get("/").status for _ in range(count)]


def test_failures_open_it_and_callers_are_told_when_to_come_back(gateway: Gateway, origin: Origin) -> None:
    origin.reply(503, None, b"ill")
    load(gateway, origin, breaker={})
    assert statuses(gateway, 2) == [503, 503]
    answer = gateway.get("/")
    assert answer.status == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == "The service is failing at the moment. Try again later."
    assert 50 <= int(answer.headers["Retry-After"]) <= 60
    assert len(origin.requests) == 2
    refused = [line for line in gateway.access_log(3) if line.get("error") == "breaker-open"]
    assert len(refused) == 1 and "attempts" not in refused[0]
    assert breaker(gateway)["last_reason"] == "2 requests failed within the window"
    gateway.wait_for_log("breaker open", "service=pool", "2 requests failed within the window")
    metrics = gateway.metrics()
    assert metrics.value("turnpike_service_breaker_state", service="pool") == 2
    assert metrics.value("turnpike_service_breaker_openings_total", service="pool") == 1
    assert metrics.value("turnpike_service_breaker_refused_total", service="pool") == 1
    assert metrics.value("turnpike_errors_total", kind="breaker-open") == 1


def test_all_workers_share_it(gateway: Gateway, origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, breaker={"failures": 10})
    assert statuses(gateway, 40) == [500] * 10 + [503] * 30
    assert len(origin.requests) == 10


def test_its_answer_is_configured_and_error_pages_shape_it(gateway: Gateway, origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, breaker={"failures": 1, "answer": {"status": 429, "detail": "Come back later."}})
    statuses(gateway, 1)
    answer = gateway.get("/")
    assert (answer.status, answer.json()["detail"]) == (429, "Come back later.")
    page = {"errors": "breaker-open", "content_type": "text/plain", "body": "closed for ${response.status}"}
    gateway.load(services={"pool": {"endpoints": [origin.url], "retry": {"attempts": 0},
                                    "breaker": {**RULES, "failures": 1}}},
                 policies=[{"error-pages": {"pages": [page]}}])
    answer = gateway.get("/", headers={"Accept": "text/plain"})
    assert (answer.status, answer.text) == (503, "closed for 503")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("what", ["refuses", "closes", "stops-half-way", "breaks-http", "says-nothing"])
def test_errors_open_it(gateway: Gateway, origin: Origin, what: str) -> None:
    url: str = origin.url
    if what == "refuses":
        url = f"http://127.0.0.1:{free_port()}"
    elif what == "closes":
        origin.handler = lambda request, connection: connection.close()
    elif what == "stops-half-way":
        origin.reply_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", close=True)
    elif what == "breaks-http":
        origin.reply_raw(b"HTTP/1.1 banana\r\n\r\n")
    else:
        origin.hold()
    load(gateway, url, breaker={}, timeouts={"response": "100ms"})
    for _ in range(2):
        with gateway.connect() as client:
            client.send_request("GET", "/")
            client.read_all() if what == "stops-half-way" else client.read_response()
    wait_for_breaker(gateway, "open")


def test_errors_that_are_not_listed_do_not(gateway: Gateway, origin: Origin) -> None:
    origin.handler = lambda request, connection: connection.close()
    load(gateway, origin, breaker={"errors": ["timeout"], "statuses": [503]})
    assert statuses(gateway, 5) == [502] * 5
    origin.reply(500)
    assert statuses(gateway, 5) == [500] * 5
    assert breaker(gateway)["state"] == "closed"


def test_a_share_opens_it(gateway: Gateway, origin: Origin) -> None:
    good, bad = (b"HTTP/1.1 %d A\r\nContent-Length: 0\r\n\r\n" % status for status in (200, 500))
    origin.reply_in_turn(good, good, good, bad, bad, bad, bad, bad)
    load(gateway, origin, breaker={"failures": 0, "ratio": "50%", "requests": 6})
    assert statuses(gateway, 8) == [200, 200, 200, 500, 500, 500, 503, 503]
    assert breaker(gateway)["last_reason"] == "3 of 6 requests failed"


def test_slow_answers_open_it(gateway: Gateway, origin: Origin) -> None:
    pause = origin.gate()

    def slow(request: Request, connection: OriginConnection) -> None:
        pause.wait(0.15)
        connection.reply(200)
    origin.handler = slow
    load(gateway, origin, breaker={"failures": 0, "slow": "100ms", "slow_ratio": "50%", "requests": 3})
    assert statuses(gateway, 4) == [200, 200, 200, 503]
    assert breaker(gateway)["last_reason"] == "3 of 3 requests were slow"


def test_a_slow_upload_is_not_a_slow_service(gateway: Gateway, origin: Origin) -> None:
    load(gateway, origin, breaker={"failures": 0, "slow": "200ms", "slow_ratio": "1%", "requests": 1})
    pause = threading.Event()
    with gateway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
        pause.wait(0.4)
        client.send(b"b")
        assert client.read_response("POST").status == 200
    assert breaker(gateway)["openings"] == 0


# Half-open


def test_one_request_tries_and_closes_it(gateway: Gateway, origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, breaker={"open": "200ms"})
    statuses(gateway, 2)
    assert breaker(gateway)["state"] == "open"
    origin.reply(200)
    wait_for_breaker(gateway, "half-open")
    assert statuses(gateway, 5) == [200] * 5
    assert breaker(gateway)["state"] == "closed"
    gateway.wait_for_log("breaker closed", "service=pool")


def test_only_so_many_try_at_once_whatever_the_workers(gateway: Gateway, origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, breaker={"open": "500ms", "probes": 2, "successes": 2})
    statuses(gateway, 2)
    origin.reply(200)
    gate = origin.hold()
    wait_for_breaker(gateway, "half-open")
    began = time.monotonic()
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(gateway.get("/").status)) for _ in range(20)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answers) == 18, what="all others to be refused")
    in_time = time.monotonic() - began < 0.5          # later ones may try: those before are given up
    gate.set()
    for thread in threads:
        thread.join()
    if in_time:
        assert sorted(answers) == [200] * 2 + [503] * 18
        assert len(origin.requests) == 4
    wait_for_breaker(gateway, "closed")


def test_a_failure_of_who_tries_opens_it_for_longer(gateway: Gateway, origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, breaker={"open": "200ms", "open_max": "60s"})
    statuses(gateway, 2)
    for wanted in (400, 800):
        wait_for_breaker(gateway, "half-open")
        assert statuses(gateway, 1) == [500]
        now = breaker(gateway)
        assert now["state"] == "open" and wanted - 200 < now["ms_left"] <= wanted
    assert breaker(gateway)["last_reason"] == "a request that tried it failed"


def test_who_tries_and_goes_away_leaves_nothing(gateway: Gateway, origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, breaker={"open": "200ms"})
    statuses(gateway, 2)
    origin.hold()
    wait_for_breaker(gateway, "half-open")
    with gateway.connect() as client:
        client.send_request("GET", "/")
        origin.wait_for(3)
        client.reset()
    wait_until(lambda: gateway.endpoint_status(origin.url)["in_flight"] == 0, what="the client's end to be seen")
    origin.reply(200)
    wait_until(lambda: gateway.get("/").status == 200, what="another to try")


def test_an_endless_answer_closes_it(gateway: Gateway, origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, breaker={"open": "200ms"})
    statuses(gateway, 2)

    def stream(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        connection.ended()
    origin.handler = stream
    wait_for_breaker(gateway, "half-open")
    with gateway.connect() as client:
        client.send_request("GET", "/")
        assert client.read_head().status == 200
        assert breaker(gateway)["state"] == "closed"
        client.reset()


# Retry-After


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_of_the_service_is_honoured(gateway: Gateway, origin: Origin, form: str) -> None:
    value = "30" if form == "seconds" else formatdate(time.time() + 30, usegmt=True)
    origin.reply(503, {"Retry-After": value})
    load(gateway, origin, breaker={"failures": 1, "open": "1s"})
    statuses(gateway, 1)
    assert 25 <= int(gateway.get("/").headers["Retry-After"]) <= 30
    assert breaker(gateway)["ms_left"] > 20000


def test_retry_after_has_a_limit_and_may_be_ignored(gateway: Gateway, origin: Origin) -> None:
    origin.reply(503, {"Retry-After": "86400"})
    load(gateway, origin, breaker={"failures": 1, "open": "1s", "open_max": "5s"})
    statuses(gateway, 1)
    assert 3000 < breaker(gateway)["ms_left"] <= 5000
    gateway.load(services={"other": {"endpoints": [origin.url], "breaker": {**RULES, "failures": 1, "open": "2s",
                                                                            "retry_after": False}}})
    statuses(gateway, 1)
    assert gateway.service_status("other")["breaker"]["ms_left"] <= 2000


# State


def test_a_reload_keeps_it_open(gateway: Gateway, origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, breaker={})
    statuses(gateway, 2)
    load(gateway, origin, breaker={"failures": 7}, timeouts={"connect": "3s"})
    assert breaker(gateway)["state"] == "open"
    assert statuses(gateway, 1) == [503]
    assert len(origin.requests) == 2


def test_without_its_rules_it_lets_everything_pass(gateway: Gateway, origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, breaker={})
    statuses(gateway, 2)
    load(gateway, origin)
    assert statuses(gateway, 3) == [500] * 3
    assert "breaker" not in gateway.service_status("pool")


def test_a_flapping_service_is_asked_less_and_less(gateway: Gateway, origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, breaker={"failures": 1, "open": "50ms", "open_max": "60s"})
    end = time.monotonic() + 2
    while time.monotonic() < end:
        gateway.get("/")
    assert 2 <= len(origin.requests) <= 7          # 50, 100, 200, 400, 800 ms ... and not every 50 ms


# Of endpoints


def test_the_breaker_of_an_endpoint_leaves_the_others_alone(gateway: Gateway, origin: Origin,
                                                            second_origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, second_origin, endpoint_breaker=RULES)
    assert sorted(statuses(gateway, 20)) == [200] * 18 + [500] * 2
    status = gateway.endpoint_status(origin.url)
    assert (status["state"], status["breaker"]["state"]) == ("breaker-open", "open")
    assert gateway.metrics().value("turnpike_endpoint_breaker_state", endpoint=origin.url) == 2
    gateway.wait_for_log("endpoint out of service", "state=breaker-open", "2 requests failed within the window")
    second_origin.reply(500)
    statuses(gateway, 2)
    answer = gateway.get("/")
    assert (answer.status, int(answer.headers["Retry-After"]) > 0) == (503, True)
    assert [line.get("error") for line in gateway.access_log(23)].count("breaker-open") == 1


def test_an_endpoint_is_tried_again_and_comes_back(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, second_origin, endpoint_breaker={**RULES, "open": "200ms"})
    statuses(gateway, 4)
    origin.reply(200)
    wait_until(lambda: gateway.endpoint_status(origin.url)["breaker"]["state"] == "half-open", what="half-open")
    assert statuses(gateway, 4) == [200] * 4
    assert gateway.endpoint_status(origin.url)["state"] == "in-service"
    gateway.wait_for_log("endpoint in service", "its breaker is closed", origin.url)
