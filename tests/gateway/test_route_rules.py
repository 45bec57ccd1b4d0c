"""The gateway takes the route that the manual's rules say: random routes of all kinds and random requests, against the reference in
tests/support/route_rules.py. The seed is in the name of the test that fails; ROUTE_SEED=N runs that one alone."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest

from support.gateway import Gateway
from support.route_rules import LITERALS, Request, winner

SETS, ROUTES, REQUESTS = 40, 30, 80
SEEDS = [int(os.environ["ROUTE_SEED"])] if "ROUTE_SEED" in os.environ else list(range(1, SETS + 1))
UUID = "123e4567-e89b-12d3-a456-426614174000"

HOSTS = ["a.x", "b.x", "c.a.x", "*.x", "*.a.x", "*"]
SEGMENTS = ["a", "b", "ab", "7", "{p}", "{p:int}", "{p:uuid}", "{p:~[ab]+}", "{p}.j", "v{p:int}", "a{p}"]
ENDS = ["", "", "/", "/*", "*", "/{rest...}"]
TESTS: list[Any] = ["1", {"one_of": ["1", "2"]}, {"prefix": "1"}, {"regex": "^[12]"}, {"present": True}, {"absent": True},
                    {"equals": "1", "not": True}]
EXPRESSIONS = [
    {"cel": 'request.headers[?"X-A"].orValue("") == "1"', "python": "request.headers.get('X-A', '') == '1'"},
    {"cel": 'request.headers["X-B"].startsWith("1")', "python": "request.headers.get('X-B', '').startswith('1')"},
    {"cel": "request.path.size() > 3", "python": "len(request.path) > 3"},
]


def random_path(pick: random.Random) -> str | None:
    kind = pick.random()
    if kind < 0.05:
        return None
    if kind < 0.15:
        return pick.choice(list(LITERALS))
    segments = [pick.choice(SEGMENTS).replace("{p", "{" + "pqr"[number]) for number in range(pick.randrange(4))]
    path = "".join("/" + segment for segment in segments)
    end = pick.choice(ENDS)
    if end == "*" and (not segments or "{" in segments[-1]):
        end = "/*"
    return path + end or "/"


def random_conditions(pick: random.Random, negated: bool) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if pick.random() < 0.2:
        match["methods"] = pick.sample(["GET", "POST", "PURGE"], pick.randrange(1, 3))
    for name, chance in (("headers", 0.25), ("query", 0.1), ("cookies", 0.1)):
        if pick.random() < chance:
            keys = ["X-A", "X-B"] if name == "headers" else ["a", "b"]
            match[name] = {key: pick.choice(TESTS) for key in pick.sample(keys, pick.randrange(1, 3))}
    if pick.random() < 0.1:
        match["client"] = pick.sample(["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"], 2)
    if pick.random() < 0.1:
        match["content_types"] = pick.sample(["text/plain", "text/*", "application/json"], pick.randrange(1, 3))
    if pick.random() < 0.1 and not negated:
        match["expression"] = pick.choice(EXPRESSIONS)
    if negated and pick.random() < 0.3:
        match["paths"] = pick.sample(["/a", "/a/*", "/b*", "/{x}/b", "~ ^/ab"], pick.randrange(1, 3))
    if negated and pick.random() < 0.2:
        match["hosts"] = [pick.choice(HOSTS[:-1])]
    return match


def random_routes(pick: random.Random) -> dict[str, dict[str, Any]]:
    routes: dict[str, dict[str, Any]] = {}
    spread = pick.randrange(3)
    for number in range(ROUTES):
        match = random_conditions(pick, False)
        if pick.random() < 0.5:
            match["hosts"] = pick.sample(HOSTS, pick.randrange(1, 4))
        path = random_path(pick)
        if path is not None:
            match["path"] = path
        if pick.random() < 0.3 and (excluded := random_conditions(pick, True)):
            match["not"] = excluded
        routes[f"r{number}"] = {"match": match}
        if spread and pick.random() < 0.2 * spread:
            routes[f"r{number}"]["priority"] = pick.randrange(-1, 3)
    return routes


def random_request(pick: random.Random) -> Request:
    path = "".join("/" + pick.choice(["a", "b", "ab", "7", "-7", "07", "a.j", "v1", "vx", UUID]) for _ in range(pick.randrange(4)))
    request = Request(pick.choice(["GET", "GET", "POST", "PURGE"]), pick.choice(["a.x", "b.x", "c.a.x", "x", "other"]),
                      path + pick.choice(["", "", "/"]) or "/")
    for name in ("X-A", "X-B"):
        if pick.random() < 0.5:
            request.headers[name] = pick.choice(["1", "2", "12", ""])
    for where in (request.query, request.cookies):
        if pick.random() < 0.4:
            where[pick.choice("ab")] = pick.choice(["1", "2", "12"])
    if pick.random() < 0.3:
        request.headers["Content-Type"] = pick.choice(["text/plain; charset=utf-8", "application/json", "TEXT/html"])
    request.client = pick.choice(["10.1.2.3", "10.200.0.1", "2001:db8::1", "192.0.2.1"])
    return request


def as_configured(route: dict[str, Any], name: str) -> dict[str, Any]:
    match = {**route["match"]}
    if "expression" in match:
        match["expression"] = match["expression"]["cel"]
    if str(match.get("path", "")).startswith("~"):
        match["path"] = match["path"].replace("(?P<", "(?<")
    return {**route, "match": match, "respond": {"status": 200, "body": f"{name} ${{request.params}}"}}


def lines_of(request: Request) -> dict[str, str]:
    headers = {"Host": request.host, "X-Forwarded-For": request.client, **request.headers}
    if request.cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in request.cookies.items())
    return headers


def target_of(request: Request) -> str:
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    return request.path + ("?" + query if query else "")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_route_is_the_one_that_the_rules_say(module_gateway: Gateway, seed: int) -> None:
    pick = random.Random(seed)
    routes = random_routes(pick)
    module_gateway.load(listener={"trusted_proxies": ["127.0.0.0/8"]},
                        routes={name: as_configured(route, name) for name, route in routes.items()})
    with module_gateway.client().connect() as connection:
        for _ in range(REQUESTS):
            request = random_request(pick)
            wanted = winner(routes, request)
            connection.send_request(request.method, target_of(request), headers=lines_of(request))
            response = connection.read_response(request.method)
            said = f"seed {seed}: {request}\n" + json.dumps(routes, indent=1)
            if wanted is None:
                assert response.status == 404, f"{response.text}\n{said}"
                continue
            name, _, captured = response.text.partition(" ")
            assert name == wanted[0], f"got {name}, wanted {wanted[0]}\n{said}"
            assert json.loads(captured) == wanted[1], said


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_explain_names_the_route_that_is_taken_and_a_reason_for_each_other(module_gateway: Gateway, seed: int) -> None:
    pick = random.Random(1000 + seed)
    routes = random_routes(pick)
    module_gateway.load(listener={"trusted_proxies": ["127.0.0.0/8"]},
                        routes={name: as_configured(route, name) for name, route in routes.items()})
    for _ in range(20):
        request = random_request(pick)
        wanted = winner(routes, request)
        query = {"method": request.method, "url": f"http://{request.host}{target_of(request)}", "client": request.client}
        headers = "".join(f"&header={quoted(f'{name}: {value}')}" for name, value in lines_of(request).items()
                          if name not in ("Host", "X-Forwarded-For"))
        answer = module_gateway.admin("/explain?" + "&".join(f"{name}={quoted(value)}" for name, value in query.items()) + headers)
        assert answer["route"] == (wanted[0] if wanted else None)
        first = next((one for one in answer["candidates"] if one["why_not"] is None), None)
        assert (first and first["route"]) == answer["route"]
        assert all(one["why_not"] or one["chosen"] or wanted for one in answer["candidates"])


def quoted(text: str) -> str:
    from urllib.parse import quote
    return quote(text, safe="")
