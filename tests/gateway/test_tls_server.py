"""TLS with clients: certificates by name, rules by name, client certificates, tickets, limits, hostile clients, reload."""

from __future__ import annotations

import os
import select
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from support.binary import turnpike
from support.certificates import Authority, Issued
from support.client import Connection, request_bytes
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection
from support.tls import TlsConnection, client_context
from support.wait import wait_until


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"), "other authority")


@pytest.fixture(scope="module")
def shop(authority: Authority) -> Issued:
    return authority.issue("shop.test")


@pytest.fixture(scope="module")
def client(authority: Authority) -> Issued:
    return authority.issue("client.test", "URI:spiffe://test/client", file="client")


def load(gateway: Gateway, *certificates: Issued, tls: dict[str, Any] | None = None, **parts: Any) -> None:
    names = {f"c{number}": one.config for number, one in enumerate(certificates)}
    listener = {"tls": {"certificates": list(names), **(tls or {})}, **parts.pop("listener", {})}
    gateway.load(listener=listener, certificates=names, **parts)


def connect(gateway: Gateway, authority: Authority | None, name: str | None = "shop.test",
            session: ssl.SSLSession | None = None, **how: Any) -> TlsConnection:
    return TlsConnection(gateway.address(), client_context(authority, **how), name, session)


def shown(gateway: Gateway, authority: Authority, name: str | None, **how: Any) -> bytes | None:
    with connect(gateway, authority, name, **how) as connection:
        return connection.certificate


def failures(gateway: Gateway, reason: str) -> float:
    return gateway.metrics().value("turnpike_tls_handshake_failures_total", reason=reason)


def limits(gateway: Gateway, limit: str) -> float:
    return gateway.metrics().value("turnpike_limits_reached_total", listener="main", limit=limit)


def refused(gateway: Gateway, *arguments: Any, **how: Any) -> None:
    """The handshake, or with TLS 1.3 the first read after it, fails."""
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError, AssertionError, ValueError)) as caught:
        with connect(gateway, *arguments, **how) as connection:
            connection.sock.sendall(request_bytes("GET", "/"))
            if not connection.sock.recv(1):
                raise ConnectionError("closed")
    assert caught.value


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


def s_client(gateway: Gateway, authority: Authority, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % gateway.port, "-servername", "shop.test",
                           "-CAfile", str(authority.pem), *arguments], input=stdin, capture_output=True, text=True,
                          timeout=30, check=False)
    return done.stdout + done.stderr


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


# Tickets


def session_of(gateway: Gateway, context: ssl.SSLContext) -> ssl.SSLSession:
    with TlsConnection(gateway.address(), context) as connection:
        assert connection.get("/").status == 200       # tickets come with or before the answer
        session = connection.sock.session
        assert session is not None
        return session


def resumes(gateway: Gateway, context: ssl.SSLContext, session: ssl.SSLSession) -> bool:
    with TlsConnection(gateway.address(), context, session=session) as connection:
        assert connection.get("/").status == 200
        return bool(connection.sock.session_reused)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_sessions_are_resumed_by_all_workers_and_after_a_reload(gateway: Gateway, authority: Authority, shop: Issued,
                                                                version: str) -> None:
    load(gateway, shop)
    context = client_context(authority, version=version)
    session = session_of(gateway, context)
    assert all(resumes(gateway, context, session) for _ in range(8))
    load(gateway, shop, tls={"groups": "P-256:X25519"})
    assert resumes(gateway, context, session)
    assert gateway.metrics().value("turnpike_tls_handshakes_total", resumed="yes") == 9
    load(gateway, shop, tls={"session_tickets": {"enabled": False}})
    assert not resumes(gateway, context, session)


def test_keys_of_tickets_rotate(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop, tls={"session_tickets": {"rotate": "1s"}})
    context = client_context(authority, version="1.2")
    session = session_of(gateway, context)
    assert resumes(gateway, context, session)
    wait_until(lambda: not resumes(gateway, context, session), what="the ticket to be too old")


