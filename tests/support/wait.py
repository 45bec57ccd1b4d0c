"""Waiting for something to become true, with a deadline. Tests never sleep; they wait for an event."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

DEADLINE = 10.0      # seconds; generous, because a sanitizer build on a busy machine is slow
PAUSE = 0.01


def wait_until(condition: Callable[[], Value], timeout: float = DEADLINE, what: str = "") -> Value:
    """Call `condition` until it answers something true, and return that."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"waited {timeout:g} s in vain for {what or condition}; the last answer was {value!r}")
        time.sleep(PAUSE)


def wait_until_still(measure: Callable[[], int], period: float = 0.5, timeout: float = DEADLINE) -> int:
    """Wait until a number has not changed for the period, and return it."""
    last, since = measure(), time.monotonic()
    end = since + timeout
    while time.monotonic() - since < period:
        if time.monotonic() > end:
            raise AssertionError(f"it still changes after {timeout:g} s: {last}")
        time.sleep(PAUSE)
        now = measure()
        if now != last:
            last, since = now, time.monotonic()
    return last
