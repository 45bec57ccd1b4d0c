"""SIGUSR2: another version of the program takes over, and nobody notices."""

from __future__ import annotations

import os
import shutil
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import proc
from support.binary import turnpike_path
from support.client import request_bytes
from support.gateway import START_DEADLINE, Gateway
from support.load import Load
from support.message import Request, Truncated
from support.origin import Origin, OriginConnection
from support.ports import accepts
from support.wait import wait_until

pytestmark = pytest.mark.threads

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


class Installed(Gateway):
    """A gateway whose program is a file of its own, so that it can be replaced."""

    @property
    def program(self) -> Path:
        return self.folder / "bin" / "turnpike"

    @property
    def command(self) -> list[str]:
        return [str(self.program), "run", "-c", str(self.config_path)]

    def install(self, script: str | None = None) -> None:
        """Put the program there, or a script in its place (which may call the program, as $TURNPIKE)."""
        self.program.parent.mkdir(exist_ok=True)
        fresh = self.program.with_suffix(".new")
        if script is None:
            shutil.copy(turnpike_path(), fresh)
        else:
            fresh.write_text(f"#!/bin/sh\nTURNPIKE={turnpike_path()}\n{script}\n")
        fresh.chmod(fresh.stat().st_mode | stat.S_IXUSR)
        os.replace(fresh, self.program)

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.admin("/status")
        return status

    def upgrade(self) -> int:
        """SIGUSR2, and wait until another gateway process serves. Returns its pid."""
        before = self.status()
        self.signal(signal.SIGUSR2)

        def done() -> int:
            now = self.status()
            assert now["upgrades"]["failed"] == before["upgrades"]["failed"], self.log_tail()
            return now["pid"] if now["upgrades"]["done"] > before["upgrades"]["done"] else 0
        return wait_until(done, START_DEADLINE, "the upgrade")

    def upgrade_fails(self) -> str:
        """SIGUSR2, and wait until it is said why not. Returns that."""
        before = self.status()
        self.signal(signal.SIGUSR2)

        def failed() -> str:
            now = self.status()
            assert now["pid"] == before["pid"], "another process serves"
            return now["upgrades"]["last_failure"] if now["upgrades"]["failed"] > before["upgrades"]["failed"] else ""
        return wait_until(failed, START_DEADLINE, "the failure of the upgrade")

    def states(self) -> list[str]:
        return [process["state"] for process in self.status()["processes"]]


@pytest.fixture
def installed(tmp_path: Path, origin: Origin) -> Iterator[Installed]:
    gateway = Installed(tmp_path / "installed", origin)
    gateway.install()
    try:
        yield gateway
        gateway.stop()
    finally:
        gateway.kill()


def _switch(request: Request, connection: OriginConnection) -> None:
    """Switch protocols, then echo until the end."""
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\ngreeting")
    while connection.reader.fill():
        connection.send(bytes(connection.reader.buffer))
        connection.reader.buffer.clear()


# It works


def test_another_gateway_process_serves_and_the_supervisor_keeps_its_pid(installed: Installed) -> None:
    installed.load()
    supervisor, address, old = installed.pid, installed.address(), installed.worker_pid
    new = installed.upgrade()
    assert new != old
    wait_until(lambda: not proc.exists(old), what="the old process to end")
    assert installed.get("/").status == 200
    assert (installed.pid, installed.address()) == (supervisor, address)
    assert proc.children(supervisor) == [new]


def test_the_supervisor_is_the_new_program_too(installed: Installed) -> None:
    installed.load()
    installed.install()
    before = os.stat(f"/proc/{installed.pid}/exe").st_ino
    installed.upgrade()
    assert os.stat(f"/proc/{installed.pid}/exe").st_ino != before
    assert os.stat(f"/proc/{installed.pid}/exe").st_ino == installed.program.stat().st_ino


def test_a_symbolic_link_to_another_version_is_followed(installed: Installed) -> None:
    versions = installed.folder / "versions"
    versions.mkdir()
    for name in ("one", "two"):
        shutil.copy(turnpike_path(), versions / name)
    installed.program.unlink()
    installed.program.symlink_to(versions / "one")
    installed.load()
    installed.program.unlink()
    installed.program.symlink_to(versions / "two")
    new = installed.upgrade()
    for pid in (installed.pid, new):
        assert os.stat(f"/proc/{pid}/exe").st_ino == (versions / "two").stat().st_ino


def test_no_request_fails_under_load(installed: Installed) -> None:
    installed.load()
    with Load(installed, clients=8) as load:
        for _ in range(5):
            installed.upgrade()
            load.wait_for_more(50)
    assert not load.failures, load.failures[:5]
    wait_until(lambda: installed.states() == ["serving"], what="the old processes to end")


