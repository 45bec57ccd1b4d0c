"""What every policy must do, whatever it is for. The policies come from the registry: a new one is tested from its first day.

One gateway for each policy runs the example of its manual, in front of an origin that is also whom the policy may ask.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import jwt
import pytest
import yaml

from support import proc
from support.binary import ROOT, turnpike
from support.client import Connection, request_bytes
from support.config import Config, node_settings
from support.gateway import Gateway
from support.message import Request
from support.origin import Origin, OriginConnection
from support.wait import wait_until

REGISTRY = re.findall(r"^POLICY\((\w+)\)", (ROOT / "src/policies/registry.def").read_text(encoding="utf-8"), re.M)
POLICIES = [name.replace("_", "-") for name in REGISTRY]
EXAMPLE = re.compile(r"^```yaml\n(.*?)^```", re.M | re.S)
FINDING = re.compile(r"^[^\n:]+:(\d+):(\d+): error: (.*)$", re.M)
STAGES = ["edge", "identity", "access", "quota", "validate", "transform", "cache", "observe"]
COMMON = ["when", "on_error", "enabled", "stage", "id"]
RELOADS = 20
GROWTH_MAX = 16 << 20      # of resident memory over the reloads; the sanitizer holds some of what was freed

# Who calls in the examples; a policy that wants more is refused, which is an answer too.
KEY = ("X-API-Key", "a-key-to-try-it-out-with")
BASIC = "Basic " + base64.b64encode(b"alice:correct horse").decode()
TOKEN = jwt.encode({"iss": "https://login.example", "aud": "orders", "scope": "orders:read", "sub": "alice", "tenant": "1",
                    "exp": 4102444800}, "at-least-32-bytes-from-a-safe-place", "HS256")
CREDENTIALS = {"basic-auth": [("Authorization", BASIC)], "jwt": [("Authorization", f"Bearer {TOKEN}")]}


class Finding(NamedTuple):
    line: int
    column: int
    said: str


def check(path: Path, text: str) -> list[Finding]:
    """What `turnpike check` finds wrong with the file."""
    path.write_text(text, encoding="utf-8")
    checked = turnpike("check", str(path))
    found = [Finding(int(line), int(column), said) for line, column, said in FINDING.findall(checked.stderr)]
    assert (checked.returncode == 0) == (not found), checked.stderr
    return found


def schema_of(name: str) -> Config:
    schema: Config = json.loads(turnpike("policies", name, "--json").stdout)
    return schema


# --- the example, made to run here ---


class Call(NamedTuple):
    """A request that takes a route of the example."""

    method: str
    target: str
    headers: list[tuple[str, str]]


def entries_of(config: Config, name: str) -> list[tuple[list[Config], int]]:
    """Where the policy stands in a configuration: lists and indexes."""
    lists = [config.get("policies") or []]
    for kind in ("services", "routes", "consumers", "groups"):
        lists += [one.get("policies") or [] for one in (config.get(kind) or {}).values() if isinstance(one, dict)]
    return [(entries, i) for entries in lists for i, entry in enumerate(entries) if name in entry]


def calls_of(config: Config, name: str) -> list[Call]:
    calls = []
    for route in config["routes"].values():
        match = route.get("match", {})
        path = re.sub(r"\{\w+\}", "1", match.get("path", "/")).replace("*", "x")
        hosts = match.get("hosts", "gateway.test")
        host = (hosts if isinstance(hosts, str) else hosts[0]).replace("*", "www")
        methods = match.get("methods", "POST")
        method = methods if isinstance(methods, str) else methods[0]
        calls.append(Call(method, path, [("Host", host), KEY, *CREDENTIALS.get(name, [])]))
    return calls


class Subject:
    """A policy, and a gateway that runs its example."""

    def __init__(self, name: str, gateway: Gateway, origin: Origin) -> None:
        self.name, self.gateway, self.origin = name, gateway, origin
        self.manual = turnpike("policies", name).stdout
        self.examples = EXAMPLE.findall(self.manual)
        whole = [text for text in self.examples if re.search(r"^listeners:", text, re.M)]
        assert whole, f"the manual of {name} has no example that is a whole configuration"
        self.example = whole[0]
        config = yaml.safe_load(re.sub(r"http://127\.0\.0\.1:\d+", origin.url, self.example))
        assert entries_of(config, name), f"the example of {name} does not have the policy"
        listener = next(iter(config["listeners"].values()))
        config.update({**node_settings(gateway.folder), "listeners": {"main": {**listener, "address": "127.0.0.1:0"}}})
        self.config: Config = config
        self.calls = calls_of(config, name)

    def changed(self, mark: str) -> Config:
        """The configuration with each entry of the policy built anew, which a new place alone does not do."""
        config: Config = yaml.safe_load(yaml.safe_dump(self.config))
        for entries, i in entries_of(config, self.name):
            entries[i]["when"] = f'"{mark}" != ""'
        return config

    def payload(self, call: Call, body: bytes = b"a body of some bytes") -> bytes:
        return request_bytes(call.method, call.target, call.headers, body)

    def answers(self) -> list[int]:
        """The statuses that the example's routes give now, each on a fresh connection."""
        statuses = []
        for call in self.calls:
            with self.gateway.connect() as connection:
                statuses.append(connection.request(call.method, call.target, call.headers, b"a body of some bytes").status)
        return statuses

    def requests_behind(self, call: Call) -> int:
        """How many requests one call makes behind the gateway: to the service, and to whom the policy asks."""
        before = len(self.origin.requests)
        with self.gateway.connect() as connection:
            connection.request(call.method, call.target, call.headers, b"a body of some bytes")
        return len(self.origin.requests) - before

    def wait_until_idle(self) -> None:
        self.gateway.wait_for_metric("turnpike_requests_in_flight", 0)

    def wait_for_one_snapshot(self) -> None:
        wait_until(lambda: self.gateway.metrics().value("turnpike_config_snapshots") == 1, what="old snapshots to be freed")


