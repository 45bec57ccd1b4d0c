"""The rules of docs/manual/routing.md, written down once more, as plainly as they stand there: all routes are tried one by one, and two are
compared at a time. Shares nothing with the gateway but the manual."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cmp_to_key
from ipaddress import ip_address, ip_network
from typing import Any

TYPES = {"int": r"(?:0|-?[1-9][0-9]*)", "uuid": r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"}
CAPTURE = re.compile(r"\{(\w+)(\.\.\.)?(?::(int|uuid|~[^{}]*))?\}")
LITERALS = {"~ ^/a[0-9]*": "/a", "~ ^/(a|b)/": "/", "~ ^/ab/(?P<x>.+)": "/ab/", "~ .*7$": "", "~/a/[ab]+$": "/a/"}

END, LITERAL, REGEX, SUFFIXED, CAPTURED, REST, SEGMENTS, RAW, ANY = range(9)


@dataclass
class Request:
    method: str
    host: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    client: str = "127.0.0.1"


# What fits


def host_rank(pattern: str, host: str) -> int:
    """How good a host pattern is for a host; -1: it does not fit."""
    if pattern == "*":
        return 0
    if pattern.startswith("*."):
        return len(pattern) if host.endswith(pattern[1:]) and len(host) > len(pattern) - 1 else -1
    return 1000 if pattern == host else -1


def path_regex(path: str) -> str:
    out, at = "", 0
    for capture in CAPTURE.finditer(path):
        kind = capture.group(3)
        inner = "[^/]+" if not kind else TYPES[kind] if kind in TYPES else f"(?=[^/]+)(?:{kind[1:]})"
        out += re.escape(path[at:capture.start()]) + f"(?P<{capture.group(1)}>{'.+' if capture.group(2) else inner})"
        at = capture.end()
    tail = path[at:]
    if tail.endswith("/*"):
        return out + re.escape(tail[:-2]) + "(?:/.*)?"
    if tail.endswith("*"):
        return out + re.escape(tail[:-1]) + ".*"
    return out + re.escape(tail)


def path_fits(path: str | None, asked: str) -> dict[str, Any] | None:
    """What the path captures; None: it does not fit."""
    if path is None:
        return {}
    if path.startswith("~"):
        match = re.compile(path[1:].strip()).match(asked)
    else:
        match = re.compile(path_regex(path), re.S).fullmatch(asked)
    if not match:
        return None
    ints = {capture.group(1) for capture in CAPTURE.finditer(path) if capture.group(3) == "int"} if path[0] == "/" else set()
    return {name: int(value) if name in ints else value for name, value in match.groupdict().items() if value is not None}


def holds_test(test: Any, value: str | None) -> bool:
    if not isinstance(test, dict):
        return value == str(test)
    negated = test.get("not", False)
    if "present" in test:
        result = value is not None
    elif "absent" in test:
        result = value is None
    elif "one_of" in test:
        result = value in test["one_of"]
    elif "prefix" in test:
        result = value is not None and value.startswith(test["prefix"])
    elif "regex" in test:
        result = value is not None and re.search(test["regex"], value) is not None
    else:
        result = value == test["equals"]
    return result != negated


def conditions(match: dict[str, Any]) -> list[tuple[str, Any]]:
    """One for each entry, for each header and so on; those of `not` have a `!` before."""
    found: list[tuple[str, Any]] = []
    for name, value in match.items():
        if name in ("headers", "query", "cookies"):
            found += [(name, (key, test)) for key, test in value.items()]
        elif name == "not":
            for below, inner in value.items():
                if below in ("headers", "query", "cookies"):
                    found += [("!" + below, (key, test)) for key, test in inner.items()]
                else:
                    found.append(("!" + below, inner))
        elif name not in ("hosts", "path"):
            found.append((name, value))
    return found


def holds(name: str, value: Any, request: Request) -> bool:
    if name.startswith("!"):
        return not holds(name[1:], value, request)
    if name == "methods":
        return request.method in value
    if name == "client":
        return any(ip_address(request.client) in ip_network(network) for network in value)
    if name == "content_types":
        kind = request.headers.get("Content-Type", "").split(";")[0].strip().lower()
        return any(kind.startswith(one[:-1]) and len(kind) > len(one) - 1 if one.endswith("/*") else kind == one for one in value)
    if name == "hosts":
        return any(host_rank(one, request.host) >= 0 for one in value)
    if name == "paths":
        return any(path_fits(one, request.path) is not None for one in value)
    if name == "expression":
        return eval(value["python"], {}, {"request": request})  # noqa: S307: our own
    key, test = value
    where = {"headers": request.headers, "query": request.query, "cookies": request.cookies}[name]
    return holds_test(test, where.get(key))


# Which of several wins


def tokens(path: str | None) -> list[tuple[int, Any]]:
    if path is None:
        return [(ANY, None)]
    if path.startswith("~"):
        return [(LITERAL, byte) for byte in LITERALS[path]] + [(REGEX, None)]
    found: list[tuple[int, Any]] = []
    while path:
        capture = CAPTURE.match(path)
        if path in ("/*", "*"):
            return found + [(SEGMENTS if path == "/*" else RAW, None)]
        if capture and capture.group(2):
            return found + [(REST, None)]
        if capture:
            path = path[capture.end():]
            suffix = path.split("/")[0]
            found.append((SUFFIXED if suffix else CAPTURED, len(suffix)))
            path = path[len(suffix):]
        else:
            found.append((LITERAL, path[0]))
            path = path[1:]
    return found + [(END, None)]


def compare_paths(one: str | None, other: str | None) -> int:
    for (kind, size), (other_kind, other_size) in zip(tokens(one), tokens(other)):
        if kind != other_kind:
            return kind - other_kind
        if kind in (SUFFIXED, CAPTURED) and size != other_size:
            return other_size - size
    return 0


def types(path: str | None) -> list[bool]:
    return [capture.group(3) is not None for capture in CAPTURE.finditer(path)] if path and path[0] == "/" else []


def better(one: tuple[str, dict[str, Any], int], other: tuple[str, dict[str, Any], int]) -> int:
    (name, route, rank), (other_name, other_route, other_rank) = one, other
    priority, other_priority = route.get("priority", 0), other_route.get("priority", 0)
    path, other_path = route["match"].get("path"), other_route["match"].get("path")
    count, other_count = len(conditions(route["match"])), len(conditions(other_route["match"]))
    return (other_priority - priority or other_rank - rank or compare_paths(path, other_path)
            or (types(path) < types(other_path)) - (types(path) > types(other_path))
            or other_count - count or (name > other_name) - (name < other_name))


def winner(routes: dict[str, dict[str, Any]], request: Request) -> tuple[str, dict[str, Any]] | None:
    """The name of the route that a request takes, and what it captures."""
    fitting = []
    for name, route in routes.items():
        match = route["match"]
        rank = max((host_rank(one, request.host) for one in match.get("hosts", ["*"])))
        if (rank >= 0 and path_fits(match.get("path"), request.path) is not None
                and all(holds(kind, value, request) for kind, value in conditions(match))):
            fitting.append((name, route, rank))
    if not fitting:
        return None
    name, route, _ = min(fitting, key=cmp_to_key(better))
    captured = path_fits(route["match"].get("path"), request.path)
    assert captured is not None
    return name, captured
