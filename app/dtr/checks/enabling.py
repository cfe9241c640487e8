"""enableWhen: what it refers to, and items that it can never enable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.dtr import extensions
from app.dtr.answer_space import UnknownAnswers, answer_space
from app.dtr.checks.subject import Subject
from app.dtr.enable_when import enabled
from app.rulebook.spelling import nearest

_ANSWER_OF = {
    "boolean": ("answerBoolean",),
    "decimal": ("answerDecimal", "answerInteger"),
    "integer": ("answerInteger", "answerDecimal"),
    "date": ("answerDate",),
    "dateTime": ("answerDateTime", "answerDate"),
    "time": ("answerTime",),
    "string": ("answerString",),
    "text": ("answerString",),
    "url": ("answerString",),
    "choice": ("answerCoding", "answerString", "answerInteger", "answerDate", "answerTime"),
    "open-choice": ("answerCoding", "answerString"),
    "quantity": ("answerQuantity",),
    "reference": ("answerReference",),
}


def check_enabling(subject: Subject) -> None:
    """Every condition of every item, and whether the item can be reached at all."""
    for item, above in subject.items:
        conditions = item.get("enableWhen")
        if not isinstance(conditions, list) or not conditions:
            continue
        link_id = item["linkId"]
        if any(extensions.of(item, extensions.ENABLE_WHEN_EXPRESSION)):
            subject.error(link_id, "It has enableWhen and an enableWhenExpression (SDC).", "Keep one.")
        if len(conditions) > 1 and item.get("enableBehavior") not in ("all", "any"):
            subject.error(link_id, "Several conditions without enableBehavior (FHIR que-12).", 'Add "all" or "any".')
        possible = [_check_condition(subject, item, above, condition) for condition in conditions]
        if item.get("enableBehavior") == "any":
            reachable = any(possible)
        else:
            reachable = all(possible) and not _contradict(subject, conditions)
        if not reachable:
            words = "The item can never be enabled: no answers meet its enableWhen."
            subject.error(link_id, words, "Correct the condition, or take the item out.")


def _check_condition(
    subject: Subject, item: Mapping[str, Any], above: tuple[str, ...], condition: Mapping[str, Any]
) -> bool:
    """Whether the condition can hold; what is wrong with its form is told here, and is not told twice."""
    link_id, asked = item["linkId"], str(condition.get("question"))
    question = subject.item(asked)
    if question is None:
        names = [each["linkId"] for each, _ in subject.items if each["linkId"] != link_id]
        subject.error(link_id, f"enableWhen asks for '{asked}', which the form does not have.", nearest(asked, names))
        return True
    if asked == link_id or any(each["linkId"] == asked and link_id in over for each, over in subject.items):
        subject.error(link_id, "It is enabled by itself or by what it holds.", "Ask for a question outside of it.")
        return True
    kind = question.get("type")
    if kind in ("group", "display"):
        subject.error(link_id, f"enableWhen asks for '{asked}', a {kind} without an answer.", "Ask for a question.")
        return True
    given = [key for key in condition if key.startswith("answer")]
    if len(given) != 1:
        subject.error(link_id, f"The condition on '{asked}' needs one answer to compare with.", "Add answer[x].")
        return True
    if condition.get("operator") == "exists":
        if given != ["answerBoolean"]:
            subject.error(link_id, "'exists' takes answerBoolean (FHIR que-7).", "Write answerBoolean.")
        return True
    allowed = _ANSWER_OF.get(str(kind), ())
    if given[0] not in allowed:
        words = f"'{asked}' is a {kind}, and is compared with {given[0]}."
        subject.error(link_id, words, f"Write {' or '.join(allowed) or 'exists'}.")
        return True
    return _can_hold(subject, question, condition)


def _can_hold(subject: Subject, question: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    """Whether one of the question's own options meets the condition; a question without options may be anything."""
    try:
        space = answer_space(question, subject.form, lambda _: None)
    except UnknownAnswers:
        return True
    if space is None or question.get("type") == "open-choice":
        return True
    return any(_meets(condition, option) for option in space)


def _meets(condition: Mapping[str, Any], option: dict[str, Any]) -> bool:
    return enabled({"enableWhen": [condition]}, lambda _: [option])


def _contradict(subject: Subject, conditions: list[Any]) -> bool:
    """Whether all of the conditions together ask one question for two answers at once."""
    wanted: dict[str, dict[str, Any]] = {}
    for condition in conditions:
        asked = str(condition.get("question"))
        question = subject.item(asked)
        if condition.get("operator") != "=" or question is None or question.get("repeats"):
            continue
        value = next((value for key, value in condition.items() if key.startswith("answer")), None)
        option = {"value": value}
        if asked in wanted and not _meets(condition, wanted[asked]):
            return True
        wanted.setdefault(asked, option)
    return False
