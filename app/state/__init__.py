"""What the worker processes of one service share for a while: which tokens were used, what was fetched lately.

    memory://             one process only
    sqlite:///path        several workers of one machine
    redis://host:port/0   services on several machines

Nothing here is a record: an entry that is lost costs a repeated fetch, and one that lives outlives its use only until
it expires. What must be kept belongs into the ledger.
"""

from __future__ import annotations

from app.errors import SettingsError
from app.state.memory import MemoryState
from app.state.shared_state import SharedState
from app.state.sqlite import SqliteState

__all__ = ["MemoryState", "SharedState", "SqliteState", "open_state"]


def open_state(url: str) -> SharedState:
    """The shared state at `url`; nothing is opened or made before its first use. SettingsError for any other URL."""
    if url == "memory://":
        return MemoryState()
    scheme, _, path = url.partition("://")
    if scheme in ("redis", "rediss") and path:
        return _open_redis(url)
    # As in SQLAlchemy: three slashes and a path, so four for an absolute one.
    if scheme == "sqlite" and path.startswith("/") and len(path) > 1:
        return SqliteState(path[1:])
    raise SettingsError(
        "SIGNPOST_STATE_URL is neither memory:// nor sqlite:///path (a path from the root has four slashes), or "
        "SIGNPOST_REDIS_URL does not begin with redis:// or rediss://."
    )


def _open_redis(url: str) -> SharedState:
    try:
        from app.state.redis import RedisState
    except ImportError:
        raise SettingsError("The Redis client is not installed: pip install 'signpost[servers]'.") from None
    try:
        return RedisState(url)
    except ValueError as error:
        raise SettingsError(f"SIGNPOST_REDIS_URL cannot be read: {error}.") from None
