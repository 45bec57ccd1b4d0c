"""What a route asks of a request beyond host and path, and what it does, through the real binary."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.binary import turnpike
from support.gateway import Gateway
from support.origin import Origin


def answer(name: str, **match: Any) -> dict[str, Any]:
    return {"match": match, "respond": {"status": 200, "body": name}}


def taken(gateway: Gateway, target: str, method: str = "GET", **rest: Any) -> str:
    response = gateway.request(method, target, **rest)
    return response.text if response.status == 200 else str(response.status)


def test_the_address_that_a_client_connected_to(gateway: Gateway) -> None:
    gateway.load(routes={"all": answer("all", path="/*"), "here": answer("here", path="/a", local="127.0.0.0/8"),
                         "there": answer("there", path="/b", local="10.0.0.0/8"),
                         "elsewhere": answer("elsewhere", path="/c", **{"not": {"local": "127.0.0.1"}})})
    assert [taken(gateway, target) for target in ("/a", "/b", "/c")] == ["here", "all", "all"]


def test_the_client_behind_a_trusted_proxy(gateway: Gateway) -> None:
    gateway.load(listener={"trusted_proxies": ["127.0.0.1"]},
                 routes={"inner": answer("inner", path="/*", client="10.0.0.0/8"), "outer": answer("outer", path="/*")})
    assert taken(gateway, "/", headers={"X-Forwarded-For": "10.1.2.3"}) == "inner"
    assert taken(gateway, "/", headers={"X-Forwarded-For": "11.1.2.3"}) == "outer"


def test_the_listener_that_a_request_came_in_by(gateway: Gateway) -> None:
    gateway.load(listeners={"main": {"address": "127.0.0.1:0"}, "second": {"address": "127.0.0.1:0"}},
                 routes={"main": answer("main", path="/*", listeners="main"), "other": answer("other", path="/*")})
    assert taken(gateway, "/") == "main"
    assert gateway.client("second").request("GET", "/").text == "other"


def test_a_listener_that_routes_name_cannot_go(gateway: Gateway) -> None:
    config = gateway.full_config(listeners={"main": {"address": "127.0.0.1:0"}, "second": {"address": "127.0.0.1:0"}},
                                 routes={"one": answer("one", path="/*", listeners=["second"])})
    gateway.write(config)
    assert turnpike("check", str(gateway.config_path)).returncode == 0
    del config["listeners"]["second"]
    gateway.write(config)
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert "there is no listener `second`" in done.stderr


def test_weights_spread_requests(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    gateway.load(services={"one": {"endpoints": [origin.url]}, "two": {"endpoints": [second_origin.url]}},
                 routes={"all": {"match": {"path": "/*"}, "service": [{"name": "one", "weight": 3}, "two"]}})
    origin.reply(200, body=b"one")
    second_origin.reply(200, body=b"two")
    with gateway.client().connect() as connection:
        counts = Counter(connection.get("/").text for _ in range(400))
    assert 240 < counts["one"] < 360 and counts["one"] + counts["two"] == 400


def test_a_key_keeps_its_service_over_reloads(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    services = {"one": {"endpoints": [origin.url]}, "two": {"endpoints": [second_origin.url]}}
    route = {"match": {"path": "/{user}"}, "service": {"weighted": ["one", "two"], "key": "request.params.user"}}
    origin.reply(200, body=b"one")
    second_origin.reply(200, body=b"two")
    gateway.load(services=services, routes={"all": route})
    before = [gateway.get(f"/user-{number}").text for number in range(20)]
    assert len(set(before)) == 2
    gateway.load(services=services, routes={"all": {**route, "labels": {"version": "2"}}})
    assert [gateway.get(f"/user-{number}").text for number in range(20)] == before


def test_a_service_by_expression_and_the_fault_of_one_that_is_not_declared(gateway: Gateway, origin: Origin,
                                                                           second_origin: Origin) -> None:
    choice = {"expression": 'request.headers["x-to"]', "among": ["one", "two"]}
    gateway.load(services={"one": {"endpoints": [origin.url]}, "two": {"endpoints": [second_origin.url]},
                           "secret": {"endpoints": [origin.url]}},
                 routes={"all": {"match": {"path": "/*"}, "service": choice}})
    origin.reply(200, body=b"one")
    second_origin.reply(200, body=b"two")
    assert [taken(gateway, "/", headers={"X-To": name}) for name in ("one", "two", "secret")] == ["one", "two", "503"]
    assert taken(gateway, "/") == "503"
    assert gateway.get("/").headers["Content-Type"] == "application/problem+json"


def test_the_timeouts_of_a_route_come_before_those_of_its_service(gateway: Gateway, origin: Origin) -> None:
    gateway.load(service={"timeouts": {"response": "30s"}},
                 routes={"slow": {"match": {"path": "/slow"}, "timeouts": {"response": "100ms"}}})
    origin.hold()
    assert gateway.get("/slow").status == 504


def test_labels_reach_expressions_and_the_access_log(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"one": {"match": {"path": "/*"}, "labels": {"team": "shop", 'quo"te': "a\nb"},
                                 "policies": [{"headers": {"response": {"set": {"X-Team": "${route.labels.team}"}}}}]}})
    assert gateway.get("/").headers["X-Team"] == "shop"
    assert gateway.access_log()[-1]["labels"] == {"team": "shop", 'quo"te': "a\nb"}


def test_an_int_stays_one_in_the_policies_of_its_route(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"one": {"match": {"path": "/orders/{id:int}"},
                                 "policies": [{"headers": {"response": {"set": {"X-Next": "${request.params.id + 1}"}}}}]}})
    assert gateway.get("/orders/41").headers["X-Next"] == "42"
    assert gateway.get("/orders/x").status == 404


# The body


def by_kind(gateway: Gateway, **listener: Any) -> None:
    gateway.load(listener=listener, routes={
        "refund": answer("refund", path="/orders", methods="POST", content_types="application/json",
                         expression="request.json.kind == 'refund'"),
        "urgent": answer("urgent", path="/orders", methods="POST", headers={"X-A": "1", "X-B": "2", "X-C": "3"}),
        "form": answer("form", path="/form", expression="request.body.contains('kind=refund')"),
        "order": answer("order", path="/*")})


JSON = {"Content-Type": "application/json"}


def test_a_field_of_the_body_picks_the_route(gateway: Gateway) -> None:
    by_kind(gateway)
    assert taken(gateway, "/orders", "POST", headers=JSON, body=b'{"kind":"refund"}') == "refund"
    assert taken(gateway, "/orders", "POST", headers=JSON, body=[b'{"kind":', b'"refund"}']) == "refund"
    assert taken(gateway, "/orders", "POST", headers=JSON, body=b'{"kind":"order"}') == "order"
    assert taken(gateway, "/orders", "POST", headers=JSON, body=b"no json") == "order"
    assert taken(gateway, "/orders", "POST", headers=JSON) == "order"
    assert taken(gateway, "/orders", "POST", headers=JSON, body=[]) == "order"
    assert taken(gateway, "/form", "POST", body=b"a=b&kind=refund") == "form"
    assert taken(gateway, "/form") == "order"


def test_a_body_that_picked_a_route_goes_on_whole(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"one": {"match": {"path": "/*", "expression": "request.body.startsWith('a')"}}})
    body = b"a" * 100_000
    assert gateway.post("/", body=body).status == 200
    assert origin.last.body == body
    assert gateway.post("/", body=[b"ab", b"cd"]).status == 200
    assert origin.last.body == b"abcd"
    with gateway.client().connect() as connection:
        for text in (b"a1", b"b2", b"a3"):
            assert connection.request("POST", "/", body=text).status == (404 if text == b"b2" else 200)


def test_the_body_is_read_only_where_the_route_depends_on_it(gateway: Gateway) -> None:
    """The listener's limit is the proof: a body beyond it is refused only where it had to be read."""
    by_kind(gateway, limits={"buffered_body": "16"})
    long = b'{"kind":"refund","more":"' + b"x" * 100 + b'"}'
    assert taken(gateway, "/orders", "POST", headers=JSON, body=long) == "413"
    assert taken(gateway, "/orders", "POST", headers=JSON, body=[long]) == "413"
    assert taken(gateway, "/orders", "PUT", headers=JSON, body=long) == "order"
    assert taken(gateway, "/orders", "POST", headers={"Content-Type": "text/plain"}, body=long) == "order"
    assert taken(gateway, "/orders", "POST", headers={**JSON, "X-A": "1", "X-B": "2", "X-C": "3"}, body=long) == "urgent"
    assert taken(gateway, "/other", "POST", headers=JSON, body=long) == "order"
    # two workers write their lines in no order
    assert sorted(line["status"] for line in gateway.access_log(6)) == [200, 200, 200, 200, 413, 413]


