"""What is tried again, when, and what bounds it."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from typing import Any

import pytest

from support.binary import turnpike_path
from support.client import request_bytes
from support.gateway import Gateway
from support.message import Request
from support.origin import Handler, Origin, OriginConnection, response_bytes
from support.ports import free_port
from support.wait import wait_until

OFF = {"failures": 0}
FAST = {"base": "1ms", "max": "2s"}
GOOD = response_bytes(200, None, b"good")


def load(gateway: Gateway, *origins: Origin | str, retry: dict[str, Any], **service: Any) -> None:
    urls = [one if isinstance(one, str) else one.url for one in origins]
    gateway.load(services={"pool": {"endpoints": urls, "passive": OFF, "retry": {"backoff": FAST, **retry}, **service}})


def status(number: int, headers: dict[str, str] | None = None) -> bytes:
    return response_bytes(number, headers, b"bad")


def hang_up(request: Request, connection: OriginConnection) -> None:
    connection.close()


def silence(origin: Origin) -> Handler:
    gate = origin.gate()

    def handler(request: Request, connection: OriginConnection) -> None:
        gate.wait(20)
    return handler


# Reasons


@pytest.mark.parametrize("on, code", [("503", 503), ("5xx", 500), (["500-502", "504"], 502)])
def test_a_status_is_tried_again(gateway: Gateway, origin: Origin, on: Any, code: int) -> None:
    origin.reply_in_turn(status(code), GOOD)
    load(gateway, origin, retry={"on": on})
    assert gateway.get("/").text == "good"
    assert len(origin.requests) == 2
    assert origin.connections == 1, "the answer that was dropped had come whole"


def test_other_statuses_are_passed_on(gateway: Gateway, origin: Origin) -> None:
    origin.reply_in_turn(status(500), GOOD)
    load(gateway, origin, retry={"on": "503"})
    assert gateway.get("/").status == 500


def test_the_last_answer_is_passed_on(gateway: Gateway, origin: Origin) -> None:
    origin.reply(503, {"X-Try": "yes"}, b"bad")
    load(gateway, origin, retry={"on": "503", "attempts": 2})
    answer = gateway.get("/")
    assert (answer.status, answer.text, answer.headers.get("X-Try")) == (503, "bad", "yes")
    assert len(origin.requests) == 3


def test_an_expression_on_the_answer(gateway: Gateway, origin: Origin) -> None:
    origin.reply_in_turn(status(200, {"X-Busy": "yes"}), GOOD)
    load(gateway, origin, retry={"on": [], "when": '"x-busy" in response.headers'})

    assert gateway.get("/").text == "good"


def test_an_expression_cannot_use_the_answers_body(gateway: Gateway, origin: Origin) -> None:
    gateway.write(gateway.full_config(service={"retry": {"when": 'response.body == ""'}}))
    said = subprocess.run([str(turnpike_path()), "check", str(gateway.config_path)], capture_output=True, text=True,
                          check=False)
    assert said.returncode == 1 and "before the answer's body has come" in said.stdout + said.stderr


def test_a_reset_before_the_answer(gateway: Gateway, origin: Origin) -> None:
    origin.reply_in_turn(hang_up, GOOD)
    load(gateway, origin, retry={})
    assert gateway.get("/").text == "good"


def test_not_once_the_answer_has_begun(gateway: Gateway, origin: Origin) -> None:
    def half(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 O")
        connection.close()
    origin.reply_in_turn(half, GOOD)
    load(gateway, origin, retry={})
    assert gateway.get("/").status == 502


def test_each_try_has_its_time(gateway: Gateway, origin: Origin) -> None:
    origin.reply_in_turn(silence(origin), GOOD)
    load(gateway, origin, retry={"on": "timeout", "try": "100ms"})
    began = time.monotonic()
    assert gateway.get("/").text == "good"
    assert time.monotonic() - began < 5


def test_the_time_of_a_try_ends_the_last_one(gateway: Gateway, origin: Origin) -> None:
    origin.handler = silence(origin)
    load(gateway, origin, retry={"on": "timeout", "try": "50ms", "attempts": 2})
    assert gateway.get("/").status == 504
    assert len(origin.requests) == 3


def test_the_total_time_holds_for_all_tries(gateway: Gateway, origin: Origin) -> None:
    origin.handler = silence(origin)
    load(gateway, origin, retry={"on": "timeout", "try": "100ms", "attempts": 10}, timeouts={"total": "250ms"})
    assert gateway.get("/").status == 504
    assert len(origin.requests) <= 4
    wait_until(lambda: gateway.metrics().value("turnpike_errors_total", kind="total-timeout") == 1, what="it to be counted")


def test_another_endpoint_is_preferred(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    origin.reply(503, None, b"bad")
    load(gateway, origin, second_origin, retry={"on": "503"})
    assert {gateway.get("/").status for _ in range(10)} == {200}


# Safety


@pytest.mark.parametrize("method, tries", [("GET", 2), ("PUT", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)])
def test_only_idempotent_methods(gateway: Gateway, origin: Origin, method: str, tries: int) -> None:
    origin.reply_in_turn(status(503), GOOD)
    load(gateway, origin, retry={"on": "503"})
    gateway.request(method, "/")
    assert len(origin.requests) == tries


def test_others_where_the_configuration_says_so(gateway: Gateway, origin: Origin) -> None:
    origin.reply_in_turn(status(503), GOOD)
    load(gateway, origin, retry={"on": "503", "unsafe": True})
    assert gateway.post("/", body=b"again").text == "good"
    assert [request.body for request in origin.requests] == [b"again", b"again"]


def test_connecting_may_always_be_tried_again(gateway: Gateway, origin: Origin) -> None:
    load(gateway, f"http://127.0.0.1:{free_port()}", origin, retry={})
    assert {gateway.post("/", body=b"once").status for _ in range(6)} == {200}


# Bodies


@pytest.mark.parametrize("body", [b"x" * 50000, [b"x" * 20000, b"y" * 20000]], ids=["length", "chunked"])
def test_a_body_goes_out_again(gateway: Gateway, origin: Origin, body: Any) -> None:
    origin.reply_in_turn(status(503), hang_up, GOOD)
    load(gateway, origin, retry={"on": ["503", "reset"], "attempts": 2})
    assert gateway.request("PUT", "/", body=body).text == "good"
    whole = body if isinstance(body, bytes) else b"".join(body)
    assert [request.body for request in origin.requests] == [whole] * 3


@pytest.mark.parametrize("body", [b"x" * 1001, [b"x" * 600, b"x" * 401]], ids=["length", "chunked"])
def test_a_body_that_is_too_large_makes_the_try_final(gateway: Gateway, origin: Origin, body: Any) -> None:
    origin.reply_in_turn(status(503), GOOD)
    load(gateway, origin, retry={"on": "503", "body": 1000})
    assert gateway.request("PUT", "/", body=body).status == 503
    assert len(origin.requests) == 1


def test_an_early_failure_in_the_middle_of_a_body(gateway: Gateway, origin: Origin) -> None:
    origin.early = True
    answered = threading.Event()

    def early(request: Request, connection: OriginConnection) -> None:
        connection.send(status(503))
        answered.set()
        connection.closing = True

    def good(request: Request, connection: OriginConnection) -> None:
        connection.reply(200, None, connection.read_body(request))
    origin.reply_in_turn(early, good)
    load(gateway, origin, retry={"on": "503"})
    with gateway.connect() as client:
        client.send(request_bytes("PUT", "/", {"Content-Length": "10"}) + b"first")
        assert answered.wait(10)
        origin.wait_for(2)
        client.send(b"other")
        assert client.read_response("PUT").text == "firstother"


def test_a_body_that_a_policy_has_whole(gateway: Gateway, origin: Origin) -> None:
    origin.reply_in_turn(status(503), GOOD)
    load(gateway, origin, retry={"on": "503", "body": 0})
    config = gateway.full_config(services={"pool": {"endpoints": [origin.url],
                                                    "retry": {"on": "503", "body": 0, "backoff": FAST}}},
                                 policies=[{"headers": {"request": {"set": {"X-Seen": "${request.body}"}}}}])
    gateway.load(config)
    assert gateway.request("PUT", "/", body=b"kept").text == "good"
    assert [request.body for request in origin.requests] == [b"kept", b"kept"]


def test_body_hooks_see_a_body_once(gateway: Gateway, origin: Origin) -> None:
    origin.reply_in_turn(status(503), GOOD)
    load(gateway, origin, retry={"on": "503"})
    config = gateway.full_config(services={"pool": {"endpoints": [origin.url],
                                                    "retry": {"on": "503", "backoff": FAST}}},
                                 policies=[{"size-limit": {"request_body": 8}}])
    gateway.load(config)
    assert gateway.request("PUT", "/", body=[b"four", b"five"]).text == "good", "the second try is not counted"


# Time


def test_retry_after_is_honoured(gateway: Gateway, origin: Origin) -> None:
    origin.reply_in_turn(status(503, {"Retry-After": "1"}), GOOD)
    load(gateway, origin, retry={"on": "503"})
    began = time.monotonic()
    assert gateway.get("/").text == "good"
    assert time.monotonic() - began >= 1


def test_retry_after_beyond_the_cap_is_final(gateway: Gateway, origin: Origin) -> None:
    origin.reply_in_turn(status(503, {"Retry-After": "3"}), GOOD)
    load(gateway, origin, retry={"on": "503"})
    answer = gateway.get("/")
    assert (answer.status, answer.headers.get("Retry-After")) == (503, "3")


def test_a_waiting_exchange_says_so(gateway: Gateway, origin: Origin) -> None:
    origin.reply_in_turn(status(503, {"Retry-After": "2"}), GOOD)
    load(gateway, origin, retry={"on": "503"})
    with gateway.connect() as client:
        client.send(request_bytes("GET", "/"))
        origin.wait_for(1)
        wait_until(lambda: "back-off" in gateway.admin_response("/exchanges").text, what="the exchange to wait")
        assert client.read_response().text == "good"


@pytest.mark.parametrize("form, shape", [("milliseconds", r"[0-9]{3,5}"), ("seconds", r"[0-9]+\.[0-9]{3}"),
                                         ("grpc-timeout", r"[0-9]{1,8}m")])
def test_the_deadline_is_passed_on(gateway: Gateway, origin: Origin, form: str, shape: str) -> None:
    gateway.load(service={"timeouts": {"total": "20s"}, "deadline": {"header": "X-Left", "format": form}})
    gateway.get("/", headers={"X-Left": "forever"})
    assert re.fullmatch(shape, origin.last.headers["X-Left"])


def test_what_a_client_says_of_deadlines_is_dropped(gateway: Gateway, origin: Origin) -> None:
    gateway.load(service={"deadline": {"header": "X-Left"}})
    gateway.get("/", headers={"X-Left": "forever"})
    assert "X-Left" not in origin.last.headers


# The budget


def test_the_budget_bounds_retries(gateway: Gateway, origin: Origin) -> None:
    origin.reply(503, None, b"bad")
    load(gateway, origin, retry={"on": "503", "attempts": 3, "budget": {"share": "20%", "min": 5, "window": "1h"}})
    for _ in range(100):
        assert gateway.get("/").status == 503
    assert len(origin.requests) == 120
    metrics = gateway.metrics()
    assert metrics.value("turnpike_retries_total", service="pool") == 20
    assert metrics.value("turnpike_retries_refused_total", service="pool") >= 80


def test_the_budget_survives_a_reload(gateway: Gateway, origin: Origin) -> None:
    origin.reply(503, None, b"bad")
    budget = {"share": "0%", "min": 3, "window": "1h"}
    load(gateway, origin, retry={"on": "503", "budget": budget})
    for _ in range(5):
        gateway.get("/")
    load(gateway, origin, retry={"on": "503", "budget": budget, "attempts": 2})
    for _ in range(5):
        gateway.get("/")
    assert len(origin.requests) == 13


# Pools


def test_a_connection_serves_so_many_requests(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1, service={"pool": {"requests": 3}})
    with gateway.connect() as client:
        for _ in range(9):
            client.get("/")
    assert origin.connections == 3


def test_an_old_connection_is_not_used_again(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1, service={"pool": {"age": "1ms"}})
    with gateway.connect() as client:
        for _ in range(3):
            client.get("/")
            before = time.monotonic()
            while time.monotonic() - before < 0.05:
                gateway.admin("/status")
    assert origin.connections == 3
