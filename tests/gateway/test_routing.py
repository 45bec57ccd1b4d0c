"""Which route a request takes, and what the route does to its path and host."""

from __future__ import annotations

from typing import Any

import pytest

from support.gateway import Gateway
from support.origin import Origin


def answer(name: str, **match: Any) -> dict[str, Any]:
    """A route that answers with its own name."""
    return {"match": match, "respond": {"status": 200, "body": name}}


def taken(gateway: Gateway, target: str, host: str = "gateway.test", method: str = "GET", **headers: str) -> str:
    """The name of the route that answered, or `none`."""
    response = gateway.request(method, target, headers={"Host": host, **{name.replace("_", "-"): value for name,
                                                                         value in headers.items()}})
    assert response.status in (200, 404, 405), response.text
    return response.text if response.status == 200 else "none"


def test_a_request_without_a_route_gets_404(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"only": {"match": {"path": "/only"}}})
    response = gateway.get("/other")
    assert response.status == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert origin.requests == []


# Paths

PATH_FORMS = [
    ("/a", {"/a": True, "/a/": False, "/a/b": False, "/ab": False, "/A": False}),
    ("/a/*", {"/a": True, "/a/": True, "/a/b": True, "/a/b/c": True, "/ab": False, "/": False}),
    ("/a*", {"/a": True, "/a/": True, "/ab": True, "/ab/c": True, "/b": False}),
    ("/*", {"/": True, "/a": True, "/a/b": True}),
    ("/", {"/": True, "/a": False}),
    ("/orders/{id}", {"/orders/1": True, "/orders/a.b-c": True, "/orders": False, "/orders/": False,
                      "/orders/1/2": False}),
    ("/orders/{id}/items/{item}", {"/orders/1/items/2": True, "/orders/1/items": False, "/orders/1/2/items/3": False}),
    ("/files/{path...}", {"/files/a": True, "/files/a/b/c": True, "/file": False, "/filesystem": False}),
    ("~ ^/v[0-9]+/", {"/v1/": True, "/v22/x": True, "/v/": False, "/x/v1/": False}),
    ("~ ^/exact$", {"/exact": True, "/exact/": False}),
]


@pytest.mark.parametrize("path, cases", PATH_FORMS, ids=[form for form, _ in PATH_FORMS])
def test_every_form_of_a_path_matches_what_it_says(gateway: Gateway, path: str, cases: dict[str, bool]) -> None:
    gateway.load(routes={"it": answer("it", path=path)})
    for target, matches in cases.items():
        assert (taken(gateway, target) == "it") is matches, target


def test_the_query_takes_no_part_in_matching_the_path(gateway: Gateway) -> None:
    gateway.load(routes={"it": answer("it", path="/a")})
    assert taken(gateway, "/a?b=/c") == "it"


def test_the_most_specific_path_wins_whatever_the_order(gateway: Gateway) -> None:
    routes = {"all": answer("all", path="/*"), "short": answer("short", path="/a/*"),
              "long": answer("long", path="/a/b/*"), "template": answer("template", path="/a/b/{id}"),
              "exact": answer("exact", path="/a/b/c")}
    expected = {"/a/b/c": "exact", "/a/b/d": "template", "/a/b/d/e": "long", "/a/x": "short",
                "/x": "all"}
    for order in (routes, dict(reversed(routes.items()))):
        gateway.load(routes=dict(order))
        assert {target: taken(gateway, target) for target in expected} == expected


def test_a_longer_raw_prefix_wins_over_a_shorter_one_and_over_the_catch_all(gateway: Gateway) -> None:
    gateway.load(routes={"all": answer("all", path="/*"), "short": answer("short", path="/a*"),
                         "long": answer("long", path="/abc*")})
    assert [taken(gateway, target) for target in ("/abcd", "/ab", "/b")] == ["long", "short", "all"]


