"""Metrics, health and the live view, on the admin listener."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from support.client import Client, request_bytes
from support.gateway import Gateway
from support.load import Load
from support.message import Response
from support.origin import Origin
from support.wait import wait_until

pytestmark = pytest.mark.threads


def test_requests_are_counted_by_route_service_and_class_of_status(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    for status in (200, 200, 201, 404, 500):
        origin.reply(status)
        gateway.get("/")
    labels = {"route": "default", "service": "origin"}
    gateway.wait_for_metric("turnpike_requests_total", 3, status="2xx", **labels)
    gateway.wait_for_metric("turnpike_requests_total", 1, status="4xx", **labels)
    gateway.wait_for_metric("turnpike_requests_total", 1, status="5xx", **labels)


def test_durations_are_a_histogram_that_adds_up(gateway: Gateway) -> None:
    gateway.load()
    for _ in range(5):
        gateway.get("/")
    gateway.wait_for_metric("turnpike_request_duration_seconds_count", 5, route="default")
    metrics = gateway.metrics()
    assert metrics.value("turnpike_request_duration_seconds_bucket", route="default", le="+Inf") == 5
    assert 0 < metrics.value("turnpike_request_duration_seconds_sum", route="default") < 60
    buckets = sorted((float(dict(labels)["le"]), value) for (name, labels), value in metrics.items()
                     if name == "turnpike_request_duration_seconds_bucket" and dict(labels)["route"] == "default")
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)


# Where the time went: of an exchange that somebody keeps waiting, the wait is the larger part by far.

HELD_MS = 600


def seconds(gateway: Gateway, name: str) -> float:
    return gateway.metrics().value(f"turnpike_{name}_seconds_sum", route="default")


def while_held(gateway: Gateway, gate: threading.Event) -> None:
    """One request, whose exchange becomes so old before the gate opens."""
    with gateway.connect() as client:
        client.send(request_bytes("GET", "/"))
        wait_until(lambda: any(exchange["age_ms"] >= HELD_MS for exchange in gateway.admin("/exchanges")["exchanges"]),
                   what="the exchange to become old")
        gate.set()
        assert client.read_response().status == 200
    gateway.wait_for_metric("turnpike_gateway_duration_seconds_count", 1, route="default")


def test_the_wait_for_a_service_is_not_the_gateways_own_time(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    while_held(gateway, origin.hold())
    total, own, queue = (seconds(gateway, f"{name}_duration") for name in ("request", "gateway", "queue"))
    assert total >= HELD_MS / 1000
    assert 0 < own < total - HELD_MS / 1000 + 0.1
    assert 0 <= queue <= own
    assert seconds(gateway, "upstream_duration") >= HELD_MS / 1000 - 0.1
    assert gateway.metrics().value("turnpike_policy_wait_seconds_count") == 0, "no policy waited"


def test_the_wait_of_a_policy_has_a_histogram_of_its_own(gateway: Gateway, second_origin: Origin) -> None:
    gateway.load(policies=[{"forward-auth": {"url": second_origin.url}}])
    while_held(gateway, second_origin.hold())
    assert gateway.metrics().value("turnpike_policy_wait_seconds_count", route="default") == 1
    assert seconds(gateway, "policy_wait") >= HELD_MS / 1000 - 0.1
    assert 0 < seconds(gateway, "gateway_duration") < seconds(gateway, "request_duration") - HELD_MS / 1000 + 0.1


def test_the_wait_for_a_client_is_not_the_gateways_own_time(gateway: Gateway) -> None:
    gateway.load()
    with gateway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        wait_until(lambda: any(exchange["age_ms"] >= HELD_MS for exchange in gateway.admin("/exchanges")["exchanges"]),
                   what="the exchange to become old")
        client.send(b"x")
        assert client.read_response().status == 200
    gateway.wait_for_metric("turnpike_gateway_duration_seconds_count", 1, route="default")
    assert 0 < seconds(gateway, "gateway_duration") < seconds(gateway, "request_duration") - HELD_MS / 1000 + 0.1


def test_an_answer_made_here_is_all_the_gateways_own_time(gateway: Gateway) -> None:
    gateway.load(routes={"default": {"match": {"path": "/"}, "respond": {"status": 204}}})
    assert gateway.get("/").status == 204
    gateway.wait_for_metric("turnpike_gateway_duration_seconds_count", 1, route="default")
    assert 0 < seconds(gateway, "gateway_duration") == seconds(gateway, "request_duration")
    assert gateway.access_log()[0]["duration_ms"] > 0, "the log has the same"


def test_exchanges_that_wait_for_their_turn_are_seen(gateway: Gateway) -> None:
    gateway.load(workers=1)
    with Load(gateway, clients=16) as load:
        load.wait_for_more(200)
    assert 0 < seconds(gateway, "queue_duration") < seconds(gateway, "gateway_duration")


def test_bytes_of_bodies_are_counted(gateway: Gateway, origin: Origin) -> None:
    origin.reply(200, None, b"y" * 700)
    gateway.load()
    gateway.post("/", body=b"x" * 300)
    gateway.wait_for_metric("turnpike_request_bytes_total", 300, route="default")
    gateway.wait_for_metric("turnpike_response_bytes_total", 700, route="default")


def test_connections_are_a_gauge_and_a_counter(gateway: Gateway) -> None:
    gateway.load()
    with gateway.connect() as first, gateway.connect() as second:
        first.get("/")
        second.get("/")
        gateway.wait_for_metric("turnpike_connections", 2, listener="main")
    gateway.wait_for_metric("turnpike_connections", 0, listener="main")
    gateway.wait_for_metric("turnpike_connections_total", 2, listener="main")


def test_attempts_and_their_failures_are_counted_by_service(gateway: Gateway, origin: Origin,
                                                            second_origin: Origin) -> None:
    gateway.load(services={"pool": {"endpoints": [origin.url, second_origin.url]}})
    second_origin.stop()
    for _ in range(2):
        assert gateway.get("/").status == 200
    gateway.wait_for_metric("turnpike_upstream_requests_total", 3, service="pool")
    gateway.wait_for_metric("turnpike_upstream_failures_total", 1, service="pool")
    gateway.wait_for_metric("turnpike_upstream_retries_total", 1, service="pool")


def test_decisions_of_policies_are_counted(gateway: Gateway) -> None:
    gateway.load(policies=[{"key-auth": {}}], consumers={"alice": {"keys": ["alice-key"]}})
    gateway.get("/", headers={"X-API-Key": "alice-key"})
    gateway.get("/")
    gateway.get("/")
    gateway.wait_for_metric("turnpike_policy_verdicts_total", 1, policy="key-auth", verdict="next")
    gateway.wait_for_metric("turnpike_policy_verdicts_total", 2, policy="key-auth", verdict="respond")


def test_what_clients_invent_makes_no_series(gateway: Gateway) -> None:
    gateway.load(routes={"one": {"match": {"path": "/one"}}})
    gateway.get("/one")
    gateway.get("/none")
    wait_until(lambda: gateway.metrics().value("turnpike_requests_total") == 2)
    before = len(gateway.metrics())
    with gateway.connect() as client:
        for number in range(300):
            client.request("GET", f"/invented-{number}", {"Host": f"h{number}.example", "User-Agent": f"u{number}",
                                                          "X-API-Key": f"k{number}"})
        for number in range(100):
            client.request(f"METHOD{number}", "/one")
    wait_until(lambda: gateway.metrics().value("turnpike_requests_total") == 402)
    assert len(gateway.metrics()) - before < 40


def test_series_are_bounded_and_the_rest_has_a_series_of_its_own(gateway: Gateway) -> None:
    routes = {f"r{number}": {"match": {"path": f"/{number}"}, "respond": {"status": 204}} for number in range(300)}
    gateway.load(routes=routes, metrics={"series": 100})
    with gateway.connect() as client:
        for number in range(300):
            assert client.get(f"/{number}").status == 204
    wait_until(lambda: gateway.metrics().value("turnpike_requests_total") == 300,
               what="no request to be lost in the count")
    names = gateway.metrics().labels("turnpike_requests_total", "route")
    assert len(names) <= 101
    assert gateway.metrics().value("turnpike_metrics_overflow_total") > 0


def test_every_metric_has_help_and_type(gateway: Gateway) -> None:
    gateway.load()
    gateway.get("/")
    text = gateway.admin_response("/metrics").text
    described = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP ")}
    typed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert described == typed
    for name in gateway.metrics().names():
        base = name
        for ending in ("_bucket", "_sum", "_count"):
            base = base.removesuffix(ending) if base.removesuffix(ending) in typed else base
        assert base in typed, name
        assert name.startswith(("turnpike_", "process_")), name


def test_the_metrics_say_what_they_are(gateway: Gateway) -> None:
    gateway.load()
    response = gateway.admin_response("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")


def test_counters_survive_a_reload(gateway: Gateway) -> None:
    gateway.load()
    for _ in range(3):
        gateway.get("/")
    gateway.load(listener={"limits": {"fields": 50}})
    gateway.get("/")
    gateway.wait_for_metric("turnpike_requests_total", 4, route="default", status="2xx")


def test_the_version_of_the_configuration_is_a_metric(gateway: Gateway) -> None:
    gateway.load()
    before = gateway.metrics().value("turnpike_config_version")
    gateway.load()
    assert gateway.metrics().value("turnpike_config_version") > before
    gateway.write("not a configuration")
    gateway.reload_refused()
    assert gateway.metrics().value("turnpike_config_failures_total") == 1


def test_a_scrape_under_load_never_fails_and_never_goes_back(gateway: Gateway) -> None:
    gateway.load(workers=2)
    last = 0.0
    with Load(gateway) as load:
        for _ in range(20):
            now = gateway.metrics().value("turnpike_requests_total")
            assert now >= last
            last = now
    assert not load.failures
    gateway.wait_for_metric("turnpike_requests_total", load.answers)


MANUAL = Path(__file__).parents[2] / "docs" / "manual" / "metrics.md"


def test_every_metric_is_in_the_manual_and_no_other(gateway: Gateway) -> None:
    gateway.load()
    text = gateway.admin_response("/metrics").text
    exported = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    described = set(re.findall(r"^\| `((?:turnpike|process)_[a-z_]+)`", MANUAL.read_text(), re.M))
    assert exported - described == set(), "not in the manual"
    assert described - exported == set(), "in the manual, but not exported"


def test_every_label_value_of_a_fixed_set_is_in_the_manual(gateway: Gateway) -> None:
    gateway.load()
    metrics, manual = gateway.metrics(), MANUAL.read_text()
    for name, label in (("turnpike_limits_reached_total", "limit"), ("turnpike_errors_total", "kind"),
                        ("turnpike_memory_bytes", "subsystem"), ("turnpike_access_log_dropped_total", "reason")):
        for value in metrics.labels(name, label):
            assert f"`{value}`" in manual, f"{name}: {value}"


def test_what_is_asked_on_the_admin_listener_is_not_traffic(gateway: Gateway) -> None:
    gateway.load()
    for _ in range(5):
        gateway.admin("/status")
    metrics = gateway.metrics()
    assert metrics.value("turnpike_requests_total") == 0
    assert metrics.value("turnpike_requests_in_flight") == 0
    assert metrics.labels("turnpike_connections", "listener") == {"main"}


def test_requests_under_way_are_a_gauge(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    gate = origin.hold()
    with gateway.connect() as client:
        client.send_request("GET", "/")
        origin.wait_for(1)
        gateway.wait_for_metric("turnpike_requests_in_flight", 1)
        gate.set()
        client.read_response()
    gateway.wait_for_metric("turnpike_requests_in_flight", 0)


def test_what_went_wrong_is_counted_by_kind(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"one": {"match": {"path": "/one"}}}, service={"retry": {"attempts": 0}})
    origin.handler = lambda request, connection: connection.close()
    gateway.get("/other")
    gateway.get("/one")
    gateway.exchange(b"no request at all\r\n\r\n")
    for kind in ("no-route", "origin-closed", "bad-request"):
        gateway.wait_for_metric("turnpike_errors_total", 1, kind=kind)
    gateway.wait_for_metric("turnpike_upstream_failures_total", 1, route="one")
    assert gateway.metrics().value("turnpike_requests_total", route="") == 2, "those that found no route"


def test_connections_to_origins_are_counted(gateway: Gateway) -> None:
    gateway.load(workers=1)
    for _ in range(3):
        assert gateway.get("/").status == 200
    gateway.wait_for_metric("turnpike_upstream_connections_opened_total", 1)
    gateway.wait_for_metric("turnpike_upstream_connections_reused_total", 2)
    gateway.wait_for_metric("turnpike_upstream_connections", 1)


def test_memory_loops_and_the_process_are_measured(gateway: Gateway) -> None:
    gateway.load(workers=2)
    gateway.get("/")
    metrics = gateway.metrics()
    assert metrics.labels("turnpike_loop_turn_seconds_count", "worker") == {"0", "1"}
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_max_fds",
                 "process_start_time_seconds", "turnpike_build_info", "turnpike_config_applied_timestamp_seconds",
                 "turnpike_loop_turn_seconds_count"):
        assert metrics.value(name) > 0, name
    assert metrics.value("turnpike_memory_bytes", subsystem="configuration") > 1000
    assert metrics.value("turnpike_config_snapshots") == 1


def test_open_metrics_is_given_to_who_asks_for_it(gateway: Gateway) -> None:
    gateway.load()
    gateway.get("/")
    response = Client(gateway.admin_address).request(
        "GET", "/metrics", headers={"Host": "localhost", "Accept": "application/openmetrics-text; version=1.0.0"})
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert response.text.endswith("# EOF\n")
    assert "# TYPE turnpike_requests counter\n" in response.text


def test_lines_lost_before_a_reload_stay_counted(gateway: Gateway) -> None:
    gateway.load(access_log={"path": "/dev/full", "format": "json"})
    gateway.get("/")
    gateway.wait_for_metric("turnpike_access_log_dropped_total", 1, reason="write-failed")
    gateway.load()
    gateway.get("/")
    gateway.access_log_lines()
    gateway.wait_for_metric("turnpike_access_log_dropped_total", 1, reason="write-failed")


# The rest of the admin listener


def test_health_and_readiness(gateway: Gateway) -> None:
    gateway.load()
    assert gateway.admin_response("/healthz").status == 200
    assert gateway.admin_response("/readyz").status == 200


def test_the_status_tells_what_runs(gateway: Gateway) -> None:
    gateway.load(workers=2)
    status = gateway.admin("/status")
    assert status["version"]
    assert status["workers"] == 2
    assert status["config"]["version"] >= 1
    assert status["config"]["failures"] == 0
    assert status["uptime_s"] >= 0


def test_the_live_view_says_what_each_exchange_waits_for(gateway: Gateway, origin: Origin) -> None:
    gateway.load(services={"slow-service": {"endpoints": [origin.url]}})
    gate = origin.hold()
    with gateway.connect() as client:
        client.send_request("GET", "/waiting?secret=1")
        origin.wait_for(1)
        exchange = wait_until(lambda: gateway.admin("/exchanges")["exchanges"], what="the exchange to be shown")[0]
        gate.set()
        client.read_response()
    assert (exchange["method"], exchange["path"], exchange["route"], exchange["service"]) == ("GET", "/waiting",
                                                                                              "default", "slow-service")
    assert exchange["client"] == "127.0.0.1"
    assert exchange["age_ms"] >= 0
    assert exchange["waiting_for"]
    assert "secret" not in str(exchange)
    wait_until(lambda: gateway.admin("/exchanges")["exchanges"] == [], what="the exchange to be gone")


def test_the_live_view_names_the_policy_that_waits(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    gateway.load(policies=[{"forward-auth": {"url": f"{second_origin.url}/check"}}])
    gate = second_origin.hold()
    with gateway.connect() as client:
        client.send_request("GET", "/waiting")
        second_origin.wait_for(1)
        exchange = wait_until(lambda: gateway.admin("/exchanges")["exchanges"], what="the exchange to be shown")[0]
        gate.set()
        assert client.read_response().status == 200
    assert exchange["policy"] == "forward-auth"
    assert exchange["waiting_for"] == "http"


@pytest.mark.parametrize("path", ["/nothing", "/etc/passwd", "/metrics/"])
def test_what_the_admin_listener_does_not_have_is_not_found(gateway: Gateway, path: str) -> None:
    gateway.load()
    assert gateway.admin_response(path).status == 404


def test_the_admin_listener_lists_what_it_has(gateway: Gateway) -> None:
    gateway.load()
    listed = [line.split()[0] for line in gateway.admin_response("/").text.splitlines()]
    assert {"/healthz", "/readyz", "/metrics", "/status", "/exchanges"} <= set(listed)
    for path in listed:
        assert gateway.admin_response(path).status in (200, 400), path


def test_the_admin_listener_only_reads(gateway: Gateway) -> None:
    gateway.load()
    response: Response = Client(gateway.admin_address).request("DELETE", "/status", headers={"Host": "localhost"})
    assert response.status == 405
    assert response.headers.tokens("Allow") == ["get", "head"]


def test_admin_paths_are_not_on_the_public_listener(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"one": {"match": {"path": "/one"}}})
    for path in ("/metrics", "/status", "/healthz", "/exchanges"):
        assert gateway.get(path).status == 404


def test_a_web_page_cannot_read_the_admin_listener_by_another_name(gateway: Gateway) -> None:
    """DNS rebinding: the browser sends the name of the attacker's page as Host."""
    gateway.load()
    for host in ("evil.example", "127", "127.0", "localhost.evil.example"):
        response = Client(gateway.admin_address).request("GET", "/status", headers={"Host": host})
        assert response.status == 421, host
    assert Client(gateway.admin_address).request("GET", "/status", headers={"Host": "localhost"}).status == 200
