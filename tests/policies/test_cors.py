"""cors: whose pages may call, what preflights are told, what errors say."""

from __future__ import annotations

from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.message import Response
from support.origin import Origin
from support.ports import free_port

SHOP = "https://shop.example"
KEY = "the-key-of-alice-0123456789"


def load(gateway: Gateway, *more: Any, **config: Any) -> None:
    gateway.load(policies=[{"cors": config}, *more], consumers={"alice": {"keys": [KEY]}})


def preflight(gateway: Gateway, origin: str = SHOP, method: str = "PUT", **headers: str) -> Response:
    fields = {"Origin": origin, "Access-Control-Request-Method": method, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return gateway.request("OPTIONS", "/", headers=fields)


def call(gateway: Gateway, origin: str = SHOP, **headers: str) -> Response:
    return gateway.get("/", headers={"Origin": origin, **headers})


def cors_fields(response: Response) -> set[str]:
    return {name for name in response.headers.names() if name.startswith("access-control-")}


def test_a_preflight_is_answered_without_a_key_and_without_the_service(gateway: Gateway, origin: Origin) -> None:
    load(gateway, {"key-auth": {}}, origins=SHOP)
    response = preflight(gateway)
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD, PUT, PATCH, POST, DELETE"
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "origin" in response.headers.tokens("Vary")
    assert origin.requests == []


def test_a_preflight_is_told_everything_that_is_configured(gateway: Gateway) -> None:
    load(gateway, origins=[SHOP], methods=["GET", "PURGE"], headers=["Authorization", "X-A"], credentials=True, max_age="10m",
         private_network=True)
    response = preflight(gateway, Access_Control_Request_Private_Network="true", Access_Control_Request_Headers="x-b")
    assert response.headers["Access-Control-Allow-Methods"] == "GET, PURGE"
    assert response.headers["Access-Control-Allow-Headers"] == "Authorization, X-A"
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert response.headers["Access-Control-Max-Age"] == "600"
    assert response.headers["Access-Control-Allow-Private-Network"] == "true"
    assert "Access-Control-Allow-Private-Network" not in preflight(gateway).headers


def test_a_star_for_headers_and_methods_answers_what_was_asked(gateway: Gateway) -> None:
    load(gateway, methods="*")
    response = preflight(gateway, method="PURGE", Access_Control_Request_Headers="authorization,x-b")
    assert response.headers["Access-Control-Allow-Methods"] == "PURGE"
    assert response.headers["Access-Control-Allow-Headers"] == "authorization,x-b"
    assert "access-control-request-headers" in response.headers.tokens("Vary")
    assert "Access-Control-Allow-Headers" not in preflight(gateway).headers


def test_a_private_network_is_not_opened_unless_said(gateway: Gateway) -> None:
    load(gateway)
    assert "Access-Control-Allow-Private-Network" not in preflight(gateway, Access_Control_Request_Private_Network="true").headers


@pytest.mark.parametrize("headers", [{}, {"Origin": SHOP}, {"Access-Control-Request-Method": "PUT"}])
def test_other_options_requests_go_to_the_service(gateway: Gateway, origin: Origin, headers: dict[str, str]) -> None:
    load(gateway)
    assert gateway.request("OPTIONS", "/", headers=headers).status == 200
    assert origin.last.method == "OPTIONS"


def test_calls_get_the_fields_and_the_service_has_no_say(gateway: Gateway, origin: Origin) -> None:
    origin.reply(headers=[("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true"), ("Vary", "Accept")])
    load(gateway, origins=SHOP, expose_headers=["X-A", "X-B"])
    response = call(gateway)
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert response.headers["Access-Control-Expose-Headers"] == "X-A, X-B"
    assert cors_fields(response) == {"access-control-allow-origin", "access-control-expose-headers"}
    assert response.headers.tokens("Vary") == ["accept", "origin"]
    assert origin.last.headers["Origin"] == SHOP


def test_any_origin_is_answered_with_a_star_that_does_not_vary(gateway: Gateway) -> None:
    load(gateway)
    response = call(gateway)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Vary" not in response.headers


def test_vary_is_not_said_twice(gateway: Gateway, origin: Origin) -> None:
    load(gateway, origins=SHOP)
    for vary in ("origin, Accept", "*"):
        origin.reply(headers={"Vary": vary})
        assert call(gateway).headers["Vary"] == vary


@pytest.mark.parametrize("rules, allowed, refused", [
    ([SHOP], [SHOP], ["http://shop.example", SHOP + ":8443", SHOP + ".evil.example", "null", "https://SHOP.example", SHOP + "/"]),
    (["https://*.shop.example"], ["https://a.shop.example", "https://a.b.shop.example"],
     [SHOP, "https://.shop.example", "https://evil.example/.shop.example", "https://ashop.example", "https://x@evil.example?.shop.example"]),
    ([r"~ https://(a|b)\.example"], ["https://a.example", "https://b.example"],
     ["https://a.example.evil.example", "xhttps://a.example", "https://aXexample"]),
    (["~ https://a|https://b"], ["https://a", "https://b"], ["https://ab", "https://a.evil.example", "evil://https://b"]),
    ([SHOP, "http://localhost:3000"], [SHOP, "http://localhost:3000"], ["http://localhost"]),
    (["null"], ["null"], [SHOP]),
])
def test_only_listed_origins_are_allowed(gateway: Gateway, rules: list[str], allowed: list[str], refused: list[str]) -> None:
    load(gateway, origins=rules)
    for one in allowed:
        assert call(gateway, one).headers["Access-Control-Allow-Origin"] == one
    for one in refused:
        assert cors_fields(call(gateway, one)) == set(), one


def test_an_origin_that_is_not_allowed_gets_no_fields(gateway: Gateway, origin: Origin) -> None:
    origin.reply(headers={"Access-Control-Allow-Origin": "*"})
    load(gateway, origins=SHOP)
    response = preflight(gateway, "https://evil.example")
    assert response.status == 204
    assert cors_fields(response) == set()
    assert "origin" in response.headers.tokens("Vary")
    response = call(gateway, "https://evil.example")
    assert response.status == 200
    assert cors_fields(response) == set()


def test_without_an_origin_nothing_is_said_but_that_it_varies(gateway: Gateway) -> None:
    load(gateway, origins=SHOP, reject=True)
    response = gateway.get("/")
    assert response.status == 200
    assert cors_fields(response) == set()
    assert response.headers["Vary"] == "Origin"


def test_reject_refuses_other_origins(gateway: Gateway, origin: Origin) -> None:
    load(gateway, origins=SHOP, reject=True)
    assert preflight(gateway, "https://evil.example").status == 403
    response = call(gateway, "https://evil.example")
    assert response.status == 403
    assert cors_fields(response) == set()
    assert origin.requests == []
    assert call(gateway).status == 200


def test_errors_can_be_read_by_the_page(gateway: Gateway, origin: Origin) -> None:
    load(gateway, {"key-auth": {}}, origins=SHOP, expose_headers="WWW-Authenticate", credentials=True)
    response = call(gateway)
    assert response.status == 401
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert response.headers["Access-Control-Expose-Headers"] == "WWW-Authenticate"
    assert call(gateway, **{"X-API-Key": KEY}).status == 200


def test_errors_of_the_gateway_can_be_read_by_the_page(gateway: Gateway) -> None:
    gateway.load(services={"nowhere": {"endpoints": [f"http://127.0.0.1:{free_port()}"]}}, policies=[{"cors": {"origins": SHOP}}])
    response = call(gateway)
    assert response.status == 502
    assert response.headers["Access-Control-Allow-Origin"] == SHOP


def test_it_holds_for_paths_without_a_route(gateway: Gateway) -> None:
    config = gateway.full_config(route={"match": {"path": "/a"}})
    config["policies"] = [{"cors": {"origins": SHOP}}]
    gateway.load(config)
    assert preflight(gateway).status == 204
    response = call(gateway)
    assert response.status == 404
    assert response.headers["Access-Control-Allow-Origin"] == SHOP


BAD = [
    ("{ origins: \"*\", credentials: true }", "7:26", "list the origins"),
    ("{ origins: [\"https://a.example\", \"null\"], credentials: true }", "7:48", "list the origins"),
    ("{ credentials: true }", "7:15", "list the origins"),
    ("{ origins: [\"https://a.example/\"] }", "7:27", "no path"),
    ("{ origins: [a.example] }", "7:27", "is not an origin"),
    ("{ origins: [\"https://A.example\"] }", "7:27", "lower case"),
    ("{ origins: [\"https://*shop.example\"] }", "7:27", "subdomains"),
    ("{ origins: [\"https://a.*\"] }", "7:27", "subdomains"),
    ("{ origins: [\"~ https://(\"] }", "7:27", "regular expression, at character"),
    ("{ origins: [] }", "7:26", "at least one"),
    ("{ methods: [\"G T\"] }", "7:27", "not a name"),
    ("{ headers: [\"X:\"] }", "7:27", "not a name"),
    ("{ origins: \"https://a.example\", credentials: true, expose_headers: \"*\" }", "7:82", "list the fields"),
    ("{ max_age: 3 }", "7:26", "unit"),
]


@pytest.mark.parametrize("config, place, said", BAD, ids=[config for config, _, _ in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, config: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  f"routes:\n  r:\n    service: a\n    policies:\n      - cors: {config}\n")
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr + done.stdout, done.stderr
    assert said in done.stderr + done.stdout
