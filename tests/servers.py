"""Real servers for the tests: PostgreSQL and Redis from Debian's packages, each on a port and a folder of its own.

`pytest --servers` runs every test that touches the ledger or the shared state once more, on them. Without the option,
only tests that ask for a server by fixture start one.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
START_S = 30


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgreSQL:
    """One server with nothing to lose: no fsync. `url(name)` is SQLAlchemy's URL of a database."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._bin = _POSTGRESQL[-1]
        self._data = folder / "data"
        self._folder = folder
        # PostgreSQL refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", self._data, "-U", "signpost", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()

    def start(self) -> None:
        """Start, or start again after `stop`."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
            " -c fsync=off -c full_page_writes=off -c max_connections=200"
        )
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self._folder / "log", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop at once, as a crash would."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://signpost@127.0.0.1:{self.port}/{name}"

    def sql(self, statement: str) -> None:
        """Run one statement outside every database of the tests."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="signpost", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._bin / program), *map(str, arguments)]
        done = subprocess.run(
            command, user=self._user, cwd=self._folder, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            log = self._folder / "log"
            raise RuntimeError(f"{program}: {done.stderr}{log.read_text() if log.exists() else ''}")


class RedisServer:
    """One server that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, or start again after `stop`: with nothing in it."""
        from redis import Redis
        from redis.exceptions import RedisError

        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)
        until = time.monotonic() + START_S
        with Redis(port=self.port) as client:
            while True:
                try:
                    client.ping()
                    return
                except RedisError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.02)

    def stop(self) -> None:
        """Stop at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def flush(self) -> None:
        """Forget everything."""
        from redis import Redis

        with Redis(port=self.port) as client:
            client.flushall()


@contextmanager
def _folder() -> Iterator[Path]:
    # Not pytest's own folders: those above them are closed to the user PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="signpost-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server with a database `template` at the ledger's newest schema."""
    from app.ledger import Ledger

    if not _POSTGRESQL:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with _folder() as folder:
        server = PostgreSQL(folder)
        try:
            server.sql("CREATE DATABASE template")
            Ledger.migrate(server.url("template"))
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server."""
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed (Debian: apt-get install redis-server)")
    with _folder() as folder:
        server = RedisServer(folder)
        try:
            yield server
        finally:
            server.stop()


_databases = iter(range(10**9))


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> Iterator[str]:
    """The URL of an empty ledger on PostgreSQL, this test's own."""
    name = f"test_{next(_databases)}"
    postgresql.sql(f"CREATE DATABASE {name} TEMPLATE template")
    yield postgresql.url(name)
    postgresql.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis."""
    redis_server.flush()
    return redis_server.url