def test_a_fixed_segment_wins_over_a_captured_one(gateway: Gateway) -> None:
    gateway.load(routes={"any": answer("any", path="/users/{id}/orders"), "me": answer("me", path="/users/me/{what}")})
    assert taken(gateway, "/users/me/orders") == "me"
    assert taken(gateway, "/users/7/orders") == "any"


def test_a_branch_that_leads_nowhere_does_not_hide_another(gateway: Gateway) -> None:
    gateway.load(routes={"deep": answer("deep", path="/a/b/c"), "captured": answer("captured", path="/a/{x}/d"),
                         "all": answer("all", path="/*")})
    assert taken(gateway, "/a/b/c") == "deep"
    assert taken(gateway, "/a/b/d") == "captured"
    assert taken(gateway, "/a/b/e") == "all"


def test_priority_decides_over_specificity(gateway: Gateway) -> None:
    gateway.load(routes={"exact": answer("exact", path="/a/b"),
                         "wide": {**answer("wide", path="/a/*"), "priority": 10}})
    assert taken(gateway, "/a/b") == "wide"


def test_a_disabled_route_takes_nothing(gateway: Gateway) -> None:
    gateway.load(routes={"off": {**answer("off", path="/a"), "enabled": False}, "all": answer("all", path="/*")})
    assert taken(gateway, "/a") == "all"


# Hosts


def test_hosts_are_matched_exactly_by_wildcard_or_not_at_all(gateway: Gateway) -> None:
    gateway.load(routes={"exact": answer("exact", hosts=["shop.example", "store.example"], path="/*"),
                         "wildcard": answer("wildcard", hosts=["*.shop.example"], path="/*"),
                         "any": answer("any", path="/*")})
    assert taken(gateway, "/", "shop.example") == "exact"
    assert taken(gateway, "/", "store.example") == "exact"
    assert taken(gateway, "/", "www.shop.example") == "wildcard"
    assert taken(gateway, "/", "a.b.shop.example") == "wildcard"
    assert taken(gateway, "/", "bigshop.example") == "any"
    assert taken(gateway, "/", "shop.example.evil.test") == "any"


def test_an_exact_host_wins_over_a_wildcard_and_a_longer_over_a_shorter(gateway: Gateway) -> None:
    gateway.load(routes={"short": answer("short", hosts=["*.example"], path="/*"),
                         "long": answer("long", hosts=["*.shop.example"], path="/*"),
                         "exact": answer("exact", hosts=["www.shop.example"], path="/*")})
    assert taken(gateway, "/", "www.shop.example") == "exact"
    assert taken(gateway, "/", "api.shop.example") == "long"
    assert taken(gateway, "/", "other.example") == "short"


def test_a_host_decides_before_a_path(gateway: Gateway) -> None:
    gateway.load(routes={"host": answer("host", hosts=["shop.example"], path="/*"), "path": answer("path", path="/a")})
    assert taken(gateway, "/a", "shop.example") == "host"
    assert taken(gateway, "/a", "other.example") == "path"


def test_a_host_without_a_fitting_path_falls_back_to_routes_without_host(gateway: Gateway) -> None:
    gateway.load(routes={"host": answer("host", hosts=["shop.example"], path="/shop"), "any": answer("any", path="/*")})
    assert taken(gateway, "/other", "shop.example") == "any"


@pytest.mark.parametrize("host", ["SHOP.example", "shop.example:8080", "shop.example.", "Shop.Example:80"])
def test_case_port_and_final_dot_of_a_host_do_not_matter(gateway: Gateway, host: str) -> None:
    gateway.load(routes={"shop": answer("shop", hosts=["shop.example"], path="/*"), "any": answer("any", path="/*")})
    assert taken(gateway, "/", host) == "shop"


def test_an_address_is_a_host_too(gateway: Gateway) -> None:
    gateway.load(routes={"six": answer("six", hosts=["[::1]"], path="/*"),
                         "four": answer("four", hosts=["127.0.0.1"], path="/*")})
    assert taken(gateway, "/", "[::1]:8080") == "six"
    assert taken(gateway, "/", "127.0.0.1") == "four"


