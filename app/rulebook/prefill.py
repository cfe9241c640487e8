"""`questionnaires/<form>/prefill.yaml`: what to keep of the patient's record for a form, and whence its answers come.

The expressions are the server's own; the published Questionnaire does not hold them, since the names they use
(`%order`, `%coverage`, `%member`, `%observations`, …) mean nothing to a client (SDC, "Expressions").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app import fhirpath
from app.fhir.json import encode
from app.rulebook.documents import Document, Path
from app.rulebook.scope import Need
from app.rulebook.spelling import nearest
from benefit_router import CodeList, Problem

# Kinds of the record, each with its type in FHIR R4.
KINDS = {
    "conditions": "Condition",
    "medications": "MedicationRequest",
    "observations": "Observation",
    "procedures": "Procedure",
    "allergies": "AllergyIntolerance",
    "encounters": "Encounter",
    "reports": "DiagnosticReport",
    "devices": "Device",
}
# Every name the server gives, with its type where it has one of FHIR's.
NAMES: dict[str, str | None] = {
    "patient": "Patient",
    "coverage": "Coverage",
    "encounter": "Encounter",
    "order": None,
    "member": None,
    "questionnaire": "Questionnaire",
    "qitem": None,
    **KINDS,
}

_LAUNCH_CONTEXTS = ("patient", "encounter")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the answer of one item comes from. `repeat_as`: it is a group, with one repetition for each result."""

    expression: fhirpath.Expression
    looks_for: str | None = None
    repeat_as: str | None = None


@dataclass(frozen=True, slots=True)
class Prefill:
    """One form's prefill. `variables` in the order they are evaluated; `items` by linkId.

    `names` are those its expressions use, and the launch contexts that the form's own use.
    """

    form: str
    needs: tuple[Need, ...]
    variables: Mapping[str, fhirpath.Expression]
    items: Mapping[str, Source]
    names: frozenset[str]


def build_prefill(
    document: Document, slug: str, form: Mapping[str, Any], lists: Mapping[str, CodeList], problems: list[Problem]
) -> Prefill:
    """The prefill of a form from a document that meets its schema; what does not hold is added to `problems`."""
    data: dict[str, Any] = document.data
    if data["prefill"] != slug:
        words = f"The folder is named '{slug}', the prefill '{data['prefill']}'."
        problems.append(document.problem(("prefill",), words, "Give both the same name."))
    needs = tuple(_needs(document, lists, problems))
    reading = _Reading(document, frozenset(need.kind for need in needs), lists, problems)
    variables: dict[str, fhirpath.Expression] = {}
    for name, text in data.get("variables", {}).items():
        if name in NAMES:
            words = f"%{name} is a name of the server's own."
            problems.append(document.problem(("variables", name), words, "Choose another name."))
        elif compiled := reading.expression(("variables", name), text, (*variables,)):
            variables[name] = compiled
    items = dict(_items(reading, form, tuple(variables)))
    used = {name for each in variables.values() for name in each.variables}
    used |= {name for source in items.values() for name in source.expression.variables}
    written = encode(form)
    used |= {name for name in _LAUNCH_CONTEXTS if f"%{name}".encode() in written}
    return Prefill(slug, needs, variables, items, frozenset(used))


def _needs(document: Document, lists: Mapping[str, CodeList], problems: list[Problem]) -> Iterator[Need]:
    for position, entry in enumerate(document.data.get("needs", ())):
        if isinstance(entry, str):
            yield Need(entry)
            continue
        kinds = [kind for kind in entry if kind in KINDS]
        if len(kinds) != 1:
            words = "An entry names one kind of the record."
            problems.append(document.problem(("needs", position), words, "Make each kind an entry of its own."))
            continue
        stated = entry[kinds[0]]
        name = None if stated == "all" else stated.removeprefix("list:")
        if name is not None and name not in lists:
            words = f"There is no list '{name}'."
            problems.append(document.problem(("needs", position, kinds[0]), words, nearest(name, lists)))
            continue
        yield Need(kinds[0], name, entry.get("within_days"))


@dataclass(frozen=True, slots=True)
class _Reading:
    """What compiling an expression of one file needs."""

    document: Document
    kinds: frozenset[str]
    lists: Mapping[str, CodeList]
    problems: list[Problem]

    def expression(self, path: Path, text: str, names: tuple[str, ...]) -> fhirpath.Expression | None:
        """The compiled expression; None, with a problem, when it is not sound. `names` are the file's own in scope."""
        try:
            compiled = fhirpath.compile(text, variables={*NAMES, *names}, types=NAMES)
        except fhirpath.FhirPathSyntaxError as error:
            words = f"{error.message}\n{error.caret()}"
            self._problem(path, words, "Correct the FHIRPath expression.")
            return None
        for value_set in compiled.value_sets:
            name = value_set.removeprefix("list:")
            if name not in self.lists:
                self._problem(path, f"There is no list '{name}'.", nearest(name, self.lists))
        for name in sorted((compiled.variables & KINDS.keys()) - self.kinds):
            self._problem(path, f"%{name} is used but would not be kept.", f"Add '{name}' to 'needs'.")
        return compiled

    def _problem(self, path: Path, words: str, remedy: str) -> None:
        self.problems.append(self.document.problem(path, words, remedy))


def _items(reading: _Reading, form: Mapping[str, Any], variables: tuple[str, ...]) -> Iterator[tuple[str, Source]]:
    document, problems = reading.document, reading.problems
    stated: dict[str, Any] = document.data["items"]
    known = dict(walk(form.get("item")))
    named = {link_id: entry["as"] for link_id, entry in stated.items() if isinstance(entry, dict) and "as" in entry}
    for link_id, entry in stated.items():
        path: Path = ("items", link_id)
        if link_id not in known:
            problems.append(document.problem(path, f"The form has no item '{link_id}'.", nearest(link_id, known)))
            continue
        item, above = known[link_id]
        wanted = _one_of(entry, item)
        if wanted is not None:
            problems.append(document.problem(path, *wanted))
            continue
        in_scope = (*variables, *(named[each] for each in above if each in named))
        key = "repeat" if item.get("type") == "group" else "from"
        text = entry if isinstance(entry, str) else entry[key]
        place = path if isinstance(entry, str) else (*path, key)
        if compiled := reading.expression(place, text, in_scope):
            rest = {} if isinstance(entry, str) else entry
            yield link_id, Source(compiled, rest.get("looks_for"), rest.get("as"))


def _one_of(entry: Any, item: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with the shape of an entry for this item, and the remedy."""
    kind = item.get("type")
    if kind == "display":
        return "A display item has no answer.", "Leave it out."
    if kind == "group":
        if not isinstance(entry, dict) or "repeat" not in entry or "as" not in entry or "from" in entry:
            return "A group has no answer of its own.", "Give it 'repeat' and 'as', or leave it out."
        if entry["as"] in NAMES:
            return f"%{entry['as']} is a name of the server's own.", "Choose another name for 'as'."
        return None
    if isinstance(entry, dict) and ("from" not in entry or "repeat" in entry or "as" in entry):
        return "A question takes 'from'; 'repeat' and 'as' are for groups.", "Write 'from:' with the expression."
    return None


def walk(items: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[dict[str, Any], tuple[str, ...]]]]:
    """Every item of a Questionnaire in the order of the form: its linkId, the item, and the linkIds above it."""
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and isinstance(item.get("linkId"), str):
            yield item["linkId"], (item, above)
            yield from walk(item.get("item"), (*above, item["linkId"]))
