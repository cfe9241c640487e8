"""Filling a form in: what is filled, what is not there, what could not be evaluated, and what is never said."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.crd.gather import Kept
from app.dtr import evaluation, extensions
from app.dtr.populate import Populated, populate
from app.dtr.prefill_data import PrefillData
from app.fhir import security_labels
from app.members import Member
from app.rulebook.documents import read_document
from app.rulebook.prefill import Prefill, build_prefill
from app.rulebook.schema import check
from benefit_router import CodeList
from tests.rulebook.small import FORM

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
UCUM = "http://unitsofmeasure.org"
ORDER = {
    "resourceType": "ServiceRequest",
    "id": "s1",
    "priority": "urgent",
    "authoredOn": "2026-11-19",
    "requester": {"reference": "Practitioner/d1"},
}


def saturation(value: int, day: str, **more: Any) -> dict[str, Any]:
    quantity = {"value": Decimal(value), "unit": "%", "code": "%", "system": UCUM}
    return {"resourceType": "Observation", "effectiveDateTime": day, "valueQuantity": quantity, **more}


def data(**more: Any) -> PrefillData:
    record = {
        "observations": Kept((saturation(91, "2026-10-01"), saturation(87, "2026-11-10"))),
        "conditions": Kept(()),
    }
    whole: dict[str, Any] = {
        "now": NOW,
        "subject": {"reference": "Patient/p1"},
        "patient": {"resourceType": "Patient", "id": "p1", "birthDate": "1950-02-03"},
        "order": ORDER,
        "coverage": {"resourceType": "Coverage", "id": "c1"},
        "member": Member(member_id="M1", source="roster", line="ma", flags={"esrd": False}),
        "record": record,
        "related": ({"resourceType": "Practitioner", "id": "d1", "name": [{"family": "Day"}]},),
        "purposes": ("withpa",),
    }
    return PrefillData(**(whole | more))


def form(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**FORM, "title": "A form", "item": list(items), **more}


def item(link_id: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"linkId": link_id, "text": f"Question {link_id}", "type": kind, **more}


def prefill(questionnaire: Mapping[str, Any], items: Mapping[str, Any], **more: Any) -> Prefill:
    text = json.dumps({"prefill": "form", "needs": ["conditions", "observations"], "items": items, **more})
    document, problems = read_document(text, "prefill.yaml")
    assert document is not None
    problems += check(document, "prefill")
    built = build_prefill(document, "form", questionnaire, {"disease": CodeList.of("disease", ())}, problems)
    assert problems == []
    return built


def fill(
    questionnaire: dict[str, Any], items: Mapping[str, Any], given: PrefillData | None = None, **more: Any
) -> Populated:
    return populate(questionnaire, prefill(questionnaire, items, **more), given or data(), "2.2")


def answers(populated: Populated) -> dict[str, list[Any]]:
    """Answers by linkId, without their origin."""
    found: dict[str, list[Any]] = {}

    def walk(items: list[dict[str, Any]]) -> None:
        for each in items:
            for answer in each.get("answer", ()):
                (value,) = (v for k, v in answer.items() if k.startswith("value"))
                found.setdefault(each["linkId"], []).append(value)
                walk(answer.get("item", []))
            walk(each.get("item", []))

    walk(populated.response.get("item", []))
    return found


def kinds(populated: Populated) -> dict[str, str]:
    return {each.link_id: each.kind for each in populated.items}


LATEST = {"latest": "%observations.sort(effective desc).first()"}


@pytest.mark.parametrize(
    ("kind", "expression", "expected"),
    [
        ("date", "%latest.effective.toDate()", "2026-11-10"),
        ("decimal", "%latest.value.value", Decimal(87)),
        ("boolean", "%latest.value <= 88 '%'", True),
        ("boolean", "%latest.value > 88 '%'", False),
        ("date", "%patient.birthDate", "1950-02-03"),
        ("string", "%member.id", "M1"),
        ("boolean", "%member.flags.esrd", False),
        ("string", "%order.requester.resolve().name.family", "Day"),
        ("string", "%order.priority", "urgent"),
        ("date", "today()", "2026-11-20"),
        ("string", "%questionnaire.title & ' ' & %qitem.linkId", "A form 1"),
    ],
)
def test_filled(kind: str, expression: str, expected: Any) -> None:
    populated = fill(form(item("1", kind)), {"1": expression}, variables=LATEST)
    assert answers(populated) == {"1": [expected]}
    (outcome,) = populated.items
    assert (outcome.kind, outcome.path, outcome.source) == (
        "filled",
        "Questionnaire.item.where(linkId='1')",
        expression,
    )
    assert populated.issues == [
        {"severity": "information", "code": "informational", "diagnostics": "Filled.", "expression": [outcome.path]}
    ]


@pytest.mark.parametrize(
    ("kind", "expression"),
    [
        ("boolean", "%conditions.exists()"),
        ("boolean", "%conditions.exists().not()"),
        ("boolean", "%conditions.empty()"),
        ("boolean", "%observations.exists(value < 80 '%')"),
        ("boolean", "%patient.deceased.exists()"),
        ("boolean", "%none"),
        ("boolean", "%member.flags.hospice"),
        ("date", "%latest.issued.toDate()"),
        ("string", "%order.note.text"),
    ],
)
def test_never_no_from_silence(kind: str, expression: str) -> None:
    variables = LATEST | {"none": "%observations.exists(value < 80 '%')"}
    populated = fill(form(item("1", kind)), {"1": {"from": expression, "looks_for": "the thing"}}, variables=variables)
    assert answers(populated) == {}
    assert [each.words for each in populated.items] == ["Looked for and not there: the thing"]
    assert populated.issues[0]["code"] == "not-found"


@pytest.mark.parametrize(
    ("kind", "expression", "why"),
    [
        ("date", "%latest.effective", ".toDate() makes one of it"),
        ("decimal", "%observations.value.value", "2 answers for an item that takes one; none was chosen"),
        ("string", "%encounter.status", "the encounter is not among what the service was given"),
        ("decimal", "%order.id.single().toInteger() + %observations.value", "It could not be evaluated"),
    ],
)
def test_not_evaluated(kind: str, expression: str, why: str) -> None:
    populated = fill(form(item("1", kind), item("2", "string")), {"1": expression, "2": "%order.id"}, variables=LATEST)
    assert answers(populated) == {"2": ["s1"]}, "the others are filled all the same"
    outcome = populated.items[0]
    assert outcome.kind == "not-evaluated"
    assert why in outcome.words
    assert populated.issues[0]["severity"] == "warning"


def test_what_was_not_kept_is_said_and_what_was_kept_in_part_is_not_trusted() -> None:
    questionnaire = form(item("1", "boolean"), item("2", "boolean"), item("3", "boolean"), item("4", "decimal"))
    expressions = {
        "1": "%conditions.exists()",
        "2": "%observations.exists(value <= 88 '%')",
        "3": "%observations.exists(value <= 60 '%')",
        "4": "%observations.value.value.min()",
    }
    partial = {"observations": Kept((saturation(87, "2026-11-10"),), "the EHR did not answer in time")}
    populated = fill(questionnaire, expressions, data(record=partial))
    assert answers(populated) == {"2": [True]}, "one that is there is enough"
    assert kinds(populated) == {"1": "not-evaluated", "2": "filled", "3": "not-evaluated", "4": "not-evaluated"}
    words = [each.words for each in populated.items]
    assert "the patient's conditions were not kept" in words[0]
    assert "did not answer in time" in words[2]


def test_restricted_records_are_not_there() -> None:
    label = {"meta": {"security": [{"system": security_labels.CONFIDENTIALITY, "code": "R"}]}}
    record = {"observations": Kept((saturation(80, "2026-11-10", **label), saturation(90, "2026-11-01")))}
    populated = fill(form(item("1", "decimal")), {"1": "%observations.value.value"}, data(record=record))
    assert answers(populated) == {"1": [90]}
    patient = data().patient or {}
    assert answers(fill(form(item("1", "date")), {"1": "%patient.birthDate"}, data(patient=patient | label))) == {}


@pytest.mark.parametrize(
    ("version", "code", "coverage"), [("2.0", "auto", "qr-context"), ("2.2", "auto-server", "qr-coverage")]
)
def test_the_draft_in_each_version(version: Any, code: str, coverage: str) -> None:
    questionnaire = form(item("1", "string"))
    response = populate(questionnaire, prefill(questionnaire, {"1": "%order.id"}), data(), version).response
    assert "id" not in response
    assert response["questionnaire"] == "http://payer.example.org/Questionnaire/form|1"
    assert (response["status"], response["subject"]) == ("in-progress", {"reference": "Patient/p1"})
    assert response["authored"] == "2026-11-20T09:00:00+00:00"
    base = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/"
    roots = [(each["url"], each.get("valueReference", {}).get("reference")) for each in response["extension"]]
    assert roots == [
        (f"{base}{coverage}", "Coverage/c1"),
        (f"{base}qr-context", "ServiceRequest/s1"),
        (f"{base}intendedUse", None),
    ]
    (answer,) = response["item"][0]["answer"]
    assert answer == {
        "extension": [{"url": f"{base}information-origin", "extension": [{"url": "source", "valueCode": code}]}],
        "valueString": "s1",
    }


def test_a_draft_of_nothing() -> None:
    questionnaire = form(item("1", "string"))
    bare = PrefillData(now=NOW, subject={"reference": "Patient/p1"})
    for version, expected in (("2.2", None), ("2.0", [{"linkId": "1", "text": "Question 1"}])):
        populated = populate(questionnaire, None, bare, version)  # type: ignore[arg-type]  # both are versions
        assert populated.response.get("item") == expected
        assert populated.issues == []
    (purpose,) = populated.response["extension"]
    assert purpose["valueCodeableConcept"]["coding"][0]["code"] == "OTH"


def test_an_order_that_cannot_be_context() -> None:
    questionnaire = form(item("1", "string"))
    order = {"resourceType": "VisionPrescription", "id": "v1"}
    response = populate(questionnaire, None, data(order=order), "2.2").response
    assert "VisionPrescription/v1" not in str(response["extension"])


def test_groups_repeat() -> None:
    group = item("g", "group", repeats=True, item=[item("g.1", "date"), item("g.2", "boolean")])
    group["item"][1]["enableWhen"] = [{"question": "g.1", "operator": "=", "answerDate": "2026-11-10"}]
    populated = fill(
        form(group),
        {
            "g": {"repeat": "%observations", "as": "reading"},
            "g.1": "%reading.effective.toDate()",
            "g.2": "%reading.value <= 88 '%'",
        },
    )
    assert answers(populated) == {"g.1": ["2026-10-01", "2026-11-10"], "g.2": [True]}
    assert len(populated.response["item"]) == 2
    assert populated.items[0].path == "Questionnaire.item.where(linkId='g').item.where(linkId='g.1')"


@pytest.mark.parametrize(
    ("repeat", "repeats", "kind"),
    [
        ("%observations", False, "not-evaluated"),
        ("%conditions", True, "not-found"),
        ("%encounter", True, "not-evaluated"),
    ],
)
def test_groups_that_do_not(repeat: str, repeats: bool, kind: str) -> None:
    group = item("g", "group", repeats=repeats, item=[item("g.1", "string"), item("g.2", "string")])
    populated = fill(form(group), {"g": {"repeat": repeat, "as": "each"}, "g.1": "%each.id", "g.2": "%order.id"})
    assert kinds(populated)["g"] == kind
    assert "g.1" not in answers(populated)
    assert answers(populated) == ({} if not repeats else {"g.2": ["s1"]})


def test_too_many_repetitions() -> None:
    many = tuple(saturation(80, "2026-11-10", id=f"o{number}") for number in range(101))
    group = item("g", "group", repeats=True, item=[item("g.1", "string")])
    expressions = {"g": {"repeat": "%observations", "as": "each"}, "g.1": "%each.id"}
    populated = fill(form(group), expressions, data(record={"observations": Kept(many)}))
    assert len(populated.response["item"]) == 100
    assert populated.remarks[0]["code"] == "too-costly"


def extension(url: str, expression: str, language: str = "text/fhirpath", **more: Any) -> dict[str, Any]:
    return {"url": url, "valueExpression": {"language": language, "expression": expression, **more}}


CONTEXT = {
    "url": extensions.LAUNCH_CONTEXT,
    "extension": [{"url": "name", "valueCoding": {"code": "patient"}}, {"url": "type", "valueCode": "Patient"}],
}


def test_the_forms_own_expressions() -> None:
    """Variables out of order, an initial expression, a calculated one that reads answers, and a population context."""
    initial, calculated = extensions.INITIAL_EXPRESSION, extensions.CALCULATED_EXPRESSION
    answer = "%resource.item.where(linkId = '1').answer.value"
    group = item(
        "g",
        "group",
        repeats=True,
        extension=[extension(extensions.ITEM_POPULATION_CONTEXT, "%observations", name="reading")],
        item=[item("g.1", "date", extension=[extension(initial, "%reading.effective.toDate()")])],
    )
    questionnaire = form(
        item("2", "integer", extension=[extension(calculated, f"{answer} + 1")]),
        item("1", "integer", extension=[extension(initial, "%year")]),
        item("3", "string", extension=[extension(initial, '"Lib".Name', "text/cql-identifier")]),
        item("4", "string", extension=[extension(initial, "%user.name.family")]),
        item("5", "string", initial=[{"valueString": "as written"}], extension=[extension(initial, "'no'")]),
        group,
        extension=[
            CONTEXT,
            {"url": extensions.LAUNCH_CONTEXT, "extension": [{"url": "name", "valueCoding": {"code": "user"}}]},
            extension(extensions.VARIABLE, "%birth.toString().substring(0, 4).toInteger()", name="year"),
            extension(extensions.VARIABLE, "%patient.birthDate", name="birth"),
        ],
    )
    populated = populate(questionnaire, None, data(), "2.2")
    found = answers(populated)
    assert found == {"1": [1950], "2": [1951], "5": ["as written"], "g.1": ["2026-10-01", "2026-11-10"]}
    assert "is the client's to give" in next(each.words for each in populated.items if each.link_id == "4")
    assert [each["linkId"] for each in populated.response["item"]] == ["2", "1", "5", "g", "g"], "the form's order"
    assert "3" not in kinds(populated), "CQL is the client's"


def test_the_prefill_goes_before_the_forms_own() -> None:
    questionnaire = form(item("1", "string", extension=[extension(extensions.INITIAL_EXPRESSION, "'form'")]))
    assert answers(fill(questionnaire, {"1": "'prefill'"})) == {"1": ["prefill"]}


@pytest.mark.parametrize(
    "broken",
    [
        form(item("1", "string", extension=[extension(extensions.INITIAL_EXPRESSION, "%patient.")])),
        form(item("1", "string", extension=[extension(extensions.ENABLE_WHEN_EXPRESSION, "true and")])),
        form(item("1", "string", extension=[extension(extensions.INITIAL_EXPRESSION, "%a")]), extension=[
            extension(extensions.VARIABLE, "%b", name="a"), extension(extensions.VARIABLE, "%a", name="b"),
        ]),
        form(item("1", "group", extension=[extension(extensions.ITEM_POPULATION_CONTEXT, "%x.", name="x")])),
    ],
)  # fmt: skip
def test_unsound_expressions_spoil_their_own_item_only(broken: dict[str, Any]) -> None:
    broken["item"].append(item("2", "string", initial=[{"valueString": "x"}]))
    populated = populate(broken, None, data(), "2.2")
    assert answers(populated) == {"2": ["x"]}
    assert kinds(populated)["1"] == "not-evaluated"


def test_a_variable_that_is_unsound_is_a_remark() -> None:
    questionnaire = form(item("1", "string"), extension=[extension(extensions.VARIABLE, "%", name="a")])
    (remark,) = populate(questionnaire, None, data(), "2.2").remarks
    assert remark["severity"] == "warning"


def test_only_enabled_items_are_filled() -> None:
    when = {"question": "2", "operator": "=", "answerString": "s1"}
    questionnaire = form(
        item("1", "string", enableWhen=[when]),
        item("2", "string"),
        item("3", "string", enableWhen=[when | {"operator": "!="}]),
        item(
            "4",
            "string",
            extension=[extension(extensions.ENABLE_WHEN_EXPRESSION, "%resource.item.exists(linkId = '2')")],
        ),
        item(
            "5", "string", extension=[extension(extensions.ENABLE_WHEN_EXPRESSION, '"Lib".Yes', "text/cql-identifier")]
        ),
        item(
            "6",
            "string",
            extension=[extension(extensions.ENABLE_WHEN_EXPRESSION, "%resource.item.exists(linkId = '9')")],
        ),
    )
    populated = fill(questionnaire, {str(number): "%order.id" for number in range(1, 7)})
    assert sorted(answers(populated)) == ["1", "2", "4", "5"], "what only the client can tell counts as enabled"
    assert "3" not in kinds(populated)


def test_answers_that_never_settle() -> None:
    """1 is answered while 2 is not, and 2 while 1 is."""
    questionnaire = form(
        item("1", "string", enableWhen=[{"question": "2", "operator": "exists", "answerBoolean": False}]),
        item("2", "string", enableWhen=[{"question": "1", "operator": "exists", "answerBoolean": True}]),
    )
    populated = fill(questionnaire, {"1": "'a'", "2": "'b'"})
    assert [each["code"] for each in populated.remarks] == ["processing"]


def test_items_below_an_answer() -> None:
    below = item("1.1", "string", enableWhen=[{"question": "1", "operator": "=", "answerString": "s1"}])
    questionnaire = form(item("1", "string", item=[below]), item("2", "string", item=[item("2.1", "string")]))
    populated = fill(questionnaire, {"1": "%order.id", "1.1": "'x'", "2": "%order.note.text", "2.1": "'y'"})
    assert answers(populated) == {"1": ["s1"], "1.1": ["x"]}
    assert populated.response["item"][0]["answer"][0]["item"][0]["linkId"] == "1.1"


def test_the_time_of_a_form_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "TOTAL_SECONDS", -1.0)
    populated = fill(form(item("1", "string")), {"1": "%order.id"})
    assert kinds(populated) == {"1": "not-evaluated"}
    assert "took longer" in populated.items[0].words


def test_an_expression_that_does_too_much() -> None:
    endless = "%observations.repeatAll(children() | %observations)"
    populated = fill(form(item("1", "string"), item("2", "string")), {"1": endless, "2": "%order.id"})
    assert answers(populated) == {"2": ["s1"]}
    assert kinds(populated)["1"] == "not-evaluated"


def test_input_is_not_changed_and_the_same_input_gives_the_same_form() -> None:
    questionnaire = form(item("1", "string"))
    before = copy.deepcopy(questionnaire)
    one, other = fill(questionnaire, {"1": "%order.id"}), fill(questionnaire, {"1": "%order.id"})
    assert one == other
    assert questionnaire == before