# Methods, headers, query


def test_methods_pick_between_routes_of_one_path(gateway: Gateway) -> None:
    gateway.load(routes={"read": answer("read", path="/a", methods=["GET", "HEAD"]),
                         "write": answer("write", path="/a", methods=["POST"])})
    assert taken(gateway, "/a") == "read"
    assert taken(gateway, "/a", method="POST") == "write"
    assert taken(gateway, "/a", method="DELETE") == "none"


def test_a_method_that_no_route_of_the_path_takes_falls_back_to_a_wider_path(gateway: Gateway) -> None:
    gateway.load(routes={"read": answer("read", path="/a", methods=["GET"]), "all": answer("all", path="/*")})
    assert taken(gateway, "/a", method="POST") == "all"


def test_methods_are_compared_with_case(gateway: Gateway) -> None:
    gateway.load(routes={"read": answer("read", path="/a", methods=["GET"])})
    assert taken(gateway, "/a", method="get") == "none"


def test_headers_pick_a_route(gateway: Gateway) -> None:
    gateway.load(routes={"new": answer("new", path="/a", headers={"X-Version": "2"}), "old": answer("old", path="/a")})
    assert taken(gateway, "/a", X_Version="2") == "new"
    assert taken(gateway, "/a", x_version="2") == "new"
    assert taken(gateway, "/a", X_Version="22") == "old"
    assert taken(gateway, "/a") == "old"


def test_all_headers_of_a_match_must_fit(gateway: Gateway) -> None:
    gateway.load(routes={"both": answer("both", path="/a", headers={"X-One": "1", "X-Two": "2"})})
    assert taken(gateway, "/a", X_One="1", X_Two="2") == "both"
    assert taken(gateway, "/a", X_One="1") == "none"


def test_query_parameters_pick_a_route(gateway: Gateway) -> None:
    gateway.load(routes={"beta": answer("beta", path="/a", query={"channel": "beta"}),
                         "plain": answer("plain", path="/a")})
    assert taken(gateway, "/a?channel=beta") == "beta"
    assert taken(gateway, "/a?x=y&channel=beta&z") == "beta"
    assert taken(gateway, "/a?channel=be%74a") == "beta"
    assert taken(gateway, "/a?channel=betas") == "plain"
    assert taken(gateway, "/a?xchannel=beta") == "plain"
    assert taken(gateway, "/a") == "plain"


def test_more_conditions_win_over_fewer_on_the_same_path(gateway: Gateway) -> None:
    gateway.load(routes={"plain": answer("plain", path="/a"),
                         "header": answer("header", path="/a", headers={"X-A": "1"}),
                         "both": answer("both", path="/a", headers={"X-A": "1"}, query={"b": "2"})})
    assert taken(gateway, "/a?b=2", X_A="1") == "both"
    assert taken(gateway, "/a", X_A="1") == "header"
    assert taken(gateway, "/a?b=2") == "plain"


# What a route does


def test_a_prefix_is_stripped(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"api": {"match": {"path": "/api/*"}, "strip_prefix": "/api"}})
    for sent, received in {"/api/users/1?q=2": "/users/1?q=2", "/api/": "/", "/api": "/", "/api?q": "/?q"}.items():
        gateway.get(sent)
        assert origin.last.target == received, sent


def test_a_path_is_rewritten_from_its_captures(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"orders": {"match": {"path": "/orders/{id}/items/{item}"},
                                    "rewrite": "/v2/${request.params.item}/of/${request.params.id}"}})
    gateway.get("/orders/17/items/pen?colour=blue")
    assert origin.last.target == "/v2/pen/of/17?colour=blue"


