"""What a request in steady state costs in calls: none of the heap, and four of the system but for waiting."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from support.client import request_bytes
from support.gateway import Gateway
from support.heap import HeapCounter
from support.trace import system_calls

REQUESTS = 1000
WARM = 300
HEAP_CALLS_MAX = 50        # of all processes together, whatever the number of requests: timers, a log file that grows
CALLS_MAX = 4.1            # read, write, read, write, and a share of the log's write
WAITS_MAX = 2.1            # one a message, as nothing else comes meanwhile

SECRET = "a secret of the tests that is long enough"
HEADERS = {"X-API-Key": "alice-key-alice-key",
           "Authorization": "Bearer " + jwt.encode({"sub": "alice", "exp": 4_000_000_000}, SECRET, "HS256")}
PLAIN: dict[str, Any] = {}
CHECKED = {
    "policies": [{"key-auth": {}}, {"rate-limit": {"limit": 1_000_000, "window": "1h", "key": "consumer.name"}}],
    "consumers": {"alice": {"keys": ["alice-key-alice-key"]}},
}
TOKEN = {"policies": [{"jwt": {"keys": [{"alg": "HS256", "secret": SECRET}]}}]}


def fresh_tokens(count: int) -> Iterator[dict[str, str]]:
    """Headers with another token each, so that none of them has been verified before."""
    for number in range(count):
        claims = {"sub": "alice", "jti": str(number), "exp": 4_000_000_000}
        yield {"Authorization": "Bearer " + jwt.encode(claims, SECRET, "HS256")}


def ask(gateway: Gateway, count: int, body: bytes | None = None) -> None:
    """Requests one after the other on one connection."""
    with gateway.connect() as client:
        data = request_bytes("POST" if body else "GET", "/things?colour=blue", HEADERS, body)
        for _ in range(count):
            client.send(data)
            assert client.read_response().status == 200


def heap_calls(gateway: Gateway, counter: HeapCounter, body: bytes | None = None) -> int:
    """Of REQUESTS requests after a warm-up, until the last of them is in the access log."""
    ask(gateway, WARM, body)
    gateway.access_log_lines(WARM)
    before = counter.calls
    ask(gateway, REQUESTS, body)
    gateway.access_log_lines(WARM + REQUESTS)
    return counter.calls - before


def test_the_counter_counts(gateway: Gateway) -> None:
    counter = HeapCounter(gateway)
    gateway.load()
    assert counter.calls > 100, "the configuration alone needs more"
    before = counter.calls
    gateway.load()
    assert counter.calls > before, "a reload allocates"


@pytest.mark.parametrize("body", [None, b"x" * 2000], ids=["without-body", "with-body"])
@pytest.mark.parametrize("config", [PLAIN, CHECKED, TOKEN], ids=["plain", "key-auth-rate-limit", "jwt"])
def test_requests_do_not_allocate(gateway: Gateway, config: dict[str, Any], body: bytes | None) -> None:
    counter = HeapCounter(gateway)
    gateway.load(workers=1, **config)
    calls = heap_calls(gateway, counter, body)
    assert calls <= HEAP_CALLS_MAX, f"{calls} heap calls for {REQUESTS} requests"


def test_requests_that_are_refused_do_not_allocate(gateway: Gateway) -> None:
    counter = HeapCounter(gateway)
    gateway.load(workers=1, **CHECKED)

    def be_refused(count: int) -> None:
        with gateway.connect() as client:
            for _ in range(count):
                assert client.get("/things", {"X-API-Key": "not-a-key-of-anybody"}).status == 401

    be_refused(WARM)
    before = counter.calls
    be_refused(REQUESTS)
    calls = counter.calls - before
    assert calls <= HEAP_CALLS_MAX, f"{calls} heap calls for {REQUESTS} requests"


def test_tokens_that_are_verified_for_the_first_time_do_not_allocate(gateway: Gateway) -> None:
    counter = HeapCounter(gateway)
    gateway.load(workers=1, **TOKEN)
    tokens = fresh_tokens(WARM + REQUESTS)

    def be_verified(count: int) -> None:
        with gateway.connect() as client:
            for headers in itertools.islice(tokens, count):
                assert client.get("/things", headers).status == 200

    be_verified(WARM)
    gateway.access_log_lines(WARM)
    before = counter.calls
    be_verified(REQUESTS)
    gateway.access_log_lines(WARM + REQUESTS)
    calls = counter.calls - before
    assert calls <= HEAP_CALLS_MAX, f"{calls} heap calls for {REQUESTS} requests"


@pytest.mark.parametrize("config", [PLAIN, CHECKED, TOKEN], ids=["plain", "key-auth-rate-limit", "jwt"])
def test_a_request_costs_four_system_calls_and_its_waits(gateway: Gateway, config: dict[str, Any]) -> None:
    gateway.load(workers=1, **config)
    ask(gateway, WARM)
    with gateway.connect() as client:
        data = request_bytes("GET", "/things", HEADERS)
        client.send(data)
        client.read_response()          # the connection is accepted before the counting
        with system_calls(gateway) as counts:
            for _ in range(REQUESTS):
                client.send(data)
                assert client.read_response().status == 200
    waits = sum(counts.get(name, 0) for name in ("epoll_wait", "epoll_pwait", "epoll_pwait2")) / REQUESTS
    others = sum(counts.values()) / REQUESTS - waits
    assert 3.9 <= others <= CALLS_MAX, f"{others:.2f} a request but for waiting: {counts}"
    assert waits <= WAITS_MAX, f"{waits:.2f} waits a request: {counts}"
