"""Bodies that a policy or an expression needs whole: buffered within a limit, and only where something asks for it."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import Any

import pytest

from support.binary import turnpike_path
from support.client import chunked, request_bytes
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection
from support.wait import wait_until

REFUSE_BOB = [{"respond": {"status": 403, "body": "not bob"}, "when": 'request.json.user.id == "bob"'}]
ECHO = [{"headers": {"request": {"set": {"X-Seen": "${request.body}"}}}}]
CHUNKED = {"Transfer-Encoding": "chunked"}


def post(gateway: Gateway, document: Any, **headers: str) -> Any:
    return gateway.post("/", headers=headers, json=document)


def budget(gateway: Gateway) -> float:
    return gateway.metrics().value("turnpike_memory_bytes", subsystem="buffers")


# What expressions see


def test_a_condition_on_the_json_decides(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=REFUSE_BOB)
    assert post(gateway, {"user": {"id": "bob"}}).status == 403
    assert not origin.requests
    assert post(gateway, {"user": {"id": "ann"}}).status == 200
    assert json.loads(origin.last.body) == {"user": {"id": "ann"}}


def test_a_template_sees_the_text(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=ECHO)
    assert gateway.post("/", body=b"the body").status == 200
    assert origin.last.headers.get("X-Seen") == "the body"
    assert origin.last.body == b"the body"


def test_a_key_sees_the_body(gateway: Gateway) -> None:
    gateway.load(policies=[{"rate-limit": {"limit": 1, "window": "1h", "key": "string(request.json.account)"}}])
    assert [post(gateway, {"account": number}).status for number in (1, 1, 2)] == [200, 429, 200]


def test_bytes_need_not_be_text(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"headers": {"request": {"set": {"X-Size": "${size(request.body_bytes)}"}}}}])
    assert gateway.post("/", body=b"\xff\xfe\x00").status == 200
    assert (origin.last.headers.get("X-Size"), origin.last.body) == ("3", b"\xff\xfe\x00")


def test_text_that_is_no_utf8_is_a_failure_of_the_policy(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=ECHO)
    assert gateway.post("/", body=b"\xff").status == 503
    assert not origin.requests


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_no_body_is_empty(gateway: Gateway, origin: Origin, method: str) -> None:
    gateway.load(policies=[{"respond": {"status": 418}, "when": 'request.body == ""'}])
    assert gateway.request(method, "/").status == 418


@pytest.mark.parametrize("on_error, status", [("deny", 503), ("allow", 200)])
def test_what_is_no_json_is_a_failure_of_the_policy(gateway: Gateway, on_error: str, status: int) -> None:
    gateway.load(policies=[{"headers": {"request": {"set": {"X-User": "${request.json.user}"}}}, "on_error": on_error}])
    assert gateway.post("/", body=b"{broken").status == status
    assert gateway.post("/").status == status


def test_a_large_document_is_parsed(gateway: Gateway) -> None:
    gateway.load(policies=[{"respond": {"status": 418}, "when": "size(request.json.items) == 90000"}],
                 listener={"limits": {"buffered_body": "4MiB"}})
    before = budget(gateway)
    assert post(gateway, {"items": list(range(90000))}).status == 418
    wait_until(lambda: budget(gateway) <= before + 512 * 1024, what="the memory to come back")


# How it comes


def test_chunked_bodies_are_gathered(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=ECHO)
    with gateway.connect() as client:
        assert client.request("POST", "/", None, [b"a", b"b" * 20, b"c"]).status == 200
        assert client.get("/").status == 200, "the connection is kept"
    assert origin.requests[0].headers.get("X-Seen") == "a" + "b" * 20 + "c"
    assert origin.requests[0].headers.get("Content-Length") == "22", "its length is known now"


def test_trailers_still_pass(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=ECHO)
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", CHUNKED) + chunked([b"abc"], {"X-Sum": "1"}))
        assert client.read_response().status == 200
    assert origin.last.body == b"abc"
    assert dict(origin.last.trailers) == {"X-Sum": "1"}


def test_a_client_that_waits_is_told_to_go_on_once(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=ECHO)
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Expect": "100-continue", "Content-Length": "3"}))
        assert client.read_head().status == 100
        client.send(b"abc")
        assert client.read_response("POST").status == 200
    assert origin.last.headers.get("X-Seen") == "abc"


def test_a_client_is_refused_before_it_sends_too_much(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=ECHO, listener={"limits": {"buffered_body": 10}})
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Expect": "100-continue", "Content-Length": "11"}))
        answer = client.read_response("POST")
    assert answer.status == 413
    assert not origin.requests


def test_a_slow_body_has_its_deadline(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=ECHO, listener={"timeouts": {"body": "200ms"}})
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Content-Length": "100"}) + b"a")
        assert client.read_response("POST").status == 408
    assert not origin.requests


# The limit


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_over_the_limit_is_413_and_names_it(gateway: Gateway, origin: Origin, framing: str) -> None:
    gateway.load(policies=ECHO, listener={"limits": {"buffered_body": 100}})
    assert gateway.post("/", body=b"x" * 100).status == 200
    body: Any = b"x" * 101 if framing == "length" else [b"x" * 60, b"x" * 41]
    answer = gateway.post("/", body=body)
    assert answer.status == 413
    assert answer.headers.get("Content-Type") == "application/problem+json"
    assert "100 bytes" in json.loads(answer.body)["detail"]
    assert "buffered_body" in json.loads(answer.body)["detail"]
    assert len(origin.requests) == 1
    assert gateway.metrics().value("turnpike_limits_reached_total", limit="buffered_body") == 1


def test_a_route_has_a_limit_of_its_own(gateway: Gateway) -> None:
    gateway.load(policies=ECHO, listener={"limits": {"buffered_body": 10}}, route={"limits": {"buffered_body": 20}})
    assert gateway.post("/", body=b"x" * 20).status == 200
    assert gateway.post("/", body=b"x" * 21).status == 413


def test_memory_for_bodies_is_limited_in_all(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=ECHO_SIZE, buffers={"memory": "2MiB"}, listener={"limits": {"buffered_body": "8MiB"}})
    before = budget(gateway)
    answer = gateway.post("/", body=b"x" * (3 << 20))
    assert answer.status == 503
    assert answer.headers.get("Retry-After") == "1"
    assert not origin.requests
    wait_until(lambda: budget(gateway) <= before + 512 * 1024, what="the memory to come back")
    wait_until(lambda: gateway.metrics().value("turnpike_errors_total", kind="buffers-full") == 1, what="it to be counted")
    metrics = gateway.metrics()
    assert metrics.value("turnpike_buffers_refused_total") >= 1
    assert gateway.post("/", body=b"x" * 1000).status == 200


ECHO_SIZE = [{"headers": {"request": {"set": {"X-Size": "${size(request.body_bytes)}"}}}}]


def test_memory_comes_back(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=ECHO_SIZE, listener={"limits": {"buffered_body": "4MiB"}})
    gateway.post("/", body=b"x" * (1 << 20))
    before = budget(gateway)
    for _ in range(20):
        assert gateway.post("/", body=b"x" * (1 << 20)).status == 200
    with gateway.connect() as client:       # and when the client goes away in the middle
        client.send(request_bytes("POST", "/", {"Content-Length": str(1 << 20)}) + b"x" * (600 << 10))
        wait_until(lambda: budget(gateway) > before + (256 << 10), what="the body to be buffered")
        client.reset()
    wait_until(lambda: budget(gateway) <= before + (512 << 10), what="the memory to come back")


def test_a_slow_origin_does_not_double_what_a_body_takes(gateway: Gateway, origin: Origin) -> None:
    origin.early = True
    gate = origin.gate()

    def handler(request: Request, connection: OriginConnection) -> None:
        gate.wait(20)
        connection.read_body(request)
        connection.reply(200, None, str(len(request.body)).encode())
    origin.handler = handler
    gateway.load(policies=ECHO_SIZE, listener={"limits": {"buffered_body": "16MiB"}})
    with gateway.connect() as client:
        sender = threading.Thread(target=client.send,
                                  args=(request_bytes("POST", "/", {}, b"x" * (16 << 20)),))
        sender.start()
        origin.wait_for(1)
        sender.join()
        assert budget(gateway) < 17 << 20
        gate.set()
        assert client.read_response("POST").text == str(16 << 20)


# Who pays


def test_nothing_is_buffered_where_nothing_asks(gateway: Gateway, origin: Origin) -> None:
    origin.early = True
    gateway.load(routes={"default": {"match": {"path": "/*"}},
                         "whole": {"match": {"path": "/whole"}, "policies": ECHO}})
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Content-Length": "10"}) + b"x")
        origin.wait_for(1)
        client.send(b"x" * 9)
        assert client.read_response("POST").status == 200


def test_who_calls_is_asked_first(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"key-auth": {}}, *ECHO], consumers={"ann": {"keys": ["key-of-ann"]}})
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Content-Length": "1000000"}))
        assert client.read_response("POST").status == 401, "before the body has come"


def test_a_condition_that_does_not_hold_buffers_nothing(gateway: Gateway, origin: Origin) -> None:
    origin.early = True
    gateway.load(policies=[{**ECHO[0], "when": 'request.method == "PUT"'}])
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/", {"Content-Length": "10"}) + b"x")
        origin.wait_for(1)
        client.send(b"x" * 9)
        assert client.read_response("POST").status == 200


@pytest.mark.parametrize("scope", ["consumer", "group"])
def test_policies_of_a_consumer_may_need_the_body(gateway: Gateway, origin: Origin, scope: str) -> None:
    ann: dict[str, Any] = {"keys": ["key-of-ann"]}
    parts: dict[str, Any] = {"consumers": {"ann": ann}}
    if scope == "consumer":
        ann["policies"] = REFUSE_BOB
    else:
        ann["groups"] = ["gold"]
        parts["groups"] = {"gold": {"policies": REFUSE_BOB}}
    gateway.load(policies=[{"key-auth": {}}], **parts)
    assert post(gateway, {"user": {"id": "bob"}}, **{"X-API-Key": "key-of-ann"}).status == 403
    assert post(gateway, {"user": {"id": "eve"}}, **{"X-API-Key": "key-of-ann"}).status == 200
    assert json.loads(origin.last.body) == {"user": {"id": "eve"}}


def test_a_limit_on_size_holds_for_buffered_bodies(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"size-limit": {"request_body": 10}}, *ECHO])
    assert gateway.post("/", body=[b"x" * 6, b"x" * 6]).status == 413
    assert gateway.post("/", body=[b"x" * 5, b"x" * 5]).status == 200


def test_explain_names_who_forces_it(gateway: Gateway) -> None:
    gateway.load(policies=[{"cors": {}}, *REFUSE_BOB,
                           {"headers": {"response": {"set": {"X-Sum": "${hash.sha256(response.body)}"}}}}])
    said = subprocess.run([str(turnpike_path()), "explain", "-c", str(gateway.config_path), "POST", "/"],
                          capture_output=True, text=True, check=True).stdout
    assert 'the request body is buffered: respond uses it in request.json.user.id == "bob"' in said
    assert "the response body is buffered: headers uses it in ${hash.sha256(response.body)}" in said
    shown = json.loads(subprocess.run(
        [str(turnpike_path()), "explain", "--json", "-c", str(gateway.config_path), "POST", "/"],
        capture_output=True, text=True, check=True).stdout)
    assert (shown["buffered_by"], shown["buffered_by_because"]) == ("respond", 'request.json.user.id == "bob"')
    assert shown["response_buffered_by"] == "headers"


def test_a_log_cannot_ask_for_a_body(gateway: Gateway) -> None:
    config = gateway.full_config()
    config["access_log"] = {"path": "stdout", "format": "template", "template": "${request.body}"}
    gateway.write(config)
    said = subprocess.run([str(turnpike_path()), "check", str(gateway.config_path)], capture_output=True, text=True,
                          check=False)
    assert said.returncode == 1
    assert "cannot use a body" in said.stdout + said.stderr


# Routes


def test_a_route_may_be_chosen_by_the_body(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    for one in (origin, second_origin):
        one.reply(200, None, one.name.encode())
    gateway.load(services={"a": {"endpoints": [origin.url]}, "b": {"endpoints": [second_origin.url]}},
                 routes={"bob": {"match": {"path": "/*", "expression": 'request.json.user == "bob"'}, "service": "b"},
                         "rest": {"match": {"path": "/*"}, "service": "a"}})
    assert gateway.post("/", json={"user": "bob"}).text == second_origin.name
    assert gateway.post("/", json={"user": "ann"}).text == origin.name
    assert json.loads(origin.last.body) == {"user": "ann"}
    assert gateway.get("/").text == origin.name


def test_a_path_may_be_written_by_the_body(gateway: Gateway, origin: Origin) -> None:
    gateway.load(route={"rewrite": "/users/${request.json.user}"})
    assert gateway.post("/", json={"user": "bob"}).status == 200
    assert origin.last.target == "/users/bob"


# Answers

SIGN = [{"headers": {"response": {"set": {"X-Size": "${size(response.body_bytes)}"}}}}]


@pytest.mark.parametrize("body", [b"hello", [b"hel", b"lo"]], ids=["length", "chunked"])
def test_a_response_hook_sees_the_answer(gateway: Gateway, origin: Origin, body: Any) -> None:
    origin.reply(200, None, body)
    gateway.load(policies=SIGN)
    with gateway.connect() as client:
        for _ in range(2):
            answer = client.get("/")
            assert (answer.status, answer.headers.get("X-Size"), answer.text) == (200, "5", "hello")
            assert answer.headers.get("Content-Length") == "5"
    assert origin.connections == 1, "the connection to the origin is kept"


def test_a_condition_on_the_answers_json(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"headers": {"response": {"set": {"X-Failed": "yes"}}}, "when": "!response.json.fine"}])
    origin.reply(200, None, b'{"fine": false}')
    assert gateway.get("/").headers.get("X-Failed") == "yes"
    origin.reply(200, None, b'{"fine": true}')
    assert gateway.get("/").headers.get("X-Failed") is None


@pytest.mark.parametrize("body", [b"x" * 101, [b"x" * 60, b"x" * 41]], ids=["length", "chunked"])
def test_an_answer_over_the_limit_is_502(gateway: Gateway, origin: Origin, body: Any) -> None:
    origin.reply(200, None, body)
    gateway.load(policies=SIGN, service={"limits": {"buffered_body": 100}})
    assert gateway.get("/").status == 502
    wait_until(lambda: gateway.metrics().value("turnpike_errors_total", kind="response-too-large") == 1, what="it to be counted")
    origin.reply(200, None, b"x" * 100)
    assert gateway.get("/").headers.get("X-Size") == "100"


def test_answers_without_a_body_are_empty(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=SIGN)
    with gateway.connect() as client:
        answer = client.request("HEAD", "/")
        assert (answer.headers.get("X-Size"), answer.headers.get("Content-Length")) == ("0", "5")
        origin.reply(304, None, b"")
        assert client.get("/").headers.get("X-Size") == "0"


def test_an_answer_that_breaks_off_is_502(gateway: Gateway, origin: Origin) -> None:
    origin.reply_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", close=True)
    gateway.load(policies=SIGN)
    assert gateway.get("/").status == 502


def test_answers_made_here_are_whole(gateway: Gateway) -> None:
    gateway.load(policies=[*SIGN, {"respond": {"status": 200, "body": "made here"}}])
    assert gateway.get("/").headers.get("X-Size") == "9"


def test_a_large_answer_to_a_slow_client_stays_in_its_bounds(gateway: Gateway, origin: Origin) -> None:
    origin.reply(200, None, b"x" * (16 << 20))
    gateway.load(policies=SIGN, service={"limits": {"buffered_body": "16MiB"}})
    with gateway.connect(receive_buffer=4096) as client:
        client.send(request_bytes("GET", "/"))
        assert client.read_head().headers.get("X-Size") == str(16 << 20)
        assert budget(gateway) < 17 << 20
        assert len(client.read_exactly(16 << 20)) == 16 << 20
    wait_until(lambda: budget(gateway) < 1 << 20, what="the memory to come back")
