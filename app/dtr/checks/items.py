"""Rules about each item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.dtr import extensions
from app.dtr.checks.subject import Subject
from app.rulebook.spelling import nearest

TYPES = (
    "group", "display", "boolean", "decimal", "integer", "date", "dateTime", "time", "string", "text", "url",
    "choice", "open-choice", "attachment", "reference", "quantity",
)  # fmt: skip
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
_CORE = "http://hl7.org/fhir/StructureDefinition/"
ANSWER_EXPRESSION = f"{_SDC}answerExpression"
# What a client need not know (DTR 2.2, dtr-base-questionnaire: not mustSupport), so a form must not depend on it.
_NOT_SUPPORTED = {
    extensions.VARIABLE: "a variable on an item",
    extensions.ITEM_POPULATION_CONTEXT: "a population context on a group",
    ANSWER_EXPRESSION: "answerExpression",
    f"{_SDC}observationLinkPeriod": "observationLinkPeriod",
    f"{_CORE}minValue": "minValue",
    f"{_CORE}maxValue": "maxValue",
    f"{_CORE}regex": "regex",
    f"{_CORE}questionnaire-minOccurs": "minOccurs",
    f"{_CORE}questionnaire-maxOccurs": "maxOccurs",
}
OPTIONAL_DISPLAY = f"{_SDC}itemOptionalDisplay"
_POPULATING = (extensions.INITIAL_EXPRESSION, extensions.CALCULATED_EXPRESSION, extensions.CANDIDATE_EXPRESSION)


def check_item(subject: Subject, item: Mapping[str, Any]) -> None:
    """The item's own elements, without what it says of other items."""
    link_id, kind = item["linkId"], item.get("type")
    if kind not in TYPES:
        subject.error(link_id, f"'{kind}' is no type of item.", nearest(str(kind), TYPES))
        return
    if not item.get("text"):
        subject.error(link_id, "The item has no text (DTR: 1..1).", "Add 'text'.")
    if any(extensions.of(item, OPTIONAL_DISPLAY)):
        subject.error(link_id, "DTR forbids itemOptionalDisplay.", "Take the extension out.")
    for url, name in _NOT_SUPPORTED.items():
        if any(extensions.of(item, url)):
            words = f"A client need not support {name} (DTR spec-21)."
            subject.warn(link_id, words, "See that the form works without it.")
    if kind in ("group", "display"):
        _check_no_question(subject, item)
    else:
        _check_question(subject, item)


def _check_no_question(subject: Subject, item: Mapping[str, Any]) -> None:
    link_id, kind = item["linkId"], item["type"]
    if kind == "group" and not item.get("item"):
        subject.error(link_id, "A group with nothing in it (FHIR que-1).", "Put items in it, or make it a display.")
    if kind == "display" and item.get("item"):
        subject.error(link_id, "A display item holds items (FHIR que-1).", "Make it a group.")
    if kind == "display" and (item.get("required") or item.get("repeats")):
        subject.error(link_id, "A display item is required or repeats (FHIR que-6).", "Take that out.")
    for element in ("initial", "answerOption", "answerValueSet"):
        if element in item:
            subject.error(link_id, f"A {kind} has no '{element}'.", "Take it out, or make it a question.")
    if any(any(extensions.of(item, url)) for url in _POPULATING):
        subject.error(link_id, f"A {kind} has no answer, so no expression can fill it.", "Move it to a question.")


def _check_question(subject: Subject, item: Mapping[str, Any]) -> None:
    link_id, kind = item["linkId"], item["type"]
    has_initial = "initial" in item
    if has_initial and any(extensions.of(item, extensions.INITIAL_EXPRESSION)):
        subject.error(link_id, "It has 'initial' and an initialExpression (SDC sdc-pop-1).", "Keep one.")
    if has_initial and any(extensions.of(item, extensions.CALCULATED_EXPRESSION)):
        subject.error(link_id, "It has 'initial' and a calculatedExpression (SDC).", "Keep one.")
    if has_initial and subject.prefilled(link_id):
        subject.error(link_id, "It has 'initial', so its prefill never fills it.", "Keep one.")
    _check_answers(subject, item)
    if kind == "reference" and not extensions.values(item, extensions.REFERENCE_RESOURCE, "valueCode"):
        words = "A reference does not say to what (DTR dtrq-4)."
        subject.error(link_id, words, "Add the extension questionnaire-referenceResource.")
    if kind == "quantity" and not any(
        any(extensions.of(item, url)) for url in (extensions.UNIT_OPTION, extensions.UNIT_VALUE_SET)
    ):
        subject.warn(link_id, "A quantity does not say in which units (DTR dtrq-3).", "Add questionnaire-unitOption.")
    filled = subject.prefilled(link_id) or any(any(extensions.of(item, url)) for url in _POPULATING)
    hidden = item.get("readOnly") is True or True in extensions.values(item, extensions.HIDDEN, "valueBoolean")
    if hidden and filled:
        words = "A hidden or read-only item is filled from the record (DTR sec-4)."
        subject.error(link_id, words, "Show it and let it be changed, or do not fill it.")
    if item.get("required") and not filled and not has_initial:
        words = "A required item that nothing fills (DTR spec-54)."
        subject.warn(link_id, words, "Add it to prefill.yaml if the record can tell, or leave it not required.")


def _check_answers(subject: Subject, item: Mapping[str, Any]) -> None:
    link_id, kind = item["linkId"], item["type"]
    options, value_set = item.get("answerOption"), item.get("answerValueSet")
    if options is not None and value_set is not None:
        subject.error(link_id, "It has answerOption and answerValueSet (FHIR que-4).", "Keep one.")
    choices = options or value_set or any(extensions.of(item, ANSWER_EXPRESSION))
    if kind in ("choice", "open-choice") and not choices:
        subject.warn(link_id, "A choice without choices (DTR dtrq-2).", "Add answerOption or answerValueSet.")
    for position, option in enumerate(options if isinstance(options, list) else (), 1):
        coding = option.get("valueCoding")
        if not any(key.startswith("value") for key in option):
            subject.error(link_id, f"Option {position} has no value.", "Give it a valueCoding.")
        elif isinstance(coding, dict) and not (coding.get("system") and coding.get("code")):
            words = f"Option {position} ({coding.get('display', 'without a display')}) has no system and code."
            subject.error(link_id, words, "Add both: an answer must mean the same to whoever reads it.")
    if not isinstance(value_set, str):
        return
    if value_set.startswith("#"):
        contained = subject.form.get("contained")
        names = [each.get("id") for each in (contained if isinstance(contained, list) else ())]
        if value_set[1:] not in names:
            subject.error(link_id, f"The form does not hold the value set {value_set}.", nearest(value_set[1:], names))
    elif "|" not in value_set:
        subject.warn(
            link_id, "The value set is named without its version (DTR oper-16).", f"Write {value_set}|version."
        )
