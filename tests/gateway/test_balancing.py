"""What of a request decides about its endpoint: keys, sticky clients, labels, drained endpoints, priorities."""

from __future__ import annotations

from typing import Any

import pytest

from support.gateway import Gateway
from support.origin import Origin
from support.ports import free_port
from support.wait import wait_until

SECRET = "a-secret-of-the-tests"


def load(gateway: Gateway, endpoints: list[Any], *, routes: dict[str, Any] | None = None, top: dict[str, Any] | None = None,
         **service: Any) -> None:
    gateway.load(services={"pool": {"endpoints": endpoints, **service}}, routes=routes, **(top or {}))


@pytest.fixture(name="origins")
def _origins(origin: Origin, second_origin: Origin, third_origin: Origin) -> list[Origin]:
    for one in (origin, second_origin, third_origin):
        one.reply(200, None, one.name.encode())
    return [origin, second_origin, third_origin]


# Consistent hashing


@pytest.mark.parametrize("kind", ["maglev", "ring"])
def test_requests_with_the_same_key_stay_together(gateway: Gateway, origins: list[Origin], kind: str) -> None:
    load(gateway, [one.url for one in origins], balance={"type": kind, "key": "request.headers['x-user']"})

    def of_user(number: int) -> str:
        return gateway.get("/", headers={"X-User": f"user-{number}"}).text
    where = {number: of_user(number) for number in range(30)}
    assert set(where.values()) == {one.name for one in origins}
    assert all(of_user(number) == name for number, name in where.items())
    load(gateway, [one.url for one in origins[:2]], balance={"type": kind, "key": "request.headers['x-user']"})
    after = {number: of_user(number) for number in range(30)}
    if kind == "ring":
        assert all(after[number] == name for number, name in where.items() if name != origins[2].name)
    assert set(after.values()) == {one.name for one in origins[:2]}


def test_requests_without_the_key_are_served_all_the_same(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, [one.url for one in origins], balance={"type": "ring", "key": "request.headers['x-user']"})
    assert len({gateway.get("/").text for _ in range(60)}) == 3
    assert "x-user" not in gateway.log(), "what need not be there is not logged"


# Sticky clients


def sticky(**more: Any) -> dict[str, Any]:
    return {"sticky": {"cookie": "at", "secrets": [SECRET], **more}}


def cookie_of(gateway: Gateway, name: str) -> str:
    """A cookie of a client that came to the origin of that name."""
    for _ in range(100):
        answer = gateway.get("/")
        if answer.text == name:
            return answer.headers["Set-Cookie"].split(";")[0]
    raise AssertionError(f"nobody came to {name}")


def test_a_client_stays_by_its_cookie(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, [one.url for one in origins], balance=sticky(ttl="1h", path="/shop"))
    answer = gateway.get("/")
    cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert attributes == ["Path=/shop", "Max-Age=3600", "HttpOnly", "SameSite=Lax"]
    assert "127.0.0.1" not in cookie
    for _ in range(9):
        again = gateway.get("/", headers={"Cookie": f"other=1; {cookie}"})
        assert again.text == answer.text
        assert "Set-Cookie" not in again.headers, "the client has it already"


def test_a_client_stays_when_the_endpoints_change(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, [one.url for one in origins], balance=sticky())
    cookie = cookie_of(gateway, origins[1].name)
    load(gateway, [origins[2].url, origins[1].url, {"url": f"http://127.0.0.1:{free_port()}", "weight": 0}],
         balance=sticky())
    assert {gateway.get("/", headers={"Cookie": cookie}).text for _ in range(9)} == {origins[1].name}
    load(gateway, [origins[0].url, {"url": origins[1].url, "drain": True}], balance=sticky())
    assert {gateway.get("/", headers={"Cookie": cookie}).text for _ in range(9)} == {origins[1].name}
    assert {gateway.get("/").text for _ in range(9)} == {origins[0].name}, "a drained endpoint gets nobody new"
    load(gateway, [origins[0].url, origins[2].url], balance=sticky())
    answer = gateway.get("/", headers={"Cookie": cookie})
    assert answer.text in (origins[0].name, origins[2].name)
    fresh = answer.headers["Set-Cookie"].split(";")[0]
    assert {gateway.get("/", headers={"Cookie": fresh}).text for _ in range(9)} == {answer.text}


def test_a_client_moves_when_its_endpoint_refuses(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, [one.url for one in origins], balance=sticky())
    cookie = cookie_of(gateway, origins[0].name)
    origins[0].stop()
    answer = gateway.get("/", headers={"Cookie": cookie})
    assert answer.status == 200 and answer.text != origins[0].name
    assert "Set-Cookie" in answer.headers


def test_a_forged_cookie_steers_nothing(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, [one.url for one in origins], balance=sticky())
    cookie = cookie_of(gateway, origins[0].name)
    flipped = cookie[:-1] + ("A" if cookie[-1] != "A" else "B")
    for forged in (flipped, "at=" + "A" * 32, "at=", "at=!", cookie + "AAAA"):
        answers = [gateway.get("/", headers={"Cookie": forged}) for _ in range(9)]
        assert len({answer.text for answer in answers}) == 3
        assert all("Set-Cookie" in answer.headers for answer in answers)


