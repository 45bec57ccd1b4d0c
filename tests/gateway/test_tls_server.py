"""TLS with clients: certificates by name, rules by name, client certificates, limits, hostile clients."""

from __future__ import annotations

import os
import select
import socket
import ssl
import subprocess
import threading
import time

import pytest

from support.certificates import Authority, Issued
from support.client import Connection, request_bytes
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection
from support.tls import TlsConnection, client_context
from support.tls_server import connect, failures, limits, load, refused, s_client, shown
from support.wait import wait_until


def dribble(raw: socket.socket, piece: bytes = b"x", most: float = 6) -> float:
    """Send a piece five times a second; how many seconds until the peer has closed."""
    began = time.monotonic()
    while time.monotonic() - began < most:
        readable, _, _ = select.select([raw], [], [], 0.2)
        try:
            if readable and not raw.recv(65536):
                break
            raw.sendall(piece)
        except OSError:
            break
    return time.monotonic() - began


# Requests


def test_a_request_and_what_is_known_of_its_tls(gateway: Gateway, authority: Authority, shop: Issued,
                                                origin: Origin) -> None:
    load(gateway, shop, policies=[{"headers": {"request": {"set": {
        "X-Tls": "${request.scheme} ${source.tls.version} ${source.tls.sni} ${source.tls.alpn} ${source.tls.verified}"}}}}])
    with connect(gateway, authority, alpn=["h2", "http/1.1"]) as connection:
        assert connection.get("/").text == "hello"
        assert connection.sock.selected_alpn_protocol() == "http/1.1"
    assert origin.last.headers["X-Tls"] == "https TLSv1.3 shop.test http/1.1 false"
    assert origin.last.headers["X-Forwarded-Proto"] == "https"
    line = wait_until(gateway.access_log, what="a line in the access log")[-1]
    assert (line["tls_version"], line["tls_cipher"], line["tls_sni"]) == ("TLSv1.3", "TLS_AES_128_GCM_SHA256",
                                                                          "shop.test") or line["tls_cipher"]
    metrics = gateway.metrics()
    assert metrics.value("turnpike_tls_handshakes_total", version="TLSv1.3", resumed="no") == 1
    assert sum(value for (name, _), value in metrics.items() if name == "turnpike_tls_ciphers_total") == 1


def test_many_requests_on_one_connection_and_pipelined_ones(gateway: Gateway, authority: Authority, shop: Issued,
                                                            origin: Origin) -> None:
    load(gateway, shop)
    origin.reply_target()
    with connect(gateway, authority) as connection:
        for number in range(20):
            assert connection.get(f"/{number}").text == f"/{number}"
        for number in range(3):                      # each in a record of its own, perhaps in one packet
            connection.send_request("GET", f"/p{number}")
        assert [connection.read_response().text for _ in range(3)] == ["/p0", "/p1", "/p2"]
        connection.send(b"".join(request_bytes("GET", f"/q{number}") for number in range(3)))
        assert [connection.read_response("GET").text for _ in range(3)] == ["/q0", "/q1", "/q2"]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_large_bodies_pass_both_ways(gateway: Gateway, authority: Authority, shop: Issued, origin: Origin,
                                     version: str) -> None:
    load(gateway, shop)
    body = os.urandom(3 << 20)

    def echo(request: Request, connection: OriginConnection) -> None:
        connection.reply(200, None, request.body)
    origin.handler = echo
    with connect(gateway, authority, version=version) as connection:
        assert connection.request("POST", "/", body=body).body == body


def test_a_client_that_reads_slowly_gets_everything(gateway: Gateway, authority: Authority, shop: Issued,
                                                    origin: Origin) -> None:
    load(gateway, shop)
    body = os.urandom(2 << 20)
    origin.reply(200, None, body)
    with connect(gateway, authority) as connection:
        connection.send_request("GET", "/")
        origin.wait_for(1)
        wait_until(lambda: gateway.admin("/exchanges"), what="the exchange waits for its client")
        assert connection.read_response().body == body


def test_close_notify_ends_a_connection_in_good_order(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop)
    with connect(gateway, authority) as connection:
        connection.send_request("GET", "/", {"Connection": "close"})
        assert connection.read_response().text == "hello"
        assert connection.sock.recv(1) == b""        # suppress_ragged_eofs would hide a bare end; this checks the order:
        connection.end_tls()


