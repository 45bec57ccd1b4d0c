"""Every limit has its standard answer and its counter."""

from __future__ import annotations

import socket
import threading

import pytest

from support.binary import turnpike
from support.client import Connection, chunked, request_bytes
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection, response_bytes
from support.wait import DEADLINE, wait_until


def limited(gateway: Gateway, **limits: object) -> None:
    gateway.load(listener={"limits": limits})


def assert_refused(client: Connection, status: int) -> None:
    response = client.read_response()
    assert response.status == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "close" in response.headers.tokens("Connection")
    assert client.closed()


def assert_counted(gateway: Gateway, limit: str, count: int = 1) -> None:
    gateway.wait_for_metric("turnpike_limits_reached_total", count, listener="main", limit=limit)


# Sizes of a request


def test_a_request_line_that_is_too_long_gets_414(gateway: Gateway, origin: Origin) -> None:
    limited(gateway, request_line="1KiB")
    assert gateway.get("/" + "a" * 900).status == 200
    with gateway.connect() as client:
        client.send_request("GET", "/" + "a" * 1100)
        assert_refused(client, 414)
    assert len(origin.requests) == 1
    assert_counted(gateway, "request_line")


def test_a_request_line_without_an_end_gets_414(gateway: Gateway) -> None:
    limited(gateway, request_line="1KiB")
    with gateway.connect() as client:
        client.send(b"GET /" + b"a" * 100_000)
        assert_refused(client, 414)


def test_a_request_line_of_just_the_limit_is_served(gateway: Gateway, origin: Origin) -> None:
    limited(gateway, request_line="1KiB")
    target = "/" + "a" * (1024 - len("GET / HTTP/1.1"))
    assert len(f"GET {target} HTTP/1.1") == 1024
    assert gateway.get(target).status == 200
    assert gateway.get(target + "a").status == 414
    assert len(origin.requests) == 1


def test_too_many_fields_get_431(gateway: Gateway, origin: Origin) -> None:
    limited(gateway, fields=20)
    assert gateway.get("/", headers=[(f"X-{number}", "v") for number in range(19)]).status == 200
    with gateway.connect() as client:
        client.send_request("GET", "/", [(f"X-{number}", "v") for number in range(20)])
        assert_refused(client, 431)
    assert len(origin.requests) == 1
    assert_counted(gateway, "fields")


def test_a_head_that_is_too_large_gets_431(gateway: Gateway, origin: Origin) -> None:
    limited(gateway, head="4KiB")
    assert gateway.get("/", headers={"X-Large": "v" * 3000}).status == 200
    with gateway.connect() as client:
        client.send_request("GET", "/", {"X-Large": "v" * 5000})
        assert_refused(client, 431)
    assert len(origin.requests) == 1
    assert_counted(gateway, "head")


def test_a_head_without_an_end_gets_431(gateway: Gateway) -> None:
    limited(gateway, head="4KiB")
    with gateway.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"v" * 200_000)
        assert_refused(client, 431)


def test_the_default_limits_bound_a_head(gateway: Gateway) -> None:
    gateway.load()
    assert gateway.get("/" + "a" * 9000).status == 414
    assert gateway.get("/", headers={"X-Large": "v" * 40_000}).status == 431
    assert gateway.get("/", headers=[("X", "v")] * 101).status == 431


def test_a_body_whose_length_is_over_the_limit_gets_413_before_it_is_sent(gateway: Gateway, origin: Origin) -> None:
    limited(gateway, body="1KiB")
    assert gateway.post("/", body=b"x" * 1024).status == 200
    with gateway.connect() as client:
        client.send_request("POST", "/", {"Content-Length": "1025", "Expect": "100-continue"})
        assert_refused(client, 413)
    assert len(origin.requests) == 1
    assert_counted(gateway, "body")


def test_a_chunked_body_over_the_limit_gets_413(gateway: Gateway, origin: Origin) -> None:
    limited(gateway, body="1KiB")
    assert gateway.post("/", body=[b"x" * 512, b"x" * 512]).status == 200
    with gateway.connect() as client:
        client.send_request("POST", "/", None, [b"x" * 512, b"x" * 513])
        assert_refused(client, 413)
    assert [request.complete for request in origin.requests if request.method == "POST"].count(True) == 1
    assert_counted(gateway, "body")


