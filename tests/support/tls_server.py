"""A gateway that serves TLS, and what its clients find: shared by the tests of the server side."""

from __future__ import annotations

import ssl
import subprocess
from typing import Any

import pytest

from .certificates import Authority, Issued
from .client import request_bytes
from .gateway import Gateway
from .tls import TlsConnection, client_context


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


def s_client(gateway: Gateway, authority: Authority, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % gateway.port, "-servername", "shop.test",
                           "-CAfile", str(authority.pem), *arguments], input=stdin, capture_output=True, text=True,
                          timeout=30, check=False)
    return done.stdout + done.stderr
