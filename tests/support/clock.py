"""A wall clock that a test can set."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from .gateway import Gateway
from .heap import sanitizer

SOURCE = Path(__file__).with_name("shift_clock.c")


class WallClock:
    """Of a gateway that is not started yet. The monotonic clock stays right, as it does when a machine's clock is set."""

    def __init__(self, gateway: Gateway) -> None:
        library, self.path = gateway.folder / "shift_clock.so", gateway.folder / "clock-shift"
        subprocess.run(["gcc", "-std=gnu17", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(library),
                        str(SOURCE)], check=True)
        self.set(0)
        gateway.env |= {"LD_PRELOAD": str(library), "SHIFT_CLOCK_FILE": str(self.path)}
        if sanitizer() == "libasan":
            gateway.env["ASAN_OPTIONS"] = "verify_asan_link_order=0"

    def set(self, seconds: int) -> None:
        """So far ahead of the machine's clock (behind it, if negative)."""
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))
