"""What DTR's endpoints send is valid R4 for HL7's validator; what DTR 2.0.1's own profiles say of it is judged too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.settings import Settings
from tests.conformance.hl7 import Judge
from tests.dtr import sample_forms
from tests.dtr.dtr_actions import DtrActions, Signed, questionnaire, sign
from tests.ehr_actions import EhrActions
from tests.web.test_next_question import PATH, answered

pytest_plugins = ("tests.conformance.hl7",)

Resource = dict[str, Any]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("dtr")
    forms = sample_forms.write_sample_forms(folder)
    app = create_app(Settings(sandbox=True, data_dir=folder, rules_interval=0, questionnaires=forms))
    yield app
    app.extensions["ledger"].close()
    app.extensions["state"].close()


@pytest.fixture(scope="module")
def signed(app: Flask) -> Signed:
    return sign(EhrActions(app.test_client()))


def sent(app: Flask, signed: Signed, version: str) -> list[Resource]:
    """One of everything that the endpoints of a version send."""
    client = DtrActions(app.test_client(), version)
    static = client.package(*signed.parameters)
    adaptive = client.package(*signed.parameters[:2], questionnaire(sample_forms.ADAPTIVE))
    (draft,) = adaptive.of_type("QuestionnaireResponse")
    first = client.post(PATH, draft)[1]
    second = client.post(PATH, answered(first, "symptoms", onset="2026-09-01", weak=False))[1]
    others = [
        client.get("/metadata")[1],
        client.get("/Library")[1],
        client.get("/Questionnaire?name=Home")[1],
        client.get(f"/ValueSet/$expand?url={sample_forms.LARGE}&filter=level&offset=40")[1],
        client.get("/Library/none")[1],
    ]
    return [*static.bundles, *adaptive.bundles, first, second, *others]


def without_profiles(resource: Any) -> Any:
    """The same without the profiles it claims: of 2.2 no package is at hand, and 2.0.1 would be asked in its place."""
    if isinstance(resource, dict):
        return {name: without_profiles(value) for name, value in resource.items() if name != "meta"}
    return [without_profiles(each) for each in resource] if isinstance(resource, list) else resource


def test_everything_of_2_0_is_valid(app: Flask, signed: Signed, judge_dtr_2_0: Judge) -> None:
    assert [words for each in sent(app, signed, "2.0") for words in judge_dtr_2_0.errors(each)] == []


def test_everything_of_2_2_is_valid(app: Flask, signed: Signed, judge: Judge) -> None:
    """Within R4 and its extensions; the extensions of DTR 2.2 itself are unknown to the engine."""
    found = [words for each in sent(app, signed, "2.2") for words in judge.errors(without_profiles(each))]
    assert [words for words in found if "us/davinci-dtr" not in words] == []
