"""acl: which rules let whom through, and what a refusal looks like."""

from __future__ import annotations

from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.origin import Origin

CONSUMERS = {
    "alice": {"keys": ["the-key-of-alice-0123456789"], "groups": ["gold", "staff"], "labels": {"team": "shop", "level": "1"}},
    "bob": {"keys": ["the-key-of-bob-0123456789"], "groups": ["silver"], "labels": {"team": "web"}},
    "carol": {"keys": ["the-key-of-carol-0123456789"]},
}
EVERYBODY = ["alice", "bob", "carol"]


def load(gateway: Gateway, config: dict[str, Any], **entry: Any) -> None:
    gateway.load(policies=[{"key-auth": {"anonymous": "nobody"}, "when": "'x-api-key' in request.headers"}, {"acl": config, **entry}],
                 consumers=CONSUMERS)


def ask(gateway: Gateway, consumer: str | None, method: str = "GET") -> int:
    headers = {"X-API-Key": f"the-key-of-{consumer}-0123456789"} if consumer else {}
    return gateway.request(method, "/", headers=headers).status


def passed(gateway: Gateway, method: str = "GET") -> list[str]:
    return [name for name in EVERYBODY if ask(gateway, name, method) == 200]


CASES = [
    ({"allow": {"groups": ["gold"]}}, ["alice"]),
    ({"allow": "gold"}, ["alice"]),
    ({"allow": ["gold", "silver"]}, ["alice", "bob"]),
    ({"allow": {"groups": ["x", "silver"]}}, ["bob"]),
    ({"allow": {"consumers": ["alice", "carol"]}}, ["alice", "carol"]),
    ({"allow": {"consumers": ["alice", "bob"], "groups": ["silver"]}}, ["bob"]),
    ({"allow": {"labels": {"team": "shop"}}}, ["alice"]),
    ({"allow": {"labels": {"team": ["shop", "web"]}}}, ["alice", "bob"]),
    ({"allow": {"labels": {"team": ["shop", "web"], "level": "1"}}}, ["alice"]),
    ({"allow": {"labels": {"none": "x"}}}, []),
    ({"allow": [{"groups": ["silver"]}, {"consumers": ["carol"]}]}, ["bob", "carol"]),
    ({"deny": {"groups": ["gold"]}}, ["bob", "carol"]),
    ({"deny": {"labels": {"team": "web"}}}, ["alice", "carol"]),
    ({"allow": ["gold", "silver"], "deny": {"consumers": ["alice"]}}, ["bob"]),
    ({"allow": {"groups": [f"group-{i}" for i in range(50)] + ["staff"]}}, ["alice"]),
    ({"allow": {"methods": ["GET"]}}, EVERYBODY),
    ({"allow": {"methods": ["POST"]}}, []),
    ({"allow": [{"groups": ["gold"], "methods": ["POST"]}, {"groups": ["silver"], "methods": ["GET"]}]}, ["bob"]),
    ({"deny": {"groups": ["gold"], "methods": ["POST"]}}, EVERYBODY),
]


@pytest.mark.parametrize("config, expected", CASES, ids=[str(config)[:60] for config, _ in CASES])
def test_rules_let_through_whom_they_say(gateway: Gateway, config: dict[str, Any], expected: list[str]) -> None:
    load(gateway, config)
    assert passed(gateway) == expected


def test_a_refusal_is_a_problem_document(gateway: Gateway, origin: Origin) -> None:
    load(gateway, {"allow": "gold"})
    response = gateway.get("/", headers={"X-API-Key": "the-key-of-bob-0123456789"})
    assert response.status == 403
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == 403
    assert origin.requests == []


def test_status_and_message_of_a_refusal_may_be_set(gateway: Gateway) -> None:
    load(gateway, {"allow": "gold", "status": 404, "message": "There is nothing here."})
    response = gateway.get("/", headers={"X-API-Key": "the-key-of-bob-0123456789"})
    assert response.status == 404
    assert response.json()["detail"] == "There is nothing here."


@pytest.mark.parametrize("config, expected", [
    ({"allow": "gold"}, 401),
    ({"deny": {"groups": ["gold"]}}, 401),
    ({"deny": {"groups": ["gold"], "methods": ["POST"]}}, 200),
    ({"allow": {"methods": ["GET"]}}, 200),
    ({"allow": [{"groups": ["gold"]}, {"methods": ["GET"]}]}, 200),
    ({"allow": {"methods": ["GET"]}, "deny": "gold"}, 401),
    ({"allow": {"methods": ["POST"]}}, 403),
    ({"deny": {"methods": ["GET"]}}, 403),
])
def test_a_caller_that_nobody_identified_is_let_through_only_where_it_does_not_matter(
        gateway: Gateway, config: dict[str, Any], expected: int) -> None:
    load(gateway, config)
    response = gateway.get("/")
    assert response.status == expected
    assert ("WWW-Authenticate" in response.headers) is (expected == 401)


def test_get_does_not_stand_for_head(gateway: Gateway) -> None:
    load(gateway, {"allow": {"groups": ["gold"], "methods": ["GET"]}})
    assert ask(gateway, "alice") == 200
    assert ask(gateway, "alice", "HEAD") == 403


def test_the_policy_runs_only_when_it_should(gateway: Gateway) -> None:
    load(gateway, {"allow": "gold"}, when="request.method == 'POST'")
    assert ask(gateway, "bob") == 200
    assert ask(gateway, "bob", "POST") == 403


@pytest.mark.parametrize("on_error, expected", [("deny", 503), ("allow", 403)])
def test_a_condition_that_fails_is_a_fault_and_no_way_around_the_policy(gateway: Gateway, on_error: str, expected: int) -> None:
    load(gateway, {"allow": "gold"}, when="int(request.headers['x-count']) > 1", on_error=on_error)
    assert ask(gateway, "bob") == expected


BAD = [
    ("      - acl: {}\n", "7:14", "neither whom to `allow` nor whom to `deny`"),
    ("      - acl: { alow: gold }\n", "7:16", "did you mean `allow`?"),
    ("      - acl: { allow: [{}] }\n", "7:24", "a rule that says nothing"),
    ("      - acl: { deny: [gold, { methods: [get] }] }\n", "7:29", "capitals"),
    ("      - acl: { allow: gold, status: 200 }\n", "7:37", "400"),
    ("      - acl: { allow: { labels: { team: [] } } }\n", "7:41", "at least one"),
]


@pytest.mark.parametrize("line, place, said", BAD, ids=[line.strip() for line, _, _ in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, line: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  "routes:\n  r:\n    service: a\n    policies:\n" + line)
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr + done.stdout
    assert said in done.stderr + done.stdout
