"""rate-limit: what passes, what is refused, what clients are told, and that counts are exact across workers and kept by reloads."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.origin import Origin
from support.wait import wait_until

ALGORITHMS = ["fixed-window", "sliding-window", "token-bucket"]
DAY = "24h"   # long enough that no test meets the end of a window


def load(gateway: Gateway, entry: dict[str, Any] | None = None, parts: dict[str, Any] | None = None, **config: Any) -> None:
    gateway.load(policies=[{"rate-limit": {"window": DAY, **config}, **(entry or {})}], **(parts or {}))


def statuses(gateway: Gateway, count: int, target: str = "/", **headers: str) -> list[int]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return [gateway.get(target, headers=fields).status for _ in range(count)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_limit_passes_and_the_next_request_is_refused(gateway: Gateway, origin: Origin, algorithm: str) -> None:
    load(gateway, limit=3, algorithm=algorithm)
    assert statuses(gateway, 5) == [200, 200, 200, 429, 429]
    assert len(origin.requests) == 3


def test_a_refusal_is_a_problem_document_that_says_when_to_come_back(gateway: Gateway) -> None:
    load(gateway, limit=1, window="1m", algorithm="token-bucket")
    gateway.get("/")
    response = gateway.get("/")
    assert response.status == 429
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == "Too many requests; try again later."
    assert 50 <= int(response.headers["Retry-After"]) <= 60


def test_another_status(gateway: Gateway) -> None:
    load(gateway, limit=1, status=503)
    assert statuses(gateway, 2) == [200, 503]


def test_an_even_rate_lets_the_next_one_through_when_its_time_has_come(gateway: Gateway) -> None:
    load(gateway, limit=10, window="1s", algorithm="token-bucket", burst=2)
    assert 429 in statuses(gateway, 20)
    wait_until(lambda: gateway.get("/").status == 200, what="the next token")


def test_a_window_that_is_over_starts_anew(gateway: Gateway) -> None:
    load(gateway, limit=1, window="1s")
    statuses(gateway, 3)
    wait_until(lambda: gateway.get("/").status == 200, what="the next window")


def test_a_burst_is_what_may_come_at_once(gateway: Gateway) -> None:
    load(gateway, limit=1, algorithm="token-bucket", burst=4)
    assert statuses(gateway, 6) == [200] * 4 + [429] * 2


def test_keys_are_counted_apart(gateway: Gateway) -> None:
    load(gateway, limit=2, key='request.headers["x-tenant"]')
    assert statuses(gateway, 3, X_Tenant="a") == [200, 200, 429]
    assert statuses(gateway, 3, X_Tenant="b") == [200, 200, 429]


def test_a_key_may_be_put_together(gateway: Gateway) -> None:
    load(gateway, limit=1, key='request.method + " " + request.path')
    assert statuses(gateway, 2, "/a") == [200, 429]
    assert statuses(gateway, 2, "/b") == [200, 429]


def test_requests_without_a_consumer_share_one_count(gateway: Gateway) -> None:
    load(gateway, limit=2, key="consumer.name")
    assert statuses(gateway, 3) == [200, 200, 429]


def test_a_key_that_cannot_be_evaluated_is_refused_unless_errors_are_allowed(gateway: Gateway, origin: Origin) -> None:
    load(gateway, limit=2, key='request.headers["x-tenant"]')
    assert gateway.get("/").status == 503
    assert origin.requests == []
    load(gateway, {"on_error": "allow"}, limit=2, key='request.headers["x-tenant"]')
    response = gateway.get("/")
    assert response.status == 200
    assert "RateLimit" not in response.headers


def test_the_condition_decides_what_is_counted(gateway: Gateway) -> None:
    load(gateway, {"when": 'request.method == "POST"'}, limit=1)
    assert statuses(gateway, 3) == [200, 200, 200]
    assert [gateway.post("/", body=b"x").status for _ in range(2)] == [200, 429]


def test_a_cost_is_what_a_request_counts(gateway: Gateway) -> None:
    load(gateway, limit=10, cost='request.path == "/dear" ? 6 : 2')
    assert statuses(gateway, 2, "/dear") == [200, 429]
    assert statuses(gateway, 3, "/cheap") == [200, 200, 429]


def test_a_cost_of_nothing_always_passes_and_one_above_the_limit_never(gateway: Gateway) -> None:
    load(gateway, limit=2, cost="int(request.headers[\"x-cost\"])")
    assert statuses(gateway, 2, X_Cost="3") == [429, 429]
    assert statuses(gateway, 3, X_Cost="0") == [200] * 3
    assert statuses(gateway, 2, X_Cost="2") == [200, 429]
    assert statuses(gateway, 1, X_Cost="0") == [200]
    assert statuses(gateway, 1, X_Cost="-1") == [503]


# Several limits

LIMITS = [{"limit": 2, "window": "12h"}, {"limit": 3, "window": DAY, "algorithm": "token-bucket"}]


def test_all_limits_must_pass(gateway: Gateway) -> None:
    gateway.load(policies=[{"rate-limit": {"limits": [
        {"limit": 2, "window": DAY, "key": "request.path"}, {"limit": 3, "window": DAY}]}}])
    assert statuses(gateway, 3, "/a") == [200, 200, 429]
    assert statuses(gateway, 2, "/b") == [200, 429]


def test_a_refused_request_is_charged_to_no_limit(gateway: Gateway) -> None:
    gateway.load(policies=[{"rate-limit": {"key": '"all"', "limits": [
        {"limit": 10, "window": "12h", "algorithm": "token-bucket"}, {"limit": 2, "window": DAY, "key": "request.path"}]}}])
    assert statuses(gateway, 10, "/a") == [200] * 2 + [429] * 8
    response = gateway.get("/b")
    assert (response.status, response.headers["RateLimit"].split(", ")[0].split(";")[1]) == (200, "r=7")


def test_what_stands_beside_limits_is_their_default(gateway: Gateway) -> None:
    gateway.load(policies=[{"rate-limit": {
        "key": "request.path", "algorithm": "token-bucket", "burst": 1, "limits": [{"limit": 5, "window": DAY}]}}])
    assert statuses(gateway, 2, "/a") == [200, 429]
    assert statuses(gateway, 2, "/b") == [200, 429]


# What clients are told


def test_the_fields_of_the_draft(gateway: Gateway) -> None:
    load(gateway, limit=5)
    for left in (4, 3):
        headers = gateway.get("/").headers
        assert headers["RateLimit-Policy"] == '"default";q=5;w=86400'
        assert re.fullmatch(rf'"default";r={left};t=\d+', headers["RateLimit"])
    assert "X-RateLimit-Limit" not in headers


def test_a_bucket_tells_its_size_and_how_long_it_takes_to_fill(gateway: Gateway) -> None:
    load(gateway, limit=7, window="14s", burst=21, algorithm="token-bucket")
    headers = gateway.get("/").headers
    assert headers["RateLimit-Policy"] == '"default";q=21;w=42'
    assert headers["RateLimit"] == '"default";r=20;t=2'


def test_the_fields_of_several_limits(gateway: Gateway) -> None:
    gateway.load(policies=[{"rate-limit": {"limits": [*LIMITS, {"limit": 9, "window": "1h", "name": "hour"}]}}])
    headers = gateway.get("/").headers
    assert headers["RateLimit-Policy"] == '"12h";q=2;w=43200, "1d";q=3;w=86400, "hour";q=9;w=3600'
    assert re.fullmatch(r'"12h";r=1;t=\d+, "1d";r=2;t=\d+, "hour";r=8;t=\d+', headers["RateLimit"])


def test_a_refusal_has_the_fields_too(gateway: Gateway) -> None:
    load(gateway, limit=1)
    gateway.get("/")
    headers = gateway.get("/").headers
    assert re.fullmatch(r'"default";r=0;t=\d+', headers["RateLimit"])
    assert "Retry-After" in headers


def test_the_older_fields(gateway: Gateway) -> None:
    gateway.load(policies=[{"rate-limit": {"headers": "legacy", "limits": LIMITS}}])
    headers = gateway.get("/").headers
    assert headers["X-RateLimit-Limit"] == "2"
    assert headers["X-RateLimit-Remaining"] == "1"
    assert 0 < int(headers["X-RateLimit-Reset"]) <= 43200
    assert "RateLimit" not in headers and "RateLimit-Policy" not in headers


@pytest.mark.parametrize("choice,names", [("both", True), ("none", False)])
def test_both_or_none_of_the_fields(gateway: Gateway, choice: str, names: bool) -> None:
    load(gateway, limit=1, headers=choice)
    for response in (gateway.get("/"), gateway.get("/")):
        for name in ("RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"):
            assert (name in response.headers) == names
    assert response.status == 429 and "Retry-After" in response.headers


def test_a_dry_run_refuses_nothing_and_sets_a_variable(gateway: Gateway) -> None:
    gateway.load(policies=[{"rate-limit": {"limit": 1, "window": DAY, "dry_run": True, "name": "trial"}}])
    responses = [gateway.get("/") for _ in range(3)]
    assert [response.status for response in responses] == [200] * 3
    assert "RateLimit" not in responses[2].headers
    exceeded = 'has(vars.rate_limit_exceeded) && vars.rate_limit_exceeded == "trial"'
    gateway.load(policies=[{"rate-limit": {"limit": 1, "window": DAY, "dry_run": True, "name": "trial"}},
                           {"rate-limit": {"limit": 1, "window": DAY}, "id": "real", "when": exceeded}])
    assert statuses(gateway, 2) == [200, 429]


# Workers, reloads, limits of its own


@pytest.mark.threads
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_two_workers_together_let_exactly_the_limit_through(gateway: Gateway, origin: Origin, algorithm: str) -> None:
    load(gateway, parts={"workers": 2}, limit=50, algorithm=algorithm)
    passed: list[int] = []

    def run() -> None:
        for _ in range(5):   # new connections, so that both workers have some
            with gateway.connect() as client:
                passed.extend(client.get("/").status for _ in range(5))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(passed)) == [200, 429] and len(passed) == 200
    assert passed.count(200) == 50
    assert len(origin.requests) == 50


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_reload_keeps_counts_when_only_the_limit_changes(gateway: Gateway, algorithm: str) -> None:
    load(gateway, limit=2, algorithm=algorithm)
    assert statuses(gateway, 3) == [200, 200, 429]
    load(gateway, limit=4, algorithm=algorithm)
    assert 429 in statuses(gateway, 4)
    load(gateway, limit=1, algorithm=algorithm)
    assert statuses(gateway, 2) == [429, 429]


def test_a_reload_that_changes_the_order_of_limits_keeps_counts(gateway: Gateway) -> None:
    gateway.load(policies=[{"rate-limit": {"limits": LIMITS}}])
    assert statuses(gateway, 3) == [200, 200, 429]
    gateway.load(policies=[{"rate-limit": {"limits": LIMITS[::-1]}}])
    assert statuses(gateway, 1) == [429]


def test_another_window_starts_anew(gateway: Gateway) -> None:
    load(gateway, limit=1)
    assert statuses(gateway, 2) == [200, 429]
    load(gateway, limit=1, window="12h")
    assert statuses(gateway, 2) == [200, 429]


def test_routes_count_apart(gateway: Gateway) -> None:
    policies = [{"rate-limit": {"limit": 1, "window": DAY}}]
    gateway.load(routes={"a": {"match": {"path": "/a"}, "policies": policies}, "b": {"match": {"path": "/b"}, "policies": policies}})
    assert statuses(gateway, 2, "/a") == [200, 429]
    assert statuses(gateway, 2, "/b") == [200, 429]


def test_a_full_table_forgets_and_says_so(gateway: Gateway) -> None:
    load(gateway, limit=1, key="request.path", keys=1)
    with gateway.connect() as client:
        for number in range(100):
            assert client.get(f"/{number}").status == 200
        assert client.get("/99").status == 429
    assert "rate limit table is full" in wait_until(gateway.log, what="a warning")


# Configuration


@pytest.mark.parametrize("config,column,said", [
    ("{ window: 1m }", 0, "`limit` is missing: how many requests does a window allow?"),
    ("{ limit: 0 }", 9, "wants a whole number from 1 to 4000000000, got `0`"),
    ("{ limit: 1, window: 32d }", 20, "wants a duration such as 30s, from 1ms to 31d, got `32d`"),
    ("{ limit: 1, windw: 1m }", 12, "unknown field `windw`; did you mean `window`?"),
    ("{ limit: 1, burst: 2 }", 19, "only `algorithm: token-bucket` has a burst"),
    ("{ limit: 1, cost: -1 }", 18, "must not be negative"),
    ("{ limit: 1, limits: [{ limit: 1, window: 1m }] }", 20, "either `limit` or `limits`, not both"),
    ("{ limits: [{ limit: 1, window: 1m }, { limit: 2, window: 1m }] }", 37, "two limits with the same window, algorithm and key"),
    ("{ limits: [{ limit: 1, window: 1m, name: a }, { limit: 2, window: 1h, name: a }] }", 76, "two limits are named `a`"),
    ("{ limit: 2000000000, window: 1s, algorithm: token-bucket }", 9, "at most one token per nanosecond"),
    ("{ limit: 1, key: request.pth }", 17, "did you mean 'request.path'?"),
    ("{ limit: 1, name: 'a\"b' }", 18, "must be printable ASCII"),
    ("{ limit: 1, status: 200 }", 20, "wants a whole number from 400 to 599, got `200`"),
])
def test_a_bad_configuration_is_refused_where_it_is_wrong(gateway: Gateway, config: str, column: int, said: str) -> None:
    head = gateway.node_settings() + "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\nroutes:\n  a:\n    match: { path: /* }\n    service: a\n    policies:\n"
    gateway.write(head + f"      - rate-limit: {config}\n")
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    output = done.stdout + done.stderr
    assert said in output
    place = f"{gateway.config_path}:{head.count(chr(10)) + 1}:"
    found = [entry for entry in output.splitlines() if said in entry][0]
    assert found.startswith(place), found
    if column:
        assert found.startswith(f"{place}{len('      - rate-limit: ') + column + 1}:"), found
