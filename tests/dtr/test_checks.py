"""What `signpost questionnaires check` says of a form, slip by slip."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app import fhirpath
from app.cli import main
from app.dtr import extensions
from app.dtr.checks import check_form
from app.dtr.checks.form import ADAPTIVE
from app.dtr.checks.items import OPTIONAL_DISPLAY
from app.rulebook.prefill import Prefill, Source
from app.settings import ROOT
from benefit_router import Problem

SEMVER = {"url": extensions.VERSION_ALGORITHM, "valueCoding": {"code": "semver"}}
PATIENT = {
    "url": extensions.LAUNCH_CONTEXT,
    "extension": [{"url": "name", "valueCoding": {"code": "patient"}}, {"url": "type", "valueCode": "Patient"}],
}
LIBRARY = {"url": extensions.CQF_LIBRARY, "valueCanonical": "http://example.org/Library/form|1"}
YES = {"valueCoding": {"system": "http://snomed.info/sct", "code": "373066001", "display": "Yes"}}
NO = {"valueCoding": {"system": "http://snomed.info/sct", "code": "373067005", "display": "No"}}
INITIAL, CALCULATED, ENABLE = (
    extensions.INITIAL_EXPRESSION,
    extensions.CALCULATED_EXPRESSION,
    extensions.ENABLE_WHEN_EXPRESSION,
)
CQL = "text/cql-identifier"
REGEX = "http://hl7.org/fhir/StructureDefinition/regex"
MAYBE = {"valueCoding": {"display": "Maybe"}}
STRANGE = {"system": "x", "code": "y"}


def expression(url: str, text: str, language: str = "text/fhirpath", **more: Any) -> dict[str, Any]:
    return {"url": url, "valueExpression": {"language": language, "expression": text, **more}}


GOOD: dict[str, Any] = {
    "resourceType": "Questionnaire",
    "url": "http://example.org/Questionnaire/form",
    "version": "1",
    "title": "A form",
    "status": "active",
    "subjectType": ["Patient"],
    "effectivePeriod": {"start": "2026-01-01"},
    "extension": [SEMVER, PATIENT, LIBRARY],
    "item": [
        {"linkId": "note", "text": "Read this", "type": "display"},
        {
            "linkId": "g",
            "text": "A group",
            "type": "group",
            "item": [
                {"linkId": "1", "text": "Choose", "type": "choice", "answerOption": [YES, NO]},
                {
                    "linkId": "2",
                    "text": "When",
                    "type": "date",
                    "extension": [expression(INITIAL, "%patient.birthDate")],
                    "enableWhen": [{"question": "1", "operator": "=", "answerCoding": YES["valueCoding"]}],
                },
            ],
        },
        {"linkId": "3", "text": "Drug", "type": "string", "extension": [expression(INITIAL, '"F".Drug', CQL)]},
    ],
}


def check(form: dict[str, Any], *prefilled: str) -> list[Problem]:
    items = {link_id: Source(fhirpath.compile("1")) for link_id in prefilled}
    prefill = Prefill("form", (), {}, items, frozenset())
    return check_form("form", json.dumps(form, indent=2), form, prefill)


def test_nothing_wrong() -> None:
    assert check(GOOD) == []


def root(form: dict[str, Any], **changes: Any) -> None:
    form.update(changes)


def first(form: dict[str, Any], **changes: Any) -> None:
    """Change the choice."""
    form["item"][1]["item"][0].update(changes)


def second(form: dict[str, Any], **changes: Any) -> None:
    """Change the date."""
    form["item"][1]["item"][1].update(changes)


def when(**changes: Any) -> dict[str, Any]:
    return {"question": "1", "operator": "=", "answerCoding": YES["valueCoding"]} | changes


def without(form: dict[str, Any], name: str) -> None:
    del form[name]


MULTIPLE = [when(), when(answerCoding=NO["valueCoding"])]
ELM = {"url": "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/alternativeExpression"}


@pytest.mark.parametrize(
    ("edit", "severity", "place", "said"),
    [
        (lambda f: without(f, "status"), "error", None, "has no 'status'"),
        (lambda f: without(f, "title"), "error", None, "has no 'title'"),
        (lambda f: root(f, subjectType=["Patient", "Group"]), "error", None, "exactly one Patient"),
        (lambda f: root(f, extension=[PATIENT, LIBRARY]), "error", None, "how versions compare"),
        (lambda f: without(f, "effectivePeriod"), "warning", None, "until when it holds"),
        (lambda f: root(f, item=[]), "error", None, "asks nothing"),
        (lambda f: f["extension"].append({"url": f"{INITIAL.rsplit('-', 1)[0]}-endpoint"}), "error", None, "forbids"),
        (lambda f: f["extension"].append(
            {"url": "http://hl7.org/fhir/StructureDefinition/rendering-styleSensitive", "valueBoolean": True}
        ), "error", None, "styling"),
        (lambda f: root(f, extension=[SEMVER, PATIENT, LIBRARY | {"valueCanonical": "http://example.org/L"}]),
         "warning", None, "named without its version"),
        (lambda f: f["item"].append({"text": "x", "type": "display"}), "error", None, "has no linkId"),
        (lambda f: f["item"].append({"linkId": "1", "text": "x", "type": "display"}), "error", "1", "2 items have"),
        (lambda f: f["item"].append({"linkId": "x" * 256, "text": "x", "type": "display"}), "error", "x" * 256, "255"),
        (lambda f: first(f, type="coice"), "error", "1", "'coice' is no type"),
        (lambda f: first(f, text=""), "error", "1", "has no text"),
        (lambda f: first(f, extension=[{"url": OPTIONAL_DISPLAY}]), "error", "1", "itemOptionalDisplay"),
        (lambda f: first(f, extension=[{"url": REGEX}]), "warning", "1", "regex"),
        (lambda f: f["item"].append({"linkId": "e", "text": "x", "type": "group"}), "error", "e", "nothing in it"),
        (lambda f: f["item"][0].update(item=[]) or f["item"][0].update(required=True), "error", "note", "required"),
        (lambda f: f["item"][0].update(initial=[]), "error", "note", "has no 'initial'"),
        (lambda f: f["item"][0].update(extension=[expression(INITIAL, "1")]), "error", "note", "has no answer"),
        (lambda f: second(f, initial=[{"valueDate": "2026-01-01"}]), "error", "2", "sdc-pop-1"),
        (lambda f: second(f, initial=[], extension=[expression(CALCULATED, "today()")]), "error", "2", "calculated"),
        (lambda f: first(f, initial=[YES]), "error", "1", "its prefill never fills it"),
        (lambda f: f["item"].append({"linkId": "r", "text": "x", "type": "reference"}), "error", "r", "dtrq-4"),
        (lambda f: f["item"].append({"linkId": "q", "text": "x", "type": "quantity"}), "warning", "q", "dtrq-3"),
        (lambda f: second(f, readOnly=True), "error", "2", "hidden or read-only"),
        (lambda f: first(f, extension=[{"url": extensions.HIDDEN, "valueBoolean": True}]), "error", "1", "hidden"),
        (lambda f: f["item"].append({"linkId": "m", "text": "x", "type": "text", "required": True}),
         "warning", "m", "that nothing fills"),
        (lambda f: first(f, answerValueSet="http://example.org/vs|1"), "error", "1", "que-4"),
        (lambda f: first(f, answerOption=[]), "warning", "1", "without choices"),
        (lambda f: first(f, answerOption=[YES, MAYBE]), "error", "1", "Option 2 (Maybe)"),
        (lambda f: first(f, answerOption=[YES, {}]), "error", "1", "Option 2 has no value"),
        (lambda f: f["item"].append({"linkId": "v", "text": "x", "type": "choice", "answerValueSet": "#vs"}),
         "error", "v", "does not hold the value set #vs"),
        (lambda f: f["item"].append({"linkId": "v", "text": "x", "type": "choice", "answerValueSet": "http://e.org/v"}),
         "warning", "v", "without its version"),
        (lambda f: second(f, enableWhen=[when(question="9")]), "error", "2", "which the form does not have"),
        (lambda f: second(f, enableWhen=[when(question="2")]), "error", "2", "by itself"),
        (lambda f: f["item"][1].update(enableWhen=[when()]), "error", "g", "by what it holds"),
        (lambda f: second(f, enableWhen=[when(question="note")]), "error", "2", "a display without an answer"),
        (lambda f: second(f, enableWhen=[{"question": "1", "operator": "="}]), "error", "2", "one answer to compare"),
        (lambda f: second(f, enableWhen=[when(operator="exists")]), "error", "2", "que-7"),
        (lambda f: second(f, enableWhen=[{"question": "1", "operator": "=", "answerBoolean": True}]),
         "error", "2", "'1' is a choice"),
        (lambda f: second(f, enableWhen=MULTIPLE), "error", "2", "que-12"),
        (lambda f: second(f, enableWhen=MULTIPLE, enableBehavior="all"), "error", "2", "can never be enabled"),
        (lambda f: second(f, enableWhen=[when(answerCoding=STRANGE)]), "error", "2", "can never be"),
        (lambda f: second(f, extension=[expression(ENABLE, '"F".X', CQL)]), "error", "2", "enableWhenExpression"),
        (lambda f: second(f, extension=[expression(INITIAL, "1", "text/python")]), "error", "2", "'text/python'"),
        (lambda f: second(f, extension=[expression(INITIAL, " ")]), "error", "2", "has no expression"),
        (lambda f: second(f, extension=[expression(INITIAL, "%patient.nmae")]), "error", "2", "no element 'nmae'"),
        (lambda f: second(f, extension=[expression(INITIAL, "%observations.value")]), "error", "2", "%observations"),
        (lambda f: second(f, extension=[expression(INITIAL, "%patient.", name="x")]), "error", "2", "^"),
        (lambda f: second(f, extension=[expression(INITIAL, "1", "text/cql")]), "error", "2", "without its ELM"),
        (lambda f: root(f, extension=[SEMVER, PATIENT]), "error", "3", "names a library"),
        (lambda f: root(f, extension=[*f["extension"], LIBRARY]) or f["item"][2].update(
            extension=[expression(INITIAL, "Drug", CQL)]
        ), "error", "3", "spec-97"),
        (lambda f: first(f, extension=[expression(ENABLE, "true")]), "error", "1", "spec-18"),
        (lambda f: first(f, extension=[expression(ENABLE, "Patient?x", "application/x-fhir-query")]),
         "error", "1", "sdc-inv1"),
    ],
)  # fmt: skip
def test_slips(edit: Callable[[dict[str, Any]], object], severity: str, place: str | None, said: str) -> None:
    form = copy.deepcopy(GOOD)
    edit(form)
    prefilled = ("1",) if "its prefill" in said or said == "hidden" else ()
    found = [problem for problem in check(form, *prefilled) if said in problem.message]
    assert found, [str(problem) for problem in check(form, *prefilled)]
    (problem, *_) = found
    assert problem.severity == severity
    assert problem.file == "questionnaires/form/questionnaire.json"
    assert problem.remedy
    if place is None:
        assert (problem.line, problem.column) == (1, None)
    else:
        lines = json.dumps(form, indent=2).splitlines()
        assert problem.column == f"item {place}"
        assert f'"linkId": "{place}"' in lines[(problem.line or 0) - 1]


@pytest.mark.parametrize(
    "edit",
    [
        lambda f: root(f, item=[], extension=[SEMVER, {"url": ADAPTIVE, "valueUrl": "http://example.org"}]),
        lambda f: second(f, enableWhen=MULTIPLE, enableBehavior="any"),
        lambda f: (first(f, repeats=True), second(f, enableWhen=MULTIPLE, enableBehavior="all")),
        lambda f: (first(f, type="open-choice"), second(f, enableWhen=[when(answerCoding={"code": "other"})])),
        lambda f: second(f, enableWhen=[{"question": "1", "operator": "exists", "answerBoolean": True}]),
        lambda f: second(f, extension=[expression(INITIAL, "1", "text/cql", extension=[ELM])]),
    ],
)
def test_what_is_no_slip(edit: Callable[[dict[str, Any]], object]) -> None:
    form = copy.deepcopy(GOOD)
    edit(form)
    assert check(form) == []


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda f: root(f, item=["x"]), "Questionnaire.item is not a list of objects."),
        (lambda f: root(f, effectivePeriod="2026"), "Questionnaire.effectivePeriod is not an object."),
        (lambda f: first(f, answerOption=[{"valueCoding": "x"}]), "item[1].item[0].answerOption[0].valueCoding is not"),
        (lambda f: second(f, enableWhen={"question": "1"}), "item[1].item[1].enableWhen is not a list of objects."),
        (lambda f: root(f, extension=[None]), "Questionnaire.extension is not a list of objects."),
    ],
)
def test_what_has_not_the_shape_of_fhir_is_said(edit: Callable[[dict[str, Any]], object], words: str) -> None:
    form = copy.deepcopy(GOOD)
    edit(form)
    (problem,) = check(form)
    assert words in problem.message


def test_a_value_set_elsewhere_may_hold_any_answer() -> None:
    form = copy.deepcopy(GOOD)
    first(form, answerOption=None, answerValueSet="http://example.org/vs|1")
    del form["item"][1]["item"][0]["answerOption"]
    assert check(form) == []


def test_the_command(tmp_path: Path) -> None:
    forms = Path(shutil.copytree(ROOT / "questionnaires", tmp_path / "questionnaires"))
    folder = forms / "home-oxygen"
    shutil.rmtree(folder / "cases", ignore_errors=True)
    (folder / "prefill.yaml").unlink()
    good = GOOD | {"url": "http://meadowlark.example.org/fhir/Questionnaire/home-oxygen"}
    (folder / "questionnaire.json").write_text(json.dumps(good, indent=2))

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["questionnaires", "check", *arguments, "--questionnaires", str(forms)])
        return result.exit_code, result.output

    assert run("home-oxygen") == (0, "1 forms: 0 errors, 0 warnings\n")
    assert run("no-such-form")[0] == 1
    (folder / "questionnaire.json").write_text(json.dumps(good | {"title": ""}, indent=2))
    code, told = run("home-oxygen")
    assert code == 1
    assert "questionnaires/home-oxygen/questionnaire.json:1: error: The form has no 'title'." in told
    # What is wrong beside a form hides nothing of what is wrong with it.
    twice = [*good["item"], good["item"][0]]
    (folder / "questionnaire.json").write_text(json.dumps(good | {"item": twice}, indent=2))
    (folder / "prefill.yaml").write_text("prefill: home-oxygen\nitems: {nowhere: today()}\n")
    code, told = run()
    assert code == 1
    assert "prefill.yaml:2 [items.nowhere]: error: The form has no item 'nowhere'." in told
    assert "2 items have this linkId" in told
    assert "warning" not in told.partition("2 items have")[2]
    assert "2 errors: these rules and forms cannot go live." in told
    # And a form that cannot be read is there all the same: only the cause is told.
    (folder / "questionnaire.json").write_text("{")
    code, told = run()
    assert code == 1
    assert "questionnaire.json: error: This is not JSON" in told
    assert "cannot go live" in told
    assert "There is no form" not in told
