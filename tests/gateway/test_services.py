"""How an endpoint is chosen, and what happens when it fails or takes too long."""

from __future__ import annotations

import itertools
import socket
import threading
from typing import Any

import pytest

from support import proc
from support.client import request_bytes
from support.gateway import Gateway
from support.message import Request, Truncated
from support.origin import Origin, OriginConnection, response_bytes
from support.ports import FullListener, free_port
from support.wait import wait_until


def load(gateway: Gateway, endpoints: list[Any], **service: Any) -> None:
    gateway.load(services={"pool": {"endpoints": endpoints, **service}})


def nowhere() -> str:
    """A URL that refuses connections."""
    return f"http://127.0.0.1:{free_port()}"


def named(*origins: Origin) -> None:
    """Let each origin answer with its name."""
    for one in origins:
        one.reply(200, None, one.name.encode())


def hang_up(request: Request, connection: OriginConnection) -> None:
    """Close without an answer."""
    connection.close()


# Balancing


def test_requests_go_round(gateway: Gateway, origin: Origin, second_origin: Origin, third_origin: Origin) -> None:
    named(origin, second_origin, third_origin)
    load(gateway, [origin.url, second_origin.url, third_origin.url])
    answers = [gateway.get("/").text for _ in range(9)]
    assert {answers.count(one.name) for one in (origin, second_origin, third_origin)} == {3}
    assert answers[:3] * 3 == answers


def test_weights_are_kept_exactly_and_smoothly(gateway: Gateway, origin: Origin, second_origin: Origin,
                                               third_origin: Origin) -> None:
    named(origin, second_origin, third_origin)
    load(gateway, [{"url": origin.url, "weight": 3}, {"url": second_origin.url, "weight": 2},
                   {"url": third_origin.url, "weight": 1}])
    answers = [gateway.get("/").text for _ in range(18)]
    assert [answers.count(one.name) for one in (origin, second_origin, third_origin)] == [9, 6, 3]
    longest = max(len(list(run)) for _, run in itertools.groupby(answers))
    assert longest <= 2, f"not smooth: {answers}"


