"""`turnpike expr`: one expression, and --repl from a pipe. What expressions mean is for the unit tests to say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.binary import ROOT, turnpike

EXAMPLE = re.compile(r"^Example: `(.+)` gives `(.+)`\.$", re.M)


def repl(*lines: str, options: tuple[str, ...] = ()) -> tuple[int, list[str], list[str]]:
    done = turnpike("expr", "--repl", *options, stdin="".join(f"{line}\n" for line in lines))
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


@pytest.mark.parametrize(
    ("source", "printed", "as_json"),
    [
        ("1 + 2", "3", {"type": "int", "value": 3}),
        ("-1 + 2", "1", {"type": "int", "value": 1}),
        ("7u", "7u", {"type": "uint", "value": 7}),
        ("1.0", "1.0", {"type": "double", "value": 1}),
        ("'a\\n\"é'", '"a\\n\\"é"', {"type": "string", "value": 'a\n"é'}),
        ("b'\\xff'", 'b"\\xff"', {"type": "bytes", "value": "/w=="}),
        ("[1, null]", "[1, null]", {"type": "list", "value": [1, None]}),
        ("{'a': true}", '{"a": true}', {"type": "map", "value": {"a": True}}),
        ("duration('90s')", 'duration("90s")', {"type": "google.protobuf.Duration", "value": "90s"}),
        ("type(1)", "int", {"type": "type", "value": "int"}),
    ],
)
def test_a_result_is_a_literal_or_json(source: str, printed: str, as_json: object) -> None:
    assert turnpike("expr", source).stdout == f"{printed}\n"
    assert json.loads(turnpike("expr", "--json", source).stdout) == as_json


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 +", "1:4: the expression ends where a value should follow"),
        ("[1,\n 2][5]", "2:4: index out of bounds"),
        ("request.pth", "1:1: unknown attribute 'request.pth'; did you mean 'request.path'?"),
        ("request.path == 'a'", "1:9: no value here for: 'request.path'"),
        ("'é' + 1", "1:5: no such overload: '+' for (string, int)"),
    ],
)
def test_a_failure_says_why_and_where(source: str, said: str) -> None:
    done = turnpike("expr", source)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"turnpike expr: {said}\n"


def test_variables_come_from_a_file_standard_input_and_the_command_line(tmp_path: Path) -> None:
    context = tmp_path / "context.json"
    context.write_text('{"request": {"path": "/a"}, "n": 2}')
    sum_of = "request.path + string(n + x)"
    for source in (["--context", str(context)], ["-c", "-"]):
        done = turnpike("expr", *source, "--let", "y=n * 10", "-l", "x = y + 1", sum_of, stdin=context.read_text())
        assert done.stdout == '"/a23"\n', done.stderr
    assert turnpike("expr", "--let", "x=1", "--let", "x=x + 1", "x").stdout == "2\n"


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--let", "x"], 2, 'wants NAME=EXPRESSION, not "x"'),
        (["--let", "1x=1"], 1, "wanted: NAME=EXPRESSION"),
        (["--let", "x=1 / 0"], 1, "--let x: 1:3: division by zero"),
        (["--context", "/nowhere.json"], 1, "/nowhere.json: No such file"),
        (["--context", "-"], 1, "-: not a JSON object"),
        (["--repl"], 2, 'unexpected argument "1"'),
        (["--history", "h"], 2, "--history goes with --repl"),
    ],
)
def test_wrong_options_are_named(options: list[str], status: int, said: str) -> None:
    done = turnpike("expr", *options, "1", stdin="[1]")
    assert done.returncode == status
    assert said in done.stderr


def test_check_knows_the_attributes_and_prints_type_and_cost() -> None:
    done = turnpike("expr", "--check", "request.headers.map(h, h + '!')")
    assert re.fullmatch(r"type list\(string\)\ncost \d+\n", done.stdout)
    answer = json.loads(turnpike("expr", "--check", "--json", "--let", "n=1", "n + 1").stdout)
    assert answer["type"] == "dyn" or answer["type"] == "int"
    assert answer["cost"] > 0
    done = turnpike("expr", "--check", "request.path + 1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "1:14: '+' is not defined for string and int" in done.stderr


def test_every_example_of_the_manual_gives_what_it_says() -> None:
    examples = EXAMPLE.findall((ROOT / "docs" / "manual" / "attributes.md").read_text(encoding="utf-8"))
    assert len(examples) > 120
    status, results, errors = repl(*(source for source, _ in examples))
    assert (status, errors) == (0, [])
    assert results == [result for _, result in examples]


def test_lines_of_a_pipe_are_evaluated_without_prompt() -> None:
    status, out, err = repl("1 + 1", "", "  'a' ", "[1, \\", "2].size()")
    assert (status, out, err) == (0, ["2", '"a"', "2"], [])


def test_a_line_that_fails_points_at_the_place_and_the_next_one_goes_on() -> None:
    status, out, err = repl("'é' + 1", "2")
    assert (status, out) == (1, ["2"])
    assert err == ["error: 1:5: no such overload: '+' for (string, int)", "  'é' + 1", "      ^"]
    status, out, err = repl("[1, \\", " 'é' +\\", " 2]")
    assert err == ["error: 2:6: no such overload: '+' for (string, int)", "   'é' +", "       ^"]


def test_json_lines_carry_failures_too() -> None:
    status, out, err = repl("1", "1 / 0", options=("--json",))
    assert (status, err) == (1, [])
    assert [json.loads(line) for line in out] == [
        {"type": "int", "value": 1},
        {"error": {"line": 1, "column": 3, "message": "division by zero"}},
    ]


def test_commands(tmp_path: Path) -> None:
    context = tmp_path / "context.json"
    context.write_text('{"request": {"path": "/a"}}')
    status, out, err = repl(
        ":let n = 1 + 1", "n", f":context {context}", "request.path", ":type n", ":type source.port", ":quit", "after"
    )
    assert (status, err) == (0, [])
    assert out == ["2", '"/a"', "type dyn", "cost 1", "type int", "cost 1"]


def test_help_is_the_functions_own_text() -> None:
    status, out, _ = repl(":help math.abs")
    assert status == 0
    assert out[:3] == [
        "math.abs(int) -> int",
        "    Without its sign; an error for the least int.",
        "    math.abs(-5) => 5",
    ]
    assert any(line.startswith("  :type EXPRESSION") for line in repl(":help")[1])
    assert "  request.path             string" in "\n".join(repl(":attributes")[1])
    assert repl(":functions")[1] == turnpike("expr", "--functions").stdout.splitlines()
    status, _, err = repl(":help request.pth", ":nonsense", ":let x", ":context", ":context /nowhere")
    assert status == 1
    assert err == [
        "error: nothing is called 'request.pth'; did you mean 'request.path'?",
        "error: unknown command ':nonsense'; :help lists them",
        "error: wanted: NAME=EXPRESSION",
        "error: wanted: :context FILE",
        "error: /nowhere: No such file or directory",
    ]
