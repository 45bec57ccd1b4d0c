"""Counts the heap calls of a gateway, those of its libraries included."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from .binary import turnpike_path
from .gateway import Gateway

SOURCE = Path(__file__).with_name("count_malloc.c")


def sanitizer() -> str:
    """Which sanitizer the program is built with, by its runtime library; empty: none."""
    listed = subprocess.run(["ldd", str(turnpike_path())], capture_output=True, text=True, check=True).stdout
    return next((name for name in ("libasan", "libtsan") if name in listed), "")


class HeapCounter:
    """Attached to a gateway that is not started yet."""

    def __init__(self, gateway: Gateway) -> None:
        built_with = sanitizer()
        library, self.path = gateway.folder / "count_malloc.so", gateway.folder / "heap-calls"
        define = ["-DSANITIZER_HOOK"] if built_with else []
        subprocess.run(["gcc", "-std=gnu17", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", *define,
                        "-o", str(library), str(SOURCE)], check=True)
        self.path.write_bytes(bytes(8))
        gateway.env |= {"LD_PRELOAD": str(library), "COUNT_MALLOC_FILE": str(self.path)}
        if built_with == "libasan":
            # The sanitizer's runtime must be the first library, or be told that it need not be.
            gateway.env["ASAN_OPTIONS"] = "verify_asan_link_order=0:detect_leaks=1:quarantine_size_mb=8:handle_abort=0"

    @property
    def calls(self) -> int:
        """So far, of all processes of the gateway."""
        return int(struct.unpack("Q", self.path.read_bytes())[0])
