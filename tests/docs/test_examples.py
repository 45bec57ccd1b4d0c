"""What the documentation shows works: configurations load, links lead somewhere, every policy has an example."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from support.binary import ROOT, turnpike
from support.certificates import Authority

FENCE = re.compile(r"^([ \t]*)```(\w*)[^\n]*\n(.*?)^[ \t]*```[ \t]*$", re.M | re.S)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6}[ \t]+(.*?)[ \t]*$", re.M)
SETTINGS = {"ALICE_KEY": "a-key-that-only-alice-has", "BOB_KEY": "a-key-that-only-bob-has"}


class Example(NamedTuple):
    place: str
    text: str


def pages() -> list[Path]:
    return sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")) + sorted((ROOT / "examples").rglob("*.md"))


def shown_in(page: Path) -> Iterator[Example]:
    """The fenced blocks of a page that are whole configurations."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        block = textwrap.dedent(match.group(3))
        if match.group(2) == "yaml" and re.search(r"^listeners:", block, re.M):
            line = text.count("\n", 0, match.start()) + 1
            yield Example(f"{page.relative_to(ROOT)}:{line}", block)


def all_shown() -> list[Example]:
    return [example for page in pages() for example in shown_in(page)]


def runnable() -> list[Path]:
    found = sorted((ROOT / "examples").rglob("*.yaml"))
    return [path for path in found if re.search(r"^listeners:", path.read_text(encoding="utf-8"), re.M)]


@pytest.mark.parametrize("example", [pytest.param(one, id=one.place) for one in all_shown()])
def test_a_configuration_that_the_documentation_shows_is_good(tmp_path: Path, example: Example) -> None:
    file = tmp_path / "turnpike.yaml"
    file.write_text(example.text, encoding="utf-8")
    if ".pem" in example.text:
        authority = Authority(tmp_path, "ca")
        authority.issue("shop.example", file="shop")
        authority.issue("shop.example", file="shop-rsa", kind="rsa")
    checked = turnpike("check", str(file), env=SETTINGS)
    assert checked.returncode == 0, f"{example.place}\n{checked.stderr}"
    assert "error:" not in checked.stderr


@pytest.mark.parametrize("path", runnable(), ids=lambda path: str(path.relative_to(ROOT)))
def test_an_example_configuration_is_good(path: Path) -> None:
    checked = turnpike("check", str(path))
    assert checked.returncode == 0, checked.stderr


def keys_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield str(key)
            yield from keys_in(below)
    elif isinstance(value, list):
        for below in value:
            yield from keys_in(below)


def test_every_policy_has_a_page_with_an_example_of_it() -> None:
    names = [policy["name"] for policy in json.loads(turnpike("policies", "--json").stdout)]
    assert names
    without = []
    for name in names:
        page = ROOT / "docs" / "manual" / "policies" / f"{name}.md"
        examples = list(shown_in(page)) if page.exists() else []
        if not any(name in keys_in(yaml.safe_load(example.text)) for example in examples):
            without.append(name)
    assert without == []


def test_metrics_that_the_documentation_names_exist() -> None:
    sources = [path for kind in ("*.c", "*.h", "*.def") for path in (ROOT / "src").rglob(kind)]
    made = set(re.findall(r'"(turnpike_\w+)"', "".join(path.read_text(encoding="utf-8") for path in sources)))
    named = {name for page in pages() for name in re.findall(r"`(turnpike_\w+)`", page.read_text(encoding="utf-8"))}
    assert named and named <= made


def without_code(text: str) -> str:
    """A page without its fenced blocks and inline code, where brackets mean something else."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def anchors_of(page: Path) -> set[str]:
    """The anchors that a repository host gives to headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = (match.group(1).replace("`", "").lower() for match in HEADING.finditer(text))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    for match in LINK.finditer(without_code(page.read_text(encoding="utf-8"))):
        link = match.group(1)
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield link
        elif anchor and target.suffix == ".md" and anchor not in anchors_of(target):
            yield link


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_every_page_of_the_manual_is_linked_from_its_index() -> None:
    manual = ROOT / "docs" / "manual"
    linked = {(manual / link.partition("#")[0]).resolve() for link in LINK.findall((manual / "index.md").read_text())}
    assert {page for page in manual.glob("*.md") if page.name != "index.md"} <= linked