def test_the_turn_is_shared_by_the_workers(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    named(origin, second_origin)
    gateway.load(workers=2, services={"pool": {"endpoints": [origin.url, second_origin.url]}})
    connections = [gateway.connect() for _ in range(8)]
    answers = [connection.get("/").text for connection in connections for _ in range(5)]
    for connection in connections:
        connection.close()
    assert answers.count(origin.name) == answers.count(second_origin.name) == 20


def test_a_weight_of_nothing_gets_nothing(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    load(gateway, [{"url": origin.url, "weight": 0}, second_origin.url])
    for _ in range(6):
        gateway.get("/")
    assert (len(origin.requests), len(second_origin.requests)) == (0, 6)


def test_least_requests_avoids_the_busy_endpoint(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    load(gateway, [origin.url, second_origin.url], balance="least-requests")
    gate = origin.hold()
    second_origin.reply(200, None, b"free")
    with gateway.connect() as first, gateway.connect() as second:
        first.send_request("GET", "/")
        second.send_request("GET", "/")
        origin.wait_for(1)
        answers = [gateway.get("/").body for _ in range(10)]
        gate.set()
        first.read_response()
        second.read_response()
    assert answers == [b"free"] * 10
    assert len(origin.requests) == 1

def test_least_requests_finds_the_one_with_weight_among_many_without(gateway: Gateway, origin: Origin) -> None:
    """More than are all looked at: chance alone would meet none but those without weight."""
    without = [{"url": nowhere(), "weight": 0} for _ in range(30)]
    load(gateway, [*without, origin.url], balance="least-requests")
    with gateway.connect() as client:
        assert [client.get("/").status for _ in range(100)] == [200] * 100
    assert len(origin.requests) == 100


# Failure before a request was sent


def test_a_refused_connection_is_tried_at_another_endpoint(gateway: Gateway, origin: Origin) -> None:
    load(gateway, [nowhere(), origin.url])
    assert [gateway.get("/").status for _ in range(6)] == [200] * 6
    assert [gateway.post("/", body=b"not sent yet, so safe").status for _ in range(6)] == [200] * 6


def test_when_nobody_accepts_the_answer_is_502(gateway: Gateway) -> None:
    load(gateway, [nowhere(), nowhere()])
    response = gateway.get("/")
    assert response.status == 502
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "127.0.0.1" not in response.text, "no internals in an answer"


def test_an_origin_that_comes_back_is_used_again(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    assert gateway.get("/").status == 200
    origin.stop()
    assert gateway.get("/").status in (502, 503)
    origin.start()
    wait_until(lambda: gateway.get("/").status == 200, what="the origin to be used again")


def test_retries_can_be_switched_off(gateway: Gateway, origin: Origin) -> None:
    load(gateway, [nowhere(), origin.url], retry={"attempts": 0}, passive={"failures": 1000})
    assert sorted(gateway.get("/").status for _ in range(4)) == [200, 200, 502, 502]


# Failure of a connection that was kept


def test_a_kept_connection_that_the_origin_has_closed_costs_no_request(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    for method in ("GET", "POST", "PATCH"):
        assert gateway.request(method, "/", body=b"x").status == 200
        origin.close_connections()
        assert gateway.request(method, "/", body=b"x").status == 200


def test_a_kept_connection_that_closes_under_a_safe_request_costs_no_request(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    origin.reply_in_turn(response_bytes(200, None, b"first"), hang_up, response_bytes(200, None, b"again"))
    assert gateway.get("/1").body == b"first"
    assert gateway.get("/2").body == b"again"
    assert origin.targets == ["/1", "/2", "/2"]


def test_a_request_that_is_not_idempotent_is_never_sent_twice(gateway: Gateway, origin: Origin,
                                                              second_origin: Origin) -> None:
    gateway.load(workers=1, services={"pool": {"endpoints": [origin.url, second_origin.url]}})
    origin.handler = second_origin.handler = hang_up
    assert gateway.post("/pay", body=b"100").status == 502
    assert len(origin.requests) + len(second_origin.requests) == 1


def test_a_request_that_is_not_idempotent_is_never_sent_twice_on_a_kept_connection(gateway: Gateway,
                                                                                   origin: Origin) -> None:
    gateway.load(workers=1)
    origin.reply_in_turn(response_bytes(200, None, b"first"), hang_up, response_bytes(200, None, b"again"))
    assert gateway.get("/").status == 200
    assert gateway.post("/pay", body=b"100").status == 502
    assert origin.targets == ["/", "/pay"]


def test_an_answer_that_has_begun_is_never_tried_again(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    gateway.load(workers=1, services={"pool": {"endpoints": [origin.url, second_origin.url]}})
    for one in (origin, second_origin):
        one.reply_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", close=True)
    with gateway.connect() as client:
        client.send_request("GET", "/")
        with pytest.raises((Truncated, ConnectionResetError)):
            client.read_response()
    assert len(origin.requests) + len(second_origin.requests) == 1


def test_attempts_have_an_end(gateway: Gateway, origin: Origin) -> None:
    """Every kept connection may turn out to be closed, but a request is not tried for ever."""
    gateway.load(workers=1, service={"retry": {"attempts": 2}})
    origin.handler = hang_up
    assert gateway.get("/").status == 502
    assert len(origin.requests) <= 3


def test_a_body_that_was_streamed_is_not_sent_again_by_halves(gateway: Gateway, origin: Origin) -> None:
    """PUT is idempotent, but a body that is gone cannot be replayed."""
    gateway.load(workers=1)
    body = bytes(range(256)) * 8000
    origin.reply_in_turn(response_bytes(200, None, b"first"), hang_up, response_bytes(200, None, b"again"))
    assert gateway.get("/").status == 200
    response = gateway.request("PUT", "/", body=body)
    assert response.status in (200, 502)
    assert all(request.body == body for request in origin.requests if request.method == "PUT" and request.complete)


# Timeouts


def test_a_connection_that_is_not_accepted_in_time_gets_504(gateway: Gateway) -> None:
    with FullListener() as full:
        load(gateway, [full.url], timeouts={"connect": "300ms"}, retry={"attempts": 0})
        response = gateway.get("/")
    assert response.status == 504
    assert response.headers["Content-Type"] == "application/problem+json"


def test_a_connection_that_is_not_accepted_in_time_is_tried_elsewhere(gateway: Gateway, origin: Origin) -> None:
    with FullListener() as full:
        load(gateway, [full.url, origin.url], timeouts={"connect": "300ms"})
        assert [gateway.get("/").status for _ in range(2)] == [200, 200]


def test_an_answer_that_does_not_begin_in_time_gets_504(gateway: Gateway, origin: Origin) -> None:
    load(gateway, [origin.url], timeouts={"response": "300ms"})
    gate = origin.hold()
    response = gateway.get("/")
    gate.set()
    assert response.status == 504
    assert len(origin.requests) == 1, "the origin may be working on it: not tried again"
    assert gateway.access_log()[0]["status"] == 504


def test_a_late_answer_is_given_to_nobody(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1, service={"timeouts": {"response": "300ms"}})
    gate = origin.gate()

    def handler(request: Request, connection: OriginConnection) -> None:
        if request.target == "/late":
            gate.wait(10)
        connection.reply(body=request.target.encode())
    origin.handler = handler
    assert gateway.get("/late").status == 504
    gate.set()
    assert [gateway.get(f"/{number}").text for number in range(5)] == [f"/{number}" for number in range(5)]


def test_an_answer_that_stalls_is_broken_off(gateway: Gateway, origin: Origin) -> None:
    load(gateway, [origin.url], timeouts={"idle": "300ms"})
    gate = origin.gate()

    def handler(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        gate.wait(10)
    origin.handler = handler
    with gateway.connect() as client:
        client.send_request("GET", "/")
        with pytest.raises((Truncated, ConnectionResetError)):
            client.read_response()
    gate.set()


def test_the_total_time_is_bounded_although_bytes_keep_coming(gateway: Gateway, origin: Origin) -> None:
    load(gateway, [origin.url], timeouts={"idle": "5s", "total": "500ms"})
    gate = origin.gate()

    def handler(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            connection.send(b"x")
            if gate.wait(0.05):
                return
    origin.handler = handler
    with gateway.connect() as client:
        client.send_request("GET", "/")
        with pytest.raises((Truncated, ConnectionResetError)):
            client.read_response()
    gate.set()


def test_the_total_time_covers_all_attempts(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    load(gateway, [origin.url, second_origin.url], timeouts={"total": "400ms", "response": "10s"},
         retry={"attempts": 5})
    first, second = origin.hold(), second_origin.hold()
    response = gateway.get("/")
    first.set()
    second.set()
    assert response.status == 504

def test_an_origin_that_does_not_read_gets_504(gateway: Gateway, origin: Origin) -> None:
    gate = origin.gate()
    origin.connection_handler = lambda connection: gate.wait(20) and None
    gateway.load(service={"timeouts": {"idle": "500ms", "response": "500ms"}})
    with gateway.connect() as client:
        sender = threading.Thread(target=client.send, args=(request_bytes("POST", "/", None, b"x" * 30_000_000),))
        sender.start()
        assert client.read_response("POST").status == 504
        gate.set()
        assert client.closed()
        sender.join(10)
    assert (gateway.access_log()[0]["status"], gateway.access_log()[0]["error"]) == (504, "idle-timeout")


def test_an_early_413_is_passed_on_although_the_connection_breaks_under_the_upload(gateway: Gateway, origin: Origin) -> None:
    """More of the body, the answer and the reset come to the gateway in one batch of events."""
    gateway.load(workers=1)
    may_answer, has_answered = origin.gate(), threading.Event()
    unread: list[int] = []

    def handler(request: Request, connection: OriginConnection) -> None:
        connection.reader.exactly(1000, "the first piece")
        unread.append(len(connection.sock.recv(1, socket.MSG_PEEK)))
        may_answer.wait(10)
        connection.reply(413, {"Connection": "close"}, b"too large")
        connection.closing = True
        connection.sock.close()          # with bytes unread, so that it is a reset
        has_answered.set()
    origin.early, origin.handler = True, handler
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Content-Length": "500000"}) + b"x" * 1000)
        origin.wait_for(1)
        wait_until(lambda: client.send(b"y") or unread, what="the origin to have bytes that it does not read")
        with proc.stopped(gateway.worker_pid):
            client.send(b"z" * 1000)
            may_answer.set()
            assert has_answered.wait(10)
        response = client.read_response("POST")
    assert (response.status, response.body) == (413, b"too large")


# Passive health


def test_an_endpoint_that_fails_again_and_again_is_left_out(gateway: Gateway, origin: Origin,
                                                            second_origin: Origin) -> None:
    load(gateway, [origin.url, second_origin.url], passive={"failures": 3, "window": "10s", "eject": "30s"},
         retry={"attempts": 0})
    origin.handler = hang_up
    statuses = [gateway.get("/").status for _ in range(6)]
    assert statuses.count(502) == 3
    origin.forget()
    assert [gateway.get("/").status for _ in range(10)] == [200] * 10
    assert origin.requests == []


def test_an_endpoint_that_was_left_out_gets_another_chance(gateway: Gateway, origin: Origin,
                                                           second_origin: Origin) -> None:
    load(gateway, [origin.url, second_origin.url], passive={"failures": 1, "window": "10s", "eject": "300ms"},
         retry={"attempts": 0})
    origin.handler = hang_up
    for _ in range(2):
        gateway.get("/")
    origin.reply(200)
    origin.forget()
    wait_until(lambda: gateway.get("/").status == 200 and origin.requests, what="the endpoint to be tried again")


def test_a_service_is_never_emptied_by_failures(gateway: Gateway, origin: Origin) -> None:
    """The last endpoint is still better than none."""
    load(gateway, [origin.url], passive={"failures": 1, "window": "10s", "eject": "30s"}, retry={"attempts": 0})
    origin.handler = hang_up
    for _ in range(5):
        assert gateway.get("/").status == 502
    origin.reply(200)
    assert gateway.get("/").status == 200


def test_an_answer_with_an_error_of_the_client_is_no_failure_of_the_endpoint(gateway: Gateway, origin: Origin,
                                                                             second_origin: Origin) -> None:
    load(gateway, [origin.url, second_origin.url], passive={"failures": 1, "window": "10s", "eject": "30s"})
    origin.reply(404)
    for _ in range(6):
        gateway.get("/")
    assert len(origin.requests) == 3


def test_a_client_that_leaves_is_no_failure_of_the_endpoint(gateway: Gateway, origin: Origin,
                                                            second_origin: Origin) -> None:
    load(gateway, [origin.url, second_origin.url], passive={"failures": 1, "window": "10s", "eject": "30s"})
    gates = [origin.hold(), second_origin.hold()]
    for number in range(4):
        with gateway.connect() as client:
            client.send_request("GET", "/")
            wait_until(lambda: len(origin.requests) + len(second_origin.requests) == number + 1)
            client.reset()
    wait_until(lambda: not any(client for client in gateway.admin("/exchanges")["exchanges"]),
               what="the exchanges to end")
    for gate in gates:
        gate.set()
    origin.reply(200)
    second_origin.reply(200)
    origin.forget()
    second_origin.forget()
    for _ in range(4):
        assert gateway.get("/").status == 200
    assert len(origin.requests) == len(second_origin.requests) == 2

def test_a_head_that_is_too_large_to_be_sent_is_no_failure_of_the_endpoint(gateway: Gateway, origin: Origin,
                                                                           second_origin: Origin) -> None:
    """The client's fields fit, but with a copy of them the head does not."""
    gateway.load(services={"pool": {"endpoints": [origin.url, second_origin.url],
                                    "passive": {"failures": 1, "window": "10s", "eject": "30s"}}},
                 policies=[{"headers": {"request": {"set": {"X-Copy": "${request.headers['x-large']}"}}}}])
    assert [gateway.get("/", headers={"X-Large": "v" * 20_000}).status for _ in range(6)] == [503] * 6
    for endpoint in gateway.admin("/status")["endpoints"]:
        assert (endpoint["failed"], endpoint["ejections"], endpoint["state"]) == (0, 0, "in-service")
    assert [gateway.get("/", headers={"X-Large": "v"}).status for _ in range(4)] == [200] * 4
    assert len(origin.requests) == len(second_origin.requests) == 2


def test_a_client_that_leaves_does_not_clear_the_endpoint_of_its_failures(gateway: Gateway, origin: Origin) -> None:
    load(gateway, [origin.url], passive={"failures": 2, "window": "60s", "eject": "30s"}, retry={"attempts": 0})
    gate = origin.gate()

    def handler(request: Request, connection: OriginConnection) -> None:
        if request.target == "/left":
            gate.wait(20)
        connection.close()
    origin.handler = handler
    assert gateway.get("/").status == 502
    with gateway.connect() as client:
        client.send_request("GET", "/left")
        origin.wait_for(2)
        client.reset()
    wait_until(lambda: not gateway.admin("/exchanges")["exchanges"], what="the exchange to end")
    assert gateway.admin("/status")["endpoints"][0]["ejections"] == 0
    assert gateway.get("/").status == 502
    gate.set()
    assert gateway.admin("/status")["endpoints"][0]["ejections"] == 1


# Names


def test_a_name_is_resolved(gateway: Gateway, origin: Origin) -> None:
    load(gateway, [f"http://localhost:{origin.port}"], host="endpoint")
    wait_until(lambda: gateway.get("/").status == 200, what="the name to be resolved")
    assert origin.last.headers["Host"] == f"localhost:{origin.port}"


def test_a_name_that_does_not_exist_holds_nobody_up(gateway: Gateway, origin: Origin) -> None:
    gateway.load(services={"good": {"endpoints": [origin.url]},
                           "bad": {"endpoints": ["http://no-such-host.invalid:80"], "timeouts": {"connect": "2s"}}},
                 routes={"good": {"match": {"path": "/*"}, "service": "good"},
                         "bad": {"match": {"path": "/bad"}, "service": "bad"}})
    assert gateway.get("/").status == 200
    assert gateway.get("/bad").status in (502, 503, 504)
    assert gateway.get("/").status == 200


# Pool


def test_concurrent_requests_use_connections_of_their_own(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=1)
    gate = origin.hold()
    connections = [gateway.connect() for _ in range(10)]
    for number, connection in enumerate(connections):
        connection.send(request_bytes("GET", f"/{number}"))
    origin.wait_for(10)
    assert origin.connections == 10
    gate.set()
    for connection in connections:
        assert connection.read_response().status == 200
    origin.handler = lambda request, connection: connection.reply(body=b"later")
    for connection in connections:
        assert connection.get("/").body == b"later"
        connection.close()
    assert origin.connections == 10


def test_kept_connections_are_closed_after_their_idle_time(gateway: Gateway, origin: Origin) -> None:
    gateway.load(service={"pool": {"idle": "300ms"}})
    gateway.get("/")
    wait_until(lambda: not origin.open, what="the idle connection to be closed")


def test_requests_on_many_threads_all_get_their_own_answer(gateway: Gateway, origin: Origin,
                                                           second_origin: Origin) -> None:
    origin.reply_target()
    second_origin.reply_target()
    gateway.load(workers=2, services={"pool": {"endpoints": [origin.url, second_origin.url]}})
    wrong: list[str] = []

    def ask(number: int) -> None:
        with gateway.connect() as client:
            for turn in range(50):
                target = f"/{number}/{turn}"
                if client.get(target).text != target:
                    wrong.append(target)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert len(origin.requests) + len(second_origin.requests) == 400
