"""jwt: which tokens are good, where they are looked for, what is done with their claims, and every known way to forge one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from support.binary import turnpike
from support.gateway import Gateway
from support.message import Response
from support.origin import Origin
from support.wait import wait_until

SECRET = "a-secret-of-sixty-four-bytes-for-all-of-the-three-hash-sizes-012"
NOW = time.time()
CLAIMS: dict[str, Any] = {"sub": "alice", "exp": int(NOW) + 86400}
PEM = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

RSA = rsa.generate_private_key(65537, 2048)
CURVES = {"ES256": ec.generate_private_key(ec.SECP256R1()), "ES384": ec.generate_private_key(ec.SECP384R1()),
          "ES512": ec.generate_private_key(ec.SECP521R1())}
ED = ed25519.Ed25519PrivateKey.generate()


def private_key(alg: str) -> Any:
    return SECRET if alg[0] == "H" else CURVES[alg] if alg[0:2] == "ES" else ED if alg == "EdDSA" else RSA


def pem(key: Any) -> str:
    return key.public_key().public_bytes(*PEM).decode()


def key_entry(alg: str, **more: str) -> dict[str, str]:
    key = private_key(alg)
    return {"alg": alg, **({"secret": key} if alg[0] == "H" else {"key": pem(key)}), **more}


HS256 = [key_entry("HS256")]


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(header: str | bytes, payload: str | bytes, secret: str = SECRET) -> str:
    """A token of exactly these texts, signed with HS256 whatever its header says."""
    parts = [part.encode() if isinstance(part, str) else part for part in (header, payload)]
    message = ".".join(encode(part) for part in parts)
    return message + "." + encode(hmac.new(secret.encode(), message.encode(), hashlib.sha256).digest())


def token(claims: dict[str, Any] | None = None, alg: str = "HS256", key: Any = None, headers: dict[str, Any] | None = None,
          **more: Any) -> str:
    payload = {**(CLAIMS if claims is None else claims), **more}
    header = {"alg": alg, "typ": "JWT", **(headers or {})}
    if alg == "HS256":
        return raw(json.dumps(header), json.dumps(payload), key or SECRET)
    return pyjwt.encode(payload, key or private_key(alg), algorithm=alg, headers=headers)


def load(gateway: Gateway, entry: dict[str, Any] | None = None, more: list[Any] | None = None,
         parts: dict[str, Any] | None = None, **config: Any) -> None:
    policies = [{"jwt": {"keys": HS256, **config}, **(entry or {})}, *(more or [])]
    gateway.load(policies=policies, **(parts or {}))


def send(gateway: Gateway, value: str, target: str = "/") -> Response:
    return gateway.get(target, headers={"Authorization": f"Bearer {value}"})


def refused(gateway: Gateway, value: str, said: str, status: int = 401, error: str = "invalid_token") -> None:
    response = send(gateway, value)
    assert (response.status, response.json()["detail"]) == (status, said)
    assert f'error="{error}", error_description="{said[:-1]}"' in response.headers["WWW-Authenticate"]


# Signatures

ALGORITHMS = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def test_every_algorithm_is_verified(gateway: Gateway, origin: Origin) -> None:
    load(gateway, keys=[key_entry(alg) for alg in ALGORITHMS])
    for alg in ALGORITHMS:
        good = pyjwt.encode(CLAIMS, private_key(alg), algorithm=alg)
        for _ in range(2):   # the second time it is known
            assert send(gateway, good).status == 200, alg
        head, payload, signature = good.split(".")
        middle = len(signature) // 2
        broken = signature[:middle] + ("A" if signature[middle] != "A" else "B") + signature[middle + 1:]
        assert send(gateway, f"{head}.{payload}.{broken}").status == 401, alg
        assert send(gateway, f"{head}.{payload}.").status == 401, alg
        assert send(gateway, f"{head}.{payload}.{signature[:-4]}").status == 401, alg
        other = encode(json.dumps({**CLAIMS, "sub": "mallory"}).encode())
        assert send(gateway, f"{head}.{other}.{signature}").status == 401, alg
    assert len(origin.requests) == 2 * len(ALGORITHMS)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", "HS256 ", "hs256", "HS384", "RS256", "ES256"])
def test_the_token_does_not_choose_its_algorithm(gateway: Gateway, alg: str) -> None:
    load(gateway)
    refused(gateway, raw(json.dumps({"alg": alg}), json.dumps(CLAIMS)), "The token is signed with an unknown key or algorithm.")


@pytest.mark.parametrize("alg", ["none", "None"])
def test_a_token_without_signature_is_refused(gateway: Gateway, alg: str) -> None:
    load(gateway)
    message = encode(json.dumps({"alg": alg}).encode()) + "." + encode(json.dumps(CLAIMS).encode())
    for value in (message, message + ".", message + ".AA"):
        assert send(gateway, value).status == 401


def test_a_public_key_is_no_secret(gateway: Gateway) -> None:
    """The oldest forgery: HS256 with the text of the public key as its secret."""
    load(gateway, keys=[key_entry("RS256")])
    for secret in (pem(RSA), pem(RSA).strip(), pem(RSA) + "\n"):
        refused(gateway, token(key=secret), "The token is signed with an unknown key or algorithm.")


def test_a_signature_by_another_key_is_refused(gateway: Gateway) -> None:
    load(gateway)
    refused(gateway, token(key="another-secret-of-more-than-32-bytes"), "The signature of the token is wrong.")


def test_zeroes_are_no_ecdsa_signature(gateway: Gateway) -> None:
    load(gateway, keys=[key_entry("ES256")])
    message = token(alg="ES256").rpartition(".")[0]
    for signature in (bytes(64), bytes(63) + b"\1", b"\xff" * 64, bytes(0), bytes(32)):
        assert send(gateway, f"{message}.{encode(signature)}").status == 401


def test_a_der_signature_is_refused(gateway: Gateway) -> None:
    from cryptography.hazmat.primitives import hashes
    load(gateway, keys=[key_entry("ES256")])
    message = token(alg="ES256").rpartition(".")[0]
    der = CURVES["ES256"].sign(message.encode(), ec.ECDSA(hashes.SHA256()))
    assert send(gateway, f"{message}.{encode(der)}").status == 401


def test_keys_are_chosen_by_their_id(gateway: Gateway) -> None:
    keys = [{"alg": "HS256", "secret": "1" * 32, "kid": "one"}, {"alg": "HS256", "secret": "2" * 32, "kid": "two"}]
    load(gateway, keys=keys)
    assert send(gateway, token(key="1" * 32, headers={"kid": "one"})).status == 200
    assert send(gateway, token(key="2" * 32, headers={"kid": "two"})).status == 200
    assert send(gateway, token(key="2" * 32)).status == 200, "without an id all are tried"
    refused(gateway, token(key="2" * 32, headers={"kid": "one"}), "The signature of the token is wrong.")
    refused(gateway, token(key="2" * 32, headers={"kid": "three"}), "The token is signed with an unknown key or algorithm.")
    assert send(gateway, token(key="2" * 32, headers={"kid": 2})).status == 401
    load(gateway, keys=[{"alg": "HS256", "secret": "1" * 32}])
    assert send(gateway, token(key="1" * 32, headers={"kid": "any"})).status == 200, "a key without an id fits any"


def test_keys_in_the_token_are_not_used(gateway: Gateway) -> None:
    jwk = {"kty": "oct", "k": encode(b"x" * 32)}
    load(gateway)
    for headers in ({"jwk": jwk}, {"jku": "http://127.0.0.1:1/"}, {"x5u": "http://127.0.0.1:1/"}, {"kid": "../../dev/null"}):
        assert send(gateway, token(key="x" * 32, headers=headers)).status == 401
        assert send(gateway, token(headers=headers)).status == 200


# Form

@pytest.fixture(scope="module")
def hs256_gateway(module_gateway: Gateway) -> Gateway:
    load(module_gateway)
    return module_gateway


HEADER = '{"alg":"HS256"}'


@pytest.mark.parametrize("header,payload", [
    ("", '{"exp":9999999999}'), ("{}", '{"exp":9999999999}'), ("[]", '{"exp":9999999999}'), ('"alg"', '{"exp":9999999999}'),
    ('{"alg":"HS256"', '{"exp":9999999999}'), ('{"alg":"HS256"} x', '{"exp":9999999999}'), ('{"alg":256}', '{"exp":9999999999}'),
    ('{"alg":"HS256","alg":"HS256"}', '{"exp":9999999999}'), ('{"alg":"HS256","\\u0061lg":"none"}', '{"exp":9999999999}'),
    (HEADER, ""), (HEADER, "[]"), (HEADER, "null"), (HEADER, "{"), (HEADER, '{"exp":9999999999}}'), (HEADER, '{"exp":9999999999,}'),
    (HEADER, '{"exp":1,"exp":9999999999}'), (HEADER, '{"exp":9999999999,"a":{"b":1,"b":2}}'), (HEADER, '{"exp":9999999999,"a":[{"b":1,"b":2}]}'),
    (HEADER, b'{"exp":9999999999,"a":"\xff"}'), (HEADER, '{"exp":9999999999,"a":"\x01"}'), (HEADER, "[" * 3000), (HEADER, '{"exp":0x99}'),
])
def test_garbage_is_malformed_even_if_it_is_signed(hs256_gateway: Gateway, header: str, payload: str | bytes) -> None:
    refused(hs256_gateway, raw(header, payload), "The token is malformed.")


def test_names_that_look_alike_inside_of_strings_are_no_repetition(gateway: Gateway) -> None:
    load(gateway)
    assert send(gateway, raw(HEADER, '{"a":":\\":","exp":9999999999,"b":{"exp":1},"c\\"":[{"a":1},{"a":2}]}')).status == 200


def test_one_token_has_one_spelling(gateway: Gateway) -> None:
    load(gateway)
    good = token()
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    stray = good[:-1] + last[last.index(good[-1]) + 1]
    for value in (stray, good + "=", good + "A", good[:-1], good.replace(".", "..", 1), good + ".", "." + good, good + ".x.y",
                  good.replace(".", " .", 1), good[:10] + "+" + good[11:], "x", "..", ".", "a.b.c"):
        assert send(gateway, value).status == 401, value
    assert send(gateway, good).status == 200


def test_critical_extensions_are_refused(gateway: Gateway) -> None:
    load(gateway)
    refused(gateway, token(headers={"crit": ["exp"]}), "The token has critical extensions that are not supported.")
    refused(gateway, token(headers={"crit": ["b64"], "b64": False}), "The token has critical extensions that are not supported.")


def test_a_long_token_is_verified_and_a_longer_one_refused(gateway: Gateway) -> None:
    load(gateway)
    for _ in range(2):
        assert send(gateway, token(text="x" * 4000)).status == 200
    refused(gateway, token(text="x" * 8000), "The token is too long.")


# Dates

def test_an_expired_token_is_refused(gateway: Gateway) -> None:
    load(gateway)
    for expiry in (0, -1, int(NOW) - 1, NOW - 0.5, 1e3, -1e300):
        refused(gateway, token({"exp": expiry}), "The token has expired.")
    for expiry in (NOW + 1000.5, 1e300, 9223372036854775807, 92233720368547758080):
        assert send(gateway, token({"exp": expiry})).status == 200


def test_a_known_token_expires_too(gateway: Gateway) -> None:
    load(gateway)
    short = token({"exp": time.time() + 1.5})
    assert send(gateway, short).status == 200
    wait_until(lambda: send(gateway, short).status == 401, what="the end of the token")


def test_a_token_must_expire_unless_that_is_not_required(gateway: Gateway) -> None:
    load(gateway)
    refused(gateway, token({"sub": "alice"}), "The token has no expiry.")
    load(gateway, require_expiry=False)
    assert send(gateway, token({"sub": "alice"})).status == 200


def test_a_token_from_the_future_is_refused(gateway: Gateway) -> None:
    load(gateway)
    refused(gateway, token(nbf=NOW + 1000), "The token is not valid yet.")
    refused(gateway, token(iat=NOW + 1000), "The token was issued in the future.")
    assert send(gateway, token(nbf=NOW - 10, iat=NOW - 10.5)).status == 200


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["9999999999", None, True, [1], {}])
def test_a_date_that_is_no_number_is_refused(gateway: Gateway, name: str, value: Any) -> None:
    load(gateway)
    refused(gateway, token(**{name: value}), "The token has a date that is not a number.")


def test_leeway(gateway: Gateway) -> None:
    load(gateway, leeway="30m")
    for claims in ({"exp": NOW - 60}, {**CLAIMS, "nbf": NOW + 60}, {**CLAIMS, "iat": NOW + 60}):
        assert send(gateway, token(claims)).status == 200
    refused(gateway, token({"exp": NOW - 3600}), "The token has expired.")


def test_the_greatest_age(gateway: Gateway) -> None:
    load(gateway, max_age="10m")
    assert send(gateway, token(iat=NOW - 60)).status == 200
    refused(gateway, token(iat=NOW - 1200), "The token is too old.")
    refused(gateway, token(), "The token does not say when it was issued.")


# Claims

def test_the_issuer(gateway: Gateway) -> None:
    load(gateway, issuer="https://a.example")
    assert send(gateway, token(iss="https://a.example")).status == 200
    for claims in ({}, {"iss": "https://b.example"}, {"iss": ["https://a.example"]}, {"iss": None}, {"iss": "https://a.example/"}):
        refused(gateway, token(**claims), "The issuer of the token is not accepted here.")
    load(gateway, issuer=["https://a.example", "https://b.example"])
    assert send(gateway, token(iss="https://b.example")).status == 200


def test_the_audience(gateway: Gateway) -> None:
    load(gateway, audience=["orders", "shop"])
    for audience in ("orders", "shop", ["x", "shop"]):
        assert send(gateway, token(aud=audience)).status == 200
    for claims in ({}, {"aud": "x"}, {"aud": []}, {"aud": ["x", 1]}, {"aud": {"orders": 1}}, {"aud": "orders shop"}):
        refused(gateway, token(**claims), "The token is meant for another audience.")


def test_scopes(gateway: Gateway) -> None:
    load(gateway, scopes=["read", "write"])
    for claims in ({"scope": "read write"}, {"scope": "write x read"}, {"scp": ["write", "read"]}, {"scp": "read write"},
                   {"scope": "read", "scp": ["write"]}):
        assert send(gateway, token(**claims)).status == 200, claims
    for claims in ({}, {"scope": "read"}, {"scope": "readwrite"}, {"scp": [["read", "write"]]}, {"scope": 1}):
        response = send(gateway, token(**claims))
        assert response.status == 403
        assert response.headers["WWW-Authenticate"] == (
            'Bearer realm="api", error="insufficient_scope", error_description="The token lacks a scope that this needs", '
            'scope="read write"')


def test_a_condition_on_the_claims(gateway: Gateway, origin: Origin) -> None:
    gateway.load(routes={"tenants": {"match": {"path": "/{tenant}/*"}, "policies": [
        {"jwt": {"keys": HS256, "require": "auth.claims.tenant == request.params.tenant"}, "on_error": "allow"}]}})
    mine = token(tenant="a")
    for _ in range(2):   # from the cache too
        assert send(gateway, mine, "/a/x").status == 200
        assert send(gateway, mine, "/b/x").status == 403
        assert send(gateway, token(), "/a/x").status == 403, "a claim that is missing opens nothing"
    assert len(origin.requests) == 2


def test_claims_are_there_for_other_policies(gateway: Gateway) -> None:
    load(gateway, more=[{"rate-limit": {"limit": 1, "window": "24h", "key": "auth.claims.sub"}}])
    assert [send(gateway, token(sub=name)).status for name in ("a", "a", "b", "b")] == [200, 429, 200, 429]


def test_claims_of_every_kind_are_read(gateway: Gateway) -> None:
    load(gateway, require='auth.claims.roles.exists(r, r == "admin") && auth.claims.deep.er[1].x == 2.5 && '
                          'auth.claims["https://a/b"] == "\\u00e4" && auth.claims.size() == 5 && has(auth.claims.sub)')
    good = token(roles=["user", "admin"], deep={"er": [0, {"x": 2.5}]}, **{"https://a/b": "ä"})
    assert [send(gateway, good).status for _ in range(3)] == [200] * 3


# Consumers

CONSUMERS = {"alice": {"keys": ["key-of-alice-0123456789"], "groups": ["gold"]}, "guest": {}}


def test_a_claim_may_name_the_consumer(gateway: Gateway) -> None:
    load(gateway, parts={"consumers": CONSUMERS}, consumer_claim="sub")
    for _ in range(2):
        assert send(gateway, token()).status == 200
    assert [entry["consumer"] for entry in gateway.access_log(2)] == ["alice", "alice"]
    for claims in ({"sub": "bob"}, {"sub": ""}, {"sub": 1}):
        refused(gateway, token({**CLAIMS, **claims}), "The token belongs to no known consumer.")
    refused(gateway, token({"exp": CLAIMS["exp"]}), "The token belongs to no known consumer.")


def test_the_consumer_may_be_optional(gateway: Gateway) -> None:
    load(gateway, parts={"consumers": CONSUMERS}, consumer_claim="sub", consumer_optional=True,
         more=[{"rate-limit": {"limit": 2, "window": "24h", "key": 'consumer.name + "/" + auth.method'}}])
    assert [send(gateway, token(sub=name)).status for name in ("bob", "alice", "bob", "alice", "eve", "alice")] == [200] * 4 + [429] * 2


def test_a_consumer_that_was_taken_away_ends_at_once(gateway: Gateway) -> None:
    load(gateway, parts={"consumers": CONSUMERS}, consumer_claim="sub")
    assert send(gateway, token()).status == 200
    load(gateway, parts={"consumers": {"guest": {}}}, consumer_claim="sub")
    assert send(gateway, token()).status == 401


def test_anonymous_is_for_requests_without_a_token_only(gateway: Gateway) -> None:
    load(gateway, parts={"consumers": CONSUMERS}, anonymous="guest")
    assert gateway.get("/").status == 200
    assert gateway.access_log(1)[0]["consumer"] == "guest"
    assert send(gateway, "garbage").status == 401
    assert gateway.get("/", headers={"Authorization": "Basic YTpi"}).status == 200


# Places

def test_a_request_without_a_token_is_challenged(gateway: Gateway, origin: Origin) -> None:
    load(gateway, realm="shop")
    response = gateway.get("/")
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="shop"'
    assert response.headers["Content-Type"] == "application/problem+json"
    assert origin.requests == []


def test_only_the_scheme_bearer_counts_in_authorization(gateway: Gateway) -> None:
    load(gateway)
    for prefix, status in (("Bearer ", 200), ("bearer ", 200), ("BEARER   ", 200), ("", 401), ("Basic ", 401), ("Bearer", 401), ("Token ", 401)):
        assert gateway.get("/", headers={"Authorization": prefix + token()}).status == status, prefix


def test_other_places(gateway: Gateway) -> None:
    load(gateway, header=["X-Token", "Authorization"], query="access_token", cookie=["session", "jwt"])
    good = token()
    assert gateway.get("/", headers={"x-token": good}).status == 200
    assert gateway.get("/", headers={"X-Token": f"Bearer {good}"}).status == 200
    assert gateway.get(f"/?a=1&access_token={good}").status == 200
    assert gateway.get("/", headers={"Cookie": f"a=b; jwt={good}; c=d"}).status == 200
    assert send(gateway, good).status == 200
    assert gateway.get("/", headers={"X-Other": good}).status == 401
    load(gateway, header=[], cookie="session")
    assert send(gateway, good).status == 401


def test_different_tokens_in_one_request_are_refused(gateway: Gateway, origin: Origin) -> None:
    load(gateway, query="t")
    one, two = token(), token(n=2)
    assert gateway.get(f"/?t={one}", headers={"Authorization": f"Bearer {one}"}).status == 200
    for response in (gateway.get(f"/?t={two}", headers={"Authorization": f"Bearer {one}"}),
                     gateway.get("/", headers=[("Authorization", f"Bearer {one}"), ("Authorization", f"Bearer {two}")])):
        assert response.status == 400
        assert 'error="invalid_request"' in response.headers["WWW-Authenticate"]
    assert len(origin.requests) == 1


def test_the_token_goes_on_unless_it_is_hidden(gateway: Gateway, origin: Origin) -> None:
    good = token()
    fields = {"Authorization": f"Bearer {good}", "Cookie": f"a=b; jwt={good}; c=d"}
    load(gateway, query="t", cookie="jwt")
    assert gateway.get(f"/x?a=1&t={good}&b", headers=fields).status == 200
    assert origin.last.headers["Authorization"] == f"Bearer {good}"
    assert origin.last.target == f"/x?a=1&t={good}&b"
    load(gateway, query="t", cookie="jwt", hide=True)
    assert gateway.get(f"/x?a=1&t={good}&b", headers=fields).status == 200
    assert "Authorization" not in origin.last.headers
    assert origin.last.headers["Cookie"] == "a=b; c=d"
    assert origin.last.target == "/x?a=1&b"


def test_tokens_are_in_no_log(gateway: Gateway) -> None:
    load(gateway, query="t", parts={"log": {"level": "debug"}})
    good, bad = token(), token(key="another-secret-of-more-than-32-bytes")
    assert gateway.get(f"/?t={good}&a=1").status == 200
    assert gateway.get(f"/?t={bad}").status == 401
    lines = "\n".join(gateway.access_log_lines(2)) + gateway.log()
    for value in (good, bad, SECRET):
        assert value not in lines
    assert "a=1" in lines


# The policy in its surroundings

def test_the_condition_decides_who_needs_a_token(gateway: Gateway) -> None:
    load(gateway, {"when": 'request.path != "/open"'})
    assert gateway.get("/open").status == 200
    assert gateway.get("/closed").status == 401


def test_errors_that_are_allowed_let_no_bad_token_through(gateway: Gateway, origin: Origin) -> None:
    load(gateway, {"on_error": "allow"})
    assert gateway.get("/").status == 401
    assert send(gateway, "garbage").status == 401
    assert origin.requests == []


def test_a_reload_ends_what_the_old_keys_opened(gateway: Gateway) -> None:
    load(gateway)
    with gateway.connect() as client:
        fields = {"Authorization": f"Bearer {token()}"}
        assert [client.get("/", fields).status for _ in range(2)] == [200, 200]
        load(gateway, keys=[{"alg": "HS256", "secret": "another-secret-of-more-than-32-bytes"}])
        assert client.get("/", fields).status == 401


def test_more_tokens_than_are_remembered(gateway: Gateway) -> None:
    for cache in (0, 1, 5):
        load(gateway, cache=cache)
        with gateway.connect() as client:
            for _ in range(2):
                for number in range(12):
                    assert client.get("/", {"Authorization": f"Bearer {token(n=number)}"}).status == 200


# Keys from files and sets

def jwk(key: Any, **more: Any) -> dict[str, Any]:
    numbers = key.public_key().public_numbers() if not isinstance(key, ed25519.Ed25519PrivateKey) else None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        x = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": encode(x), **more}
    if isinstance(key, rsa.RSAPrivateKey):
        return {"kty": "RSA", "n": encode(numbers.n.to_bytes(256, "big")), "e": "AQAB", **more}
    size = (key.curve.key_size + 7) // 8
    return {"kty": "EC", "crv": f"P-{key.curve.key_size}", "x": encode(numbers.x.to_bytes(size, "big")),
            "y": encode(numbers.y.to_bytes(size, "big")), **more}


def key_set() -> dict[str, Any]:
    return {"keys": [
        jwk(RSA, kid="r", alg="RS256", use="sig"), jwk(CURVES["ES256"], kid="e2"), jwk(CURVES["ES384"], kid="e3"),
        jwk(CURVES["ES512"], kid="e5"), jwk(ED, kid="ed"), {"kty": "oct", "alg": "HS256", "kid": "h", "k": encode(SECRET.encode())},
        {"kty": "unheard-of"}, jwk(RSA, kid="enc", use="enc"), jwk(RSA, kid="odd", alg="RSA-OAEP")]}


@pytest.mark.parametrize("inline", [True, False])
def test_a_key_set(gateway: Gateway, inline: bool) -> None:
    (gateway.folder / "set.json").write_text(json.dumps(key_set()))
    gateway.load(policies=[{"jwt": {"jwks": json.dumps(key_set()) if inline else "set.json"}}])
    for alg, kid in (("RS256", "r"), ("ES256", "e2"), ("ES384", "e3"), ("ES512", "e5"), ("EdDSA", "ed"), ("HS256", "h")):
        assert send(gateway, token(alg=alg, headers={"kid": kid})).status == 200, alg
        assert send(gateway, token(alg=alg, headers={"kid": "other"})).status == 401, alg
    assert send(gateway, token(alg="RS256", headers={"kid": "enc"})).status == 401


def test_a_key_from_a_file_beside_the_configuration(gateway: Gateway) -> None:
    (gateway.folder / "rsa.pem").write_text(pem(RSA))
    load(gateway, keys=[{"alg": "PS256", "key": "rsa.pem"}])
    assert send(gateway, token(alg="PS256")).status == 200
    assert send(gateway, token(alg="RS256")).status == 401
    load(gateway, keys=[{"alg": "RS256", "key": f"${{file:{gateway.folder}/rsa.pem}}"}])
    assert send(gateway, token(alg="RS256")).status == 200


def test_a_key_by_reference_is_read_again_on_reload(gateway: Gateway) -> None:
    path = gateway.folder / "secret"
    for secret in ("1" * 32, "2" * 32):
        path.write_text(secret + "\n")
        load(gateway, keys=[{"alg": "HS256", "secret": f"${{file:{path}}}"}])
        assert send(gateway, token(key=secret)).status == 200
    assert send(gateway, token(key="1" * 32)).status == 401


def test_other_forms_of_public_keys(gateway: Gateway) -> None:
    import datetime
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(RSA.public_key()).serial_number(1)
                   .not_valid_before(datetime.datetime(2020, 1, 1)).not_valid_after(datetime.datetime(2040, 1, 1))
                   .sign(RSA, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode())
    pkcs1 = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1).decode()
    for text in (certificate, pkcs1):
        load(gateway, keys=[{"alg": "RS256", "key": text}])
        assert send(gateway, token(alg="RS256")).status == 200


def test_a_secret_in_base64(gateway: Gateway) -> None:
    secret = bytes(range(0x60, 0x60 + 31)) + b"\xff"
    for text in (base64.b64encode(secret).decode(), encode(secret)):
        load(gateway, keys=[{"alg": "HS256", "secret": text, "encoding": "base64"}])
        assert send(gateway, pyjwt.encode(CLAIMS, secret)).status == 200


# Configuration

SMALL_RSA = pem(rsa.generate_private_key(65537, 1024)).replace("\n", "\\n")
PRIVATE = RSA.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption()).decode().replace("\n", "\\n")
P384 = pem(CURVES["ES384"]).replace("\n", "\\n")
OK = f"keys: [{{ alg: HS256, secret: {SECRET} }}]"


@pytest.mark.parametrize("config,said,column", [
    ("{}", "there is no key to verify tokens with: set `keys` or `jwks`", 0),
    ("{ keys: [{ alg: none, secret: x }] }", "got `none`", 17),
    ("{ keys: [{ alg: HS265, secret: x }] }", "got `HS265`", 17),
    ("{ keys: [{ secret: x }] }", "`alg`", 0),
    ("{ keys: [{ alg: HS256 }] }", "HS256 wants a secret", 0),
    ("{ keys: [{ alg: HS256, key: x }] }", "HS256 wants `secret`; `key` is for public keys", 29),
    ("{ keys: [{ alg: RS256, secret: x }] }", "RS256 wants `key`, a public key", 32),
    ("{ keys: [{ alg: RS256 }] }", "RS256 wants a public key", 0),
    ("{ keys: [{ alg: RS256, key: none.pem }] }", "there is no such file", 29),
    ("{ keys: [{ alg: RS256, key: turnpike.yaml }] }", "neither a public key nor a certificate", 29),
    (f'{{ keys: [{{ alg: RS256, key: "{PRIVATE}" }}] }}', "this is a private key", 29),
    (f'{{ keys: [{{ alg: RS256, key: "{SMALL_RSA}" }}] }}', "2048 bits or more", 29),
    (f'{{ keys: [{{ alg: ES256, key: "{P384}" }}] }}', "on another curve", 29),
    (f'{{ keys: [{{ alg: RS256, key: "{P384}" }}] }}', "of another kind", 29),
    ("{ keys: [{ alg: HS256, secret: '!', encoding: base64 }] }", "it is not base64", 32),
    ("{ jwks: 'https://login.example/keys' }", "must be a file: key sets are not fetched from a URL", 9),
    ("{ jwks: '{}' }", "not a JSON Web Key Set", 9),
    ("{ jwks: '{\"keys\":[]}' }", "the set holds no key for signatures", 9),
    ("{ jwks: '{\"keys\":[{\"kty\":\"RSA\"}]}' }", "the set holds a malformed key", 9),
    ("{ jwks: '{\"keys\":[{\"kty\":\"RSA\",\"alg\":\"HS256\"}]}' }", "do not belong together", 9),
    (f"{{ {OK}, header: [] }}", "there is no place left where a token could be", 0),
    (f"{{ {OK}, header: 'a b' }}", "`a b` is not a name that HTTP allows here", 0),
    (f"{{ {OK}, scopes: 'a b' }}", "`a b` is not one scope", 0),
    (f"{{ {OK}, realm: 'a\"' }}", "must not have quotes", 0),
    (f"{{ {OK}, consumer_optional: true }}", "means nothing without `consumer_claim`", 0),
    (f"{{ {OK}, require: auth.claims.x + }}", "require", 0),
    (f"{{ {OK}, require: request.path }}", "bool", 0),
    (f"{{ {OK}, leeway: 2h }}", "from 0s to 1h", 0),
    (f"{{ {OK}, jwks_url: 'https://x' }}", "unknown field `jwks_url`", 0),
])
def test_a_bad_configuration_is_refused_where_it_is_wrong(gateway: Gateway, config: str, said: str, column: int) -> None:
    head = gateway.node_settings() + ("services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\nroutes:\n  a:\n    match: { path: /* }\n"
                                      "    service: a\n    policies:\n")
    gateway.write(head + f"      - jwt: {config}\n")
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    output = done.stdout + done.stderr
    found = [line for line in output.splitlines() if said in line and ": error: " in line]
    assert found, output
    place = f"{gateway.config_path}:{head.count(chr(10)) + 1}:"
    assert found[0].startswith(f"{place}{len('      - jwt: ') + column}:" if column else place), found[0]
    assert "PRIVATE" not in output and SECRET not in output


def test_a_short_secret_is_warned_of_and_not_shown(gateway: Gateway) -> None:
    gateway.write(gateway.full_config(policies=[{"jwt": {"keys": [{"alg": "HS512", "secret": "only-a-few-bytes"}]}}]))
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 0
    assert "HS512 should have 64 or more" in done.stdout + done.stderr
    assert "only-a-few-bytes" not in done.stdout + done.stderr
