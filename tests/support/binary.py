"""The program under test, and its subcommands that end by themselves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=8:handle_abort=0:disable_coredump=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
}

REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "LeakSanitizer:", "runtime error:",
           "WARNING: ThreadSanitizer")


def turnpike_path() -> Path:
    """Where the binary is: environment TURNPIKE, or build-test/turnpike."""
    path = Path(os.environ.get("TURNPIKE", ROOT / "build-test" / "turnpike")).absolute()
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"no program at {path}: build it, or set TURNPIKE")
    return path


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of the program: sanitizer options of the caller are kept, ours are added."""
    sanitizers = {name: ":".join(filter(None, [os.environ.get(name), value])) for name, value in SANITIZERS.items()}
    return {**os.environ, **sanitizers, **(extra or {})}


def sanitizer_reports(text: str) -> list[str]:
    return [line for line in text.splitlines() if any(mark in line for mark in REPORTS)]


def turnpike(*arguments: str, stdin: str | None = None, env: dict[str, str] | None = None,
             cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a subcommand to its end."""
    done = subprocess.run([str(turnpike_path()), *arguments], input=stdin, capture_output=True, text=True, timeout=60,
                          env=environment(env), cwd=cwd, check=False)
    assert not sanitizer_reports(done.stderr), done.stderr
    return done