def test_secrets_can_be_changed_without_losing_clients(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, [one.url for one in origins], balance=sticky())
    cookie = cookie_of(gateway, origins[0].name)
    load(gateway, [one.url for one in origins], balance=sticky(secrets=["another-secret-now", SECRET]))
    assert {gateway.get("/", headers={"Cookie": cookie}).text for _ in range(9)} == {origins[0].name}
    load(gateway, [one.url for one in origins], balance=sticky(secrets=["another-secret-now"]))
    assert len({gateway.get("/", headers={"Cookie": cookie}).text for _ in range(9)}) == 3


def test_a_client_stays_by_a_header(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, [one.url for one in origins], balance={"sticky": {"header": "X-Session", "secrets": SECRET}})
    answer = gateway.get("/")
    token = answer.headers["X-Session"]
    assert {gateway.get("/", headers={"x-session": token}).text for _ in range(9)} == {answer.text}


def test_an_answer_of_the_gateway_itself_keeps_nobody(gateway: Gateway) -> None:
    load(gateway, [f"http://127.0.0.1:{free_port()}"], balance=sticky())
    answer = gateway.get("/")
    assert answer.status == 502
    assert "Set-Cookie" not in answer.headers


# Labels


def versions(origins: list[Origin]) -> list[Any]:
    return [{"url": one.url, "labels": {"version": f"v{number}"}} for number, one in enumerate(origins, 1)]


def test_labels_of_a_request_choose_the_endpoints(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, versions(origins),
         balance={"subset": {"by": ["version"], "from": {"version": "request.headers['x-version']"}}})
    assert {gateway.get("/", headers={"X-Version": "v2"}).text for _ in range(9)} == {origins[1].name}
    assert len({gateway.get("/").text for _ in range(9)}) == 3
    assert len({gateway.get("/", headers={"X-Version": "v9"}).text for _ in range(9)}) == 3


def test_labels_of_a_route_come_first(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, versions(origins), balance={"subset": {"by": "version", "from": {"version": "'v2'"}}},
         routes={"new": {"match": {"path": "/new"}, "subset": {"version": "v3"}}, "default": {"match": {"path": "/*"}}})
    assert {gateway.get("/new").text for _ in range(9)} == {origins[2].name}
    assert {gateway.get("/").text for _ in range(9)} == {origins[1].name}


def test_without_a_fallback_missing_labels_are_a_503(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, versions(origins), balance={"subset": {"by": "version", "fallback": "none"}},
         routes={"old": {"match": {"path": "/*"}, "subset": {"version": "v0"}}})
    assert gateway.get("/").status == 503
    assert gateway.access_log()[0]["error"] == "no-endpoint"


def test_a_label_of_a_route_that_the_service_does_not_know_is_an_error(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, versions(origins))
    gateway.write(gateway.full_config(services={"pool": {"endpoints": versions(origins), "balance": {"subset": "version"}}},
                                      routes={"a": {"match": {"path": "/*"}, "subset": {"versoin": "v1"}}}))
    assert "`versoin` is not one of the labels" in gateway.reload_refused()


# Priorities and zones


def test_the_second_priority_takes_over_when_the_first_is_out_of_service(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, [origins[0].url, {"url": origins[1].url, "priority": 1}], passive={"failures": 1, "eject": "30s"})
    assert {gateway.get("/").text for _ in range(6)} == {origins[0].name}
    origins[0].stop()
    assert [gateway.get("/").text for _ in range(6)] == [origins[1].name] * 6


def test_a_node_prefers_its_own_zone(gateway: Gateway, origins: list[Origin]) -> None:
    endpoints = [{"url": origins[0].url, "zone": "a"}, {"url": origins[1].url, "zone": "b"}]
    load(gateway, endpoints, balance={"zones": "prefer-own"}, top={"zone": "b"})
    assert {gateway.get("/").text for _ in range(9)} == {origins[1].name}
    load(gateway, endpoints, balance={"zones": "prefer-own"}, top={"zone": "a"})
    assert {gateway.get("/").text for _ in range(9)} == {origins[0].name}, "the zone of the node changed"


# Who answers soonest


def test_peak_ewma_leaves_the_slow_endpoint_alone(gateway: Gateway, origins: list[Origin]) -> None:
    load(gateway, [one.url for one in origins], balance="peak-ewma")
    gate = origins[0].hold()
    with gateway.connect() as waiting:
        for sent in range(20):                    # until one waits at the slow endpoint
            waiting.send_request("GET", "/")
            wait_until(lambda: sum(len(one.requests) for one in origins) > sent)
            if origins[0].requests:
                break
            waiting.read_response()
        origins[0].wait_for(1)
        answers = [gateway.get("/").text for _ in range(20)]
        gate.set()
        waiting.read_response()
    assert origins[0].name not in answers
