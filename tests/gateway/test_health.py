"""Health of endpoints: active checks, what requests tell, panic, and what a person sets."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from support.certificates import Authority, Issued
from support.client import Client
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection
from support.ports import FullListener, free_port
from support.wait import wait_until

pytestmark = pytest.mark.threads

FAST = {"interval": "100ms", "jitter": "0%", "rise": 2, "fall": 2, "timeout": "2s"}


def load(gateway: Gateway, *origins: Origin | str, health: dict[str, Any] | None = None, **service: Any) -> None:
    endpoints = [one if isinstance(one, str) else one.url for one in origins]
    if health is not None:
        service["health"] = {**FAST, **health}
    gateway.load(services={"pool": {"endpoints": endpoints, **service}})


def wait_for_state(gateway: Gateway, origin: Origin | str, state: str) -> dict[str, Any]:
    url = origin if isinstance(origin, str) else origin.url

    def status() -> dict[str, Any] | None:
        now = gateway.endpoint_status(url)
        return now if now["state"] == state else None
    return wait_until(status, what=f"{url} to be {state}") or {}


def wait_for_check(gateway: Gateway, origin: Origin) -> None:
    wait_until(lambda: gateway.endpoint_status(origin.url).get("check"), what="a check")


def answer_checks(origin: Origin, check: bytes, rest: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") -> None:
    """Answer checks (of `/health`) and everything else differently."""
    def handler(request: Request, connection: OriginConnection) -> None:
        connection.send(check if request.target.startswith("/health") else rest)
    origin.handler = handler


WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"
ILL = b"HTTP/1.1 503 Unavailable\r\nContent-Length: 3\r\n\r\nill"


# Active checks


def test_an_endpoint_that_fails_its_checks_takes_no_requests_and_comes_back(gateway: Gateway, origin: Origin,
                                                                             second_origin: Origin) -> None:
    answer_checks(origin, WELL)
    second_origin.reply(200, None, b"second")
    load(gateway, origin, second_origin, health={"path": "/health"})
    wait_for_check(gateway, origin)
    assert {gateway.get("/").body for _ in range(4)} == {b"ok", b"second"}
    answer_checks(origin, ILL)
    status = wait_for_state(gateway, origin, "unhealthy")
    assert status["check"]["last_failure"] == "wanted status 200-299, got 503"
    assert {gateway.get("/").body for _ in range(6)} == {b"second"}
    assert gateway.metrics().value("turnpike_endpoint_in_service", endpoint=origin.url) == 0
    assert gateway.metrics().value("turnpike_service_endpoints_usable", service="pool") == 1
    answer_checks(origin, WELL)
    wait_for_state(gateway, origin, "in-service")
    assert {gateway.get("/").body for _ in range(4)} == {b"ok", b"second"}
    gateway.wait_for_log("endpoint out of service", "state=unhealthy", "wanted status 200-299, got 503", origin.url)
    gateway.wait_for_log("endpoint in service", "its checks pass", origin.url)


def test_what_a_check_sends(gateway: Gateway, origin: Origin) -> None:
    load(gateway, origin, health={"path": "/health?deep=1", "method": "POST", "host": "check.test",
                                  "headers": {"X-Check": "yes"}, "body": "ping"})
    wait_until(lambda: origin.requests, what="a check")
    check = origin.requests[0]
    assert (check.method, check.target, check.body) == ("POST", "/health?deep=1", b"ping")
    assert check.headers["Host"] == "check.test"
    assert check.headers["X-Check"] == "yes"
    assert check.headers["Connection"] == "close"


def test_without_a_host_the_endpoints_own_is_sent(gateway: Gateway, origin: Origin) -> None:
    load(gateway, origin, health={})
    wait_until(lambda: origin.requests, what="a check")
    assert origin.requests[0].headers["Host"] == f"127.0.0.1:{origin.port}"


@pytest.mark.parametrize("rule, answer, said", [
    ({"statuses": [200, "301-302"]}, b"HTTP/1.1 204 No\r\n\r\n", "wanted status 200, 301-302, got 204"),
    ({"contains": "ready"}, WELL, "wanted `ready` in the body, got `well`"),
    ({"expect": "json.decode(response.body).up == true"}, b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"up\":false}",
     "`expect` does not hold"),
    ({"expect": "response.headers['x-load'] == 'low'"}, WELL, "`expect` cannot be evaluated"),
    ({}, b"HTTP/1.1 banana\r\n\r\n", "malformed"),
    ({"statuses": "5xx"}, WELL, "wanted status 500-599, got 200"),
])
def test_what_was_expected_and_what_came_is_told(gateway: Gateway, origin: Origin, rule: dict[str, Any], answer: bytes,
                                                 said: str) -> None:
    answer_checks(origin, answer)
    load(gateway, origin, health={"path": "/health", **rule})
    assert said in wait_for_state(gateway, origin, "unhealthy")["check"]["last_failure"]


@pytest.mark.parametrize("rule, answer", [
    ({"contains": "ell"}, WELL),
    ({"expect": "response.status == 200 && response.body.startsWith('we') && response.headers['X-A'] == 'b'"},
     b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\n\r\nwell"),
    ({"contains": "well", "body_limit": 4}, b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\nwell and more"),
    ({}, b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n"),
    ({"method": "HEAD"}, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ({}, b"HTTP/1.1 102 Processing\r\n\r\n" + WELL),
])
def test_what_is_well(gateway: Gateway, origin: Origin, rule: dict[str, Any], answer: bytes) -> None:
    answer_checks(origin, answer)
    load(gateway, origin, health={"path": "/health", **rule})
    wait_until(lambda: gateway.endpoint_status(origin.url).get("check", {}).get("passed", 0) >= 2, what="two checks")
    assert gateway.endpoint_status(origin.url)["check"]["failed"] == 0


def test_a_refused_connection_is_told(gateway: Gateway) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    load(gateway, url, health={})
    assert wait_for_state(gateway, url, "unhealthy")["check"]["last_failure"] == "no connection: Connection refused"


def test_no_answer_in_time_is_told(gateway: Gateway, origin: Origin) -> None:
    origin.hold()
    load(gateway, origin, health={"timeout": "200ms"})
    assert wait_for_state(gateway, origin, "unhealthy")["check"]["last_failure"] == "no answer within 200 ms"


def test_half_an_answer_is_none(gateway: Gateway, origin: Origin) -> None:
    origin.reply_raw(b"HTTP/1.1 200 OK\r\nContent-Le", close=True)
    load(gateway, origin, health={})
    assert "closed" in wait_for_state(gateway, origin, "unhealthy")["check"]["last_failure"]


def test_a_body_that_stops_half_way_is_too_late(gateway: Gateway, origin: Origin) -> None:
    def stop_half_way(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nha")
        connection.ended()
    origin.handler = stop_half_way
    load(gateway, origin, health={"contains": "half", "timeout": "200ms"})
    assert wait_for_state(gateway, origin, "unhealthy")["check"]["last_failure"] == "no answer within 200 ms"


def test_tcp_checks_only_connect(gateway: Gateway, origin: Origin) -> None:
    refusing = f"http://127.0.0.1:{free_port()}"
    load(gateway, origin, refusing, health={"type": "tcp"})
    status = wait_for_state(gateway, refusing, "unhealthy")
    assert status["check"]["last_failure"] == "no connection: Connection refused"
    wait_for_check(gateway, origin)
    assert gateway.endpoint_status(origin.url)["state"] == "in-service"
    assert not origin.requests
    assert {gateway.get("/").body for _ in range(4)} == {b"hello"}


def test_a_tcp_check_has_a_deadline(gateway: Gateway) -> None:
    with FullListener() as full:
        load(gateway, full.url, health={"type": "tcp", "timeout": "100ms"})
        status = wait_for_state(gateway, full.url, "unhealthy")
        assert status["check"]["last_failure"] == "no connection within 100 ms"


def speak_tls(origin: Origin, issued: Issued) -> str:
    """The origin's https URL from now on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(issued.pem), str(issued.key_path))
    origin.tls = context
    return origin.url.replace("http://", "https://")


