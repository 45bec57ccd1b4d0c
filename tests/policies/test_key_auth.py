"""key-auth: where keys are looked for, who is let in, what becomes of the key."""

from __future__ import annotations

from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.origin import Origin

ALICE, BOB = "the-key-of-alice-0123456789", "the-key-of-bob-0123456789abc"
CONSUMERS = {"alice": {"keys": [ALICE, "another-key-of-alice-012345"], "groups": ["gold"]}, "bob": {"keys": [BOB]}, "guest": {}}


def load(gateway: Gateway, entry: dict[str, Any] | None = None, consumers: dict[str, Any] | None = None, **config: Any) -> None:
    """key-auth with a configuration, and a header that shows the service who was identified."""
    policies = [{"key-auth": config, **(entry or {})}]
    gateway.load(policies=policies, consumers=consumers or CONSUMERS)


def status(gateway: Gateway, target: str = "/", **headers: str) -> int:
    return gateway.get(target, headers={name.replace("_", "-"): value for name, value in headers.items()}).status


def test_a_key_in_the_default_header_is_accepted(gateway: Gateway, origin: Origin) -> None:
    load(gateway)
    for key in (ALICE, BOB, "another-key-of-alice-012345"):
        assert status(gateway, X_API_Key=key) == 200
    assert gateway.access_log(3)[0]["consumer"] == "alice"


def test_a_request_without_a_key_is_refused_with_a_challenge(gateway: Gateway, origin: Origin) -> None:
    load(gateway, realm="shop")
    response = gateway.get("/")
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == 'ApiKey realm="shop"'
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == 401
    assert origin.requests == []


@pytest.mark.parametrize("key", ["x", ALICE[:-1], ALICE + "x", ALICE.upper(), "k" * 5000])
def test_a_wrong_key_is_refused_and_not_shown(gateway: Gateway, origin: Origin, key: str) -> None:
    load(gateway)
    response = gateway.get("/", headers={"X-API-Key": key})
    assert response.status == 401
    assert key not in response.text or key == "x"
    assert origin.requests == []


def test_an_empty_key_is_no_key(gateway: Gateway, origin: Origin) -> None:
    load(gateway, anonymous="guest")
    assert status(gateway, X_API_Key="") == 200
    assert gateway.access_log()[0]["consumer"] == "guest"


def test_several_headers_may_be_named(gateway: Gateway) -> None:
    load(gateway, header=["Key", "X-Key"])
    assert status(gateway, Key=ALICE) == 200
    assert status(gateway, x_key=ALICE) == 200
    assert status(gateway, X_API_Key=ALICE) == 401


def test_the_key_may_be_a_bearer_token(gateway: Gateway, origin: Origin) -> None:
    load(gateway, bearer=True)
    assert status(gateway, Authorization=f"bearer {ALICE}") == 200
    assert "Authorization" not in origin.last.headers
    response = gateway.get("/", headers={"Authorization": "Basic YTpi"})
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == 'ApiKey realm="api", Bearer realm="api"'


def test_another_scheme_is_left_for_the_service(gateway: Gateway, origin: Origin) -> None:
    load(gateway, bearer=True)
    assert status(gateway, Authorization="Basic YTpi", X_API_Key=ALICE) == 200
    assert origin.last.headers["Authorization"] == "Basic YTpi"


def test_the_key_may_be_in_a_cookie_which_is_taken_out(gateway: Gateway, origin: Origin) -> None:
    load(gateway, cookie="key")
    assert status(gateway, Cookie=f"a=1; key={ALICE}; b=2") == 200
    assert origin.last.headers["Cookie"] == "a=1; b=2"
    assert status(gateway, Cookie=f"key={ALICE}") == 200
    assert "Cookie" not in origin.last.headers
    assert status(gateway, Cookie="a=1; keys=x") == 401


@pytest.mark.parametrize("sent, forwarded", [
    ("?key={}", ""),
    ("?key={}&a=1", "a=1"),
    ("?a=1&key={}&b=&c", "a=1&b=&c"),
    ("?a=%20&k%65y={}", "a=%20"),
    ("?key={0}&key={0}", ""),
])
def test_the_key_may_be_in_the_query_from_which_it_is_taken(gateway: Gateway, origin: Origin, sent: str, forwarded: str) -> None:
    load(gateway, query="key")
    assert status(gateway, "/p" + sent.format(ALICE)) == 200
    assert origin.last.path == "/p"
    assert origin.last.query == forwarded


def test_an_encoded_key_in_the_query_is_decoded(gateway: Gateway) -> None:
    load(gateway, query="key")
    assert status(gateway, "/?key=" + ALICE.replace("-", "%2D")) == 200


def test_a_key_in_the_query_goes_through_a_route_that_strips_the_path(gateway: Gateway, origin: Origin) -> None:
    gateway.load(route={"match": {"path": "/api/*"}, "strip_prefix": True}, consumers=CONSUMERS, policies=[{"key-auth": {"query": "key"}}])
    assert status(gateway, f"/api/x?key={ALICE}&a=1") == 200
    assert origin.last.target == "/x?a=1"


