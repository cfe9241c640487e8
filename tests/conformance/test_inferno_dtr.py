"""Inferno's DTR payer suite against the running service's 2.0 base, and each of its assertions with one thing wrong.

What a profile says is judged by HL7's validator where its package is at hand: DTR 2.0.1 is; SDC, on which the profiles
of forms and responses are built, is not, so those are held to base R4 and to what `test_dtr_requirements` checks.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.settings import Settings
from tests.conformance import inferno_dtr as inferno
from tests.conformance.hl7 import Judge
from tests.conformance.inferno import NothingToJudge
from tests.dtr import sample_forms
from tests.dtr.dtr_actions import DtrActions, Fetched, Signed, questionnaire, sign
from tests.ehr_actions import EhrActions
from tests.web.test_next_question import PATH, answered

pytest_plugins = ("tests.conformance.hl7",)

Json = dict[str, Any]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """As docs/dtr.md says to start it for Inferno."""
    folder = tmp_path_factory.mktemp("inferno")
    forms = sample_forms.write_sample_forms(folder)
    settings = Settings(
        sandbox=True, data_dir=folder, rules_interval=0, questionnaires=forms, dtr_unversioned_libraries=True
    )
    app = create_app(settings)
    yield app
    app.extensions["ledger"].close()
    app.extensions["state"].close()


@pytest.fixture(scope="module")
def client(app: Flask) -> DtrActions:
    return DtrActions(app.test_client(), "2.0")


@pytest.fixture(scope="module")
def signed(app: Flask) -> Signed:
    return sign(EhrActions(app.test_client()))


@pytest.fixture(scope="module")
def static(client: DtrActions, signed: Signed) -> Fetched:
    return client.package(*signed.parameters)


@pytest.fixture(scope="module")
def adaptive(client: DtrActions, signed: Signed) -> Fetched:
    return client.package(*signed.parameters[:2], questionnaire(sample_forms.ADAPTIVE))


@pytest.fixture(scope="module")
def steps(client: DtrActions, adaptive: Fetched) -> list[tuple[int, Json]]:
    """Every call of $next-question, from the draft to the end."""
    (draft,) = adaptive.of_type("QuestionnaireResponse")
    first = client.post(PATH, draft)
    second = client.post(PATH, answered(first[1], "symptoms", onset="2026-09-01", weak=False))
    last = client.post(PATH, answered(second[1], "therapy", weeks=6))
    return [first, second, last]


@pytest.fixture
def valid(judge_dtr_2_0: Judge) -> inferno.Valid:
    def errors(resource: Json, profile: str) -> list[str]:
        ours = profile.startswith(inferno.DTR) and resource["resourceType"] in ("Parameters", "Bundle")
        issues = judge_dtr_2_0.validate(resource, f"{profile}|2.0.1" if ours else None)
        # Within Parameters the engine takes these for `%resource`; `test_bundles` judges each Bundle by itself.
        inside = re.compile("bdl-[34]:") if resource["resourceType"] == "Parameters" else re.compile("$^")
        return [str(each) for each in issues if each.is_error and not inside.search(each.message)]

    return errors


def no_errors(resource: Json, profile: str) -> list[str]:
    return []


def test_request(signed: Signed, valid: inferno.Valid) -> None:
    request = {"resourceType": "Parameters", "parameter": list(signed.parameters)}
    assert inferno.request_valid(request, valid) == []


def test_static_response(static: Fetched, valid: inferno.Valid) -> None:
    assert inferno.response(static.status, static.json, valid) == []


def test_static_libraries(static: Fetched) -> None:
    assert inferno.libraries(inferno.bundles_of(static.json)) == []


def test_static_extensions(static: Fetched) -> None:
    assert inferno.extensions(static.of_type("Questionnaire"), static.of_type("Library")) == []


def test_static_expressions(static: Fetched) -> None:
    assert inferno.expressions(static.of_type("Questionnaire")) == []


def test_adaptive_response(adaptive: Fetched, valid: inferno.Valid) -> None:
    assert inferno.response(adaptive.status, adaptive.json, valid) == []


def test_adaptive_libraries(adaptive: Fetched) -> None:
    assert inferno.libraries(adaptive.bundles) == []


def test_adaptive_extensions(adaptive: Fetched) -> None:
    assert inferno.extensions(adaptive.of_type("Questionnaire"), adaptive.of_type("Library")) == []


@pytest.mark.xfail(strict=True, reason=inferno.SCRATCH)
def test_adaptive_expressions(adaptive: Fetched) -> None:
    """2.06, which cannot pass together with 2.07 and 2.08."""
    assert inferno.expressions(adaptive.of_type("Questionnaire")) == []


def test_bundles(static: Fetched, adaptive: Fetched, valid: inferno.Valid) -> None:
    for fetched in (static, adaptive):
        assert inferno.bundles_valid(fetched.bundles, valid) == []


def test_adaptive_search(adaptive: Fetched, valid: inferno.Valid) -> None:
    assert inferno.shells_valid(adaptive.of_type("Questionnaire"), valid) == []


def test_next_response(steps: list[tuple[int, Json]], valid: inferno.Valid) -> None:
    for status, body in steps:
        assert inferno.next_response(status, body, valid) == []


def test_next_extensions_and_expressions(steps: list[tuple[int, Json]], adaptive: Fetched) -> None:
    forms = [form for _, body in steps for form in body["contained"]]
    assert inferno.extensions(forms, adaptive.of_type("Library")) == []
    assert inferno.expressions(forms) == []


def test_next_complete(steps: list[tuple[int, Json]]) -> None:
    assert inferno.complete([body for _, body in steps]) == []


@pytest.mark.parametrize("slug", sorted(path.parent.name for path in (Path("questionnaires")).glob("*/library.json")))
def test_every_shipped_form_with_a_library(slug: str, tmp_path: Path) -> None:
    """The static group over each form that ships with CQL, as it is given in 2.0."""
    app = create_app(Settings(sandbox=True, data_dir=tmp_path, rules_interval=0, dtr_unversioned_libraries=True))
    rulebook = app.extensions["rulebook"].current
    client = DtrActions(app.test_client(), "2.0")
    signed = sign(EhrActions(app.test_client()))
    form = rulebook.forms[slug]
    fetched = client.package(*signed.parameters[:2], questionnaire(rulebook.questionnaires[slug]))
    forms = fetched.of_type("Questionnaire")
    assert inferno.libraries(fetched.bundles) == []
    assert inferno.extensions(forms, fetched.of_type("Library")) == []
    if "questionnaireAdaptive" not in str(form.get("extension")):
        assert inferno.expressions(forms) == []
    app.extensions["ledger"].close()
    app.extensions["state"].close()


# Each assertion can fail.


def test_responses_that_fail(static: Fetched) -> None:
    assert inferno.response(500, static.json, no_errors)
    assert inferno.response(200, {"resourceType": "OperationOutcome"}, no_errors)
    assert inferno.response(200, {"resourceType": "Parameters", "parameter": []}, no_errors)
    assert inferno.response(200, static.json, lambda resource, profile: ["wrong"]) == ["wrong"]
    with pytest.raises(NothingToJudge):
        inferno.request_valid({}, lambda resource, profile: ["wrong"])
    with pytest.raises(NothingToJudge):
        inferno.bundles_valid([], no_errors)
    with pytest.raises(NothingToJudge):
        inferno.shells_valid([], no_errors)
    assert inferno.next_response(200, {"resourceType": "Parameters"}, no_errors)
    assert inferno.next_response(400, {"resourceType": "QuestionnaireResponse"}, no_errors)
    assert inferno.complete([{"status": "in-progress"}])


def test_libraries_that_fail(static: Fetched) -> None:
    assert inferno.libraries([{"entry": []}]) == ["there is no Library"]
    twice = [*static.bundles, *static.bundles]
    assert any("two Libraries" in words for words in inferno.libraries(twice))
    without = copy.deepcopy(static.bundles)
    inferno.of_type(without, "Library")[0]["content"].pop()
    assert any("application/elm+json" in words for words in inferno.libraries(without))


def test_extensions_and_expressions_that_fail(static: Fetched) -> None:
    (form,) = static.of_type("Questionnaire")
    libraries = static.of_type("Library")
    assert inferno.extensions([], libraries)
    assert inferno.extensions([{**form, "extension": []}], libraries)
    versioned = {"url": inferno.LIBRARY, "valueCanonical": f"{sample_forms.LIBRARY}|1.0.0"}
    assert inferno.extensions([{"extension": [versioned]}], libraries)
    fhirpath = {"url": inferno.VARIABLE, "valueExpression": {"language": "text/fhirpath"}}
    assert inferno.extensions([{"extension": [fhirpath]}], libraries)
    assert inferno.expressions([{"item": []}])
    identifier = {"url": inferno.ITEM[0], "valueExpression": {"language": "text/cql-identifier"}}
    assert inferno.expressions([{"item": [{"item": [{"extension": [identifier]}]}]}])
