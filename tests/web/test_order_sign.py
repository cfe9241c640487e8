"""The main job over HTTP: orders in, coverage and benefit out."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from app.hooks.request import HOOKS
from tests.ehr_actions import COVERAGE_INFORMATION, EhrActions, example, order_of, with_orders

DETAILS_SYSTEM = "https://signpost.example.org/fhir/CodeSystem/coverage-detail"


def order(kind: str, key: str, **elements: Any) -> dict[str, Any]:
    base = order_of(example("mri"))
    common = {name: base[name] for name in ("encounter", "authoredOn", "requester", "subject")}
    return {"resourceType": kind, "id": key, "status": "draft", "intent": "original-order", **common, **elements}


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
FIVE = (
    order("ServiceRequest", "s1", code=coded("http://www.ama-assn.org/go/cpt", "72148")),
    order("DeviceRequest", "d1", codeCodeableConcept=coded(HCPCS, "E0601")),
    order("MedicationRequest", "m1", medicationCodeableConcept=coded(HCPCS, "J1745")),
    order("NutritionOrder", "n1", enteralFormula={"baseFormulaType": coded(HCPCS, "B4150")}),
    order("VisionPrescription", "v1", lensSpecification=[{"product": coded(HCPCS, "V2020"), "eye": "right"}]),
    order(
        "CommunicationRequest",
        "c1",
        payload=[
            {
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/5.0/StructureDefinition/"
                        "extension-CommunicationRequest.payload.content[x]",
                        "valueCodeableConcept": coded("http://loinc.org", "65752-8"),
                    }
                ],
                "contentString": "report",
            }
        ],
    ),
)


def test_every_order_is_answered_and_goes_back_as_it_came(ehr: EhrActions) -> None:
    request = with_orders(example("infusion"), *FIVE)
    answer = ehr.sign(request)
    assert answer.status == 200
    resources = [action["resource"] for action in answer.json["systemActions"]]
    assert [r["id"] for r in resources] == ["s1", "d1", "m1", "n1", "v1", "c1"]
    for sent, returned in zip(FIVE, resources, strict=True):
        assert list(returned) == [*sent, "extension"]
        assert {k: v for k, v in returned.items() if k != "extension"} == sent
        assert all(extension["url"] == COVERAGE_INFORMATION for extension in returned["extension"])
    assert all(action["type"] == "update" and action["description"] for action in answer.json["systemActions"])


def test_an_order_keeps_its_bytes(ehr: EhrActions) -> None:
    """Decimals, unknown elements, unicode and the order of keys survive; only the extension is new."""
    odd = '{"status":"draft","resourceType":"ServiceRequest","intent":"order","id":"odd","unknown":{"z":1.10,"a":[]},'
    odd += '"code":{"coding":[{"code":"72148","system":"http://www.ama-assn.org/go/cpt"}]},'
    odd += '"note":[{"text":"naïve \\u00e9"}],'
    odd += '"quantityQuantity":{"value":1.10},"subject":{"reference":"Patient/p1"}}'
    request = example("mri")
    request["context"]["draftOrders"]["entry"] = ["HERE"]
    body = json.dumps(request).replace('["HERE"]', '[{"resource":' + odd + "}]").encode()
    answer = ehr._client.post("/cds-services/order-sign-crd", data=body)
    assert answer.status_code == 200
    assert odd[:-1].encode() + b',"extension":[' in answer.data


def test_medical_drug_goes_by_pas_and_dtr(ehr: EhrActions) -> None:
    parts = ehr.sign(example("infusion")).parts()
    assert (parts["covered"], parts["pa-needed"]) == (["covered"], ["auth-needed"])
    assert (parts["doc-needed"], parts["doc-purpose"]) == (["clinical"], ["withpa"])
    assert parts["questionnaire"][0].endswith("/Questionnaire/infliximab|1.2.0")
    assert parts["benefit-track"] == ["medical"]
    assert [coding["code"] for coding in parts["billingCode"]] == ["J1745"]
    assert parts["reason"][0]["text"].startswith("Medical benefit.")


def test_pharmacy_drug_goes_by_epa(ehr: EhrActions) -> None:
    parts = ehr.sign(example("self-injected")).parts()
    assert (parts["covered"], parts["pa-needed"]) == (["covered"], ["auth-needed"])
    assert not {"doc-needed", "doc-purpose", "questionnaire"} & set(parts)
    assert parts["benefit-track"] == ["pharmacy"]
    assert parts["epa-standard"][0].startswith("NCPDP SCRIPT")
    assert parts["contact"][0]["name"] == "Meadowlark Pharmacy Services"
    assert [coding["code"] for coding in parts["billingCode"]] == ["327361"]
    assert parts["reason"][0]["text"].startswith("Pharmacy benefit.")


def test_select_answers_selections_only_and_asks_for_no_documents(ehr: EhrActions) -> None:
    request = with_orders(example("infusion"), *FIVE)
    answer = ehr.select(request, "MedicationRequest/m1")
    assert [action["resource"]["id"] for action in answer.json["systemActions"]] == ["m1"]
    parts = answer.parts()
    assert parts["pa-needed"] == ["auth-needed"]
    assert not {"doc-needed", "doc-purpose", "questionnaire"} & set(parts)


def test_step_therapy_offers_the_alternative(ehr: EhrActions) -> None:
    (card,) = ehr.sign(example("infusion")).json["cards"]
    assert card["source"]["topic"]["code"] == "therapy-alternatives-req"
    assert card["source"]["label"] == "Meadowlark Health Plan"
    assert len(card["summary"]) < 140
    assert card["extension"]["davinci-crd.associated-resource"] == [{"reference": "MedicationRequest/mr1"}]
    actions = card["suggestions"][0]["actions"]
    assert {action["type"] for action in actions} <= {"update", "delete", "create"}
    changed = next(action["resource"] for action in actions if "resource" in action)
    assert "Q5103" in json.dumps(changed["medicationCodeableConcept"])


def test_an_order_taken_back_gets_no_card_and_no_forms(ehr: EhrActions) -> None:
    request = example("infusion")
    answer = ehr.sign(with_orders(request, order_of(request) | {"status": "entered-in-error"}))
    assert answer.json["cards"] == []
    parts = answer.parts()
    assert (parts["covered"], parts["pa-needed"], parts["info-needed"]) == (["conditional"],) * 2 + (["OTH"],)
    assert not {"doc-needed", "questionnaire", "detail"} & set(parts)


def test_two_orders_are_told_apart_on_cards(ehr: EhrActions) -> None:
    request = with_orders(example("infusion"), order_of(example("infusion")), order_of(example("mri")))
    cards = ehr.sign(request).json["cards"]
    assert len(cards) >= 2
    words = {"MedicationRequest/mr1": "infliximab", "ServiceRequest/sr1": "MRI of the lumbar spine"}
    for card in cards:
        for associated in card["extension"]["davinci-crd.associated-resource"]:
            assert words[associated["reference"]] in card["detail"]


@pytest.mark.parametrize(
    ("configuration", "cards", "actions"),
    [
        ({}, 1, 1),
        ({"coverage-info": False}, 1, 0),
        ({"therapy-alternatives-req": False}, 0, 1),
        ({"max-cards": 0}, 0, 1),
        ({"max-cards": "lots", "no-such-option": 3, "coverage-info": "maybe"}, 1, 1),
    ],
)
def test_configuration_is_honoured(ehr: EhrActions, configuration: dict[str, Any], cards: int, actions: int) -> None:
    request = example("infusion")
    request["extension"]["davinci-crd.configuration"] = configuration
    answer = ehr.sign(request)
    assert (len(answer.json["cards"]), len(answer.json.get("systemActions", ()))) == (cards, actions)


@pytest.mark.parametrize("extension", [None, {}, {"davinci-crd.requestedVersion": "9.9"}, "nonsense"])
def test_no_configuration_and_unknown_versions_are_no_error(ehr: EhrActions, extension: Any) -> None:
    request = example("mri")
    request["extension"] = extension
    assert ehr.sign(request).status == 200


def test_an_order_that_already_says_so_is_left_alone(ehr: EhrActions) -> None:
    request = example("infusion")
    first = ehr.sign(request).json["systemActions"][0]["resource"]
    assert "systemActions" not in ehr.sign(with_orders(request, first)).json
    changed = copy.deepcopy(first)
    changed["medicationCodeableConcept"] = {"coding": [{"system": HCPCS, "code": "J9312"}]}
    again = ehr.sign(with_orders(request, changed))
    assert len(again.repetitions[0]) == 1
    assert [coding["code"] for coding in again.parts()["billingCode"]] == ["J9312"]


def test_discovery(ehr: EhrActions) -> None:
    services = {service["id"]: service for service in ehr.discover()["services"]}
    assert set(services) == {f"{hook}-crd" for hook in HOOKS}
    for service in services.values():
        assert service["extension"]["davinci-crd.version"] == ["2.0", "2.2"]
        codes = {option["code"]: option["type"] for option in service["extension"]["davinci-crd.configuration-options"]}
        assert codes["coverage-info"] == "boolean"
        assert codes["max-cards"] == "integer"
        assert "therapy-alternatives-req" in codes
        assert service["prefetch"]["coverage"] == "Coverage?patient={{context.patientId}}&status=active"


def test_the_adopted_version_is_spoken_when_asked_for(ehr: EhrActions) -> None:
    request = example("infusion")
    request["extension"]["davinci-crd.requestedVersion"] = "2.0"
    answer = ehr.sign(request)
    (repetition,) = answer.repetitions[0]
    details = [part for part in repetition["extension"] if part["url"] == "detail"]
    assert all(
        {inner["url"] for inner in detail["extension"]} <= {"code", "value", "qualification"} for detail in details
    )
    assert not [part for part in repetition["extension"] if part["url"] == "expiry-date"]
    (card,) = answer.json["cards"]
    assert card["source"]["topic"]["system"] == "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"


def test_the_adopted_version_has_no_indeterminate(ehr: EhrActions) -> None:
    request = example("mri")
    request["extension"]["davinci-crd.requestedVersion"] = "2.0"
    del request["prefetch"]["coverage"]
    request["fhirServer"], request["fhirAuthorization"] = "http://127.0.0.1:9/fhir", {"access_token": "t"}
    parts = ehr.sign(request).parts()
    assert (parts["covered"], parts["pa-needed"]) == (["conditional"], ["conditional"])
    assert parts["info-needed"] == ["OTH"]
    assert "could not be read" in parts["reason"][0]["text"]