def test_explain_takes_a_body(gateway: Gateway) -> None:
    gateway.write(gateway.full_config(routes={"one": answer("one", path="/a", expression="request.json.n > 3"),
                                              "rest": answer("rest", path="/*")}))
    said = explain(gateway, "--body", '{"n": 4}', "POST", "/a")
    assert (said["route"], said["route_needs_body"]) == ("one", True)
    assert explain(gateway, "--body", '{"n": 3}', "POST", "/a")["route"] == "rest"
    without = explain(gateway, "POST", "/a")
    assert without["route"] == "rest"
    assert without["candidates"][0]["why_not"].startswith("its expression needs the request body, which is not given")


# explain and check


def explain(gateway: Gateway, *arguments: str) -> dict[str, Any]:
    done = turnpike("explain", "--json", "-c", str(gateway.config_path), *arguments)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


REASONS = [
    ({"methods": ["POST"]}, [], "its methods do not include GET"),
    ({"headers": {"X-A": "1"}}, [], "its condition on header `X-A` does not hold: it must be `1`"),
    ({"query": {"q": {"absent": True}}}, [], "its condition on query parameter `q` does not hold: it must be absent"),
    ({"cookies": {"c": {"prefix": "x"}}}, [], "its condition on cookie `c` does not hold: it must begin with `x`"),
    ({"client": "10.0.0.0/8"}, ["--client", "11.0.0.1"], "the client address 11.0.0.1 is not in its networks"),
    ({"local": ":443"}, ["--local", "10.0.0.1:80"], "the local address 10.0.0.1:80 is not in its networks"),
    ({"listeners": "other"}, ["--listener", "main"], "the listener `main` is none of `other`"),
    ({"schemes": ["https"]}, ["--scheme", "http"], "the scheme `http` is none of `https`"),
    ({"sni": "a.test"}, ["--sni", "b.test"], "the server name `b.test` of its handshake is none of its names"),
    ({"content_types": "text/*"}, ["-H", "Content-Type: a/b"], "the content type `a/b` is none of `text/*`"),
    ({"time": {"days": "mon"}}, ["--at", "2026-11-24T12:00"], "it is outside of its times"),
    ({"expression": "request.path == '/b'"}, [], "its expression is false: request.path == '/b'"),
    ({"expression": "request.headers['x-a'] == '1'"}, [], "its expression failed: no such key: 'x-a'"),
    ({"not": {"methods": "GET"}}, [], "it excludes the method GET"),
    ({"not": {"paths": "/a/*"}}, [], "it excludes the path /a"),
    ({"not": {"hosts": "*"}}, [], "it excludes the host shop.test"),
]


