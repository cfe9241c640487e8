"""Filling a form in before anybody opens it (SDC 4.0.0, "Form Population"; DTR 2.2, oper-19 and spec-40).

Pure: the form, where its answers come from, and the data in; a draft QuestionnaireResponse and what became of each item
out. Items are walked in the order of the form, again and again until nothing changes, because answers enable items and
calculated answers read answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app import fhirpath
from app.dtr import extensions
from app.dtr.answer_space import Expand
from app.dtr.coerce import coerce
from app.dtr.draft import Version, draft, origin
from app.dtr.enable_when import enabled
from app.dtr.evaluation import Evaluator, Found
from app.dtr.expressions import Unsound, fhirpath_in, launch_names, volatile
from app.dtr.outcome import ItemOutcome, Kind, item_path
from app.dtr.prefill_data import PrefillData
from app.fhir import outcomes
from app.rulebook.prefill import Prefill

PASSES = 10
REPETITIONS = 100

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Populated:
    """A draft response without `id`, and what became of each item that has a source; `remarks` are about the whole."""

    response: dict[str, Any]
    items: tuple[ItemOutcome, ...]
    remarks: tuple[dict[str, Any], ...] = ()

    @property
    def issues(self) -> list[dict[str, Any]]:
        """Issues for an OperationOutcome: every item's outcome with its path, then remarks."""
        return [*(item.issue() for item in self.items), *self.remarks]


def populate(
    questionnaire: Mapping[str, Any],
    prefill: Prefill | None,
    data: PrefillData,
    version: Version,
    expand: Expand = lambda canonical: None,
    *,
    trails: bool = False,
) -> Populated:
    """The draft response of a form. `expand` gives the Codings of a value set that the form names but does not hold.

    `trails` adds to each item how its expression came to what it did.
    """
    form = _Form(questionnaire, prefill, data, version, expand, trails=trails)
    response = draft(questionnaire, data, version)
    for _ in range(PASSES):
        items = form.fill(response)
        if items == response.get("item", []):
            break
        response = {**response, "item": items}
        if not form.unsettled:
            break
    else:
        words = f"The answers did not settle within {PASSES} passes; some may not follow from the others."
        form.remarks.append(outcomes.issue("warning", "processing", words, ["Questionnaire"]))
    response = {**response, "item": items}
    if not items:
        del response["item"]
        if version == "2.0":  # there the profile wants an item (dtr-questionnaireresponse 2.0.1, item 1..*)
            response["item"] = [_shell(item) for item in questionnaire.get("item", ())[:1]]
    return Populated(response, tuple(form.outcomes), tuple(form.remarks))


@dataclass(frozen=True, slots=True)
class _Scope:
    """What holds for the items of one level: the names in scope, the answers of this repetition, and where we are."""

    names: dict[str, Any]
    answers: dict[str, list[Answer]]
    outer: _Scope | None
    path: str
    place: tuple[str | int, ...] = ()

    def given(self, link_id: str) -> Sequence[Answer] | None:
        """The answers to a question, in this repetition or around it; None when it was not reached yet."""
        scope: _Scope | None = self
        while scope is not None:
            if link_id in scope.answers:
                return scope.answers[link_id]
            scope = scope.outer
        return None


