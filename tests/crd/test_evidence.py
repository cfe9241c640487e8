"""What conditions are judged on: facts, record and order, with everything unreadable left unknown."""

from __future__ import annotations

from typing import Any

import pytest

from app.crd.chart import Chart, Resource
from app.crd.evidence import Evidence
from app.crd.gather import Kept
from app.members import Member
from app.rulebook.conditions import compile_condition
from tests.crd.builders import TODAY, bundle, call, concept, drug, facts_of, patient, rulebook, service

RULES = rulebook(lists={"sought": "RxNorm,1,sought\nICD-10-CM,M54*,back pain"})
SOUGHT, OTHER = concept("RxNorm 1"), concept("RxNorm 2")
IN_LIST = "%medications.exists(medication.memberOf('list:sought'))"


def medication(id: str, code: Any) -> Resource:  # noqa: A002  # the element's name
    return {"resourceType": "Medication", "id": id, "code": code}


def taken(**members: Any) -> Resource:
    return {"resourceType": "MedicationRequest", "id": "old", "status": "completed", "intent": "order", **members}


def judged(
    when: str, *, order: Resource | None = None, record: dict[str, Kept] | None = None, prefetch: Any = None
) -> tuple[bool | None, tuple[str, ...]]:
    order = order or service("CPT 70551")
    prefetch = {"patient": patient()} if prefetch is None else prefetch
    facts = facts_of(order, rules=RULES, prefetch=prefetch)
    chart = Chart.from_request(call(order, prefetch=prefetch))
    finding = Evidence(facts, record or {}, chart, RULES, TODAY).judge(compile_condition(when))
    return finding.value, finding.lacking


def test_no_condition_always_holds() -> None:
    facts = facts_of(service("CPT 70551"), rules=RULES)
    assert Evidence(facts, {}, Chart("p1"), RULES, TODAY).judge(None).value is True


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        pytest.param(None, (None, ("the patient's conditions were not read",)), id="not-read"),
        pytest.param(Kept((), "The EHR did not answer."), (None, ("The EHR did not answer",)), id="unreadable"),
        pytest.param(Kept(()), (False, ()), id="empty"),
        pytest.param(
            Kept(({"resourceType": "Condition", "code": concept("ICD-10-CM I10")},), "only a part was read"),
            (None, ("only a part was read",)),
            id="incomplete-without",
        ),
        pytest.param(
            Kept(({"resourceType": "Condition", "code": concept("ICD-10-CM M54.5")},), "only a part was read"),
            (True, ()),
            id="incomplete-with",
        ),
        pytest.param(
            Kept(({"resourceType": "Condition", "code": concept("ICD-10-CM M545")},)), (True, ()), id="complete-with"
        ),
    ],
)
def test_the_record(kept: Kept | None, expected: tuple[bool | None, tuple[str, ...]]) -> None:
    record = {"conditions": kept} if kept is not None else {}
    assert judged("%conditions.exists(code.memberOf('list:sought'))", record=record) == expected


@pytest.mark.parametrize(
    ("when", "value", "lacking"),
    [
        ("%patient.gender = 'female'", True, ()),
        ("%order.status = 'draft'", True, ()),
        ("%coverage.status = 'active'", True, ()),
        ("%facts.line = 'commercial'", True, ()),
        ("%facts.age >= 50", True, ()),
        ("%facts.route = 'oral'", None, ("the order does not say by which route it is given",)),
        ("%encounter.class.code = 'IMP'", None, ("the encounter could not be read",)),
        ("%facts.flags.esrd", None, ("the member's file does not say 'esrd'",)),
        ("today() = @2026-06-15", True, ()),
    ],
)
def test_variables(when: str, value: bool | None, lacking: tuple[str, ...]) -> None:
    assert judged(when) == (value, lacking)


def test_a_patient_who_could_not_be_read_is_unknown() -> None:
    assert judged("%patient.gender = 'female'", prefetch={}) == (None, ("the patient's record could not be read",))


