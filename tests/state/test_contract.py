"""The contract of the shared state, the same for every implementation."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from app.errors import SettingsError, StateError
from app.state import MemoryState, SharedState, SqliteState, open_state
from app.state.redis import RedisState
from tests.servers import RedisServer

Clock = Callable[[], float]
MAKERS: dict[str, Callable[[Path, Clock], SharedState]] = {
    "memory": lambda _, clock: MemoryState(clock),
    "sqlite": lambda folder, clock: SqliteState(folder / "state.sqlite", clock),
}


class Hands:
    """A clock moved by hand. Redis has a clock of its own: there, as much is taken off each entry's life."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self.redis: Redis | None = None

    def __call__(self) -> float:
        return self._now

    def go_on(self, seconds: float) -> None:
        self._now += seconds
        if self.redis is not None:
            for key in self.redis.scan_iter():
                self.redis.pexpire(key, self.redis.pttl(key) - round(seconds * 1000))


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture(params=[*MAKERS, "redis"])
def state(request: pytest.FixtureRequest, tmp_path: Path, clock: Hands) -> Iterator[SharedState]:
    if request.param != "redis":
        yield MAKERS[request.param](tmp_path, clock)
        return
    url = request.getfixturevalue("redis_url")
    with Redis.from_url(url) as clock.redis, closing(open_state(url)) as state:
        yield state


@pytest.mark.parametrize("value", [b"", b"\x00\xff", b"x" * 100_000])
def test_what_was_set_is_got(state: SharedState, value: bytes) -> None:
    assert state.get("k") is None
    state.set("k", b"older", 60)
    state.set("k", value, 60)
    assert state.get("k") == value
    assert state.get("K") is None


@pytest.mark.parametrize(("later", "there"), [(0, True), (9.5, True), (10, False), (11, False)])
def test_an_entry_lives_for_its_ttl(state: SharedState, clock: Hands, later: float, there: bool) -> None:
    state.set("k", b"v", 10)
    assert state.add_if_absent("mark", 10)
    clock.go_on(later)
    assert (state.get("k") is not None) is there
    assert state.add_if_absent("mark", 10) is not there
    assert not state.add_if_absent("mark", 10)


def test_setting_again_prolongs(state: SharedState, clock: Hands) -> None:
    state.set("k", b"v", 10)
    clock.go_on(8)
    state.set("k", b"v", 10)
    clock.go_on(8)
    assert state.get("k") == b"v"


def test_a_mark_and_a_value_share_their_names(state: SharedState) -> None:
    state.set("k", b"v", 10)
    assert not state.add_if_absent("k", 10)
    assert state.get("k") == b"v"
    assert state.add_if_absent("other", 10)
    assert state.get("other") is not None


def test_delete(state: SharedState) -> None:
    state.delete("k")
    state.set("k", b"v", 10)
    state.delete("k")
    assert state.get("k") is None
    assert state.add_if_absent("k", 10)


def test_counting(state: SharedState, clock: Hands) -> None:
    assert [state.count("n", 10) for _ in range(3)] == [1, 2, 3]
    assert state.count("other", 10) == 1
    clock.go_on(9)
    assert state.count("n", 10) == 4, "later ones do not prolong it"
    clock.go_on(1)
    assert state.count("n", 10) == 1


def test_threads_count_together(state: SharedState) -> None:
    with ThreadPoolExecutor(8) as pool:
        counted = list(pool.map(lambda _: state.count("n", 60), range(80)))
    assert sorted(counted) == list(range(1, 81))


def test_ping(state: SharedState) -> None:
    state.ping()


def test_one_thread_of_many_is_the_first(state: SharedState) -> None:
    start, won = threading.Barrier(8), []

    def race() -> None:
        start.wait()
        for key in range(50):
            if state.add_if_absent(str(key), 60):
                won.append(key)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(50))