def test_without_a_limit_a_body_may_have_any_size(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    assert gateway.post("/", body=b"x" * 20_000_000).status == 200
    assert len(origin.last.body) == 20_000_000


def test_trailers_over_the_limit_are_refused(gateway: Gateway, origin: Origin) -> None:
    limited(gateway, trailers="1KiB")
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + chunked([b"a"], {"X": "v" * 500}))
        assert client.read_response().status == 200
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + chunked([b"a"], {"X": "v" * 2000}))
        assert_refused(client, 431)
    assert [request.complete for request in origin.requests].count(True) == 1
    assert_counted(gateway, "trailers")


# Times


def test_a_head_that_takes_too_long_gets_408(gateway: Gateway, origin: Origin) -> None:
    gateway.load(listener={"timeouts": {"head": "300ms"}})
    with gateway.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: gate")
        assert_refused(client, 408)
    assert origin.connections == 0
    assert_counted(gateway, "head_timeout")


def test_dripping_does_not_stretch_the_time_for_a_head(gateway: Gateway) -> None:
    gateway.load(listener={"timeouts": {"head": "300ms", "idle": "300ms"}})
    stop = threading.Event()
    with gateway.connect() as client:
        dripper = threading.Thread(target=client.drip, args=(b"GET / HTTP/1.1\r\nX: " + b"y" * 1000, 0.05, stop))
        dripper.start()
        assert client.read_response().status == 408
        stop.set()
        dripper.join(10)


def test_a_connection_without_a_request_is_closed_without_an_answer(gateway: Gateway) -> None:
    gateway.load(listener={"timeouts": {"idle": "300ms", "head": "300ms"}})
    with gateway.connect() as client:
        assert client.read_all() == b""


def test_an_idle_connection_is_closed_without_an_answer(gateway: Gateway) -> None:
    gateway.load(listener={"timeouts": {"idle": "300ms"}})
    with gateway.connect() as client:
        assert client.get("/").status == 200
        assert client.closed()


def test_a_body_that_stalls_gets_408(gateway: Gateway, origin: Origin) -> None:
    gateway.load(listener={"timeouts": {"body": "300ms"}})
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Content-Length": "10"}) + b"half")
        assert_refused(client, 408)
    wait_until(lambda: not origin.open, what="the origin's connection to be closed")
    assert not any(request.complete for request in origin.requests)
    assert_counted(gateway, "body_timeout")


def test_a_body_that_moves_is_not_cut_off_by_the_stall_timeout(gateway: Gateway, origin: Origin) -> None:
    """The timeout is between two reads, not for the whole body."""
    gateway.load(listener={"timeouts": {"body": "400ms"}})
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Content-Length": "20"}))
        client.drip(b"x" * 20, 0.05, threading.Event())
        assert client.read_response().status == 200


def test_a_body_below_the_minimum_rate_gets_408(gateway: Gateway, origin: Origin) -> None:
    gateway.load(listener={"timeouts": {"body": "10s"}, "body_rate_min": "10KiB"})
    stop = threading.Event()
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Content-Length": "100000"}))
        dripper = threading.Thread(target=client.drip, args=(b"x" * 1000, 0.02, stop))
        dripper.start()
        assert client.read_response().status == 408
        stop.set()
        dripper.join(10)
    assert_counted(gateway, "body_rate")


def test_the_minimum_rate_does_not_blame_the_client_for_a_slow_origin(gateway: Gateway, origin: Origin) -> None:
    gateway.load(listener={"timeouts": {"body": "500ms"}, "body_rate_min": "1MiB"})
    gate, reading = origin.gate(), threading.Event()

    def handler(request: Request, connection: OriginConnection) -> None:
        reading.set()
        gate.wait(10)
        connection.reply(body=b"%d" % len(connection.read_body(request)))
    origin.early, origin.handler = True, handler
    body = b"x" * 30_000_000
    with gateway.connect(timeout=30) as client:
        sender = threading.Thread(target=client.send_request, args=("POST", "/", None, body))
        sender.start()
        assert reading.wait(10)
        sender.join(1.5)
        assert sender.is_alive(), "the client cannot send for longer than the timeout, because the origin does not read"
        gate.set()
        assert client.read_response("POST").body == b"30000000"
        sender.join(10)

