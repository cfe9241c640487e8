"""Shared state of services on several machines: a Redis server."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from app.errors import StateError

WAIT_S = 1.0
"""How long one use waits for the server: a hook has five seconds, and must not spend them here."""

T = TypeVar("T")


class RedisState:
    """Entries under one prefix. Connects at the first use, again after the server was away, and anew in a fork.

    `url` as redis-py reads it: `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS.
    """

    def __init__(self, url: str, prefix: str = "signpost:") -> None:
        # A try of our own instead of redis-py's: it must know whether a mark is its own (add_if_absent).
        self._redis = Redis.from_url(
            url,
            socket_timeout=WAIT_S,
            socket_connect_timeout=WAIT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._prefix = prefix

    def get(self, key: str) -> bytes | None:
        """The value of `key`, None when there is none any more."""
        # Bytes, as nothing asks redis-py to decode them; its types cannot tell.
        return cast(bytes | None, self._run(lambda: self._redis.get(self._prefix + key)))

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Store `value`, in place of any other."""
        self._run(lambda: self._redis.set(self._prefix + key, value, px=_milliseconds(ttl)))

    def add_if_absent(self, key: str, ttl: float) -> bool:
        """Mark `key` unless it is there, and say whether this call did it."""
        name, mine = self._prefix + key, os.urandom(16)

        def add() -> bool:
            # When the connection broke after the server had done as asked, the second try finds its own mark.
            added = self._redis.set(name, mine, px=_milliseconds(ttl), nx=True)
            return bool(added) or self._redis.get(name) == mine

        return self._run(add)

    def count(self, key: str, ttl: float) -> int:
        """Count one more under `key`; the first sets how long it lives."""
        name = self._prefix + key

        def add() -> int:
            with self._redis.pipeline() as both:
                both.set(name, 0, px=_milliseconds(ttl), nx=True)
                both.incr(name)
                return int(both.execute()[1])

        return self._run(add)

    def delete(self, key: str) -> None:
        """Remove `key`, if it is there."""
        self._run(lambda: self._redis.delete(self._prefix + key))

    def ping(self) -> None:
        """Return when the server can be written: a read-only replica will not do."""
        self.set("ping", b"", 1)

    def clock(self) -> float:
        """The server's own clock, in seconds since the epoch."""
        seconds, microseconds = self._run(self._redis.time)
        return seconds + microseconds / 1e6

    def may_forget(self) -> bool:
        """Whether the server, when it is full, drops entries before their time."""
        memory = cast(dict[str, object], self._run(lambda: self._redis.info("memory")))
        return bool(memory.get("maxmemory")) and memory.get("maxmemory_policy") != "noeviction"

    def close(self) -> None:
        """Close the connections nobody is using; the next use opens new ones."""
        self._redis.close()

    def _run(self, use: Callable[[], T]) -> T:
        try:
            try:
                return use()
            except RedisTimeoutError:
                raise  # no second wait
            except RedisConnectionError:
                # A pooled connection does not know that the server was restarted; a new one does.
                self._redis.connection_pool.disconnect(inuse_connections=False)
                return use()
        except RedisError as error:
            # By its kind only: a message may hold the URL, and with it a password.
            reason = type(error).__name__
        raise StateError(f"the shared state in Redis cannot be used ({reason})")


def _milliseconds(ttl: float) -> int:
    """Redis refuses an entry that lives for no time."""
    return max(1, round(ttl * 1000))
