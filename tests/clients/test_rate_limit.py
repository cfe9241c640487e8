"""A client's calls are counted by the minute, each client's apart."""

from __future__ import annotations

import pytest

from app.clients import Client
from app.clients.rate_limit import RateLimit
from app.errors import TooManyCalls
from app.state import MemoryState


def client(iss: str = "https://ehr.example.org") -> Client:
    return Client("an EHR", iss, ())


def calls(limit: RateLimit, who: Client, times: int) -> int:
    """How many of so many calls were let in."""
    let_in = 0
    for _ in range(times):
        try:
            limit.count(who)
        except TooManyCalls:
            continue
        let_in += 1
    return let_in


def test_each_client_and_each_minute_apart() -> None:
    now = [120.0]
    limit = RateLimit(MemoryState(lambda: now[0]), 3, clock=lambda: now[0])
    one, other = client(iss="https://one.example.org"), client(iss="https://other.example.org")
    assert calls(limit, one, 5) == 3
    assert calls(limit, other, 2) == 2
    now[0] += 59
    assert calls(limit, one, 1) == 0
    now[0] += 1
    assert calls(limit, one, 5) == 3


@pytest.mark.parametrize(("second", "wait"), [(0, 60), (30, 30), (59.9, 1)])
def test_when_to_try_again(second: float, wait: int) -> None:
    limit = RateLimit(MemoryState(), 1, clock=lambda: 600 + second)
    limit.count(client())
    with pytest.raises(TooManyCalls, match="1 times a minute") as refused:
        limit.count(client())
    assert refused.value.retry_after == wait