class _Form:
    """One form being filled. What does not look at the response is evaluated once, however many passes there are."""

    def __init__(
        self,
        questionnaire: Mapping[str, Any],
        prefill: Prefill | None,
        data: PrefillData,
        version: Version,
        expand: Expand,
        *,
        trails: bool,
    ) -> None:
        self._trails = trails
        self._questionnaire = questionnaire
        self._prefill = prefill
        self._expand = expand
        self._evaluator = Evaluator(data)
        self._known: dict[tuple[Any, ...], Found] = {}
        self._origin = [origin(version)]
        self._names = data.names()
        self._names["questionnaire"] = questionnaire
        self._before: dict[str, list[dict[str, Any]]] = {}  # items of the pass before: one may wait for a later one
        self._moving: set[str] = set()  # names whose value follows the response
        self.outcomes: list[ItemOutcome] = []
        self.remarks: list[dict[str, Any]] = []
        self.unsettled = False

    def fill(self, response: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One pass over the form, with the response of the pass before."""
        self.outcomes, self.remarks, self.unsettled = [], [], False
        self._before = {}
        for each in _every_item(response.get("item", ())):
            self._before.setdefault(each["linkId"], []).append(each)
        names = {**self._names, "resource": response, "rootResource": response, "context": response}
        for name in launch_names(self._questionnaire):
            names.setdefault(name, fhirpath.Unobtainable(f"the launch context's '{name}' is the client's to give"))
        if "clinical" in launch_names(self._questionnaire):
            names["clinical"] = self._names["order"]
        scope = _Scope(names, {}, None, "Questionnaire")
        if self._prefill is not None:
            for name, expression in self._prefill.variables.items():
                self._bind(scope, name, expression)
        self._own_variables(self._questionnaire, scope)
        return self._items(self._questionnaire.get("item"), scope)

    def _bind(self, scope: _Scope, name: str, expression: fhirpath.Expression) -> None:
        """Give a name the results of an expression; one that cannot be evaluated is a gap to whoever uses it."""
        found = self._find(expression, scope, (*scope.place, f"%{name}"))
        if self._moves(expression):
            self._moving.add(name)
        value: Any = list(found.results)
        if found.problem is not None:
            value = fhirpath.Unobtainable(found.problem)
        scope.names[name] = value

    def _own_variables(self, element: Mapping[str, Any], scope: _Scope) -> None:
        """The variables an element declares (SDC: in order, yet one may name a later one, so try until it stands)."""
        try:
            waiting = [each for each in fhirpath_in(element, extensions.VARIABLE) if each.name is not None]
        except Unsound as error:
            words = f"A variable of the form cannot be evaluated: {error}"
            self.remarks.append(outcomes.issue("warning", "incomplete", words, [scope.path]))
            return
        for each in waiting:
            scope.names.setdefault(str(each.name), fhirpath.Unobtainable("it is not defined"))
        while waiting:
            among = {each.name for each in waiting}
            ready = [each for each in waiting if not (each.expression.variables & among)]
            for each in ready or waiting:  # a ring of names: each finds the others undefined
                self._bind(scope, str(each.name), each.expression)
            waiting = [each for each in waiting if ready and each not in ready]

    def _moves(self, expression: fhirpath.Expression) -> bool:
        """Whether it looks at the response, itself or by a name."""
        return volatile(expression.text) or not self._moving.isdisjoint(expression.variables)

    def _find(self, expression: fhirpath.Expression, scope: _Scope, key: tuple[Any, ...]) -> Found:
        if self._moves(expression):
            self.unsettled = True
            return self._evaluator.find(expression, scope.names)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._evaluator.find(expression, scope.names)
        return found

    def _items(self, items: Any, scope: _Scope) -> list[dict[str, Any]]:
        filled: list[dict[str, Any]] = []
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and isinstance(item.get("linkId"), str):
                filled += self._item(item, scope)
        return filled

    def _item(self, item: Mapping[str, Any], scope: _Scope) -> list[dict[str, Any]]:
        """The item in the response: nothing, once, or, of a group that repeats, several times."""
        if "enableWhen" in item:
            self.unsettled = True
        inner = self._within(item, scope)
        if not self._enabled(item, inner, scope):
            scope.answers[item["linkId"]] = []
            return []
        if any(extensions.of(item, extensions.VARIABLE)):
            self._own_variables(item, inner)
        if item.get("type") == "group":
            return self._group(item, inner, scope)
        if item.get("type") == "display":
            return []
        return self._question(item, inner, scope)

    def _within(self, item: Mapping[str, Any], scope: _Scope) -> _Scope:
        link_id = item["linkId"]
        place = (*scope.place, link_id)
        return replace(
            scope,
            names={**scope.names, "qitem": item, "context": self._before.get(link_id, [])},
            path=item_path(scope.path, link_id),
            place=place,
        )

    def _enabled(self, item: Mapping[str, Any], inner: _Scope, scope: _Scope) -> bool:
        """By enableWhen, or by an enableWhenExpression in FHIRPath. What only the client can tell counts as enabled."""

        def given(link_id: str) -> Sequence[Answer]:
            reached = scope.given(link_id)
            return _answers(self._before.get(link_id, ())) if reached is None else reached

        if not enabled(item, given):
            return False
        try:
            for each in fhirpath_in(item, extensions.ENABLE_WHEN_EXPRESSION):
                self.unsettled = True
                found = self._evaluator.find(each.expression, inner.names, evidence=False)
                if found.problem is not None:
                    self._tell(item, inner, "not-evaluated", f"Whether it is enabled is not known: {found.problem}")
                return found.results == (True,)
        except Unsound as error:
            self._tell(item, inner, "not-evaluated", f"Whether it is enabled is not known: {error}")
            return False
        return True

    def _group(self, item: Mapping[str, Any], inner: _Scope, scope: _Scope) -> list[dict[str, Any]]:
        source = self._population_context(item, inner)
        if source is None:
            return self._repetition(item, inner, scope.answers, {})
        name, found, expression = source
        if found.problem is not None:
            self._tell(item, inner, "not-evaluated", f"It could not be evaluated: {found.problem}", expression)
            return self._repetition(item, inner, scope.answers, {name: fhirpath.Unobtainable(found.problem)})
        if len(found.results) > 1 and not item.get("repeats"):
            words = f"There are {len(found.results)} results for a group that does not repeat."
            self._tell(item, inner, "not-evaluated", words, expression)
            return []
        if not found.results:
            self._tell(item, inner, "not-found", self._sought(item), expression)
            return self._repetition(item, inner, scope.answers, {name: []})
        if len(found.results) > REPETITIONS:
            words = f"Only the first {REPETITIONS} of {len(found.results)} results are filled in."
            self.remarks.append(outcomes.issue("warning", "too-costly", words, [inner.path]))
        filled: list[dict[str, Any]] = []
        for number, result in enumerate(found.results[:REPETITIONS]):
            of_this = replace(inner, place=(*inner.place, number), outer=scope)
            filled += self._repetition(item, of_this, {}, {name: [result]})
        return filled

    def _repetition(
        self, item: Mapping[str, Any], inner: _Scope, answers: dict[str, list[Answer]], names: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """One repetition of a group; none when nothing in it is answered. `answers` are those its items add to."""
        scope = replace(inner, names={**inner.names, **names}, answers=answers)
        below = self._items(item.get("item"), scope)
        return [{**_shell(item), "item": below}] if below else []

    def _population_context(
        self, item: Mapping[str, Any], inner: _Scope
    ) -> tuple[str, Found, fhirpath.Expression] | None:
        """What a group repeats over: the name of each result, the results, and the expression."""
        link_id = item["linkId"]
        own = self._prefill.items.get(link_id) if self._prefill is not None else None
        if own is not None and own.repeat_as is not None:
            found = self._find(own.expression, inner, inner.place)
            return own.repeat_as, found, own.expression
        try:
            for each in fhirpath_in(item, extensions.ITEM_POPULATION_CONTEXT):
                found = self._find(each.expression, inner, inner.place)
                return each.name or "", found, each.expression
        except Unsound as error:
            self._tell(item, inner, "not-evaluated", f"It could not be evaluated: {error}")
        return None

    def _question(self, item: Mapping[str, Any], inner: _Scope, scope: _Scope) -> list[dict[str, Any]]:
        answers = self._answers(item, inner)
        # Known before the items below it, which may be enabled by it.
        scope.answers[item["linkId"]] = answers
        if not answers:
            return []
        below = self._items(item.get("item"), inner)
        filled: list[dict[str, Any]] = [{"extension": self._origin, **answer} for answer in answers]
        if below:
            filled[0]["item"] = below
        return [{**_shell(item), "answer": filled}]

    def _answers(self, item: Mapping[str, Any], inner: _Scope) -> list[Answer]:
        """By `initial` where the form has it (nothing else then fills the item), else by the first that gives some."""
        initial = item.get("initial")
        if isinstance(initial, list) and initial:
            return [
                {key: value for key, value in each.items() if key.startswith("value")}
                for each in initial
                if isinstance(each, dict)
            ]
        try:
            sources = list(self._sources(item, inner))
        except Unsound as error:
            self._tell(item, inner, "not-evaluated", f"It could not be evaluated: {error}")
            return []
        told: tuple[Kind, str, fhirpath.Expression] | None = None
        for expression, key in sources:
            found = self._find(expression, inner, (*inner.place, key))
            if found.problem is not None:
                told = told or ("not-evaluated", f"It could not be evaluated: {found.problem}", expression)
                continue
            coerced = coerce(item, found.results, self._questionnaire, self._expand)
            if len(coerced.answers) > 1 and not item.get("repeats"):
                words = f"There are {len(coerced.answers)} answers for an item that takes one; none was chosen."
                told = told or ("not-evaluated", words, expression)
            elif coerced.answers:
                words = "Filled." if not coerced.refused else f"Filled, but for: {'; '.join(coerced.refused)}."
                self._tell(item, inner, "filled", words, expression, coerced.answers)
                return list(coerced.answers)
            elif coerced.refused:
                told = told or (
                    "not-evaluated",
                    f"What was found is no answer: {'; '.join(coerced.refused)}.",
                    expression,
                )
            else:
                told = told or ("not-found", self._sought(item), expression)
        if told is not None:
            self._tell(item, inner, *told)
        return []

    def _sources(self, item: Mapping[str, Any], inner: _Scope) -> Iterator[tuple[fhirpath.Expression, str]]:
        """Expressions for the answer, best first: prefill.yaml's, else the form's initial one; then its calculated."""
        own = self._prefill.items.get(item["linkId"]) if self._prefill is not None else None
        if own is not None:
            yield own.expression, "prefill"
        else:
            for each in fhirpath_in(item, extensions.INITIAL_EXPRESSION):
                yield each.expression, "initial"
        for each in fhirpath_in(item, extensions.CALCULATED_EXPRESSION):
            yield each.expression, "calculated"

    def _sought(self, item: Mapping[str, Any]) -> str:
        own = self._prefill.items.get(item["linkId"]) if self._prefill is not None else None
        wanted = own.looks_for if own is not None and own.looks_for else item.get("text") or item["linkId"]
        return f"Looked for and not there: {wanted}"

    def _tell(
        self,
        item: Mapping[str, Any],
        inner: _Scope,
        kind: Kind,
        words: str,
        expression: fhirpath.Expression | None = None,
        answers: tuple[Answer, ...] = (),
    ) -> None:
        source = expression.text if expression is not None else None
        trail = self._evaluator.trail(expression, inner.names) if self._trails and expression is not None else None
        self.outcomes.append(ItemOutcome(item["linkId"], inner.path, kind, words, source, answers, trail))


def _shell(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item in a response, before its answers."""
    return {key: item[key] for key in ("linkId", "text") if key in item}


def _answers(items: Sequence[Mapping[str, Any]]) -> list[Answer]:
    return [answer for item in items for answer in item.get("answer", ())]


def _every_item(items: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The items of a response, however deep."""
    for item in items:
        yield item
        yield from _every_item(item.get("item", ()))
        for answer in item.get("answer", ()):
            yield from _every_item(answer.get("item", ()))
