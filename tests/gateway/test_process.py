"""The life of the processes: start, drain, stop, logs, crashes."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from support import proc
from support.binary import environment, turnpike
from support.gateway import Gateway
from support.message import Request, Truncated
from support.origin import Origin, OriginConnection
from support.ports import accepts
from support.wait import wait_until

pytestmark = pytest.mark.threads


# Start


def test_a_bad_configuration_ends_the_start_with_status_1(gateway: Gateway) -> None:
    gateway.write("lisseners: {}\n")
    done = turnpike("run", "-c", str(gateway.config_path))
    assert done.returncode == 1
    assert "turnpike.yaml:1:1" in done.stderr
    assert "listeners" in done.stderr, "the near miss is named"


def test_check_says_the_same_as_the_start(gateway: Gateway) -> None:
    gateway.write("lisseners: {}\nroutes: 7\n")
    run, check = turnpike("run", "-c", str(gateway.config_path)), turnpike("check", str(gateway.config_path))
    assert run.returncode == check.returncode == 1
    for part in ("turnpike.yaml:1:1", "turnpike.yaml:2:9"):
        assert part in run.stderr
        assert part in check.stdout + check.stderr


def test_a_port_that_is_taken_is_said_with_the_setting_that_changes_it(gateway: Gateway, origin: Origin) -> None:
    gateway.write(gateway.full_config(listener={"address": f"127.0.0.1:{origin.port}"}))
    done = turnpike("run", "-c", str(gateway.config_path))
    assert done.returncode == 1
    assert f"127.0.0.1:{origin.port}" in done.stderr
    assert "listeners.main.address" in done.stderr


def test_an_unknown_subcommand_ends_with_status_2() -> None:
    assert turnpike("fly").returncode == 2
    assert turnpike("run", "--no-such-option").returncode == 2


def test_the_smallest_file_works(gateway: Gateway, origin: Origin) -> None:
    gateway.write(f'listeners: {{ main: {{ address: "127.0.0.1:0" }} }}\ndata_dir: {gateway.data_dir}\n'
                  f'routes:\n  all: {{ match: {{ path: "/*" }}, service: "{origin.url}" }}\n')
    gateway.start()
    assert gateway.get("/").body == b"hello"


def test_json_is_a_configuration_too(gateway: Gateway) -> None:
    gateway.write(json.dumps(gateway.full_config()))
    gateway.start()
    assert gateway.get("/").body == b"hello"


# SIGTERM


def test_sigterm_ends_an_idle_gateway_with_status_0(gateway: Gateway) -> None:
    gateway.load()
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit() == 0


def test_sigterm_lets_running_requests_finish(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    port = gateway.port
    gate = origin.hold()
    with gateway.connect() as client:
        client.send_request("GET", "/")
        origin.wait_for(1)
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: not accepts(port), what="new connections to be refused")
        gate.set()
        response = client.read_response()
        assert (response.status, response.body) == (200, b"hello")
        assert response.headers.tokens("Connection") == ["close"]
        assert client.closed()
    assert gateway.wait_exit() == 0


def test_sigterm_lets_a_running_upload_finish(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    port = gateway.port
    with gateway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf")
        wait_until(lambda: origin.connections == 1, what="the request to be on its way")
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: not accepts(port), what="new connections to be refused")
        client.send(b"half")
        assert client.read_response().status == 200
    assert origin.last.body == b"halfhalf"
    assert gateway.wait_exit() == 0


def test_sigterm_closes_idle_connections(gateway: Gateway) -> None:
    gateway.load()
    with gateway.connect() as client:
        assert client.get("/").status == 200
        gateway.signal(signal.SIGTERM)
        assert client.closed()
    assert gateway.wait_exit() == 0


def test_the_drain_has_a_deadline(gateway: Gateway, origin: Origin) -> None:
    gateway.load(drain_timeout="500ms")
    origin.hold()
    with gateway.connect() as client:
        client.send_request("GET", "/")
        origin.wait_for(1)
        gateway.signal(signal.SIGTERM)
        assert gateway.wait_exit(timeout=10) == 0
        with pytest.raises((Truncated, ConnectionResetError)):
            client.read_response()


def test_nothing_is_left_behind(gateway: Gateway) -> None:
    gateway.load()
    family = proc.tree(gateway.pid)
    assert len(family) == 2, "a supervisor and a gateway process"
    gateway.stop()
    assert not any(proc.exists(pid) for pid in family)


def test_a_second_start_with_the_same_data_works(gateway: Gateway) -> None:
    gateway.load()
    gateway.stop()
    gateway.start()
    assert gateway.get("/").status == 200


# Other signals


def test_sigquit_stops_at_once(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    origin.hold()
    with gateway.connect() as client:
        client.send_request("GET", "/")
        origin.wait_for(1)
        gateway.signal(signal.SIGQUIT)
        assert gateway.wait_exit(timeout=10) == 0
        with pytest.raises((Truncated, ConnectionResetError)):
            client.read_response()


def test_sigint_is_like_sigterm(gateway: Gateway) -> None:
    gateway.load()
    gateway.signal(signal.SIGINT)
    assert gateway.wait_exit() == 0

@pytest.mark.parametrize("order", [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)],
                         ids=["sigterm-first", "sigint-first"])
def test_sigterm_and_sigint_in_one_turn_end_the_process(gateway: Gateway, order: tuple[signal.Signals, ...]) -> None:
    gateway.load()
    pid = gateway.worker_pid
    with proc.stopped(pid):
        for number in order:
            os.kill(pid, number)
    wait_until(lambda: not proc.exists(pid), what="the process to end")


def test_sigterm_and_sigint_in_one_turn_end_it_at_once(gateway: Gateway, origin: Origin) -> None:
    gateway.load(drain_timeout="60s")
    origin.hold()
    pid = gateway.worker_pid
    with gateway.connect() as client:
        client.send_request("GET", "/")
        origin.wait_for(1)
        with proc.stopped(pid):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        wait_until(lambda: not proc.exists(pid), what="the process to end")
        with pytest.raises((Truncated, ConnectionResetError)):
            client.read_response()


def test_sigusr1_opens_the_access_log_again(gateway: Gateway) -> None:
    gateway.load()
    gateway.get("/before")
    gateway.access_log_lines(1)
    rotated = gateway.access_log_path.with_suffix(".1")
    os.rename(gateway.access_log_path, rotated)
    gateway.signal(signal.SIGUSR1)
    wait_until(gateway.access_log_path.exists, what="the new file")
    gateway.get("/after")
    assert [entry["path"] for entry in gateway.access_log(1)] == ["/after"]
    assert "/before" in rotated.read_text()


def test_no_line_is_lost_in_a_rotation(gateway: Gateway) -> None:
    gateway.load()
    total = 0
    for turn in range(5):
        for _ in range(20):
            gateway.get("/")
            total += 1
        os.rename(gateway.access_log_path, gateway.access_log_path.with_suffix(f".{turn}"))
        gateway.signal(signal.SIGUSR1)
        wait_until(gateway.access_log_path.exists, what="the new file")
    gateway.stop()
    lines = sum(len(path.read_text().splitlines()) for path in gateway.folder.glob("access*"))
    assert lines == total


# Crashes


def crash(gateway: Gateway, number: int) -> int:
    """Kill the gateway process and wait for the next one. Returns its pid."""
    gateway.expect_crash = True
    old = gateway.worker_pid
    os.kill(old, number)
    wait_until(lambda: not proc.exists(old), what="the process to die")
    return wait_until(lambda: next((pid for pid in proc.children(gateway.pid) if pid != old), 0),
                      what="the next process")


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL], ids=["abort", "kill"])
def test_a_crashed_gateway_process_is_replaced(gateway: Gateway, number: signal.Signals) -> None:
    gateway.load()
    address, supervisor = gateway.address(), gateway.pid
    assert gateway.get("/").status == 200
    crash(gateway, number)
    with socket.create_connection(address, timeout=10):
        pass                               # the sockets never went away: the kernel accepts meanwhile
    assert gateway.get("/").status == 200
    assert (gateway.address(), gateway.pid) == (address, supervisor)


def test_the_next_process_serves_within_a_second(gateway: Gateway) -> None:
    gateway.load()
    gateway.expect_crash = True
    os.kill(gateway.worker_pid, signal.SIGKILL)
    with gateway.connect(timeout=3) as client:      # a second, and what the sanitizer takes to start
        assert client.get("/").status == 200


def test_a_crash_leaves_a_report(gateway: Gateway, origin: Origin) -> None:
    gateway.load()
    origin.hold()
    with gateway.connect() as client:
        client.send_request("GET", "/running-at-the-time")
        origin.wait_for(1)
        crash(gateway, signal.SIGABRT)
    reports = wait_until(lambda: list((gateway.data_dir / "crashes").glob("*")), what="the crash report")
    text = wait_until(lambda: reports[0].read_text(errors="replace"), what="the report's text")
    assert "SIGABRT" in text or "signal 6" in text
    assert "/running-at-the-time" in text


def test_a_gateway_that_keeps_crashing_is_restarted_ever_more_slowly_but_stops_on_demand(gateway: Gateway) -> None:
    gateway.load()
    gateway.expect_crash = True
    for _ in range(4):
        crash(gateway, signal.SIGKILL)
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_exit() == 0


def test_after_a_crash_the_newest_good_configuration_is_in_force(gateway: Gateway) -> None:
    gateway.load(routes={"one": {"match": {"path": "/one"}}})
    gateway.load(routes={"two": {"match": {"path": "/two"}}})
    crash(gateway, signal.SIGKILL)
    wait_until(lambda: accepts(gateway.port))
    assert gateway.get("/two").status == 200
    assert gateway.get("/one").status == 404


def test_without_its_supervisor_the_gateway_process_ends(gateway: Gateway) -> None:
    gateway.load()
    gateway.expect_crash = True
    below = gateway.worker_pid
    assert below != gateway.pid
    os.kill(gateway.pid, signal.SIGKILL)
    gateway.wait_exit()
    wait_until(lambda: not proc.exists(below), what="the gateway process to end")


# Resources


def test_a_thousand_short_connections_leave_no_descriptor_open(gateway: Gateway, origin: Origin) -> None:
    gateway.load(workers=2)
    gateway.get("/")
    wait_until(lambda: gateway.metrics().value("turnpike_connections", listener="main") == 0)
    before = proc.open_files(gateway.worker_pid)

    def visit() -> None:
        for number in range(250):
            with gateway.connect() as client:
                if number % 3 == 0:
                    client.reset()
                elif number % 3 == 1:
                    client.send_request("GET", "/")
                else:
                    client.get("/")

    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(60)
    origin.close_connections()
    wait_until(lambda: proc.open_files(gateway.worker_pid) <= before + 2, what="the descriptors to be closed")


def test_running_out_of_descriptors_is_survived(gateway: Gateway, origin: Origin) -> None:
    gateway.write(gateway.full_config(workers=1))
    gateway.data_dir.mkdir()
    log = gateway.log_path.open("ab")
    with log:
        gateway.process = subprocess.Popen(["/bin/sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *gateway.command],
                                           stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log, env=environment(), start_new_session=True)
    wait_until(gateway.addresses_path.exists, what="the gateway to be ready")
    connections = []
    for _ in range(120):
        connection = socket.socket()
        connection.connect(gateway.address())
        connections.append(connection)
    for connection in connections:
        connection.close()
    wait_until(lambda: gateway.get("/").status == 200, what="the gateway to serve again")


def test_every_request_is_answered_while_the_origin_resets_connections(gateway: Gateway, origin: Origin) -> None:
    gateway.load()

    def handler(request: Request, connection: OriginConnection) -> None:
        if len(origin.requests) % 3 == 0:
            connection.reset()
        else:
            connection.reply(body=b"ok")
    origin.handler = handler
    statuses = [gateway.post("/", body=b"x").status for _ in range(60)]
    assert set(statuses) <= {200, 502}
    assert statuses.count(200) >= 30


def _may_raise_limits() -> bool:
    """Root may, but not in every container."""
    return subprocess.run(["/bin/bash", "-c", "ulimit -Hn 1000 -Sn 1000; ulimit -Hn 1001"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def _limit(pid: int, name: str) -> tuple[str, str]:
    """Soft and hard."""
    line = next(line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith(name))
    soft, hard = line[26:].split()[:2]
    return soft, hard


def _start_with(gateway: Gateway, limits: str) -> None:
    """Start it from a shell that has set the limits."""
    gateway.data_dir.mkdir(exist_ok=True)
    with gateway.log_path.open("ab") as log:
        gateway.process = subprocess.Popen(["/bin/bash", "-c", f'{limits}; exec "$@"', "bash", *gateway.command],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(),
                                           start_new_session=True)
    wait_until(gateway.addresses_path.exists, what="the gateway to be ready")


def test_no_process_leaves_a_core_unless_asked(gateway: Gateway) -> None:
    """A limit of 1 keeps the kernel from starting a core_pattern program too; 0 does not."""
    gateway.write(gateway.full_config())
    _start_with(gateway, "ulimit -Sc unlimited || true")
    assert _limit(gateway.pid, "Max core file size")[0] in ("0", "1")
    assert _limit(gateway.worker_pid, "Max core file size")[0] in ("0", "1")


def test_a_core_limit_is_for_the_gateway_process_alone(gateway: Gateway) -> None:
    gateway.write(gateway.full_config(core_limit="64MiB"))
    _start_with(gateway, "ulimit -Hc unlimited")
    assert _limit(gateway.worker_pid, "Max core file size") == (str(64 << 20), "unlimited")
    assert _limit(gateway.pid, "Max core file size")[0] == "1"


def test_a_core_limit_above_the_systems_is_said(gateway: Gateway) -> None:
    gateway.write(gateway.full_config(core_limit="64MiB"))
    _start_with(gateway, "ulimit -c 1024")
    wait_until(lambda: "LimitCORE" in gateway.log(), what="the warning")


def test_open_files_are_raised_to_the_hard_limit(gateway: Gateway) -> None:
    gateway.write(gateway.full_config(listener={"limits": {"connections": 100}}))
    _start_with(gateway, "ulimit -Sn 100; ulimit -Hn 1000")
    assert _limit(gateway.worker_pid, "Max open files") == ("1000", "1000")
    assert "LimitNOFILE" not in gateway.log()


@pytest.mark.skipif(not _may_raise_limits(), reason="only root can raise the hard limit, where it is let")
def test_open_files_are_raised_to_what_the_connections_need(gateway: Gateway) -> None:
    gateway.write(gateway.full_config(listener={"limits": {"connections": 2000}}))
    _start_with(gateway, "ulimit -n 1000")
    assert _limit(gateway.worker_pid, "Max open files") == ("4256", "4256")


def test_too_few_open_files_are_said_once_with_the_remedy(gateway: Gateway) -> None:
    """More than any machine lets a process have."""
    gateway.load(listener={"limits": {"connections": 10000000}})
    assert "LimitNOFILE" in gateway.log() and "limits.connections" in gateway.log()
    gateway.load(routes={"one": {"match": {"path": "/one"}}}, listener={"limits": {"connections": 10000000}})
    assert gateway.log().count("LimitNOFILE") == 1


# Privileges


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_gateway_process_becomes_the_configured_user_after_binding(gateway: Gateway) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        gateway.data_dir = Path(folder) / "data"
        gateway.load(user="nobody", data_dir=str(gateway.data_dir))
        status = Path(f"/proc/{gateway.worker_pid}/status").read_text()
        nobody = pwd.getpwnam("nobody")
        assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}\n" in status
        assert f"Gid:\t{nobody.pw_gid}\t{nobody.pw_gid}\t{nobody.pw_gid}\t{nobody.pw_gid}\n" in status
        assert gateway.get("/").status == 200
        gateway.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_unknown_user_ends_the_start_and_is_named(gateway: Gateway) -> None:
    gateway.write(gateway.full_config(user="no-such-user"))
    done = turnpike("run", "-c", str(gateway.config_path))
    assert done.returncode == 1
    assert "no-such-user" in done.stderr
