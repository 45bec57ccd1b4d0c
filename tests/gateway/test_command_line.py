"""The command line itself: list of commands, help, mistakes, version. What each command does has its own file."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.binary import turnpike, turnpike_path

COMMANDS = ["run", "check", "explain", "health", "expr", "schema", "policies", "manual", "completion", "version", "help"]


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


# Completions and man pages: what they offer follows from the tables


def _complete(*words: str) -> list[str]:
    """What bash offers for the last word."""
    script = (f'source <("{turnpike_path()}" completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _turnpike; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-uc", script, "bash", "turnpike", *words], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.split()


def test_bash_completes_commands() -> None:
    assert _complete("") == COMMANDS
    assert _complete("e") == ["explain", "expr"]


def test_bash_completes_options() -> None:
    assert {"--help", "--config", "--header", "--json"} <= set(_complete("explain", "--"))
    assert _complete("run", "--c") == ["--config"]


def test_bash_completes_arguments(tmp_path: Path) -> None:
    assert "key-auth" in _complete("policies", "key")
    assert _complete("completion", "") == ["bash", "zsh", "fish"]
    assert set(COMMANDS) == set(_complete("help", ""))
    (tmp_path / "gate.yaml").touch()
    for words in (["check"], ["run", "-c"], ["run", "--config"]):
        assert _complete(*words, f"{tmp_path}/g") == [f"{tmp_path}/gate.yaml"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_every_command_and_option(shell: str) -> None:
    text = turnpike("completion", shell).stdout
    for command in COMMANDS:
        assert command in text
    for option in ("config", "header", "functions", "man", "json"):
        assert option in text
    if shutil.which(shell):
        subprocess.run([shell, "-n", "/dev/stdin"], input=text, text=True, check=True)


def test_an_unknown_shell_is_a_usage_error() -> None:
    done = turnpike("completion", "tcsh")
    assert done.returncode == 2
    assert "bash, zsh and fish" in done.stderr


def test_man_pages_follow_from_the_tables(tmp_path: Path) -> None:
    assert turnpike("manual", "--man", str(tmp_path)).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["turnpike.1", "turnpike.yaml.5"]
    program, configuration = ((tmp_path / name).read_text() for name in ("turnpike.1", "turnpike.yaml.5"))
    for command in COMMANDS:
        assert f".SS turnpike {command}" in program
    for field in ("drain_timeout", "listeners", "balance", "key\\-auth"):
        assert field in configuration


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
@pytest.mark.parametrize("page", ["turnpike.1", "turnpike.yaml.5"])
def test_man_pages_are_sound_roff(tmp_path: Path, page: str) -> None:
    turnpike("manual", "--man", str(tmp_path))
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", str(tmp_path / page)], capture_output=True, text=True, check=True)
    assert not done.stderr
    assert "SEE ALSO" in re.sub(".\b", "", done.stdout)        # bold is printed twice
