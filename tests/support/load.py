"""Clients that keep on asking in the background while a test does something to the gateway."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .client import Connection
from .gateway import Gateway
from .message import Response
from .wait import DEADLINE, wait_until


class Load:
    """Keep-alive clients in threads. Every answer that is not as expected, and every broken connection, is kept."""

    def __init__(self, gateway: Gateway, target: str = "/", clients: int = 4,
                 expected: Callable[[Response], bool] = lambda response: response.status == 200) -> None:
        self.gateway, self.target, self.expected = gateway, target, expected
        self.answers = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        self.wait_for_more(len(self._threads))
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(DEADLINE * 2)

    def wait_for_more(self, count: int = 20) -> None:
        """Wait until so many more answers, or a failure, have come."""
        goal = self.answers + count
        wait_until(lambda: self.answers >= goal or self.failures, what=f"{count} more answers")

    def _run(self) -> None:
        connection: Connection | None = None
        while not self._stop.is_set():
            try:
                connection = connection or self.gateway.connect()
                response = connection.get(self.target)
                if not self.expected(response):
                    self._fail(f"{response.status} {response.body[:200]!r}")
                if "close" in response.headers.tokens("Connection"):
                    connection.close()
                    connection = None
                with self._lock:
                    self.answers += 1
            except Exception as error:  # noqa: BLE001 - every kind of failure counts
                self._fail(repr(error))
                connection = None
        if connection:
            connection.close()

    def _fail(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)
