"""What each of the six order types says, in whatever shape it says it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app.crd.chart import Chart, Resource
from app.crd.order_content import ORDER_TYPES, OrderContent, listed, orderer, read_content
from app.errors import InvalidRequest
from app.fhir import codings
from tests.crd.builders import SERVER, call, concept, drug, service

URN = "urn:uuid:11111111-2222-3333-4444-555555555555"
PAYLOAD_CONTENT = "http://hl7.org/fhir/5.0/StructureDefinition/extension-CommunicationRequest.payload.content[x]"


def read(order: Resource, *known: Resource, full_urls: dict[str, str] | None = None) -> OrderContent:
    entries = [
        {"resource": each} | ({"fullUrl": full_urls[each["id"]]} if full_urls and each["id"] in full_urls else {})
        for each in known
    ]
    prefetch = {"x": {"resourceType": "Bundle", "type": "collection", "entry": entries}}
    return read_content(order, Chart.from_request(call(order, prefetch=prefetch)), "order")


def codes(found: tuple[codings.Coding, ...]) -> list[str]:
    return [f"{codings.short_name(each.system)} {each.code}" for each in found]


def of_type(kind: str, **members: Any) -> Resource:
    return {"resourceType": kind, "id": "o1", **members}


NUTRITION = of_type(
    "NutritionOrder",
    oralDiet={"type": [concept("SNOMED 1"), concept("SNOMED 2")]},
    supplement=[{"type": concept("HCPCS B4150")}, "broken", {"type": concept("HCPCS B4152")}],
    enteralFormula={"baseFormulaType": concept("HCPCS B4154"), "additiveType": concept("HCPCS B4104")},
)


@pytest.mark.parametrize(
    ("order", "stated", "products"),
    [
        (service("CPT 72148", "SNOMED 1"), ["CPT 72148", "SNOMED CT 1"], 1),
        (service("HCPCS j1745"), ["HCPCS J1745"], 1),
        (service(f"{codings.HCPCS} J1745", f"{codings.HCPCS.replace('https', 'http')} J1745"), ["HCPCS J1745"], 1),
        (of_type("ServiceRequest"), [], 1),
        (drug("RxNorm 191831", "NDC 57894-030-01"), ["RxNorm 191831", "NDC 57894003001"], 1),
        (of_type("Appointment", serviceType=[concept("CPT 70551")]), ["CPT 70551"], 1),
        (of_type("Encounter", type=[concept("CPT 99213"), concept("SNOMED 1")]), ["CPT 99213", "SNOMED CT 1"], 1),
        (of_type("DeviceRequest", codeCodeableConcept=concept("HCPCS E0431")), ["HCPCS E0431"], 1),
        (NUTRITION, ["SNOMED CT 1", "SNOMED CT 2", "HCPCS B4150", "HCPCS B4152", "HCPCS B4154", "HCPCS B4104"], 4),
        (
            of_type("NutritionOrder", oralDiet={"type": [concept("SNOMED 1"), concept("SNOMED 2")]}),
            ["SNOMED CT 1", "SNOMED CT 2"],
            1,
        ),
        (of_type("NutritionOrder", oralDiet="x", enteralFormula="x", supplement="x"), [], 1),
        (
            of_type(
                "VisionPrescription",
                lensSpecification=[{"product": concept("HCPCS V2020")}, 5, {"product": concept("HCPCS V2100")}],
            ),
            ["HCPCS V2020", "HCPCS V2100"],
            2,
        ),
        (
            of_type(
                "CommunicationRequest",
                category=[concept("SNOMED 7")],
                payload=[
                    {
                        "extension": [
                            {"url": "other"},
                            "x",
                            {"url": PAYLOAD_CONTENT, "valueCodeableConcept": concept("LOINC 11503-0")},
                        ]
                    },
                    "x",
                    {"contentString": "records"},
                ],
            ),
            ["SNOMED CT 7", "LOINC 11503-0"],
            1,
        ),
    ],
)
def test_codes(order: Resource, stated: list[str], products: int) -> None:
    content = read(order)
    assert codes(content.stated) == stated
    assert len(content.products) == products
    assert content.unresolved is None


def test_every_order_type_is_read_even_when_empty() -> None:
    for kind in ORDER_TYPES - {"MedicationRequest", "DeviceRequest"}:
        content = read(of_type(kind))
        assert (content.stated, content.words, content.unresolved) == ((), kind, None)


MEDICATION = {"resourceType": "Medication", "id": "med", "code": concept("RxNorm 191831", options=["HCPCS J1745"])}


@pytest.mark.parametrize(
    ("reference", "full_urls"),
    [
        pytest.param("Medication/med", {}, id="relative"),
        pytest.param("Medication/med/_history/3", {}, id="versioned"),
        pytest.param(f"{SERVER}/Medication/med", {}, id="absolute"),
        pytest.param(f"{SERVER}/Medication/med", {"med": f"{SERVER}/Medication/med"}, id="absolute-by-url"),
        pytest.param(URN, {"med": URN}, id="urn"),
        pytest.param(URN.upper(), {"med": URN}, id="urn-in-capitals"),
    ],
)
def test_a_drug_by_reference(reference: str, full_urls: dict[str, str]) -> None:
    content = read(drug(medicationReference={"reference": reference}), MEDICATION, full_urls=full_urls)
    assert codes(content.stated) == ["RxNorm 191831"]
    assert codes(content.billing_options) == ["HCPCS J1745"]
    assert content.medication == MEDICATION
    assert content.unresolved is None


def test_a_contained_drug() -> None:
    content = read(drug(contained=[MEDICATION], medicationReference={"reference": "#med"}))
    assert codes(content.stated) == ["RxNorm 191831"]


def test_a_device_by_reference() -> None:
    device = {"resourceType": "Device", "id": "d", "type": concept("HCPCS E0431")}
    order = of_type("DeviceRequest", codeReference={"reference": "Device/d"})
    assert codes(read(order, device).stated) == ["HCPCS E0431"]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (drug(), "the order names no drug or device"),
        (drug(medicationReference={"reference": "Medication/gone"}), "what the order points to was not sent"),
        (drug(medicationReference={"reference": "#gone"}), "what the order points to was not sent"),
        (drug(medicationReference={"display": "A drug"}), "what the order points to was not sent"),
        (of_type("DeviceRequest"), "the order names no drug or device"),
        (of_type("DeviceRequest", codeReference={"reference": "Device/gone"}), "what the order points to was not sent"),
    ],
)
def test_what_cannot_be_followed_is_said(order: Resource, words: str) -> None:
    content = read(order)
    assert (content.stated, content.unresolved, content.medication) == ((), words, None)


@pytest.mark.parametrize(
    ("order", "options"),
    [
        (service("CPT 1"), []),
        (
            {**service(), "code": concept("SNOMED 1", options=["CPT 77061", "HCPCS G0279"])},
            ["CPT 77061", "HCPCS G0279"],
        ),
        ({**service(), "code": concept("SNOMED 1", options=["CPT 77061", "CPT 77061"])}, ["CPT 77061"]),
        (
            {
                **service("SNOMED 1"),
                "extension": [{"url": codings.BILLING_OPTIONS, "valueCodeableConcept": concept("CPT 1")}],
            },
            ["CPT 1"],
        ),
        ({**drug(), "medicationCodeableConcept": concept("RxNorm 1", options=["HCPCS J1745"])}, ["HCPCS J1745"]),
        ({**service(), "code": {"extension": "broken"}}, []),
    ],
)
def test_billing_options(order: Resource, options: list[str]) -> None:
    assert codes(read(order).billing_options) == options


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({**service(), "code": concept("CPT 1", text=" MRI of the spine ")}, "MRI of the spine"),
        (
            {
                **service(),
                "code": {"coding": [{"system": "x", "code": "1"}, {"system": "x", "code": "2", "display": "Two"}]},
            },
            "Two",
        ),
        (service("CPT 72148"), "CPT 72148"),
        ({**service(), "code": concept(text="  ")}, "ServiceRequest"),
        (of_type("CommunicationRequest", payload=["x", {"contentString": "Send the notes"}]), "Send the notes"),
    ],
)
def test_words(order: Resource, words: str) -> None:
    assert read(order).words == words


@pytest.mark.parametrize(
    ("order", "written", "days"),
    [
        (service(), None, None),
        (service(authoredOn="2026-05-01T10:00:00Z"), date(2026, 5, 1), None),
        (of_type("NutritionOrder", dateTime="2026-05-02"), date(2026, 5, 2), None),
        (of_type("VisionPrescription", dateWritten="2026-05-03"), date(2026, 5, 3), None),
        (service(occurrenceDateTime="2026-07-01T23:30:00-05:00"), None, (date(2026, 7, 1), date(2026, 7, 1))),
        (service(occurrenceDateTime="2026-07"), None, (date(2026, 7, 1), date(2026, 7, 31))),
        (
            service(occurrencePeriod={"start": "2026-07-02", "end": "2026-07-09"}),
            None,
            (date(2026, 7, 2), date(2026, 7, 9)),
        ),
        (service(occurrencePeriod={"end": "2026-07-09"}), None, None),
        (
            service(occurrenceTiming={"repeat": {"boundsPeriod": {"start": "2026-07-03"}}}),
            None,
            (date(2026, 7, 3), date.max),
        ),
        (service(occurrenceTiming="x"), None, None),
        (of_type("Encounter", period={"start": "2026-07-05"}), None, (date(2026, 7, 5), date.max)),
        (service(period={"start": "2026-07-05"}), None, None),
        (
            drug(
                "RxNorm 1",
                dosageInstruction=[
                    "x",
                    {"timing": 1},
                    {"timing": {"repeat": {"boundsPeriod": {"start": "2026-07-04"}}}},
                ],
            ),
            None,
            (date(2026, 7, 4), date.max),
        ),
        (drug("RxNorm 1", dosageInstruction=[{"timing": {"repeat": {"boundsPeriod": "x"}}}]), None, None),
        (
            service(occurrenceDateTime="2026-07-01", occurrencePeriod={"start": "2026-08-01"}),
            None,
            (date(2026, 7, 1),) * 2,
        ),
    ],
)
def test_dates(order: Resource, written: date | None, days: tuple[date, date] | None) -> None:
    content = read(order)
    assert (content.written, content.service_days) == (written, days)


@pytest.mark.parametrize(
    ("order", "element"),
    [
        (service(authoredOn="yesterday"), "order.authoredOn"),
        (service(authoredOn=20260101), "order.authoredOn"),
        (of_type("NutritionOrder", dateTime="2026-13-01"), "order.dateTime"),
        (service(occurrenceDateTime="2026-02-30"), "order.occurrenceDateTime"),
        (service(occurrencePeriod={"start": "soon"}), "order.occurrencePeriod.start"),
        (
            drug("RxNorm 1", dosageInstruction=[{}, {"timing": {"repeat": {"boundsPeriod": {"start": ""}}}}]),
            "order.dosageInstruction[1].timing.repeat.boundsPeriod.start",
        ),
    ],
)
def test_a_date_that_is_none_is_named(order: Resource, element: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(order)
    assert refused.value.element == element


@pytest.mark.parametrize(
    ("kind", "element"),
    [("ServiceRequest", "requester"), ("NutritionOrder", "orderer"), ("VisionPrescription", "prescriber")],
)
def test_orderer(kind: str, element: str) -> None:
    assert orderer(of_type(kind, **{element: {"reference": "Practitioner/u"}})) == {"reference": "Practitioner/u"}
    assert orderer(of_type(kind)) is None


@pytest.mark.parametrize(("value", "expected"), [(None, []), ([1], [1]), ("x", ["x"]), ({}, [{}]), ([], [])])
def test_listed(value: Any, expected: list[Any]) -> None:
    assert listed(value) == expected


def test_a_drug_by_code_is_not_looked_for_elsewhere() -> None:
    order = drug("RxNorm 1", medicationReference={"reference": "Medication/med"})
    assert codes(read(order, MEDICATION).stated) == ["RxNorm 1"]
