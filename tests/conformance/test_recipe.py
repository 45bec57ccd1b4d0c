"""Adding a policy is two files and a line, as CONTRIBUTING.md says: done here to a copy of the tree, which is built and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.binary import ROOT, environment
from support.gateway import Gateway
from support.origin import Origin

BUILD_DEADLINE = 300.0     # seconds; half a minute where nothing else runs

SOURCE = r"""/* demo: tells the service who is greeted. */
#include "proxy/exchange.h"

struct demo_config {
    struct text greeting;
};

static const struct field demo_fields[] = {
    FIELD_TEXT(struct demo_config, greeting, "greeting", "hello", "What the service is told."),
    FIELD_END,
};

static enum verdict demo_request(struct exchange *ex, const void *config_, void *state)
{
    const struct demo_config *config = config_;
    (void)state;
    fields_set(&ex->request.fields, TEXT("X-Greeting"), config->greeting);
    return VERDICT_NEXT;
}

const struct policy policy_demo = {
    .name = "demo",
    .summary = "Greets the service.",
    .manual = "Tells the service a greeting in the field `X-Greeting`.\n"
              "\n"
              "```yaml\n"
              "listeners:\n"
              "  main: { address: \"127.0.0.1:8080\" }\n"
              "services:\n"
              "  orders: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
              "routes:\n"
              "  orders:\n"
              "    match: { path: \"/orders/*\" }\n"
              "    service: orders\n"
              "    policies:\n"
              "      - demo: { greeting: good morning }\n"
              "```\n",
    .stage = STAGE_TRANSFORM,
    .status = POLICY_EXPERIMENTAL,
    .fields = demo_fields,
    .config_size = sizeof(struct demo_config),
    .on_request = demo_request,
};
"""

TEST = '''"""demo: what the service is told."""

from __future__ import annotations

from support.gateway import Gateway
from support.origin import Origin


def test_the_service_is_greeted(gateway: Gateway, origin: Origin) -> None:
    gateway.load(policies=[{"demo": {"greeting": "good evening"}}])
    assert gateway.get("/").status == 200
    assert origin.last.headers["X-Greeting"] == "good evening"
'''


def copy_tree(to: Path) -> None:
    """What git knows of, and what it would take in: as the files are now."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True,
                            check=True)
    names = [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    assert "src/policies/registry.def" in names
    for name in names:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)


def add_policy(tree: Path) -> None:
    """Two files and a line."""
    (tree / "src/policies/demo.c").write_text(SOURCE, encoding="utf-8")
    (tree / "tests/policies/test_demo.py").write_text(TEST, encoding="utf-8")
    with (tree / "src/policies/registry.def").open("a", encoding="utf-8") as registry:
        registry.write("POLICY(demo)\n")


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=BUILD_DEADLINE, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tree with one more policy, built in its folder `build-demo` without optimisation."""
    folder = tmp_path_factory.mktemp("recipe") / "tree"
    folder.mkdir()
    copy_tree(folder)
    add_policy(folder)
    options = ["--buildtype=plain", "-Dtests=false"]
    run("meson", "setup", *options, "build-demo", cwd=folder, env={**os.environ, "CC": "gcc"})
    run("ninja", "-C", "build-demo", "turnpike", cwd=folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def program(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tree / "build-demo/turnpike"
    monkeypatch.setenv("TURNPIKE", str(path))
    return path


def test_contributing_says_what_is_done_here() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipe = text[text.index("## Add a policy"):text.index("## When a change is finished")]
    assert "Two files and a line" in recipe
    assert re.findall(r"^\d\. .*?`([^`]*)`", recipe, re.M) == ["src/policies/<name>.c", "tests/policies/test_<name>.py", "POLICY(<name>)"]


@pytest.mark.timeout(BUILD_DEADLINE)
def test_the_policy_is_listed_with_its_manual_and_schema(tree: Path, program: Path) -> None:
    listed = json.loads(run(str(program), "policies", "--json", cwd=tree))
    assert listed[-1] == {"name": "demo", "stage": "transform", "summary": "Greets the service."}
    assert "| `greeting` | text | `hello` | What the service is told. |" in run(str(program), "policies", "demo", cwd=tree)
    assert json.loads(run(str(program), "policies", "demo", "--json", cwd=tree))["properties"]["greeting"]["default"] == "hello"


@pytest.mark.timeout(BUILD_DEADLINE)
def test_the_policy_is_checked_and_serves(program: Path, gateway: Gateway, origin: Origin, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text('listeners: { main: { address: "127.0.0.1:0" } }\npolicies:\n  - demo: { greting: hi }\n', encoding="utf-8")
    refused = subprocess.run([str(program), "check", str(wrong)], capture_output=True, text=True, env=environment(), check=False)
    assert refused.returncode != 0
    assert f"{wrong}:3:13: error:" in refused.stderr and "did you mean `greeting`?" in refused.stderr
    gateway.load(policies=[{"demo": None}])
    assert gateway.get("/").status == 200
    assert origin.last.headers["X-Greeting"] == "hello"


@pytest.mark.timeout(BUILD_DEADLINE)
def test_its_own_test_and_the_conformance_tests_pass(tree: Path, program: Path) -> None:
    env = {**os.environ, "TURNPIKE": str(program), "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    said = run(sys.executable, "-m", "pytest", "-vv", "tests/policies/test_demo.py", "tests/conformance/test_policies.py", "-k", "demo",
               cwd=tree, env=env)
    assert "test_the_service_is_greeted" in said and "test_its_example_serves_requests[demo]" in said
