"""Conditions of policies: `when` may speak of the answer only where there is one."""

from __future__ import annotations

import pytest
import yaml

from support.binary import turnpike
from support.gateway import Gateway
from support.origin import Origin


@pytest.mark.parametrize("condition", ["response.status != 404", "response.headers['x-a'] == 'b'"])
def test_a_policy_that_decides_on_requests_cannot_ask_for_the_answer(gateway: Gateway, condition: str) -> None:
    """It would silently not run, and let everybody in."""
    policies = [{"key-auth": {}, "when": condition}]
    gateway.write(gateway.full_config(policies=policies, consumers={"alice": {"keys": ["${env:ALICE_KEY}"]}}))
    lines = gateway.config_path.read_text().splitlines()
    number, line = next((index, text) for index, text in enumerate(lines, 1) if "when:" in text)
    done = turnpike("check", str(gateway.config_path), env={"ALICE_KEY": "alice-key"})
    assert yaml.safe_load(line) == {"when": condition}
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert f"turnpike.yaml:{number}:{line.index('when:') + len('when: ') + 1}" in said
    assert "routes.default.policies[0].when" in said
    assert "key-auth" in said


def test_a_change_of_the_answer_may_depend_on_its_fields(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"headers": {"response": {"set": {"X-Page": "yes"}}},
                            "when": "response.headers['content-type'] == 'text/html'"}])
    origin.reply(200, {"Content-Type": "text/html"})
    assert gateway.get("/").headers["X-Page"] == "yes"
    origin.reply(200, {"Content-Type": "text/plain"})
    assert "X-Page" not in gateway.get("/").headers


def test_a_change_of_the_answer_may_depend_on_its_status(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"headers": {"response": {"set": {"X-Missing": "yes"}}}, "when": "response.status == 404"}])
    origin.reply(404)
    assert gateway.get("/").headers["X-Missing"] == "yes"
    origin.reply(200)
    assert "X-Missing" not in gateway.get("/").headers


def test_a_client_that_breaks_a_condition_does_not_escape_the_policy(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"key-auth": {}, "when": "request.headers['x-go'] == '1'", "on_error": "allow"}],
                 consumers={"alice": {"keys": ["a-key-of-alice-0123456789"]}})
    assert gateway.get("/").status == 401
    assert origin.requests == []
