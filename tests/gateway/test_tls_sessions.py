"""TLS with clients: sessions that are resumed, and the keys of tickets."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from support.certificates import Authority, Issued
from support.gateway import Gateway
from support.tls import TlsConnection, client_context
from support.tls_server import load
from support.wait import wait_until


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
