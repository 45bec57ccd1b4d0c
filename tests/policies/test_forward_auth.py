"""forward-auth: what the authoriser is asked, what its answer does, and what happens when there is none."""

from __future__ import annotations

from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection
from support.ports import free_port
from support.wait import wait_until


def load(gateway: Gateway, url: str, entry: dict[str, Any] | None = None, listener: dict[str, Any] | None = None, **config: Any) -> None:
    gateway.load(listener=listener, policies=[{"forward-auth": {"url": url, **config}, **(entry or {})}])


@pytest.fixture
def authoriser(second_origin: Origin) -> Origin:
    return second_origin


def test_the_authoriser_is_asked_about_the_request(gateway: Gateway, origin: Origin, authoriser: Origin) -> None:
    load(gateway, authoriser.url + "/check?a=1")
    headers = {"Host": "shop.example:81", "Authorization": "Bearer x", "Cookie": "a=1", "X-Other": "1", "Content-Type": "a/b"}
    assert gateway.post("/p/./%61?q=1", headers=headers, body=b"body").status == 200
    asked = authoriser.last
    assert (asked.method, asked.target, asked.body) == ("GET", "/check?a=1", b"")
    assert asked.headers["Host"] == authoriser.url.removeprefix("http://")
    assert asked.headers["Authorization"] == "Bearer x"
    assert asked.headers["Cookie"] == "a=1"
    assert asked.headers["X-Forwarded-Method"] == "POST"
    assert asked.headers["X-Forwarded-Proto"] == "http"
    assert asked.headers["X-Forwarded-Host"] == "shop.example:81"
    assert asked.headers["X-Forwarded-Uri"] == "/p/a?q=1"
    assert asked.headers["X-Forwarded-For"] == "127.0.0.1"
    assert "X-Other" not in asked.headers and "Content-Type" not in asked.headers
    assert origin.last.body == b"body"
    assert origin.last.headers["Authorization"] == "Bearer x"


def test_what_it_is_asked_can_be_chosen(gateway: Gateway, authoriser: Origin) -> None:
    load(gateway, authoriser.url, method="request", request_headers=["X-Tenant", "X-Key-*"])
    gateway.request("DELETE", "/", headers=[("X-Tenant", "a"), ("X-Key-A", "1"), ("X-Key-A", "2"), ("Authorization", "b")])
    assert (authoriser.last.method, authoriser.last.target) == ("DELETE", "/")
    assert authoriser.last.headers["X-Tenant"] == "a"
    assert authoriser.last.headers.all("X-Key-A") == ["1", "2"]
    assert "Authorization" not in authoriser.last.headers
    assert gateway.request("PURGE", "/").status == 200
    assert (authoriser.last.method, authoriser.last.headers["X-Forwarded-Method"]) == ("GET", "PURGE")


def test_a_client_cannot_describe_itself(gateway: Gateway, authoriser: Origin) -> None:
    load(gateway, authoriser.url, request_headers=["X-*"])
    gateway.get("/p", headers={"X-Forwarded-Uri": "/public", "x-forwarded-for": "1.2.3.4", "X-Forwarded-Proto": "https"})
    assert authoriser.last.headers["X-Forwarded-Uri"] == "/p"
    assert authoriser.last.headers["X-Forwarded-For"] == "127.0.0.1"
    assert authoriser.last.headers["X-Forwarded-Proto"] == "http"


def test_a_trusted_proxy_says_who_the_client_is(gateway: Gateway, authoriser: Origin) -> None:
    load(gateway, authoriser.url, listener={"trusted_proxies": ["127.0.0.0/8"]})
    gateway.get("/", headers={"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"})
    assert authoriser.last.headers["X-Forwarded-For"] == "1.2.3.4"
    assert authoriser.last.headers["X-Forwarded-Proto"] == "https"


@pytest.mark.parametrize("status", [200, 204, 299])
def test_what_it_found_out_goes_to_the_service(gateway: Gateway, origin: Origin, authoriser: Origin, status: int) -> None:
    authoriser.reply(status, [("X-User", "alice"), ("X-Auth-Role", "a"), ("X-Auth-Role", "b"), ("X-Other", "c"), ("Set-Cookie", "d=1")], b"")
    load(gateway, authoriser.url, response_headers=["X-User", "X-Auth-*"])
    response = gateway.get("/")
    assert response.status == 200
    assert origin.last.headers["X-User"] == "alice"
    assert origin.last.headers.all("X-Auth-Role") == ["a", "b"]
    assert "X-Other" not in origin.last.headers
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("name", ["X-User", "x-user", "X_User", "X-Auth-Role", "X_Auth-Role", "X-Auth_Role"])
def test_a_client_cannot_say_what_the_authoriser_says(gateway: Gateway, origin: Origin, authoriser: Origin, name: str) -> None:
    load(gateway, authoriser.url, {"on_error": "allow"}, response_headers=["X-User", "X-Auth-*"], request_headers=[name])
    gateway.get("/", headers={name: "root"})
    assert authoriser.last.headers[name] == "root"
    assert name not in origin.last.headers
    authoriser.reply(500)
    assert gateway.get("/", headers={name: "root"}).status == 200
    assert name not in origin.last.headers


