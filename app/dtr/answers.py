"""A response held against its form: what is wrong with it, and which of its answers count.

Only what the profiles' mandatory and must-support elements express is held against it (conf-10): types, options,
repetition and what is required. Not limits, lengths or patterns, which a client need not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.dtr.answer_space import Expand, UnknownAnswers, answer_space
from app.dtr.enable_when import enabled
from app.dtr.outcome import item_path
from app.errors import InvalidRequest
from app.fhir import dates, outcomes
from app.fhir.codings import coding_of

Resource = dict[str, Any]

_VALUES: Mapping[str, tuple[str, ...]] = {
    "boolean": ("valueBoolean",),
    "decimal": ("valueDecimal",),
    "integer": ("valueInteger",),
    "date": ("valueDate",),
    "dateTime": ("valueDateTime",),
    "time": ("valueTime",),
    "string": ("valueString",),
    "text": ("valueString",),
    "url": ("valueUri",),
    "choice": ("valueCoding", "valueString", "valueInteger", "valueDate", "valueTime", "valueReference"),
    "open-choice": ("valueCoding", "valueString", "valueInteger", "valueDate", "valueTime", "valueReference"),
    "attachment": ("valueAttachment",),
    "reference": ("valueReference",),
    "quantity": ("valueQuantity",),
}
_OBJECTS = frozenset({"valueCoding", "valueReference", "valueAttachment", "valueQuantity"})
MOST = 5000
"""Items and answers of one response; beyond, it is refused."""


@dataclass(slots=True)
class Checked:
    """`issues` make the response invalid. `items` are its items without those that its answers leave disabled."""

    issues: list[Resource] = field(default_factory=list)
    items: list[Resource] = field(default_factory=list)


class InvalidAnswers(InvalidRequest):
    """Answers that the form does not take (spec-147); `issues` say which."""

    def __init__(self, issues: list[Resource]) -> None:
        super().__init__(issues[0]["diagnostics"], code=issues[0]["code"])
        self.issues = tuple(issues)


def check(form: Mapping[str, Any], response: Mapping[str, Any], expand: Expand, *, complete: bool) -> Checked:
    """Hold a response against a form. `complete`: what is required must be answered."""
    checked = Checked()
    if sum(1 for _ in _every(response.get("item"))) > MOST:
        words = f"The response has more than {MOST} items and answers."
        checked.issues.append(outcomes.issue("error", "too-costly", words, ["QuestionnaireResponse"]))
        return checked
    reading = _Reading(form, expand, complete, checked.issues)
    checked.items = reading.items(form.get("item"), response.get("item"), "QuestionnaireResponse", (response,))
    return checked


class _Reading:
    """One response being read, level by level. `around`: what holds the items at hand, from the root inwards."""

    def __init__(self, form: Mapping[str, Any], expand: Expand, complete: bool, issues: list[Resource]) -> None:
        self._form = form
        self._expand = expand
        self._complete = complete
        self._issues = issues

    def items(self, asked: Any, given: Any, path: str, around: tuple[Mapping[str, Any], ...]) -> list[Resource]:
        """The items of one level that count, in the order of the form."""
        by_link: dict[str, list[Resource]] = {}
        for item in _objects(given):
            by_link.setdefault(str(item.get("linkId")), []).append(item)
        kept: list[Resource] = []
        for item in _objects(asked):
            link_id = str(item.get("linkId"))
            found = by_link.pop(link_id, [])
            if enabled(item, lambda question: _answers_to(question, around)):
                kept += self._item(item, found, item_path(path, link_id), around)
        for link_id in by_link:
            self._wrong("structure", f"The form has no item '{link_id[:60]}' here.", path)
        return kept

    def _item(
        self, asked: Mapping[str, Any], found: Sequence[Resource], path: str, around: tuple[Mapping[str, Any], ...]
    ) -> Iterator[Resource]:
        if asked.get("type") == "display":
            return
        if len(found) > 1 and not (asked.get("type") == "group" and asked.get("repeats")):
            self._wrong("structure", "The item stands more than once.", path)
        if asked.get("type") == "group":
            for item in found or ({},):
                below = self.items(asked.get("item"), item.get("item"), path, (*around, item))
                if below:
                    yield {**_shell(asked, item), "item": below}
            return
        answers = [answer for item in found for answer in _objects(item.get("answer")) if _value(answer)[0]]
        if not answers and asked.get("required") and self._complete:
            self._wrong("required", "The question must be answered.", path)
        if len(found) == 1 and len(answers) > 1 and not asked.get("repeats"):
            self._wrong("structure", "The question takes one answer.", path)
        kept = []
        for answer in answers:
            self._answer(asked, answer, path)
            below = self.items(asked.get("item"), answer.get("item"), path, (*around, answer))
            kept.append({**{k: v for k, v in answer.items() if k != "item"}, **({"item": below} if below else {})})
        if kept:
            yield {**_shell(asked, found[0]), "answer": kept}

    def _answer(self, asked: Mapping[str, Any], answer: Mapping[str, Any], path: str) -> None:
        name, value = _value(answer)
        if name not in _VALUES.get(str(asked.get("type")), ()) or not _is_of(name, value):
            self._wrong("value", f"The answer is not of the type '{asked.get('type')}'.", path)
            return
        if asked.get("type") not in ("choice", "open-choice"):
            return
        try:
            space = answer_space(asked, self._form, self._expand)
        except UnknownAnswers:
            return  # a terminology server would know; the client has asked it
        if space is None or (asked["type"] == "open-choice" and name == "valueString"):
            return
        if not any(_same(name, value, option) for option in space):
            self._wrong("code-invalid", "The answer is none of those that the question offers.", path)

    def _wrong(self, code: str, words: str, path: str) -> None:
        self._issues.append(outcomes.issue("error", code, words, [path]))


def _objects(listed: Any) -> list[Resource]:
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _shell(asked: Mapping[str, Any], item: Mapping[str, Any]) -> Resource:
    return {"linkId": asked["linkId"], **{name: item[name] for name in ("text",) if name in item}}


def _value(answer: Mapping[str, Any]) -> tuple[str, Any]:
    return next(((name, value) for name, value in answer.items() if name.startswith("value")), ("", None))


def _is_of(name: str, value: Any) -> bool:
    if name == "valueBoolean":
        return isinstance(value, bool)
    if name == "valueInteger":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "valueDecimal":
        return isinstance(value, int | Decimal) and not isinstance(value, bool)
    if name in _OBJECTS:
        return isinstance(value, dict) and bool(value)
    return isinstance(value, str) and bool(value) and (name != "valueDate" or dates.parse(value) is not None)


def _same(name: str, value: Any, option: Mapping[str, Any]) -> bool:
    offered, expected = _value(option)
    if name == "valueCoding" and offered == name:
        one, other = coding_of(value), coding_of(expected)
        return one is not None and other is not None and one.key == other.key
    return offered == name and bool(value == expected)


def _answers_to(question: str, around: Iterable[Mapping[str, Any]]) -> list[Resource]:
    """The answers to a question in the nearest that holds it: of a repeating group, this repetition's own."""
    for holder in reversed(tuple(around)):
        found = [
            answer
            for item in _every(holder.get("item"))
            if item.get("linkId") == question
            for answer in _objects(item.get("answer"))
        ]
        if found:
            return found
    return []


def _every(items: Any) -> Iterator[Resource]:
    """The items of a response, however deep, with its answers that hold items."""
    for item in _objects(items):
        yield item
        yield from _every(item.get("item"))
        for answer in _objects(item.get("answer")):
            yield from _every(answer.get("item"))