@pytest.mark.parametrize("match, options, reason", REASONS, ids=[reason for _, _, reason in REASONS])
def test_explain_has_a_reason_for_each_condition(gateway: Gateway, match: dict[str, Any], options: list[str], reason: str) -> None:
    gateway.write(gateway.full_config(listeners={"main": {"address": "127.0.0.1:0"}, "other": {"address": "127.0.0.1:0"}},
                                      routes={"one": answer("one", path="/a", **match), "rest": answer("rest", path="/*")}))
    said = explain(gateway, "GET", "http://shop.test/a?q=1", *options)
    assert said["route"] == "rest"
    assert said["candidates"][0]["route"] == "one"
    assert said["candidates"][0]["why_not"].startswith(reason)
    text = turnpike("explain", "-c", str(gateway.config_path), "GET", "http://shop.test/a?q=1", *options).stdout
    assert reason in text and "-> rest" in text


def test_explain_says_what_the_winner_does(gateway: Gateway) -> None:
    services = {name: {"endpoints": ["http://127.0.0.1:1"]} for name in ("one", "two")}
    routes = {
        "keyed": {"match": {"path": "/k/{id:int}"}, "rewrite": "/v2/${request.params.id * 2}", "labels": {"team": "shop"},
                  "service": {"weighted": [{"name": "one", "weight": 3}, "two"], "key": "request.params.id"}},
        "random": {"match": {"path": "/r"}, "service": ["one", "two"]},
        "named": {"match": {"path": "/n"}, "service": {"expression": 'request.headers["x"]', "among": ["one", "two"]}},
    }
    gateway.write(gateway.full_config(services=services, routes=routes))
    keyed = explain(gateway, "GET", "/k/21")
    assert keyed["captures"] == {"id": "21"} and keyed["labels"] == {"team": "shop"}
    assert (keyed["service"] in services, keyed["service_key"], keyed["forward_path"]) == (True, "21", "/v2/42")
    assert keyed["services"] == [{"name": "one", "weight": 3}, {"name": "two", "weight": 1}]
    assert explain(gateway, "GET", "/r")["service"] is None
    named = explain(gateway, "-H", "X: two", "GET", "/n")
    assert (named["service"], named["service_expression"], named["fault"]) == ("two", 'request.headers["x"]', None)
    failed = explain(gateway, "-H", "X: three", "GET", "/n")
    assert failed["service"] is None and "not among the route's services" in failed["fault"]
    text = turnpike("explain", "-c", str(gateway.config_path), "GET", "/r").stdout
    assert "service: one 50%, two 50%, at random" in text


