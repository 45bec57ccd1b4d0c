"""The programs under test: starts one for a case, asks whether it answers as it should, and stops it."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import configs
import machine

START_SECONDS = 180


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Ground:
    """What the subjects share: the tools that were built, the program under test, a folder, the origin."""

    def __init__(self, build, folder):
        self.tools = build / "tests" / "bench"
        self.turnpike = build / "turnpike"
        self.folder = pathlib.Path(folder)
        self.origin = subprocess.Popen([self.tools / "origin"], stdout=subprocess.PIPE, text=True)
        self.origin_port = int(self.origin.stdout.readline())

    def close(self):
        self.origin.terminate()
        self.origin.wait()


class Subject:
    """One entrant of a case, on its own core, ready for requests."""

    def __init__(self, ground, case, entrant, scale):
        self.ground, self.case, self.entrant, self.scale = ground, case, entrant, scale
        self.answered = 0
        self.folder = ground.folder / f"{case.name}-{entrant.name}"
        self.folder.mkdir()
        self.data_dir = self.folder / "data"
        self.access_log = self.folder / "access.log"
        self.output = self.folder / "output.log"
        self.config = self.folder / "config"
        self.origin_port = ground.origin_port
        self.port = 0 if entrant.kind == "minimal" else free_port()
        try:
            self._start()
        except Exception:
            self.close()
            raise

    # Configuration

    def write_config(self, generation=0):
        """Whole or not at all, as a careful operator would."""
        fresh = self.config.with_suffix(".new")
        fresh.write_text(configs.WRITERS[self.entrant.kind](self, generation))
        os.replace(fresh, self.config)

    def write_part(self, number, generation=0):
        """One of the included files, whole or not at all."""
        path = self.folder / f"part-{number:04d}.yaml"
        fresh = path.with_suffix(".new")
        fresh.write_text(configs.turnpike_part(self.entrant, number, generation))
        os.replace(fresh, path)

    def status(self):
        """What Turnpike's admin listener says."""
        host, _, port = json.loads((self.data_dir / "addresses.json").read_text())["admin"].rpartition(":")
        with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
            connection.request("GET", "/status")
            return json.loads(connection.getresponse().read())

    # Process

    def _command(self):
        kind = self.entrant.kind
        if kind == "minimal":
            splice = ["--splice"] if self.entrant.splice else []
            return [self.ground.tools / "minimal_proxy", *splice, str(self.origin_port)]
        self.write_config()
        for number in range(self.entrant.files):
            self.write_part(number)
        if kind == "haproxy":
            return ["haproxy", "-f", self.config]
        if kind == "nginx":
            return ["nginx", "-c", self.config, "-e", self.folder / "nginx-error.log"]
        return [self.ground.turnpike, "run", "-c", self.config]

    def _start(self):
        command, began = self._command(), time.monotonic()
        minimal = self.entrant.kind == "minimal"
        # HAProxy logs to its standard output
        log = self.access_log if self.entrant.kind == "haproxy" and self.entrant.log else self.output
        with open(self.output, "ab") as error, open(log, "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=error, stdout=subprocess.PIPE if minimal else output,
                preexec_fn=lambda: os.sched_setaffinity(0, {machine.SUBJECT_CORE}))
        if minimal:
            self.port = int(self.process.stdout.readline())
        self._wait_until_it_listens(began + START_SECONDS)
        self.start_seconds = time.monotonic() - began
        status, size = self.ask()
        if (status, size) != (200, self.case.answer_bytes):
            raise RuntimeError(f"its first answer: status {status}, {size} bytes")

    def _wait_until_it_listens(self, deadline):
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"ended with status {self.process.returncode} before it listened")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                if self.entrant.kind != "turnpike" or (self.data_dir / "addresses.json").exists():
                    return
            time.sleep(0.01)
        raise RuntimeError(f"does not listen after {START_SECONDS} s")

    def pids(self):
        return machine.tree(self.process.pid)

    def close(self):
        process = getattr(self, "process", None)
        if process:
            pids = self.pids() if process.poll() is None else []
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                process.send_signal(signal.SIGTERM)
                process.wait(15)
            for pid in pids if process.poll() is None else []:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Correctness

    def ask(self, path=None, headers=None):
        """One request: (status, bytes of the body)."""
        fields = self.case.headers if headers is None else headers
        body = b"x" * self.case.upload_bytes if self.case.upload_bytes else None
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("POST" if body else "GET", path or self.case.path, body=body,
                               headers=dict(field.split(": ", 1) for field in fields))
            answer = connection.getresponse()
            size = len(answer.read())
        self.answered += 1
        return answer.status, size

    def faults(self):
        """What makes its figures worthless: it died, lets anyone in, or has lost log lines."""
        if self.process.poll() is not None:
            return [f"ended with status {self.process.returncode}: {self.last_words()}"]
        if self.ground.origin.poll() is not None:
            return ["the origin ended"]
        found = []
        if self.ask()[0] != 200:
            found.append("does not answer 200 after the run")
        if self.case.checks and self.entrant.kind in ("turnpike", "haproxy"):
            for fields in ((), ("X-API-Key: wrong", "Authorization: Bearer wrong")):
                status = self.ask(headers=fields)[0]
                if status != 401:
                    found.append(f"answers {status} to a request that it must refuse")
        lost = self.answered - self._log_lines() if self.entrant.log else 0
        if lost > 0:
            found.append(f"lost {lost} of {self.answered} log lines")
        return found

    def _log_lines(self):
        """Lines of the access log; waits a while for those that are written in batches."""
        deadline = time.monotonic() + 5
        while True:
            with open(self.access_log, "rb") as file:
                lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
            if lines >= self.answered or time.monotonic() > deadline:
                return lines
            time.sleep(0.1)

    def complaint(self):
        """The first line of its log that tells of an error."""
        lines = self.output.read_text(errors="replace").splitlines()
        return next((line for line in lines if "error" in line or "alert" in line), "it says nothing of it")

    def last_words(self):
        return self.output.read_text(errors="replace").strip()[-500:] if self.output.exists() else ""
