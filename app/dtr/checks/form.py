"""Rules about the form as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from app.dtr import extensions
from app.dtr.checks.enabling import check_enabling
from app.dtr.checks.expressions import check_expressions
from app.dtr.checks.items import check_item
from app.dtr.checks.subject import Subject
from app.rulebook.prefill import Prefill
from benefit_router import Problem

ADAPTIVE = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-questionnaireAdaptive"
_FORBIDDEN = {
    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-endpoint": "the payer's endpoint is known",
    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-assemble-expectation": "forms come assembled",
}
_LISTS = frozenset({"extension", "item", "answerOption", "enableWhen", "contained", "initial"})
_OBJECTS = frozenset({"valueCoding", "valueExpression", "valueQuantity", "effectivePeriod"})
_STYLE_SENSITIVE = "http://hl7.org/fhir/StructureDefinition/rendering-styleSensitive"


def check_form(slug: str, text: str, form: Mapping[str, Any], prefill: Prefill | None) -> list[Problem]:
    """Everything that is wrong with the form of a folder, in the order of the form."""
    subject = Subject(f"questionnaires/{slug}/questionnaire.json", text, form, prefill)
    for words in _misshapen(form, "Questionnaire"):
        subject.error(None, words, "Write it as FHIR has it.")
    if subject.problems:  # the other rules look at what is in there
        return subject.problems
    _check_root(subject)
    _check_link_ids(subject)
    for item, _ in subject.items:
        check_item(subject, item)
    check_enabling(subject)
    check_expressions(subject)
    return sorted(subject.problems, key=lambda problem: (problem.line or 0, problem.severity))


def _misshapen(value: Any, path: str) -> Iterator[str]:
    """Elements that hold no objects, or not in a list, where FHIR has them so."""
    for name, each in value.items():
        listed = each if name in _LISTS else [each] if name in _OBJECTS else None
        if listed is None:
            continue
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            yield f"{path}.{name} is not {'a list of objects' if name in _LISTS else 'an object'}."
            continue
        for position, one in enumerate(listed):
            yield from _misshapen(one, f"{path}.{name}[{position}]" if name in _LISTS else f"{path}.{name}")


def _check_root(subject: Subject) -> None:
    form = subject.form
    adaptive = any(extensions.of(form, ADAPTIVE))
    for name in ("status", "title"):
        if not form.get(name):
            subject.error(None, f"The form has no '{name}'.", "Add it.")
    if form.get("subjectType") != ["Patient"]:
        subject.error(None, "The form must be about exactly one Patient.", 'Write "subjectType": ["Patient"].')
    if not any(extensions.of(form, extensions.VERSION_ALGORITHM)):
        words = "The form has a version and does not say how versions compare (SDC sdc-2)."
        subject.error(None, words, f"Add the extension {extensions.VERSION_ALGORITHM} with semver.")
    if not form.get("effectivePeriod"):
        subject.warn(None, "The form does not say until when it holds (DTR spec-53).", "Add an effectivePeriod.")
    if not form.get("item") and not adaptive:
        subject.error(None, "The form asks nothing.", "Add items.")
    for url, why in _FORBIDDEN.items():
        if any(extensions.of(form, url)):
            subject.error(None, f"DTR forbids {url.rsplit('/', 1)[-1]}: {why}.", "Take the extension out.")
    if True in extensions.values(form, _STYLE_SENSITIVE, "valueBoolean"):
        subject.error(None, "DTR forbids forms that depend on their styling.", "Set rendering-styleSensitive to false.")
    for canonical in extensions.values(form, extensions.CQF_LIBRARY, "valueCanonical"):
        if "|" not in str(canonical):
            subject.warn(None, "A library is named without its version (DTR oper-16).", f"Write {canonical}|version.")


def _check_link_ids(subject: Subject) -> None:
    for item in _without_link_id(subject.form.get("item")):
        subject.error(None, f"An item has no linkId: {str(item.get('text'))[:60]!r}.", "Give it one of its own.")
    for link_id, count in Counter(item["linkId"] for item, _ in subject.items).items():
        if count > 1:
            subject.error(link_id, f"{count} items have this linkId (FHIR que-2).", "Give each its own.")
        if len(link_id) > 255:
            subject.error(link_id, "The linkId is longer than 255 characters (FHIR que-15).", "Shorten it.")


def _without_link_id(items: Any) -> Iterator[dict[str, Any]]:
    for item in items if isinstance(items, list) else ():
        if not isinstance(item.get("linkId"), str):
            yield item
        yield from _without_link_id(item.get("item"))
