"""Ten thousand calls that are wrong in some way, and a clock that jumps: an answer each time, never a 500."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.settings import Settings
from tests.ehr_actions import EhrActions, example

ODD: list[Any] = [
    None, True, False, 0, -1, 10**30, 1e308, "", " ", "x" * 5000, "\u0000", "\ud83d", "2026-13-45", "Patient/", "#",
    "urn:uuid:", "../../etc/passwd", "${jndi:ldap://x}", [], {}, [[]], [None], {"resourceType": "Bundle"},
    {"resourceType": "OperationOutcome"}, {"reference": "#self"}, {"coding": [{"code": 1}]}, "http://[::1", "\u202e",
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to everything in a request."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from places(inner, (*path, position))


def spoilt(chance: random.Random, call: dict[str, Any], every: list[tuple[Any, ...]]) -> bytes:
    """The call with one to three things wrong, or its bytes torn."""
    call = copy.deepcopy(call)
    for path in chance.sample(every, chance.randint(1, 3)):
        holder = call
        try:
            for step in path[:-1]:
                holder = holder[step]
            if chance.random() < 0.2:
                del holder[path[-1]]
            else:
                holder[path[-1]] = chance.choice(ODD)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
    sent = json.dumps(call).encode("utf-8", "surrogatepass")
    if chance.random() < 0.1:
        start = chance.randrange(len(sent))
        sent = sent[:start] + bytes(chance.randrange(256) for _ in range(chance.randrange(4))) + sent[start + 2 :]
    return sent


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    return Settings(sandbox=True, data_dir=tmp_path, rules_interval=0, log_level="error", sqlite_synchronous="normal")


@pytest.mark.parametrize("name", ["mri", "infusion", "self-injected"])
def test_malformed_calls(app: Flask, name: str) -> None:
    http: FlaskClient = app.test_client()
    chance = random.Random(f"{name} 1")  # noqa: S311  # the same mistakes each time
    call = example(name)
    every = list(places(call))
    statuses: Counter[int] = Counter()
    for _ in range(3334):
        body = spoilt(chance, call, every)
        response = http.post("/cds-services/order-sign-crd", data=body)
        statuses[response.status_code] += 1
        assert response.status_code < 500, body
        told = json.loads(response.data)
        assert (told.get("resourceType") == "OperationOutcome") is (response.status_code >= 400)
    assert set(statuses) <= {200, 400, 412, 422}
    assert statuses[200] > 100
    assert statuses[400] > 100
    assert app.extensions["ledger"].verify() == []


def test_a_clock_that_jumps(app: Flask, ehr: EhrActions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days are judged by the clock as it stands; the chain does not depend on it."""
    now = datetime.now(UTC)
    for jump in (timedelta(0), timedelta(days=-3), timedelta(days=2), timedelta(hours=-30), timedelta(seconds=1)):
        monkeypatch.setattr(app.extensions["crd"], "_clock", lambda jump=jump: now + jump)
        for name in ("infusion", "mri"):
            assert ehr.sign(example(name)).status == 200
    assert app.extensions["ledger"].verify() == []
