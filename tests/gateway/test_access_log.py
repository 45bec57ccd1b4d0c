"""One line for each exchange, whatever clients put into it, without ever holding a request up."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest

from support.client import request_bytes
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection
from support.wait import wait_until


def test_json_says_what_happened(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"request-id": {}}, {"key-auth": {}}], consumers={"alice": {"keys": ["alice-key"]}})
    origin.reply(201, None, b"made")
    gateway.post("/things?colour=blue", headers={"Host": "shop.example", "User-Agent": "tester/1",
                                                 "Referer": "http://from.example/",
                                                 "X-API-Key": "alice-key"}, body=b"payload")
    entry = gateway.access_log()[0]
    expected = {"client": "127.0.0.1", "listener": "main", "method": "POST", "host": "shop.example", "path": "/things",
                "protocol": "HTTP/1.1",
                "status": 201, "request_bytes": 7, "response_bytes": 4, "route": "default", "service": "origin",
                "endpoint": origin.url, "consumer": "alice", "user_agent": "tester/1",
                "referer": "http://from.example/", "attempts": 1}
    assert {key: entry.get(key) for key in expected} == expected
    assert entry["request_id"]
    assert 0 <= entry["duration_ms"] < 10_000
    age = datetime.now(timezone.utc) - datetime.fromisoformat(entry["time"].replace("Z", "+00:00"))
    assert abs(age.total_seconds()) < 60


def test_there_is_one_line_for_each_exchange(gateway: Gateway) -> None:
    gateway.load()
    with gateway.connect() as client:
        client.send(b"".join(request_bytes("GET", f"/{number}") for number in range(50)))
        for _ in range(50):
            client.read_response()
    assert [entry["path"] for entry in gateway.access_log(50)] == [f"/{number}" for number in range(50)]


def test_a_line_tells_why_the_origin_did_not_answer(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"all": {"match": {"path": "/all"}}}, service={"retry": {"attempts": 0}})
    origin.handler = lambda request, connection: connection.close()
    gateway.get("/other")
    gateway.get("/all")
    first, second = gateway.access_log(2)
    assert (first["status"], first["error"]) == (404, "no-route")
    assert (second["status"], second["error"]) == (502, "origin-closed")


def test_a_client_that_left_has_its_line(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    origin.hold()
    with gateway.connect() as client:
        client.send_request("GET", "/left")
        origin.wait_for(1)
        client.reset()
    entry = gateway.access_log()[0]
    assert (entry["path"], entry["error"]) == ("/left", "client-closed")


COMBINED = re.compile(r'(\S+) - (\S+) \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
                      r'"((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"')


def use_format(gateway: Gateway, **fields: str) -> None:
    gateway.load(access_log={"path": str(gateway.access_log_path), **fields})


def test_combined_is_what_log_readers_know(gateway: Gateway) -> None:
    use_format(gateway, format="combined")
    gateway.get("/page?a=b", headers={"User-Agent": "tester/1", "Referer": "http://from.example/"})
    match = COMBINED.fullmatch(gateway.access_log_lines()[0])
    assert match
    assert match.group(1, 2, 4, 5, 6, 7, 8) == ("127.0.0.1", "-", "GET /page?a=b HTTP/1.1", "200", "5",
                                                "http://from.example/", "tester/1")


def test_combined_writes_a_dash_for_what_is_missing(gateway: Gateway) -> None:
    use_format(gateway, format="combined")
    gateway.get("/")
    match = COMBINED.fullmatch(gateway.access_log_lines()[0])
    assert match and match.group(7, 8) == ("-", "-")


def test_a_template_chooses_the_fields(gateway: Gateway) -> None:
    use_format(gateway, format="template", template="${request.method} ${request.path} ${response.status} end")
    gateway.post("/made/up", body=b"")
    assert gateway.access_log_lines()[0] == "POST /made/up 200 end"


HOSTILE = ['"', "\\", '\\"', '","status":999,"x":"', "\t", "'", "%0a", "\xff\xfe", "caf\xe9", "a" * 5000,
           "\xe2\x80\xa8", "${request.path}", "\\u000a"]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_stay_inside_their_field_of_json(gateway: Gateway, value: str) -> None:
    gateway.load()
    gateway.get("/", headers={"User-Agent": f"a{value}b", "Referer": value})
    lines = gateway.access_log_path
    gateway.access_log_lines()
    raw = lines.read_bytes()
    assert raw.count(b"\n") == 1
    entry = json.loads(raw.decode("utf-8"))
    assert entry["status"] == 200
    assert entry["user_agent"].startswith("a")
    if value.isascii() and len(value) < 100:
        assert entry["user_agent"] == f"a{value}b"


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_stay_inside_their_field_of_combined(gateway: Gateway, value: str) -> None:
    use_format(gateway, format="combined")
    gateway.get("/", headers={"User-Agent": f"a{value}b", "Referer": f"r{value}"})
    match = COMBINED.fullmatch(gateway.access_log_lines()[0])
    assert match, gateway.access_log_lines()[0]
    assert match[5] == "200"
    assert not re.search(r"[\x00-\x1f\x7f]", match[0])


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_cannot_break_the_line_of_a_template(gateway: Gateway, value: str) -> None:
    use_format(gateway, format="template", template='<${request.headers["user-agent"]}> ${response.status}')
    gateway.get("/", headers={"User-Agent": f"a{value}b"})
    lines = gateway.access_log_lines()
    assert len(lines) == 1
    assert lines[0].startswith("<a") and lines[0].endswith("> 200")
    assert not re.search(r"[\x00-\x1f\x7f]", lines[0])


def test_the_text_of_a_template_is_written_as_it_is_and_values_are_escaped(gateway: Gateway) -> None:
    use_format(gateway, format="template", template='{"agent":"${request.headers["user-agent"]}","s":${response.status}}')
    gateway.get("/", headers={"User-Agent": 'a"b\\c'})
    assert json.loads(gateway.access_log_lines()[0]) == {"agent": 'a"b\\c', "s": 200}


def test_a_value_alone_in_a_template_is_escaped_too(gateway: Gateway) -> None:
    use_format(gateway, format="template", template='${request.headers["user-agent"]}')
    gateway.get("/", headers={"User-Agent": 'a"b'})
    assert gateway.access_log_lines() == ['a\\"b']


def test_a_template_may_name_what_is_not_there(gateway: Gateway) -> None:
    use_format(gateway, format="template", template="<${consumer.name}> <${service.name}>")
    gateway.get("/")
    assert gateway.access_log_lines() == ["<> <origin>"]


def test_a_template_that_fails_writes_a_dash_and_says_why(gateway: Gateway) -> None:
    use_format(gateway, format="template", template='n=${int(request.headers["x-number"])}')
    gateway.get("/", headers={"X-Number": "none"})
    assert gateway.access_log_lines() == ["-"]
    wait_until(lambda: "access log template failed" in gateway.log(), what="the reason in the log")


@pytest.mark.parametrize("value", ["a", '"', "\xff"])
def test_long_values_are_cut_and_the_line_stays_whole(gateway: Gateway, value: str) -> None:
    gateway.load()
    target = "/" + "a" * 3500 + "?" + "b" * 4500
    gateway.get(target, headers={"User-Agent": value * 7000, "Referer": value * 7000})
    entry = gateway.access_log()[0]
    assert target.startswith(entry["path"] + "?")
    assert entry["status"] == 200
    for name in ("query", "user_agent", "referer"):
        assert 100 < len(entry[name]) <= 4096, name


def test_what_is_absent_has_no_member(gateway: Gateway) -> None:
    gateway.load(routes={"one": {"match": {"path": "/one"}}})
    gateway.get("/other")
    absent = {"route", "service", "endpoint", "attempts", "service_ms", "consumer", "user_agent", "referer", "query"}
    assert absent & set(gateway.access_log()[0]) <= {"user_agent"}

def test_a_template_may_read_the_answer_of_a_download_that_the_client_broke_off(gateway: Gateway, origin: Origin) -> None:
    """So many that buffers go back to the heap, where the sanitizer sees a text that has outlived its own."""
    gate, count = origin.gate(), 200

    def handler(request: Request, connection: OriginConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nX-Target: %s\r\nContent-Length: 100\r\n\r\nhalf" % request.target.encode())
        gate.wait(20)
    origin.handler = handler
    gateway.load(workers=1, access_log={"path": str(gateway.access_log_path), "format": "template",
                                        "template": "${response.status} ${response.headers['x-target']}"})
    clients = [gateway.connect() for _ in range(count)]
    for number, client in enumerate(clients):
        client.send_request("GET", f"/{number}")
    for client in clients:
        assert client.read_head().status == 200
    for client in clients:
        client.reset()
    lines = gateway.access_log_lines(count)
    gate.set()
    assert sorted(lines) == sorted(f"200 /{number}" for number in range(count))


def test_a_head_request_sends_no_bytes_of_a_body(gateway: Gateway) -> None:
    gateway.load(routes={"one": {"match": {"path": "/one"}}})
    gateway.request("HEAD", "/other")
    assert gateway.access_log()[0]["response_bytes"] == 0


def test_every_member_is_in_the_manual(gateway: Gateway) -> None:
    gateway.load(route={"labels": {"team": "shop"}}, policies=[{"request-id": {}}, {"key-auth": {}}],
                 consumers={"alice": {"keys": ["alice-key"]}})
    gateway.get("/?a=b", headers={"X-API-Key": "alice-key", "Referer": "a", "User-Agent": "b",
                                  "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    gateway.get("/")
    first, second = gateway.access_log(2)
    manual = (Path(__file__).parents[2] / "docs" / "manual" / "access-log.md").read_text()
    manual = manual[manual.index("## JSON"):manual.index("## Combined")]
    named = set(re.findall(r"^\| `([a-z_]+)`", manual, re.M))
    assert named - {"tls_version"} == set(first) | set(second), "those of TLS: test_tls_server.py"


def test_a_malformed_request_is_logged_without_its_bytes_running_wild(gateway: Gateway) -> None:
    gateway.load()
    gateway.exchange(b'GET /\x1b[31m"\\ HTTP/1.1\r\nHost: a\r\n\r\n')
    raw = gateway.access_log_path.read_bytes() if gateway.access_log() else b""
    assert json.loads(raw)["status"] == 400
    assert b"\x1b" not in raw


def test_credentials_are_never_logged(gateway: Gateway) -> None:
    gateway.load(policies=[{"key-auth": {"query": "api_key"}}], consumers={"alice": {"keys": ["the-secret-key"]}})
    gateway.get("/?api_key=the-secret-key&a=b")
    gateway.get("/", headers={"X-API-Key": "the-secret-key"})
    gateway.get("/?api_key=a-wrong-secret-key")
    gateway.access_log_lines(3)
    assert "secret-key" not in gateway.access_log_path.read_text()
    assert "secret-key" not in gateway.log()


def test_credentials_are_never_logged_in_combined_either(gateway: Gateway) -> None:
    gateway.load(policies=[{"key-auth": {"query": "api_key"}}], consumers={"alice": {"keys": ["the-secret-key"]}},
                 access_log={"path": str(gateway.access_log_path), "format": "combined"})
    assert gateway.get("/?api_key=the-secret-key&a=b").status == 200
    assert "secret-key" not in gateway.access_log_lines()[0]


def test_a_log_that_cannot_be_written_holds_nobody_up_and_is_counted(gateway: Gateway) -> None:
    gateway.load(access_log={"path": "/dev/full", "format": "json"})
    with gateway.connect() as client:
        for _ in range(100):
            assert client.get("/").status == 200
    wait_until(lambda: gateway.metrics().value("turnpike_access_log_dropped_total") > 0,
               what="dropped lines to be counted")


def test_a_log_can_go_to_standard_output(gateway: Gateway) -> None:
    gateway.load(access_log={"path": "stdout", "format": "json"})
    gateway.get("/to-stdout")
    wait_until(lambda: '"/to-stdout"' in gateway.log(), what="the line on standard output")


def test_without_access_log_nothing_is_written(gateway: Gateway) -> None:
    config = gateway.full_config()
    del config["access_log"]
    gateway.load(config)
    gateway.get("/")
    gateway.stop()
    assert not gateway.access_log_path.exists()


def test_all_lines_are_there_after_the_end(gateway: Gateway) -> None:
    gateway.load(workers=2)
    for number in range(30):
        gateway.get(f"/{number}")
    gateway.stop()
    assert len(gateway.access_log_path.read_text().splitlines()) == 30
