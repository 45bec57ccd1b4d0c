"""rewrite: what the service sees instead of what the client asked."""

from __future__ import annotations

from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.origin import Origin


def load(gateway: Gateway, match: str = "/*", route: dict[str, Any] | None = None, entry: dict[str, Any] | None = None, **config: Any) -> None:
    gateway.load(route={"match": {"path": match}, **(route or {})}, policies=[{"rewrite": config, **(entry or {})}])


def test_a_path_is_made_of_what_the_route_captured(gateway: Gateway, origin: Origin) -> None:
    load(gateway, "/shop/orders/{id}", path="/v2/orders/${request.params.id}")
    assert gateway.get("/shop/orders/42?a=1&b").status == 200
    assert origin.last.target == "/v2/orders/42?a=1&b"


def test_the_access_log_has_what_the_client_asked(gateway: Gateway, origin: Origin) -> None:
    load(gateway, path="/other")
    gateway.get("/asked?a=1")
    assert origin.last.target == "/other?a=1"
    assert "/asked" in gateway.access_log_lines()[0]


@pytest.mark.parametrize("value, path", [
    ("a b", "/x/a%20b"), ("a?b=1", "/x/a%3Fb=1"), ("a#b", "/x/a%23b"), ("a%2541", "/x/aA"), ("100%25", "/x/100%25"), ("\u00e4", "/x/%C3%A4"),
    ("a/b", "/x/a/b"), ("a%0d%0ab", None), ("..", None), ("../..", None), ("%252e%252e/a", None), ("a/../b", None), ("", "/x/"),
])
def test_what_the_client_sends_stays_within_the_path(gateway: Gateway, origin: Origin, value: str, path: str | None) -> None:
    load(gateway, path="/x/${request.query.v}")
    encoded = value.encode().decode("latin-1").replace("#", "%23").replace(" ", "%20")
    encoded = "".join(c if c < "\x7f" else f"%{ord(c):02X}" for c in encoded)
    status = gateway.get("/?v=" + encoded).status
    if path is None:
        assert status == 503
        assert origin.requests == []
    else:
        assert status == 200
        assert origin.last.path == path


def test_with_on_error_allow_the_path_stays(gateway: Gateway, origin: Origin) -> None:
    load(gateway, entry={"on_error": "allow"}, path="/x/${request.query.v}")
    assert gateway.get("/a?v=../..").status == 200
    assert origin.last.target == "/a?v=../.."


def test_a_path_that_does_not_begin_with_a_slash_is_a_fault(gateway: Gateway, origin: Origin) -> None:
    load(gateway, path="${request.query.v}")
    assert gateway.get("/a?v=b").status == 503
    assert gateway.get("/a?v=/b").status == 200
    assert origin.last.path == "/b"


@pytest.mark.parametrize("pattern, replacement, asked, got", [
    (r"^/old/([a-z]+)/([0-9]+)$", "/v2/$2/$1", "/old/order/7", "/v2/7/order"),
    (r"^/old/([a-z]+)/([0-9]+)$", "/v2/$2/$1", "/old/order/x", "/old/order/x"),
    (r"/b", "/c", "/a/b/b", "/a/c/b"),
    (r"(x)?b", "[$0$1]", "/ab", "/a%5Bb%5D"),
    (r"a", "$$", "/a", "/$"),
    (r"^/a", "", "/a/b", "/b"),
    (r"/a$", "", "/b/a", "/b"),
])
def test_a_regular_expression_changes_a_part_of_the_path(gateway: Gateway, origin: Origin, pattern: str, replacement: str, asked: str,
                                                         got: str) -> None:
    load(gateway, regex={"pattern": pattern, "replacement": replacement})
    assert gateway.get(asked + "?q=1").status == 200
    assert origin.last.target == got + "?q=1"


def test_an_expression_that_takes_too_long_is_a_fault(gateway: Gateway, origin: Origin) -> None:
    load(gateway, regex={"pattern": r"^(/a*)*b$", "replacement": "/x"})
    assert gateway.get("/" + "a" * 3000 + "/c").status in (200, 503)
    assert gateway.get("/aab").status == 200
    assert origin.last.path == "/x"


