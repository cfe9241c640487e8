"""The extension of CRD 2.2: parts, their values and their order."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from app.crd.coverage_information import (
    URL,
    Repetition,
    coverage_information,
    coverage_key,
    expired,
    stated,
    substance,
)
from app.rulebook.answer import Answer, Detail, Quantity, Reason
from tests.crd.builders import CPT, HCPCS, NDC, RXNORM, TODAY, rulebook

RULES = rulebook()
EXPIRES = date(2026, 9, 13)
DETAIL_SYSTEM = "http://terminology.hl7.org/CodeSystem/crd-coverage-detail"
OWN_SYSTEM = "https://signpost.example.org/fhir/CodeSystem/coverage-detail"


def extension(answer: Answer, **rest: Any) -> list[dict[str, Any]]:
    built = coverage_information(Repetition(answer, {"reference": "Coverage/c1"}, "A1", TODAY, EXPIRES, **rest), RULES)
    assert list(built) == ["url", "extension"]
    assert built["url"] == URL
    parts: list[dict[str, Any]] = built["extension"]
    return parts


def test_the_least_there_is() -> None:
    assert extension(Answer("not-covered")) == [
        {"url": "coverage", "valueReference": {"reference": "Coverage/c1"}},
        {"url": "covered", "valueCode": "not-covered"},
        {"url": "date", "valueDate": "2026-06-15"},
        {"url": "coverage-assertion-id", "valueString": "A1"},
        {"url": "expiry-date", "valueDate": "2026-09-13"},
    ]


def test_everything_in_the_order_of_the_specification() -> None:
    answer = Answer(
        covered="covered",
        pa_needed="satisfied",
        doc_needed=("clinical", "conditional"),
        doc_purpose=("withclaim",),
        info_needed=("location", "OTH"),
        billing_codes=(("HCPCS", "J1745"),),
        reasons=(Reason("Words."),),
        details=(Detail("instructions", "Do it."),),
        questionnaires=("form",),
        contacts=("desk",),
        satisfied_pa_id="PA1",
    )
    parts = extension(answer, dependencies=("ServiceRequest/s0",))
    assert [part["url"] for part in parts] == [
        "coverage", "covered", "pa-needed", "doc-needed", "doc-needed", "doc-purpose", "info-needed", "info-needed",
        "billingCode", "reason", "detail", "dependency", "questionnaire", "date", "coverage-assertion-id",
        "satisfied-pa-id", "contact", "expiry-date",
    ]  # fmt: skip
    assert parts[12] == {"url": "questionnaire", "valueCanonical": "https://payer.example.org/Questionnaire/form|3"}
    assert parts[11] == {"url": "dependency", "valueReference": {"reference": "ServiceRequest/s0"}}
    assert parts[15] == {"url": "satisfied-pa-id", "valueString": "PA1"}


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (Answer("covered", "no-auth"), {"url": "pa-needed", "valueCode": "no-auth"}),
        (
            Answer("covered", billing_codes=(("HCPCS", "J1745"),)),
            {"url": "billingCode", "valueCoding": {"system": HCPCS, "code": "J1745"}},
        ),
        (
            Answer("covered", billing_codes=(("CPT", "70551"),)),
            {"url": "billingCode", "valueCoding": {"system": CPT, "code": "70551"}},
        ),
        (
            Answer("covered", billing_codes=(("RxNorm", "1"),)),
            {"url": "billingCode", "valueCoding": {"system": RXNORM, "code": "1"}},
        ),
        (
            Answer("covered", billing_codes=(("NDC", "57894003001"),)),
            {"url": "billingCode", "valueCoding": {"system": NDC, "code": "57894003001"}},
        ),
        (
            Answer("covered", billing_codes=(("urn:x", "1"),)),
            {"url": "billingCode", "valueCoding": {"system": "urn:x", "code": "1"}},
        ),
        (Answer("covered", reasons=(Reason("Words."),)), {"url": "reason", "valueCodeableConcept": {"text": "Words."}}),
        (
            Answer("covered", reasons=(Reason("Words.", "technical"),)),
            {
                "url": "reason",
                "valueCodeableConcept": {
                    "coding": [
                        {
                            "system": "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp",
                            "code": "technical",
                            "display": "Technical issue",
                        }
                    ],
                    "text": "Words.",
                },
            },
        ),
        (
            Answer("covered", reasons=(Reason("", "gold-card"),)),
            {
                "url": "reason",
                "valueCodeableConcept": {
                    "coding": [
                        {
                            "system": "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp",
                            "code": "gold-card",
                            "display": "Gold card",
                        }
                    ]
                },
            },
        ),
        (
            Answer("covered", contacts=("desk",)),
            {
                "url": "contact",
                "valueContactDetail": {
                    "name": "Review desk",
                    "telecom": [{"system": "phone", "value": "1-555-010-0101"}],
                },
            },
        ),
        (
            Answer("covered", contacts=("page",)),
            {
                "url": "contact",
                "valueContactDetail": {
                    "name": "Review page",
                    "telecom": [{"system": "url", "value": "https://payer.example.org/review"}],
                },
            },
        ),
        (
            Answer("covered", contacts=("name-only",)),
            {"url": "contact", "valueContactDetail": {"name": "Medical director"}},
        ),
        (
            Answer("covered", contacts=("rx",)),
            {
                "url": "contact",
                "valueContactDetail": {"name": "Test Rx", "telecom": [{"system": "phone", "value": "1-555-010-0100"}]},
            },
        ),
    ],
)
def test_parts(answer: Answer, part: dict[str, Any]) -> None:
    assert part in extension(answer)


@pytest.mark.parametrize(
    ("detail", "parts"),
    [
        (
            Detail("appropriate-use-needed", True),
            {"code": (DETAIL_SYSTEM, "appropriate-use-needed", None), "valueBoolean": True},
        ),
        (Detail("appropriate-use-needed", False), {"valueBoolean": False}),
        (Detail("instructions", "Do it."), {"valueString": "Do it.", "category": "cat-other"}),
        (Detail("policy-link", "https://x.example.org", link=True), {"valueUrl": "https://x.example.org"}),
        (
            Detail("allowed-quantity", Quantity(Decimal("2.50"), "/mo"), "cat-limitation", "for adults"),
            {
                "valueQuantity": {
                    "value": Decimal("2.50"),
                    "unit": "/mo",
                    "system": "http://unitsofmeasure.org",
                    "code": "/mo",
                },
                "category": "cat-limitation",
                "qualification": "for adults",
            },
        ),
        (
            Detail("benefit-track", "pharmacy", "cat-limitation"),
            {"code": (OWN_SYSTEM, "benefit-track", "Benefit that pays for the drug"), "valueString": "pharmacy"},
        ),
    ],
)
def test_details(detail: Detail, parts: dict[str, Any]) -> None:
    (found,) = [
        part["extension"] for part in extension(Answer("covered", details=(detail,))) if part["url"] == "detail"
    ]
    assert [part["url"] for part in found] == ["category", "code", "value", "qualification"][: len(found)]
    told: dict[str, Any] = {"category": found[0]["valueCode"]}
    (coding,) = found[1]["valueCodeableConcept"]["coding"]
    told["code"] = (coding["system"], coding["code"], coding.get("display"))
    told |= {name: value for name, value in found[2].items() if name != "url"}
    if len(found) > 3:
        told["qualification"] = found[3]["valueString"]
    assert told.items() >= parts.items()
    assert ("qualification" in told) is bool(detail.qualification)


@pytest.mark.parametrize(
    ("resource", "number"),
    [
        ({}, 0),
        ({"extension": "broken"}, 0),
        ({"extension": [None, "x", {"url": "other"}, {"url": URL}, {"url": URL, "extension": []}]}, 2),
    ],
)
def test_stated(resource: dict[str, Any], number: int) -> None:
    assert len(stated(resource)) == number


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        ([{"url": "coverage", "valueReference": {"reference": "Coverage/c1"}}], "Coverage/c1"),
        (
            [
                {"url": "covered"},
                {"url": "coverage", "valueReference": {"reference": "https://e.example.org/Coverage/c1"}},
            ],
            "Coverage/c1",
        ),
        ([{"url": "coverage"}], None),
        (["broken"], None),
        (None, None),
    ],
)
def test_coverage_key(parts: Any, key: str | None) -> None:
    assert coverage_key({"url": URL, "extension": parts}) == key


def test_substance_is_what_does_not_change_from_call_to_call() -> None:
    answer = Answer("covered", "no-auth", reasons=(Reason("x"),))
    assert [part["url"] for part in substance({"extension": [*extension(answer), "broken"]})] == [
        "covered",
        "pa-needed",
        "reason",
    ]
    assert substance({"url": URL}) == []


@pytest.mark.parametrize(
    ("parts", "is_expired"),
    [
        ([{"url": "expiry-date", "valueDate": "2026-06-14"}], True),
        ([{"url": "date"}, {"url": "expiry-date", "valueDate": "2026-06-15"}], False),
        ([{"url": "expiry-date", "valueDate": "2026-06"}], False),
        ([{"url": "expiry-date"}], False),
        (["broken"], False),
        (None, False),
    ],
)
def test_expired(parts: Any, is_expired: bool) -> None:
    assert expired({"url": URL, "extension": parts}, TODAY) is is_expired