@pytest.mark.parametrize("status", [401, 403, 301, 302, 303, 307, 308])
def test_a_refusal_goes_to_the_client(gateway: Gateway, origin: Origin, authoriser: Origin, status: int) -> None:
    authoriser.reply(status, [("Content-Type", "text/html"), ("Location", "/login"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
                              ("WWW-Authenticate", "Bearer"), ("X-Secret", "s")], b"<p>no</p>")
    load(gateway, authoriser.url)
    response = gateway.get("/")
    assert (response.status, response.body) == (status, b"<p>no</p>")
    assert response.headers["Content-Type"] == "text/html"
    assert response.headers["Location"] == "/login"
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers.all("Set-Cookie") == ["a=1", "b=2"]
    assert "X-Secret" not in response.headers
    assert origin.requests == []


def test_what_the_client_sees_of_a_refusal_can_be_chosen(gateway: Gateway, authoriser: Origin) -> None:
    authoriser.reply(403, {"X-Reason": "late", "Set-Cookie": "a=1"})
    load(gateway, authoriser.url, client_headers="X-Reason")
    response = gateway.get("/")
    assert response.headers["X-Reason"] == "late"
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("on_error, expected", [("deny", 503), ("allow", 200)])
@pytest.mark.parametrize("status", [400, 404, 429, 500, 503, 304])
def test_any_other_answer_is_a_fault(gateway: Gateway, origin: Origin, authoriser: Origin, status: int, on_error: str, expected: int) -> None:
    authoriser.reply(status, body=b"")
    load(gateway, authoriser.url, {"on_error": on_error})
    assert gateway.get("/").status == expected
    assert len(origin.requests) == (expected == 200)


@pytest.mark.parametrize("on_error, expected", [("deny", 503), ("allow", 200)])
def test_an_authoriser_that_is_down_is_a_fault(gateway: Gateway, origin: Origin, on_error: str, expected: int) -> None:
    load(gateway, f"http://127.0.0.1:{free_port()}/", {"on_error": on_error})
    assert gateway.get("/").status == expected
    assert len(origin.requests) == (expected == 200)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"nonsense\r\n\r\n",
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"])
def test_a_broken_answer_is_a_fault(gateway: Gateway, origin: Origin, authoriser: Origin, answer: bytes) -> None:
    authoriser.reply_raw(answer, close=True)
    load(gateway, authoriser.url)
    assert gateway.get("/").status == 503
    assert origin.requests == []


def test_an_answer_that_is_too_large_is_a_fault(gateway: Gateway, origin: Origin, authoriser: Origin) -> None:
    load(gateway, authoriser.url)
    authoriser.reply(403, body=b"x" * 65536)
    assert gateway.get("/").body == b"x" * 65536
    authoriser.reply(403, body=b"x" * 65537)
    assert gateway.get("/").status == 503


def test_an_authoriser_that_takes_too_long_is_a_fault(gateway: Gateway, origin: Origin, authoriser: Origin) -> None:
    gate = authoriser.hold()
    load(gateway, authoriser.url, timeout="100ms")
    assert gateway.get("/").status == 503
    gate.set()
    assert origin.requests == []
    wait_until(lambda: "did not answer in time" in gateway.log(), what="the reason in the log")


def test_a_client_that_leaves_meanwhile_leaves_nothing_behind(gateway: Gateway, origin: Origin, authoriser: Origin) -> None:
    gate = authoriser.hold()
    load(gateway, authoriser.url)
    with gateway.connect() as client:
        client.send_request("GET", "/")
        authoriser.wait_for(1)
        client.reset()
    gate.set()
    assert gateway.get("/").status == 200


def test_a_reload_meanwhile_keeps_the_question(gateway: Gateway, origin: Origin, authoriser: Origin) -> None:
    authoriser.reply(200, {"X-User": "alice"})
    gate = authoriser.hold()
    load(gateway, authoriser.url, response_headers="X-User")
    with gateway.connect() as client:
        client.send_request("GET", "/")
        authoriser.wait_for(1)
        gateway.load(policies=[])
        gate.set()
        assert client.read_response().status == 200
    assert origin.last.headers["X-User"] == "alice"


def test_its_connections_are_kept(gateway: Gateway, authoriser: Origin) -> None:
    gateway.load(workers=1, policies=[{"forward-auth": {"url": authoriser.url}}])
    with gateway.connect() as client:
        for _ in range(5):
            assert client.get("/").status == 200
    assert (len(authoriser.requests), authoriser.connections) == (5, 1)


def test_a_connection_that_it_closed_is_no_failure(gateway: Gateway, authoriser: Origin) -> None:
    def once(request: Request, connection: OriginConnection) -> None:
        connection.reply()
        connection.close()
    authoriser.handler = once
    load(gateway, authoriser.url)
    for _ in range(5):
        assert gateway.get("/").status == 200


BAD = [
    ("{}", "7:23", "url"),
    ("{ url: \"a b\" }", "7:30", "wants a URL"),
    ("{ url: \"ftp://a/\" }", "7:30", "wants a URL"),
    ("{ url: \"http://a/\", request_headers: [X-Forwarded-Host] }", "7:61", "set by the policy itself"),
    ("{ url: \"http://a/\", response_headers: [Host] }", "7:62", "the gateway alone writes it"),
    ("{ url: \"http://a/\", client_headers: [\"a b\"] }", "7:60", "not a name"),
    ("{ url: \"http://a/\", method: PUT }", "7:51", "GET"),
    ("{ url: \"http://a/\", timeout: 5 }", "7:52", "unit"),
]


@pytest.mark.parametrize("config, place, said", BAD, ids=[config for config, _, _ in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, config: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  f"routes:\n  r:\n    service: a\n    policies:\n      - forward-auth: {config}\n")
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr + done.stdout, done.stderr
    assert said in done.stderr + done.stdout
