"""Counts the system calls of a gateway with strace."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .gateway import Gateway
from .wait import DEADLINE, wait_until

ROW = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.M)


def _traced(pid: int) -> bool:
    """Whether a tracer is attached to every thread."""
    statuses = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return all(not re.search(r"^TracerPid:\s+0$", status, re.M) for status in statuses)


@contextmanager
def system_calls(gateway: Gateway) -> Iterator[dict[str, int]]:
    """Calls by name of the gateway process while the block runs; the dictionary is filled at its end."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    counts: dict[str, int] = {}
    report, pid = gateway.folder / "strace", gateway.worker_pid
    tracer = subprocess.Popen(["strace", "-c", "-f", "-o", str(report), "-p", str(pid)], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: _traced(pid) or tracer.poll() is not None, what="strace to attach")
        if tracer.poll() is not None:
            pytest.skip(f"strace cannot attach: {tracer.stderr.read().strip() if tracer.stderr else ''}")
        yield counts
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=DEADLINE)
    counts.update((name, int(calls)) for calls, name in ROW.findall(report.read_text()) if name != "total")
