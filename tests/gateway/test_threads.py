"""Everything that crosses threads at once, for ThreadSanitizer: workers under load, reloads, scrapes, logs opened anew, a drain."""

from __future__ import annotations

import base64
import signal
import threading
from typing import Any

import pytest

from support.config import Config
from support.gateway import Gateway
from support.load import Load
from support.origin import Origin

pytestmark = pytest.mark.threads

KEY = "the-key-of-alice-0123456789"
PASSWORD = "$6$rounds=1000$turnpike$jl79RTQhKtOqICE4DDdOV2Asnt9kYTf2Xw9h9cqm73tTU7Ss02qYXzsNIAC.pk75nEdkuLrmRFJAkUmyrrTFz."
RELOADS = 12


def config(gateway: Gateway, origin: Origin, number: int) -> Config:
    """Changes with the number: a service, a route, the gateway's policies, the consumers, a listener."""
    whole = gateway.full_config(
        policies=[
            {"key-auth": {}},
            {"rate-limit": {"limit": 1000000, "window": "1h", "key": "consumer.name", "algorithm": "sliding-window"}},
            {"forward-auth": {"url": f"{origin.url}/check"}},
            {"size-limit": {"request_body": "1MiB", "response_body": "1MiB"}},
        ],
        consumers={"alice": {"keys": [KEY], "labels": {"number": str(number)}}},
        service={"balance": "least-requests" if number % 2 else "round-robin"})
    whole["workers"] = 4
    whole["policies"] = [{"request-id": {"generator": "counter"}}, {"headers": {"response": {"set": {"X-Number": str(number)}}}}]
    whole["routes"][f"extra-{number}"] = {"match": {"path": f"/extra/{number}"}, "service": "origin"}
    whole["routes"]["secret"] = {"match": {"path": "/secret"}, "service": "origin", "policies": [{"basic-auth": {}}]}
    whole["consumers"]["bob"] = {"password": PASSWORD}
    if number % 3 == 1:
        whole["listeners"]["second"] = {"address": "127.0.0.1:0"}
    return whole


class Authorised:
    """The gateway as the load sees it: each request carries the key."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def connect(self) -> Any:
        connection = self.gateway.connect()
        get = connection.get
        connection.get = lambda target: get(target, headers={"X-API-Key": KEY})     # type: ignore[method-assign]
        return connection


def look_around(gateway: Gateway, stop: threading.Event, failures: list[str]) -> None:
    basic = "Basic " + base64.b64encode(b"bob:no such password").decode()
    try:
        while not stop.is_set():
            for path in ("/metrics", "/status", "/exchanges"):
                response = gateway.admin_response(path)
                assert response.status == 200, f"{path}: {response.status}"
            assert gateway.get("/secret", headers={"Authorization": basic}).status == 401     # checked on another thread
    except Exception as error:  # noqa: BLE001 - shown by the test
        failures.append(repr(error))


def test_load_reloads_scrapes_and_a_drain_at_once(gateway: Gateway, origin: Origin) -> None:
    gateway.load(config(gateway, origin, 0))
    stop, failures = threading.Event(), []      # type: ignore[var-annotated]
    scraper = threading.Thread(target=look_around, args=(gateway, stop, failures))
    scraper.start()
    try:
        with Load(Authorised(gateway), clients=6) as load:      # type: ignore[arg-type]
            for number in range(1, RELOADS):
                gateway.load(config(gateway, origin, number))
                if number % 4 == 0:
                    gateway.access_log_path.rename(gateway.access_log_path.with_suffix(f".{number}"))
                    gateway.signal(signal.SIGUSR1)
                load.wait_for_more(20)
            assert load.failures == []
    finally:
        stop.set()
        scraper.join()
    assert failures == []
    gateway.stop()      # status 0, and nothing that a sanitizer complains about
