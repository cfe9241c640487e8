"""`library.cql` of every form → `library.json`, and the shared libraries beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.dtr.cql.record import parameters, with_record
from app.dtr.cql.resource import ELM, NoHeader, content, data_requirements, header, library
from app.dtr.expressions import launch_types
from app.fhir.json import decode
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Need
from app.rulebook.spelling import nearest
from benefit_router import Problem

Compile = Callable[[Mapping[str, str]], Mapping[str, Any]]
"""CQL texts by library name in; by the same names `{"elm": …}` or `{"errors": [{"line", "column", "message"}]}` out."""


@dataclass(frozen=True, slots=True)
class Built:
    """The texts the files should have, by path; and what is wrong with the CQL."""

    files: Mapping[Path, str]
    problems: list[Problem]

    def stale(self) -> list[Path]:
        """Files that are not on disk as they should be."""
        return [path for path, text in self.files.items() if not path.is_file() or path.read_text("utf-8") != text]


@dataclass(frozen=True, slots=True)
class _Source:
    """One CQL file: its text as it should be, and what its Library says beside it."""

    cql: Path
    json: Path
    text: str
    title: str
    form: Mapping[str, Any]
    needs: tuple[Need, ...]
    name: str


def build(questionnaires: Path, rulebook: Rulebook, compile_: Compile | None) -> Built:
    """What `signpost questionnaires build` writes. Without a compiler the ELM on disk stays."""
    problems: list[Problem] = []
    sources = list(_sources(questionnaires, rulebook, problems))
    files = {each.cql: each.text for each in sources}
    compiled = compile_({each.name: each.text for each in sources}) if compile_ else _on_disk(sources)
    for each in sources:
        result = compiled.get(each.name, {})
        for error in result.get("errors", ()):
            place = f"column {error['column']}" if error.get("column") else None
            problems.append(Problem(_named(each.cql), error.get("line"), place, error["message"], "Correct the CQL."))
        if "elm" in result:
            made = library(
                each.text,
                result["elm"],
                base=each.form["url"].rpartition("/Questionnaire/")[0],
                title=each.title,
                date=each.form.get("date", ""),
                publisher=each.form.get("publisher", ""),
                required=data_requirements(each.needs, rulebook.lists),
            )
            files[each.json] = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    return Built(files, problems)


def _sources(questionnaires: Path, rulebook: Rulebook, problems: list[Problem]) -> Iterator[_Source]:
    some_form = next(iter(rulebook.forms.values()), {"url": ""})
    for path in sorted(questionnaires.glob("libraries/*.cql")):
        yield from _source(path, path.with_suffix(".json"), path.stem, some_form, (), rulebook, problems)
    for path in sorted(questionnaires.glob("*/library.cql")):
        form, prefill = rulebook.forms.get(path.parent.name), rulebook.prefills.get(path.parent.name)
        if form is None or prefill is None:
            words = "Only a form with a prefill.yaml has a library."
            problems.append(Problem(_named(path), None, None, words, "Add prefill.yaml beside it."))
            continue
        title = f"{form.get('title')}: answers from the record"
        yield from _source(path, path.with_suffix(".json"), title, form, prefill.needs, rulebook, problems)


def _source(
    path: Path,
    target: Path,
    title: str,
    form: Mapping[str, Any],
    needs: tuple[Need, ...],
    rulebook: Rulebook,
    problems: list[Problem],
) -> Iterator[_Source]:
    text = path.read_text(encoding="utf-8")
    try:
        text = with_record(text, needs, rulebook.lists)
        name, version = header(text)
    except KeyError as error:
        words = f"There is no list '{error.args[0]}'."
        problems.append(Problem(_named(path), None, None, words, nearest(error.args[0], rulebook.lists)))
        return
    except NoHeader:
        words = "The file does not name its library."
        problems.append(Problem(_named(path), 1, None, words, "Begin with: library Name version '1.0.0'"))
        return
    if path.name == "library.cql" and version != form["version"]:
        words = f"The library is of version {version}, its form of {form['version']}."
        problems.append(Problem(_named(path), 1, None, words, "Give both the same version."))
    declared = launch_types(form) if path.name == "library.cql" else {}
    for parameter, kind in parameters(text):
        if kind not in declared.get(parameter, ()):
            words = f"The library takes a parameter '{parameter}' of type {kind}, and nothing gives it."
            remedy = f"Declare the launch context '{parameter}' of that type in questionnaire.json."
            problems.append(Problem(_named(path), None, None, words, remedy))
    yield _Source(path, target, text, title, form, needs, name)


def _on_disk(sources: list[_Source]) -> dict[str, Any]:
    """The ELM that was compiled before."""
    found = {}
    for each in sources:
        text = content(decode(each.json.read_bytes()), ELM) if each.json.is_file() else None
        if text is not None:
            found[each.name] = {"elm": json.loads(text)}
    return found


def _named(path: Path) -> str:
    return f"questionnaires/{path.parent.name}/{path.name}"