def test_https_endpoints_are_checked_over_tls(gateway: Gateway, origin: Origin, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    url = speak_tls(origin, authority.issue("127.0.0.1"))
    load(gateway, url, health={"path": "/health"}, tls={"ca": str(authority.pem)})
    wait_until(lambda: gateway.endpoint_status(url).get("check", {}).get("passed", 0) >= 2, what="two checks")
    assert origin.targets[0] == "/health"
    down = gateway.admin_post(f"/services/pool/endpoints/{url}/health?state=down")
    assert (down.status, down.json()["state"]) == (200, "down")


def test_a_certificate_that_is_not_good_is_told(gateway: Gateway, origin: Origin, tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path / "other", "other")
    url = speak_tls(origin, authority.issue("127.0.0.1"))
    load(gateway, url, health={}, tls={"ca": str(other.pem)})
    assert wait_for_state(gateway, url, "unhealthy")["check"]["last_failure"].startswith("no TLS: ")


def test_tcp_checks_do_not_wait_for_tls(gateway: Gateway, origin: Origin, tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path / "other", "other")
    url = speak_tls(origin, authority.issue("127.0.0.1"))
    load(gateway, url, health={"type": "tcp"}, tls={"ca": str(other.pem)})
    wait_until(lambda: gateway.endpoint_status(url).get("check", {}).get("passed", 0) >= 2, what="two checks")


def test_rise_and_fall_are_kept(gateway: Gateway, origin: Origin) -> None:
    answers = [WELL, ILL, ILL, WELL, ILL, ILL, ILL, WELL, WELL, ILL, WELL, WELL, WELL]
    seen: list[tuple[str, int]] = []

    def handler(request: Request, connection: OriginConnection) -> None:
        status = gateway.endpoint_status(origin.url) if gateway.addresses_path.exists() else {"state": "in-service"}
        seen.append((status["state"], len(seen)))
        connection.send(answers[len(seen) - 1] if len(seen) <= len(answers) else WELL)
    origin.handler = handler
    load(gateway, origin, health={"rise": 3, "fall": 3, "timeout": "10s"})
    wait_until(lambda: len(seen) > len(answers), what="all checks")
    states = [state for state, _ in seen[:len(answers) + 1]]
    assert states == ["in-service"] * 7 + ["unhealthy"] * 6 + ["in-service"]


def test_an_endpoint_may_have_to_pass_before_it_is_used(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    gate = origin.hold()
    second_origin.reply(200, None, b"second")
    load(gateway, origin, second_origin, health={"initial": "down", "timeout": "30s"})
    assert gateway.endpoint_status(origin.url)["state"] == "unchecked"
    wait_for_state(gateway, second_origin, "in-service")
    assert {gateway.get("/").body for _ in range(4)} == {b"second"}
    gate.set()
    wait_for_state(gateway, origin, "in-service")
    assert {gateway.get("/").body for _ in range(4)} == {b"hello", b"second"}


def test_a_gateway_is_ready_when_what_must_be_checked_is(gateway: Gateway, origin: Origin) -> None:
    load(gateway, origin, health={"initial": "down", "interval": "1h"})
    assert gateway.get("/").status == 200
    assert gateway.endpoint_status(origin.url)["check"]["passed"] == 1


def test_checks_count_for_nothing_else(gateway: Gateway, origin: Origin) -> None:
    answer_checks(origin, ILL)
    load(gateway, origin, health={"path": "/health"}, breaker={"failures": 1}, passive={"failures": 1})
    wait_for_state(gateway, origin, "unhealthy")
    status = gateway.endpoint_status(origin.url)
    assert (status["requests"], status["failed"], status["in_flight"], status["ejections"]) == (0, 0, 0, 0)
    assert gateway.service_status("pool")["breaker"]["state"] == "closed"
    assert gateway.metrics().value("turnpike_health_checks_failed_total") >= 1


def test_only_so_many_checks_run_at_once(gateway: Gateway, origin: Origin, second_origin: Origin,
                                         third_origin: Origin) -> None:
    gates = [one.hold() for one in (origin, second_origin, third_origin)]
    gateway.load(services={"pool": {"endpoints": [origin.url, second_origin.url, third_origin.url],
                                    "health": {**FAST, "timeout": "30s"}}}, health_checks={"at_once": 2})
    wait_until(lambda: gateway.metrics().value("turnpike_health_checks_delayed_total") >= 1, what="one that waits")
    origins = (origin, second_origin, third_origin)
    wait_until(lambda: sum(len(one.requests) for one in origins) == 2, what="two checks")
    assert gateway.metrics().value("turnpike_health_checks_total") == 2
    for gate in gates:
        gate.set()
    wait_until(lambda: all(one.requests for one in origins), what="the third")


# State


def test_a_reload_keeps_what_checks_have_found(gateway: Gateway, origin: Origin, second_origin: Origin,
                                               third_origin: Origin) -> None:
    answer_checks(origin, ILL)
    load(gateway, origin, second_origin, health={"path": "/health"})
    wait_for_state(gateway, origin, "unhealthy")
    passed = gateway.endpoint_status(second_origin.url)["check"]["passed"]
    load(gateway, origin, second_origin, third_origin, health={"path": "/health", "interval": "1h"})
    assert gateway.endpoint_status(origin.url)["state"] == "unhealthy"
    assert gateway.endpoint_status(second_origin.url)["check"]["passed"] >= passed
    wait_for_check(gateway, third_origin)


def test_a_reload_may_change_and_end_checks(gateway: Gateway, origin: Origin) -> None:
    answer_checks(origin, ILL)
    load(gateway, origin, health={"path": "/health"})
    wait_for_state(gateway, origin, "unhealthy")
    load(gateway, origin, health={"path": "/healthy", "statuses": "5xx"})
    wait_for_state(gateway, origin, "in-service")
    load(gateway, origin, health={"path": "/health"})
    wait_for_state(gateway, origin, "unhealthy")
    load(gateway, origin)                                   # what is not checked any more is not out of service
    wait_for_state(gateway, origin, "in-service")
    assert "check" not in gateway.endpoint_status(origin.url)
    count = len(origin.requests)
    gateway.get("/")
    assert len(origin.requests) == count + 1


def test_a_reload_under_a_running_check_starts_it_anew(gateway: Gateway, origin: Origin) -> None:
    gate = origin.hold()
    load(gateway, origin, health={"path": "/health", "timeout": "30s"})
    origin.wait_for(1)
    load(gateway, origin, health={"path": "/health/new", "timeout": "30s"})
    origin.wait_for(2)
    assert origin.last.target == "/health/new"
    gate.set()
    wait_for_check(gateway, origin)


def test_an_endpoint_that_goes_under_a_running_check_is_let_go(gateway: Gateway, origin: Origin,
                                                               second_origin: Origin) -> None:
    closed: list[bool] = []
    origin.handler = lambda request, connection: closed.append(connection.ended())
    load(gateway, origin, second_origin, health={"timeout": "30s"})
    origin.wait_for(1)
    load(gateway, second_origin, health={"timeout": "30s"})
    wait_until(lambda: [one["url"] for one in gateway.admin("/status")["endpoints"]] == [second_origin.url],
               what="the endpoint to be dropped")
    wait_until(lambda: closed == [True], what="the connection to be closed")


def test_a_refused_reload_changes_no_checks(gateway: Gateway, origin: Origin) -> None:
    load(gateway, origin, health={"path": "/health"})
    wait_for_check(gateway, origin)
    config = gateway.full_config(services={"pool": {"endpoints": [origin.url], "health": {**FAST, "path": "/other"}}})
    config["routes"]["default"]["service"] = "nothing"
    gateway.write(config)
    gateway.reload_refused()
    count = len(origin.requests)
    origin.wait_for(count + 2)
    assert set(origin.targets) == {"/health"}


# By hand


def set_by_hand(gateway: Gateway, origin: Origin, state: str) -> dict[str, Any]:
    answer = gateway.admin_post(f"/services/pool/endpoints/127.0.0.1:{origin.port}/health?state={state}")
    assert answer.status == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


def test_a_person_takes_an_endpoint_out_and_gives_it_back(gateway: Gateway, origin: Origin,
                                                         second_origin: Origin) -> None:
    second_origin.reply(200, None, b"second")
    load(gateway, origin, second_origin)
    assert set_by_hand(gateway, origin, "down")["state"] == "down"
    assert {gateway.get("/").body for _ in range(4)} == {b"second"}
    load(gateway, origin, second_origin, timeouts={"connect": "3s"})
    assert gateway.endpoint_status(origin.url)["state"] == "down"      # a reload does not forget it
    assert {gateway.get("/").body for _ in range(4)} == {b"second"}
    assert set_by_hand(gateway, origin, "auto")["state"] == "in-service"
    assert {gateway.get("/").body for _ in range(4)} == {b"hello", b"second"}
    gateway.wait_for_log("endpoint out of service", "state=down", "set by hand")
    assert gateway.metrics().value("turnpike_health_set_by_hand_total") == 2


def test_draining_lets_requests_end_and_says_when_they_have(gateway: Gateway, origin: Origin,
                                                           second_origin: Origin) -> None:
    second_origin.reply(200, None, b"second")
    load(gateway, origin, second_origin)
    gate = origin.hold()
    with gateway.connect() as first, gateway.connect() as second:
        first.send_request("GET", "/")
        second.send_request("GET", "/")
        origin.wait_for(1)
        assert set_by_hand(gateway, origin, "drain")["state"] == "draining"
        assert {gateway.get("/").body for _ in range(4)} == {b"second"}
        gate.set()
        assert {first.read_response().status, second.read_response().status} == {200}
    wait_for_state(gateway, origin, "drained")


def test_up_overrides_checks(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    answer_checks(origin, ILL)
    second_origin.reply(200, None, b"second")
    load(gateway, origin, second_origin, health={"path": "/health"})
    wait_for_state(gateway, origin, "unhealthy")
    set_by_hand(gateway, origin, "up")
    assert {gateway.get("/").body for _ in range(4)} == {b"ok", b"second"}
    set_by_hand(gateway, origin, "auto")
    assert {gateway.get("/").body for _ in range(4)} == {b"second"}


def test_all_taken_out_by_hand_is_503_whatever_panic_says(gateway: Gateway, origin: Origin) -> None:
    load(gateway, origin, panic={"below": "50%"})
    set_by_hand(gateway, origin, "down")
    assert gateway.get("/").status == 503
    assert gateway.access_log()[-1]["error"] == "no-endpoint"


def test_what_cannot_be_set_is_refused(gateway: Gateway, origin: Origin) -> None:
    load(gateway, origin)
    path = f"/services/pool/endpoints/127.0.0.1:{origin.port}/health"
    assert gateway.admin_post(path).status == 400
    assert gateway.admin_post(path + "?state=sideways").status == 400
    assert gateway.admin_post("/services/pool/endpoints/127.0.0.1:1/health?state=up").status == 404
    assert gateway.admin_post(f"/services/other/endpoints/127.0.0.1:{origin.port}/health?state=up").status == 404
    get = gateway.admin_response(path)
    assert (get.status, get.headers["Allow"]) == (405, "POST")
    own = "http://%s:%d" % gateway.admin_address
    assert gateway.admin_post(path + "?state=down", headers={"Origin": "https://evil.example"}).status == 403
    assert gateway.admin_post(path + "?state=down", headers={"Origin": "null"}).status == 403
    assert gateway.endpoint_status(origin.url)["state"] == "in-service"
    assert gateway.admin_post(path + "?state=down", headers={"Origin": own}).status == 200
    rebound = Client(gateway.admin_address).request("POST", path + "?state=up", headers={"Host": "evil.example"})
    assert rebound.status == 421


def test_a_socket_file_and_a_whole_url_are_addresses_too(gateway: Gateway, origin: Origin) -> None:
    load(gateway, origin, "unix:/tmp/nobody-listens.sock")
    unix = gateway.admin_post("/services/pool/endpoints/unix:/tmp/nobody-listens.sock/health?state=down")
    assert (unix.status, unix.json()["state"]) == (200, "down")
    whole = gateway.admin_post(f"/services/pool/endpoints/{origin.url}/health?state=down")
    assert (whole.status, whole.json()["url"]) == (200, origin.url)


# What requests tell


def test_statuses_eject_and_every_worker_knows(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    origin.reply(503, None, b"ill")
    second_origin.reply(200, None, b"second")
    load(gateway, origin, second_origin, passive={"failures": 3, "statuses": "5xx", "eject": "60s"})
    answers = [gateway.get("/").status for _ in range(40)]      # each on its own connection, so on any worker
    assert answers.count(503) == 3
    status = gateway.endpoint_status(origin.url)
    assert (status["state"], status["ejection"]["reason"]) == ("ejected", "3 failures in a row")
    gateway.wait_for_log("endpoint out of service", "state=ejected", "3 failures in a row")


def test_a_share_of_failures_ejects(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    good, bad = (b"HTTP/1.1 %d A\r\nContent-Length: 0\r\n\r\n" % status for status in (200, 500))
    origin.reply_in_turn(*([good, bad] * 10), good)
    load(gateway, origin, second_origin,
         passive={"failures": 0, "ratio": "50%", "requests": 10, "statuses": 500, "eject": "60s"})
    for _ in range(24):
        gateway.get("/")
    assert gateway.endpoint_status(origin.url)["ejection"]["reason"] == "5 of 10 requests failed"


def test_answers_that_break_off_eject(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    origin.reply_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", close=True)
    load(gateway, origin, second_origin, passive={"failures": 2, "eject": "60s"})
    for _ in range(6):
        with gateway.connect() as client:
            client.send_request("GET", "/")
            client.read_head()
    wait_for_state(gateway, origin, "ejected")


def test_one_that_is_much_slower_is_ejected(gateway: Gateway, origin: Origin, second_origin: Origin,
                                            third_origin: Origin) -> None:
    pause = origin.gate()

    def slow(request: Request, connection: OriginConnection) -> None:
        pause.wait(0.15)
        connection.reply(200, None, b"slow")
    origin.handler = slow
    load(gateway, origin, second_origin, third_origin,
         passive={"window": "1s", "requests": 2, "eject": "60s", "latency": {"factor": 3, "above": "100ms"}})

    def ejected() -> bool:
        for _ in range(3):
            gateway.get("/")
        return bool(gateway.endpoint_status(origin.url)["state"] == "ejected")
    wait_until(ejected, what="the slow one to be ejected")
    assert "where the others take" in gateway.endpoint_status(origin.url)["ejection"]["reason"]
    assert gateway.endpoint_status(second_origin.url)["state"] == "in-service"


def test_a_total_timeout_counts_against_who_does_not_answer(gateway: Gateway, origin: Origin,
                                                           second_origin: Origin) -> None:
    origin.hold()
    load(gateway, origin, second_origin, timeouts={"total": "100ms"}, passive={"failures": 1, "eject": "60s"})
    assert sorted(gateway.get("/").status for _ in range(6)) == [200] * 5 + [504]
    assert gateway.endpoint_status(origin.url)["state"] == "ejected"


def test_the_end_of_an_ejection_is_told_and_the_next_one_is_longer(gateway: Gateway, origin: Origin,
                                                                  second_origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, second_origin, retry={"attempts": 0},
         passive={"failures": 1, "statuses": 500, "eject": "200ms", "jitter": "0%"})

    def ejected_again() -> dict[str, Any] | None:
        gateway.get("/")
        now = gateway.endpoint_status(origin.url)
        return now if now["ejections"] >= 2 and "ejection" in now else None
    ejected = wait_until(ejected_again, what="a second ejection") or {}
    gateway.wait_for_log("endpoint in service", "its time out is over")
    assert ejected["ejection"]["ms_left"] > 200


def test_a_flapping_endpoint_is_used_less_and_less(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    origin.reply(500)
    load(gateway, origin, second_origin, passive={"failures": 1, "statuses": 500, "eject": "50ms", "jitter": "0%"})
    end, failures = time.monotonic() + 2, 0
    while time.monotonic() < end:
        failures += gateway.get("/").status == 500
    assert 2 <= failures <= 7     # 50, 100, 200, 400, 800 ms ... and not every 50 ms


def test_checks_of_a_service_that_times_its_endpoints(gateway: Gateway, origin: Origin) -> None:
    answer_checks(origin, WELL)
    load(gateway, origin, health={"path": "/health"}, balance="peak-ewma")
    wait_for_check(gateway, origin)
    assert gateway.get("/").status == 200


# Panic


def test_when_too_few_are_healthy_health_is_ignored(gateway: Gateway, origin: Origin, second_origin: Origin,
                                                   third_origin: Origin) -> None:
    for one in (origin, second_origin):
        answer_checks(one, ILL, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    load(gateway, origin, second_origin, third_origin, health={"path": "/health"}, panic={"below": "50%"})
    for one in (origin, second_origin):
        wait_for_state(gateway, one, "unhealthy")
    assert {gateway.get("/").body for _ in range(6)} == {b"ok", b"hello"}
    assert gateway.service_status("pool")["panic"] is True
    gateway.wait_for_log("panic: too few endpoints are usable", "health is ignored")
    answer_checks(origin, WELL)
    wait_for_state(gateway, origin, "in-service")
    gateway.get("/")
    gateway.wait_for_log("panic over")


def test_when_too_few_are_healthy_requests_may_be_refused(gateway: Gateway, origin: Origin,
                                                         second_origin: Origin) -> None:
    answer_checks(origin, ILL)
    load(gateway, origin, second_origin, health={"path": "/health"}, panic={"below": "60%", "action": "refuse"})
    wait_for_state(gateway, origin, "unhealthy")
    assert gateway.get("/").status == 503
    assert gateway.access_log()[-1]["error"] == "no-endpoint"
    answer_checks(origin, WELL)
    wait_for_state(gateway, origin, "in-service")
    assert gateway.get("/").status == 200


def test_the_last_ones_are_used_although_they_are_unhealthy(gateway: Gateway, origin: Origin) -> None:
    answer_checks(origin, ILL)
    load(gateway, origin, health={"path": "/health"})
    wait_for_state(gateway, origin, "unhealthy")
    assert gateway.get("/").body == b"ok"
