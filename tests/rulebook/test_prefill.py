"""prefill.yaml: what loads, and what each slip is told."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from app.rulebook.prefill import Prefill, build_prefill
from app.rulebook.rulebook import Rulebook, build
from app.rulebook.schema import check
from app.rulebook.scope import Need
from app.settings import ROOT
from benefit_router import CodeList, Problem
from tests.rulebook.small import FILES, FORM

ITEMS: list[dict[str, Any]] = [
    {"linkId": "q", "type": "date"},
    {"linkId": "note", "type": "display"},
    {"linkId": "g", "type": "group", "repeats": True, "item": [{"linkId": "g.1", "type": "date"}]},
]


def read(text: str) -> tuple[Prefill | None, list[Problem]]:
    from app.rulebook.documents import read_document

    document, problems = read_document(text, "questionnaires/form/prefill.yaml")
    assert document is not None
    problems += check(document, "prefill")
    if problems:
        return None, problems
    lists = {"drug": CodeList.of("drug", ())}
    return build_prefill(document, "form", FORM | {"item": ITEMS}, lists, problems), problems


def test_a_whole_file() -> None:
    prefill, problems = read("""\
prefill: form
needs: [conditions, {medications: list:drug, within_days: 365}]
variables:
  drugs: "%medications.where(status = 'active')"
items:
  q: {from: "%order.authoredOn.toDate()", looks_for: the day of the order}
  g: {repeat: "%drugs", as: therapy}
  g.1: "%therapy.authoredOn.toDate()"
""")
    assert problems == []
    assert prefill is not None
    assert prefill.needs == (Need("conditions"), Need("medications", "drug", 365))
    assert prefill.names == {"medications", "order", "drugs", "therapy"}
    assert prefill.items["g"].repeat_as == "therapy"
    assert prefill.items["q"].looks_for == "the day of the order"


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        ("items: {x: '%order.id'}", 2, "The form has no item 'x'."),
        ("items: {note: '%order.id'}", 2, "A display item has no answer."),
        ("items: {g: '%order.id'}", 2, "A group has no answer of its own."),
        ("items: {g: {repeat: '%order', as: patient}}", 2, "%patient is a name of the server's own."),
        ("items: {q: {looks_for: it}}", 2, "A question takes 'from'"),
        ("items: {q: {from: '1', as: x}}", 2, "A question takes 'from'"),
        ("items:\n  q: {from: '%order.'}", 3, "^"),
        ("items:\n  q: '%ordr.id'", 3, "ordr"),
        ("items:\n  q: '%patient.nmae'", 3, "Patient has no element 'nmae'"),
        ("items:\n  q: '%conditions.id'", 3, "%conditions is used but would not be kept."),
        ("items:\n  q: \"%order.code.memberOf('list:dru')\"", 3, "There is no list 'dru'."),
        ("items:\n  g.1: '%therapy.id'", 3, "therapy"),
        ("variables: {order: '1'}\nitems: {}", 2, "%order is a name of the server's own."),
        ("variables: {a: '%b', b: '1'}\nitems: {}", 2, "b"),
        ("needs: [{conditions: list:dru}]\nitems: {}", 2, "There is no list 'dru'."),
        ("needs: [{conditions: all, devices: all}]\nitems: {}", 2, "An entry names one kind of the record."),
        ("needs: [{within_days: 3}]\nitems: {}", 2, "An entry names one kind of the record."),
        ("needs: [claims]\nitems: {}", 2, "'claims' is not one of the values known here."),
        ("items: {q: {form: '1'}}", 2, "'form' is not a key here."),
        ("variables: {A b: '1'}\nitems: {}", 2, "'A b' cannot be a name here."),
    ],
)
def test_slips_are_told_with_their_line(body: str, line: int, said: str) -> None:
    _, problems = read(f"prefill: form\n{body}\n")
    assert [problem.line for problem in problems] == [line]
    assert said in problems[0].message
    assert problems[0].remedy


def test_the_name_of_another_form() -> None:
    _, problems = read("prefill: other\nitems: {}\n")
    assert [problem.message for problem in problems] == ["The folder is named 'form', the prefill 'other'."]


def test_it_is_part_of_the_rulebook() -> None:
    path = "questionnaires/form/prefill.yaml"
    loaded = build(FILES | {path: "prefill: form\nitems: {}\n"})
    assert loaded.rulebook is not None
    assert loaded.rulebook.prefills["form"].items == {}
    assert loaded.rulebook.hash != build(FILES).rulebook.hash  # type: ignore[union-attr]  # FILES builds
    assert build(FILES | {path: "prefill: form\nitems: {x: '1'}\n"}).rulebook is None
    (problem,) = build(FILES | {"questionnaires/lost/prefill.yaml": "prefill: lost\nitems: {}\n"}).problems
    assert problem.message == "There is no form beside it."


@pytest.mark.parametrize("number", [0, 1, 2])
def test_examples_of_the_page_load(number: int, sample_rulebook: Rulebook) -> None:
    page = (ROOT / "docs" / "questionnaires" / "prefill.md").read_text(encoding="utf-8")
    text = re.findall(r"^```yaml.*?\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[number]
    if number:
        indented = "".join(f"  {line}\n" for line in text.splitlines())
        head = "prefill: form\nneeds: [observations, medications]\nvariables: {saturation: '%observations'}\nitems:\n"
        text = head + indented
    items = [
        {"linkId": each, "type": "group" if each == "6" else "date", "item": [{"linkId": "6.1", "type": "date"}]}
        for each in "123456"
    ]
    form = FORM | {"item": items}
    files = dict(sample_rulebook.files) | {
        "questionnaires/form/questionnaire.json": json.dumps(form),
        "questionnaires/form/prefill.yaml": text.replace("prefill: home-oxygen", "prefill: form"),
    }
    assert build(files).problems == ()
