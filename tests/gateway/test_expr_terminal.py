"""`turnpike expr --repl` on a terminal: editing, completion, history, Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.binary import environment, sanitizer_reports, turnpike_path

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|[\x07\x08]")
DEADLINE_S = 20


class Terminal:
    """The program on the other end of a pseudo terminal."""

    def __init__(self, fd: int, process: subprocess.Popen[bytes]) -> None:
        self.fd, self.process, self.text = fd, process, ""

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def read(self) -> bool:
        ready, _, _ = select.select([self.fd], [], [], 0.2)
        if not ready:
            return True
        try:
            chunk = os.read(self.fd, 65536)
        except OSError:  # the program has closed its end
            return False
        self.text += chunk.decode(errors="replace")
        return bool(chunk)

    def wait_for(self, wanted: str) -> str:
        """Until this is on the screen, behind what was waited for before; returns what came before it."""
        end = time.monotonic() + DEADLINE_S
        while (at := CONTROL.sub("", self.text).find(wanted)) < 0:
            assert time.monotonic() < end and self.read(), f"no {wanted!r} in {CONTROL.sub('', self.text)!r}"
        plain = CONTROL.sub("", self.text)
        self.text = plain[at + len(wanted) :]
        return plain[:at]

    def end(self) -> int:
        end = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            assert time.monotonic() < end, f"the program does not end: {self.text!r}"
            self.read()
        while self.read() and select.select([self.fd], [], [], 0)[0]:
            pass
        assert not sanitizer_reports(self.text), self.text
        return self.process.returncode


@contextmanager
def terminal(*options: str, home: Path) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(turnpike_path()), "expr", "--repl", *options],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env=environment({"TERM": "xterm", "HOME": str(home), "LC_ALL": "C.UTF-8"}),
    )
    os.close(theirs)
    try:
        screen = Terminal(ours, process)
        screen.wait_for("> ")
        yield screen
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)


def test_a_line_is_edited_evaluated_and_recalled(tmp_path: Path) -> None:
    with terminal(home=tmp_path) as screen:
        screen.type("1 + 4\x7f2\n")  # backspace
        screen.wait_for("\n3\r\n> ")
        screen.type("\x1b[A\x01[\x05]\n")  # up, to the start, to the end
        screen.wait_for("\n[3]\r\n> ")
        screen.type("'éa'\x02\x02\x7f\x05.size()\n")  # the accented letter goes
        screen.wait_for("\n1\r\n> ")
        screen.type("\x04")  # Ctrl-D
        assert screen.end() == 0


def test_a_failure_shows_the_place_and_ends_nothing(tmp_path: Path) -> None:
    with terminal(home=tmp_path) as screen:
        screen.type("1 / 0\n")
        screen.wait_for("error: 1:3: division by zero\r\n  1 / 0\r\n    ^\r\n> ")
        screen.type(":quit\n")
        assert screen.end() == 0


def test_tab_completes_names(tmp_path: Path) -> None:
    with terminal("--let", "number={'first': 1, 'second': 2}", home=tmp_path) as screen:
        screen.type("num\t.se\t\n")
        screen.wait_for("\n2\r\n> ")
        screen.type("'a'.upp\t\n")
        screen.wait_for('\n"A"\r\n> ')
        screen.type("math.bitShiftL\t1, 2)\n")
        screen.wait_for("\n4\r\n> ")
        screen.type(":ty\trequest.meth\t\n")
        screen.wait_for("type string")


def test_tab_lists_what_is_possible(tmp_path: Path) -> None:
    with terminal(home=tmp_path) as screen:
        screen.type("request.h\t")
        screen.wait_for("request.host\r\nrequest.headers\r\n")
        screen.type("ea\t.siz\t\n")
        screen.wait_for("no value here for")


def test_ctrl_c_gives_the_line_up(tmp_path: Path) -> None:
    with terminal(home=tmp_path) as screen:
        screen.type("1 / 0")
        screen.wait_for("1 / 0")
        screen.type("\x03")
        screen.wait_for("> ")
        screen.type("6 * 7\n")
        screen.wait_for("\n42\r\n> ")


def test_history_is_kept_only_where_asked(tmp_path: Path) -> None:
    history = tmp_path / "history"
    with terminal("--history", str(history), home=tmp_path) as screen:
        screen.type("20 + 3\n")
        screen.wait_for("\n23\r\n> ")
        screen.type("\x04")
        assert screen.end() == 0
    with terminal("--history", str(history), home=tmp_path) as screen:
        screen.type("\x1b[A\n")
        screen.wait_for("\n23\r\n> ")
    with terminal(home=tmp_path) as screen:
        screen.type("7\n")
        screen.wait_for("\n7\r\n> ")
        screen.type("\x04")
        assert screen.end() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["history"]
    assert history.stat().st_mode & 0o077 == 0, "lines may have secrets in them"