def test_no_connection_fails_under_load(installed: Installed) -> None:
    """Each request on a connection of its own: none may be refused or reset in between."""
    installed.load(listener={"limits": {"requests_per_connection": 1}})
    with Load(installed, clients=4) as load:
        for _ in range(3):
            installed.upgrade()
            load.wait_for_more(50)
    assert not load.failures, load.failures[:5]


def test_a_running_request_finishes_on_the_old_process(installed: Installed, origin: Origin) -> None:
    installed.load()
    gate = origin.hold()
    with installed.connect() as client:
        client.send_request("GET", "/slow")
        origin.wait_for(1)
        old = installed.worker_pid
        installed.upgrade()
        assert proc.exists(old)
        gate.set()
        response = client.read_response()
        assert (response.status, response.body) == (200, b"hello")
        assert response.headers.tokens("Connection") == ["close"]
    wait_until(lambda: not proc.exists(old), what="the old process to end")


def test_an_upgraded_connection_goes_on_on_the_old_process_and_is_shown(installed: Installed, origin: Origin) -> None:
    installed.load()
    origin.handler = _switch
    old = installed.worker_pid
    with installed.connect() as client:
        client.send(request_bytes("GET", "/", headers=UPGRADE))
        assert client.read_response().status == 101
        assert client.read_exactly(8) == b"greeting"
        new = installed.upgrade()

        def shown() -> list[Any]:
            found = [(one["pid"], one["state"], one["connections"]) for one in installed.status()["processes"]]
            return found if (old, "draining", 1) in found else []
        assert (new, "serving", 0) in wait_until(shown, what="the old process with its connection")
        client.send(b"still there?")
        assert client.read_exactly(12) == b"still there?"
    wait_until(lambda: installed.states() == ["serving"], what="the old process to end")
    assert not proc.exists(old)


def test_the_old_process_has_a_deadline(installed: Installed, origin: Origin) -> None:
    installed.load(upgrade={"drain_timeout": "500ms"})
    origin.handler = _switch
    old = installed.worker_pid
    with installed.connect() as client:
        client.send(request_bytes("GET", "/", headers=UPGRADE))
        assert client.read_response().status == 101
        installed.upgrade()
        wait_until(lambda: not proc.exists(old), what="the old process to end")
        with pytest.raises((Truncated, ConnectionResetError)):
            client.read_exactly(100)


def test_an_idle_connection_may_ask_once_more(installed: Installed) -> None:
    installed.load()
    with installed.connect() as client:
        assert client.get("/one").status == 200
        installed.upgrade()
        response = client.get("/two")
        assert response.status == 200
        assert response.headers.tokens("Connection") == ["close"]


def test_sockets_that_the_new_configuration_lacks_refuse(installed: Installed, origin: Origin) -> None:
    config = installed.full_config()
    config["listeners"]["other"] = {"address": "127.0.0.1:0"}
    installed.load(config)
    other = installed.address("other")[1]
    origin.handler = _switch
    with installed.connect() as client:       # keeps the old process, which has the socket too
        client.send(request_bytes("GET", "/", headers=UPGRADE))
        assert client.read_response().status == 101
        installed.write(installed.full_config())
        installed.upgrade()
        wait_until(lambda: not accepts(other), what="the socket to be closed")


def test_a_crash_after_an_upgrade_is_survived(installed: Installed) -> None:
    installed.load()
    new = installed.upgrade()
    wait_until(lambda: installed.states() == ["serving"], what="the old process to end")
    installed.expect_crash = True
    os.kill(new, signal.SIGKILL)
    wait_until(lambda: proc.children(installed.pid) not in ([new], []), what="the next process")
    assert installed.get("/").status == 200


def test_sigterm_ends_both_processes(installed: Installed, origin: Origin) -> None:
    installed.load(drain_timeout="300ms")
    origin.handler = _switch
    with installed.connect() as client:
        client.send(request_bytes("GET", "/", headers=UPGRADE))
        assert client.read_response().status == 101
        installed.upgrade()
        family = proc.tree(installed.pid)
        assert len(family) == 3
        installed.signal(signal.SIGTERM)
        assert installed.wait_exit() == 0
    assert not any(proc.exists(pid) for pid in family)


