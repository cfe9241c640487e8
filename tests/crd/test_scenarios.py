"""The scenario runner: shorthand becomes a real hook request, and every difference is found."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from app.crd import scenarios
from app.crd.chart import Resource
from app.crd.shorthand import hook_request
from app.fhir.json import encode
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import Scenario
from tests.crd.builders import (
    AUTH,
    CPT,
    INSTRUCTIONS,
    NO_AUTH,
    RXNORM,
    SNOMED,
    bundle,
    case,
    concept,
    guidance,
    policy,
    row,
    rulebook,
)

RULES = rulebook(
    rows=[
        row(
            "iv",
            match_system="RxNorm",
            match_code="191831",
            match_level="ingredient",
            route="intravenous",
            derived_ok="yes",
            track="medical",
            pa="yes",
            billing_codes="HCPCS J1745",
        ),
        row(
            "sc",
            match_system="RxNorm",
            match_code="191831",
            match_level="ingredient",
            route="subcutaneous",
            derived_ok="yes",
            track="pharmacy",
            pa="yes",
            handoff="rx",
        ),
        row(
            "white",
            match_system="RxNorm",
            match_code="7",
            supply_channel="white",
            track="pharmacy",
            pa="yes",
            handoff="rx",
            administration_codes="CPT 96413",
        ),
    ],
    drugs="p1,Vial,191831,1000001,,J1745,vial\np2,Pen,191831,1000002,,,pen\n",
    lists={"back": "ICD-10-CM,M54*,back"},
    policies=[
        policy(
            "mri",
            ["CPT 72148"],
            case("back", "%conditions.exists(code.memberOf('list:back'))", NO_AUTH),
            AUTH,
            needs=["conditions"],
        ),
    ],
    cards=[guidance("note", ["CPT 72148"], INSTRUCTIONS)],
)
MRI = {"type": "ServiceRequest", "codes": ["CPT 72148"]}
MEMBER = {"line": "commercial", "plan": "gold", "sex": "female", "birth_date": "1970-01-01"}
NO_ROSTER = Path("no-such-roster.csv")


def scenario(
    *orders: dict[str, Any],
    expect: dict[str, Any] | list[dict[str, Any]] | None = None,
    member: Any = MEMBER,
    **rest: Any,
) -> Scenario:
    expected = expect if isinstance(expect, list) else [expect or {}] * len(orders)
    stated: dict[str, Any] = {"id": "S1", "title": "t", "hook": "order-sign", "on": "2026-06-15", "record": {}} | rest
    return Scenario(member=member, orders=orders, expect=tuple(expected), file="f.yaml", line=1, **stated)


def differences(*orders: dict[str, Any], rules: Rulebook = RULES, **rest: Any) -> tuple[str, ...]:
    return scenarios.run(scenario(*orders, **rest), rules, NO_ROSTER).differences


MRI_AUTH = {
    "covered": "covered",
    "pa": "auth-needed",
    "docs": "clinical",
    "purpose": "withpa",
    "questionnaire": "form",
    "billing": ["CPT 72148"],
    "reason": "criteria NOT shown",
    "policy": "mri",
    "case": "otherwise",
    "cards": ["note"],
}


@pytest.mark.parametrize(
    ("order", "expect"),
    [
        (MRI, {}),
        (MRI, MRI_AUTH),
        (MRI, {"docs": ["clinical"], "info": []}),
        (
            {"type": "MedicationRequest", "codes": ["HCPCS J1745"]},
            {"track": "medical", "confidence": "presumptive", "rule": "iv", "cards": []},
        ),
        ({"type": "MedicationRequest", "codes": ["RxNorm 1000002"]}, {"track": "pharmacy", "handoff": "rx"}),
        (
            {"type": "MedicationRequest", "codes": ["RxNorm 191831"]},
            {"track": "undetermined", "covered": "conditional"},
        ),
        (
            {"type": "MedicationRequest", "codes": ["RxNorm 191831"], "route": "intravenous"},
            {"track": "medical", "confidence": "determined"},
        ),
        ({"type": "MedicationRequest", "codes": ["RxNorm 191831"], "form": "pen"}, {"track": "undetermined"}),
        ({"type": "MedicationRequest", "codes": ["RxNorm 1000002"], "medication": "contained"}, {"track": "pharmacy"}),
        ({"type": "MedicationRequest", "codes": ["RxNorm 1000002"], "medication": "reference"}, {"track": "pharmacy"}),
        (
            {"type": "MedicationRequest", "codes": ["RxNorm 7"], "dispense": "specialty", "site": "11"},
            {
                "answers": [{"pa": "auth-needed", "track": "pharmacy"}, {"billing": ["CPT 96413"], "track": "medical"}],
                "reason": "pharmacy",
            },
        ),
        (
            {"type": "DeviceRequest", "codes": ["HCPCS E0431"], "performer": "332B00000X"},
            {"covered": "conditional", "info": "OTH"},
        ),
        (MRI, {"modifiers": [], "decision_time": "", "patient_text": ""}),
        ({"type": "ServiceRequest", "display": "Something"}, {"reason": "about Something", "billing": []}),
    ],
)
def test_what_is_expected_and_comes(order: dict[str, Any], expect: dict[str, Any]) -> None:
    assert differences(order, expect=expect) == ()
    assert scenarios.run(scenario(order, expect=expect), RULES, NO_ROSTER).passed


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        ({"pa": "no-auth"}, "pa: expected 'no-auth', got 'auth-needed' (Criteria not shown.)"),
        ({"docs": ["admin"]}, "docs: expected ['admin'], got ['clinical'] (Criteria not shown.)"),
        ({"billing": ["CPT 72149"]}, "billing: expected ['CPT 72149'], got ['CPT 72148'] (Criteria not shown.)"),
        ({"reason": "something else"}, "reason: expected to hold 'something else', got 'Criteria not shown.'"),
        ({"track": "medical"}, "track: expected 'medical', got None (Criteria not shown.)"),
        ({"code": "technical"}, "code: expected 'technical', got None (Criteria not shown.)"),
        ({"modifiers": ["JA"]}, "modifiers: expected ['JA'], got [] (Criteria not shown.)"),
        ({"decision_time": "standard 7 d"}, "decision_time: expected 'standard 7 d', got '' (Criteria not shown.)"),
        ({"patient_text": "Yours."}, "patient_text: expected to hold 'Yours.', got ''"),
        ({"cards": []}, "cards: expected [], got ['note'] (Criteria not shown.)"),
        ({"answers": [{}, {}]}, "expected 2 answers, got 1"),
    ],
)
def test_every_difference_is_told(expect: dict[str, Any], told: str) -> None:
    assert differences(MRI, expect=expect) == (told,)


def test_what_stands_beside_several_answers_is_looked_at_too() -> None:
    order = {"type": "MedicationRequest", "codes": ["RxNorm 7"], "dispense": "specialty", "site": "11"}
    expect = {"answers": [{"pa": "auth-needed"}, {"pa": "no-auth"}], "rule": "other", "reason": "nothing of this"}
    found = differences(order, expect=expect)
    assert [difference.split(":")[0] for difference in found] == ["rule", "reason", "pa"]


def test_several_orders_are_told_apart() -> None:
    assert differences(MRI, MRI, expect=[{"pa": "auth-needed"}, {"pa": "no-auth"}]) == (
        "order 2: pa: expected 'no-auth', got 'auth-needed' (Criteria not shown.)",
    )


@pytest.mark.parametrize(
    ("record", "pa"),
    [
        ({}, "auth-needed"),
        ({"conditions": ["ICD-10-CM M54.5"]}, "no-auth"),
        ({"conditions": [{"code": "ICD-10-CM M54.5", "status": "active", "date": "2026-01-01"}]}, "no-auth"),
        ({"conditions": ["ICD-10-CM I10"]}, "auth-needed"),
        ({"conditions": "unavailable"}, "conditional"),
    ],
)
def test_the_record(record: dict[str, Any], pa: str) -> None:
    assert differences(MRI, expect={"pa": pa}, record=record) == ()


RECORD = {
    "medications": [{"code": "RxNorm 1", "date": "2026-01-01"}, "RxNorm 2"],
    "observations": [
        {"code": "LOINC 718-7", "value": 9, "unit": "g/dL", "date": "2026-06-01"},
        {"code": "LOINC 1-1", "value": 2},
        {"code": "LOINC 2-2", "value": "low", "status": "amended"},
        "LOINC 3-3",
    ],
    "procedures": [{"code": "CPT 1", "date": "2025-05-05"}, {"code": "CPT 2", "status": "not-done"}],
    "allergies": ["RxNorm 3", {"code": "RxNorm 4", "status": "resolved"}],
    "conditions": [{"code": "ICD-10-CM I10", "status": "inactive"}],
}


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        (
            "%medications.where(medication.coding.code = '1' and authoredOn >= @2026-01-01 "
            "and status = 'completed').count() = 1",
            True,
        ),
        ("%medications.where(authoredOn.empty()).count() = 1", True),
        ("%observations.exists(value < 10 'g/dL' and effective >= @2026-06-01 and status = 'final')", True),
        ("%observations.exists(value = 2 '1')", True),
        ("%observations.exists(value = 'low' and status = 'amended')", True),
        ("%observations.where(value.empty()).count() = 1", True),
        ("%procedures.exists(performed = @2025-05-05 and status = 'completed')", True),
        ("%procedures.exists(status = 'not-done')", True),
        ("%allergies.where(clinicalStatus.coding.code = 'active').count() = 1", True),
        ("%allergies.where(clinicalStatus.coding.code = 'resolved').count() = 1", True),
        ("%conditions.exists(clinicalStatus.coding.code = 'active')", False),
    ],
)
def test_entries_of_the_record_are_real_resources(when: str, holds: bool) -> None:
    rules = rulebook(policies=[policy("mri", ["CPT 72148"], case("yes", when, NO_AUTH), AUTH, needs=sorted(RECORD))])
    assert differences(MRI, rules=rules, record=RECORD, expect={"pa": "no-auth" if holds else "auth-needed"}) == ()


@pytest.mark.parametrize(
    ("member", "service_date", "code"),
    [
        ({**MEMBER, "from": "2026-01-01", "to": "2026-07-01"}, None, None),
        ({**MEMBER, "from": "2026-07-01"}, None, "no-active-coverage"),
        ({**MEMBER, "to": "2026-06-15"}, None, "no-active-coverage"),
        # Judged at the day of service, as the roster would.
        ({**MEMBER, "to": "2026-07-01"}, "2026-07-01", "no-active-coverage"),
        ({**MEMBER, "from": "2026-07-01"}, "2026-07-01", None),
    ],
)
def test_a_described_member(member: dict[str, Any], service_date: str | None, code: str | None) -> None:
    order = MRI | ({"service_date": service_date} if service_date else {})
    assert differences(order, expect={"code": code}, member=member) == ()


def test_a_member_of_the_roster(tmp_path: Path) -> None:
    roster = tmp_path / "roster.csv"
    roster.write_text(
        "member_id,birth_date,line,plan,group,state,from,to,flags,pharmacy\nM1,1970-01-01,ma,,,,2020-01-01,,,\n"
    )
    for member, code in (("M1", None), ("unknown", "no-member-found")):
        assert scenarios.run(scenario(MRI, member=member, expect={"code": code}), RULES, roster).passed


def test_order_select_asks_for_no_documents() -> None:
    assert (
        differences(
            MRI, hook="order-select", expect={"pa": "auth-needed", "docs": [], "purpose": [], "questionnaire": []}
        )
        == ()
    )


def request_of(*orders: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return hook_request(scenario(*orders, **rest), RULES)


def first_order(request: dict[str, Any]) -> Resource:
    found: Resource = request["context"]["draftOrders"]["entry"][0]["resource"]
    return found


def test_the_request_is_what_an_ehr_would_send() -> None:
    request = request_of({**MRI, "encounter": "IMP"}, MRI, hook="order-select")
    assert request["hook"] == "order-select"
    assert request["context"]["selections"] == ["ServiceRequest/order-1", "ServiceRequest/order-2"]
    assert request["context"]["encounterId"] == "encounter"
    assert [entry["resource"]["resourceType"] for entry in request["prefetch"]["others"]["entry"]] == ["Encounter"]
    assert request["prefetch"]["patient"] == {
        "resourceType": "Patient",
        "id": "patient",
        "gender": "female",
        "birthDate": "1970-01-01",
    }


def test_a_patient_nobody_described() -> None:
    request = request_of({**MRI, "encounter": "none"}, member={})
    assert request["prefetch"]["patient"] == {"resourceType": "Patient", "id": "patient"}
    assert "encounterId" not in request["context"]
    assert "selections" not in request["context"]


@pytest.mark.parametrize(
    ("order", "members"),
    [
        (
            {
                "type": "ServiceRequest",
                "codes": ["CPT 1"],
                "display": "An MRI",
                "site": "11",
                "reasons": ["ICD-10-CM M54.5"],
                "service_date": "2026-07-01",
            },
            {
                "code": {"coding": [{"system": CPT, "code": "1"}], "text": "An MRI"},
                "locationCode": [
                    {
                        "coding": [
                            {
                                "system": "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set",
                                "code": "11",
                            }
                        ]
                    }
                ],
                "reasonCode": [{"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M54.5"}]}],
                "occurrenceDateTime": "2026-07-01",
            },
        ),
        (
            {"type": "ServiceRequest", "codes": ["SNOMED 1"], "billing_options": ["CPT 2"]},
            {
                "code": {
                    "coding": [{"system": SNOMED, "code": "1"}],
                    "extension": [
                        {
                            "url": "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-billing-options",
                            "valueCodeableConcept": {"coding": [{"system": CPT, "code": "2"}]},
                        }
                    ],
                }
            },
        ),
        (
            {
                "type": "MedicationRequest",
                "codes": ["RxNorm 1"],
                "service_date": "2026-07-01",
                "quantity": 2,
                "days_supply": 30,
                "phase": "maintenance",
            },
            {
                "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "1"}]},
                "dosageInstruction": [
                    {"timing": {"repeat": {"boundsPeriod": {"start": "2026-07-01", "end": "2026-07-01"}}}}
                ],
                "dispenseRequest": {"quantity": {"value": 2}, "expectedSupplyDuration": {"value": 30, "unit": "d"}},
                "priorPrescription": {"reference": "MedicationRequest/order-0"},
            },
        ),
        ({"type": "NutritionOrder", "codes": ["HCPCS B4150"]}, {"patient": {"reference": "Patient/patient"}}),
        ({"type": "VisionPrescription", "codes": ["HCPCS V2020"]}, {"patient": {"reference": "Patient/patient"}}),
        ({"type": "CommunicationRequest", "codes": ["LOINC 1-1"]}, {"subject": {"reference": "Patient/patient"}}),
        (
            {"type": "DeviceRequest", "codes": ["HCPCS E0431"], "performer": "332B00000X"},
            {"performer": {"reference": "PractitionerRole/performer-1"}},
        ),
        (
            {"type": "ServiceRequest", "codes": ["CPT 1"], "performer": "2085R0202X"},
            {"performer": [{"reference": "PractitionerRole/performer-1"}]},
        ),
    ],
)
def test_orders(order: dict[str, Any], members: dict[str, Any]) -> None:
    assert first_order(request_of(order)).items() >= members.items()


@pytest.mark.parametrize("kind", ["NutritionOrder", "VisionPrescription", "CommunicationRequest", "DeviceRequest"])
def test_every_kind_of_order_can_be_answered(kind: str) -> None:
    rules = rulebook(policies=[policy("p", ["HCPCS B4150"], NO_AUTH)])
    assert differences({"type": kind, "codes": ["HCPCS B4150"]}, rules=rules, expect={"pa": "no-auth"}) == ()


def test_without_route() -> None:
    order = {"type": "MedicationRequest", "codes": ["RxNorm 191831"], "route": "intravenous"}
    assert scenarios.without_route(scenario(order, MRI)).orders == (
        {"type": "MedicationRequest", "codes": ["RxNorm 191831"]},
        MRI,
    )


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (["HCPCS J1745"], ["RxNorm 191831"]),
        (["RxNorm 1000001", "HCPCS J1745"], ["RxNorm 191831"]),
        (["RxNorm 424242"], ["RxNorm 424242"]),
        (["CPT 72148"], ["CPT 72148"]),
    ],
)
def test_at_ingredient_level(codes: list[str], expected: list[str]) -> None:
    order = {"type": "MedicationRequest", "codes": codes, "billing_options": ["HCPCS J1745"]}
    (changed,) = scenarios.at_ingredient_level(scenario(order), RULES).orders
    assert changed["codes"] == expected
    assert ("billing_options" in changed) is (codes == expected)


def test_the_day_is_the_scenarios() -> None:
    (determination,) = scenarios.run(scenario(MRI), RULES, NO_ROSTER).determinations
    assert determination.on == date(2026, 6, 15)


def requested(body: bytes, expect: dict[str, Any] | list[dict[str, Any]], **rest: Any) -> tuple[str, ...]:
    made = scenario(expect=expect if isinstance(expect, list) else [expect], request=body, **rest)
    return scenarios.run(made, RULES, NO_ROSTER).differences


def test_a_whole_request_is_answered_like_the_shorthand() -> None:
    body = encode(request_of(MRI, {**MRI, "codes": ["CPT 99999"]}))
    assert (
        requested(body, [{"pa": "auth-needed", "policy": "mri"}, {"covered": "conditional"}]) != ()
    )  # nothing is read
    assert requested(body, [{"pa": "auth-needed"}, {"covered": "conditional"}], record={"conditions": []}) == ()
    assert requested(body, {"covered": "conditional"}, record={"conditions": []}) == (
        "order 1: covered: expected 'conditional', got 'covered' (Criteria not shown.)",
    )
    one = [{"pa": "auth-needed"}] * 3
    assert requested(body, one) == ("expected answers for 3 orders, the request has 2",)


def test_the_record_of_a_request_is_what_it_prefetched() -> None:
    request = request_of(MRI)
    condition = {"resourceType": "Condition", "id": "c", "code": concept("ICD-10-CM M54.50")}
    request["prefetch"]["conditions"] = bundle(condition)
    assert requested(encode(request), {"pa": "no-auth"}) == ()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "the request is refused: "),
        (b"[]", "'None' is not a hook"),
        (b'{"hook": "order-sing"}', "'order-sing' is not a hook"),
        (b'{"hook": "order-sign", "hookInstance": "1"}', "'context' is missing"),
    ],
)
def test_a_request_that_would_be_refused(body: bytes, words: str) -> None:
    (told,) = requested(body, {})
    assert words in told
