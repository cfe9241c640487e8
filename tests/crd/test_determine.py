"""From a chart to determinations: several orders, and a fault in one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.crd.chart import Chart
from app.crd.determine import determine, place_of
from app.crd.evidence import Evidence
from app.rulebook.conditions import Condition, Finding
from app.rulebook.scope import Need
from tests.crd.builders import (
    AUTH,
    NO_AUTH,
    TODAY,
    bundle,
    call,
    case,
    concept,
    coverage,
    decide_all,
    directory,
    drug,
    policy,
    row,
    rulebook,
    service,
    shape,
)

RULES = rulebook(
    rows=[
        row("iv", match_system="HCPCS", match_code="J0001", track="medical", pa="no"),
        row("sc", match_system="RxNorm", match_code="100", track="pharmacy", pa="yes", handoff="rx"),
    ],
    lists={"back": "ICD-10-CM,M54*,back"},
    policies=[
        policy("mri", ["CPT 72148"], case("w", "%patient.gender = 'female'", NO_AUTH), AUTH, needs=["conditions"]),
        policy("oxygen", ["HCPCS E0431"], AUTH, needs=["observations"]),
        policy("formula", ["HCPCS B4150"], NO_AUTH),
        policy("glasses", ["HCPCS V2020"], NO_AUTH),
    ],
)
ORDERS = [
    service("CPT 72148"),
    drug("HCPCS J0001"),
    {"resourceType": "DeviceRequest", "id": "d1", "codeCodeableConcept": concept("HCPCS E0431")},
    {"resourceType": "NutritionOrder", "id": "n1", "enteralFormula": {"baseFormulaType": concept("HCPCS B4150")}},
    {"resourceType": "VisionPrescription", "id": "v1", "lensSpecification": [{"product": concept("HCPCS V2020")}]},
]


def test_five_drafts_of_five_types_each_get_their_answer() -> None:
    decided = decide_all(*ORDERS, rules=RULES)
    assert [(each.determination.order_key, each.determination.answers[0].pa_needed) for each in decided] == [
        ("ServiceRequest/s1", "no-auth"),
        ("MedicationRequest/m1", "no-auth"),
        ("DeviceRequest/d1", "auth-needed"),
        ("NutritionOrder/n1", "no-auth"),
        ("VisionPrescription/v1", "no-auth"),
    ]
    assert [each.determination.order_key for each in decided] == [each.play.facts.order.key for each in decided]


def test_two_drugs_of_one_call_take_their_own_roads() -> None:
    pen = drug("RxNorm 100", id="m2")
    first, second = (each.determination.answers[0] for each in decide_all(drug("HCPCS J0001"), pen, rules=RULES))
    assert shape(first) == {"covered": "covered", "pa": "no-auth", "billing": ("HCPCS J0001",)}
    assert shape(second) == {"covered": "covered", "pa": "auth-needed", "billing": ("RxNorm 100",), "contact": ("rx",)}


def test_the_record_is_asked_for_once_with_the_needs_of_all_and_stages_are_timed() -> None:
    asked: list[list[Need]] = []
    stages: list[str] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        stages.append(name)
        yield

    request = call(*ORDERS)

    def read(needs: list[Need]) -> dict[str, Any]:
        asked.append(needs)
        return {}

    determine(
        request.orders,
        request=request,
        chart=Chart.from_request(request),
        coverage=coverage(),
        directory=directory(),
        rulebook=RULES,
        read_record=read,
        today=TODAY,
        stage=stage,
    )
    assert asked == [[Need("conditions"), Need("observations")]]
    assert stages == ["facts", "record", "decide"]


def test_no_orders_no_answers() -> None:
    assert decide_all(rules=RULES) == []


def test_a_fault_in_deciding_one_order_leaves_the_others_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(self: Evidence, condition: Condition | None) -> Finding:
        raise ZeroDivisionError("the record of a patient")

    monkeypatch.setattr(Evidence, "judge", judge)
    with capture_logs() as logs:
        decided = decide_all(*ORDERS, rules=RULES, prefetch={"x": bundle()})
    answers = {each.determination.order_key: each.determination.answers[0] for each in decided}
    assert answers["MedicationRequest/m1"].pa_needed == "no-auth"
    broken = answers["ServiceRequest/s1"]
    assert shape(broken) == {"covered": "indeterminate", "pa": "indeterminate"}
    assert broken.reasons[0].code == "technical"
    faults = [entry for entry in logs if entry["event"] == "decide.fault"]
    assert {entry["order"] for entry in faults} == {
        "ServiceRequest/s1",
        "DeviceRequest/d1",
        "NutritionOrder/n1",
        "VisionPrescription/v1",
    }
    assert all(
        entry["error"] == "ZeroDivisionError" and entry["at"].startswith("test_determine.py:") for entry in faults
    )
    assert "patient" not in str(logs)


def test_the_place_of_an_exception() -> None:
    assert place_of(ValueError()) == "unknown"
    with pytest.raises(ZeroDivisionError) as caught:
        exec(compile("1 / 0", "<generated>", "exec"))  # generated code, such as a compiled condition, has no file
    assert place_of(caught.value).startswith("test_determine.py:")
