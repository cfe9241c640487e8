"""Every scenario of the rules is a call that can be fired, and gets the answer the scenario is held to."""

from __future__ import annotations

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.crd.scenarios import answer
from app.fhir.json import decode
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import Scenario, read_scenarios
from app.settings import ROOT
from app.web.sandbox.orders import unlike

COVERAGE = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-coverage-information"


@pytest.fixture(scope="module")
def scenarios(sample_rulebook: Rulebook) -> list[Scenario]:
    return read_scenarios(ROOT / "rules" / "scenarios", sample_rulebook)[0]


def fire(app: Flask, scenario: Scenario) -> TestResponse:
    client = app.test_client()
    call = client.get(f"/sandbox/scenarios/{scenario.id}").data
    return client.post(f"/cds-services/{decode(call)['hook']}-crd", data=call)


def said(response: TestResponse) -> list[tuple[str | None, str | None]]:
    """`covered` and `pa-needed` of each repetition on each order."""
    found = []
    for action in decode(response.data)["systemActions"]:
        for extension in action["resource"].get("extension", []):
            if extension["url"] == COVERAGE:
                codes = {part["url"]: part.get("valueCode") for part in extension["extension"]}
                found.append((codes["covered"], codes.get("pa-needed")))
    return found


def test_each_is_answered_as_its_file_expects(app: Flask, scenarios: list[Scenario], sample_rulebook: Rulebook) -> None:
    """One after the other at one service: what was said of one must not colour the next."""
    different = {}
    for scenario in scenarios:
        determined, _ = answer(scenario, sample_rulebook, ROOT / "rules" / "members" / "roster.csv")
        expected = [(line.covered, line.pa_needed) for each in determined for line in each.answers]
        response = fire(app, scenario)
        assert response.status_code == 200, scenario.id
        if sorted(map(str, said(response))) != sorted(map(str, expected)):
            different[scenario.id] = (said(response), expected)
    said_so = {scenario.id for scenario in scenarios if unlike(scenario)}
    assert {name: found for name, found in different.items() if name not in said_so} == {}
    assert {scenario.id for scenario in scenarios if unlike(scenario) and not scenario.forms} <= {*different}