def test_nodes_share_keys_by_file(make_gateway: Any, authority: Authority, shop: Issued, tmp_path: Path) -> None:
    keys = tmp_path / "tickets"
    keys.write_bytes(os.urandom(80))
    first, second = make_gateway(), make_gateway()
    for one in (first, second):
        load(one, shop, tls={"session_tickets": {"file": str(keys)}})
    context = client_context(authority)
    session = session_of(first, context)
    assert resumes(second, context, session)
    keys.write_bytes(os.urandom(80) + keys.read_bytes())       # a new one seals, the old one still opens
    second.reload()
    assert resumes(second, context, session)
    keys.write_bytes(os.urandom(80))
    keys.with_name("other").touch()
    second.reload()
    keys.write_bytes(os.urandom(79))
    assert "keys of 80 bytes" in second.reload_refused()


def test_a_configuration_that_is_refused_changes_no_keys_of_tickets(gateway: Gateway, authority: Authority, shop: Issued,
                                                                    tmp_path: Path) -> None:
    keys = tmp_path / "tickets"
    keys.write_bytes(os.urandom(240))
    load(gateway, shop, tls={"session_tickets": {"file": str(keys)}})
    context = client_context(authority)
    session = session_of(gateway, context)
    good = gateway.config_path.read_text()
    keys.write_bytes(os.urandom(240))
    gateway.write(good + "\nroutes_: {}\n")
    gateway.reload_refused()
    assert resumes(gateway, context, session)
    gateway.write(good)
    gateway.reload()
    assert not resumes(gateway, context, session)


def test_a_session_is_worth_nothing_after_the_client_authority_changed(gateway: Gateway, authority: Authority,
                                                                       other_authority: Authority, shop: Issued,
                                                                       client: Issued) -> None:
    load(gateway, shop, tls={"client": {"verify": "request", "ca": str(authority.pem)}},
         route={"client_certificate": True})
    context = client_context(authority, shown=client)
    session = session_of(gateway, context)
    assert resumes(gateway, context, session)
    load(gateway, shop, tls={"client": {"verify": "request", "ca": str(other_authority.pem)}},
         route={"client_certificate": True})
    with TlsConnection(gateway.address(), context, session=session) as connection:
        assert connection.get("/").status == 403
        assert not connection.sock.session_reused


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


# Reload


def test_certificates_are_read_anew_and_no_connection_is_lost(gateway: Gateway, authority: Authority) -> None:
    first = authority.issue("reload.test")
    load(gateway, first)
    with connect(gateway, authority, "reload.test") as connection:
        assert connection.get("/").status == 200 and connection.certificate == first.der
        second = authority.issue("reload.test")
        gateway.reload()
        assert connection.get("/").status == 200, "who is connected stays"
        assert shown(gateway, authority, "reload.test") == second.der


def test_reloads_under_load_lose_nothing(gateway: Gateway, authority: Authority) -> None:
    load(gateway, authority.issue("reload.test"))
    stop, errors, served = threading.Event(), [], []

    def run() -> None:
        try:
            while not stop.is_set():
                with connect(gateway, authority, "reload.test") as connection:
                    for _ in range(5):
                        served.append(connection.get("/").status)
        except BaseException as error:   # noqa: BLE001 - shown below
            errors.append(error)
    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        one = authority.issue("reload.test")
        gateway.reload()
        assert shown(gateway, authority, "reload.test") == one.der
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors and served and set(served) == {200}


def test_what_is_wrong_with_certificates_is_said(gateway: Gateway, authority: Authority, shop: Issued,
                                                 tmp_path: Path) -> None:
    old, other = authority.issue("old.test", days=-2), authority.issue("other.test")
    soon = authority.issue("soon.test", days=3)
    config = gateway.full_config(
        listener={"tls": {"certificates": ["old", "soon", "missing"]}},
        certificates={"mixed": {"certificate": str(shop.pem), "key": str(other.key_path)}, "old": old.config,
                      "soon": soon.config, "gone": {"certificate": "nowhere.pem", "key": str(shop.key_path)},
                      "odd": {"certificate": str(shop.key_path), "key": str(shop.pem)}})
    gateway.write(config)
    said = turnpike("check", str(gateway.config_path)).stderr
    for part in ("certificates.mixed.key: is not the key of the certificate", "expired 2 days ago",
                 "the certificate expires in ", "nowhere.pem`: there is no such file", "no certificate `missing`",
                 "certificates.odd.certificate: there is no certificate in it", "no private key in PEM"):
        assert part in said, said
    assert f"{gateway.config_path}:" in said


