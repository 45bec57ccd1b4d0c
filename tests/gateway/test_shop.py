"""The shop example: starts, does what its five commands promise, survives failures, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import proc
from support.binary import ROOT, environment, turnpike_path
from support.client import Client
from support.message import Response
from support.ports import accepts, free_port
from support.wait import wait_until

RUN = ROOT / "examples" / "shop" / "run"
SERVICES = ("USERS", "CATALOGUE", "CART", "ORDERS", "MONOLITH")
ALICE = {"X-API-Key": "alice-key"}


class Shop:
    """One run of the example, on ports of its own."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.ports = {name: free_port() for name in ("GATEWAY", "ADMIN", *SERVICES)}
        self.folder = folder
        self.output_path = folder / "output"
        env = environment({f"{name}_ADDRESS": f"127.0.0.1:{port}" for name, port in self.ports.items()})
        env.update({"TURNPIKE": str(turnpike_path()), "TMPDIR": str(folder), **settings})
        self.env = env
        self.began = time.monotonic()
        with self.output_path.open("wb") as output:
            self.process = subprocess.Popen([str(RUN), *arguments], stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output,
                                            env=env, cwd=ROOT, start_new_session=True)

    @property
    def output(self) -> str:
        return self.output_path.read_text()

    def wait_open(self) -> None:
        def is_open() -> bool:
            assert self.process.poll() is None, self.output
            return "Ctrl-C stops everything" in self.output
        wait_until(is_open, 20, "the shop to be open")

    def commands(self) -> list[str]:
        """The five commands, as printed."""
        lines = self.output.splitlines()
        return [lines[index + 1].strip() for index, line in enumerate(lines) if re.match(r"  # \d\. ", line)]

    def try_command(self, number: int) -> str:
        done = subprocess.run(["bash", "-c", self.commands()[number - 1]], capture_output=True, text=True, timeout=60,
                              env=self.env, cwd=ROOT,
                              check=False)
        assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def request(self, method: str, target: str, **rest: object) -> Response:
        return Client(("127.0.0.1", self.ports["GATEWAY"])).request(method, target, **rest)  # type: ignore[arg-type]

    def slow(self, name: str, milliseconds: int) -> None:
        urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/admin/slow?ms={milliseconds}", timeout=10).close()

    def stop(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)

    def kill(self) -> None:
        for pid in reversed(proc.tree(self.process.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


@pytest.fixture(params=[(), ("--monolith",)], ids=["microservices", "monolith"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    running = Shop(tmp_path, *request.param)
    try:
        running.wait_open()
        yield running
        assert running.stop() == 0, running.output
    finally:
        running.kill()


def test_an_open_call_is_answered(shop: Shop) -> None:
    said = shop.try_command(1)
    assert said.startswith("HTTP/1.1 200")
    assert "kettle" in said


def test_a_call_without_a_key_is_refused_and_with_one_answered(shop: Shop) -> None:
    assert shop.try_command(2).startswith("HTTP/1.1 401")
    assert shop.try_command(3).startswith("HTTP/1.1 200")


def test_the_limit_is_reached(shop: Shop) -> None:
    assert shop.try_command(4).split() == ["200"] * 10 + ["429"] * 2


def test_explain_names_route_and_policies(shop: Shop) -> None:
    said = shop.try_command(5)
    for word in ("orders", "key-auth", "headers", "rate-limit", "request-id"):
        assert word in said


def test_a_purchase_goes_through_all_services(shop: Shop) -> None:
    assert shop.request("GET", "/users/me", headers=ALICE).json()["city"] == "Leeds"
    cart = shop.request("PUT", "/cart/items/1", headers=ALICE, json={"quantity": 2})
    assert (cart.status, cart.json()["total_cents"]) == (200, 4980)
    order = shop.request("POST", "/orders", headers=ALICE, json={})
    assert (order.status, order.json()["state"]) == (201, "placed")
    target = f"/payments/{order.json()['id']}"
    assert shop.request("POST", target, headers=ALICE, json={"card": "1"}).status == 402
    assert shop.request("POST", target, headers=ALICE, json={"card": "4111111111111111"}).json()["state"] == "paid"
    assert shop.request("GET", "/cart", headers=ALICE).json()["items"] == []


def test_customers_see_their_own_orders_only(shop: Shop) -> None:
    shop.request("PUT", "/cart/items/1", headers=ALICE, json={"quantity": 1})
    order = shop.request("POST", "/orders", headers=ALICE, json={}).json()
    assert shop.request("GET", f"/orders/{order['id']}", headers={"X-API-Key": "bob-key"}).status == 404


def test_a_client_cannot_say_by_itself_who_it_is(shop: Shop) -> None:
    assert shop.request("GET", "/users/me", headers={"X-User": "alice"}).status == 401
    assert shop.request("GET", "/users/me", headers={"X-User": "alice", "X-API-Key": "bob-key"}).json()["name"] == "bob"


def test_a_slow_service_gets_504_and_recovers(shop: Shop) -> None:
    name = "MONOLITH" if accepts(shop.ports["MONOLITH"]) else "ORDERS"
    shop.slow(name, 4000)
    assert shop.request("GET", "/orders", headers=ALICE).status == 504
    shop.slow(name, 0)
    assert shop.request("GET", "/orders", headers=ALICE).status == 200


def test_it_starts_quickly(shop: Shop) -> None:
    """Three seconds with an optimised build; the sanitizers get some more."""
    assert time.monotonic() - shop.began < 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["ctrl-c", "term", "hang-up"])
def test_nothing_is_left_behind(tmp_path: Path, number: int) -> None:
    shop = Shop(tmp_path)
    try:
        shop.wait_open()
        family = proc.tree(shop.process.pid)
        assert len(family) >= 6
        assert shop.stop(number) == 0
        assert not [pid for pid in family if proc.exists(pid)]
        assert not any(accepts(port) for port in shop.ports.values())
        assert os.listdir(tmp_path) == ["output"]
        assert not Path(tempfile.gettempdir(), "turnpike-shop").exists()
    finally:
        shop.kill()


def test_a_service_that_is_killed_takes_nothing_else_with_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    try:
        shop.wait_open()
        match = re.search(r"orders .*\(process (\d+)\)", shop.output)
        assert match
        os.kill(int(match[1]), signal.SIGKILL)
        wait_until(lambda: "orders has ended" in shop.output, what="the end to be mentioned")
        assert shop.request("GET", "/orders", headers=ALICE).status in (502, 503)
        assert shop.request("GET", "/products/1").status == 200
        again = subprocess.Popen([str(ROOT / "examples" / "shop" / "orders.py")], env=shop.env)
        try:
            wait_until(lambda: accepts(shop.ports["ORDERS"]), what="the service to be back")
            assert shop.request("GET", "/orders", headers=ALICE).status == 200
        finally:
            again.terminate()
            again.wait()
        assert shop.stop() == 0
    finally:
        shop.kill()


@pytest.mark.parametrize("setting", ["GATEWAY_ADDRESS", "ADMIN_ADDRESS", "CART_ADDRESS"])
def test_a_port_that_is_taken_is_said_with_the_setting_that_changes_it(tmp_path: Path, origin: object,
                                                                       setting: str) -> None:
    taken = f"127.0.0.1:{origin.port}"  # type: ignore[attr-defined]
    shop = Shop(tmp_path, **{setting: taken})
    try:
        assert shop.process.wait(20) == 1
        assert taken in shop.output and setting in shop.output
        assert "Traceback" not in shop.output
        assert os.listdir(tmp_path) == ["output"]
    finally:
        shop.kill()


def test_the_policies_are_the_same_both_ways() -> None:
    folder = ROOT / "examples" / "shop"
    texts = [(folder / name).read_text() for name in ("microservices.yaml", "monolith.yaml")]
    for text in texts:
        assert "include: [routes.yaml]" in text
        assert "policies" not in text.partition("\n\n")[2]
