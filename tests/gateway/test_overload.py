"""When the machine runs out of something, or behaves oddly: who is connected goes on, it is counted, and it passes."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from support import proc
from support.binary import environment
from support.client import Connection
from support.clock import WallClock
from support.gateway import START_DEADLINE, Gateway
from support.load import Load
from support.message import Request
from support.origin import Origin, OriginConnection
from support.wait import wait_until

pytestmark = pytest.mark.threads

DAY = 86400


def _start_in(gateway: Gateway, shell: str) -> None:
    """Start it from a shell that has prepared something."""
    gateway.data_dir.mkdir(exist_ok=True)
    with gateway.log_path.open("ab") as log:
        gateway.process = subprocess.Popen(["/bin/bash", "-c", f'{shell}; exec "$@"', "bash", *gateway.command],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env=environment(gateway.env), start_new_session=True)
    wait_until(gateway.addresses_path.exists, START_DEADLINE, "the gateway to be ready")


# Descriptors


def _descriptor_refusals(gateway: Gateway) -> float:
    return gateway.metrics().value("turnpike_limits_reached_total", listener="main", limit="descriptors")


def test_clients_beyond_the_descriptors_are_refused_and_the_others_go_on(gateway: Gateway, origin: Origin) -> None:
    gateway.write(gateway.full_config(workers=1))
    _start_in(gateway, "ulimit -n 100")
    crowd: list[Connection] = []
    with gateway.connect() as client:
        assert client.get("/").status == 200

        def is_refused() -> bool:
            crowd.append(gateway.connect())
            crowd[-1].send_request("GET", "/")
            return crowd[-1].read_head().status == 503
        wait_until(is_refused, what="a client to be refused")
        assert 20 < len(crowd) < 100
        origin.close_connections()                # the next requests need connections of their own
        for _ in range(5):
            assert client.get("/").status == 200
        for one in crowd:
            one.close()
        wait_until(lambda: gateway.get("/").status == 200, what="clients to be let in again")
    assert _descriptor_refusals(gateway) >= 1


def test_a_reload_works_while_descriptors_are_used_up(gateway: Gateway) -> None:
    gateway.write(gateway.full_config(workers=1))
    _start_in(gateway, "ulimit -n 100")
    admin = gateway.admin("/status")["config"]["version"]
    crowd = [gateway.connect() for _ in range(120)]
    wait_until(lambda: proc.open_files(gateway.worker_pid) >= 80, what="the descriptors to be used")
    gateway.write(gateway.full_config(workers=1, routes={"two": {"match": {"path": "/two"}}}))
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "configuration applied" in gateway.log(), what="the reload")
    for one in crowd:
        one.close()
    wait_until(lambda: gateway.get("/two").status == 200, what="the new route")
    assert gateway.admin("/status")["config"]["version"] > admin


def test_a_storm_of_connections_leaves_nothing_and_loses_nothing(gateway: Gateway) -> None:
    """Connections that come and go, most without a word, beside clients at work."""
    gateway.load(workers=2)
    address, stop = gateway.address(), threading.Event()

    def storm() -> None:
        while not stop.is_set():
            batch = []
            for _ in range(50):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(address)
                batch.append(one)
            for one in batch:
                one.close()

    threads = [threading.Thread(target=storm) for _ in range(2)]
    accepted = gateway.metrics().value("turnpike_connections_total", listener="main")
    with Load(gateway, clients=2) as load:
        for thread in threads:
            thread.start()
        load.wait_for_more(100)
        stop.set()
        for thread in threads:
            thread.join(10)
    assert not load.failures, load.failures[:3]
    assert gateway.metrics().value("turnpike_connections_total", listener="main") > accepted + 100
    wait_until(lambda: gateway.metrics().value("turnpike_connections", listener="main") == 0, what="all to be closed")


# Memory


def test_when_the_buffers_are_used_up_requests_under_way_go_on(gateway: Gateway, origin: Origin) -> None:
    gateway.load(buffers={"memory": "1MiB"}, workers=1)
    gate = threading.Event()

    def handler(request: Request, connection: OriginConnection) -> None:
        if request.target == "/waits":
            gate.wait(START_DEADLINE)
            connection.reply(body=b"at last")
        else:
            connection.reply(body=b"x" * 30_000_000)
    origin.handler = handler
    stuck: list[Connection] = []
    with gateway.connect() as client:
        client.send_request("GET", "/waits")
        origin.wait_for(1)

        def is_used_up() -> bool:
            stuck.append(gateway.connect(receive_buffer=4096))
            stuck[-1].send_request("GET", "/large")
            return stuck[-1].read_head().status == 503
        wait_until(is_used_up, what="the buffers to be used up by clients that do not read")
        for one in stuck:
            one.reset()
        gate.set()
        assert client.read_response().body == b"at last"
    assert gateway.metrics().value("turnpike_errors_total", kind="no-memory") >= 1
    wait_until(lambda: gateway.metrics().value("turnpike_connections", listener="main") == 0, what="all to be closed")


# A full disk


@pytest.mark.skipif(subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0,
                    reason="no mount namespaces here")
def test_a_full_disk_under_the_access_log_is_survived_and_counted(gateway: Gateway) -> None:
    disk = gateway.folder / "disk"
    disk.mkdir()
    gateway.write(gateway.full_config(access_log={"path": str(disk / "access.log"), "format": "json"}))
    gateway.data_dir.mkdir(exist_ok=True)
    script = f'mount -t tmpfs -o size=64k tmpfs {disk} && head -c 60000 /dev/zero >{disk}/ballast && exec "$@"'
    with gateway.log_path.open("ab") as log:
        gateway.process = subprocess.Popen(["unshare", "-m", "bash", "-c", script, "bash", *gateway.command],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env=environment(), start_new_session=True)
    wait_until(gateway.addresses_path.exists, START_DEADLINE, "the gateway to be ready")
    inside = Path(f"/proc/{gateway.worker_pid}/root{disk}")         # as its processes see it

    def dropped() -> float:
        return gateway.metrics().value("turnpike_access_log_dropped_total")
    with gateway.connect() as client:
        def is_full() -> bool:
            for _ in range(20):
                assert client.get("/").status == 200
            return dropped() > 0
        wait_until(is_full, what="lines to be dropped")
        (inside / "ballast").unlink()
        before = dropped()

        def is_written() -> bool:
            assert client.get("/after").status == 200
            return '"/after"' in (inside / "access.log").read_text()
        wait_until(is_written, what="lines to be written again")
    lines = (inside / "access.log").read_text().splitlines()
    torn = [line for line in lines if not _is_json(line)]
    assert len(torn) <= 1 and all(line.count('"time"') <= 1 for line in torn), "a half line is ended before the next begins"
    assert before > 0


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


# A slow control thread


def test_a_long_reload_slows_no_request(gateway: Gateway) -> None:
    gateway.load(workers=1)
    routes = {f"r{number}": {"match": {"path": f"/r/{number}"}} for number in range(10000)}
    before = gateway.config_status()["version"]
    gateway.write(json.dumps(gateway.full_config(workers=1, routes={"default": {"match": {"path": "/*"}}, **routes})))
    slowest = 0.0
    answers = 0
    with gateway.connect() as client:
        began = time.monotonic()
        gateway.signal(signal.SIGHUP)
        while "configuration applied" not in gateway.log():
            asked = time.monotonic()
            assert client.get("/").status == 200
            slowest, answers = max(slowest, time.monotonic() - asked), answers + 1
            assert asked < began + START_DEADLINE
        took = time.monotonic() - began
    assert answers >= 10, "requests were answered meanwhile"
    assert slowest < took / 2, f"the slowest of {answers} took {slowest:.3f} s of the reload's {took:.3f} s"
    assert gateway.config_status()["version"] > before


def test_a_scrape_that_is_not_read_slows_nothing(gateway: Gateway) -> None:
    gateway.load(routes={f"r{number}": {"match": {"path": f"/r/{number}"}} for number in range(2000)})
    for number in range(0, 2000, 2):
        assert gateway.get(f"/r/{number}").status == 200
    stuck = [Connection(gateway.admin_address, receive_buffer=4096) for _ in range(8)]
    for one in stuck:
        one.send_request("GET", "/metrics", headers={"Host": "localhost"})
    for one in stuck:
        assert one.read_head().status == 200
    with gateway.connect() as client:
        for _ in range(50):
            assert client.get("/r/2").status == 200
    assert gateway.admin("/status")["state"] == "ready"
    gateway.load(routes={"default": {"match": {"path": "/*"}}})
    for one in stuck:
        one.close()


# A clock that jumps


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["ahead", "back"])
def test_timers_do_not_follow_the_wall_clock(gateway: Gateway, origin: Origin, jump: int) -> None:
    clock = WallClock(gateway)
    gateway.load(listener={"timeouts": {"head": "700ms", "idle": "60s"}}, service={"timeouts": {"response": "700ms"}})
    gate = origin.hold()
    with gateway.connect() as idle, gateway.connect() as waiting, gateway.connect() as slow:
        gate.set()
        assert idle.get("/").status == 200
        gate.clear()
        waiting.send_request("GET", "/")
        slow.send(b"GET / HT")
        clock.set(jump)
        began = time.monotonic()
        assert waiting.read_response().status == 504
        assert slow.read_response().status == 408
        assert time.monotonic() - began < 5
        gate.set()
        response = idle.get("/")
        assert response.status == 200, "not closed by a day that never was"
    entry = gateway.access_log(4)[-1]
    assert abs(_seconds(entry["time"]) - (time.time() + jump)) < 60, "what people read is the wall clock's"
    assert entry["duration_ms"] < 60000


def _seconds(when: str) -> float:
    return time.mktime(time.strptime(when[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
@pytest.mark.parametrize("algorithm", ["fixed-window", "sliding-window", "token-bucket"])
def test_a_clock_that_is_set_back_locks_nobody_out(gateway: Gateway, algorithm: str) -> None:
    clock = WallClock(gateway)
    clock.set(DAY)
    gateway.load(policies=[{"rate-limit": {"limit": 3, "window": "1s", "key": "'all'", "algorithm": algorithm}}])
    assert gateway.get("/").status == 200
    clock.set(0)
    wait_until(lambda: gateway.get("/").status == 200, what="a request to be let in")
