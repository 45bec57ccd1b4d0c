"""TLS towards endpoints: whom they have to be, what they are shown, sessions, failures."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Any

import pytest

from support.binary import turnpike
from support.certificates import Authority, Issued
from support.gateway import Gateway
from support.origin import Origin
from support.wait import wait_until


@pytest.fixture(scope="module")
def issued(authority: Authority) -> Issued:
    return authority.issue("origin.test", "127.0.0.1", "URI:spiffe://test/origin")


def server_context(issued: Issued, clients: Authority | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(issued.pem), str(issued.key_path))
    if clients:
        context.load_verify_locations(str(clients.pem))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def secure(origin: Origin) -> str:
    return origin.url.replace("http:", "https:")


def load(gateway: Gateway, origin: Origin, tls: dict[str, Any] | None = None, **parts: Any) -> None:
    service = {"endpoints": [secure(origin)], "retry": {"attempts": 0}, **parts.pop("service", {})}
    if tls is not None:
        service["tls"] = tls
    gateway.load(services={"origin": service}, **parts)


def handshakes(gateway: Gateway, **labels: str) -> float:
    return gateway.metrics().value("turnpike_upstream_tls_handshakes_total", **labels)


def failures(gateway: Gateway, reason: str) -> float:
    return gateway.metrics().value("turnpike_upstream_tls_failures_total", reason=reason)


def is_refused(gateway: Gateway, detail: str = "") -> None:
    answer = gateway.get("/")
    assert answer.status == 502
    assert answer.json()["detail"] == "No secure connection to the service could be made."
    wait_until(lambda: detail in gateway.log(), what=detail)


# Whom to trust


def test_an_endpoint_is_verified_by_chain_and_address(gateway: Gateway, origin: Origin, authority: Authority,
                                                      issued: Issued) -> None:
    origin.tls = server_context(issued)
    load(gateway, origin, {"ca": str(authority.pem)})
    assert [gateway.get("/").text for _ in range(3)] == ["hello"] * 3
    assert handshakes(gateway) == len(origin.sessions_reused) <= 2, "connections are kept"


def test_the_systems_authorities_are_trusted_unless_others_are_given(gateway: Gateway, origin: Origin,
                                                                     authority: Authority, issued: Issued) -> None:
    origin.tls = server_context(issued)
    load(gateway, origin)
    is_refused(gateway, "self-signed certificate in certificate chain")
    assert failures(gateway, "certificate") == 1
    gateway.stop()
    gateway.env["SSL_CERT_FILE"] = str(authority.pem)
    load(gateway, origin)
    assert gateway.get("/").text == "hello"


def test_other_authorities_names_and_old_certificates_are_refused(gateway: Gateway, origin: Origin,
                                                                  authority: Authority, other_authority: Authority,
                                                                  issued: Issued) -> None:
    cases = [(other_authority.issue("127.0.0.1"), {}, "self-signed certificate in certificate chain"),
             (authority.issue("127.0.0.1", days=-1), {}, "certificate has expired"),
             (authority.issue("127.0.0.2"), {}, "IP address mismatch"),
             (issued, {"server_name": "other.test"}, "hostname mismatch")]
    for number, (shown, tls, detail) in enumerate(cases):
        origin.tls = server_context(shown)
        load(gateway, origin, {"ca": str(authority.pem), **tls}, service={"passive": {"failures": 0}})
        is_refused(gateway, detail)
        assert failures(gateway, "certificate") == number + 1
    line = gateway.access_log(4)[-1]
    assert line["error"] == "tls-failed"


def test_a_server_name_is_asked_for_and_verified(gateway: Gateway, origin: Origin, authority: Authority,
                                                 issued: Issued) -> None:
    asked: list[str | None] = []
    origin.tls = server_context(issued)
    origin.tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    load(gateway, origin, {"ca": str(authority.pem), "server_name": "origin.test"})
    assert gateway.get("/").text == "hello"
    load(gateway, origin, {"ca": str(authority.pem)})
    assert gateway.get("/").text == "hello"
    assert asked == ["origin.test", None], "an address is not asked for"


def test_an_alternative_name_can_be_pinned(gateway: Gateway, origin: Origin, authority: Authority,
                                           issued: Issued) -> None:
    origin.tls = server_context(issued)
    load(gateway, origin, {"ca": str(authority.pem), "sans": ["URI:spiffe://test/origin"], "server_name": "x.test"})
    assert gateway.get("/").text == "hello"
    load(gateway, origin, {"ca": str(authority.pem), "sans": ["URI:spiffe://test/other", "DNS:other.test"]})
    is_refused(gateway, "hostname mismatch")


def test_verification_can_be_turned_off_and_is_warned_of(gateway: Gateway, origin: Origin,
                                                         other_authority: Authority) -> None:
    origin.tls = server_context(other_authority.issue("wrong.test"))
    load(gateway, origin, {"verify": False})
    assert gateway.get("/").text == "hello"
    said = turnpike("check", str(gateway.config_path)).stderr
    assert "warning: services.origin.tls: verify: false: whoever is on the way" in said


def test_tightened_rules_hold_for_kept_connections_too(gateway: Gateway, origin: Origin, authority: Authority,
                                                       other_authority: Authority) -> None:
    origin.tls = server_context(other_authority.issue("127.0.0.1"))
    load(gateway, origin, {"verify": False})
    assert gateway.get("/").text == "hello"
    load(gateway, origin, {"ca": str(authority.pem)})
    is_refused(gateway)


# What is shown


def test_a_client_certificate_is_shown(gateway: Gateway, origin: Origin, authority: Authority, issued: Issued) -> None:
    origin.tls = server_context(issued, authority)
    client = authority.issue("gateway.test")
    load(gateway, origin, {"ca": str(authority.pem), "certificate": "me"}, certificates={"me": client.config})
    assert gateway.get("/").text == "hello"
    renewed = authority.issue("gateway.test")
    gateway.reload()
    shown: list[bytes | None] = []
    handler = origin.handler

    def look(request: Any, connection: Any) -> None:
        shown.append(connection.sock.getpeercert(binary_form=True))
        handler(request, connection)
    origin.handler = look
    assert gateway.get("/").text == "hello"
    assert shown == [renewed.der], "a renewed one is used at once"


def test_an_endpoint_that_refuses_is_said_why(gateway: Gateway, origin: Origin, authority: Authority,
                                              issued: Issued) -> None:
    origin.tls = server_context(issued, authority)
    origin.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    load(gateway, origin, {"ca": str(authority.pem)})
    is_refused(gateway, "kind=alert")
    load(gateway, origin, {"ca": str(authority.pem), "min_version": "1.3"})
    is_refused(gateway, "alert protocol version")


# Sessions


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(gateway: Gateway, origin: Origin, authority: Authority, issued: Issued,
                              version: ssl.TLSVersion) -> None:
    origin.tls = server_context(issued)
    origin.tls.minimum_version = origin.tls.maximum_version = version
    load(gateway, origin, {"ca": str(authority.pem)}, workers=1, service={"pool": {"size": 0}})
    assert [gateway.get("/").status for _ in range(4)] == [200] * 4
    assert origin.sessions_reused == [False, True, True, True]
    assert handshakes(gateway, resumed="yes") == 3
    load(gateway, origin, {"ca": str(authority.pem), "resume": False}, workers=1, service={"pool": {"size": 0}})
    assert [gateway.get("/").status for _ in range(2)] == [200] * 2
    assert origin.sessions_reused[4:] == [False, False]


# Failures


def test_a_silent_endpoint_is_given_up(gateway: Gateway, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        gateway.load(services={"origin": {"endpoints": ["https://127.0.0.1:%d" % silent.getsockname()[1]],
                                          "retry": {"attempts": 0}, "timeouts": {"tls": "200ms"}}})
        answer = gateway.get("/")
    assert answer.status == 504
    assert gateway.access_log()[-1]["error"] == "tls-timeout"
    assert failures(gateway, "timeout") == 1


def test_a_failed_handshake_is_tried_elsewhere(gateway: Gateway, origin: Origin, second_origin: Origin,
                                               authority: Authority, issued: Issued) -> None:
    origin.connection_handler = lambda connection: connection.close()      # it speaks no TLS
    second_origin.tls = server_context(issued)
    gateway.load(services={"pool": {"endpoints": [secure(origin), secure(second_origin)],
                                    "tls": {"ca": str(authority.pem)}}})
    body = b"x" * 1000
    assert [gateway.request("POST", "/", body=body).status for _ in range(4)] == [200] * 4
    assert second_origin.last.body == body
    assert failures(gateway, "protocol") + failures(gateway, "closed") >= 1


def test_an_answer_that_breaks_off_is_not_taken_for_whole(gateway: Gateway, origin: Origin, authority: Authority,
                                                          issued: Issued) -> None:
    """Without close_notify the end of a body that ends with its connection proves nothing (RFC 9112 section 9.8)."""
    origin.tls = server_context(issued)
    load(gateway, origin, {"ca": str(authority.pem)})

    def break_off(_request: Any, connection: Any) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npart of it")
        connection.closing = True
        connection.sock.shutdown(socket.SHUT_RDWR)       # no close_notify
    origin.handler = break_off
    with gateway.connect() as connection:
        connection.send_request("GET", "/")
        raw = connection.read_all()
    assert not raw.endswith(b"0\r\n\r\n"), "the last chunk says that all is there"
    assert gateway.access_log()[-1]["error"] == "origin-closed"


def test_bodies_and_many_clients(gateway: Gateway, origin: Origin, authority: Authority, issued: Issued) -> None:
    origin.tls = server_context(issued)
    load(gateway, origin, {"ca": str(authority.pem)})
    body = bytes(range(256)) * 4096
    origin.handler = lambda request, connection: connection.reply(200, None, request.body)
    bad: list[object] = []

    def run() -> None:
        for _ in range(4):
            if gateway.request("POST", "/", body=body).body != body:
                bad.append("differs")
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not bad


def test_what_is_wrong_is_said(gateway: Gateway, origin: Origin, issued: Issued) -> None:
    gateway.write(gateway.full_config(services={
        "a": {"endpoints": [secure(origin)], "tls": {"certificate": "nobody"}},
        "b": {"endpoints": [secure(origin)], "tls": {"verify": False, "sans": ["DNS:x"]}},
        "c": {"endpoints": [secure(origin)], "tls": {"sans": ["x"]}},
        "d": {"endpoints": [secure(origin)], "tls": {"ca": "nowhere.pem", "min_version": "1.1"}},
        "e": {"endpoints": [origin.url], "tls": {}},
        "f": {"endpoints": [secure(origin)], "tls": {"ciphers": "NONSENSE"}}}))
    said = turnpike("check", str(gateway.config_path)).stderr
    for part in ("services.a.tls.certificate: there is no certificate `nobody`", "means nothing without `verify`",
                 "wants `DNS:`, `URI:`, `IP:` or `email:`", 'wants "1.2" or "1.3"', "tls: no endpoint is an https:// URL",
                 "OpenSSL does not take `NONSENSE`"):
        assert part in said, said


def test_an_unsecured_endpoint_is_told_apart(gateway: Gateway, origin: Origin) -> None:
    origin.connection_handler = lambda connection: connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    load(gateway, origin)
    is_refused(gateway, "an answer without TLS")
    assert failures(gateway, "plain-http") == 1
