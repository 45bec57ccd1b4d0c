"""Consumers: who calls, what they may, and how their credentials are kept."""

from __future__ import annotations

import pytest

from support import proc
from support.binary import turnpike
from support.gateway import Gateway
from support.origin import Origin

KEY_AUTH = [{"key-auth": {}}]


def key(value: str) -> dict[str, str]:
    return {"X-API-Key": value}


def test_a_key_names_its_consumer(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=KEY_AUTH, consumers={"alice": {"keys": ["alice-key"]}, "bob": {"keys": ["bob-key"]}})
    assert gateway.get("/", headers=key("alice-key")).status == 200
    assert gateway.get("/", headers=key("bob-key")).status == 200
    assert sorted(entry["consumer"] for entry in gateway.access_log(2)) == ["alice", "bob"]


@pytest.mark.parametrize("sent", ["", "alice", "alice-ke", "alice-keyy", "ALICE-KEY", "alice-key,alice-key",
                                  "x" * 5000])
def test_a_wrong_key_is_refused(gateway: Gateway, origin: Origin, sent: str) -> None:
    gateway.load(policies=KEY_AUTH, consumers={"alice": {"keys": ["alice-key"]}})
    assert gateway.get("/", headers=key(sent)).status == 401
    assert origin.requests == []


def test_two_key_fields_are_refused(gateway: Gateway, origin: Origin) -> None:
    """Which of them counts is a question that the gateway and the origin might answer differently."""
    gateway.load(policies=KEY_AUTH, consumers={"alice": {"keys": ["alice-key"]}})
    assert gateway.get("/", headers=[("X-API-Key", "alice-key"), ("X-API-Key", "other")]).status in (400, 401)
    assert origin.requests == []


def test_a_consumer_may_have_several_keys(gateway: Gateway) -> None:
    gateway.load(policies=KEY_AUTH, consumers={"alice": {"keys": ["old-key", "new-key"]}})
    for value in ("old-key", "new-key"):
        assert gateway.get("/", headers=key(value)).status == 200


def test_a_key_may_come_from_the_environment(gateway: Gateway) -> None:
    gateway.env["ALICE_KEY"] = "from-the-environment"
    gateway.load(policies=KEY_AUTH, consumers={"alice": {"keys": ["${env:ALICE_KEY}"]}})
    assert gateway.get("/", headers=key("from-the-environment")).status == 200


def test_a_key_may_come_from_a_file_and_is_read_again_on_reload(gateway: Gateway) -> None:
    secret = gateway.folder / "alice.key"
    secret.write_text("first-key\n")
    parts = {"policies": KEY_AUTH, "consumers": {"alice": {"keys": [f"${{file:{secret}}}"]}}}
    gateway.load(**parts)
    assert gateway.get("/", headers=key("first-key")).status == 200
    secret.write_text("second-key\n")
    gateway.load(**parts)
    assert gateway.get("/", headers=key("first-key")).status == 401
    assert gateway.get("/", headers=key("second-key")).status == 200


def test_a_key_that_was_taken_away_ends_at_once(gateway: Gateway) -> None:
    gateway.load(policies=KEY_AUTH, consumers={"alice": {"keys": ["alice-key"]}, "bob": {"keys": ["bob-key"]}})
    with gateway.connect() as client:
        assert client.get("/", key("alice-key")).status == 200
        gateway.load(policies=KEY_AUTH, consumers={"bob": {"keys": ["bob-key"]}})
        assert client.get("/", key("alice-key")).status == 401
        assert client.get("/", key("bob-key")).status == 200


def test_the_same_key_for_two_consumers_is_a_configuration_error(gateway: Gateway) -> None:
    gateway.write(gateway.full_config(consumers={"alice": {"keys": ["shared-key"]}, "bob": {"keys": ["shared-key"]}}))
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "alice" in said and "bob" in said
    assert "shared-key" not in said, "a message never prints a secret"


def test_keys_are_in_no_output(gateway: Gateway) -> None:
    gateway.load(policies=KEY_AUTH, consumers={"alice": {"keys": ["the-secret-key"]}}, log={"level": "debug"})
    gateway.get("/", headers=key("the-secret-key"))
    gateway.get("/", headers=key("the-secret-keyy"))
    for path in ("/status", "/metrics", "/exchanges"):
        assert "the-secret-key" not in gateway.admin_response(path).text
    assert "the-secret-key" not in gateway.log()


