"""A package's draft response: a form of 40 items filled from a snapshot of 300 resources, on one core.

    python -m bench.dtr [--rounds 400]

What is timed is what a `$questionnaire-package` call does about prefill: open the sealed snapshot, read it, fill the
form, and encode the response. The expressions are of the kinds that the shipped forms use.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from app.crd.gather import Kept
from app.crd.snapshot import Snapshot, seal, unseal
from app.dtr.populate import Populated, populate
from app.dtr.prefill_data import PrefillData
from app.encryption import Encryption
from app.fhir.json import encode
from app.ledger import SnapshotRecord, StoredAssertion
from app.members import Member
from app.rulebook.rulebook import Rulebook, build, load
from app.settings import ROOT

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
ITEMS, RESOURCES, BAR_MS = 40, 300, 50.0
LOINC, ICD, RXNORM = (
    "http://loinc.org",
    "http://hl7.org/fhir/sid/icd-10-cm",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
)
UCUM = "http://unitsofmeasure.org"

# One expression of each kind, by the type of item it fills.
_KINDS: tuple[tuple[str, str], ...] = (
    ("date", "%latest.effective.toDate()"),
    ("decimal", "%latest.value.value"),
    ("boolean", "%latest.value <= 88 '%'"),
    ("boolean", "%conditions.exists(code.memberOf('list:chronic-lung-disease') and "
     "clinicalStatus.coding.exists(code = 'active'))"),
    ("quantity", "%observations.where(code.memberOf('list:oximetry')).sort(effective desc).first().value"),
    ("string", "%patient.name.where(use = 'official').family"),
    ("date", "%medications.where(medication.memberOf('list:conventional-therapy')).authoredOn.toDate().min()"),
    ("integer", "%observations.where(code.memberOf('list:oximetry') and value < 90 '%').count()"),
    ("choice", "%conditions.where(code.memberOf('list:chronic-lung-disease')).first().code.coding"),
    ("string", "%order.requester.display"),
)  # fmt: skip


def rulebook() -> Rulebook:
    """The sample rules with a form of 40 items, ten of them enabled by another."""
    loaded = load(ROOT / "rules", ROOT / "questionnaires")
    if loaded.rulebook is None:
        raise SystemExit("\n".join(map(str, loaded.errors)))
    items, sources = [], {}
    for number in range(ITEMS):
        kind, expression = _KINDS[number % len(_KINDS)]
        item: dict[str, Any] = {"linkId": f"{number}", "text": f"Question {number}", "type": kind}
        if number >= ITEMS - 10:
            item["enableWhen"] = [{"question": "2", "operator": "exists", "answerBoolean": True}]
        if kind == "choice":
            item["answerOption"] = [{"valueCoding": {"system": ICD, "code": f"J44.{each}"}} for each in range(10)]
        items.append(item)
        sources[f"{number}"] = expression
    form = {
        "resourceType": "Questionnaire",
        "url": "http://example.org/Questionnaire/bench",
        "version": "1",
        "item": items,
    }
    prefill = {
        "prefill": "bench",
        "needs": ["conditions", "medications", "observations"],
        "variables": {"latest": "%observations.where(status = 'final').sort(effective desc).first()"},
        "items": sources,
    }
    files = dict(loaded.rulebook.files) | {
        "questionnaires/bench/questionnaire.json": json.dumps(form),
        "questionnaires/bench/prefill.yaml": json.dumps(prefill),
    }
    built = build(files).rulebook
    if built is None:
        raise SystemExit("\n".join(map(str, build(files).errors)))
    return built


def _snapshot() -> Snapshot:
    """A chart of 300 resources: 200 measurements, 50 conditions, 50 requests."""
    subject = {"reference": "Patient/p1"}
    day = date(2026, 11, 1)
    observations = [
        {
            "resourceType": "Observation", "id": f"o{n}", "status": "final", "subject": subject,
            "category": [{"coding": [{"code": "vital-signs"}]}],
            "code": {"coding": [{"system": LOINC, "code": "59408-5" if n % 2 else "8867-4"}]},
            "effectiveDateTime": f"{day - timedelta(days=n)}T10:00:00Z",
            "valueQuantity": {"value": Decimal(80 + n % 20), "unit": "%", "system": UCUM, "code": "%"},
        }
        for n in range(200)
    ]  # fmt: skip
    conditions = [
        {
            "resourceType": "Condition", "id": f"c{n}", "subject": subject, "recordedDate": str(day),
            "clinicalStatus": {"coding": [{"code": "active"}]},
            "code": {"coding": [{"system": ICD, "code": "J44.9" if n == 40 else f"Z{n:02}"}]},
        }
        for n in range(50)
    ]  # fmt: skip
    medications = [
        {
            "resourceType": "MedicationRequest", "id": f"m{n}", "status": "completed", "intent": "order",
            "subject": subject, "authoredOn": str(day - timedelta(days=10 * n)),
            "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "6851" if n % 5 else "1191"}]},
        }
        for n in range(50)
    ]  # fmt: skip
    kept = {"observations": observations, "conditions": conditions, "medications": medications}
    assert sum(map(len, kept.values())) == RESOURCES
    order = {
        "resourceType": "DeviceRequest",
        "id": "d1",
        "requester": {"reference": "Practitioner/1", "display": "Day"},
    }
    return Snapshot(
        forms=("bench",),
        taken_at=NOW,
        patient={"resourceType": "Patient", "id": "p1", "name": [{"use": "official", "family": "Sample"}]},
        order=order,
        record={kind: Kept(tuple(resources)) for kind, resources in kept.items()},
    )


def _assertion() -> StoredAssertion:
    return StoredAssertion(
        assertion_id="a1", order_ref="DeviceRequest/d1", coverage_ref="Coverage/c1", member_id="M1",
        line_of_business="ma", track=None, covered="covered", pa_needed="auth-needed", content_hash="", expires_on=None,
        rule_ids=(), facts=b"{}", answer=b"{}", supersedes=None, invocation_id="i1",
    )  # fmt: skip


def prefill_once() -> Callable[[], Populated]:
    """What one call does: open, read, fill, encode."""
    book, encryption, assertion = rulebook(), Encryption([bytes(32)]), _assertion()
    record: SnapshotRecord = seal(_snapshot(), assertion, encryption, timedelta(hours=72))
    bare = PrefillData(now=NOW, subject={"reference": "Patient/p1"}, lists=book.member_of)
    coverage = {"resourceType": "Coverage", "id": "c1"}

    def once() -> Populated:
        kept = unseal(record, assertion, encryption)
        assert kept is not None
        data = replace(
            bare,
            patient=kept.patient,
            order=kept.order,
            coverage=coverage,
            member=Member(member_id="M1", source="roster"),
            record=kept.record,
            related=kept.related,
        )
        filled = populate(book.forms["bench"], book.prefills["bench"], data, "2.2")
        encode(filled.response)
        return filled

    return once


def measure(rounds: int) -> dict[str, float]:
    """Milliseconds of wall and of CPU, at the median and the 99th of 100, in one thread."""
    once = prefill_once()
    filled = once()
    count = sum(outcome.kind == "filled" for outcome in filled.items)
    for _ in range(20):
        once()
    gc.collect()
    gc.freeze()  # as the workers do (gunicorn.conf.py)
    found: dict[str, float] = {"filled": count}
    walls, spent = [], []
    for _ in range(rounds):
        started, began = time.perf_counter(), time.thread_time()
        once()
        walls.append((time.perf_counter() - started) * 1000)
        spent.append((time.thread_time() - began) * 1000)
    for name, times in (("wall", sorted(walls)), ("cpu", sorted(spent))):
        found |= {f"{name}_p50": times[len(times) // 2], f"{name}_p99": times[int(len(times) * 0.99)]}
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.dtr")
    parser.add_argument("--rounds", type=int, default=400)
    found = measure(parser.parse_args().rounds)
    print(
        f"prefill of {ITEMS} items ({found['filled']:.0f} filled) over {RESOURCES} resources: "
        f"CPU p50 {found['cpu_p50']:.1f} ms, p99 {found['cpu_p99']:.1f} ms; "
        f"wall p50 {found['wall_p50']:.1f} ms, p99 {found['wall_p99']:.1f} ms (bar {BAR_MS:.0f} ms)"
    )


if __name__ == "__main__":
    main()
