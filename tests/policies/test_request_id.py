"""request-id: how ids are made, whose ids are kept, where they are shown."""

from __future__ import annotations

import re
from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.origin import Origin

FORMS = {
    "uuid7": r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "uuid4": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "ulid": r"[0-7][0-9A-HJKMNP-TV-Z]{25}",
    "counter": r"[0-9a-f]{12}-[0-9]+-[0-9]+",
}


def load(gateway: Gateway, *more: Any, listener: dict[str, Any] | None = None, **config: Any) -> None:
    gateway.load(policies=[{"request-id": config}, *more], listener=listener)


def test_service_client_and_log_have_the_same_id(gateway: Gateway, origin: Origin) -> None:
    load(gateway)
    response = gateway.get("/")
    assert re.fullmatch(FORMS["uuid7"], response.headers["X-Request-ID"])
    assert origin.last.headers["X-Request-ID"] == response.headers["X-Request-ID"]
    assert gateway.access_log()[0]["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize("generator", FORMS)
def test_ids_have_the_form_of_their_generator_and_differ(gateway: Gateway, generator: str) -> None:
    load(gateway, generator=generator)
    ids = [gateway.get("/").headers["X-Request-ID"] for _ in range(20)]
    assert all(re.fullmatch(FORMS[generator], one) for one in ids), ids
    assert len(set(ids)) == 20


@pytest.mark.parametrize("generator", ["uuid7", "ulid"])
def test_ids_begin_with_the_time(gateway: Gateway, generator: str) -> None:
    load(gateway, generator=generator)
    ids = [gateway.get("/").headers["X-Request-ID"] for _ in range(10)]
    times = [one[:13] if generator == "uuid7" else one[:10] for one in ids]
    assert times == sorted(times)


def test_a_counter_goes_on_after_a_reload(gateway: Gateway) -> None:
    load(gateway, generator="counter")
    with gateway.connect() as client:
        first = client.get("/").headers["X-Request-ID"]
    load(gateway, {"headers": {"response": {"set": {"X-New": "1"}}}}, generator="counter")
    ids = {first} | {gateway.get("/").headers["X-Request-ID"] for _ in range(10)}
    assert len(ids) == 11
    assert {one.split("-")[0] for one in ids} == {first.split("-")[0]}


def test_an_id_of_the_client_is_not_trusted_unless_said(gateway: Gateway, origin: Origin) -> None:
    load(gateway)
    response = gateway.get("/", headers={"X-Request-ID": "mine"})
    assert response.headers["X-Request-ID"] != "mine"
    assert origin.last.headers["X-Request-ID"] == response.headers["X-Request-ID"]
    assert "mine" not in gateway.access_log_lines()[0]


@pytest.mark.parametrize("sent", ["mine", "A.b_c-9", "x" * 128])
def test_a_trusted_id_is_kept(gateway: Gateway, origin: Origin, sent: str) -> None:
    load(gateway, trust="always")
    assert gateway.get("/", headers={"X-Request-ID": sent}).headers["X-Request-ID"] == sent
    assert origin.last.headers["X-Request-ID"] == sent
    assert gateway.access_log()[0]["request_id"] == sent


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a\"b", "a;b", "a/b", "\xe4", "${x}"])
def test_a_trusted_id_that_is_none_is_replaced(gateway: Gateway, origin: Origin, sent: str) -> None:
    load(gateway, trust="always")
    response = gateway.get("/", headers={"X-Request-ID": sent})
    assert re.fullmatch(FORMS["uuid7"], response.headers["X-Request-ID"])
    assert origin.last.headers["X-Request-ID"] == response.headers["X-Request-ID"]


def test_two_ids_are_none(gateway: Gateway, origin: Origin) -> None:
    load(gateway, trust="always")
    gateway.get("/", headers=[("X-Request-ID", "a"), ("X-Request-ID", "b")])
    assert re.fullmatch(FORMS["uuid7"], origin.last.headers["X-Request-ID"])


@pytest.mark.parametrize("proxies, kept", [(["127.0.0.0/8"], True), (["10.0.0.0/8"], False), ([], False)])
def test_an_id_of_a_trusted_proxy_is_kept(gateway: Gateway, proxies: list[str], kept: bool) -> None:
    load(gateway, trust="proxies", listener={"trusted_proxies": proxies})
    assert (gateway.get("/", headers={"X-Request-ID": "mine"}).headers["X-Request-ID"] == "mine") == kept


def test_the_header_may_have_another_name(gateway: Gateway, origin: Origin) -> None:
    load(gateway, header="X-Correlation-ID", trust="always")
    response = gateway.get("/", headers={"x-correlation-id": "mine"})
    assert response.headers["X-Correlation-ID"] == origin.last.headers["X-Correlation-ID"] == "mine"
    assert "X-Request-ID" not in response.headers


def test_without_echo_the_client_does_not_see_it(gateway: Gateway, origin: Origin) -> None:
    load(gateway, echo=False)
    assert "X-Request-ID" not in gateway.get("/").headers
    assert "X-Request-ID" in origin.last.headers


def test_the_id_of_the_service_gives_way(gateway: Gateway, origin: Origin) -> None:
    origin.reply(headers={"X-Request-ID": "of-the-service"})
    load(gateway)
    response = gateway.get("/")
    assert response.headers["X-Request-ID"] == origin.last.headers["X-Request-ID"] != "of-the-service"


def test_refusals_show_it_too(gateway: Gateway) -> None:
    load(gateway, {"key-auth": {}}, generator="ulid")
    response = gateway.get("/")
    assert response.status == 401
    assert response.json()["request_id"] == response.headers["X-Request-ID"]
    assert re.fullmatch(FORMS["ulid"], response.headers["X-Request-ID"])


def test_expressions_see_it(gateway: Gateway, origin: Origin) -> None:
    load(gateway, {"headers": {"request": {"set": {"X-Copy": "<${request.id}>"}}}}, trust="always")
    gateway.get("/", headers={"X-Request-ID": "mine"})
    assert origin.last.headers["X-Copy"] == "<mine>"


BAD = [
    ("{ header: \"a b\" }", "7:31", "not a name that HTTP allows"),
    ("{ header: Connection }", "7:31", "the gateway alone writes it"),
    ("{ generator: uuid }", "7:34", "uuid7"),
    ("{ trust: true }", "7:30", "never"),
    ("{ ecko: true }", "7:23", "did you mean `echo`?"),
]


@pytest.mark.parametrize("config, place, said", BAD, ids=[config for config, _, _ in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, config: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  f"routes:\n  r:\n    service: a\n    policies:\n      - request-id: {config}\n")
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr + done.stdout
    assert said in done.stderr + done.stdout
