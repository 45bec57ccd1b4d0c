"""basic-auth: who is let in, what a check may cost, and what it must not tell."""

from __future__ import annotations

import base64
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.message import Response
from support.origin import Origin
from support.wait import wait_until

# All of "correct horse".
BCRYPT = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"
BCRYPT_Y = "$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"
YESCRYPT = "$y$j75$turnpike$aohPq1JobP0qnp2SHKoX4MglEAlTbjysKzDnCOyc.t6"
SHA512 = "$6$rounds=1000$turnpike$jl79RTQhKtOqICE4DDdOV2Asnt9kYTf2Xw9h9cqm73tTU7Ss02qYXzsNIAC.pk75nEdkuLrmRFJAkUmyrrTFz."
SHA256 = "$5$rounds=1000$turnpike$8sA1MWvDk8IRrrXrH8yHqRkOZCv/NWI4PLLq3HU0X75"
FORMS = {"bcrypt": BCRYPT, "bcrypt-y": BCRYPT_Y, "yescrypt": YESCRYPT, "sha512": SHA512, "sha256": SHA256}
PASSWORD = "correct horse"


def load(gateway: Gateway, entry: dict[str, Any] | None = None, consumers: dict[str, Any] | None = None, **config: Any) -> None:
    gateway.load(policies=[{"basic-auth": config, **(entry or {})}],
                 consumers=consumers or {"alice": {"password": SHA512}, "bob": {"username": "robert", "password": SHA512}, "guest": {}})


def basic(username: str | bytes, password: str | bytes = PASSWORD) -> str:
    pair = b":".join(part.encode() if isinstance(part, str) else part for part in (username, password))
    return "Basic " + base64.b64encode(pair).decode()


def get(gateway: Gateway, authorization: str | None = None, target: str = "/") -> Response:
    return gateway.get(target, headers={"Authorization": authorization} if authorization is not None else {})


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_hash_is_verified(gateway: Gateway, form: str) -> None:
    load(gateway, consumers={"alice": {"password": FORMS[form]}})
    assert get(gateway, basic("alice")).status == 200
    assert get(gateway, basic("alice", "wrong horse")).status == 401


def test_a_hash_from_openssl_is_verified(gateway: Gateway) -> None:
    made = subprocess.run(["openssl", "passwd", "-6", "pässword: with colon"], capture_output=True, text=True, check=True).stdout.strip()
    load(gateway, consumers={"alice": {"password": made}})
    assert get(gateway, basic("alice", "pässword: with colon")).status == 200


def test_the_consumer_is_identified(gateway: Gateway) -> None:
    load(gateway)
    assert get(gateway, basic("robert")).status == 200
    assert gateway.access_log()[0]["consumer"] == "bob"
    assert get(gateway, basic("bob")).status == 401


def test_without_credentials_a_challenge_is_sent(gateway: Gateway, origin: Origin) -> None:
    load(gateway, realm="shop")
    for authorization in (None, "Bearer abc", "Basi"):
        response = get(gateway, authorization)
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Basic realm="shop", charset="UTF-8"'
        assert response.headers["Content-Type"] == "application/problem+json"
    assert origin.requests == []


def test_unknown_users_and_wrong_passwords_get_the_same_answer(gateway: Gateway, origin: Origin) -> None:
    load(gateway)
    wrong, unknown = get(gateway, basic("alice", "x")), get(gateway, basic("nobody", "x"))
    assert wrong.status == unknown.status == 401
    assert wrong.json()["detail"] == unknown.json()["detail"]
    assert get(gateway, basic("nobody")).status == 401
    assert get(gateway, basic("guest", "")).status == 401
    assert origin.requests == []


MALFORMED = {
    "not base64": "Basic !!!!",
    "half a group": "Basic YWxpY",
    "no colon": "Basic " + base64.b64encode(b"alice").decode(),
    "no name": basic(""),
    "control": basic("alice", "a\tb"),
    "zero": basic("alice", PASSWORD + "\0x"),
    "long name": basic("a" * 300),
    "long password": basic("alice", "a" * 600),
    "very long": basic("alice", "a" * 3000),
    "empty": "Basic ",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_credentials_are_refused(gateway: Gateway, origin: Origin, case: str) -> None:
    load(gateway)
    assert get(gateway, MALFORMED[case]).status == 401
    assert origin.requests == []


def test_two_fields_are_refused(gateway: Gateway, origin: Origin) -> None:
    load(gateway)
    fields = [("Authorization", basic("alice")), ("Authorization", basic("robert"))]
    assert gateway.get("/", headers=fields).status in (400, 401)
    assert origin.requests == []


def test_the_field_is_hidden_unless_told_otherwise(gateway: Gateway, origin: Origin) -> None:
    load(gateway)
    assert get(gateway, basic("alice")).status == 200
    assert "Authorization" not in origin.last.headers
    load(gateway, hide=False)
    assert get(gateway, basic("alice")).status == 200
    assert origin.last.headers["Authorization"] == basic("alice")


def test_a_right_password_is_remembered_only_until_it_changes(gateway: Gateway) -> None:
    load(gateway, consumers={"alice": {"password": SHA512}})
    for _ in range(3):
        assert get(gateway, basic("alice")).status == 200
        assert get(gateway, basic("alice", "wrong horse")).status == 401
    load(gateway, consumers={"alice": {"password": "$6$rounds=1000$turnpike$" + "x" * 86}})
    assert get(gateway, basic("alice")).status == 401


def test_nothing_is_remembered_with_cache_0(gateway: Gateway) -> None:
    load(gateway, cache=0)
    assert [get(gateway, basic("alice")).status for _ in range(3)] == [200, 200, 200]


def test_too_many_checks_at_once_are_refused_whatever_on_error_says(gateway: Gateway, origin: Origin) -> None:
    slow = "$6$rounds=500000$turnpike$" + "x" * 86      # takes some tenths of a second
    load(gateway, {"on_error": "allow"}, consumers={"alice": {"password": slow}}, waiting=1)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: get(gateway, basic("alice", f"guess {i}")), range(8)))
    assert {answer.status for answer in answers} == {401, 503}
    busy = next(answer for answer in answers if answer.status == 503)
    assert busy.headers["Retry-After"] == "1"
    assert origin.requests == []
    assert get(gateway, basic("alice", "one more")).status == 401


