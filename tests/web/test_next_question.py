"""$next-question over HTTP, in both versions: an adaptive form from its package to its end."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.settings import Settings
from tests.dtr import sample_forms
from tests.dtr.dtr_actions import DtrActions, Signed, questionnaire, sign
from tests.ehr_actions import EhrActions

Resource = dict[str, Any]
PATH = "/Questionnaire/$next-question"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    forms = sample_forms.write_sample_forms(tmp_path)
    return Settings(sandbox=True, data_dir=tmp_path, rules_interval=0, questionnaires=forms)


@pytest.fixture
def signed(ehr: EhrActions) -> Signed:
    return sign(ehr)


@pytest.fixture(params=["2.0", "2.2"])
def client(app: Flask, request: pytest.FixtureRequest) -> DtrActions:
    return DtrActions(app.test_client(), request.param)


@pytest.fixture
def draft(client: DtrActions, signed: Signed) -> Resource:
    """The draft of the adaptive form's package."""
    fetched = client.package(*signed.parameters[:2], questionnaire(sample_forms.ADAPTIVE))
    (response,) = fetched.of_type("QuestionnaireResponse")
    return response


def asked(response: Resource) -> list[str]:
    (form,) = response["contained"]
    return [item["linkId"] for item in form.get("item", ())]


def inside(response: Resource, step: str) -> list[str]:
    items = response["contained"][0]["item"]
    return [each["linkId"] for item in items if item["linkId"] == step for each in item["item"]]


def answered(response: Resource, step: str, **values: Any) -> Resource:
    """The response with these answers in a step: `weak=True`."""
    kinds = {bool: "valueBoolean", int: "valueInteger"}
    items = [
        {"linkId": name, "answer": [{kinds.get(type(v), "valueDate" if name == "onset" else "valueString"): v}]}
        for name, v in values.items()
    ]
    made = copy.deepcopy(response)
    made["item"] = [*(each for each in made.get("item", ()) if each["linkId"] != step), {"linkId": step, "item": items}]
    return made


def step(client: DtrActions, response: Resource) -> Resource:
    status, found = client.post(PATH, response)
    assert status == 200, found
    assert found["resourceType"] == "QuestionnaireResponse"
    return found


def test_the_package_has_a_shell_and_a_draft_without_questions(client: DtrActions, signed: Signed) -> None:
    fetched = client.package(*signed.parameters[:2], questionnaire(sample_forms.ADAPTIVE))
    (shell,) = fetched.of_type("Questionnaire")
    (response,) = fetched.of_type("QuestionnaireResponse")
    (form,) = response["contained"]
    base = f"http://localhost{client.base}"
    for each in (shell, form):
        urls = [e["valueUrl"] for e in each["extension"] if e["url"].endswith("questionnaireAdaptive")]
        assert urls == [base]
        assert "item" not in each
    assert response["questionnaire"] == f"#{form['id']}"
    assert form["derivedFrom"] == [f"{sample_forms.ADAPTIVE}|1.1.0"]
    assert ("url" in form) is (client.version == "2.2")
    assert len(fetched.of_type("Library")) == 2


def test_step_by_step_to_the_end(client: DtrActions, draft: Resource) -> None:
    first = step(client, draft)
    assert (asked(first), first["status"]) == (["symptoms"], "in-progress")
    given = answered(first, "symptoms", onset="2026-09-01", weak=False)
    second = step(client, given)
    # All that can be decided comes at once (spec-36), the marker between the clinic's part and the office's with it.
    assert asked(second) == ["symptoms", "therapy", "clinical-done", "office"]
    assert second["item"] == given["item"]
    last = step(client, answered(second, "therapy", weeks=6))
    assert last["status"] == "completed"
    assert asked(last) == asked(second)


def test_what_answers_make_unnecessary_is_not_asked(client: DtrActions, draft: Resource) -> None:
    first = step(client, draft)
    given = answered(first, "symptoms", onset="2026-09-01", weak=True)
    if client.version == "2.0":
        # The form in use has no enableWhen there, so what an answer enables comes with the next call.
        assert inside(first, "symptoms") == ["onset", "weak"]
        second = step(client, given)
        assert inside(second, "symptoms") == ["onset", "weak", "where"]
        assert "enableWhen" not in str(second)
        assert client.post(PATH, answered(second, "symptoms", onset="2026-09-01", weak=True))[0] == 400
    else:
        assert inside(first, "symptoms") == ["onset", "weak", "where"]
        assert client.post(PATH, given)[0] == 400
        second = first
    third = step(client, answered(second, "symptoms", onset="2026-09-01", weak=True, where="left leg"))
    assert asked(third) == ["symptoms", "clinical-done", "office"]


def test_no_server_session_is_needed(client: DtrActions, draft: Resource) -> None:
    """A canned response in the middle is answered as it would have been then (Inferno replays them)."""
    first = step(client, draft)
    given = answered(first, "symptoms", onset="2026-09-01", weak=False)
    assert asked(step(client, given)) == asked(step(client, given))


@pytest.mark.parametrize("name", ["questionnaire-response", "questionnaire-response-in", "in"])
def test_in_parameters_too(client: DtrActions, draft: Resource, name: str) -> None:
    found = step(client, {"resourceType": "Parameters", "parameter": [{"name": name, "resource": draft}]})
    assert asked(found) == ["symptoms"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"weak": False}, "must be answered"),
        ({"onset": "2026-09-01", "weak": "no"}, "not of the type 'boolean'"),
        ({"onset": "soon", "weak": False}, "not of the type 'date'"),
        ({"onset": "2026-09-01", "weak": False, "other": "x"}, "no item 'other'"),
    ],
)
def test_invalid_answers(client: DtrActions, draft: Resource, values: Resource, words: str) -> None:
    status, outcome = client.post(PATH, answered(step(client, draft), "symptoms", **values))
    assert (status, outcome["resourceType"]) == (400, "OperationOutcome")
    assert any(words in issue["diagnostics"] and issue["expression"] for issue in outcome["issue"])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda r: r.pop("contained"), 400),
        (lambda r: r.update(questionnaire="#another"), 400),
        (lambda r: r["contained"][0].update(derivedFrom=["http://example.org/none"]), 404),
        (lambda r: r["contained"][0].update(derivedFrom=[sample_forms.FORM]), 404),
        (lambda r: r["contained"][0].update(item=[{"linkId": "made-up"}]), 400),
        (lambda r: r.update(resourceType="Bundle"), 400),
    ],
)
def test_refusals(client: DtrActions, draft: Resource, change: Any, status: int) -> None:
    change(draft)
    found, outcome = client.post(PATH, draft)
    assert (found, outcome["resourceType"]) == (status, "OperationOutcome")
