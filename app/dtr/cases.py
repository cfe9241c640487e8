"""The cases of a form, `questionnaires/<form>/cases/*.yaml`: a patient in, the expected answers out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.dtr.answer_space import codings_in
from app.dtr.bundle_data import from_bundle
from app.dtr.populate import Populated, populate
from app.errors import InvalidRequest
from app.fhir.codings import coding_of, short_name
from app.fhir.json import decode
from app.members import Member
from app.rulebook import schema
from app.rulebook.documents import check_encoding, read_document
from app.rulebook.prefill import KINDS, walk
from app.rulebook.rulebook import Rulebook
from app.rulebook.spelling import nearest
from benefit_router import Problem

Plain = bool | Decimal | str
"""An answer as a case file writes it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `expect` is by linkId: an outcome's kind, or the answers. `place` is file and line."""

    form: str
    name: str
    title: str
    on: date
    bundle: Mapping[str, Any]
    member: Member | None
    partial: Mapping[str, str]
    expect: Mapping[str, str | tuple[Plain, ...]]
    place: str


def read_cases(questionnaires: Path, rulebook: Rulebook) -> tuple[list[Case], list[Problem]]:
    """Every case of every form, and what is wrong with the files."""
    cases: list[Case] = []
    problems: list[Problem] = []
    for path in sorted(questionnaires.glob("*/cases/*.yaml")):
        case = _read(path, path.relative_to(questionnaires.parent).as_posix(), rulebook, problems)
        if case is not None:
            cases.append(case)
    return cases, problems


def _read(path: Path, file: str, rulebook: Rulebook, problems: list[Problem]) -> Case | None:
    text = path.read_text(encoding="utf-8", errors="replace")
    found = check_encoding(text, file)
    document, wrong = read_document(text, file)
    found += wrong
    if document is not None and not found:
        found += schema.check(document, "cases")
    problems += found
    if document is None or found:
        return None
    data: dict[str, Any] = document.data
    form = path.parent.parent.name
    if form not in rulebook.forms:
        found.append(document.problem((), f"There is no form '{form}'.", nearest(form, rulebook.forms)))
    if data["case"] != path.stem:
        words = f"The file is named '{path.stem}', the case '{data['case']}'."
        found.append(document.problem(("case",), words, "Give both the same name."))
    known = dict(walk(rulebook.forms.get(form, {}).get("item")))
    for key, names in (("expect", known), ("partial", KINDS)):
        for name in data.get(key, {}):
            if name not in names:
                found.append(document.problem((key, name), f"There is no '{name}' here.", nearest(name, names)))
    bundle = None
    try:
        bundle = decode((path.parent / data["data"]).read_bytes())
    except OSError as error:
        words = f"The data cannot be read: {error.strerror}."
        found.append(document.problem(("data",), words, "Put the Bundle beside the case."))
    except InvalidRequest as error:
        found.append(document.problem(("data",), f"The data are not JSON: {error}", "Correct the Bundle."))
    if bundle is not None and (not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle"):
        found.append(document.problem(("data",), "The data are no Bundle.", "Put the patient's resources in one."))
    problems += found
    if found or not isinstance(bundle, dict):
        return None
    return Case(
        form=form,
        name=data["case"],
        title=data["title"],
        on=date.fromisoformat(data["on"]),
        bundle=bundle,
        member=_member(data.get("member")),
        partial=data.get("partial", {}),
        expect={link_id: _expected(entry) for link_id, entry in data["expect"].items()},
        place=f"{file}:{document.line(('expect',))}",
    )


def _member(described: Mapping[str, Any] | None) -> Member | None:
    if described is None:
        return None
    names = ("line", "plan", "birth_date")
    told = {name: described.get(name) for name in names}
    return Member(member_id=described["id"], source="roster", flags=described.get("flags", {}), **told)


def _expected(entry: str | Mapping[str, Any]) -> str | tuple[Plain, ...]:
    if isinstance(entry, str):
        return entry
    stated = entry["answers"] if "answers" in entry else [entry["answer"]]
    return tuple(each if isinstance(each, bool | str) else Decimal(each) for each in stated)


def run(case: Case, rulebook: Rulebook) -> list[str]:
    """In what the form came out otherwise than the case expects; [] is good."""
    prefill = rulebook.prefills.get(case.form)
    now = datetime.combine(case.on, time(), tzinfo=UTC)
    data = from_bundle(case.bundle, prefill, rulebook, now=now, member=case.member, partial=case.partial)
    populated = populate(rulebook.forms[case.form], prefill, data, "2.2", codings_in(rulebook.value_sets))
    return list(_differences(case, populated))


def _differences(case: Case, populated: Populated) -> Iterator[str]:
    answered = answers(populated)
    told = {each.link_id: each for each in populated.items if each.kind != "filled"}
    for link_id, expected in case.expect.items():
        outcome = told.get(link_id)
        if isinstance(expected, tuple):
            given = answered.get(link_id, ())
            if given != expected:
                why = f" ({outcome.words})" if outcome is not None and not given else ""
                yield f"'{link_id}' is {_listed(given)}, not {_listed(expected)}{why}"
        elif link_id in answered or outcome is None:
            yield f"'{link_id}' is {_listed(answered.get(link_id, ()))}, not {expected}"
        elif outcome.kind != expected:
            yield f"'{link_id}' is {outcome.kind}, not {expected} ({outcome.words})"
    for link_id in answered.keys() - case.expect.keys():
        yield f"'{link_id}' is {_listed(answered[link_id])}, and the case does not expect it"


def _listed(values: tuple[Plain, ...]) -> str:
    return ", ".join(str(each).lower() if isinstance(each, bool) else str(each) for each in values) or "left blank"


def answers(populated: Populated) -> dict[str, tuple[Plain, ...]]:
    """The answers of a draft as a case file writes them, by linkId; `initial` values of the form among them."""
    found: dict[str, tuple[Plain, ...]] = {}
    waiting = list(populated.response.get("item", ()))
    while waiting:
        item = waiting.pop(0)
        given = item.get("answer", ())
        if given:
            found[item["linkId"]] = (*found.get(item["linkId"], ()), *(plain(each) for each in given))
        waiting += item.get("item", ())
        for answer in given:
            waiting += answer.get("item", ())
    return found


def plain(answer: Mapping[str, Any]) -> Plain:
    """One answer in a word: `true`, `87`, `2026-11-10`, `4 L/min`, `ICD-10-CM J44.9`, `Practitioner/d1`."""
    key, value = next((key, value) for key, value in answer.items() if key.startswith("value"))
    match key:
        case "valueCoding":
            coding = coding_of(value)
            return f"{short_name(coding.system)} {coding.code}".strip() if coding else str(value.get("display", ""))
        case "valueQuantity":
            number = f"{value.get('comparator', '')}{value['value']}"
            return f"{number} {value.get('code') or value.get('unit') or ''}".strip()
        case "valueReference":
            return str(value["reference"])
        case "valueAttachment":
            return str(value.get("url") or value.get("title") or value.get("contentType"))
        case _:
            return value if isinstance(value, bool | str) else Decimal(value)