def test_bytes_of_the_client_do_not_stretch_the_time_for_its_reading(gateway: Gateway, origin: Origin) -> None:
    origin.reply(200, None, b"x" * 30_000_000)
    gateway.load(listener={"timeouts": {"send": "500ms"}})
    stop = threading.Event()
    with gateway.connect(receive_buffer=4096) as client:
        client.send_request("GET", "/")
        dripper = threading.Thread(target=client.drip, args=(b"G" * 1000, 0.05, stop))
        dripper.start()
        assert gateway.access_log()[0]["status"] == 200
        stop.set()
        dripper.join(10)
        assert len(client.read_all()) < 30_000_000


# Connections


def test_connections_over_the_limit_get_503(gateway: Gateway) -> None:
    limited(gateway, connections=2)
    first, second = gateway.connect(), gateway.connect()
    with first, second:
        assert first.get("/").status == second.get("/").status == 200
        with gateway.connect() as third:
            third.send_request("GET", "/")
            assert_refused(third, 503)
        assert first.get("/").status == 200, "those that are there go on"
    assert_counted(gateway, "connections")
    wait_until(lambda: gateway.get("/").status == 200, what="room for a new connection")


def test_connections_of_one_client_over_the_limit_get_503(gateway: Gateway) -> None:
    limited(gateway, connections_per_client=2)
    first, second = gateway.connect(), gateway.connect()
    with first, second:
        assert first.get("/").status == second.get("/").status == 200
        with gateway.connect() as third:
            third.send_request("GET", "/")
            assert_refused(third, 503)
    assert_counted(gateway, "connections_per_client")
    wait_until(lambda: gateway.get("/").status == 200, what="room for a new connection")


def test_connections_of_another_client_are_counted_apart(gateway: Gateway) -> None:
    limited(gateway, connections_per_client=1)
    with gateway.connect() as first, socket.socket() as other:
        assert first.get("/").status == 200
        other.settimeout(10)
        other.bind(("127.0.0.2", 0))
        other.connect(gateway.address())
        other.sendall(request_bytes("GET", "/"))
        assert other.recv(1000).startswith(b"HTTP/1.1 200")


def test_the_last_request_of_a_connection_says_so(gateway: Gateway) -> None:
    limited(gateway, requests_per_connection=3)
    with gateway.connect() as client:
        tokens = [client.get("/").headers.tokens("Connection") for _ in range(3)]
        assert tokens[0] == tokens[1] != ["close"]
        assert tokens[2] == ["close"]
        assert client.closed()


def test_pipelined_requests_wait_and_never_mix(gateway: Gateway, origin: Origin) -> None:
    """They need no limit: while one is answered, the others wait unread."""
    gateway.load()
    gate = origin.hold()
    with gateway.connect() as client:
        client.send(b"".join(request_bytes("GET", f"/{number}") for number in range(50)))
        origin.wait_for(1)
        assert len(origin.requests) == 1
        gate.set()
        client.finish_sending()
        responses = client.read_responses()
    assert [response.status for response in responses] == [200] * 50
    assert origin.targets == [f"/{number}" for number in range(50)]


PIPELINED = 10_000


def bytes_of(gateway: Gateway, *subsystems: str) -> float:
    metrics = gateway.metrics()
    return sum(metrics.value("turnpike_memory_bytes", subsystem=subsystem) for subsystem in subsystems)


def send_until_refused(client: Connection, data: bytes) -> int:
    """As much as the kernel takes now; it is the gateway's not reading that makes it stop."""
    sent = 0
    client.sock.setblocking(False)
    try:
        while sent < len(data):
            sent += client.sock.send(data[sent:sent + 65536])
    except BlockingIOError:
        pass
    client.sock.settimeout(DEADLINE)
    return sent