def test_curl_and_s_client_are_served(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop)
    port = gateway.port
    curl = subprocess.run(["curl", "-sS", "--cacert", str(authority.pem), "--resolve", f"shop.test:{port}:127.0.0.1",
                           f"https://shop.test:{port}/a"], capture_output=True, text=True, timeout=30, check=False)
    assert curl.stdout == "hello", curl.stderr
    done = s_client(gateway, authority, "-tls1_2")
    assert "Verify return code: 0" in done and "Secure Renegotiation IS supported" in done


def test_renegotiation_is_refused(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop)
    assert "no renegotiation" in s_client(gateway, authority, "-tls1_2", stdin="R\n")


# Certificates by name


def test_certificates_are_chosen_by_name(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    wild, deep = authority.issue("*.api.test"), authority.issue("v1.api.test")
    load(gateway, shop, wild, deep)
    assert shown(gateway, authority, "shop.test") == shop.der
    assert shown(gateway, authority, "SHOP.test") == shop.der
    assert shown(gateway, authority, "v2.api.test") == wild.der
    assert shown(gateway, authority, "v1.api.test") == deep.der
    assert shown(gateway, authority, "a.v1.api.test") == shop.der, "a wildcard is for one label"
    assert shown(gateway, authority, "unknown.test") == shop.der
    assert shown(gateway, authority, None) == shop.der


def test_ecdsa_and_rsa_are_offered_together(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    rsa = authority.issue("shop.test", file="shop-rsa", kind="rsa")
    load(gateway, shop, rsa)
    for name in ("shop.test", "unknown.test"):
        assert shown(gateway, authority, name, version="1.2", ciphers="ECDHE-RSA-AES128-GCM-SHA256") == rsa.der
        assert shown(gateway, authority, name, version="1.2", ciphers="ECDHE-ECDSA-AES128-GCM-SHA256") == shop.der
        assert shown(gateway, authority, name) == shop.der


def test_unknown_names_can_be_refused(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop, tls={"unknown_name": "refuse"})
    assert shown(gateway, authority, "shop.test") == shop.der
    for name in ("unknown.test", None):
        with pytest.raises(ssl.SSLError, match="(?i)unrecognized"):
            connect(gateway, authority, name)
    wait_until(lambda: failures(gateway, "name") == 2, what="two failures")


def test_a_name_has_rules_of_its_own(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    new = authority.issue("new.test")
    load(gateway, shop, new, tls={"names": {"new.test": {"min_version": "1.3"}}})
    assert shown(gateway, authority, "shop.test", version="1.2") == shop.der
    assert shown(gateway, authority, "new.test", version="1.3") == new.der
    with pytest.raises(ssl.SSLError):
        connect(gateway, authority, "new.test", version="1.2")
    wait_until(lambda: failures(gateway, "version") == 1, what="the failure to be counted")
    with connect(gateway, authority, "shop.test") as connection:
        answer = connection.get("/", {"Host": "new.test"})
        assert answer.status == 421, "the rules of a name cannot be gone around by naming another one"
        assert connection.closed()


# Clients' certificates


def test_a_client_certificate_is_required(gateway: Gateway, authority: Authority, other_authority: Authority,
                                          shop: Issued, client: Issued, origin: Origin) -> None:
    load(gateway, shop, tls={"client": {"verify": "require", "ca": str(authority.pem)}}, policies=[
        {"headers": {"request": {"set": {
            "X-Client": "${source.tls.verified} ${source.tls.subject} ${source.tls.issuer} ${source.tls.fingerprint}",
            "X-Names": "${source.tls.sans[1]}", "X-Serial": "${source.tls.serial}"}}}}])
    with connect(gateway, authority, shown=client) as connection:
        assert connection.get("/").status == 200
    assert origin.last.headers["X-Client"] == f"true CN=client.test CN=authority {client.fingerprint}"
    assert origin.last.headers["X-Names"] == "URI:spiffe://test/client"
    assert int(origin.last.headers["X-Serial"], 16) == client.certificate.serial_number
    refused(gateway, authority)
    refused(gateway, authority, shown=other_authority.issue("client.test"))
    refused(gateway, authority, shown=authority.issue("old.test", days=-1))
    wait_until(lambda: failures(gateway, "certificate-missing") == 1 and failures(gateway, "certificate") == 2,
               what="the failures to be counted")


def test_routes_decide_where_a_certificate_is_only_requested(gateway: Gateway, authority: Authority,
                                                             other_authority: Authority, shop: Issued,
                                                             client: Issued) -> None:
    load(gateway, shop, tls={"client": {"verify": "request", "ca": str(authority.pem)}},
         routes={"open": {"match": {"path": "/open"}},
                 "strict": {"match": {"path": "/strict"}, "client_certificate": True}})
    cases = [(None, 403), (other_authority.issue("client.test"), 403), (client, 200)]
    for one, status in cases:
        with connect(gateway, authority, shown=one) as connection:
            assert connection.get("/open").status == 200
            assert connection.get("/strict").status == status
    assert gateway.metrics().value("turnpike_errors_total", kind="client-certificate") == 2


def test_a_name_that_wants_a_certificate_is_not_reached_through_another(gateway: Gateway, authority: Authority,
                                                                       shop: Issued, client: Issued) -> None:
    admin = authority.issue("admin.test")
    load(gateway, shop, admin,
         tls={"names": {"admin.test": {"client": {"verify": "require", "ca": str(authority.pem)}}}})
    with connect(gateway, authority, "shop.test") as connection:
        assert connection.get("/", {"Host": "shop.test"}).status == 200
        assert connection.get("/", {"Host": "admin.test"}).status == 421
    refused(gateway, authority, "admin.test")
    with connect(gateway, authority, "admin.test", shown=client) as connection:
        assert connection.get("/", {"Host": "admin.test"}).status == 200
    context = client_context(authority)
    with TlsConnection(gateway.address(), context, "shop.test") as connection:
        connection.get("/", {"Host": "shop.test"})
        session = connection.sock.session
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        with TlsConnection(gateway.address(), context, "admin.test", session) as connection:
            connection.sock.sendall(request_bytes("GET", "/", {"Host": "admin.test"}))
            if not connection.sock.recv(1):
                raise ConnectionError("closed")


def test_rules_of_a_wildcard_reach_names_that_the_certificate_lists(gateway: Gateway, authority: Authority,
                                                                    client: Issued) -> None:
    both = authority.issue("a.shop.test", "*.shop.test", "free.shop.test", file="both")
    load(gateway, both, tls={"names": {
        "*.shop.test": {"client": {"verify": "require", "ca": str(authority.pem)}},
        "free.shop.test": {"client": {"verify": "off"}}}})
    for name in ("a.shop.test", "b.shop.test"):
        refused(gateway, authority, name)
        with connect(gateway, authority, name, shown=client) as connection:
            assert connection.get("/", {"Host": name}).status == 200
    with connect(gateway, authority, "free.shop.test") as connection:
        assert connection.get("/", {"Host": "free.shop.test"}).status == 200, "a name's own rules go before"
        assert connection.get("/", {"Host": "a.shop.test"}).status == 421


@pytest.mark.parametrize("after", ["require", "another authority"])
def test_a_connection_made_under_other_rules_is_served_no_more(gateway: Gateway, authority: Authority,
                                                              other_authority: Authority, shop: Issued, client: Issued,
                                                              after: str) -> None:
    before = {"client": {"verify": "request", "ca": str(authority.pem)}}
    load(gateway, shop, tls=before)
    with connect(gateway, authority, shown=client) as kept, connect(gateway, authority, shown=client) as quiet:
        assert kept.get("/").status == quiet.get("/").status == 200
        load(gateway, shop, tls={**before, "handshakes": {"concurrent": 7}})
        assert kept.get("/").status == 200, "what is no rule of the name ends no connection"
        verify, ca = ("require", authority) if after == "require" else ("request", other_authority)
        load(gateway, shop, tls={"client": {"verify": verify, "ca": str(ca.pem)}})
        assert kept.get("/").status == 421
        assert kept.closed()


# Hostile clients


def test_a_request_without_tls_is_told_so(gateway: Gateway, shop: Issued) -> None:
    load(gateway, shop)
    for method in ("GET", "DELETE"):
        answer = gateway.request(method, "/")
        assert answer.status == 400 and "HTTPS" in answer.text
        assert answer.headers["Content-Type"].startswith("text/plain")
    assert failures(gateway, "plain-http") == 2


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x00\x05hello", b"\x00" * 64, os.urandom(2000).replace(b"\x16", b"\x17"),
                                  b"\x16\x03\x01\xff\xff" + b"\x01" * 70000,
                                  b"\x16\x03\x01\x40\x00" + b"\x01\x00\x3f\xfc\x03\x03" + b"\xff" * 16400],
                         ids=["no hello", "zeros", "noise", "oversized record", "oversized extensions"])
def test_garbage_is_refused(gateway: Gateway, authority: Authority, shop: Issued, data: bytes) -> None:
    load(gateway, shop)
    with gateway.connect() as connection:
        connection.send(data if not b"GET" in data else b"\x00")
        connection.read_all()
    assert sum(failures(gateway, kind) for kind in ("protocol", "plain-http", "version", "internal")) == 1
    assert shown(gateway, authority, "shop.test") == shop.der


def test_an_oversized_record_ends_a_connection(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop)
    with connect(gateway, authority) as connection:
        assert connection.get("/").status == 200
        raw = socket.socket(fileno=os.dup(connection.sock.fileno()))
        with raw:
            raw.sendall(b"\x17\x03\x03\xff\xff" + b"x" * 70000)
        with pytest.raises(ssl.SSLError, match="(?i)record.overflow"):
            connection.sock.recv(1)
    assert shown(gateway, authority, "shop.test") == shop.der


@pytest.mark.parametrize("part", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_a_slow_handshake_is_given_up(gateway: Gateway, shop: Issued, part: bytes) -> None:
    load(gateway, shop, listener={"timeouts": {"handshake": "200ms"}})
    with gateway.connect() as connection:
        connection.send(part)
        assert connection.read_all() == b""
    assert limits(gateway, "handshake_timeout") == 1
    assert failures(gateway, "timeout") == 1


def test_pieces_of_a_record_gain_no_time(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop, listener={"timeouts": {"head": "600ms", "idle": "600ms"}})
    with connect(gateway, authority) as connection, socket.socket(fileno=os.dup(connection.sock.fileno())) as raw:
        raw.sendall(b"\x17\x03\x03\x40\x00")      # a record of 16 KiB begins
        assert dribble(raw) < 3


def test_a_protocol_that_is_not_spoken_is_refused(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop)
    with pytest.raises(ssl.SSLError, match="(?i)no application protocol"):
        connect(gateway, authority, alpn=["spdy/3"])
    wait_until(lambda: failures(gateway, "alpn") == 1, what="the failure")


def test_old_versions_and_weak_ciphers_are_refused(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop)
    assert "alert" in s_client(gateway, authority, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        connect(gateway, authority, version="1.2", ciphers="AES128-SHA")
    wait_until(lambda: failures(gateway, "version") == 1 and failures(gateway, "cipher") == 1, what="both failures")


def test_handshakes_are_limited_and_queued(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop, workers=1, tls={"handshakes": {"concurrent": 1, "queue": 1}})
    with gateway.connect() as slow:
        slow.send(b"\x16\x03\x01")
        wait_until(lambda: gateway.metrics().value("turnpike_connections", listener="main") == 1, what="a connection")
        done: list[bytes | None] = []
        waiting = threading.Thread(target=lambda: done.append(shown(gateway, authority, "shop.test")))
        waiting.start()
        wait_until(lambda: limits(gateway, "handshakes_queued") == 1, what="the second handshake to wait")
        with gateway.connect() as third:
            assert third.read_all() == b"", "the queue is full"
        assert limits(gateway, "handshakes") == 1 and not done
    waiting.join()
    assert done == [shop.der]


def test_handshakes_have_a_rate(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop, workers=1, tls={"handshakes": {"rate": 20}})
    assert all(shown(gateway, authority, "shop.test") == shop.der for _ in range(8))
    assert limits(gateway, "handshakes_queued") >= 1


def test_plain_connections_refuse_tls_without_harm(gateway: Gateway, authority: Authority) -> None:
    gateway.load()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(gateway, authority)
    with Connection(gateway.address()) as connection:
        assert connection.get("/").status == 200
