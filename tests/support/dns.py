"""Name servers for tests: Debian's dnsmasq with records that change, and one that lies."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from .ports import free_port
from .wait import wait_until

A, CNAME, SOA, AAAA, SRV = 1, 5, 6, 28, 33


def encode_name(name: str) -> bytes:
    """A name as labels."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split(".") if label) + b"\0"


def question(name: str, kind: int, number: int = 0x1234) -> bytes:
    """A query as a resolver sends it."""
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + encode_name(name) + struct.pack("!2H", kind, 1)


class Dnsmasq:
    """A real name server. `records` are dnsmasq's options without dashes, such as "host-record=a.test,127.0.0.2"."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def serve(self, *records: str) -> None:
        """Start with these records, or start again with them instead of the old ones."""
        self.stop()
        config = self.folder / "dnsmasq.conf"
        lines = ["no-resolv", "no-hosts", "no-daemon", "bind-interfaces", "listen-address=127.0.0.1", f"port={self.port}",
                 "pid-file", "local=/test/", "log-facility=-", "user=", *records]
        config.write_text("\n".join(lines) + "\n")
        with (self.folder / "dnsmasq.log").open("ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/dnsmasq", f"--conf-file={config}"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)
        wait_until(self._answers, what="dnsmasq to answer")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "dnsmasq.log").read_text()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.2)
            sock.sendto(question("is.it.there.test", A), ("127.0.0.1", self.port))
            try:
                return len(sock.recv(512)) > 0
            except OSError:
                return False

    def stop(self) -> None:
        """End it: questions get no answer."""
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGTERM)
            self.process.wait(10)
            self.process = None


class Question:
    """What was asked."""

    def __init__(self, data: bytes, over_tcp: bool) -> None:
        self.data, self.over_tcp = data, over_tcp
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode("latin-1"))
            at += data[at] + 1
        self.name = ".".join(labels).lower()
        self.end = at + 5
        self.kind: int = struct.unpack("!H", data[at + 1:at + 3])[0]

    def answer(self, *records: bytes, code: int = 0, truncated: bool = False, number: int | None = None,
               authority: tuple[bytes, ...] = (), name: bytes | None = None) -> bytes:
        """A message with these records. `number`, `name`: instead of those of the question."""
        flags = 0x8180 | code | (0x0200 if truncated else 0)
        head = self.data[:2] if number is None else struct.pack("!H", number)
        head += struct.pack("!5H", flags, 1, len(records), len(authority), 0)
        asked = self.data[12:self.end] if name is None else name + self.data[self.end - 4:self.end]
        return head + asked + b"".join(records) + b"".join(authority)


def record(kind: int, data: bytes, ttl: int, name: bytes = b"\xc0\x0c") -> bytes:
    """One record, of the name that was asked for unless said otherwise."""
    return name + struct.pack("!2HIH", kind, 1, ttl, len(data)) + data


def a(address: str, ttl: int = 1, name: bytes = b"\xc0\x0c") -> bytes:
    return record(A, socket.inet_aton(address), ttl, name)


def aaaa(address: str, ttl: int = 1) -> bytes:
    return record(AAAA, socket.inet_pton(socket.AF_INET6, address), ttl)


def srv(target: str, port: int, priority: int = 0, weight: int = 1, ttl: int = 1) -> bytes:
    return record(SRV, struct.pack("!3H", priority, weight, port) + encode_name(target), ttl)


def soa(minimum: int) -> bytes:
    numbers = struct.pack("!5I", 1, 60, 60, 60, minimum)
    return record(SOA, encode_name("ns.test") + encode_name("root.test") + numbers, minimum)


def same_port() -> tuple[socket.socket, socket.socket]:
    """A UDP and a listening TCP socket on one port that the kernel chose and that is free for both."""
    for _ in range(100):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(("127.0.0.1", udp.getsockname()[1]))
        except OSError:
            udp.close()
    raise AssertionError("no port is free for UDP and TCP")


class LyingServer:
    """Answers over UDP and TCP with what `handler` makes of a question: a message, several, or None for silence."""

    def __init__(self, handler: Callable[[Question], bytes | list[bytes] | None]) -> None:
        self.handler = handler
        self.questions: list[Question] = []
        self.udp, self.tcp = same_port()
        self.port: int = self.udp.getsockname()[1]
        self.threads = [threading.Thread(target=self._serve_udp, daemon=True),
                        threading.Thread(target=self._serve_tcp, daemon=True)]
        for thread in self.threads:
            thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def asked(self, kind: int, name: str = "") -> int:
        return sum(1 for one in list(self.questions) if one.kind == kind and name in ("", one.name))

    def _answers(self, data: bytes, over_tcp: bool) -> list[bytes]:
        asked = Question(data, over_tcp)
        self.questions.append(asked)
        made = self.handler(asked)
        return [] if made is None else made if isinstance(made, list) else [made]

    def _serve_udp(self) -> None:
        while True:
            try:
                data, sender = self.udp.recvfrom(4096)
            except OSError:
                return
            if not data:
                return
            for message in self._answers(data, False):
                self.udp.sendto(message, sender)

    def _serve_tcp(self) -> None:
        while True:
            try:
                sock, _ = self.tcp.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(5)
                try:
                    while size := sock.recv(2, socket.MSG_WAITALL):
                        data = sock.recv(struct.unpack("!H", size)[0], socket.MSG_WAITALL)
                        for message in self._answers(data, True):
                            sock.sendall(struct.pack("!H", len(message)) + message)
                except OSError:
                    continue

    def stop(self) -> None:
        """End both threads."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", ("127.0.0.1", self.port))
        self.tcp.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(10)
        self.udp.close()
        self.tcp.close()
