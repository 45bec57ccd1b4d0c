"""The real gateway process, started in a folder of its own and driven from outside."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import yaml

from . import proc
from .binary import environment, sanitizer_reports, turnpike_path
from .client import Client, Connection, Response
from .config import Config, full_config, node_settings
from .origin import Origin
from .prometheus import Metrics, parse_metrics
from .wait import DEADLINE, wait_until

START_DEADLINE = 20.0


class Gateway:
    """One `turnpike run`."""

    def __init__(self, folder: Path, origin: Origin | None = None) -> None:
        self.folder = folder
        self.origin = origin
        self.config_path = folder / "turnpike.yaml"
        self.data_dir = folder / "data"
        self.log_path = folder / "turnpike.log"
        self.access_log_path = folder / "access.log"
        self.env: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.expect_crash = False        # the test kills the process: no sanitizer check of the log
        folder.mkdir(parents=True, exist_ok=True)

    # Configuration

    def full_config(self, **parts: Any) -> Config:
        return full_config(self.folder, self.origin.url if self.origin else None, **parts)

    def node_settings(self) -> str:
        """The node settings as YAML text, to put before hand-written objects."""
        return yaml.safe_dump(node_settings(self.folder), sort_keys=False)

    def write(self, config: Config | str | bytes) -> None:
        """Write the file as a careful editor does: never half of it."""
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True) if isinstance(config, dict) else config
        fresh = self.config_path.with_suffix(".new")
        fresh.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.replace(fresh, self.config_path)

    def load(self, config: Config | str | None = None, **parts: Any) -> None:
        """Put a configuration into force: start the gateway with it, or reload. See config.full_config for the parts."""
        self.write(self.full_config(**parts) if config is None else config)
        if self.process is None:
            self.start()
        else:
            self.reload()

    def reload(self) -> None:
        """SIGHUP, and wait until the file is in force."""
        before = self.config_status()
        self.signal(signal.SIGHUP)
        after = self._wait_for_outcome(before)
        assert after["failures"] == before["failures"], f"the configuration was refused:\n{self.log_tail()}"

    def reload_refused(self) -> str:
        """SIGHUP, and wait until the file was refused. Returns what the log gained."""
        before, length = self.config_status(), len(self.log())
        self.signal(signal.SIGHUP)
        wait_until(lambda: self.config_status()["failures"] > before["failures"], START_DEADLINE, "a refusal")
        assert self.config_status()["reloads"] == before["reloads"], "a configuration that should be refused came into force"
        return self.log()[length:]

    def config_status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.admin("/status")["config"]
        return status

    def _wait_for_outcome(self, before: dict[str, Any]) -> dict[str, Any]:
        def outcome() -> dict[str, Any] | None:
            now = self.config_status()
            return now if (now["version"], now["failures"]) != (before["version"], before["failures"]) else None
        return wait_until(outcome, START_DEADLINE, "the outcome of a reload") or {}

    # Process

    def start(self, wait: bool = True) -> None:
        self.data_dir.mkdir(exist_ok=True)
        self.addresses_path.unlink(missing_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment(self.env), start_new_session=True)
        if wait:
            wait_until(self._ready, START_DEADLINE, "the gateway to be ready")

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended with status {self.process.returncode}:\n{self.log_tail()}")
        return self.addresses_path.exists()

    @property
    def command(self) -> list[str]:
        return [str(turnpike_path()), "run", "-c", str(self.config_path)]

    @property
    def pid(self) -> int:
        """The process that was started: the supervisor."""
        assert self.process is not None, "the gateway is not running"
        return self.process.pid

    @property
    def worker_pid(self) -> int:
        """The gateway process under the supervisor, or the only process if there is no supervisor."""
        below = proc.children(self.pid)
        return below[-1] if below else self.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait_exit(self, timeout: float = START_DEADLINE) -> int:
        assert self.process is not None
        return self.process.wait(timeout)

    def stop(self) -> None:
        """SIGTERM; the exit status must be 0 and no sanitizer may have complained."""
        if self.process is None:
            return
        process, self.process = self.process, None
        ended_before = process.poll() is not None
        if not ended_before:
            process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(START_DEADLINE)
        except subprocess.TimeoutExpired:
            self._kill(process)
            raise AssertionError(f"the gateway did not end on SIGTERM:\n{self.log_tail()}") from None
        if self.expect_crash:
            return
        reports = sanitizer_reports(self.log())
        assert not reports, f"sanitizer: {reports[0]}\n{self.log_tail(200)}"
        assert status == 0, f"the gateway ended with status {status}:\n{self.log_tail()}"

    def kill(self) -> None:
        """End at once whatever is left, without any check."""
        if self.process is not None:
            self._kill(self.process)
            self.process = None

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        for pid in reversed(proc.tree(process.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait(DEADLINE)

    def rss(self) -> int:
        """Resident memory of the gateway process in bytes."""
        return proc.rss(self.worker_pid)

    # Addresses

    @property
    def addresses_path(self) -> Path:
        return self.data_dir / "addresses.json"

    def address(self, listener: str = "main") -> tuple[str, int]:
        return _split(json.loads(self.addresses_path.read_text())["listeners"][listener])

    @property
    def admin_address(self) -> tuple[str, int]:
        return _split(json.loads(self.addresses_path.read_text())["admin"])

    @property
    def port(self) -> int:
        return self.address()[1]

    @property
    def url(self) -> str:
        return "http://%s:%d" % self.address()

    # Traffic

    def client(self, listener: str = "main") -> Client:
        return Client(self.address(listener))

    def connect(self, timeout: float = DEADLINE, receive_buffer: int = 0) -> Connection:
        return self.client().connect(timeout, receive_buffer)

    def request(self, method: str, target: str, **rest: Any) -> Response:
        return self.client().request(method, target, **rest)

    def get(self, target: str = "/", **rest: Any) -> Response:
        return self.request("GET", target, **rest)

    def post(self, target: str = "/", **rest: Any) -> Response:
        return self.request("POST", target, **rest)

    def exchange(self, data: bytes) -> bytes:
        """Raw bytes on a fresh connection; all that comes back until the gateway closes."""
        return self.client().exchange(data)

    # What it tells

    def admin_response(self, path: str) -> Response:
        return Client(self.admin_address).request("GET", path, headers={"Host": "%s:%d" % self.admin_address})

    def admin(self, path: str) -> Any:
        response = self.admin_response(path)
        assert response.status == 200, f"{path}: {response.status} {response.text}"
        return response.json()

    def admin_post(self, path: str, headers: dict[str, str] | None = None) -> Response:
        own = {"Host": "%s:%d" % self.admin_address}
        return Client(self.admin_address).request("POST", path, headers={**own, **(headers or {})})

    def endpoint_status(self, url: str) -> dict[str, Any]:
        """What /status says about the endpoint."""
        found: dict[str, Any] = next(one for one in self.admin("/status")["endpoints"] if one["url"] == url)
        return found

    def service_status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.admin("/status")["services"] if one["name"] == name)
        return found

    def metrics(self) -> Metrics:
        response = self.admin_response("/metrics")
        assert response.status == 200, response.text
        return parse_metrics(response.text)

    def wait_for_metric(self, name: str, value: float, **labels: str) -> None:
        """Wait until the samples add up to the value."""
        wait_until(lambda: self.metrics().value(name, **labels) == value, what=f"{name}{labels} == {value}")

    def access_log_lines(self, count: int = 1) -> list[str]:
        """The raw lines, once there are so many."""
        def lines() -> list[str] | None:
            text = self.access_log_path.read_text("utf-8", "surrogateescape") if self.access_log_path.exists() else ""
            whole = text[:text.rfind("\n") + 1].split("\n")[:-1]
            return whole if len(whole) >= count else None
        return wait_until(lines, what=f"{count} lines in the access log") or []

    def access_log(self, count: int = 1) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.access_log_lines(count)]

    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def wait_for_log(self, *parts: str) -> str:
        """Wait for a line with all these parts, and return it."""
        def line() -> str:
            return next((one for one in self.log().splitlines() if all(part in one for part in parts)), "")
        return wait_until(line, what=f"a line of the log with {parts}")

    def log_tail(self, lines: int = 60) -> str:
        return "\n".join(self.log().splitlines()[-lines:])

    def report(self) -> str:
        """What a person needs to see when a test failed."""
        config = self.config_path.read_bytes().decode("utf-8", "replace") if self.config_path.exists() else "(none)"
        if len(config) > 8000:
            config = config[:8000] + "\n..."
        return f"run again: {shlex.join(self.command)}\n\n--- {self.config_path}\n{config}\n--- log\n{self.log_tail(200)}"


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
