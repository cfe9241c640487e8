"""Cards: which are shown, how many, and exactly what they offer."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from app.crd.cards import build_card, shown
from app.crd.chart import Resource
from app.crd.coverage_information import URL
from app.crd.determine import Decided
from app.hooks.configuration import Configuration
from app.rulebook.rulebook import Rulebook
from tests.crd.builders import (
    CPT,
    HCPCS,
    INSTRUCTIONS,
    NO_AUTH,
    SERVER,
    TODAY,
    concept,
    decide_all,
    drug,
    guidance,
    patient,
    policy,
    rulebook,
    service,
)


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"id{next(numbers)}"


def cards_for(
    *orders: Resource, rules: Rulebook, configuration: Configuration | None = None, version: str = "2.2", **rest: Any
) -> list[dict[str, Any]]:
    decided: list[Decided] = decide_all(*orders, rules=rules, **rest)
    several = len(decided) > 1
    return [
        build_card(each, rules, version=version, several_orders=several, today=TODAY, new_id=ids())
        for each in shown(decided, configuration or Configuration())
    ]


LINKED = {"response": "external-reference", "links": [{"label": "Policy", "url": "https://payer.example.org/p"}]}
MRI = service("CPT 72148")


def test_instructions() -> None:
    rules = rulebook(cards=[guidance("note", ["CPT 72148"], INSTRUCTIONS)])
    assert cards_for(MRI, rules=rules) == [
        {
            "extension": {"davinci-crd.associated-resource": [{"reference": "ServiceRequest/s1"}]},
            "uuid": "id1",
            "summary": "About note",
            "detail": "Read this.",
            "indicator": "info",
            "source": {
                "label": "Test Health",
                "topic": {
                    "system": "http://terminology.hl7.org/CodeSystem/cdshooks-card-type",
                    "code": "guideline",
                    "display": "Guidelines",
                },
            },
        }
    ]


@pytest.mark.parametrize(
    ("version", "system"),
    [
        ("2.2", "http://terminology.hl7.org/CodeSystem/cdshooks-card-type"),
        ("2.0", "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"),
    ],
)
def test_the_topic_is_in_the_code_system_of_the_version(version: str, system: str) -> None:
    rules = rulebook(cards=[guidance("note", ["CPT 72148"], INSTRUCTIONS)])
    (card,) = cards_for(MRI, rules=rules, version=version)
    assert card["source"]["topic"]["system"] == system


def test_external_reference() -> None:
    rules = rulebook(cards=[guidance("page", ["CPT 72148"], LINKED)])
    (card,) = cards_for(MRI, rules=rules)
    assert card["links"] == [{"label": "Policy", "url": "https://payer.example.org/p", "type": "absolute"}]
    assert "suggestions" not in card
    assert "detail" not in card


def test_several_orders_are_named_in_the_card() -> None:
    rules = rulebook(cards=[guidance("note", ["CPT 72148", "CPT 72149"], INSTRUCTIONS)])
    first = {**service(id="s1"), "code": concept("CPT 72148", text="Lumbar MRI")}
    second = {**service(id="s2"), "code": concept("CPT 72149", text="Lumbar MRI with contrast")}
    (card,) = cards_for(first, service("CPT 1", id="s3"), second, rules=rules)
    assert card["detail"] == "For: Lumbar MRI, Lumbar MRI with contrast.\n\nRead this."
    assert card["extension"]["davinci-crd.associated-resource"] == [
        {"reference": "ServiceRequest/s1"},
        {"reference": "ServiceRequest/s2"},
    ]


def test_a_card_without_detail_still_names_its_order_among_several() -> None:
    rules = rulebook(cards=[guidance("page", ["CPT 72148"], LINKED)])
    (card,) = cards_for(MRI, service("CPT 1", id="s2"), rules=rules)
    assert card["detail"] == "For: CPT 72148."


MANY = rulebook(
    cards=[
        guidance("low", ["CPT 72148"], {**INSTRUCTIONS, "topic": "cost"}, priority=1),
        guidance("high", ["CPT 72148"], {**INSTRUCTIONS, "topic": "limits"}, priority=90),
        guidance("middle", ["CPT 72148"], {**INSTRUCTIONS, "topic": "limits"}, priority=50),
        guidance("plain", ["CPT 72148"], {**INSTRUCTIONS, "topic": "network"}),
    ]
)


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (Configuration(), ["high", "middle", "low", "plain"]),
        (Configuration(max_cards=2), ["high", "middle"]),
        (Configuration(max_cards=0), []),
        (Configuration(switched_off=frozenset({"limits"})), ["low", "plain"]),
        (Configuration(max_cards=1, switched_off=frozenset({"limits", "cost"})), ["plain"]),
    ],
)
def test_the_most_important_come_first_and_configuration_is_honoured(
    configuration: Configuration, expected: list[str]
) -> None:
    cards = cards_for(MRI, rules=MANY, configuration=configuration)
    assert [card["summary"] for card in cards] == [f"About {slug}" for slug in expected]


@pytest.mark.parametrize(
    ("when", "is_shown"),
    [
        ("%patient.gender = 'female'", True),
        ("%patient.gender = 'male'", False),
        ("%facts.site = '11'", False),
        (None, True),
    ],
)
def test_a_card_is_shown_only_when_its_condition_holds(when: str | None, is_shown: bool) -> None:
    rules = rulebook(cards=[guidance("note", ["CPT 72148"], INSTRUCTIONS, **({"when": when} if when else {}))])
    assert bool(cards_for(MRI, rules=rules)) is is_shown


def alternate(action: str = "update", *codes: str) -> dict[str, Any]:
    offer = {
        "label": "Take the other",
        "action": action,
        "change_code": {"codes": list(codes or ("HCPCS Q5103",)), "display": "The other"},
    }
    return {"response": "alternate-request", "topic": "therapy-alternatives-req", "suggestions": [offer]}


OTHER = {"coding": [{"system": HCPCS, "code": "Q5103", "display": "The other"}], "text": "The other"}
EARLIER = {"url": URL, "extension": [{"url": "covered", "valueCode": "covered"}]}
KEPT = {"url": "http://example.org/kept", "valueString": "x"}
WRITTEN = {"authoredOn": "2026-06-01", "note": [{"text": "urgent"}]}


@pytest.mark.parametrize(
    ("order", "changed"),
    [
        pytest.param(
            drug("HCPCS J1745", **WRITTEN, extension=[EARLIER, KEPT], text={"status": "generated"}),
            {**drug("HCPCS Q5103", **WRITTEN, extension=[KEPT]), "medicationCodeableConcept": OTHER},
            id="drug",
        ),
        pytest.param(
            drug("HCPCS J1745", extension=[EARLIER]),
            {**drug("HCPCS Q5103"), "medicationCodeableConcept": OTHER},
            id="no-extension-left",
        ),
        pytest.param(
            drug(medicationReference={"reference": "Medication/m"}, **WRITTEN),
            {**drug(**WRITTEN), "medicationCodeableConcept": OTHER},
            id="drug-by-reference",
        ),
        pytest.param(
            drug(
                contained=[{"resourceType": "Medication", "id": "in", "code": concept("HCPCS J1745")}],
                medicationReference={"reference": "#in"},
            ),
            {**drug(), "medicationCodeableConcept": OTHER},
            id="contained-drug",
        ),
        pytest.param(
            drug(
                contained=[
                    {"resourceType": "Medication", "id": "in", "code": concept("HCPCS J1745")},
                    {"resourceType": "Organization", "id": "org"},
                ],
                medicationReference={"reference": "#in"},
                dispenseRequest={"performer": {"reference": "#org"}},
            ),
            {
                **drug(
                    contained=[{"resourceType": "Organization", "id": "org"}],
                    dispenseRequest={"performer": {"reference": "#org"}},
                ),
                "medicationCodeableConcept": OTHER,
            },
            id="other-contained-stay",
        ),
        pytest.param(
            service("HCPCS J1745", extension="broken"),
            {**service(extension=["broken"]), "code": OTHER},
            id="broken-extension",
        ),
        pytest.param(
            {"resourceType": "DeviceRequest", "id": "d", "codeReference": {"reference": "Device/m"}},
            {"resourceType": "DeviceRequest", "id": "d", "codeCodeableConcept": OTHER},
            id="device-by-reference",
        ),
        pytest.param(
            {
                k: v
                for k, v in service(
                    extension=[
                        {
                            "url": "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-billing-options",
                            "valueCodeableConcept": concept("HCPCS J1745"),
                        }
                    ]
                ).items()
                if k != "code"
            },
            {
                **service(),
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-billing-options",
                        "valueCodeableConcept": concept("HCPCS J1745"),
                    }
                ],
                "code": OTHER,
            },
            id="no-code-before",
        ),
    ],
)
def test_alternate_order_as_an_update(order: Resource, changed: Resource) -> None:
    rules = rulebook(cards=[guidance("other", ["HCPCS J1745"], alternate())])
    prefetch = {
        "patient": patient(),
        "x": {"resourceType": "Medication", "id": "m", "code": concept("HCPCS J1745")},
        "y": {"resourceType": "Device", "id": "m", "type": concept("HCPCS J1745")},
    }
    (card,) = cards_for(order, rules=rules, prefetch=prefetch)
    assert card["selectionBehavior"] == "at-most-one"
    (suggestion,) = card["suggestions"]
    assert (suggestion["label"], bool(suggestion["uuid"])) == ("Take the other", True)
    assert suggestion["actions"] == [
        {"type": "update", "description": "Change the order to The other", "resource": changed}
    ]


def test_an_alternate_order_keeps_the_order_of_its_elements() -> None:
    order = drug(medicationReference={"reference": "Medication/m"})
    prefetch = {"x": {"resourceType": "Medication", "id": "m", "code": concept("HCPCS J1745")}}
    rules = rulebook(cards=[guidance("other", ["HCPCS J1745"], alternate())])
    (card,) = cards_for(order, rules=rules, prefetch=prefetch)
    resource = card["suggestions"][0]["actions"][0]["resource"]
    assert list(resource) == ["medicationCodeableConcept" if name == "medicationReference" else name for name in order]


def test_alternate_order_as_delete_and_create() -> None:
    rules = rulebook(cards=[guidance("other", ["HCPCS J1745"], alternate("replace"))])
    order = drug("HCPCS J1745", extension=[EARLIER])
    (card,) = cards_for(order, rules=rules)
    delete, create = card["suggestions"][0]["actions"]
    assert delete == {
        "type": "delete",
        "description": "Remove the order as it is",
        "resourceId": "MedicationRequest/m1",
    }
    assert (create["type"], create["description"]) == ("create", "Order The other")
    new_id = create["resource"]["id"]
    assert new_id not in ("m1", "")
    assert create["resource"] == {**drug("HCPCS Q5103", id=new_id), "medicationCodeableConcept": OTHER}


def test_each_order_gets_its_own_suggestion() -> None:
    rules = rulebook(cards=[guidance("other", ["HCPCS J1745"], alternate())])
    cards = cards_for(drug("HCPCS J1745"), drug("HCPCS J1745", id="m2"), rules=rules)
    changed = [card["suggestions"][0]["actions"][0]["resource"]["id"] for card in cards]
    assert changed == ["m1", "m2"]


@pytest.mark.parametrize(
    "order",
    [
        {"resourceType": "NutritionOrder", "id": "n", "enteralFormula": {"baseFormulaType": concept("HCPCS B4150")}},
        {"resourceType": "VisionPrescription", "id": "v", "lensSpecification": [{"product": concept("HCPCS B4150")}]},
    ],
)
def test_no_other_code_is_proposed_for_an_order_that_carries_none(order: Resource) -> None:
    cards = [guidance("other", ["HCPCS B4150"], alternate()), guidance("note", ["HCPCS B4150"], INSTRUCTIONS)]
    assert [card["summary"] for card in cards_for(order, rules=rulebook(cards=cards))] == ["About note"]


COMPANIONS = {
    "response": "additional-orders",
    "suggestions": [
        {
            "label": "Add both",
            "orders": [
                {"type": "ServiceRequest", "codes": ["CPT 82310"], "display": "Calcium"},
                {"type": "MedicationRequest", "codes": ["RxNorm 5"], "display": "A drug"},
                {"type": "DeviceRequest", "codes": ["HCPCS E0431"], "display": "A device"},
            ],
        }
    ],
}


def test_additional_orders() -> None:
    rules = rulebook(cards=[guidance("more", ["CPT 72148"], COMPANIONS)])
    links = {"encounter": {"reference": "Encounter/e"}, "requester": {"reference": f"{SERVER}/Practitioner/u"}}
    (card,) = cards_for(service("CPT 72148", **links), rules=rules)
    assert card["selectionBehavior"] == "any"
    actions = card["suggestions"][0]["actions"]
    assert {action["type"] for action in actions} == {"create"}
    assert [action["description"] for action in actions] == [
        f"Add an order: {each}" for each in ("Calcium", "A drug", "A device")
    ]
    first, second, third = (action["resource"] for action in actions)
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert first == {
        "resourceType": "ServiceRequest",
        "id": first["id"],
        "status": "draft",
        "intent": "original-order",
        "code": {"coding": [{"system": CPT, "code": "82310", "display": "Calcium"}], "text": "Calcium"},
        "subject": {"reference": "Patient/p1"},
        "authoredOn": "2026-06-15",
        **links,
    }
    assert "medicationCodeableConcept" in second
    assert "codeCodeableConcept" in third


def test_additional_orders_of_a_bare_order() -> None:
    rules = rulebook(cards=[guidance("more", ["HCPCS V2020"], COMPANIONS)])
    order = {
        "resourceType": "VisionPrescription",
        "id": "v",
        "patient": {"reference": "Patient/p1"},
        "lensSpecification": [{"product": concept("HCPCS V2020")}],
    }
    (card,) = cards_for(order, rules=rules)
    resource = card["suggestions"][0]["actions"][0]["resource"]
    assert resource["subject"] == {"reference": "Patient/p1"}
    assert {"encounter", "requester"}.isdisjoint(resource)


def test_no_guidance_no_card() -> None:
    assert cards_for(MRI, rules=rulebook(policies=[policy("mri", ["CPT 72148"], NO_AUTH)])) == []
