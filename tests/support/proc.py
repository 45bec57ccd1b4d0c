"""What /proc says of a process: memory, children, threads, open files."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .wait import wait_until


def exists(pid: int) -> bool:
    """Whether the process lives (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def children(pid: int) -> list[int]:
    """The living child processes, oldest first."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry))
    return sorted(found)


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    return [pid] + [below for child in children(pid) for below in tree(child)]


def rss(pid: int) -> int:
    """Resident memory in bytes."""
    return _status(pid, "VmRSS") * 1024


def rss_peak(pid: int) -> int:
    """The most resident memory that it ever had, in bytes."""
    return _status(pid, "VmHWM") * 1024


def threads(pid: int) -> int:
    return _status(pid, "Threads")


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))

def _is_stopped(pid: int) -> bool:
    """Whether every thread stands still."""
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process stands still while the block runs: what happens meanwhile comes to it in one batch of events."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: _is_stopped(pid), what="the process to stand still")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _status(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    raise KeyError(field)
