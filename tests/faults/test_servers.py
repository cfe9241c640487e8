"""Redis and PostgreSQL go away under load and come back."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.conftest import Service, issue_of, wait_until
from tests.servers import PostgreSQL, RedisServer

Start = Callable[..., Service]


def test_answers_go_on_without_redis(start: Start, redis_server: RedisServer, redis_url: str) -> None:
    """In the sandbox nobody's JWT is checked, so what is shared is only a cache."""
    service = start(redis_url=redis_url)
    assert service.sign().status_code == 200
    with service.pressed(3):
        redis_server.stop()
        time.sleep(1)
        redis_server.start()
        time.sleep(1)
    assert set(service.statuses) == {200}
    service.check_nothing_was_lost()


def test_without_postgresql_nothing_is_answered_until_it_is_back(
    start: Start, postgresql: PostgreSQL, postgresql_url: str
) -> None:
    service = start(database_url=postgresql_url)
    with service.pressed(3):
        time.sleep(0.5)
        postgresql.stop()
        time.sleep(1)
        refused = service.sign()
        postgresql.start()
        wait_until(lambda: service.sign().status_code == 200, "answers again")
        time.sleep(0.5)
    assert refused.status_code == 503
    assert issue_of(refused)["code"] == "transient"
    assert set(service.statuses) == {200, 503}
    service.check_nothing_was_lost()
