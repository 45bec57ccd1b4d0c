"""What a container expects of its first process: it is PID 1 of a namespace of its own here."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import proc
from support.binary import ROOT, environment, turnpike
from support.gateway import START_DEADLINE, Gateway
from support.origin import Origin
from support.ports import accepts
from support.wait import wait_until

pytestmark = pytest.mark.threads

NAMESPACES = ["unshare", "--pid", "--fork", "--mount-proc"]
CONTAINER = ROOT / "packaging" / "container"


class Contained(Gateway):
    """`turnpike run` as PID 1. The process that this test started is `unshare`; the one below it is PID 1 inside."""

    @property
    def command(self) -> list[str]:
        return [*NAMESPACES, *super().command]

    @property
    def first(self) -> int:
        """PID 1, by its number out here."""
        return proc.children(self.pid)[0]

    @property
    def worker_pid(self) -> int:
        return proc.children(self.first)[-1]

    def signal(self, number: int) -> None:
        os.kill(self.first, number)


@pytest.fixture
def contained(tmp_path: Path, origin: Origin) -> Iterator[Contained]:
    if subprocess.run([*NAMESPACES, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("no PID namespaces here")
    gateway = Contained(tmp_path / "contained", origin)
    try:
        yield gateway
        if gateway.process and gateway.process.poll() is None:
            gateway.signal(signal.SIGTERM)
            assert gateway.wait_exit() == 0
        gateway.process = None
    finally:
        gateway.kill()


def _inside(pid: int) -> int:
    """The process's number in its own namespace."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^NSpid:.*\s(\d+)$", status, re.MULTILINE).group(1))


def test_pid_1_serves_and_ends_on_sigterm(contained: Contained) -> None:
    """The kernel ignores signals to PID 1 that it has no handler for."""
    contained.load()
    assert _inside(contained.first) == 1
    assert contained.get("/").status == 200
    contained.signal(signal.SIGTERM)
    assert contained.wait_exit() == 0


def test_pid_1_lets_running_requests_finish(contained: Contained, origin: Origin) -> None:
    contained.load()
    port, gate = contained.port, origin.hold()
    with contained.connect() as client:
        client.send_request("GET", "/")
        origin.wait_for(1)
        contained.signal(signal.SIGTERM)
        wait_until(lambda: not accepts(port), what="new connections to be refused")
        gate.set()
        assert client.read_response().status == 200
    assert contained.wait_exit() == 0


def test_pid_1_reaps_orphans_of_others(contained: Contained) -> None:
    contained.load()
    worker = contained.worker_pid
    enter = ["nsenter", "-t", str(contained.first), "-p", "-m", "sh", "-c", "sh -c 'sleep 0.2' & exit 0"]
    subprocess.run(enter, check=True, env=environment())

    def below() -> list[int]:
        """Zombies too."""
        path = Path(f"/proc/{contained.first}/task/{contained.first}/children")
        return [int(pid) for pid in path.read_text().split()]
    wait_until(lambda: below() == [worker], what="the orphan to be reaped")


def test_pid_1_replaces_a_gateway_process_that_crashed(contained: Contained) -> None:
    contained.load()
    contained.expect_crash = True
    old = contained.worker_pid
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: proc.children(contained.first) not in ([old], []), what="the next process")
    assert contained.get("/").status == 200


def test_pid_1_stays_pid_1_in_an_upgrade(contained: Contained) -> None:
    contained.load()
    first, old = contained.first, contained.worker_pid
    contained.signal(signal.SIGUSR2)
    wait_until(lambda: contained.admin("/status")["upgrades"]["done"] == 1, START_DEADLINE, "the upgrade")
    wait_until(lambda: not proc.exists(old), what="the old process to end")
    assert contained.first == first and _inside(first) == 1
    assert contained.get("/").status == 200


def test_logs_go_to_the_streams(contained: Contained) -> None:
    contained.load(access_log={"path": "stdout", "format": "json"}, log={"format": "json"})
    contained.get("/to-the-stream")
    wait_until(lambda: "/to-the-stream" in contained.log(), what="the line")
    assert '"message":"ready"' in contained.log()


# The health check


def test_health_tells_ready_from_not(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    address = "%s:%d" % gateway.admin_address
    done = turnpike("health", address)
    assert (done.returncode, done.stdout) == (0, "ready\n")
    origin.hold()
    with gateway.connect() as client:
        client.send_request("GET", "/")
        origin.wait_for(1)
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: turnpike("health", address).returncode == 1, what="the drain to be told")
        gateway.signal(signal.SIGQUIT)
    assert gateway.wait_exit() == 0
    done = turnpike("health", address)
    assert done.returncode == 1
    assert "admin.address" in done.stderr


def test_health_of_no_address_is_a_usage_error() -> None:
    assert turnpike("health", "nonsense").returncode == 2


# The image's files


def test_the_images_configuration_is_good() -> None:
    done = turnpike("check", str(CONTAINER / "turnpike.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_is_not_roots_and_is_built_from_what_is_there() -> None:
    text = (CONTAINER / "Dockerfile").read_text()
    final = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert '"turnpike", "health"' in final
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for path in line.split():
            assert (ROOT / path).exists(), path


RUN_TIME = {"libc-ares-dev": "libc-ares2", "libcrypt-dev": "libcrypt1", "libedit-dev": "libedit2",
            "libpcre2-dev": "libpcre2-8-0",
            "libssl-dev": "libssl3", "libyaml-dev": "libyaml-0-2"}


def test_the_image_has_every_library_of_the_program() -> None:
    text = (CONTAINER / "Dockerfile").read_text()
    needed = (ROOT / "packages.txt").read_text().partition("[build]")[2].partition("[run]")[0].split()
    for package in needed:
        if package.startswith("lib") and package != "libc6-dev":
            assert package in RUN_TIME, f"{package}: name its run-time package here and in the Dockerfile"
            assert RUN_TIME[package] in text