def test_a_rewritten_path_cannot_leave_its_place(gateway: Gateway, origin: Origin) -> None:
    """What a capture holds stays one segment, whatever it decodes to."""
    gateway.load(routes={"orders": {"match": {"path": "/orders/{id}"},
                                    "rewrite": "/private/${request.params.id}/public"}})
    for capture in ("a%3Fb", "a%23b", "a%25b", "%2e%2e%3f", "a%20b"):
        response = gateway.get(f"/orders/{capture}")
        assert response.status in (200, 400)
    for request in origin.requests:
        assert request.path.startswith("/private/") and request.path.endswith("/public")
        assert request.query == ""


def test_a_rest_capture_keeps_its_slashes(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"files": {"match": {"path": "/files/{path...}"}, "rewrite": "/store/${request.params.path}"}})
    gateway.get("/files/a/b/c.txt")
    assert origin.last.target == "/store/a/b/c.txt"


@pytest.mark.parametrize("setting, host", [("preserve", "shop.example"), ("endpoint", "127.0.0.1:{port}"),
                                           ("inner.example", "inner.example")])
def test_the_host_for_the_origin_is_chosen_by_the_service(gateway: Gateway, origin: Origin, setting: str,
                                                          host: str) -> None:
    gateway.load(service={"host": setting})
    gateway.get("/", headers={"Host": "shop.example"})
    assert origin.last.headers["Host"] == host.format(port=origin.port)


def test_the_host_of_a_route_wins_over_that_of_its_service(gateway: Gateway, origin: Origin) -> None:
    gateway.load(service={"host": "service.example"}, route={"host": "route.example"})
    gateway.get("/", headers={"Host": "shop.example"})
    assert origin.last.headers["Host"] == "route.example"


def test_a_route_may_answer_by_itself(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"hello": {"match": {"path": "/hello"},
                                   "respond": {"status": 203, "headers": {"X-Own": "yes"}, "content_type": "text/plain",
                                               "body": "hi"}}})
    response = gateway.get("/hello")
    assert (response.status, response.headers["X-Own"], response.headers["Content-Type"], response.body) == (203, "yes",
                                                                                                             "text/plain", b"hi")
    head = gateway.request("HEAD", "/hello")
    assert (head.status, head.headers["Content-Length"], head.body) == (203, "2", b"")
    assert origin.connections == 0


def test_a_route_may_redirect(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"old": {"match": {"path": "/old/*"},
                                 "redirect": {"status": 308, "location": "https://new.example${request.path}"}}})
    response = gateway.get("/old/page")
    assert (response.status, response.headers["Location"]) == (308, "https://new.example/old/page")
    assert origin.connections == 0


def test_a_service_may_be_one_url(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"all": {"match": {"path": "/*"}, "service": origin.url}}, services={})
    assert gateway.get("/").body == b"hello"


def test_routes_reach_their_own_services(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    gateway.load(services={"one": {"endpoints": [origin.url]}, "two": {"endpoints": [second_origin.url]}},
                 routes={"one": {"match": {"path": "/one/*"}, "service": "one"},
                         "two": {"match": {"path": "/two/*"}, "service": "two"}})
    gateway.get("/one/a")
    gateway.get("/two/b")
    assert (origin.targets, second_origin.targets) == (["/one/a"], ["/two/b"])


def test_thousands_of_routes_are_told_apart(gateway: Gateway) -> None:
    routes = {f"exact-{number}": answer(f"exact-{number}", path=f"/e/{number}") for number in range(2000)}
    routes |= {f"prefix-{number}": answer(f"prefix-{number}", path=f"/p/{number}/*") for number in range(2000)}
    routes |= {f"host-{number}": answer(f"host-{number}", hosts=[f"h{number}.example"],
                                        path="/*") for number in range(1000)}
    gateway.load(routes=routes)
    for number in (0, 1, 10, 999, 1000, 1999):
        assert taken(gateway, f"/e/{number}") == f"exact-{number}"
        assert taken(gateway, f"/p/{number}/x") == f"prefix-{number}"
    assert taken(gateway, "/p/1", "h999.example") == "host-999"
    assert taken(gateway, "/e/2000") == "none"