def test_metrics_tell_when_certificates_expire(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    soon = authority.issue("soon.test", days=3)
    load(gateway, shop, soon)
    expires = gateway.metrics().value("turnpike_certificate_expires_timestamp_seconds", certificate="c0")
    assert abs(expires - shop.certificate.not_valid_after.timestamp()) < 86400
    wait_until(lambda: "a certificate expires soon" in gateway.log(), what="a warning")


# OCSP


def test_an_ocsp_answer_of_a_file_is_stapled(gateway: Gateway, authority: Authority, shop: Issued,
                                             tmp_path: Path) -> None:
    answer = tmp_path / "shop.ocsp"
    answer.write_bytes(authority.ocsp(shop))
    config = {**shop.config, "ocsp": {"file": str(answer)}}
    gateway.load(listener={"tls": {"certificates": "shop"}}, certificates={"shop": config})
    assert "OCSP Response Status: successful" in s_client(gateway, authority, "-status")
    answer.write_bytes(authority.ocsp(shop, good=False))
    gateway.reload()
    assert "the certificate is revoked; nothing is stapled" in gateway.log()
    assert "OCSP response: no response sent" in s_client(gateway, authority, "-status")


def test_an_ocsp_answer_of_a_file_is_stapled_until_it_expires(gateway: Gateway, authority: Authority, shop: Issued,
                                                              tmp_path: Path) -> None:
    answer = tmp_path / "short.ocsp"
    answer.write_bytes(authority.ocsp(shop, hours=5 / 3600))
    gateway.load(listener={"tls": {"certificates": "shop"}},
                 certificates={"shop": {**shop.config, "ocsp": {"file": str(answer)}}})
    assert "OCSP Response Status: successful" in s_client(gateway, authority, "-status")
    wait_until(lambda: "OCSP response: no response sent" in s_client(gateway, authority, "-status"),
               what="the answer to expire")


def test_ocsp_answers_are_fetched(gateway: Gateway, authority: Authority, second_origin: Origin) -> None:
    shop = authority.issue("shop.test", file="stapled", ocsp_url=second_origin.url + "/ocsp")
    second_origin.reply(200, {"Content-Type": "application/ocsp-response"}, authority.ocsp(shop))
    gateway.load(listener={"tls": {"certificates": "shop"}},
                 certificates={"shop": {**shop.config, "ocsp": {"fetch": True}}})
    wait_until(lambda: gateway.metrics().value("turnpike_ocsp_expires_timestamp_seconds") > 0, what="an answer")
    assert second_origin.last.method == "POST"
    assert "OCSP Response Status: successful" in s_client(gateway, authority, "-status")


# Secrets


def dumped_memory(pid: int) -> bytes:
    """What a core file of the process would hold of its own writable memory."""
    wanted: list[tuple[int, int]] = []
    region = (0, 0)
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            start, end = (int(part, 16) for part in words[0].split("-"))
            region = (start, end) if words[1].startswith("rw") and end - start < 256 << 20 else (0, 0)
        elif words[0] == "VmFlags:" and region[1] and "dd" not in words:
            wanted.append(region)
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end in wanted:
            memory.seek(start)
            try:
                parts.append(memory.read(end - start))
            except OSError:
                pass
    return b"".join(parts)


def test_private_keys_are_not_in_what_a_core_file_holds(gateway: Gateway, authority: Authority, shop: Issued) -> None:
    load(gateway, shop)
    assert shown(gateway, authority, "shop.test") == shop.der
    gateway.reload()
    memory = dumped_memory(gateway.worker_pid)
    assert b"turnpike" in memory, "the memory was read"
    secret = shop.key.private_numbers().private_value     # type: ignore[union-attr]
    text = shop.key_path.read_bytes().splitlines()[1]
    assert text not in memory
    assert secret.to_bytes(32, "big") not in memory
    assert secret.to_bytes(32, "little") not in memory


def test_a_key_log_is_warned_of_and_written(gateway: Gateway, authority: Authority, shop: Issued,
                                            tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    load(gateway, shop, tls={"key_log": str(path)})
    assert shown(gateway, authority, "shop.test") == shop.der
    assert "whoever reads this file reads all traffic" in gateway.log()
    wait_until(lambda: "CLIENT_TRAFFIC_SECRET_0" in path.read_text(), what="the secrets of the connection")
    assert path.stat().st_mode & 0o077 == 0


def test_plain_connections_refuse_tls_without_harm(gateway: Gateway, authority: Authority) -> None:
    gateway.load()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(gateway, authority)
    with Connection(gateway.address()) as connection:
        assert connection.get("/").status == 200
