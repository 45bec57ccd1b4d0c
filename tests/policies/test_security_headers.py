"""security-headers: what browsers are told, and what they are not."""

from __future__ import annotations

from typing import Any

import pytest

from support.binary import turnpike
from support.gateway import Gateway
from support.origin import Origin

DEFAULTS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "SAMEORIGIN", "Referrer-Policy": "strict-origin-when-cross-origin"}
PROXY = {"trusted_proxies": ["127.0.0.0/8"]}
HTTPS = {"X-Forwarded-Proto": "https"}

OPTIONS = {
    "content_type_options": ("X-Content-Type-Options", "nosniff"),
    "frame_options": ("X-Frame-Options", "DENY"),
    "referrer_policy": ("Referrer-Policy", "no-referrer"),
    "content_security_policy": ("Content-Security-Policy", "default-src 'self'"),
    "permissions_policy": ("Permissions-Policy", "camera=()"),
    "cross_origin_opener_policy": ("Cross-Origin-Opener-Policy", "same-origin"),
    "cross_origin_embedder_policy": ("Cross-Origin-Embedder-Policy", "require-corp"),
    "cross_origin_resource_policy": ("Cross-Origin-Resource-Policy", "same-site"),
}
ALL = {name for name, _ in OPTIONS.values()} | {"Strict-Transport-Security"}


def load(gateway: Gateway, *more: Any, listener: dict[str, Any] | None = None, **config: Any) -> None:
    gateway.load(listener=listener, policies=[{"security-headers": config}, *more])


def shown(gateway: Gateway, headers: dict[str, str] | None = None) -> dict[str, str]:
    got = gateway.get("/", headers=headers).headers
    return {name: got[name] for name in ALL if name in got}


def test_the_defaults_suit_most_sites(gateway: Gateway) -> None:
    load(gateway)
    assert shown(gateway) == DEFAULTS


@pytest.mark.parametrize("option", OPTIONS)
def test_each_field_can_be_set_and_turned_off(gateway: Gateway, option: str) -> None:
    name, value = OPTIONS[option]
    load(gateway, **{option: value})
    assert shown(gateway)[name] == value
    load(gateway, **{option: "off"})
    assert name not in shown(gateway)


def test_hsts_is_for_https_alone(gateway: Gateway) -> None:
    load(gateway, listener=PROXY)
    assert shown(gateway, HTTPS)["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in shown(gateway)
    load(gateway, listener=PROXY, hsts="max-age=1; includeSubDomains")
    assert shown(gateway, HTTPS)["Strict-Transport-Security"] == "max-age=1; includeSubDomains"
    load(gateway, listener=PROXY, hsts="off")
    assert "Strict-Transport-Security" not in shown(gateway, HTTPS)


def test_a_stranger_cannot_say_that_it_is_https(gateway: Gateway) -> None:
    load(gateway)
    assert "Strict-Transport-Security" not in shown(gateway, HTTPS)


@pytest.mark.parametrize("override, expected", [(True, "SAMEORIGIN"), (False, "ALLOWALL")])
def test_the_word_of_the_service_is_replaced_unless_said(gateway: Gateway, origin: Origin, override: bool, expected: str) -> None:
    origin.reply(headers={"X-Frame-Options": "ALLOWALL"})
    load(gateway, override=override)
    assert shown(gateway) == {**DEFAULTS, "X-Frame-Options": expected}


def test_what_a_service_runs_on_is_not_told(gateway: Gateway, origin: Origin) -> None:
    origin.reply(headers={"Server": "x/1", "X-Powered-By": "y/2", "X-AspNet-Version": "3"})
    load(gateway)
    names = gateway.get("/").headers.names()
    assert "server" not in names and "x-powered-by" not in names and "x-aspnet-version" in names
    load(gateway, remove=["X-AspNet-*"])
    names = gateway.get("/").headers.names()
    assert "server" in names and "x-aspnet-version" not in names


def test_refusals_carry_the_fields_too(gateway: Gateway) -> None:
    load(gateway, {"key-auth": {}})
    response = gateway.get("/")
    assert response.status == 401
    assert response.headers["X-Content-Type-Options"] == "nosniff"


BAD = [
    ("{ hsts: \"1y\" }", "7:35", "max-age="),
    ("{ frame_options: \"\" }", "7:44", "or `off`"),
    ("{ referrer_policy: \"a\\r\\nb\" }", "7:46", "or `off`"),
    ("{ remove: [Connection] }", "7:38", "the gateway alone writes it"),
    ("{ frame_option: DENY }", "7:29", "did you mean `frame_options`?"),
]


@pytest.mark.parametrize("config, place, said", BAD, ids=[config for config, _, _ in BAD])
def test_a_bad_configuration_is_reported_at_its_place(gateway: Gateway, config: str, place: str, said: str) -> None:
    gateway.write("listeners: { main: { address: \"127.0.0.1:0\" } }\n"
                  "services: { a: { endpoints: [\"http://127.0.0.1:1\"] } }\n"
                  f"routes:\n  r:\n    service: a\n    policies:\n      - security-headers: {config}\n")
    done = turnpike("check", str(gateway.config_path))
    assert done.returncode == 1
    assert f"turnpike.yaml:{place}: error:" in done.stderr + done.stdout, done.stderr
    assert said in done.stderr + done.stdout
