"""Ten thousand bodies that are wrong in some way, and a clock that jumps: an answer each time, never a 500."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from tests.dtr.dtr_actions import coverage_of
from tests.ehr_actions import EhrActions, example, order_of
from tests.faults.conftest import Service
from tests.web.test_other_hooks import appointment, booking, dispatch, encounter

MOST = 1_000
FORM = "https://payer.example.org/Questionnaire/lumbar-mri"

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
                holder[path[-1]] = copy.deepcopy(chance.choice(ODD))
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
    sent = json.dumps(call).encode("utf-8", "surrogatepass")
    if chance.random() < 0.1:
        start = chance.randrange(len(sent))
        sent = sent[:start] + bytes(chance.randrange(256) for _ in range(chance.randrange(4))) + sent[start + 2 :]
    return sent


def signed(name: str = "mri") -> tuple[dict[str, Any], dict[str, Any]]:
    """The order and the Coverage of a sample call."""
    call = example(name)
    return order_of(call), coverage_of(call)


def corpus() -> dict[str, list[dict[str, Any]]]:
    """Real requests by the address they go to."""
    mri, coverage = signed()
    answered = {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": FORM}
    answered |= {"subject": {"reference": "Patient/p1"}, "item": [{"linkId": "1", "answer": [{"valueBoolean": True}]}]}
    asked = [{"name": "coverage", "resource": coverage}, {"name": "order", "resource": mri}]
    selecting = example("infusion")
    selecting["hook"] = "order-select"
    selecting["context"]["selections"] = ["MedicationRequest/mr1"]
    said = {"card": "4e0a3a1e-3ed1-4b7c-9d57-0d1c0cb0f1c0", "outcome": "accepted"}
    said |= {"outcomeTimestamp": "2026-11-24T10:05:31Z", "acceptedSuggestions": [{"id": "e56e1945"}]}
    hooks = {
        "order-sign": [example("mri"), example("infusion"), example("self-injected")],
        "order-select": [selecting],
        "order-dispatch": [dispatch(example("mri"), "PractitionerRole/dr1")],
        "appointment-book": [booking(appointment(basedOn=[{"reference": "ServiceRequest/sr1"}]))],
        "encounter-start": [encounter("encounter-start")],
    }
    return {f"/cds-services/{hook}-crd": calls for hook, calls in hooks.items()} | {
        "/cds-services/order-sign-crd/feedback": [{"feedback": [said]}],
        "/routing/v1/decisions": [
            {"order": mri, "coverage": coverage},
            {"order": {"codes": ["RxNorm 327361"], "route": "subcutaneous"}, "member": {"line": "commercial"}},
        ],
        "/routing/v1/batch": [{"questions": [{"order": {"codes": ["HCPCS J1745"]}, "member": "M100006"}]}],
        "/fhir/dtr/2.2/Questionnaire/$questionnaire-package": [{"resourceType": "Parameters", "parameter": asked}],
        "/fhir/dtr/2.0/Questionnaire/$questionnaire-package": [{"resourceType": "Parameters", "parameter": asked}],
        "/fhir/dtr/2.2/Questionnaire/$next-question": [answered],
        "/fhir/dtr/2.2/QuestionnaireResponse": [answered],
    }


def send(service: Service, bodies: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes, int, bytes]]:
    """Send one after the other over a connection that is kept open; each with its answer."""
    address = urlsplit(service.url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=30)
    for path, body in bodies:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        yield path, body, response.status, response.read()
    connection.close()


def test_malformed_bodies(start: Callable[..., Service]) -> None:
    """Ten thousand, to every address that takes a body, at the real service."""
    service = start(sqlite_synchronous="normal")
    workers = service.workers()
    chance = random.Random("1")  # noqa: S311  # the same mistakes each time
    real = [(path, call, list(places(call))) for path, calls in corpus().items() for call in calls]
    wrong = [(path, spoilt(chance, call, every)) for path, call, every in real for _ in range(MOST // len(real) + 1)]
    chance.shuffle(wrong)
    statuses: defaultdict[str, Counter[int]] = defaultdict(Counter)
    with ThreadPoolExecutor(4) as pool:
        for answers in pool.map(lambda share: list(send(service, share)), (wrong[n::4] for n in range(4))):
            for path, body, status, answer in answers:
                statuses[path][status] += 1
                assert status < 500, (path, body)
                if status >= 400:
                    assert json.loads(answer)["resourceType"] == "OperationOutcome", (path, body)
    for path, seen in statuses.items():
        assert set(seen) <= {200, 201, 204, 400, 404, 412, 422}, path
        assert seen[400] > sum(seen.values()) / 10, path
    assert sum(seen[200] for seen in statuses.values()) > 1000
    assert service.workers() == workers
    with service.ledger() as ledger:
        assert ledger.verify() == []


def test_a_clock_that_jumps(app: Flask, ehr: EhrActions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days are judged by the clock as it stands; the chain does not depend on it."""
    now = datetime.now(UTC)
    for jump in (timedelta(0), timedelta(days=-3), timedelta(days=2), timedelta(hours=-30), timedelta(seconds=1)):
        monkeypatch.setattr(app.extensions["crd"], "_clock", lambda jump=jump: now + jump)
        for name in ("infusion", "mri"):
            assert ehr.sign(example(name)).status == 200
    assert app.extensions["ledger"].verify() == []