def test_a_client_that_leaves_while_its_password_is_checked_leaves_nothing_behind(gateway: Gateway, origin: Origin) -> None:
    slow = "$6$rounds=500000$turnpike$" + "x" * 86
    load(gateway, consumers={"alice": {"password": slow}, "bob": {"password": SHA512}}, waiting=2)
    for i in range(2):
        with gateway.connect() as connection:
            connection.send_request("GET", "/", {"Authorization": basic("alice", f"guess {i}")})
            connection.reset()
    with gateway.connect() as connection:
        while connection.request("GET", "/", {"Authorization": basic("bob")}).status == 503:
            pass
    assert [request.target for request in origin.requests] == ["/"]


def test_anonymous_takes_requests_without_credentials_only(gateway: Gateway) -> None:
    load(gateway, anonymous="guest")
    assert get(gateway).status == 200
    assert get(gateway, basic("alice", "wrong horse")).status == 401
    assert gateway.access_log()[0]["consumer"] == "guest"


def test_one_of_two_identity_policies_is_enough_with_anonymous(gateway: Gateway) -> None:
    gateway.load(policies=[{"key-auth": {"anonymous": "guest"}}, {"basic-auth": {"anonymous": "guest"}}],
                 consumers={"alice": {"password": SHA512}, "bob": {"keys": ["the-key-of-bob-0123456789"]}, "guest": {}})
    assert get(gateway, basic("alice")).status == 200
    assert gateway.get("/", headers={"X-API-Key": "the-key-of-bob-0123456789"}).status == 200
    assert get(gateway).status == 200
    assert sorted(line["consumer"] for line in gateway.access_log(3)) == ["alice", "bob", "guest"]


@pytest.mark.parametrize("on_error, expected", [("deny", 503), ("allow", 200)])
def test_an_anonymous_consumer_that_is_not_there_is_a_fault(gateway: Gateway, on_error: str, expected: int) -> None:
    load(gateway, {"on_error": on_error}, anonymous="nobody")
    assert get(gateway).status == expected


def test_the_policy_runs_only_when_it_should(gateway: Gateway) -> None:
    load(gateway, {"when": "request.path.startsWith('/private')"})
    assert get(gateway, target="/public").status == 200
    assert get(gateway, target="/private").status == 401


BAD = [
    ("      - basic-auth: { relm: x }\n", "", "7:23", "did you mean `realm`?"),
    ("      - basic-auth: { cache: 2h }\n", "", "7:30", "2h"),
    ("      - basic-auth: { waiting: 0 }\n", "", "7:32", "1"),
    ("      - basic-auth: {}\n", "consumers:\n  alice: { password: hunter2 }\n", "9:22", "openssl passwd -6"),
    ("      - basic-auth: {}\n", "consumers:\n  alice: { password: \"$argon2id$v=19$x\" }\n", "9:22", "argon2"),
]


@pytest.mark.parametrize("line, rest, place, said", BAD, ids=[said for _, _, _, said in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, line: str, rest: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  "routes:\n  r:\n    service: a\n    policies:\n" + line + rest)
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr + done.stdout
    assert said in done.stderr + done.stdout
    assert "hunter2" not in done.stderr + done.stdout


def test_a_check_holds_its_place_only_while_it_runs(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"basic-auth": {"waiting": 1, "cache": 0}}], consumers={"alice": {"password": SHA512}})
    gate = origin.hold()
    callers = [threading.Thread(target=get, args=(gateway, basic("alice"))) for _ in range(3)]
    for number, caller in enumerate(callers, 1):
        caller.start()
        wait_until(lambda: len(origin.requests) == number, what="the service to have the request, though others are still there")
    gate.set()
    for caller in callers:
        caller.join(10)
