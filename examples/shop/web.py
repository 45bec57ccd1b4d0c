"""What the services of the shop share: a small JSON application over the standard library's HTTP server.

A service is a module with `mount(app)`, which adds its operations. Mounted alone it is a microservice, several mounted
together are a monolith; what one service asks of another goes over HTTP or stays in the process accordingly.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ADDRESSES = {"users": "127.0.0.1:7001", "catalogue": "127.0.0.1:7002", "cart": "127.0.0.1:7003",
             "orders": "127.0.0.1:7004", "monolith": "127.0.0.1:7005"}


class Problem(Exception):
    """An answer other than success."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@dataclass
class Call:
    """A request to an operation."""

    user: str                            # the gateway says who calls, in X-User
    body: Any = None
    parts: dict[str, str] = field(default_factory=dict)      # of the path
    query: dict[str, str] = field(default_factory=dict)

    def need(self, name: str, kind: type) -> Any:
        """A member of the body that must be there."""
        value = self.body.get(name) if isinstance(self.body, dict) else None
        if not isinstance(value, kind):
            raise Problem(422, f"`{name}` must be given, as {kind.__name__}")
        return value


Operation = Callable[[Call], tuple[int, Any]]


def address_of(name: str) -> str:
    """Where a service listens: NAME_ADDRESS in the environment, or its default."""
    return os.environ.get(f"{name.upper()}_ADDRESS", ADDRESSES[name])


class App:
    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.Lock()
        self.delay_ms = 0
        self._operations: list[tuple[str, re.Pattern[str], Operation]] = []
        self._mounted: set[str] = set()
        self.on("GET", "/health", lambda call: (200, {"status": "up"}))
        for method in ("GET", "POST"):
            self.on(method, "/admin/slow", self._slow)

    def on(self, method: str, path: str, operation: Operation) -> None:
        """Add an operation; `{name}` in the path is a part."""
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + r"\Z")
        self._operations.append((method, pattern, operation))

    def mount(self, name: str, mount: Callable[[App], None]) -> None:
        self._mounted.add(name)
        mount(self)

    def answer(self, method: str, target: str, user: str, body: Any = None) -> tuple[int, Any]:
        """Do what a request asks for."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        fitting = [(way, match, operation) for way, pattern,
                   operation in self._operations if (match := pattern.match(parts.path))]
        for way, match, operation in fitting:
            if way == method:
                try:
                    return operation(Call(user, body, match.groupdict(), query))
                except Problem as problem:
                    return problem.status, {"error": problem.detail}
        return (405, {"error": "not with this method"}) if fitting else (404, {"error": "no such thing"})

    def ask(self, service: str, method: str, target: str, user: str) -> Any:
        """Ask another service, which may be in this very process."""
        if service in self._mounted:
            status, answer = self.answer(method, target, user)
        else:
            status, answer = _fetch(f"http://{address_of(service)}{target}", method, user)
        if status >= 400:
            raise Problem(status if status < 500 else 503, f"{service}: {answer.get('error', status)}")
        return answer

    def _slow(self, call: Call) -> tuple[int, Any]:
        """Show what a slow service does: every answer takes so much longer until it is set to 0 again."""
        try:
            self.delay_ms = min(max(int(call.query.get("ms", "0")), 0), 60_000)
        except ValueError:
            raise Problem(422, "`ms` must be a number of milliseconds") from None
        return 200, {"service": self.name, "delay_ms": self.delay_ms}


def _fetch(url: str, method: str, user: str) -> tuple[int, Any]:
    request = urllib.request.Request(url, method=method, headers={"X-User": user})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError as error:
        return 503, {"error": f"cannot be reached: {error}"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    app: App

    def respond(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return self.send_json(411, {"error": "send a Content-Length"})
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            return self.send_json(400, {"error": "the body is not JSON"})
        if self.app.delay_ms and not self.path.startswith("/admin/"):
            time.sleep(self.app.delay_ms / 1000)
        self.send_json(*self.app.answer(self.command, self.path, self.headers.get("X-User", ""), body))

    do_GET = do_POST = do_PUT = do_DELETE = respond

    def send_json(self, status: int, value: Any) -> None:
        text = json.dumps(value).encode() + b"\n"
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """The gateway has the access log."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to report."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def serve(app: App) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    address = address_of(app.name)
    host, _, port = address.rpartition(":")
    try:
        server = Server((host, int(port)), type("AppHandler", (Handler,), {"app": app}))
    except OSError as error:
        print(f"{app.name}: cannot listen on {address}: {error.strerror}; set {app.name.upper()}_ADDRESS to another",
              file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
    server.server_close()
    return 0


def run(name: str, *services: tuple[str, Callable[[App], None]]) -> int:
    app = App(name)
    for service, mount in services:
        app.mount(service, mount)
    return serve(app)
