"""What the origin and the client learn of each other: fields of one hop, Via, addresses, dates."""

from __future__ import annotations

import re

import pytest

from support.gateway import Gateway
from support.origin import Origin


@pytest.fixture
def loaded(gateway: Gateway) -> Gateway:
    gateway.load()
    return gateway


def test_fields_of_one_hop_are_not_passed_to_the_origin(loaded: Gateway, origin: Origin) -> None:
    with loaded.connect() as client:
        client.get("/", [("Connection", "keep-alive, X-Private"), ("Connection", "x-second"),
                         ("Keep-Alive", "timeout=5"),
                         ("X-Private", "secret"), ("X-Second", "secret"), ("Proxy-Connection", "keep-alive"),
                         ("X-End", "kept")])
    for name in ("Keep-Alive", "X-Private", "X-Second", "Proxy-Connection"):
        assert name not in origin.last.headers
    assert origin.last.headers["X-End"] == "kept"
    assert set(origin.last.headers.tokens("Connection")) <= {"keep-alive"}


def test_fields_of_one_hop_are_not_passed_to_the_client(loaded: Gateway, origin: Origin) -> None:
    origin.reply(200, [("Connection", "X-Internal"), ("X-Internal", "secret"), ("Keep-Alive", "timeout=99"),
                       ("Proxy-Connection", "keep-alive"), ("X-End", "kept")])
    response = loaded.get("/")
    for name in ("X-Internal", "Proxy-Connection"):
        assert name not in response.headers
    assert response.headers.get("Keep-Alive") != "timeout=99"
    assert response.headers["X-End"] == "kept"


@pytest.mark.parametrize("named", ["Host", "Content-Length", "Transfer-Encoding", "X-Forwarded-For", "Via"])
def test_a_client_cannot_name_away_what_the_origin_relies_on(loaded: Gateway, origin: Origin, named: str) -> None:
    with loaded.connect() as client:
        client.send_request("POST", "/", {"Connection": f"close, {named}", "Authorization": "Bearer t",
                                          "Cookie": "c=1"}, b"body")
        response = client.read_response()
    if response.status == 400:
        assert origin.requests == []
        return
    for name in ("Host", "Authorization", "Cookie", "X-Forwarded-For", "Via"):
        assert name in origin.last.headers, name
    assert origin.last.body == b"body"


# Fields that the gateway writes


def test_via_names_the_gateway_in_both_directions(loaded: Gateway, origin: Origin) -> None:
    origin.reply(200, {"Via": "1.0 inner"})
    response = loaded.get("/", headers={"Via": "1.1 outer"})
    assert origin.last.headers.tokens("Via") == ["1.1 outer", "1.1 turnpike"]
    assert response.headers.tokens("Via") == ["1.0 inner", "1.1 turnpike"]


def test_a_date_is_added_where_it_is_missing(loaded: Gateway, origin: Origin) -> None:
    date = loaded.get("/").headers["Date"]
    assert re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date)


def test_the_date_of_the_origin_is_kept(loaded: Gateway, origin: Origin) -> None:
    origin.reply(200, {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"})
    assert loaded.get("/").headers["Date"] == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_the_gateway_does_not_name_its_make_as_the_server(loaded: Gateway, origin: Origin) -> None:
    assert "Server" not in loaded.get("/").headers
    origin.reply(200, {"Server": "the-origin"})
    assert loaded.get("/").headers["Server"] == "the-origin"


def test_the_origin_learns_who_called_and_how(loaded: Gateway, origin: Origin) -> None:
    loaded.get("/", headers={"Host": "shop.example"})
    headers = origin.last.headers
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["X-Forwarded-Host"] == "shop.example"


SPOOFED = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example",
           "X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6;proto=https"}


def test_what_a_stranger_says_of_itself_is_dropped(loaded: Gateway, origin: Origin) -> None:
    loaded.get("/", headers=SPOOFED)
    assert b"6.6.6.6" not in origin.last.head
    assert b"evil.example" not in origin.last.head
    assert origin.last.headers["X-Forwarded-For"] == "127.0.0.1"
    assert origin.last.headers["X-Forwarded-Proto"] == "http"


def test_append_keeps_the_chain_and_adds_the_peer(gateway: Gateway, origin: Origin) -> None:
    gateway.load(listener={"forwarded": "append", "forwarded_field": True})
    gateway.get("/", headers={"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6"})
    assert origin.last.headers.tokens("X-Forwarded-For") == ["6.6.6.6", "127.0.0.1"]
    members = origin.last.headers.tokens("Forwarded")
    assert members[0] == "for=6.6.6.6"
    assert "for=127.0.0.1" in members[1]


def test_trust_passes_what_a_trusted_proxy_says(gateway: Gateway, origin: Origin) -> None:
    gateway.load(listener={"forwarded": "trust", "trusted_proxies": ["127.0.0.0/8"]})
    gateway.get("/", headers={"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https",
                              "X-Forwarded-Host": "shop.example"})
    assert origin.last.headers.tokens("X-Forwarded-For") == ["203.0.113.7", "127.0.0.1"]
    assert origin.last.headers["X-Forwarded-Proto"] == "https"
    assert origin.last.headers["X-Forwarded-Host"] == "shop.example"


def test_trust_does_not_trust_a_stranger(gateway: Gateway, origin: Origin) -> None:
    gateway.load(listener={"forwarded": "trust", "trusted_proxies": ["10.0.0.0/8"]})
    gateway.get("/", headers=SPOOFED)
    assert b"6.6.6.6" not in origin.last.head


@pytest.mark.parametrize("sent, client", [
    ("203.0.113.7", "203.0.113.7"),
    ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
    ("6.6.6.6, 203.0.113.7, 10.1.2.3, 127.0.0.9", "203.0.113.7"),
    ("not an address", "127.0.0.1"),
    ("203.0.113.7, garbage", "127.0.0.1"),
    ("2001:db8::1", "2001:db8::1"),
])
def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy(gateway: Gateway, origin: Origin, sent: str,
                                                                      client: str) -> None:
    gateway.load(listener={"forwarded": "trust", "trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"]})
    gateway.get("/", headers={"X-Forwarded-For": sent})
    assert gateway.access_log()[0]["client"] == client

@pytest.mark.parametrize("forged", [0, 1, 40, 400])
def test_forged_elements_of_forwarded_do_not_hide_the_one_of_the_trusted_proxy(gateway: Gateway, origin: Origin,
                                                                               forged: int) -> None:
    gateway.load(listener={"trusted_proxies": ["127.0.0.0/8"], "client_address": "Forwarded"})
    assert gateway.get("/", headers={"Forwarded": ", ".join(["for=6.6.6.6"] * forged + ["for=203.0.113.7"])}).status == 200
    assert gateway.access_log()[0]["client"] == "203.0.113.7"


def test_the_trace_context_is_passed_on(loaded: Gateway, origin: Origin) -> None:
    loaded.get("/", headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                             "tracestate": "a=b"})
    assert origin.last.headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert origin.last.headers["tracestate"] == "a=b"
