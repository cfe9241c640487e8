"""HL7's validator as we run it: it passes what the IG itself publishes, and no single defect gets past it."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.hl7 import CRD, CRD_2_0, CRD_2_2, NOISE, Judge, examples, profile_of

pytest_plugins = ("tests.conformance.hl7",)

Resource = dict[str, Any]
Change = Callable[[Resource], object]
URL = f"{CRD}/ext-coverage-information"
CPT = {"system": "http://www.ama-assn.org/go/cpt", "code": "72148"}

# The types this service sends: orders and what else it writes on, and what its cards suggest.
SENT = (
    "Appointment",
    "CommunicationRequest",
    "Coverage",
    "DeviceRequest",
    "Encounter",
    "MedicationRequest",
    "NutritionOrder",
    "ServiceRequest",
    "Task-questionnaire",
    "VisionPrescription",
)


def good_order() -> Resource:
    """An order whose coverage-information says as much as one can say at once."""
    return {
        "resourceType": "ServiceRequest",
        "id": "order",
        "extension": [
            {
                "url": URL,
                "extension": [
                    {"url": "coverage", "valueReference": {"reference": "Coverage/coverage"}},
                    {"url": "covered", "valueCode": "covered"},
                    {"url": "pa-needed", "valueCode": "conditional"},
                    {"url": "doc-needed", "valueCode": "clinical"},
                    {"url": "doc-purpose", "valueCode": "withclaim"},
                    {"url": "info-needed", "valueCode": "performer"},
                    {
                        "url": "billingCode",
                        "valueCoding": {"system": "http://www.ama-assn.org/go/cpt", "code": "72148"},
                    },
                    {"url": "reason", "valueCodeableConcept": {"text": "The performer decides."}},
                    {
                        "url": "detail",
                        "extension": [
                            {"url": "category", "valueCode": "cat-limitation"},
                            {"url": "code", "valueCodeableConcept": {"text": "Visits"}},
                            {"url": "value", "valueString": "two in a year"},
                        ],
                    },
                    {"url": "questionnaire", "valueCanonical": "http://payer.example.org/Questionnaire/mri|1.0.0"},
                    {"url": "date", "valueDate": "2026-11-20"},
                    {"url": "coverage-assertion-id", "valueString": "a-1"},
                    {"url": "expiry-date", "valueDate": "2027-01-20"},
                ],
            }
        ],
        "status": "draft",
        "intent": "original-order",
        "code": {"coding": [CPT], "text": "lumbar MRI"},
        "subject": {"reference": "Patient/patient"},
        "authoredOn": "2026-11-20",
        "requester": {"reference": "PractitionerRole/role"},
    }


def parts(order: Resource) -> list[Resource]:
    found: list[Resource] = order["extension"][0]["extension"]
    return found


def without(*names: str) -> Change:
    return lambda order: order["extension"][0].update(
        extension=[part for part in parts(order) if part["url"] not in names]
    )


def with_part(name: str, **value: Any) -> Change:
    """The part with another value; a part that is not there yet is added."""

    def change(order: Resource) -> None:
        if any(part["url"] == name for part in parts(order)):
            without(name)(order)
        parts(order).append({"url": name, **value})

    return change


def twice(name: str) -> Change:
    return lambda order: parts(order).append(next(part for part in parts(order) if part["url"] == name))


def all_of(*changes: Change) -> Change:
    return lambda order: [change(order) for change in changes]


def element(name: str, value: Any) -> Change:
    return lambda order: order.pop(name) if value is None else order.update({name: value})


def detail_without(name: str) -> Change:
    def change(order: Resource) -> None:
        detail = next(part for part in parts(order) if part["url"] == "detail")
        detail["extension"] = [part for part in detail["extension"] if part["url"] != name]

    return change


no_info = without("info-needed")
DEFECTS: tuple[tuple[str, Change, str], ...] = (
    ("no coverage", without("coverage"), "extension:coverage.: a matching slice is required"),
    ("no covered", without("covered"), "extension:covered.: a matching slice is required"),
    ("no date", without("date"), "extension:date.: a matching slice is required"),
    ("no assertion id", without("coverage-assertion-id"), "coverage-assertion-id.: a matching slice is required"),
    ("two covered", twice("covered"), "max allowed = 1, but found 2"),
    ("two assertion ids", twice("coverage-assertion-id"), "max allowed = 1, but found 2"),
    ("unknown covered", with_part("covered", valueCode="perhaps"), "was not found in the value set"),
    ("unknown pa-needed", with_part("pa-needed", valueCode="perhaps"), "was not found in the value set"),
    ("unknown info-needed", with_part("info-needed", valueCode="perhaps"), "was not found in the value set"),
    ("covered as string", with_part("covered", valueString="covered"), "but found type string"),
    ("date with time", with_part("date", valueDateTime="2026-11-20T10:00:00Z"), "but found type dateTime"),
    ("a day that is none", with_part("date", valueDate="2026-02-30"), "Not a valid date"),
    ("billing code as text", with_part("billingCode", valueCodeableConcept={"text": "MRI"}), "but found type Codeable"),
    ("unknown part", with_part("cost", valueString="much"), "Sub-extension url 'cost' is not defined"),
    ("part without value", with_part("reason"), "ext-1"),
    ("questionnaire, no doc-needed", without("doc-needed", "doc-purpose"), "crd-ci-q1"),
    (
        "pa-needed, not covered",
        all_of(with_part("covered", valueCode="not-covered"), with_part("pa-needed", valueCode="no-auth"), no_info),
        "crd-ci-q2",
    ),
    ("conditional, no info-needed", no_info, "crd-ci-q3"),
    ("satisfied, no number", all_of(with_part("pa-needed", valueCode="satisfied"), no_info), "crd-ci-q5"),
    ("other information, no reason", all_of(with_part("info-needed", valueCode="OTH"), without("reason")), "crd-ci-q6"),
    ("doc-purpose, no reason", without("reason"), "crd-ci-q8"),
    (
        "indeterminate, no reason",
        all_of(with_part("covered", valueCode="indeterminate"), without("reason", "doc-purpose")),
        "crd-ci-q9",
    ),
    ("detail without code", detail_without("code"), "extension:code.: a matching slice is required"),
    ("detail without value", detail_without("value"), "extension:value.: a matching slice is required"),
    ("no author date", element("authoredOn", None), "authoredOn: minimum required = 1"),
    ("no requester", element("requester", None), "requester: minimum required = 1"),
    ("unknown status", element("status", "drafted"), "was not found in the value set"),
    ("unknown element", element("colour", "red"), "Unrecognized property 'colour'"),
)  # fmt: skip


def test_a_good_order_passes(judge: Judge) -> None:
    order = good_order()
    assert judge.errors(order, profile_of(order)) == []


@pytest.mark.parametrize(("change", "words"), [each[1:] for each in DEFECTS], ids=[each[0] for each in DEFECTS])
def test_one_defect_is_caught(judge: Judge, change: Change, words: str) -> None:
    order = good_order()
    change(order)
    errors = judge.errors(order, profile_of(order))
    assert any(re.search(words, each) for each in errors), errors


def test_an_unknown_profile_is_not_a_pass(judge: Judge) -> None:
    assert judge.errors(good_order(), f"{CRD}/profile-of-nothing") != []


# Two invariants say something else than their words: where they do not apply they come to nothing, and to the engine
# nothing is false. `published_amiss` in test_hl7_emitted sets them aside; these tests say when that need not be.


def test_q4_of_2_2_rejects_every_documentation_with_the_request(judge: Judge) -> None:
    order = good_order()
    all_of(no_info, with_part("pa-needed", valueCode="auth-needed"), with_part("doc-purpose", valueCode="withpa"))(
        order
    )
    errors = judge.errors(order, profile_of(order))
    assert len(errors) == 1
    assert "crd-ci-q4" in errors[0]


def test_q2_of_2_0_rejects_every_plain_not_covered(judge_2_0: Judge) -> None:
    order = good_order()
    order["extension"][0]["extension"] = [
        part for part in parts(order) if part["url"] in ("coverage", "date", "coverage-assertion-id")
    ]
    with_part("covered", valueCode="not-covered")(order)
    errors = judge_2_0.errors(order, profile_of(order, "2.0"))
    assert len(errors) == 1
    assert "crd-ci-q2" in errors[0]


@pytest.mark.parametrize("kind", SENT)
def test_official_examples_pass(judge: Judge, ig: Path, kind: str) -> None:
    assert _wrong(judge, ig / CRD_2_2, kind, "2.2") == {}


@pytest.mark.parametrize("kind", SENT)
def test_official_examples_of_2_0_pass(judge_2_0: Judge, ig: Path, kind: str) -> None:
    assert _wrong(judge_2_0, ig / CRD_2_0, kind, "2.0") == {}


def _wrong(judge: Judge, package: Path, kind: str, version: str) -> dict[str, list[str]]:
    """The errors of the examples of a kind; there must be some examples."""
    chosen = {name: each for name, each in examples(package).items() if name.startswith(f"{kind}-")}
    assert chosen
    judged = {name: judge.errors(each, profile_of(each, version)) for name, each in chosen.items()}
    return {name: errors for name, errors in judged.items() if errors}


def test_noise_has_reasons_and_hides_no_defect(judge: Judge) -> None:
    """What a filter drops is dropped by its message alone, so a filter must not be wider than its reason."""
    assert all(reason for _, reason in NOISE)
    for _, change, _ in DEFECTS:
        order = good_order()
        change(order)
        raw = judge.validate_raw(order, profile_of(order))
        assert [str(each) for each in raw if each.is_error and each.is_noise] == []


# What a hook response is held to as a whole.


def answer_of(ig: Path, name: str) -> Resource:
    found: Resource = json.loads((ig / "crd-2.2" / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("name", ["CRDServiceResponse", "CRDServiceResponse2", "CRDServiceResponse3"])
def test_official_responses_pass(hook_judge: Judge, ig: Path, name: str) -> None:
    assert hook_judge.errors(answer_of(ig, name), f"{CRD}/CRDHooksResponse") == []


@pytest.mark.parametrize(
    ("name", "position", "model"),
    [
        ("CRDServiceResponse", 0, "instructions"),
        ("CRDServiceResponse", 1, "externalReference"),
        ("CRDServiceResponse2", 0, "alternateRequest"),
        ("CRDServiceResponse2", 1, "additionalOrders"),
        ("CRDServiceResponse2", 3, "adjustCoverage"),
    ],
)
def test_official_cards_are_of_one_type(hook_judge: Judge, ig: Path, name: str, position: int, model: str) -> None:
    card = answer_of(ig, name)["cards"][position]
    others = {"instructions", "externalReference", "alternateRequest", "additionalOrders", "adjustCoverage"} - {model}
    assert hook_judge.errors({"cards": [card]}, f"{CRD}/CRDHooksResponse-{model}") == []
    for other in others:
        assert hook_judge.errors({"cards": [card]}, f"{CRD}/CRDHooksResponse-{other}") != []


def without_path(*path: str | int) -> Change:
    return lambda answer: _at(answer, path[:-1]).pop(path[-1])


def with_path(value: Any, *path: str | int) -> Change:
    return lambda answer: _at(answer, path[:-1]).update({path[-1]: value})


def _at(answer: Any, path: Iterable[str | int]) -> Any:
    for step in path:
        answer = answer[step]
    return answer


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_path("cards", 0, "uuid"), "uuid: minimum required = 1"),
        (with_path("42", "cards", 0, "uuid"), "uuid"),
        (without_path("cards", 0, "summary"), "summary: minimum required = 1"),
        (without_path("cards", 0, "source", "topic"), "topic: minimum required = 1"),
        (with_path("urgent", "cards", 0, "indicator"), "was not found in the value set"),
        (with_path(True, "cards", 0, "colour"), "Unrecognized property 'colour'"),
        (with_path("far", "cards", 1, "links", 0, "type"), "was not found in the value set"),
        (without_path("systemActions", 0, "type"), "type: minimum required = 1"),
        (with_path("replace", "systemActions", 0, "type"), "was not found in the value set"),
        (with_path("drafted", "systemActions", 0, "resource", "status"), "was not found in the value set"),
    ],
    ids=["no uuid", "bad uuid", "no summary", "no topic", "indicator", "member", "link", "no type", "type", "resource"],
)
def test_one_defect_of_a_response_is_caught(hook_judge: Judge, ig: Path, change: Change, words: str) -> None:
    answer = copy.deepcopy(answer_of(ig, "CRDServiceResponse"))
    change(answer)
    errors = hook_judge.errors(answer, f"{CRD}/CRDHooksResponse")
    assert any(re.search(words, each) for each in errors), errors
