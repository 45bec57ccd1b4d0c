"""Fixtures of all tests that drive the real binary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.binary import turnpike_path
from support.gateway import Gateway
from support.origin import Origin

GATEWAYS = pytest.StashKey[list[Gateway]]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test that fails shows the log and the configuration of its gateways."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        module = item.getparent(pytest.Module)
        shared = module.stash.get(GATEWAYS, []) if module else []
        for gateway in item.stash.get(GATEWAYS, []) + shared:
            report.sections.append(("gateway", gateway.report()))


def _origin(name: str) -> Iterator[Origin]:
    server = Origin(name)
    yield server
    server.stop()
    if server.errors:
        raise server.errors[0]


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A scripted origin. Answers 200 `hello` unless told otherwise."""
    yield from _origin("origin")


@pytest.fixture
def second_origin() -> Iterator[Origin]:
    yield from _origin("second origin")


@pytest.fixture
def third_origin() -> Iterator[Origin]:
    yield from _origin("third origin")


MakeGateway = Callable[[], Gateway]


def _gateways(request: pytest.FixtureRequest, folder: Path, origin: Origin) -> Iterator[MakeGateway]:
    try:
        turnpike_path()
    except FileNotFoundError as error:
        pytest.fail(str(error), pytrace=False)
    gateways: list[Gateway] = []
    request.node.stash[GATEWAYS] = gateways

    def make() -> Gateway:
        gateway = Gateway(folder / f"gateway-{len(gateways) + 1}", origin)
        gateways.append(gateway)
        return gateway

    yield make
    origin.release()
    try:
        for gateway in gateways:
            gateway.stop()
    finally:
        for gateway in gateways:
            gateway.kill()


@pytest.fixture
def make_gateway(request: pytest.FixtureRequest, tmp_path: Path, origin: Origin) -> Iterator[MakeGateway]:
    """Makes gateways that are not started yet, each with its own folder, all in front of `origin`."""
    yield from _gateways(request, tmp_path, origin)


@pytest.fixture
def gateway(make_gateway: MakeGateway) -> Gateway:
    """A gateway; `gateway.load(...)` starts it."""
    return make_gateway()


@pytest.fixture(scope="module")
def module_origin() -> Iterator[Origin]:
    """An origin for the whole module, with `module_gateway` in front of it."""
    yield from _origin("module origin")


@pytest.fixture(scope="module")
def module_gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
                   module_origin: Origin) -> Iterator[Gateway]:
    """One gateway for a whole module of many small cases, started with the default configuration."""
    for make in _gateways(request, tmp_path_factory.mktemp("module"), module_origin):
        gateway = make()
        gateway.load()
        yield gateway
