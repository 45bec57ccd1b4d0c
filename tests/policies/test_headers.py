"""headers: what is set, added, renamed, removed; what is never sent."""

from __future__ import annotations

from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.origin import Origin
from support.wait import wait_until


def load(gateway: Gateway, request: dict[str, Any] | None = None, response: dict[str, Any] | None = None, **entry: Any) -> None:
    config = {name: side for name, side in (("request", request), ("response", response)) if side}
    gateway.load(policies=[{"headers": config, **entry}])


def test_a_request_is_changed_in_each_way(gateway: Gateway, origin: Origin) -> None:
    load(gateway, {"remove": ["X-Gone", "X-Internal-*"], "rename": {"X-Old": "X-New"}, "set": {"X-Set": "1"},
                   "default": {"X-Default": "2", "X-Kept": "no"}, "add": {"X-Add": "3"}})
    gateway.get("/", headers=[("X-Gone", "a"), ("x-internal-a", "b"), ("X-INTERNAL-", "c"), ("X-Old", "d"), ("X-Old", "e"), ("X-New", "f"),
                              ("X-Set", "g"), ("X-Set", "h"), ("X-Kept", "i"), ("X-Add", "j"), ("X-Other", "k")])
    got = {name: values for name in ("X-Gone", "X-Internal-A", "X-Internal-", "X-Old", "X-New", "X-Set", "X-Default", "X-Kept", "X-Add", "X-Other")
           if (values := origin.last.headers.all(name))}
    assert got == {"X-New": ["d", "e"], "X-Set": ["1"], "X-Default": ["2"], "X-Kept": ["i"], "X-Add": ["j", "3"], "X-Other": ["k"]}


def test_a_response_is_changed_in_each_way(gateway: Gateway, origin: Origin) -> None:
    origin.reply(headers=[("Server", "x/1"), ("X-Debug-A", "a"), ("X-Old", "b"), ("Cache-Control", "public"), ("Set-Cookie", "a=1")])
    load(gateway, response={"remove": ["server", "X-Debug-*"], "rename": {"x-old": "X-New"}, "set": {"Cache-Control": "no-store"},
                            "default": {"X-Default": "${response.status}"}, "add": {"Set-Cookie": "b=2"}})
    response = gateway.get("/")
    assert "Server" not in response.headers and "X-Debug-A" not in response.headers and "X-Old" not in response.headers
    assert response.headers["X-New"] == "b"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Default"] == "200"
    assert response.headers.all("Set-Cookie") == ["a=1", "b=2"]


def test_a_name_that_is_not_there_is_not_renamed(gateway: Gateway, origin: Origin) -> None:
    load(gateway, {"rename": {"X-Old": "X-New", "X-Case": "x-case"}})
    gateway.get("/", headers={"X-New": "a", "X-Case": "b"})
    assert origin.last.headers["X-New"] == "a"
    assert origin.last.headers["X-Case"] == "b"


def test_templates_see_the_message_as_it_came(gateway: Gateway, origin: Origin) -> None:
    load(gateway, {"remove": "X-A", "set": {"X-B": "<${request.headers['x-a']}>", "X-C": "${request.method} ${request.path}"}})
    gateway.get("/p", headers={"X-A": "old"})
    assert origin.last.headers["X-B"] == "<old>"
    assert origin.last.headers["X-C"] == "GET /p"
    assert "X-A" not in origin.last.headers


def test_host_is_set_for_the_service(gateway: Gateway, origin: Origin) -> None:
    load(gateway, {"set": {"host": "orders.internal:81"}})
    gateway.get("/")
    assert origin.last.headers["Host"] == "orders.internal:81"


@pytest.mark.parametrize("host", ["a b", "a/b", "", "u@h"])
def test_a_host_that_is_none_is_a_fault(gateway: Gateway, origin: Origin, host: str) -> None:
    load(gateway, {"set": {"Host": "${request.headers['x-host']}"}})
    assert gateway.get("/", headers={"X-Host": host}).status == 503
    assert origin.requests == []


@pytest.mark.parametrize("value", ["a%0d%0aX-Evil: 1", "a%0aX-Evil: 1", "a%00b", "a%1bb"])
def test_a_value_with_control_characters_is_never_sent(gateway: Gateway, origin: Origin, value: str) -> None:
    load(gateway, {"set": {"X-A": "${request.query.v}", "X-B": "1"}})
    assert gateway.get("/?v=" + value.replace(" ", "%20")).status == 503
    assert origin.requests == []
    wait_until(lambda: "control characters" in gateway.log(), what="the reason in the log")


