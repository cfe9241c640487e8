"""How many calls a client may make in a minute, over all workers."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import structlog

from app.clients.client import Client
from app.errors import TooManyCalls
from app.state import SharedState

log = structlog.get_logger("signpost.clients")

WINDOW = 60


class RateLimit:
    """Counts by the minute of the clock (a fixed window), so that every worker counts in the same one."""

    def __init__(self, state: SharedState, most: int, *, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._most = most
        self._clock = clock

    def count(self, client: Client) -> None:
        """Count a call. TooManyCalls beyond the limit, StateError when it cannot be counted."""
        now = self._clock()
        window = int(now // WINDOW)
        who = hashlib.sha256(client.iss.encode()).hexdigest()
        if self._state.count(f"calls:{who}:{window}", WINDOW * 2) > self._most:
            log.warning("client.throttled", client=client.iss, most=self._most)
            raise TooManyCalls(
                f"This client may call {self._most} times a minute.", retry_after=max(1, round(WINDOW - now % WINDOW))
            )
