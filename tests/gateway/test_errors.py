"""What the gateway answers by itself: RFC 9457 problem documents with the request id, without internals."""

from __future__ import annotations

from typing import Any

import pytest

from support.gateway import Gateway
from support.message import Response
from support.origin import Origin
from support.ports import free_port


def assert_problem(response: Response, status: int) -> dict[str, Any]:
    assert response.status == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert isinstance(problem["type"], str) and problem["type"]
    assert isinstance(problem["title"], str) and problem["title"]
    assert isinstance(problem["detail"], str) and problem["detail"]
    assert isinstance(problem["request_id"], str) and problem["request_id"]
    return problem


@pytest.fixture
def broken(gateway: Gateway, origin: Origin) -> Gateway:
    """A gateway with a route for each kind of failure."""
    gateway.load(
        services={"origin": {"endpoints": [origin.url]}, "nowhere": {"endpoints": [f"http://127.0.0.1:{free_port()}"]},
                  "slow": {"endpoints": [origin.url], "timeouts": {"response": "200ms"}}},
        routes={"good": {"match": {"path": "/good"}, "service": "origin"},
                "nowhere": {"match": {"path": "/nowhere"}, "service": "nowhere"},
                "slow": {"match": {"path": "/slow"}, "service": "slow"},
                "guarded": {"match": {"path": "/guarded"}, "service": "origin", "policies": [{"key-auth": {}}]},
                "limited": {"match": {"path": "/limited"}, "service": "origin",
                            "policies": [{"rate-limit": {"limit": 1, "window": "1h"}}]}})
    return gateway


def test_no_route_is_404(broken: Gateway) -> None:
    assert assert_problem(broken.get("/other"), 404)["title"] == "Not Found"


def test_no_credential_is_401(broken: Gateway) -> None:
    response = broken.get("/guarded")
    assert_problem(response, 401)
    assert "WWW-Authenticate" in response.headers


def test_over_the_limit_is_429(broken: Gateway) -> None:
    assert broken.get("/limited").status == 200
    response = broken.get("/limited")
    assert_problem(response, 429)
    assert int(response.headers["Retry-After"]) > 0


def test_no_origin_is_502(broken: Gateway) -> None:
    assert_problem(broken.get("/nowhere"), 502)


def test_a_late_origin_is_504(broken: Gateway, origin: Origin) -> None:
    gate = origin.hold()
    response = broken.get("/slow")
    gate.set()
    assert_problem(response, 504)


def test_a_malformed_request_is_400(broken: Gateway) -> None:
    with broken.connect() as client:
        client.send(b"GET /good HTTP/1.1\r\nHost : x\r\n\r\n")
        assert_problem(client.read_response(), 400)


def test_the_request_id_is_that_of_the_access_log(broken: Gateway) -> None:
    problem = broken.get("/other").json()
    assert broken.access_log()[0]["request_id"] == problem["request_id"]


def test_every_request_has_an_id_of_its_own(broken: Gateway) -> None:
    assert len({broken.get("/other").json()["request_id"] for _ in range(20)}) == 20


def test_the_request_id_is_that_of_the_policy(gateway: Gateway) -> None:
    gateway.load(policies=[{"request-id": {}}, {"key-auth": {}}])
    response = gateway.get("/")
    assert response.json()["request_id"] == response.headers["X-Request-Id"]


def test_a_head_request_gets_the_problem_without_its_body(broken: Gateway) -> None:
    with broken.connect() as client:
        response = client.request("HEAD", "/other")
        assert (response.status, response.body) == (404, b"")
        assert client.get("/good").body == b"hello"


def test_an_ordinary_refusal_keeps_the_connection(broken: Gateway) -> None:
    with broken.connect() as client:
        for target, status in (("/other", 404), ("/guarded", 401), ("/nowhere", 502), ("/good", 200)):
            response = client.get(target)
            assert response.status == status
            assert "close" not in response.headers.tokens("Connection")


def test_a_refusal_with_a_body_still_to_come_does_not_take_it_for_a_request(broken: Gateway, origin: Origin) -> None:
    with broken.connect() as client:
        client.send_request("POST", "/other", None, b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_response().status == 404
        client.send_request("GET", "/good")
        if not client.closed():
            assert client.read_response().status == 200
    assert len(origin.requests) <= 1


def test_what_a_client_sent_does_not_come_back_as_markup(broken: Gateway) -> None:
    response = broken.get('/%3Cscript%3Ealert(1)%3C/script%3E"'.replace('"', "%22"), headers={"X": '</title><b>"'})
    assert b"<script" not in response.body and b"<b>" not in response.body


def test_an_error_tells_no_internals(broken: Gateway, origin: Origin) -> None:
    for target in ("/nowhere", "/other", "/guarded"):
        text = broken.get(target).head.decode() + broken.get(target).text
        for secret in ("127.0.0.1", str(origin.port), str(broken.folder), ".c:", "errno"):
            assert secret not in text, f"{target}: {secret}"


def test_an_answer_of_the_origin_is_never_replaced(broken: Gateway, origin: Origin) -> None:
    origin.reply(500, {"Content-Type": "text/plain"}, b"mine")
    response = broken.get("/good")
    assert (response.status, response.headers["Content-Type"], response.body) == (500, "text/plain", b"mine")


def test_a_policy_that_fails_fails_closed(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"forward-auth": {"url": f"http://127.0.0.1:{free_port()}/check"}}])
    assert_problem(gateway.get("/"), 503)
    assert origin.requests == []


def test_a_policy_that_fails_may_be_told_to_let_through(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"forward-auth": {"url": f"http://127.0.0.1:{free_port()}/check"}, "on_error": "allow"}])
    assert gateway.get("/").status == 200


def test_a_condition_that_fails_to_evaluate_fails_closed(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"respond": {"status": 204}, "when": 'int(request.headers["x-number"]) > 3'}])
    assert gateway.get("/", headers={"X-Number": "4"}).status == 204
    assert gateway.get("/", headers={"X-Number": "2"}).status == 200
    assert gateway.get("/", headers={"X-Number": "not a number"}).status == 503
    assert gateway.get("/").status == 503
    assert len(origin.requests) == 1
