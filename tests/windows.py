"""Counting by a fixed window of the clock: a test that counts stays clear of its end."""

from __future__ import annotations

import time


def wait_for_room(window: int, needed: float) -> None:
    """Return when the window of so many seconds has so many left, so that no test counts in two of them."""
    left = window - time.time() % window
    if left < needed:
        time.sleep(left + 0.1)