def test_with_on_error_allow_a_bad_value_changes_nothing(gateway: Gateway, origin: Origin) -> None:
    load(gateway, {"remove": "X-C", "add": {"X-B": "1", "X-A": "${request.query.v}"}}, on_error="allow")
    assert gateway.get("/?v=a%0d%0aX-Evil:1", headers={"X-C": "c"}).status == 200
    for name in ("X-A", "X-B", "X-Evil"):
        assert name not in origin.last.headers
    assert origin.last.headers["X-C"] == "c"


def test_a_response_value_with_control_characters_is_never_sent(gateway: Gateway) -> None:
    load(gateway, response={"set": {"X-A": "${request.query.v}"}})
    response = gateway.get("/?v=a%0d%0aSet-Cookie:x=1")
    assert response.status == 503
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("statuses, chosen", [(["5xx", 404], {404, 500, 503}), ("2XX", {200}), ([500], {500}), ([], {200, 404, 500, 503})])
def test_a_response_may_be_chosen_by_status(gateway: Gateway, origin: Origin, statuses: Any, chosen: set[int]) -> None:
    load(gateway, response={"set": {"X-A": "1"}, **({"status": statuses} if statuses else {})})
    for status in (200, 404, 500, 503):
        origin.reply(status)
        assert ("X-A" in gateway.get("/").headers) == (status in chosen), status


def test_answers_of_the_gateway_are_changed_too(gateway: Gateway) -> None:
    gateway.load(policies=[{"headers": {"response": {"set": {"X-A": "1"}}}, "stage": "edge"}, {"key-auth": {}}])
    response = gateway.get("/")
    assert response.status == 401
    assert response.headers["X-A"] == "1"


def test_a_prefix_never_takes_what_the_connection_needs(gateway: Gateway, origin: Origin) -> None:
    origin.reply(body=b"12345")
    load(gateway, {"remove": ["C*", "T*", "U*", "H*"]}, {"remove": ["C*", "T*", "D*"]})
    response = gateway.post("/", body=b"abc", headers={"Content-Type": "a/b", "User-Agent": "x"})
    assert response.body == b"12345"
    assert origin.last.body == b"abc"
    assert "Content-Type" not in origin.last.headers
    assert "User-Agent" not in origin.last.headers


BAD = [
    ("{ request: { set: { Connection: close } } }", "7:38", "the gateway alone writes it"),
    ("{ request: { set: { transfer-encoding: chunked } } }", "7:38", "the gateway alone writes it"),
    ("{ request: { add: { Host: a } } }", "7:38", "the gateway alone writes it"),
    ("{ request: { remove: [X-A, Host] } }", "7:45", "the gateway alone writes it"),
    ("{ request: { set: { Host: \"a b\" } } }", "7:44", "not a host"),
    ("{ response: { set: { Host: a } } }", "7:39", "the gateway alone writes it"),
    ("{ response: { remove: Content-Length } }", "7:40", "the gateway alone writes it"),
    ("{ request: { rename: { X-A: Upgrade } } }", "7:46", "the gateway alone writes it"),
    ("{ request: { rename: { \"X A\": X-B } } }", "7:41", "not a name"),
    ("{ request: { remove: \"*\" } }", "7:39", "not a name"),
    ("{ request: { set: { X-A: \"a\\r\\nX-B: 1\" } } }", "7:43", "line breaks"),
    ("{ request: { set: { X-A: \"${request.pth}\" } } }", "7:46", "request.pth"),
    ("{ response: { set: { X-A: a }, status: 6xx } }", "7:57", "such as `404`"),
    ("{ request: { set: { X-A: a }, status: 404 } }", "7:48", "unknown field"),
    ("{}", "7:18", "nothing is changed"),
]


@pytest.mark.parametrize("config, place, said", BAD, ids=[config for config, _, _ in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, config: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  f"routes:\n  r:\n    service: a\n    policies:\n      - headers: {config}\n")
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr + done.stdout, done.stderr
    assert said in done.stderr + done.stdout


def test_other_spellings_of_a_name_do_not_pass(gateway: Gateway, origin: Origin) -> None:
    """To services that make variables of fields, `X_User` is `X-User`."""
    gateway.load(policies=[{"headers": {"request": {"set": {"X-User": "nobody"}, "remove": ["X-Internal-*"]}}}])
    gateway.get("/", headers={"X_User": "admin", "x-user": "admin", "X_Internal_Role": "root"})
    assert origin.last.headers.get("X-User") == "nobody"
    assert b"admin" not in origin.last.head and b"root" not in origin.last.head
