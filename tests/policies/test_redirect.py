"""redirect: where clients are sent, and where they never are."""

from __future__ import annotations

from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.message import Response
from support.origin import Origin


def load(gateway: Gateway, match: str = "/*", listener: dict[str, Any] | None = None, entry: dict[str, Any] | None = None, **config: Any) -> None:
    gateway.load(route={"match": {"path": match}}, listener=listener, policies=[{"redirect": config, **(entry or {})}])


def assert_redirect(response: Response, status: int, location: str) -> None:
    assert (response.status, response.headers["Location"]) == (status, location)
    assert response.body == b""


def test_a_template_says_where(gateway: Gateway, origin: Origin) -> None:
    load(gateway, "/old/{id}", location="https://new.example/orders/${request.params.id}")
    assert_redirect(gateway.get("/old/7"), 302, "https://new.example/orders/7")
    assert origin.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_status_may_be_any_redirect(gateway: Gateway, status: int) -> None:
    load(gateway, location="/new", status=status)
    assert_redirect(gateway.post("/", body=b"abc"), status, "/new")


@pytest.mark.parametrize("location, sent, got", [
    ("/new", "?a=1", "/new?a=1"), ("/new?b=2", "?a=1", "/new?b=2&a=1"), ("/new#part", "?a=1", "/new?a=1#part"), ("/new", "", "/new"),
    ("/new", "?", "/new"),
])
def test_the_query_goes_along(gateway: Gateway, location: str, sent: str, got: str) -> None:
    load(gateway, location=location)
    assert_redirect(gateway.get("/" + sent), 302, got)


def test_the_query_may_be_left_out(gateway: Gateway) -> None:
    load(gateway, location="/new", keep_query=False)
    assert_redirect(gateway.get("/?a=1"), 302, "/new")


@pytest.mark.parametrize("value", ["a%0d%0aX-Evil:1", "a%20b", "%5Cevil.example", "%00", "%C3%A4", "/evil.example", ""])
def test_a_location_that_could_mislead_is_not_sent(gateway: Gateway, value: str) -> None:
    load(gateway, location="/${request.query.v}" if value else "${request.query.v}", keep_query=False)
    response = gateway.get("/?v=" + value)
    assert response.status == 503
    assert "Location" not in response.headers and "X-Evil" not in response.headers


def test_a_path_of_two_slashes_does_not_lead_to_another_host(gateway: Gateway) -> None:
    load(gateway, listener={"paths": {"merge_slashes": False}}, location="${request.path}/")
    assert gateway.get("//evil.example").status == 503
    assert_redirect(gateway.get("/a"), 302, "/a/")


def test_http_is_sent_to_https(gateway: Gateway, origin: Origin) -> None:
    load(gateway, https=True)
    assert_redirect(gateway.get("/a/../b%41?c=%20", headers={"Host": "Shop.example:8080"}), 308, "https://shop.example/bA?c=%20")
    assert_redirect(gateway.get("/", headers={"Host": "[::1]:8080"}), 308, "https://[::1]/")
    assert origin.requests == []


def test_https_may_have_another_port_and_status(gateway: Gateway) -> None:
    load(gateway, https=True, port=8443, status=301)
    assert_redirect(gateway.get("/", headers={"Host": "a"}), 301, "https://a:8443/")


@pytest.mark.parametrize("proxies, status", [(["127.0.0.0/8"], 200), ([], 308)])
def test_only_a_trusted_proxy_can_say_that_it_was_https(gateway: Gateway, proxies: list[str], status: int) -> None:
    load(gateway, listener={"trusted_proxies": proxies}, https=True)
    assert gateway.get("/", headers={"X-Forwarded-Proto": "https"}).status == status
    assert gateway.get("/", headers={"X-Forwarded-Proto": "http"}).status == 308


def test_a_client_cannot_say_that_it_was_https(gateway: Gateway) -> None:
    load(gateway, https=True)
    assert gateway.get("https://shop.example/", headers={"Host": "shop.example"}).status in (308, 400, 421)


def test_without_a_host_there_is_no_https(gateway: Gateway) -> None:
    load(gateway, https=True)
    assert gateway.exchange(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_it_comes_before_authentication(gateway: Gateway) -> None:
    gateway.load(policies=[{"key-auth": {}}, {"redirect": {"location": "/new"}}])
    assert gateway.get("/").status == 302


BAD = [
    ("{}", "7:19", "either `location` or `https"),
    ("{ location: /a, https: true }", "7:19", "either `location` or `https"),
    ("{ location: \"/a b\" }", "7:31", "must have no spaces"),
    ("{ location: \"/a\\r\\nb\" }", "7:31", "must have no spaces"),
    ("{ location: \"\" }", "7:31", "must have no spaces"),
    ("{ location: /a, status: 304 }", "7:43", "wants 301, 302"),
    ("{ location: /a, status: 200 }", "7:43", "301"),
]


@pytest.mark.parametrize("config, place, said", BAD, ids=[config for config, _, _ in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, config: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  f"routes:\n  r:\n    service: a\n    policies:\n      - redirect: {config}\n")
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr + done.stdout, done.stderr
    assert said in done.stderr + done.stdout
