"""TLS clients of the tests, on Python's ssl module."""

from __future__ import annotations

import socket
import ssl

from .certificates import Authority, Issued
from .client import Connection
from .message import Reader
from .wait import DEADLINE


def client_context(trusted: Authority | None, shown: Issued | None = None, version: str | None = None,
                   ciphers: str | None = None, alpn: list[str] | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if trusted:
        context.load_verify_locations(str(trusted.pem))
    else:
        context.verify_mode = ssl.CERT_NONE
    if shown:
        context.load_cert_chain(str(shown.pem), str(shown.key_path))
    if version:
        context.minimum_version = context.maximum_version = {
            "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    if ciphers:
        context.set_ciphers(ciphers)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


class TlsConnection(Connection):
    """A connection of support.client over TLS."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, name: str | None = "shop.test",
                 session: ssl.SSLSession | None = None, timeout: float = DEADLINE) -> None:
        super().__init__(address, timeout)
        plain = self.sock
        try:
            self.sock: ssl.SSLSocket = context.wrap_socket(plain, server_hostname=name, session=session)
        except BaseException:
            plain.close()
            raise
        self.reader = Reader(self.sock)

    @property
    def certificate(self) -> bytes | None:
        return self.sock.getpeercert(binary_form=True)

    def end_tls(self) -> socket.socket:
        """Send close_notify and wait for the peer's."""
        return self.sock.unwrap()