def test_a_reload_goes_to_the_new_process(installed: Installed, origin: Origin) -> None:
    installed.load()
    origin.handler = _switch
    with installed.connect() as client:
        client.send(request_bytes("GET", "/", headers=UPGRADE))
        assert client.read_response().status == 101
        installed.upgrade()
        installed.load(routes={"two": {"match": {"path": "/two"}, "respond": {"status": 201}}})
        assert installed.get("/two").status == 201


# It does not work, and the old one goes on


def test_a_program_that_is_none(installed: Installed) -> None:
    installed.load()
    installed.program.unlink()
    assert "cannot take over" in installed.upgrade_fails()
    assert installed.get("/").status == 200


def test_a_program_that_does_not_know_the_state(installed: Installed) -> None:
    installed.load()
    installed.install("exit 0")
    assert "cannot take over" in installed.upgrade_fails()
    assert installed.get("/").status == 200


def test_a_program_that_never_answers_is_given_up(installed: Installed) -> None:
    """The supervisor's patience with it is fixed: it is ended by the test as the supervisor would end it."""
    installed.load()
    installed.install(f'echo $$ > {installed.folder}/asked; exec sleep 1000')
    installed.signal(signal.SIGUSR2)
    asked = wait_until(lambda: (installed.folder / "asked").exists() and (installed.folder / "asked").read_text(),
                       what="the program to be asked")
    assert installed.get("/").status == 200
    os.kill(int(asked), signal.SIGKILL)
    wait_until(lambda: installed.status()["upgrades"]["failed"] == 1, what="the failure")
    assert "killed by signal 9" in installed.status()["upgrades"]["last_failure"]


def test_a_gateway_process_that_refuses_the_configuration(installed: Installed) -> None:
    installed.load()
    installed.write("lisseners: {}\n")
    said = installed.upgrade_fails()
    assert "before it was ready" in said and "check" in said
    assert "listeners" in installed.log()
    assert installed.get("/").status == 200
    assert installed.states() == ["serving"]
    installed.load()
    installed.upgrade()


def test_a_gateway_process_that_is_not_ready_in_time(installed: Installed) -> None:
    installed.load(upgrade={"ready_timeout": "300ms"})
    supervisor = installed.pid
    installed.install('[ "$1" = gateway ] && exec sleep 1000\nexec $TURNPIKE "$@"')
    with Load(installed) as load:
        assert "not ready in time" in installed.upgrade_fails()
        load.wait_for_more()
    assert not load.failures
    wait_until(lambda: len(proc.tree(supervisor)) == 2, what="the new process to be gone")
    assert installed.states() == ["serving"]


def test_sockets_that_only_the_failed_process_wanted_are_closed(installed: Installed) -> None:
    installed.load(upgrade={"ready_timeout": "2s"})
    config = installed.full_config(upgrade={"ready_timeout": "2s"})
    config["listeners"]["other"] = {"address": f"unix:{installed.folder}/other.sock"}
    config["services"]["origin"]["endpoints"] = ["http://name.invalid:1"]
    config["user"] = "no-such-user"               # refused after the sockets are bound
    installed.write(config)
    assert "before it was ready" in installed.upgrade_fails()
    assert not (installed.folder / "other.sock").exists()
    assert installed.get("/").status == 200


def test_a_program_that_cannot_be_executed_in_the_end(installed: Installed) -> None:
    """Its gateway process serves already, and retires again."""
    installed.load()
    supervisor, old = installed.pid, installed.worker_pid
    installed.install('[ "$1" = gateway ] && chmod a-x "$0"\nexec $TURNPIKE "$@"')
    with Load(installed) as load:
        installed.signal(signal.SIGUSR2)
        wait_until(lambda: "upgrade failed" in installed.log(), START_DEADLINE, "the failure")
        wait_until(lambda: proc.children(supervisor) == [old], START_DEADLINE, "the new process to end")
        load.wait_for_more()
    assert not load.failures, load.failures[:3]
    assert "cannot be executed in place" in installed.status()["upgrades"]["last_failure"]
    assert installed.status()["pid"] == old
    installed.install()
    installed.upgrade()


def test_a_second_signal_meanwhile_changes_nothing(installed: Installed) -> None:
    installed.load()
    before = installed.status()["upgrades"]["done"]
    for _ in range(3):
        installed.signal(signal.SIGUSR2)
    wait_until(lambda: installed.status()["upgrades"]["done"] > before, START_DEADLINE, "an upgrade")
    assert installed.get("/").status == 200


def test_the_gateway_process_itself_ignores_the_signal(installed: Installed) -> None:
    installed.load()
    pid = installed.worker_pid
    os.kill(pid, signal.SIGUSR2)
    wait_until(lambda: "send it there" in installed.log(), what="the warning")
    assert installed.worker_pid == pid
