"""A ledger in a fresh file, and calls to write into it."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine

from app.ledger import AssertionRecord, Call, CardRecord, Ledger, RulebookRecord

MARKER = "Zebedee"
"""Stands for PHI: it is in every payload of every call, and must be in no exception."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.db"


@pytest.fixture
def url(path: Path) -> str:
    """Where the ledger is: a new file, or the empty database of this test with --servers."""
    return os.environ.get("SIGNPOST_DATABASE_URL") or f"sqlite:///{path}"


@pytest.fixture
def run(ledger: Ledger, url: str) -> Callable[[str], list[tuple[Any, ...]]]:
    """Run one statement behind the ledger's back, in a transaction of its own: what it found, [] for a change."""

    def run(statement: str) -> list[tuple[Any, ...]]:
        engine = create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

    return run


@pytest.fixture
def rulebook() -> RulebookRecord:
    return RulebookRecord(
        hash="5e" * 32,
        label="2026-11",
        files=b'{"payer.yaml": "name: Example Health"}',
        loaded_at=datetime(2026, 11, 1, 8, 0, tzinfo=UTC),
    )


@pytest.fixture
def ledger(url: str, rulebook: RulebookRecord) -> Iterator[Ledger]:
    ledger = Ledger.open(url, synchronous="normal")
    ledger.record_rulebook(rulebook)
    yield ledger
    ledger.close()


@pytest.fixture
def make_assertion() -> Callable[..., AssertionRecord]:
    def make(**changes: Any) -> AssertionRecord:
        record = AssertionRecord(
            assertion_id=str(uuid.uuid4()),
            order_ref="MedicationRequest/123",
            coverage_ref="Coverage/9",
            member_id=f"{MARKER}-1",
            line_of_business="ma",
            track="medical",
            covered="covered",
            pa_needed="auth-needed",
            content_hash="c0" * 32,
            expires_on=date(2027, 2, 1),
            rule_ids=("route-12", "infliximab/otherwise"),
            facts=json.dumps({"member": MARKER}).encode(),
            answer=json.dumps({"covered": "covered", "for": MARKER}).encode(),
            supersedes=str(uuid.uuid4()),
        )
        return replace(record, **changes)

    return make


@pytest.fixture
def make_card() -> Callable[..., CardRecord]:
    def make(**changes: Any) -> CardRecord:
        record = CardRecord(
            card_id=str(uuid.uuid4()),
            guidance="biosimilar",
            response="alternate-request",
            topic="therapy-alternatives-opt",
            order_refs=("MedicationRequest/123",),
            suggestion_ids=((str(uuid.uuid4()), "Change to infliximab-dyyb"), (str(uuid.uuid4()), "Änderung")),
        )
        return replace(record, **changes)

    return make


@pytest.fixture
def make_call(
    make_assertion: Callable[..., AssertionRecord], make_card: Callable[..., CardRecord], rulebook: RulebookRecord
) -> Callable[..., Call]:
    """A call with two assertions and two cards, every field set; `request` and its hash agree unless said otherwise."""

    def make(**changes: Any) -> Call:
        request = changes.get("request")
        if request is None:
            request = json.dumps({"hook": "order-sign", "patient": MARKER}).encode()
        call = Call(
            invocation_id=str(uuid.uuid4()),
            received_at=datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC),
            answered_in_ms=41.25,
            service_id="order-sign-crd",
            hook="order-sign",
            hook_instance=str(uuid.uuid4()),
            client="https://ehr.example.org",
            fhir_server="https://ehr.example.org/fhir",
            protocol_version="2.2",
            status=200,
            request=request,
            request_size=len(request),
            request_sha256=hashlib.sha256(request).hexdigest(),
            response=json.dumps({"cards": [], "patient": MARKER}).encode(),
            token_use="used",
            rulebook_hash=rulebook.hash,
            fetched=json.dumps({"Patient/1": MARKER}).encode(),
            timings={"parse": 0.21, "decide": 1.5},
            issues=("coverage-ended",),
            assertions=(make_assertion(), make_assertion(order_ref="ServiceRequest/7", track=None)),
            cards=(make_card(), make_card(guidance="step-therapy", suggestion_ids=())),
        )
        return replace(call, **changes)

    return make