@pytest.mark.parametrize("hide", [True, False])
@pytest.mark.parametrize("key", [ALICE, "a-wrong-key-0123456789"])
def test_a_key_in_the_query_never_reaches_a_log(gateway: Gateway, origin: Origin, hide: bool, key: str) -> None:
    load(gateway, query="key", hide=hide)
    gateway.get(f"/p?a=1&key={key}")
    line = gateway.access_log_lines()[0]
    assert key not in line
    assert "a=1" in line
    assert key not in gateway.log()


def test_without_hide_the_service_gets_the_key(gateway: Gateway, origin: Origin) -> None:
    load(gateway, query="key", cookie="key", hide=False)
    assert status(gateway, f"/p?a=1&key={ALICE}", X_API_Key=ALICE, Cookie=f"key={ALICE}") == 200
    assert origin.last.target == f"/p?a=1&key={ALICE}"
    assert origin.last.headers["X-API-Key"] == ALICE
    assert origin.last.headers["Cookie"] == f"key={ALICE}"


def test_the_header_is_hidden_by_default(gateway: Gateway, origin: Origin) -> None:
    load(gateway)
    assert status(gateway, X_API_Key=ALICE) == 200
    assert "X-API-Key" not in origin.last.headers


def test_different_keys_in_one_request_are_refused(gateway: Gateway, origin: Origin) -> None:
    load(gateway, query="key", cookie="key")
    assert status(gateway, f"/?key={ALICE}", X_API_Key=ALICE, Cookie=f"key={ALICE}") == 200
    assert status(gateway, f"/?key={BOB}", X_API_Key=ALICE) == 401
    assert status(gateway, f"/?key={BOB}&key={ALICE}") == 401
    assert status(gateway, Cookie=f"key={ALICE}; key={BOB}") == 401
    assert gateway.get("/", headers=[("X-API-Key", ALICE), ("X-API-Key", BOB)]).status == 401
    assert len(origin.requests) == 1


def test_an_expired_key_is_refused(gateway: Gateway) -> None:
    consumers = {"alice": {"keys": [{"key": ALICE, "expires": "2020-01-01T00:00:00Z"}, {"key": BOB, "expires": "2100-01-01T00:00:00Z"}]}}
    load(gateway, consumers=consumers)
    assert status(gateway, X_API_Key=ALICE) == 401
    assert status(gateway, X_API_Key=BOB) == 200


def test_anonymous_takes_requests_without_a_key_only(gateway: Gateway, origin: Origin) -> None:
    load(gateway, anonymous="guest")
    assert status(gateway) == 200
    assert status(gateway, X_API_Key=ALICE) == 200
    assert sorted(line["consumer"] for line in gateway.access_log(2)) == ["alice", "guest"]
    assert status(gateway, X_API_Key="a-wrong-key-0123456789") == 401


@pytest.mark.parametrize("on_error, expected", [("deny", 503), ("allow", 200)])
def test_an_anonymous_consumer_that_is_not_there_is_a_fault(gateway: Gateway, origin: Origin, on_error: str, expected: int) -> None:
    load(gateway, {"on_error": on_error}, anonymous="nobody")
    assert status(gateway) == expected
    assert status(gateway, X_API_Key=ALICE) == 200


def test_the_policy_runs_only_when_it_should(gateway: Gateway) -> None:
    load(gateway, {"when": "request.path.startsWith('/private')"})
    assert status(gateway, "/public") == 200
    assert status(gateway, "/private") == 401


def test_a_reload_takes_keys_away_and_gives_new_ones(gateway: Gateway) -> None:
    load(gateway)
    load(gateway, consumers={"alice": {"keys": ["the-new-key-of-alice-012345"]}})
    assert status(gateway, X_API_Key=ALICE) == 401
    assert status(gateway, X_API_Key="the-new-key-of-alice-012345") == 200


def test_policies_of_the_consumer_and_its_groups_apply(gateway: Gateway, origin: Origin) -> None:
    consumers = {"alice": {"keys": [ALICE], "groups": ["gold"]}, "bob": {"keys": [BOB], "policies": [{"acl": {"deny": {"consumers": ["bob"]}}}]}}
    gateway.load(policies=[{"key-auth": {}}], consumers=consumers, groups={"gold": {"policies": [{"acl": {"deny": {"methods": ["POST"]}}}]}})
    assert status(gateway, X_API_Key=ALICE) == 200
    assert gateway.post("/", headers={"X-API-Key": ALICE}, body=b"").status == 403
    assert status(gateway, X_API_Key=BOB) == 403


BAD = [
    ("      - key-auth: { hader: Key }\n", "7:21", "did you mean `header`?"),
    ("      - key-auth: { header: [Key, \"a b\"] }\n", "7:35", "not a name that HTTP allows"),
    ("      - key-auth: { header: [] }\n", "7:19", "no place left where a key could be"),
    ("      - key-auth: { realm: 'a\"b' }\n", "7:28", "quotes"),
    ("      - key-auth: { hide: maybe }\n", "7:27", "true"),
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
