"""`turnpike schema`: editors and other programs get a JSON Schema that takes what the gateway takes."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from support.binary import ROOT, turnpike


class Yaml12(yaml.SafeLoader):
    """Booleans as YAML 1.2, Turnpike and editors read them: `on` is a text."""


Yaml12.yaml_implicit_resolvers = {first: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:bool"]
                                  for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Yaml12.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def load_yaml(text: str) -> Any:
    return yaml.load(text, Loader=Yaml12)


FENCE = re.compile(r"^([ \t]*)```yaml[^\n]*\n(.*?)^[ \t]*```[ \t]*$", re.M | re.S)
WHOLE = re.compile(r"^listeners:", re.M)
Schema = dict[str, Any]


@pytest.fixture(scope="module")
def schema() -> Schema:
    made: Schema = json.loads(turnpike("schema").stdout)
    return made


def problems(schema: Schema, document: Any, definition: str = "configuration") -> list[str]:
    root = {**schema, "$ref": f"#/$defs/{definition}"}
    found = jsonschema.Draft202012Validator(root).iter_errors(document)
    return [f"{'.'.join(map(str, one.absolute_path))}: {one.message}" for one in found]


# --- the schema itself ---


def test_it_is_a_schema(schema: Schema) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for below in part.values():
            yield from references(below)
    elif isinstance(part, list):
        for below in part:
            yield from references(below)


def test_its_references_lead_somewhere(schema: Schema) -> None:
    for reference in set(references(schema)):
        at: Any = schema
        for key in reference.removeprefix("#/").split("/"):
            assert key in at, reference
            at = at[key]


def test_it_has_every_policy(schema: Schema) -> None:
    names = {one["name"] for one in json.loads(turnpike("policies", "--json").stdout)}
    assert names and names <= set(schema["$defs"]["policy"]["properties"])
    assert {f"policy-{name}" for name in names} <= set(schema["$defs"])


def anything(schema: Any, path: str = "") -> Iterator[str]:
    """Fields that take any value at all."""
    if isinstance(schema, list):
        for one in schema:
            yield from anything(one, path)
    if not isinstance(schema, dict):
        return
    for name, field in schema.get("properties", {}).items():
        if set(field) <= {"description", "default", "examples"}:
            yield f"{path}.{name}"
        yield from anything(field, f"{path}.{name}")
    for key in ("anyOf", "allOf", "items", "additionalProperties"):
        yield from anything(schema.get(key), path)


def test_no_field_takes_just_anything(schema: Schema) -> None:
    assert [path for name, one in schema["$defs"].items() for path in anything(one, name)] == []


# --- what it takes ---


def files() -> list[Path]:
    return sorted((ROOT / "examples").rglob("*.yaml"))


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_it_takes_the_examples(schema: Schema, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert problems(schema, load_yaml(text), "configuration" if WHOLE.search(text) else "included") == []


def shown() -> Iterator[Any]:
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
             for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]}
    for place, text in sorted(texts.items()):
        for match in FENCE.finditer(text):
            block = textwrap.dedent(match.group(2))
            if WHOLE.search(block):
                yield pytest.param(block, id=f"{place}:{text.count(chr(10), 0, match.start()) + 1}")


@pytest.mark.parametrize("text", shown())
def test_it_takes_what_the_documentation_shows(schema: Schema, text: str) -> None:
    assert problems(schema, load_yaml(text)) == []


def test_it_takes_the_examples_of_the_policies_manuals(schema: Schema) -> None:
    """The manuals as the program has them: the pages in docs/ may be older."""
    for policy in json.loads(turnpike("policies", "--json").stdout):
        blocks = [match.group(2) for match in FENCE.finditer(turnpike("policies", policy["name"]).stdout)]
        whole = [block for block in blocks if WHOLE.search(block)]
        assert whole, policy["name"]
        for block in whole:
            assert problems(schema, load_yaml(block)) == [], policy["name"]


BASE = """
listeners: { main: { address: "127.0.0.1:8080" } }
services: { a: { endpoints: ["http://127.0.0.1:7001"] } }
routes: { r: { service: a } }
"""

RIGHT = {
    "a service that is a URL": "services: { a: \"http://127.0.0.1:7001\" }",
    "a service that is a list of URLs": "services: { a: [\"http://127.0.0.1:7001\", { url: \"http://127.0.0.1:7002\", weight: 2 }] }",
    "groups of nothing": "services:\nconsumers:\ngroups:\npolicies:\nroutes:",
    "a policy with nothing to set": "policies: [{ request-id: }, { cors: {} }]",
    "what all policies have": "policies: [{ request-id: {}, id: x, when: \"true\", stage: quota, enabled: false, on_error: allow }]",
    "policies everywhere": "services: { a: { endpoints: [\"http://a\"], policies: [{ cors: }] } }\ngroups: { g: { policies: [{ cors: }] } }\n"
                           "consumers: { c: { policies: [{ cors: }] } }\nroutes: { r: { policies: [{ cors: }] } }",
    "a route that answers": "routes: { r: { respond: { status: 410, body: gone } }, s: { redirect: { location: /x } } }",
    "a URL as the service of a route": "routes: { r: { service: \"http://127.0.0.1:7001\" } }",
    "references": "workers: \"${env:WORKERS:-4}\"\nwatch: \"${env:WATCH:-true}\"\ndrain_timeout: \"${env:DRAIN:-30s}\"\n"
                  "listeners: { main: { address: \"${env:ADDRESS:-127.0.0.1:8080}\", limits: { body: \"${env:BODY:-1MiB}\" } } }\n"
                  "consumers: { c: { keys: [\"${env:KEY:-abcdefghijklmnopqrstuvwxyz}\"] } }\n"
                  "routes: { r: { policies: [{ rate-limit: { limit: \"${env:LIMIT:-5}\", window: \"${env:WINDOW:-1m}\" } }] } }",
}


def changed(text: str) -> tuple[Any, str]:
    document = {**load_yaml(BASE), **load_yaml(text)}
    return document, yaml.safe_dump(document, sort_keys=False)


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_it_takes_what_the_gateway_takes(schema: Schema, tmp_path: Path, text: str) -> None:
    document, written = changed(text)
    file = tmp_path / "turnpike.yaml"
    file.write_text(written, encoding="utf-8")
    checked = turnpike("check", str(file))
    assert checked.returncode == 0, checked.stderr
    assert problems(schema, document) == []


# --- what it refuses ---

WRONG = {
    "an unknown field": "worker: 4",
    "an unknown field of a listener": "listeners: { main: { address: \"127.0.0.1:8080\", adress: x } }",
    "an unknown field of a policy": "policies: [{ cors: { origin: \"*\" } }]",
    "a wrong type": "watch: [true]",
    "a wrong type deep within": "services: { a: { endpoints: [\"http://127.0.0.1:7001\"], retry: { attempts: many } } }",
    "a number out of bounds": "workers: 65",
    "a word that is no choice": "services: { a: { endpoints: [\"http://127.0.0.1:7001\"], balance: best } }",
    "no unit": "drain_timeout: 30",
    "no address": "listeners: { main: {} }",
    "a listener of nothing": "listeners: { main: }",
    "no endpoints": "services: { a: { endpoints: [] } }",
    "listeners as a list": "listeners: [\"127.0.0.1:8080\"]",
    "a list of routes": "routes: [{ service: a }]",
    "an unknown policy": "policies: [{ corse: {} }]",
    "an unknown policy of a route": "routes: { r: { policies: [{ corse: {} }] } }",
    "an unknown policy of a service": "services: { a: { endpoints: [\"http://a\"], policies: [{ corse: {} }] } }",
    "an unknown policy of a consumer": "consumers: { c: { policies: [{ corse: {} }] } }",
    "an unknown policy of a group": "groups: { g: { policies: [{ corse: {} }] } }",
    "an entry without a policy": "policies: [{ id: x }]",
    "two policies in an entry": "policies: [{ cors: {}, request-id: {} }]",
    "a policy that is only a word": "policies: [cors]",
    "policies as a map": "policies: { cors: {} }",
    "a policy without what it needs": "policies: [{ error-pages: }]",
    "a wrong answer of a route": "routes: { r: { respond: { status: 700 } } }",
    "an unknown field of a redirect": "routes: { r: { redirect: { location: /x, to: /y } } }",
    "a service that is a map": "routes: { r: { service: { name: a } } }",
    "a wrong status of a page": "policies: [{ error-pages: { pages: [{ status: 200, body: x }] } }]",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_it_refuses_what_the_gateway_refuses(schema: Schema, tmp_path: Path, text: str) -> None:
    document, written = changed(text)
    file = tmp_path / "turnpike.yaml"
    file.write_text(written, encoding="utf-8")
    assert turnpike("check", str(file)).returncode == 1
    assert problems(schema, document) != []


def test_a_file_without_listeners_is_refused(schema: Schema, tmp_path: Path) -> None:
    file = tmp_path / "turnpike.yaml"
    file.write_text("workers: 1\n", encoding="utf-8")
    assert turnpike("check", str(file)).returncode == 1
    assert problems(schema, {"workers": 1}) != []


def test_an_included_file_holds_no_settings_of_the_node(schema: Schema) -> None:
    assert problems(schema, {"routes": {"r": {"service": "a"}}}, "included") == []
    assert problems(schema, {"workers": 4}, "included") != []