@pytest.fixture(scope="module", params=POLICIES)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    origin = Origin()
    gateway = Gateway(tmp_path_factory.mktemp(request.param), origin)
    try:
        one = Subject(request.param, gateway, origin)
        gateway.load(one.config)
        yield one
        origin.release()
        gateway.stop()          # within the deadline, with status 0 and nothing that a sanitizer complains about
    finally:
        gateway.kill()
        origin.stop()


@pytest.fixture(autouse=True)
def shows_the_gateway(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test begins with the example in force and an origin that answers; a failure shows the gateway's log."""
    if "subject" not in request.fixturenames:
        yield
        return
    one: Subject = request.getfixturevalue("subject")
    one.origin.reply()
    failed = request.session.testsfailed
    yield
    one.origin.release()
    if request.session.testsfailed > failed:
        print(one.gateway.report())


# --- what it says of itself ---


def test_the_list_of_policies_is_the_registry() -> None:
    listed = json.loads(turnpike("policies", "--json").stdout)
    assert [one["name"] for one in listed] == POLICIES
    assert len(set(POLICIES)) == len(POLICIES) > 0
    for one in listed:
        assert one["stage"] in STAGES and one["summary"].endswith(".")


def test_its_source_and_its_tests_are_where_a_newcomer_looks(subject: Subject) -> None:
    identifier = subject.name.replace("-", "_")
    assert (ROOT / f"src/policies/{identifier}.c").is_file()
    assert (ROOT / f"tests/policies/test_{identifier}.py").is_file()


def described(schema: Any, path: str = "") -> Iterator[tuple[str, Config]]:
    """Every field of a schema, with its path."""
    if isinstance(schema, list):
        for one in schema:
            yield from described(one, path)
    if not isinstance(schema, dict):
        return
    for name, field in schema.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        yield below, field
        yield from described(field, below)
    for key in ("anyOf", "oneOf", "items", "additionalProperties"):
        yield from described(schema.get(key), path)


def test_every_field_has_a_description(subject: Subject) -> None:
    schema = schema_of(subject.name)
    assert schema["type"] == "object" and schema["additionalProperties"] is False
    jsonschema.Draft202012Validator.check_schema(schema)
    for path, field in described(schema):
        assert re.search(r"\w.*[.!?)`]$", field.get("description", ""), re.S), f"{path} says {field.get('description')!r}"


def test_every_field_is_in_the_table_of_the_manual(subject: Subject) -> None:
    table = set(re.findall(r"^\| `([^`]+)`", subject.manual, re.M))
    missing = {path for path, _ in described(schema_of(subject.name))} - {re.sub(r"\.<name>|\[\]", "", row) for row in table}
    assert not missing


def test_every_example_of_its_manual_loads(subject: Subject, tmp_path: Path) -> None:
    for text in subject.examples:
        if re.search(r"^listeners:", text, re.M):
            assert check(tmp_path / "turnpike.yaml", text) == []


def test_the_schema_takes_what_the_example_has(subject: Subject) -> None:
    validator = jsonschema.Draft202012Validator(schema_of(subject.name))
    for entries, i in entries_of(subject.config, subject.name):
        validator.validate(entries[i][subject.name] or {})


# --- what it refuses ---

HEAD = """listeners:
  main: { address: "127.0.0.1:0" }
routes:
  all:
    match: { path: "/*" }
    policies:
"""


def misspelt(name: str) -> str:
    return name[:-1] if len(name) > 3 else name + "s"


def test_an_unknown_field_is_refused_with_its_place_and_a_hint(subject: Subject, tmp_path: Path) -> None:
    names = list(schema_of(subject.name)["properties"])
    text, places = HEAD, {}
    for name in names:
        if misspelt(name) in names:
            continue
        text += f"      - {subject.name}:\n          {misspelt(name)}: 1\n        id: p-{name}\n"
        places[text.count("\n") - 1] = name
    found = check(tmp_path / "turnpike.yaml", text)
    for line, name in places.items():
        hints = [one for one in found if one.line == line and "unknown field" in one.said]
        assert hints, f"{misspelt(name)} in line {line}: {found}"
        assert hints[0].column == 11
        assert re.search(r"did you mean `[\w-]+`\?", hints[0].said), hints[0]
        if len(name) > 3:
            assert f"unknown field `{misspelt(name)}`" in hints[0].said


WRONG: list[Any] = [[[]], {"~": [[]]}, {"~": {"~": {}}}, "~~", []]


def wrong_value(field: Config) -> Any:
    """A value that the field's schema does not allow."""
    validator = jsonschema.Draft202012Validator(field)
    for value in WRONG:
        if not validator.is_valid(value):
            return value
    return None


def properties_of(schema: Config) -> Iterator[tuple[list[str], Config]]:
    """Fields with the keys that lead to them; a `-` among the keys stands for an item of a list."""
    for name, field in schema.get("properties", {}).items():
        yield [name], field
        for keys, below in within(field):
            yield [name, *keys], below


def within(field: Config) -> Iterator[tuple[list[str], Config]]:
    if field.get("type") == "object" or "properties" in field:
        yield from properties_of(field)
    for one in field.get("anyOf", []) + field.get("oneOf", []):
        if "items" in one:
            yield from ((["-", *keys], below) for keys, below in within(one["items"]))
        elif not any("items" in other for other in field.get("anyOf", [])):
            yield from within(one)


def nested(keys: list[str], value: Any) -> tuple[str, int]:
    """YAML that puts the value below the keys, and the line, from 0, that it stands on."""
    text, indent, dash = "", 10, False
    for i, key in enumerate(keys):
        if key == "-":
            dash = True
            continue
        last = i == len(keys) - 1
        text += " " * indent + ("- " if dash else "") + f"{key}:" + (f" {json.dumps(value)}\n" if last else "\n")
        indent += 4 if dash else 2
        dash = False
    return text, text.count("\n") - 1


def test_every_field_of_a_wrong_type_is_refused_at_its_line(subject: Subject, tmp_path: Path) -> None:
    fields = list(properties_of(schema_of(subject.name)))
    tried = 0
    for begin in range(0, len(fields), 20):
        text, places = HEAD, {}
        for number, (keys, field) in enumerate(fields[begin:begin + 20]):
            value = wrong_value(field)
            assert value is not None, f"the schema of {keys} allows anything"
            block, line = nested(keys, value)
            text += f"      - id: p{number}\n        {subject.name}:\n"
            places[text.count("\n") + 1 + line] = (keys, value)
            text += block
        found = {one.line for one in check(tmp_path / "turnpike.yaml", text)}
        for line, (keys, value) in places.items():
            assert line in found, f"{keys} takes {value!r}\n{text}"
        tried += len(places)
    assert tried == len(fields) > 0


def test_the_fields_of_all_policies_are_accepted(subject: Subject, tmp_path: Path) -> None:
    entries, i = entries_of(subject.config, subject.name)[0]
    entry = entries[i]
    variants: list[Config] = [{"enabled": False}, {"when": "false"}, {"when": "true"}, {"on_error": "allow"}, {"on_error": "deny"},
                              {"id": "another"}, *({"stage": stage} for stage in STAGES)]
    for number, variant in enumerate(variants):
        variant.setdefault("id", f"p{number}")
    others = [one for one in entries if subject.name not in one]
    config: Config = {**subject.config, "policies": others + [{**entry, **variant} for variant in variants]}
    assert check(tmp_path / "turnpike.yaml", yaml.safe_dump(config)) == []
    wrong = [{**entry, "id": f"w{number}", common: {"a": []}} for number, common in enumerate(COMMON[:-1])]
    assert len(check(tmp_path / "turnpike.yaml", yaml.safe_dump({**subject.config, "policies": wrong}))) == len(wrong)


def test_disabled_it_does_nothing(subject: Subject) -> None:
    """Nothing at all is left of a policy that is disabled, or that never applies."""
    with_it = subject.answers()
    for off in ({"enabled": False}, {"when": "false"}):
        config = subject.changed("off")
        for entries, i in entries_of(config, subject.name):
            entries[i].update(off)
        subject.gateway.load(config)
        without = subject.answers()
        assert all(status < 500 or status == 503 for status in without), without   # 503: another one needs what it gives
    subject.gateway.load(subject.config)
    assert subject.answers() == with_it


# --- what it does with traffic ---


def test_its_example_serves_requests(subject: Subject) -> None:
    for status in subject.answers():
        assert 200 <= status < 500, status
    assert subject.gateway.admin("/status")["state"] == "ready"


def each_byte(connection: Connection, data: bytes) -> None:
    for byte in data:
        connection.send(bytes([byte]))


def test_a_request_may_come_byte_by_byte(subject: Subject) -> None:
    together = subject.answers()
    for call, status in zip(subject.calls, together):
        with subject.gateway.connect() as connection:
            connection.methods.append(call.method)
            each_byte(connection, subject.payload(call))
            assert connection.read_response().status == status
        with subject.gateway.connect() as connection:
            connection.methods.append(call.method)
            each_byte(connection, request_bytes(call.method, call.target, call.headers, iter([b"a body", b"in", b"chunks"])))
            assert connection.read_response().status == status
    subject.wait_until_idle()


def test_a_client_may_leave_in_the_middle_of_its_request(subject: Subject) -> None:
    for call in subject.calls:
        data = subject.payload(call)
        head = data.index(b"\r\n\r\n")
        for size in (1, head // 2, head + 2, head + 4, head + 5, len(data) - 1, len(data)):
            with subject.gateway.connect() as connection:
                connection.send(data[:size])
                connection.reset()
    subject.wait_until_idle()
    assert all(status < 500 for status in subject.answers())


def hold_after(origin: Origin, answered: int) -> Callable[[], None]:
    """So many requests are answered, the one after them waits. Returns what lets it go on."""
    gate, answer, left = origin.gate(), origin.handler, [answered]

    def handler(request: Request, connection: OriginConnection) -> None:
        if left[0] == 0:
            gate.wait()
        left[0] -= 1
        answer(request, connection)
    origin.handler = handler
    return gate.set


def test_a_client_may_leave_while_the_gateway_waits(subject: Subject) -> None:
    """At each request that the gateway makes for it: to whom the policy asks, and to the service."""
    for call in subject.calls:
        for number in range(subject.requests_behind(call)):
            before = len(subject.origin.requests)
            go_on = hold_after(subject.origin, number)
            with subject.gateway.connect() as connection:
                connection.send(subject.payload(call))
                subject.origin.wait_for(before + number + 1)
                connection.reset()
            subject.wait_until_idle()
            go_on()
            subject.origin.reply()
    assert all(status < 500 for status in subject.answers())


def test_a_reload_while_the_gateway_waits_changes_nothing_for_the_request(subject: Subject) -> None:
    statuses = subject.answers()
    for call, status in zip(subject.calls, statuses):
        for number in range(subject.requests_behind(call)):
            before = len(subject.origin.requests)
            go_on = hold_after(subject.origin, number)
            with subject.gateway.connect() as connection:
                connection.send_request(call.method, call.target, call.headers, b"a body of some bytes")
                subject.origin.wait_for(before + number + 1)
                subject.gateway.load(subject.changed(f"{call.target}{number}"))
                go_on()
                assert connection.read_response().status == status
            subject.origin.reply()
    subject.wait_for_one_snapshot()
    subject.gateway.load(subject.config)
    assert subject.answers() == statuses


def test_nothing_grows_with_reloads(subject: Subject) -> None:
    gateway = subject.gateway

    def reload(number: int) -> None:
        gateway.load(subject.changed(f"reload {number}"))
        assert all(status < 500 for status in subject.answers())
    for number in range(4):
        reload(number)
    subject.origin.close_connections()
    subject.wait_for_one_snapshot()
    files, threads, memory = proc.open_files(gateway.worker_pid), proc.threads(gateway.worker_pid), gateway.rss()
    for number in range(4, 4 + RELOADS):
        reload(number)
    subject.origin.close_connections()
    subject.wait_for_one_snapshot()
    wait_until(lambda: proc.open_files(gateway.worker_pid) <= files + 2, what="descriptors to be closed")
    assert proc.threads(gateway.worker_pid) == threads
    assert gateway.rss() - memory < GROWTH_MAX
    gateway.load(subject.config)
