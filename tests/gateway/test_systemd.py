"""A service manager that is played by the test: it passes sockets, and hears how the gateway is."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support import proc
from support.binary import ROOT, environment
from support.client import Client
from support.gateway import START_DEADLINE, Gateway
from support.wait import wait_until

pytestmark = pytest.mark.threads

UNIT = ROOT / "packaging" / "systemd" / "turnpike.service"


class Manager:
    """What systemd is to the gateway."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(START_DEADLINE)
        self.heard: list[str] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                message = self.socket.recv(4096).decode()
            except TimeoutError:
                continue
            except OSError:
                return
            with self._lock:
                self.heard.append(message)

    def wait_for(self, part: str, after: int = 0) -> str:
        """The first message with that part, from the one with that number on."""
        return wait_until(lambda: next((one for one in self.heard[after:] if part in one), ""), START_DEADLINE, part)

    def start(self, gateway: Gateway, sockets: list[socket.socket] | None = None, names: str = "",
              watchdog_ms: int = 0, patience: float = START_DEADLINE) -> None:
        """Run the gateway as a service. Descriptors begin at 3, and the pid is known only to the process itself."""
        gateway.data_dir.mkdir(exist_ok=True)
        given = sockets or []
        script = f"export LISTEN_PID=$$ LISTEN_FDS={len(given)} LISTEN_FDNAMES={names}; " if given else ""
        script += 'exec "$@"' + "".join(f" {3 + i}<&{one.fileno()}" for i, one in enumerate(given))
        env = {**gateway.env, "NOTIFY_SOCKET": str(self.path)}
        if watchdog_ms:
            env["WATCHDOG_USEC"] = str(watchdog_ms * 1000)
        with gateway.log_path.open("ab") as log:
            gateway.process = subprocess.Popen(
                ["bash", "-c", script, "bash", *gateway.command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment(env), pass_fds=[one.fileno() for one in given], start_new_session=True)
        wait_until(lambda: any("READY=1" in one for one in self.heard), patience, "READY=1")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    one = Manager(tmp_path)
    yield one
    one.socket.close()


def _listening(address: tuple[str, int] = ("127.0.0.1", 0)) -> socket.socket:
    """At a number that the descriptors from 3 on do not overwrite."""
    with closing(socket.create_server(address)) as one:
        return _moved(one)


def _moved(one: socket.socket) -> socket.socket:
    return socket.socket(fileno=fcntl.fcntl(one.fileno(), fcntl.F_DUPFD_CLOEXEC, 100))


# Telling


def test_ready_is_told_when_requests_are_taken(gateway: Gateway, manager: Manager) -> None:
    gateway.write(gateway.full_config())
    manager.start(gateway)
    assert f"MAINPID={gateway.pid}" in manager.wait_for("READY=1")
    assert gateway.get("/").status == 200


def test_a_refused_configuration_is_never_ready(gateway: Gateway, manager: Manager) -> None:
    gateway.write("lisseners: {}\n")
    gateway.expect_crash = True
    with pytest.raises(AssertionError):
        manager.start(gateway, patience=1)
    assert gateway.wait_exit() == 1
    assert not manager.heard


def test_a_reload_begins_and_ends(gateway: Gateway, manager: Manager) -> None:
    gateway.write(gateway.full_config())
    manager.start(gateway)
    gateway.signal(signal.SIGHUP)
    begun = manager.wait_for("RELOADING=1")
    assert re.search(r"MONOTONIC_USEC=\d+", begun)
    assert "configuration applied" in manager.wait_for("READY=1", after=manager.heard.index(begun))


def test_a_refused_reload_ends_too_and_says_why(gateway: Gateway, manager: Manager) -> None:
    gateway.write(gateway.full_config())
    manager.start(gateway)
    gateway.write("lisseners: {}\n")
    gateway.signal(signal.SIGHUP)
    begun = manager.wait_for("RELOADING=1")
    assert "lisseners" in manager.wait_for("READY=1", after=manager.heard.index(begun))


def test_stopping_asks_for_the_time_of_the_drain(gateway: Gateway, manager: Manager) -> None:
    gateway.write(gateway.full_config(drain_timeout="70s"))
    manager.start(gateway)
    gateway.get("/")
    gateway.signal(signal.SIGTERM)
    assert "EXTEND_TIMEOUT_USEC=75000000" in manager.wait_for("STOPPING=1")
    assert gateway.wait_exit() == 0


def test_an_upgrade_keeps_the_main_process(gateway: Gateway, manager: Manager) -> None:
    gateway.write(gateway.full_config())
    manager.start(gateway)
    old = gateway.worker_pid
    gateway.signal(signal.SIGUSR2)
    begun = manager.wait_for("STATUS=Upgrading")
    assert f"MAINPID={gateway.pid}" in manager.wait_for("READY=1", after=manager.heard.index(begun))
    wait_until(lambda: not proc.exists(old), what="the old process to end")


def test_the_gateway_process_is_not_told_of_the_manager(gateway: Gateway, manager: Manager) -> None:
    gateway.write(gateway.full_config())
    manager.start(gateway, watchdog_ms=60000)
    names = Path(f"/proc/{gateway.worker_pid}/environ").read_bytes()
    assert b"NOTIFY_SOCKET" not in names and b"WATCHDOG" not in names and b"LISTEN_" not in names


# Watchdog


def test_the_watchdog_is_told_again_and_again(gateway: Gateway, manager: Manager) -> None:
    gateway.write(gateway.full_config())
    manager.start(gateway, watchdog_ms=2000)
    serving = gateway.worker_pid
    wait_until(lambda: manager.heard.count("WATCHDOG=1") >= 6, what="six signs of life")
    assert gateway.worker_pid == serving, "it gives signs of life itself"
    gateway.signal(signal.SIGUSR2)
    manager.wait_for("READY=1", after=len(manager.heard))
    before = manager.heard.count("WATCHDOG=1")
    wait_until(lambda: manager.heard.count("WATCHDOG=1") >= before + 3, what="signs of life after an upgrade")


def test_a_gateway_process_that_hangs_is_replaced(gateway: Gateway, manager: Manager) -> None:
    gateway.write(gateway.full_config())
    manager.start(gateway, watchdog_ms=2000)
    gateway.expect_crash = True
    hung, address = gateway.worker_pid, gateway.address()
    os.kill(hung, signal.SIGSTOP)
    wait_until(lambda: "does not go round any more" in gateway.log(), START_DEADLINE, "the supervisor to notice")
    wait_until(lambda: not proc.exists(hung), START_DEADLINE, "the end of the process")
    with Client(address).connect(START_DEADLINE) as client:
        assert client.get("/").status == 200
    assert manager.heard.count("WATCHDOG=1") >= 2


# Sockets


def test_a_socket_is_matched_by_its_address(gateway: Gateway, manager: Manager) -> None:
    with closing(_listening()) as passed:
        port = passed.getsockname()[1]
        gateway.write(gateway.full_config(listener={"address": f"127.0.0.1:{port}"}))
        manager.start(gateway, [passed])
        assert Client(("127.0.0.1", port)).request("GET", "/").status == 200


def test_a_socket_is_matched_by_its_name(gateway: Gateway, manager: Manager) -> None:
    with closing(_listening()) as other, closing(_listening()) as passed:
        gateway.write(gateway.full_config(listener={"address": "0.0.0.0:0"}))
        manager.start(gateway, [other, passed], "odd:main")
        assert gateway.address() == passed.getsockname()
        assert Client(passed.getsockname()).request("GET", "/").status == 200


def test_a_passed_socket_outlives_the_gateway(gateway: Gateway, manager: Manager) -> None:
    """Connections wait for the next start; nothing may shut the socket down."""
    with closing(_listening()) as passed:
        gateway.write(gateway.full_config())
        manager.start(gateway, [passed], "main")
        assert gateway.get("/").status == 200
        gateway.signal(signal.SIGTERM)
        assert gateway.wait_exit() == 0
        with Client(passed.getsockname()).connect() as client:
            client.send_request("GET", "/")
            gateway.process = None
            manager.heard.clear()
            manager.start(gateway, [passed], "main")
            assert client.read_response().status == 200


def test_a_passed_socket_survives_a_reload_without_its_listener_and_an_upgrade(
        gateway: Gateway, manager: Manager) -> None:
    with closing(_listening()) as passed:
        config = gateway.full_config()
        config["listeners"]["other"] = {"address": "127.0.0.1:0"}
        gateway.write(config)
        manager.start(gateway, [passed], "other")
        assert gateway.client("other").request("GET", "/").status == 200
        gateway.load()
        before = gateway.worker_pid
        gateway.signal(signal.SIGUSR2)
        manager.wait_for("READY=1", after=len(manager.heard))
        wait_until(lambda: not proc.exists(before), what="the old process to end")
        gateway.load(config)
        assert gateway.address("other") == passed.getsockname()
        assert gateway.client("other").request("GET", "/").status == 200


def test_a_descriptor_that_is_no_listening_socket_is_said(gateway: Gateway, manager: Manager) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as odd:
        gateway.write(gateway.full_config())
        with closing(_moved(odd)) as high:
            manager.start(gateway, [high], "main")
        assert "a socket that the service manager passed is not used" in gateway.log()
        assert gateway.get("/").status == 200


# The unit file


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_the_unit_file_is_hardened() -> None:
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", str(UNIT)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_the_unit_file_has_no_error(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/usr/bin/turnpike", "/bin/true").replace("User=turnpike", "User=root")
    (tmp_path / "turnpike.service").write_text(text.replace("Group=turnpike", "Group=root"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(tmp_path / "turnpike.service")],
                          capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "turnpike.service" in line]
    assert not said, done.stderr
