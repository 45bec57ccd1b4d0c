"""Where endpoints come from: names, service records, files; and that an error never empties a service."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.dns import A, AAAA, SRV, Dnsmasq, LyingServer, Question, a, aaaa, soa, srv
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection
from support.wait import wait_until


@pytest.fixture(name="dnsmasq")
def _dnsmasq(tmp_path: Path) -> Iterator[Dnsmasq]:
    server = Dnsmasq(tmp_path / "dns")
    yield server
    server.stop()


@pytest.fixture(name="liar")
def _liar() -> Iterator[LyingServer]:
    server = LyingServer(lambda question: question.answer())
    yield server
    server.stop()


def load(gateway: Gateway, servers: str, endpoints: Any, *, dns: dict[str, Any] | None = None, **service: Any) -> None:
    gateway.load(workers=2, dns={"servers": servers, "timeout": "200ms", "tries": 2, "ttl_min": "100ms", **(dns or {})},
                 services={"pool": {"endpoints": endpoints, **service}})


def endpoints(gateway: Gateway) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = gateway.admin("/status")["endpoints"]
    return sorted(found, key=lambda one: one["url"])


def urls(gateway: Gateway) -> list[str]:
    return [one["url"] for one in endpoints(gateway)]


def source(gateway: Gateway, key: str) -> dict[str, Any]:
    for one in gateway.admin("/status")["sources"]:
        if one["source"] == key:
            return dict(one)
    raise AssertionError(f"{key} is not among the sources")


# A real name server


def test_all_addresses_of_a_name_are_endpoints(gateway: Gateway, origin: Origin, dnsmasq: Dnsmasq) -> None:
    dnsmasq.serve("host-record=orders.test,127.0.0.1", "host-record=orders.test,127.0.0.2",
                  "host-record=orders.test,127.0.0.3")
    load(gateway, dnsmasq.address, [f"http://orders.test:{origin.port}"], host="endpoint")
    assert urls(gateway) == [f"http://127.0.0.{n}:{origin.port}" for n in (1, 2, 3)]
    assert gateway.get("/").status == 200
    assert origin.last.headers["Host"] == f"orders.test:{origin.port}"
    for one in endpoints(gateway):
        assert one["source"] == "dns:orders.test" and one["age_ms"] >= 0
        assert one["host"] == f"orders.test:{origin.port}"
    found = source(gateway, "dns:orders.test")
    assert (found["state"], found["endpoints"], found["failures"]) == ("fresh", 3, 0)


def test_a_name_is_asked_for_once_for_all_services(gateway: Gateway, origin: Origin, dnsmasq: Dnsmasq) -> None:
    dnsmasq.serve("host-record=orders.test,127.0.0.1")
    gateway.load(dns={"servers": dnsmasq.address, "ttl_min": "1h", "ttl_max": "1h"},
                 services={"one": {"endpoints": [f"http://orders.test:{origin.port}"]},
                           "two": {"endpoints": [f"http://ORDERS.test:{origin.port}"]}},
                 routes={"a": {"match": {"path": "/a"}, "service": "one"}, "b": {"match": {"path": "/b"}, "service": "two"}})
    assert [gateway.get(path).status for path in ("/a", "/b")] == [200, 200]
    assert source(gateway, "dns:orders.test")["answers"] == 1
    assert len(gateway.admin("/status")["sources"]) == 1


def test_changed_addresses_come_into_use_under_load(gateway: Gateway, origin: Origin, dnsmasq: Dnsmasq) -> None:
    dnsmasq.serve("host-record=orders.test,127.0.0.1")
    load(gateway, dnsmasq.address, [f"http://orders.test:{origin.port}"])
    with gateway.connect() as client:
        statuses = []

        def changed() -> bool:
            statuses.append(client.get("/").status)
            return len(urls(gateway)) == 2
        dnsmasq.serve("host-record=orders.test,127.0.0.1", "host-record=orders.test,127.0.0.1", "host-record=orders.test,::1")
        wait_until(changed, what="the new address")
    assert set(statuses) == {200}
    assert gateway.log().count("endpoints changed") == 2, "at the start, and then"


def test_many_addresses_come_over_tcp(gateway: Gateway, origin: Origin, dnsmasq: Dnsmasq) -> None:
    """400 addresses are larger than any UDP answer of dnsmasq: it truncates, and is asked again over TCP."""
    dnsmasq.serve(*(f"host-record=many.test,127.0.{n // 200 + 1}.{n % 200 + 1}" for n in range(400)))
    load(gateway, dnsmasq.address, [f"http://many.test:{origin.port}"], discovery={"endpoints": 300})
    assert source(gateway, "dns:many.test")["endpoints"] == 400
    assert len(urls(gateway)) == 300
    assert "more endpoints than" in gateway.log()


def test_service_records_give_ports_priorities_and_weights(gateway: Gateway, origin: Origin, second_origin: Origin,
                                                           third_origin: Origin, dnsmasq: Dnsmasq) -> None:
    for one in (origin, second_origin, third_origin):
        one.reply(200, None, one.name.encode())
    dnsmasq.serve("host-record=a.test,127.0.0.1", "host-record=b.test,127.0.0.1",
                  f"srv-host=_http._tcp.orders.test,a.test,{origin.port},10,30",
                  f"srv-host=_http._tcp.orders.test,b.test,{second_origin.port},10,10",
                  f"srv-host=_http._tcp.orders.test,b.test,{third_origin.port},20,10")
    load(gateway, dnsmasq.address, ["srv:_http._tcp.orders.test"], host="endpoint",
         passive={"failures": 1, "window": "10s", "eject": "30s"}, retry={"attempts": 2})
    wait_until(lambda: len(urls(gateway)) == 3, what="the targets' addresses")
    answers = [gateway.get("/").text for _ in range(40)]
    assert [answers.count(one.name) for one in (origin, second_origin, third_origin)] == [30, 10, 0]
    assert origin.last.headers["Host"] == f"a.test:{origin.port}"
    found = {one["url"]: one for one in endpoints(gateway)}
    assert found[third_origin.url]["srv_priority"] == 20
    assert found[origin.url]["source"] == "srv:_http._tcp.orders.test"
    origin.stop()
    second_origin.stop()
    assert {gateway.get("/").text for _ in range(10)} == {third_origin.name}


def test_a_name_that_is_gone_keeps_its_endpoints(gateway: Gateway, origin: Origin, dnsmasq: Dnsmasq) -> None:
    dnsmasq.serve("host-record=orders.test,127.0.0.1")
    load(gateway, dnsmasq.address, [f"http://orders.test:{origin.port}"])
    dnsmasq.serve("host-record=other.test,127.0.0.1")
    wait_until(lambda: source(gateway, "dns:orders.test")["failures"] >= 2, what="the name to be missed")
    found = source(gateway, "dns:orders.test")
    assert (found["state"], found["endpoints"], found["reason"]) == ("stale", 1, "no such name")
    assert gateway.get("/").status == 200
    dnsmasq.serve("host-record=orders.test,127.0.0.1")
    wait_until(lambda: source(gateway, "dns:orders.test")["state"] == "fresh", what="the name to come back")
    assert gateway.log().count("endpoints not found") == 1, "one line for an outage"
    assert gateway.log().count("endpoints found again") == 1


def test_a_reload_keeps_what_was_found_while_the_server_is_down(gateway: Gateway, origin: Origin,
                                                                dnsmasq: Dnsmasq) -> None:
    dnsmasq.serve("host-record=orders.test,127.0.0.1")
    load(gateway, dnsmasq.address, [f"http://orders.test:{origin.port}"])
    dnsmasq.stop()
    load(gateway, dnsmasq.address, [{"url": f"http://orders.test:{origin.port}", "weight": 7}])
    assert [gateway.get("/").status for _ in range(5)] == [200] * 5
    assert endpoints(gateway)[0]["weight"] == 7


# A name server that lies


def test_names_are_absolute_unless_search_is_on(gateway: Gateway, liar: LyingServer) -> None:
    load(gateway, liar.address, ["http://orders:80"])
    wait_until(lambda: source(gateway, "dns:orders")["failures"] >= 1)
    assert {one.name for one in liar.questions} == {"orders"}


def test_silence_keeps_the_old_addresses(gateway: Gateway, origin: Origin, liar: LyingServer) -> None:
    liar.handler = lambda question: question.answer(*([a("127.0.0.1")] if question.kind == A else []))
    load(gateway, liar.address, [f"http://orders.test:{origin.port}"], dns={"ttl_max": "100ms"})
    assert gateway.get("/").status == 200
    liar.handler = lambda question: None
    wait_until(lambda: source(gateway, "dns:orders.test")["state"] == "stale", what="the silence to be noticed")
    assert source(gateway, "dns:orders.test")["reason"] == "no name server answered in time"
    assert gateway.get("/").status == 200


def test_a_family_that_fails_does_not_take_its_addresses_away(gateway: Gateway, origin: Origin, liar: LyingServer) -> None:
    families = {A: [a("127.0.0.1")], AAAA: [aaaa("::1")]}
    liar.handler = lambda question: question.answer(*families.get(question.kind, []))
    load(gateway, liar.address, [f"http://orders.test:{origin.port}"], dns={"ttl_max": "100ms"})
    both = [f"http://127.0.0.1:{origin.port}", f"http://[::1]:{origin.port}"]
    assert urls(gateway) == both
    before = source(gateway, "dns:orders.test")["answers"]
    liar.handler = lambda question: (question.answer(code=2) if question.kind == A
                                     else question.answer(*families.get(question.kind, [])))
    wait_until(lambda: source(gateway, "dns:orders.test")["answers"] >= before + 2, what="half answers")
    assert urls(gateway) == both
    liar.handler = lambda question: question.answer(*(families[AAAA] if question.kind == AAAA else []))
    wait_until(lambda: len(urls(gateway)) == 1, what="the family to be gone when the server says so")


def test_answers_to_other_questions_are_not_believed(gateway: Gateway, origin: Origin, liar: LyingServer) -> None:
    def wrong(question: Question) -> list[bytes]:
        number = int.from_bytes(question.data[:2], "big") ^ 0x5555
        return [question.answer(a("127.0.0.99"), number=number), question.answer(a("127.0.0.98"), name=b"\4evil\4test\0"),
                question.answer(a("127.0.0.97", name=b"\5other\4test\0"),
                                *([a("127.0.0.1")] if question.kind == A else []))]
    liar.handler = wrong
    load(gateway, liar.address, [f"http://orders.test:{origin.port}"])
    assert urls(gateway) == [f"http://127.0.0.1:{origin.port}"]


def test_a_truncated_answer_is_fetched_over_tcp(gateway: Gateway, origin: Origin, liar: LyingServer) -> None:
    def handler(question: Question) -> bytes:
        if question.kind != A:
            return question.answer()
        if not question.over_tcp:
            return question.answer(a("127.0.0.99"), truncated=True)
        return question.answer(a("127.0.0.1"), a("127.0.0.2"))
    liar.handler = handler
    load(gateway, liar.address, [f"http://orders.test:{origin.port}"])
    assert urls(gateway) == [f"http://127.0.0.{n}:{origin.port}" for n in (1, 2)]


@pytest.mark.parametrize("garbage", [b"", b"\0", b"\xff" * 40, b"\xc0\x0c\0\1\0\1"])
def test_garbage_keeps_the_old_addresses(gateway: Gateway, origin: Origin, liar: LyingServer, garbage: bytes) -> None:
    liar.handler = lambda question: question.answer(*([a("127.0.0.1")] if question.kind == A else []))
    load(gateway, liar.address, [f"http://orders.test:{origin.port}"], dns={"ttl_max": "100ms"})
    liar.handler = lambda question: question.answer(code=0)[:4] + b"\0\1\0\1\0\0\0\0" + question.data[12:question.end] + garbage
    wait_until(lambda: source(gateway, "dns:orders.test")["failures"] >= 1, what="the garbage to be noticed")
    assert urls(gateway) == [f"http://127.0.0.1:{origin.port}"]
    assert gateway.get("/").status == 200


def test_the_time_to_live_is_kept_within_its_bounds(gateway: Gateway, origin: Origin, liar: LyingServer) -> None:
    liar.handler = lambda question: question.answer(*([a("127.0.0.1", ttl=3600)] if question.kind == A else []))
    load(gateway, liar.address, [f"http://orders.test:{origin.port}"], dns={"ttl_max": "10m"})
    assert 530_000 <= source(gateway, "dns:orders.test")["next_ms"] <= 600_000
    liar.handler = lambda question: question.answer(*([a("127.0.0.1", ttl=0)] if question.kind == A else []))
    load(gateway, liar.address, [f"http://second.test:{origin.port}"], dns={"ttl_min": "40s"})
    wait_until(lambda: source(gateway, "dns:second.test")["answers"] == 1)
    assert 35_000 <= source(gateway, "dns:second.test")["next_ms"] <= 40_000


def test_what_is_not_there_is_not_asked_for_all_the_time(gateway: Gateway, liar: LyingServer) -> None:
    liar.handler = lambda question: question.answer(code=3, authority=(soa(3600),))
    load(gateway, liar.address, ["http://none.test"], dns={"negative_ttl": "30s"})
    wait_until(lambda: source(gateway, "dns:none.test")["failures"] == 1)
    assert 26_000 <= source(gateway, "dns:none.test")["next_ms"] <= 30_000
    assert gateway.get("/").status == 503
    assert liar.asked(A, "none.test") == 1


def test_an_address_is_held_for_a_while_after_it_left_the_answer(gateway: Gateway, origin: Origin,
                                                                 liar: LyingServer) -> None:
    turn = {"n": 0}

    def rotate(question: Question) -> bytes:
        if question.kind != A:
            return question.answer()
        turn["n"] += 1
        return question.answer(a(f"127.0.0.{turn['n'] % 4 + 1}"))
    liar.handler = rotate
    load(gateway, liar.address, [f"http://cdn.test:{origin.port}"], dns={"ttl_max": "100ms", "hold": "1h"})
    wait_until(lambda: len(urls(gateway)) == 4, what="all addresses to be known")
    before = source(gateway, "dns:cdn.test")["answers"]
    wait_until(lambda: source(gateway, "dns:cdn.test")["answers"] > before + 4, what="another round")
    assert len(urls(gateway)) == 4


def test_only_addresses_of_the_wanted_family_are_taken(gateway: Gateway, origin: Origin, liar: LyingServer) -> None:
    families = {A: [a("127.0.0.1")], AAAA: [aaaa("::1")]}
    liar.handler = lambda question: question.answer(*families.get(question.kind, []))
    load(gateway, liar.address, [f"http://orders.test:{origin.port}"], discovery={"family": "ipv6"})
    assert urls(gateway) == [f"http://[::1]:{origin.port}"]


def test_service_records_that_change_or_vanish(gateway: Gateway, origin: Origin, second_origin: Origin,
                                               liar: LyingServer) -> None:
    records = {"srv": [srv("a.test", origin.port)]}

    def handler(question: Question) -> bytes:
        if question.kind == SRV:
            return question.answer(*records["srv"])
        return question.answer(*([a("127.0.0.1")] if question.kind == A and question.name in ("a.test", "b.test") else []))
    liar.handler = handler
    load(gateway, liar.address, ["srv:_http._tcp.orders.test"], dns={"ttl_max": "100ms"})
    wait_until(lambda: urls(gateway) == [origin.url], what="the first target")
    records["srv"] = [srv("b.test", second_origin.port), srv("nowhere.test", 9)]
    wait_until(lambda: urls(gateway) == [second_origin.url], what="the second target")
    for vanished in ([], [srv(".", 0)]):
        failures = source(gateway, "srv:_http._tcp.orders.test")["failures"]
        records["srv"] = vanished
        wait_until(lambda: source(gateway, "srv:_http._tcp.orders.test")["failures"] > failures, what="nothing to be found")
        assert urls(gateway) == [second_origin.url]
        assert gateway.get("/").status == 200


def test_no_request_fails_while_endpoints_come_and_go(gateway: Gateway, origin: Origin, second_origin: Origin,
                                                      third_origin: Origin, liar: LyingServer) -> None:
    """And what is dropped is freed. TURNPIKE_CHANGES sets how often they change."""
    changes, turn = int(os.environ.get("TURNPIKE_CHANGES", "150")), {"n": 0}
    ports = [origin.port, second_origin.port, third_origin.port]

    def rotate(question: Question) -> bytes:
        if question.kind == SRV:
            turn["n"] += 1
            return question.answer(*(srv("a.test", ports[(turn["n"] + k) % 3], ttl=0) for k in range(2)))
        return question.answer(*([a("127.0.0.1", ttl=60)] if question.kind == A else []))
    liar.handler = rotate
    load(gateway, liar.address, ["srv:_http._tcp.orders.test"], dns={"ttl_min": "10ms"})
    wait_until(lambda: len(urls(gateway)) >= 2, what="the first endpoints")
    statuses: list[int] = []
    memory = 0
    with gateway.connect() as client:
        while turn["n"] < changes:
            statuses.append(client.get("/").status)
            if turn["n"] > changes // 3 and not memory:
                memory = gateway.rss()
        assert set(statuses) == {200}
        assert gateway.rss() - memory < 12 * 1024 * 1024
    wait_until(lambda: len(urls(gateway)) <= 3, what="old endpoints to be dropped")
    assert source(gateway, "srv:_http._tcp.orders.test")["changes"] >= changes - 1


def test_an_exchange_ends_at_an_endpoint_that_is_gone(gateway: Gateway, origin: Origin, second_origin: Origin,
                                                      liar: LyingServer) -> None:
    records = {"srv": [srv("a.test", origin.port)]}

    def handler(question: Question) -> bytes:
        if question.kind == SRV:
            return question.answer(*records["srv"])
        return question.answer(*([a("127.0.0.1")] if question.kind == A else []))
    liar.handler = handler
    load(gateway, liar.address, ["srv:_http._tcp.orders.test"], dns={"ttl_max": "100ms"})
    wait_until(lambda: urls(gateway) == [origin.url])
    gate = origin.gate()

    def slowly(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        gate.wait(10)
        connection.send(b"half")
    origin.handler = slowly
    with gateway.connect() as client:
        client.send_request("GET", "/")
        origin.wait_for(1)
        records["srv"] = [srv("a.test", second_origin.port)]
        wait_until(lambda: second_origin.url in urls(gateway), what="the new endpoint")
        assert origin.url in urls(gateway), "it is still at work"
        gate.set()
        assert client.read_response().body == b"halfhalf"
    wait_until(lambda: urls(gateway) == [second_origin.url], what="the old endpoint to go")
    assert gateway.access_log()[0]["endpoint"] == origin.url


# A file


def write(path: Path, content: Any) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(content if isinstance(content, str) else json.dumps(content))
    os.replace(fresh, path)


def load_file(gateway: Gateway, content: Any, **service: Any) -> Path:
    path = gateway.folder / "endpoints.json"
    write(path, content)
    gateway.load(dns={"file_interval": "50ms"}, services={"pool": {"endpoints_file": "endpoints.json", **service}})
    return path


def test_endpoints_come_from_a_file(gateway: Gateway, origin: Origin, second_origin: Origin) -> None:
    path = load_file(gateway, [{"url": origin.url, "weight": 2, "zone": "a", "priority": 3}])
    assert gateway.get("/").status == 200
    [found] = endpoints(gateway)
    assert (found["weight"], found["zone"], found["priority"], found["source"]) == (2, "a", 3, f"file:{path}")
    write(path, f"endpoints:\n- {second_origin.url}\n- url: {origin.url}\n  drain: true\n")
    wait_until(lambda: len(urls(gateway)) == 2, what="the file to be read again")
    origin.forget()
    assert [gateway.get("/").status for _ in range(6)] == [200] * 6
    assert len(second_origin.requests) == 6


@pytest.mark.parametrize("content", ["", "[]", "[", "just words", '[{"url": "ftp://a"}]', '[{"uri": "http://a"}]',
                                     '{"endpoints": {}}', '[{"url": "http://127.0.0.1:1", "weight": -1}]'])
def test_a_bad_file_changes_nothing(gateway: Gateway, origin: Origin, content: str) -> None:
    path = load_file(gateway, [origin.url])
    write(path, content)
    wait_until(lambda: source(gateway, f"file:{path}")["state"] == "stale", what="the bad file to be seen")
    assert urls(gateway) == [origin.url]
    assert gateway.get("/").status == 200
    assert "endpoints not found; those that are known stay" in gateway.log()
    gateway.reload()
    assert gateway.get("/").status == 200
    write(path, [origin.url])
    wait_until(lambda: source(gateway, f"file:{path}")["state"] == "fresh", what="the good file to be seen")


def test_a_file_that_vanishes_changes_nothing(gateway: Gateway, origin: Origin) -> None:
    path = load_file(gateway, [origin.url])
    path.unlink()
    wait_until(lambda: source(gateway, f"file:{path}")["state"] == "stale", what="the file to be missed")
    assert gateway.get("/").status == 200


def test_a_file_that_was_never_good_is_an_error_of_the_configuration(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    (gateway.folder / "bad.yaml").write_text("- url: http://127.0.0.1:1\n  wieght: 3\n")
    gateway.write(gateway.full_config(services={"pool": {"endpoints_file": "bad.yaml"}}))
    said = gateway.reload_refused()
    assert "bad.yaml:2:" in said and "wieght" in said and "weight" in said
    gateway.write(gateway.full_config(services={"pool": {"endpoints_file": "none.yaml"}}))
    assert "none.yaml" in gateway.reload_refused()
    gateway.write(gateway.full_config(services={"pool": {}}))
    assert "`endpoints_file`" in gateway.reload_refused()


def test_names_in_a_file_are_resolved(gateway: Gateway, origin: Origin, dnsmasq: Dnsmasq) -> None:
    dnsmasq.serve("host-record=orders.test,127.0.0.1", "host-record=later.test,127.0.0.2")
    path = gateway.folder / "endpoints.json"
    write(path, [f"http://orders.test:{origin.port}"])
    gateway.load(dns={"servers": dnsmasq.address, "file_interval": "50ms"},
                 services={"pool": {"endpoints_file": str(path)}})
    assert urls(gateway) == [f"http://127.0.0.1:{origin.port}"]
    write(path, [f"http://orders.test:{origin.port}", f"http://later.test:{origin.port}"])
    wait_until(lambda: len(urls(gateway)) == 2, what="the second name")


# What operators see


def test_metrics_tell_of_sources_within_the_limit_of_series(gateway: Gateway, origin: Origin, dnsmasq: Dnsmasq) -> None:
    dnsmasq.serve("host-record=one.test,127.0.0.1", "host-record=two.test,127.0.0.1", "host-record=three.test,127.0.0.1")
    gateway.load(dns={"servers": dnsmasq.address}, metrics={"series": 1},
                 services={"pool": {"endpoints": [f"http://{name}.test:{origin.port}" for name in ("one", "two", "three")]}})
    metrics = gateway.metrics()
    assert metrics.value("turnpike_discovery_endpoints", source="dns:one.test") == 1
    assert metrics.value("turnpike_discovery_endpoints", source="_overflow") == 2
    assert metrics.value("turnpike_endpoint_in_service", service="_overflow", endpoint="_overflow") == 2
