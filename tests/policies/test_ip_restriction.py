"""ip-restriction: which addresses pass, from the configuration and from files."""

from __future__ import annotations

from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.origin import Origin

TRUSTED = {"trusted_proxies": ["127.0.0.0/8"]}


def load(gateway: Gateway, config: dict[str, Any], **entry: Any) -> None:
    """The tests' own address is a trusted proxy, so that a test can say whom it speaks for."""
    gateway.load(listener=TRUSTED, policies=[{"ip-restriction": config, **entry}])


def ask(gateway: Gateway, address: str, target: str = "/") -> int:
    return gateway.get(target, headers={"X-Forwarded-For": address}).status


CASES = [
    ({"allow": ["192.0.2.0/24"]}, ["192.0.2.0", "192.0.2.255"], ["192.0.1.255", "192.0.3.0", "2001:db8::1"]),
    ({"allow": "192.0.2.7"}, ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.6", "192.0.2.8"]),
    ({"deny": ["192.0.2.0/24", "2001:db8::/32"]}, ["192.0.3.1", "2001:db9::1"], ["192.0.2.1", "2001:db8:ffff::1"]),
    ({"allow": ["192.0.2.0/24"], "deny": ["192.0.2.66", "10.0.0.0/8"]}, ["192.0.2.1"], ["192.0.2.66", "10.1.2.3", "198.51.100.1"]),
    ({"allow": ["2001:db8::/48", "0.0.0.0/0"]}, ["2001:db8::1", "1.2.3.4"], ["2001:db8:1::1"]),
    ({"allow": ["0.0.0.0/0", "::/0"]}, ["1.2.3.4", "2001:db8::1"], []),
    ({"allow": [f"10.{i}.0.0/16" for i in range(0, 200, 2)]}, ["10.0.0.1", "10.198.1.1"], ["10.1.0.1", "10.199.0.1"]),
]


@pytest.mark.parametrize("config, passing, refused", CASES, ids=[str(config)[:60] for config, _, _ in CASES])
def test_ranges_let_through_whom_they_hold(gateway: Gateway, config: dict[str, Any], passing: list[str], refused: list[str]) -> None:
    load(gateway, config)
    for address in passing:
        assert ask(gateway, address) == 200, address
    for address in refused:
        assert ask(gateway, address) == 403, address


def test_what_an_untrusted_client_says_of_its_address_does_not_count(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"ip-restriction": {"allow": ["192.0.2.0/24"]}}])
    assert ask(gateway, "192.0.2.1") == 403
    gateway.load(policies=[{"ip-restriction": {"deny": ["127.0.0.0/8"]}}])
    assert ask(gateway, "192.0.2.1") == 403
    assert origin.requests == []


def test_a_refusal_is_a_problem_document_with_the_status_and_message_set(gateway: Gateway, origin: Origin) -> None:
    load(gateway, {"deny": "192.0.2.1"})
    response = gateway.get("/", headers={"X-Forwarded-For": "192.0.2.1"})
    assert response.status == 403
    assert response.headers["Content-Type"] == "application/problem+json"
    load(gateway, {"deny": "192.0.2.1", "status": 404, "message": "Nothing here."})
    response = gateway.get("/", headers={"X-Forwarded-For": "192.0.2.1"})
    assert (response.status, response.json()["detail"]) == (404, "Nothing here.")
    assert origin.requests == []


def test_ranges_come_from_a_file_beside_the_configuration(gateway: Gateway) -> None:
    (gateway.folder / "blocked.txt").write_text("# kept out\n192.0.2.0/24   # a network\r\n\n  2001:db8::1\n198.51.100.7")
    load(gateway, {"deny": [{"file": "blocked.txt"}, "203.0.113.1"]})
    for address in ("192.0.2.9", "2001:db8::1", "198.51.100.7", "203.0.113.1"):
        assert ask(gateway, address) == 403, address
    assert ask(gateway, "198.51.100.8") == 200


def test_a_reload_reads_the_file_again(gateway: Gateway) -> None:
    path = gateway.folder / "blocked.txt"
    path.write_text("192.0.2.1\n")
    load(gateway, {"deny": {"file": str(path)}})
    assert ask(gateway, "192.0.2.2") == 200
    path.write_text("192.0.2.2\n")
    gateway.reload()
    assert ask(gateway, "192.0.2.2") == 403
    assert ask(gateway, "192.0.2.1") == 200


def test_a_file_that_went_bad_leaves_the_old_list_in_force(gateway: Gateway) -> None:
    path = gateway.folder / "blocked.txt"
    path.write_text("192.0.2.1\n")
    load(gateway, {"deny": {"file": str(path)}})
    path.write_text("192.0.2.1\n\n192.0.2.300\n")
    assert "blocked.txt:3" in gateway.reload_refused()
    assert ask(gateway, "192.0.2.1") == 403
    path.unlink()
    assert "there is no such file" in gateway.reload_refused()
    assert ask(gateway, "192.0.2.1") == 403


def test_an_allow_list_from_an_empty_file_refuses_everyone(gateway: Gateway) -> None:
    (gateway.folder / "empty.txt").write_text("# nobody yet\n")
    load(gateway, {"allow": {"file": "empty.txt"}})
    assert ask(gateway, "192.0.2.1") == 403
    assert gateway.get("/").status == 403


def test_the_policy_runs_only_when_it_should(gateway: Gateway) -> None:
    load(gateway, {"allow": "192.0.2.1"}, when="request.path.startsWith('/admin')")
    assert ask(gateway, "192.0.2.2", "/shop") == 200
    assert ask(gateway, "192.0.2.2", "/admin") == 403


@pytest.mark.parametrize("on_error, expected", [("deny", 503), ("allow", 403)])
def test_a_condition_that_fails_is_a_fault_and_no_way_around_the_policy(gateway: Gateway, on_error: str, expected: int) -> None:
    load(gateway, {"allow": "192.0.2.1"}, when="int(request.headers['x-count']) > 1", on_error=on_error)
    assert ask(gateway, "192.0.2.2") == expected


def test_an_address_that_is_kept_out_costs_no_password_check(gateway: Gateway, origin: Origin) -> None:
    gateway.load(listener=TRUSTED, policies=[{"key-auth": {}}, {"ip-restriction": {"deny": "192.0.2.1"}}])
    assert ask(gateway, "192.0.2.1") == 403
    assert ask(gateway, "192.0.2.2") == 401


BAD = [
    ("      - ip-restriction: {}\n", "7:25", "neither whom to `allow` nor whom to `deny`"),
    ("      - ip-restriction: { alow: 10.0.0.0/8 }\n", "7:27", "did you mean `allow`?"),
    ("      - ip-restriction: { allow: [10.0.0.0/8, 10.0.0.0/33] }\n", "7:47", "`10.0.0.0/33`"),
    ("      - ip-restriction: { allow: 10.0.0.1/8 }\n", "7:34", "no bits set behind the prefix"),
    ("      - ip-restriction: { deny: [{ file: none.txt }] }\n", "7:34", "there is no such file"),
    ("      - ip-restriction: { deny: [{}] }\n", "7:34", "a range or `{file: PATH}`"),
    ("      - ip-restriction: { deny: [{ file: /dev/zero }] }\n", "7:34", "not a regular file"),
]


@pytest.mark.parametrize("line, place, said", BAD, ids=[line.strip() for line, _, _ in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, line: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  "routes:\n  r:\n    service: a\n    policies:\n" + line)
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr + done.stdout
    assert said in done.stderr + done.stdout