def test_ten_thousand_pipelined_requests_take_no_more_memory_than_one(gateway: Gateway, origin: Origin) -> None:
    """One is read at a time: the rest waits in the kernel's buffer, which is the bound, or with the client."""
    gateway.load(workers=1)
    gate = origin.hold()
    data = b"".join(request_bytes("GET", f"/{number}", {"X-Filler": "x" * 900}) for number in range(PIPELINED))
    with gateway.connect() as one:
        one.send_request("GET", "/")
        origin.wait_for(1)
        of_one = bytes_of(gateway, "buffers", "exchanges", "connections")
        with gateway.connect() as client:
            sent = send_until_refused(client, data)
            wait_until(lambda: len(origin.requests) == 2, what="the first of them at the origin")
            of_both = bytes_of(gateway, "buffers", "exchanges", "connections")
            assert gateway.metrics().value("turnpike_requests_in_flight") == 2
            gate.set()
            sender = threading.Thread(target=client.send, args=(data[sent:],), daemon=True)
            sender.start()
            assert all(client.read_response().status == 200 for _ in range(200))
            assert bytes_of(gateway, "buffers", "exchanges", "connections") <= of_both + 64 * 1024
            client.sock.shutdown(socket.SHUT_RDWR)
            sender.join(DEADLINE)
    assert sent < len(data), "the kernel took everything, and the test proves nothing"
    assert of_both <= 2 * of_one + 64 * 1024


def test_a_client_that_pipelines_and_never_reads_gets_no_queue_of_answers(gateway: Gateway) -> None:
    """An answer is out before the next request is read."""
    gateway.load(workers=1, routes={"default": {"match": {"path": "/"}, "respond": {"status": 200, "body": "y" * 4000}}})
    data = request_bytes("GET", "/") * PIPELINED
    with gateway.connect(receive_buffer=4096) as deaf, gateway.connect() as other:
        sent = send_until_refused(deaf, data)
        wait_until(lambda: any(exchange["waiting_for"] == "client" for exchange in gateway.admin("/exchanges")["exchanges"]),
                   what="the gateway to wait for the client")
        assert gateway.metrics().value("turnpike_requests_in_flight") == 1
        assert bytes_of(gateway, "buffers", "exchanges", "connections") < 256 * 1024
        assert other.get("/").status == 200, "others are served meanwhile"
        sender = threading.Thread(target=deaf.send, args=(data[sent:],), daemon=True)
        sender.start()
        assert all(deaf.read_response().status == 200 for _ in range(PIPELINED)), "and all are answered in the end"
        sender.join(DEADLINE)


# The origin's side


def test_an_answer_head_over_the_limit_gets_502(gateway: Gateway, origin: Origin) -> None:
    gateway.load(service={"limits": {"head": "4KiB", "fields": 20}})
    origin.reply(200, {"X-Large": "v" * 3000})
    assert gateway.get("/").status == 200
    origin.reply(200, {"X-Large": "v" * 5000})
    assert gateway.get("/").status == 502
    origin.reply_raw(response_bytes(200, [(f"X-{number}", "v") for number in range(30)], b""))
    assert gateway.get("/").status == 502


@pytest.mark.parametrize("field", ["request_line", "fields", "head"])
def test_a_limit_of_nothing_is_a_configuration_error(gateway: Gateway, field: str) -> None:
    gateway.write(gateway.full_config(listener={"limits": {field: 0}}))
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"limits.{field}" in done.stderr + done.stdout


# Memory


def test_when_the_buffers_are_used_up_the_answer_is_503_until_some_are_free(gateway: Gateway, origin: Origin) -> None:
    gateway.load(buffers={"memory": "1MiB"}, workers=1, service={"passive": {"failures": 1}})
    origin.reply(200, None, b"x" * 30_000_000)
    stuck: list[Connection] = []

    def is_used_up() -> bool:
        stuck.append(gateway.connect(receive_buffer=4096))
        stuck[-1].send_request("GET", "/")
        return stuck[-1].read_head().status == 503
    wait_until(is_used_up, what="the buffers to be used up by clients that do not read")
    assert 1 < len(stuck) < 40
    response = gateway.get("/")
    assert response.status == 503
    assert "Retry-After" in response.headers
    for client in stuck:
        client.reset()
    origin.reply()
    wait_until(lambda: gateway.get("/").status == 200, what="buffers to be free again")
    assert gateway.admin("/status")["endpoints"][0]["failed"] == 0, "the endpoint is not to blame"


def test_a_connection_older_than_its_lifetime_ends_with_an_answer(gateway: Gateway, origin: Origin) -> None:
    gateway.load(listener={"timeouts": {"lifetime": "50ms"}})
    with gateway.connect() as client:
        answer = wait_until(lambda: (lambda a: a if a.headers.tokens("Connection") == ["close"] else None)(client.get("/")),
                            what="an answer that closes")
        assert answer.status == 200
        assert client.closed()