@pytest.mark.parametrize("flag", [True, False])
def test_a_flag_the_payer_has(flag: bool) -> None:
    member = Member("1", "roster", line="ma", flags={"esrd": flag})
    facts = facts_of(service("CPT 70551"), rules=RULES, member=member)
    found = Evidence(facts, {}, Chart("p1"), RULES, TODAY).judge(compile_condition("%facts.flags.esrd"))
    assert found.value is flag


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        pytest.param(taken(medicationCodeableConcept=SOUGHT), True, id="concept"),
        pytest.param(taken(medicationCodeableConcept=OTHER), False, id="other-concept"),
        # Words alone may mean anything: nobody can say that the sought drug is not meant.
        pytest.param(taken(medicationCodeableConcept={"text": "Sought"}), None, id="concept-in-words"),
        pytest.param(taken(medicationReference={"reference": "Medication/sought"}), True, id="reference"),
        pytest.param(taken(medicationReference={"reference": "Medication/other"}), False, id="other-reference"),
        pytest.param(taken(medicationReference={"reference": "Medication/gone"}), None, id="leads-nowhere"),
        pytest.param(taken(medicationReference={"reference": "nonsense", "display": "?"}), None, id="malformed"),
        pytest.param(taken(medicationReference={"display": "Something"}), None, id="words-only"),
        pytest.param(taken(medicationReference={"identifier": {"value": "7"}}), None, id="identifier-only"),
    ],
)
def test_member_of_follows_references(entry: Resource, value: bool | None) -> None:
    medications = bundle(medication("sought", SOUGHT), medication("other", OTHER))
    record = {"medications": Kept((entry,))}
    assert judged(IN_LIST, record=record, prefetch={"patient": patient(), "x": medications})[0] is value


@pytest.mark.parametrize(
    ("in_order", "in_record", "value"),
    [
        pytest.param(None, SOUGHT, True, id="only-in-the-record"),
        pytest.param(None, OTHER, False, id="another-drug"),
        # What the order contains is what is ordered now, not what was taken before.
        pytest.param(SOUGHT, OTHER, None, id="same-id-in-the-order"),
        pytest.param(None, None, None, id="nowhere"),
    ],
)
def test_a_contained_drug_counts_only_where_its_id_is_unique(in_order: Any, in_record: Any, value: bool | None) -> None:
    order = drug(medicationReference={"reference": "#d"})
    if in_order is not None:
        order["contained"] = [medication("d", in_order)]
    entry = taken(medicationReference={"reference": "#d"})
    if in_record is not None:
        entry["contained"] = [medication("d", in_record)]
    assert judged(IN_LIST, order=order, record={"medications": Kept((entry,))})[0] is value


def test_the_drug_an_order_contains() -> None:
    order = drug(medicationReference={"reference": "#d"}, contained=[medication("d", SOUGHT)])
    assert judged("%order.medication.memberOf('list:sought')", order=order)[0] is True


def test_resolve_in_a_condition_follows_what_was_sent() -> None:
    order = drug(medicationReference={"reference": "Medication/sought"})
    prefetch = {"patient": patient(), "x": bundle(medication("sought", SOUGHT))}
    when = "%order.medication.resolve().code.memberOf('list:sought')"
    assert judged(when, order=order, prefetch=prefetch)[0] is True
    assert judged(when, order=order)[0] is None


@pytest.mark.parametrize(
    ("when", "value"),
    [
        ("%facts.codes.exists($this.memberOf('list:sought'))", True),
        ("%facts.codes.exists(code.memberOf('list:sought'))", True),
        ("%order.medication.memberOf('list:sought')", True),
        ("%order.medication.coding.first().memberOf('list:sought')", True),
    ],
)
def test_member_of_a_coding_a_code_and_a_concept(when: str, value: bool) -> None:
    assert judged(when, order=drug("RxNorm 1"))[0] is value


def test_a_condition_that_cannot_be_evaluated_is_unknown() -> None:
    value, lacking = judged("%order.medication.coding.memberOf('list:sought')", order=drug("RxNorm 1", "RxNorm 2"))
    assert value is None
    assert "could not be evaluated" in lacking[0]