@pytest.mark.parametrize("kind", MAKERS)
def test_expired_entries_are_cleared_away(tmp_path: Path, clock: Hands, kind: str) -> None:
    state = MAKERS[kind](tmp_path, clock)
    for key in range(20):
        state.add_if_absent(str(key), 10)
    state.set("long", b"v", 1_000)
    clock.go_on(100)
    state.set("newest", b"v", 10)
    if isinstance(state, MemoryState):
        kept = set(state._entries)
    else:
        with closing(sqlite3.connect(tmp_path / "state.sqlite")) as connection, connection:
            kept = {key for (key,) in connection.execute("SELECT key FROM entry")}
        connection.close()
    assert kept == {"long", "newest"}


def _race(url: str, start: object, won: object) -> None:
    state = open_state(url)
    start.wait()  # type: ignore[attr-defined]
    won.put([key for key in range(50) if state.add_if_absent(str(key), 60)])  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_one_process_of_many_is_the_first(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    """They also make the file all at once."""
    url = request.getfixturevalue("redis_url") if kind == "redis" else f"sqlite:///{tmp_path / 's.sqlite'}"
    context = multiprocessing.get_context("spawn")
    start, won = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_race, args=(url, start, won)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [key for _ in processes for key in won.get(timeout=60)]
    for process in processes:
        process.join()
    assert sorted(found) == list(range(50))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_shares_no_connection_to_redis(redis_url: str) -> None:
    with closing(open_state(redis_url)) as state:
        assert state.add_if_absent("k", 60)
        if (child := os.fork()) == 0:
            fine = not state.add_if_absent("k", 60) and state.add_if_absent("child", 60)
            os._exit(0 if fine else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert state.get("child") is not None


def test_redis_goes_and_comes_back(redis_server: RedisServer, redis_url: str) -> None:
    with closing(open_state(redis_url)) as state:
        assert state.add_if_absent("k", 60)
        redis_server.stop()
        for use in (state.ping, lambda: state.get("k"), lambda: state.add_if_absent("k", 1)):
            with pytest.raises(StateError, match="Redis cannot be used") as raised:
                use()
            assert str(redis_server.port) not in str(raised.value), "the URL may hold a password"
        redis_server.start()
        assert state.add_if_absent("k", 60)


def test_redis_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        with closing(open_state(url)) as state, pytest.raises(StateError, match="TimeoutError"):
            state.ping()


def test_a_second_try_knows_its_own_mark(redis_url: str) -> None:
    """The connection breaks after the server has set the mark, so that the caller never heard of it."""
    with closing(open_state(redis_url)) as state:
        assert isinstance(state, RedisState)
        set_it, broken = state._redis.set, []

        def breaks_once(*arguments: Any, **options: Any) -> Any:
            done = set_it(*arguments, **options)
            if not broken:
                broken.append(True)
                raise RedisConnectionError
            return done

        state._redis.set = breaks_once  # type: ignore[method-assign]
        assert state.add_if_absent("k", 60)
        assert not state.add_if_absent("k", 60)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_shares_no_connection(tmp_path: Path) -> None:
    state = SqliteState(tmp_path / "s.sqlite")
    assert state.add_if_absent("k", 60)
    if (child := os.fork()) == 0:
        fine = not state._idle and not state.add_if_absent("k", 60) and state.add_if_absent("child", 60)
        os._exit(0 if fine else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert state.get("child") == b""


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    SqliteState(tmp_path / "new" / "s.sqlite").ping()
    for path in (tmp_path / "new").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_lost_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "s.sqlite").write_text("this is no database, and is long enough not to be taken for an empty one")
    state = SqliteState(tmp_path / "s.sqlite")
    for use in (state.ping, lambda: state.get("k"), lambda: state.add_if_absent("k", 1)):
        with pytest.raises(StateError, match=r"s\.sqlite cannot be used"):
            use()


def test_nothing_is_made_before_it_is_used(tmp_path: Path) -> None:
    state = open_state(f"sqlite:///{tmp_path / 's.sqlite'}")
    assert list(tmp_path.iterdir()) == []
    state.ping()
    assert (tmp_path / "s.sqlite").exists()


@pytest.mark.parametrize("url", ["", "memory", "memory://x", "sqlite://", "sqlite:///", "redis://", "/a/path"])
def test_other_urls(url: str) -> None:
    with pytest.raises(SettingsError, match="SIGNPOST_STATE_URL"):
        open_state(url)


def test_memory_url() -> None:
    assert isinstance(open_state("memory://"), MemoryState)