def test_keys_are_not_kept_in_memory_in_the_clear(gateway: Gateway) -> None:
    """Reads the memory of the gateway process, as an attacker with a core file would."""
    secret = gateway.folder / "key"
    parts = [f"needle-{number}" for number in range(3)]
    secret.write_text("-".join(parts))
    gateway.load(policies=KEY_AUTH, consumers={"alice": {"keys": [f"${{file:{secret}}}"]}})
    secret.unlink()
    for _ in range(50):
        gateway.get("/", headers=key("another"))
    assert not _in_memory(gateway.worker_pid, "-".join(parts).encode())


def _in_memory(pid: int, needle: bytes) -> bool:
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            start, end = (int(edge, 16) for edge in span.split("-"))
            if not rights.startswith("rw") or end - start > 256 * 1024 * 1024:
                continue
            try:
                memory.seek(start)
                if needle in memory.read(end - start):
                    return True
            except (OSError, ValueError, OverflowError):
                continue
    return False


# Scopes


def test_a_policy_of_a_consumer_replaces_that_of_the_route(gateway: Gateway) -> None:
    limit = lambda count: {"rate-limit": {"limit": count, "window": "1h", "key": "consumer.name"}}  # noqa: E731
    gateway.load(policies=[*KEY_AUTH, limit(2)],
                 consumers={"alice": {"keys": ["alice-key"]}, "bob": {"keys": ["bob-key"], "policies": [limit(4)]}})
    assert [gateway.get("/", headers=key("alice-key")).status for _ in range(3)] == [200, 200, 429]
    assert [gateway.get("/", headers=key("bob-key")).status for _ in range(5)] == [200] * 4 + [429]


def test_a_policy_of_a_group_holds_for_its_members(gateway: Gateway) -> None:
    limit = {"rate-limit": {"limit": 1, "window": "1h", "key": "consumer.name"}}
    gateway.load(policies=KEY_AUTH, groups={"trial": {"policies": [limit]}},
                 consumers={"alice": {"keys": ["alice-key"], "groups": ["trial"]}, "bob": {"keys": ["bob-key"]}})
    assert [gateway.get("/", headers=key("alice-key")).status for _ in range(2)] == [200, 429]
    assert [gateway.get("/", headers=key("bob-key")).status for _ in range(3)] == [200] * 3


def test_counts_are_kept_apart_by_consumer(gateway: Gateway) -> None:
    gateway.load(policies=[*KEY_AUTH, {"rate-limit": {"limit": 2, "window": "1h", "key": "consumer.name"}}],
                 consumers={"alice": {"keys": ["alice-key"]}, "bob": {"keys": ["bob-key"]}})
    for who in ("alice-key", "bob-key"):
        assert [gateway.get("/", headers=key(who)).status for _ in range(3)] == [200, 200, 429]


def test_a_condition_may_ask_who_calls(gateway: Gateway) -> None:
    gateway.load(policies=[*KEY_AUTH,
                           {"respond": {"status": 403},
                            "when": 'consumer.name == "bob" || "banned" in consumer.groups'}],
                 consumers={"alice": {"keys": ["a-key"]}, "bob": {"keys": ["b-key"]},
                            "carol": {"keys": ["c-key"], "groups": ["banned"]}})
    assert [gateway.get("/", headers=key(who)).status for who in ("a-key", "b-key", "c-key")] == [200, 403, 403]


# Many


def test_many_consumers_are_told_apart_in_little_memory(gateway: Gateway) -> None:
    count = 50_000
    gateway.load(policies=KEY_AUTH)
    before = proc.rss(gateway.worker_pid)
    lines = "".join(f'  consumer-{number}: {{ keys: ["key-of-consumer-{number}"] }}\n' for number in range(count))
    gateway.write(gateway.config_path.read_text() + "consumers:\n" + lines)
    gateway.reload()
    for number in (0, 1, 777, count // 2, count - 1):
        assert gateway.get("/", headers=key(f"key-of-consumer-{number}")).status == 200
    assert gateway.get("/", headers=key(f"key-of-consumer-{count}")).status == 401
    assert {"consumer-0", "consumer-1"} <= {entry.get("consumer") for entry in gateway.access_log(5)}
    assert proc.rss(gateway.worker_pid) - before < 128 * 1024 * 1024
