"""The forms that ship hold to their cases, and a case says what it does not get."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import main
from app.dtr.cases import Case, plain, read_cases, run
from app.rulebook.rulebook import Rulebook, build, load
from app.settings import ROOT

SHIPPED, PROBLEMS = read_cases(
    ROOT / "questionnaires", load(ROOT / "rules", ROOT / "questionnaires").rulebook  # type: ignore[arg-type]  # it loads
)  # fmt: skip


def test_every_shipped_case_can_be_read() -> None:
    assert PROBLEMS == []
    assert SHIPPED


@pytest.mark.parametrize("case", SHIPPED, ids=lambda case: f"{case.form}-{case.name}")
def test_shipped_cases(case: Case, sample_rulebook: Rulebook) -> None:
    assert run(case, sample_rulebook) == []


FORM = {
    "resourceType": "Questionnaire",
    "url": "http://example.org/Questionnaire/form",
    "version": "1",
    "item": [{"linkId": "1", "type": "decimal"}, {"linkId": "2", "type": "boolean"}, {"linkId": "3", "type": "string"}],
}
PREFILL = """\
prefill: form
needs: [{observations: list:oximetry}, encounters]
items:
  "1": "%observations.value.value"
  "2": "%encounters.exists()"
  "3": "%member.line"
"""
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "code": {"coding": [{"system": "http://loinc.org", "code": "59408-5"}]},
    "valueQuantity": {"value": 86, "unit": "%"},
}
BUNDLE = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": OBSERVATION}]}
CASE = """\
case: one
title: One
on: 2026-11-20
data: one.json
member: {id: M1, line: ma}
expect: {"1": {answer: 86}, "2": not-found, "3": {answer: ma}}
"""


@pytest.fixture
def written(tmp_path: Path, sample_rulebook: Rulebook) -> Any:
    """Writes one case of a small form beside its data, and reads it back."""
    files = dict(sample_rulebook.files) | {
        "questionnaires/form/questionnaire.json": json.dumps(FORM),
        "questionnaires/form/prefill.yaml": PREFILL,
    }
    book = build(files).rulebook
    assert book is not None

    def write(text: str, data: str | None = json.dumps(BUNDLE), name: str = "one") -> Any:
        folder = tmp_path / "questionnaires" / "form" / "cases"
        folder.mkdir(parents=True)
        (folder / f"{name}.yaml").write_text(text)
        if data is not None:
            (folder / "one.json").write_text(data)
        return (*read_cases(tmp_path / "questionnaires", book), book)

    return write


def test_a_case_that_holds(written: Any) -> None:
    (case,), problems, book = written(CASE)
    assert problems == []
    assert run(case, book) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("{answer: 86}", "{answer: 87}", "'1' is 86, not 87"),
        ("{answer: 86}", "{answers: [86, 87]}", "'1' is 86, not 86, 87"),
        ("{answer: 86}", "not-found", "'1' is 86, not not-found"),
        ("not-found", "{answer: true}", "'2' is left blank, not true (Looked for and not there: 2)"),
        ("not-found", "not-evaluated", "'2' is not-found, not not-evaluated"),
        (', "3": {answer: ma}', "", "'3' is ma, and the case does not expect it"),
        ("line: ma", "plan: gold", "'3' is left blank, not ma"),
        ("expect:", "partial: {encounters: late}\nexpect:", "'2' is not-evaluated, not not-found"),
    ],
)
def test_what_a_case_does_not_get(before: str, after: str, said: str, written: Any) -> None:
    (case,), problems, book = written(CASE.replace(before, after))
    assert problems == []
    assert any(said in words for words in run(case, book)), run(case, book)


@pytest.mark.parametrize(
    ("text", "data", "line", "said"),
    [
        (CASE.replace("case: one", "case: two"), "{}", 1, "The file is named 'one', the case 'two'."),
        (CASE.replace('"2":', '"9":'), json.dumps(BUNDLE), 6, "There is no '9' here."),
        (
            CASE.replace("expect:", "partial: {visits: late}\nexpect:"),
            json.dumps(BUNDLE),
            6,
            "There is no 'visits' here.",
        ),
        (CASE, None, 4, "The data cannot be read"),
        (CASE, "{", 4, "The data are not JSON"),
        (CASE, "[]", 4, "The data are no Bundle."),
        (CASE.replace("title: One\n", ""), "{}", 1, "'title' is missing."),
        (CASE.replace("not-found", "not-there"), "{}", 6, "'not-there' is not one of the values known here."),
        ("case: [", "{}", 1, "This is not YAML"),
    ],
)
def test_slips_are_told_with_their_line(text: str, data: str | None, line: int, said: str, written: Any) -> None:
    cases, problems, _ = written(text, data)
    assert cases == []
    assert said in problems[0].message
    assert problems[0].line == line
    assert problems[0].file == "questionnaires/form/cases/one.yaml"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ({"valueCoding": {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J449"}}, "ICD-10-CM J44.9"),
        ({"valueCoding": {"display": "something else"}}, "something else"),
        ({"valueQuantity": {"value": Decimal("4.0"), "code": "L/min"}}, "4.0 L/min"),
        ({"valueQuantity": {"value": 4, "comparator": "<"}}, "<4"),
        ({"valueReference": {"reference": "Practitioner/d1"}}, "Practitioner/d1"),
        ({"valueAttachment": {"url": "Binary/1"}}, "Binary/1"),
        ({"extension": [], "valueInteger": 3}, Decimal(3)),
        ({"valueBoolean": True}, True),
    ],
)
def test_answers_in_a_word(answer: dict[str, Any], word: Any) -> None:
    assert plain(answer) == word


def command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["questionnaires", *arguments])
    return result.exit_code, result.output


def test_the_test_command(tmp_path: Path) -> None:
    forms = Path(shutil.copytree(ROOT / "questionnaires", tmp_path / "questionnaires"))
    assert command("test", "home-oxygen", "--verbose")[0] == 0
    case = forms / "home-oxygen" / "cases" / "low-saturation.yaml"
    case.write_text(case.read_text().replace("expect:", "expect:\n  nothing: not-found\n"))
    code, told = command("test", "--questionnaires", str(forms))
    assert code == 1
    assert "There is no 'nothing' here." in told
    assert command("test", "no-such-form")[0] == 1


DATA = str(ROOT / "questionnaires" / "home-oxygen" / "cases" / "low-saturation.json")


def test_the_populate_command(tmp_path: Path) -> None:
    code, told = command("populate", "home-oxygen", "--data", DATA, "--on", "2026-11-20")
    assert code == 0
    assert "filled: " in told
    assert "  →  " in told
    code, told = command("populate", "home-oxygen", "--data", DATA, "--version", "2.0", "--response")
    assert json.loads(told)["resourceType"] == "QuestionnaireResponse"
    assert command("populate", "home-oxigen", "--data", DATA)[1].count("Did you mean 'home-oxygen'?") == 1
    for text, said in (("{", "is not JSON"), ("{}", "is no FHIR Bundle")):
        (tmp_path / "x.json").write_text(text)
        code, told = command("populate", "home-oxygen", "--data", str(tmp_path / "x.json"))
        assert code == 2
        assert said in told
