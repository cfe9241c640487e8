"""The IG's own order-sign requests are answered, and what leaves keeps the IG's own invariants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.crd.coverage_information import Repetition
from app.crd.respond import SERIALIZERS
from app.crd.scenarios import answer
from app.rulebook.rulebook import Rulebook
from tests.ehr_actions import EhrActions
from tests.invariants import broken, invariants
from tests.test_scenarios import ROSTER, SCENARIOS

PACKAGES = {"2.0": "davinci-crd-2.0.1.tgz", "2.2": "davinci-crd-2.2.0-preview.tgz"}
PACKAGE = PACKAGES["2.2"]
versions = pytest.mark.parametrize("version", PACKAGES)


def example(ig: Path, name: str) -> dict[str, Any]:
    """An example whose EHR is a closed door on this machine: tests ask nobody outside."""
    sent: dict[str, Any] = json.loads((ig / "crd-2.2" / f"{name}.json").read_text())
    sent["fhirServer"] = "http://127.0.0.1:9/fhir"
    return sent


@pytest.mark.parametrize("name", ["CRDServiceRequest", "CRDServiceRequest3"])
def test_order_sign_examples(ehr: EhrActions, ig: Path, name: str) -> None:
    sent = example(ig, name)
    answered = ehr.sign(sent)
    assert answered.status == 200
    orders = [entry["resource"] for entry in sent["context"]["draftOrders"]["entry"]]
    returned = [action["resource"] for action in answered.json["systemActions"]]
    assert [r["id"] for r in returned] == [o["id"] for o in orders]
    for order, resource in zip(orders, returned, strict=True):
        assert {k: v for k, v in resource.items() if k != "extension"} == order
        assert list(resource)[:-1] == list(order)
    assert len(invariants(ig / PACKAGE)) == 9
    for repetitions in answered.repetitions:
        assert repetitions
        for repetition in repetitions:
            assert broken(ig / PACKAGE, repetition) == []


def test_the_example_with_an_ehr_out_of_reach_says_so(ehr: EhrActions, ig: Path) -> None:
    parts = ehr.sign(example(ig, "CRDServiceRequest3")).parts()
    assert (parts["covered"], parts["pa-needed"]) == (["indeterminate"], ["indeterminate"])
    assert parts["reason"][0]["coding"][0]["code"] == "technical"


@versions
def test_every_scenario_keeps_the_published_invariants(sample_rulebook: Rulebook, ig: Path, version: str) -> None:
    checked = 0
    for scenario in SCENARIOS:
        for determination in answer(scenario, sample_rulebook, ROSTER)[0]:
            for each in determination.answers:
                repetition = Repetition(
                    each, {"reference": "Coverage/c"}, "id", determination.on, determination.expires
                )
                extension = SERIALIZERS[version](repetition, sample_rulebook)
                assert broken(ig / PACKAGES[version], extension) == [], scenario.id
                checked += 1
    assert checked > len(SCENARIOS)


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        ([{"url": "questionnaire", "valueCanonical": "http://x"}], "crd-ci-q1"),
        ([{"url": "covered", "valueCode": "not-covered"}, {"url": "pa-needed", "valueCode": "no-auth"}], "crd-ci-q2"),
        ([{"url": "covered", "valueCode": "conditional"}], "crd-ci-q3"),
        ([{"url": "pa-needed", "valueCode": "satisfied"}], "crd-ci-q5"),
        ([{"url": "info-needed", "valueCode": "OTH"}], "crd-ci-q6"),
        ([{"url": "doc-purpose", "valueCode": "withpa"}], "crd-ci-q8"),
        ([{"url": "covered", "valueCode": "indeterminate"}], "crd-ci-q9"),
    ],
)
def test_the_check_can_fail(ig: Path, parts: list[dict[str, str]], key: str) -> None:
    assert key in broken(ig / PACKAGE, {"url": "x", "extension": parts})