def test_it_sees_the_path_after_the_prefix_was_cut_off(gateway: Gateway, origin: Origin) -> None:
    load(gateway, "/api/*", {"strip_prefix": True}, regex={"pattern": "^/", "replacement": "/v1/"})
    gateway.get("/api/a?b=1")
    assert origin.last.target == "/v1/a?b=1"


@pytest.mark.parametrize("sent, query, got", [
    ("", {"set": {"a": "1"}}, "?a=1"),
    ("?b=%20&c", {"set": {"a": "1"}}, "?b=%20&c&a=1"),
    ("?a=0&b=2&a=9", {"set": {"a": "${request.method}"}}, "?b=2&a=GET"),
    ("?a=1&b=2&%61=3", {"remove": ["a"]}, "?b=2"),
    ("?a=1", {"remove": "a"}, ""),
    ("?b", {"set": {"a b": "&=?#+\u00e4 "}}, "?b&a%20b=%26%3D%3F%23%2B%C3%A4%20"),
    ("?v=1%26admin=1", {"set": {"w": "${request.query.v}"}}, "?v=1%26admin=1&w=1%26admin%3D1"),
    ("?", {"remove": "a"}, ""),
])
def test_the_query_is_changed(gateway: Gateway, origin: Origin, sent: str, query: dict[str, Any], got: str) -> None:
    load(gateway, query=query)
    assert gateway.get("/p" + sent).status == 200
    assert origin.last.target == "/p" + got


def test_path_and_query_are_changed_together(gateway: Gateway, origin: Origin) -> None:
    load(gateway, path="/n", query={"set": {"a": "1"}, "remove": ["b"]})
    gateway.get("/p?b=1&c=2")
    assert origin.last.target == "/n?c=2&a=1"


def test_a_query_that_another_policy_changed_stays_so(gateway: Gateway, origin: Origin) -> None:
    key = "the-key-of-alice-0123456789"
    gateway.load(policies=[{"key-auth": {"query": "key", "hide": False}}, {"rewrite": {"path": "/n"}}], consumers={"alice": {"keys": [key]}})
    assert gateway.get(f"/p?a=1&key={key}").status == 200
    assert origin.last.target == f"/n?a=1&key={key}"


def test_the_method_is_changed(gateway: Gateway, origin: Origin) -> None:
    load(gateway, method="PUT")
    assert gateway.post("/", body=b"abc").status == 200
    assert (origin.last.method, origin.last.body) == ("PUT", b"abc")


def test_head_keeps_its_method_so_that_the_connection_stays_in_step(gateway: Gateway, origin: Origin) -> None:
    load(gateway, method="GET")
    with gateway.connect() as client:
        assert client.request("HEAD", "/").body == b""
        assert origin.last.method == "HEAD"
        assert client.get("/").body == b"hello"


def test_the_host_is_changed(gateway: Gateway, origin: Origin) -> None:
    load(gateway, host="${request.path.substring(1)}.internal:81")
    assert gateway.get("/a").status == 200
    assert origin.last.headers["Host"] == "a.internal:81"
    assert gateway.get("/a@b/c").status == 503


BAD = [
    ("{}", "7:18", "nothing is changed"),
    ("{ path: a }", "7:26", "begins with `/`"),
    ("{ path: \"/a?b=1\" }", "7:26", "use `query`"),
    ("{ path: /a, regex: { pattern: a, replacement: b } }", "7:37", "give one of the two"),
    ("{ regex: { pattern: \"(\", replacement: b } }", "7:27", "at character"),
    ("{ regex: { pattern: \"(a)\", replacement: \"$2\" } }", "7:27", "no group 2"),
    ("{ regex: { pattern: \"(a)\", replacement: \"$\" } }", "7:27", "a digit"),
    ("{ regex: { pattern: a } }", "7:27", "replacement"),
    ("{ method: HEAD }", "7:28", "GET"),
    ("{ host: \"a b\" }", "7:26", "not a host"),
]


@pytest.mark.parametrize("config, place, said", BAD, ids=[config for config, _, _ in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, config: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  f"routes:\n  r:\n    service: a\n    policies:\n      - rewrite: {config}\n")
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr + done.stdout, done.stderr
    assert said in done.stderr + done.stdout