@pytest.mark.parametrize("options, said", [
    (["--client", "nobody"], "`nobody` is no IP address"), (["--local", "x"], "`x` is no local address"),
    (["--listener", "x"], "there is no listener `x`"), (["--at", "noon"], "wants a time in UTC")])
def test_explain_refuses_what_it_cannot_understand(gateway: Gateway, options: list[str], said: str) -> None:
    gateway.write(gateway.full_config())
    done = turnpike("explain", "-c", str(gateway.config_path), *options, "GET", "/")
    assert done.returncode == 1 and said in done.stderr


def test_the_admin_listener_explains_with_the_same_words(gateway: Gateway) -> None:
    gateway.load(routes={"one": answer("one", path="/a", client="10.0.0.0/8", headers={"X-A": "1", "X-B": "2"})})
    page = "/explain?url=http://shop.test/a&header=X-A:%201&header=X-B:%202&client="
    assert gateway.admin(page + "10.0.0.1")["route"] == "one"
    refused = gateway.admin(page + "11.0.0.1")
    assert refused["route"] is None
    assert refused["candidates"][0]["why_not"] == "the client address 11.0.0.1 is not in its networks"
    assert gateway.admin_response("/explain?url=/a&at=noon").status == 400


def test_check_warns_and_the_configuration_is_still_good(tmp_path: Path) -> None:
    file = tmp_path / "turnpike.yaml"
    file.write_text("listeners: { main: { address: '127.0.0.1:0' } }\nservices: { a: 'http://127.0.0.1:1' }\nroutes:\n"
                    "  one: { match: { path: /a }, service: a }\n  two: { match: { path: /a }, service: a }\n")
    done = turnpike("check", str(file))
    assert done.returncode == 0
    assert f"{file}:5:3: warning: routes.two: this route can never match: `one` at {file}:4:3" in done.stderr
    said = json.loads(turnpike("check", "--json", str(file)).stdout)
    assert said["ok"] is True
    assert [(one["line"], one["severity"], one["path"]) for one in said["warnings"]] == [(5, "warning", "routes.two")]


def test_of_very_many_warnings_a_few_are_shown_soon(tmp_path: Path) -> None:
    file = tmp_path / "turnpike.yaml"
    routes = {f"r{number}": {"match": {"path": "/a", "headers": {f"X-{number}": "y"}}, "service": "a"} for number in range(3000)}
    file.write_text(yaml.safe_dump({"listeners": {"main": {"address": "127.0.0.1:0"}}, "services": {"a": "http://127.0.0.1:1"},
                                    "routes": routes}))
    done = turnpike("check", str(file))
    assert done.returncode == 0
    assert 10 < done.stderr.count("only the names decide") <= 50
