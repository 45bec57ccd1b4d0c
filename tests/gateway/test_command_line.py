"""The command line itself: list of commands, help, mistakes, version. What each command does has its own file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support.binary import turnpike, turnpike_path

COMMANDS = ["run", "check", "explain", "expr", "schema", "policies", "manual", "version", "help"]


@pytest.mark.parametrize("arguments", [["help"], ["--help"], ["-h"]])
def test_help_lists_the_commands(arguments: list[str]) -> None:
    done = turnpike(*arguments)
    assert done.returncode == 0
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert listed == COMMANDS


def test_no_command_is_a_usage_error_and_shows_the_list() -> None:
    done = turnpike()
    assert done.returncode == 2
    assert "Commands:" in done.stdout


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "help"] + ["gateway"])
def test_every_command_has_help(command: str) -> None:
    by_option, by_help = turnpike(command, "--help"), turnpike("help", command)
    assert by_option.returncode == by_help.returncode == 0
    assert by_option.stdout == by_help.stdout
    assert by_option.stdout.startswith(f"Usage: turnpike {command} ")


@pytest.mark.parametrize(("given", "meant"), [("chekc", "check"), ("polices", "policies"), ("rum", "run")])
def test_a_mistyped_command_is_recognised(given: str, meant: str) -> None:
    done = turnpike(given)
    assert done.returncode == 2
    assert f'unknown command "{given}"; did you mean "{meant}"?' in done.stderr


def test_an_unknown_command_gets_no_odd_hint() -> None:
    done = turnpike("zzzzzz")
    assert done.returncode == 2
    assert "did you mean" not in done.stderr


def test_an_unknown_option_is_a_usage_error() -> None:
    done = turnpike("run", "--confg", "x")
    assert done.returncode == 2
    assert "did you mean --config?" in done.stderr


def test_version_says_the_same_in_both_forms() -> None:
    plain, as_json = turnpike("version"), turnpike("version", "--json")
    versions = json.loads(as_json.stdout)
    assert plain.stdout.splitlines()[0] == f"turnpike {versions['version']}"
    assert {"compiler", "glibc", "openssl", "c-ares", "pcre2", "libyaml"} <= set(versions)
    assert turnpike("--version").stdout == plain.stdout


def test_run_without_a_configuration_says_where_it_looked(tmp_path: Path) -> None:
    if Path("/etc/turnpike/turnpike.yaml").exists():
        pytest.skip("this machine has a configuration in /etc")
    done = turnpike("run", cwd=tmp_path)
    assert done.returncode == 1
    assert "./turnpike.yaml" in done.stderr
    assert "/etc/turnpike/turnpike.yaml" in done.stderr
    assert "-c FILE" in done.stderr


def test_run_with_a_file_that_is_not_there_names_it(tmp_path: Path) -> None:
    done = turnpike("run", "-c", str(tmp_path / "none.yaml"))
    assert done.returncode == 1
    assert str(tmp_path / "none.yaml") in done.stderr


def test_output_that_cannot_be_written_is_a_failure() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(turnpike_path()), "version"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1


@pytest.mark.parametrize("text", ["listeners:\n", "listeners: {}\n"])
def test_a_file_without_a_listener_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    done = turnpike("check", str(tmp_path / "a.yaml"))
    assert done.returncode == 1
    assert "at least one listener is needed" in done.stderr
