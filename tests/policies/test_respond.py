"""respond: answers from the configuration."""

from __future__ import annotations

from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.origin import Origin


def load(gateway: Gateway, entry: dict[str, Any] | None = None, **config: Any) -> None:
    gateway.load(policies=[{"respond": config, **(entry or {})}])


def test_it_answers_without_the_service(gateway: Gateway, origin: Origin) -> None:
    load(gateway, status=410, content_type="application/json", body='{"path": "${request.path}"}', headers={"X-A": "<${request.method}>"})
    response = gateway.post("/p", body=b"abc")
    assert response.status == 410
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-A"] == "<POST>"
    assert response.json() == {"path": "/p"}
    assert origin.requests == []


def test_the_default_is_an_empty_200(gateway: Gateway) -> None:
    load(gateway)
    response = gateway.get("/")
    assert (response.status, response.body) == (200, b"")
    assert "Content-Type" not in response.headers
    assert response.headers["Content-Length"] == "0"


def test_a_body_is_plain_text_unless_said(gateway: Gateway) -> None:
    load(gateway, body="hällo")
    response = gateway.get("/")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.text == "hällo"


def test_head_gets_the_length_and_no_body(gateway: Gateway) -> None:
    load(gateway, body="hello")
    with gateway.connect() as client:
        response = client.request("HEAD", "/")
        assert (response.headers["Content-Length"], response.body) == ("5", b"")
        assert client.get("/").text == "hello"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none(gateway: Gateway, status: int) -> None:
    load(gateway, status=status)
    with gateway.connect() as client:
        assert client.get("/").status == status
        assert client.get("/").status == status


def test_it_needs_no_service(gateway: Gateway) -> None:
    config = gateway.full_config()
    config["routes"] = {"robots": {"match": {"path": "/robots.txt"}, "policies": [{"respond": {"body": "User-agent: *\n"}}]}}
    gateway.load(config)
    assert gateway.get("/robots.txt").text == "User-agent: *\n"


def test_some_requests_may_go_on(gateway: Gateway, origin: Origin) -> None:
    load(gateway, {"when": "request.method == 'POST'"}, status=503)
    assert gateway.post("/", body=b"").status == 503
    assert gateway.get("/").status == 200


def test_keys_are_checked_before(gateway: Gateway) -> None:
    gateway.load(policies=[{"respond": {}}, {"key-auth": {}}])
    assert gateway.get("/").status == 401


@pytest.mark.parametrize("field", ["headers", "content_type"])
def test_a_field_with_control_characters_is_never_sent(gateway: Gateway, field: str) -> None:
    value = "${request.query.v}"
    load(gateway, body="x", **{field: {"X-A": value} if field == "headers" else value})
    response = gateway.get("/?v=a%0d%0aX-Evil:1")
    assert response.status == 503
    assert "X-Evil" not in response.headers


@pytest.mark.parametrize("on_error, status", [("deny", 503), ("allow", 200)])
def test_a_template_that_fails_is_a_fault(gateway: Gateway, on_error: str, status: int) -> None:
    load(gateway, {"on_error": on_error}, status=418, body="${request.headers['x-not-there']}")
    assert gateway.get("/").status == status


def test_a_template_that_fails_late_leaves_nothing_behind(gateway: Gateway) -> None:
    load(gateway, {"on_error": "allow"}, status=418, body="x", headers={"X-A": "1", "X-B": "${request.query.v}"})
    response = gateway.get("/?v=a%0ab")
    assert (response.status, response.text) == (200, "hello")
    assert "X-A" not in response.headers


BAD = [
    ("{ status: 199 }", "7:28", "200"),
    ("{ status: 204, body: a }", "7:39", "has no body"),
    ("{ headers: { Content-Type: a } }", "7:31", "`content_type`"),
    ("{ headers: { Content-Length: \"3\" } }", "7:31", "the gateway alone writes it"),
    ("{ headers: { X-A: \"a\\nb\" } }", "7:36", "line breaks"),
    ("{ content_type: \"a\\nb\" }", "7:34", "line breaks"),
    ("{ body: \"${nothing}\" }", "7:29", "nothing"),
]


@pytest.mark.parametrize("config, place, said", BAD, ids=[config for config, _, _ in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, config: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  f"routes:\n  r:\n    service: a\n    policies:\n      - respond: {config}\n")
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr + done.stdout, done.stderr
    assert said in done.stderr + done.stdout
