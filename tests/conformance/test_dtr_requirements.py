"""Statements of DTR 2.2 that no test elsewhere shows, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.dtr.wire import VERSIONS
from app.settings import Settings
from tests.conformance.requirements import dtr_requirement
from tests.dtr import sample_forms
from tests.dtr.dtr_actions import DtrActions, Signed, questionnaire, sign
from tests.ehr_actions import EhrActions
from tests.web.test_next_question import answered, step

Resource = dict[str, Any]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    forms = sample_forms.write_sample_forms(tmp_path)
    return Settings(sandbox=True, data_dir=tmp_path, rules_interval=0, questionnaires=forms)


@pytest.fixture
def signed(ehr: EhrActions) -> Signed:
    return sign(ehr)


@pytest.fixture(params=VERSIONS)
def client(app: Flask, request: pytest.FixtureRequest) -> DtrActions:
    return DtrActions(app.test_client(), request.param)


@pytest.fixture
def responses(client: DtrActions, signed: Signed) -> list[Resource]:
    """Every response that the service sends, static and adaptive, from the draft to the end."""
    (static,) = client.package(*signed.parameters).of_type("QuestionnaireResponse")
    adaptive = client.package(*signed.parameters[:2], questionnaire(sample_forms.ADAPTIVE))
    (draft,) = adaptive.of_type("QuestionnaireResponse")
    first = step(client, draft)
    second = step(client, answered(first, "symptoms", onset="2026-09-01", weak=False))
    return [static, draft, first, second]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "reference" and isinstance(each, str):
                yield each
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


@dtr_requirement("spec-139", "spec-141")
def test_responses_refer_to_the_clients_server_alone(responses: list[Resource]) -> None:
    for response in responses:
        found = set(references({name: each for name, each in response.items() if name != "contained"}))
        assert found <= {"Patient/p1", "Coverage/c1", "ServiceRequest/sr1"}
        assert "Patient/p1" in found


@dtr_requirement("spec-140")
def test_only_the_form_in_use_is_contained(responses: list[Resource]) -> None:
    contained = [[each["resourceType"] for each in response.get("contained", ())] for response in responses]
    assert contained == [[], ["Questionnaire"], ["Questionnaire"], ["Questionnaire"]]


@dtr_requirement("spec-164")
def test_packages_are_small(client: DtrActions, signed: Signed) -> None:
    """A form with two Libraries and two value sets; a large value set is not in it where the version allows that."""
    size = len(json.dumps(client.package(*signed.parameters).json))
    assert size < 30_000
