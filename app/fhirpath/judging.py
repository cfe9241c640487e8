"""Judgement: the same tree emitted a second time, as three-valued closures.

Collections may be `Partial`. Three rules hold everywhere: what is open stays unknown unless the certain items decide
alone (Kleene's logic); what is complete is worked out by the very functions `evaluate` uses; an empty result carries
on why it is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.fhirpath import model, syntax
from app.fhirpath.analysis import Analysis
from app.fhirpath.collection import truth
from app.fhirpath.element import Element, Items, lift, step
from app.fhirpath.emitter import Emitter, context, restoring
from app.fhirpath.errors import GapError
from app.fhirpath.functions import FUNCTIONS, Function
from app.fhirpath.functions.subsetting import at
from app.fhirpath.gaps import Incomplete, Missing, Unobtainable
from app.fhirpath.operators import BINARY
from app.fhirpath.partial import Partial, absent, because, is_open, open_because, unknown
from app.fhirpath.scope import Body, Scope
from app.fhirpath.threevalued import LOGIC, WHOLE


class JudgingEmitter(Emitter):
    """Emits closures whose results may be `Partial`."""

    def __init__(self, text: str, analysis: Analysis, *, tracing: bool = False) -> None:
        super().__init__(text, analysis, tracing=tracing)
        self._labels: list[str] = [""]

    def label(self, node: syntax.Node) -> str:
        """The node as a path from where the data came in: `given` inside `name.where(…)` is `name.given`."""
        match node:
            case syntax.Special(name="$this"):
                return self._labels[-1] or "$this"
            case syntax.Path(source=None):
                before = self._labels[-1]
                return f"{before}.{node.name}" if before and not self.is_type_root(node) else node.name
            case syntax.Call(source=None):
                before = self._labels[-1]
                written = self.text[node.start : node.end]
                return f"{before}.{written}" if before else written
            case syntax.Path() | syntax.Call() | syntax.Index():
                source = node.source
                if source is not None:
                    return self.label(source) + self.text[source.end : node.end]
        return self.text[node.start : node.end]

    def lifted(self, value: Any, name: str, kind: model.Type | None) -> Items:
        return lifted(value, f"%{name}", kind)

    def path(self, node: syntax.Path) -> Body:
        if self.is_type_root(node):
            return self.type_root(node)
        label, name = self.label(node), node.name
        source = context if node.source is None else self.emit(node.source)
        return lambda scope, this: judged_step(source(scope, this), name, label)

    def type_root(self, node: syntax.Node | None) -> Body:
        plain = super().type_root(node)
        label = node.name if isinstance(node, syntax.Path) else ""

        def run(scope: Scope, this: Items) -> Items:
            return this if is_open(this) else plain(scope, this) or absent(label, "the context is of another type")

        return run

    def index(self, node: syntax.Index) -> Body:
        source, index, label = self.emit(node.source), self.emit(node.index), self.label(node)

        def run(scope: Scope, this: Items) -> Items:
            items = source(scope, this)
            return strict(label, lambda: at(scope, items, position), items, position := index(scope, this))

        return run

    def unary(self, node: syntax.Unary) -> Body:
        operand, label = self.emit(node.operand), self.label(node)
        apply = super().unary(syntax.Unary(operator=node.operator, operand=_HOLE, start=0, end=0))

        def run(scope: Scope, this: Items) -> Items:
            items = operand(scope, this)
            return strict(label, lambda: apply(scope, items), items)

        return run

    def type_test(self, node: syntax.TypeTest) -> Body:
        operand, label = self.emit(node.operand), self.label(node)
        target = self.analysis.type_target(node.type)
        apply = FUNCTIONS[node.operator].run

        def run(scope: Scope, this: Items) -> Items:
            items = operand(scope, this)
            return strict(label, lambda: apply(scope, items, target), items)

        return run

    def binary(self, node: syntax.Binary) -> Body:
        left, right, operator = self.emit(node.left), self.emit(node.right), node.operator
        label = self.label(node)
        if operator in LOGIC:
            return LOGIC[operator](left, right)
        apply = BINARY[operator]
        if operator == "|":
            return _union(label, left, right)
        if operator in ("in", "contains"):
            return _membership(label, *((left, right) if operator == "in" else (right, left)))

        def run(scope: Scope, this: Items) -> Items:
            first, second = left(scope, this), right(scope, this)
            return strict(label, lambda: apply(scope, first, second), first, second)

        return run

    def call(self, node: syntax.Call) -> Body:
        function = FUNCTIONS[node.name]
        label = self.label(node)
        source = context if node.source is None else self.emit(node.source)
        inner = self._labels[-1] if node.source is None else self.label(node.source)
        arguments: list[tuple[bool, Any]] = []
        for position, argument in enumerate(node.arguments):
            per_item = function.parameter(position).kind in ("expression", "sortkey")
            self._labels.append(inner if per_item else self._labels[-1])
            arguments.append(self.argument(function, position, argument))
            self._labels.pop()
        takes_expression = any(parameter.kind == "expression" for parameter in function.parameters)
        body = _judged_call(function, label, source, arguments)
        return restoring(body) if takes_expression and self.analysis.uses_position else body


_HOLE = syntax.Special(name="$this", start=0, end=0)


def _judged_call(function: Function, label: str, source: Body, arguments: list[tuple[bool, Any]]) -> Body:
    name, flow, run = function.name, function.flow, function.run
    whole = WHOLE.get(name)

    def call(scope: Scope, this: Items) -> Items:
        items = source(scope, this)
        passed = [value(scope, this) if evaluated else value for evaluated, value in arguments]
        if whole is not None:
            return whole(scope, label, items, *passed)
        data = [items, *(value for value, (evaluated, _) in zip(passed, arguments, strict=True) if evaluated)]
        if flow == "each":
            return each(label, lambda: run(scope, items, *passed), *data)
        return strict(label, lambda: run(scope, items, *passed), *data)

    return call


def strict(label: str, apply: Callable[[], Items], *operands: Items) -> Items:
    """Known only when all operands are; an empty result keeps the reasons of empty operands."""
    if any(map(is_open, operands)):
        return Partial([], open_because(*operands), open=True)
    try:
        result = apply()
    except GapError as gap:
        return unknown(Missing(label, gap.reason, "unobtainable"))
    if not result and type(result) is not Partial:
        reasons = because(*(items for items in operands if not items))
        return Partial([], reasons, open=False) if reasons else result
    return result


def each(label: str, apply: Callable[[], Items], *operands: Items) -> Items:
    """Worked out for the items that are there; open when an operand is."""
    reasons = open_because(*operands)
    opened = any(map(is_open, operands))
    try:
        result = apply()
    except GapError as gap:
        return unknown(*reasons, Missing(label, gap.reason, "unobtainable"))
    if opened:
        return Partial(result, reasons, open=True)
    if not result:
        if operands[0]:
            return absent(label, "nothing of this kind")
        return Partial([], because(*operands), open=False)
    return result


def judged_step(items: Items, name: str, label: str) -> Items:
    """`items.name`; absent when no item has such a child, open when one might have."""
    try:
        found = step(items, name)
        missing: tuple[Missing, ...] = ()
    except GapError:
        found, missing = _step_around_gaps(items, name, label)
    if is_open(items):
        return Partial(found, (*because(items), *missing), open=True)
    if missing:
        return Partial(found, missing, open=True)
    if found:
        return found
    return absent(label, "no value") if items else Partial([], because(items), open=False)


def _step_around_gaps(items: Items, name: str, label: str) -> tuple[Items, tuple[Missing, ...]]:
    found: Items = []
    missing: dict[Missing, None] = {}
    for item in items:
        try:
            found += step([item], name)
        except GapError:
            reasons: dict[str, None] = {}
            keys = {key: without_gaps(value, reasons) for key, value in item.value.items() if _may_hold(key, name)}
            rest = {key: value for key, value in item.value.items() if key not in keys}
            found += step([Element({**rest, **keys}, item.type, item.sibling, item.home)], name)
            missing.update((Missing(label, reason, "unobtainable"), None) for reason in reasons)
    return found, tuple(missing)


def _may_hold(key: str, name: str) -> bool:
    return key.lstrip("_").startswith(name)


def without_gaps(value: Any, reasons: dict[str, None]) -> Any:
    """`value` with gaps taken out of it and out of its lists; their reasons are added to `reasons`."""
    if isinstance(value, Unobtainable):
        reasons[value.reason] = None
        return None
    if isinstance(value, Incomplete):
        reasons[value.reason] = None
        value = value.items
    if isinstance(value, list | tuple):
        cleaned = [without_gaps(entry, reasons) for entry in value]
        return [entry for entry in cleaned if entry is not None]
    return value


def lifted(value: Any, label: str, kind: model.Type | None) -> Items:
    """A value handed in by the caller, gaps and all."""
    reasons: dict[str, None] = {}
    items = lift(without_gaps(value, reasons), kind)
    if reasons:
        return Partial(items, tuple(Missing(label, reason, "unobtainable") for reason in reasons), open=True)
    return items or absent(label, "no value")


def _union(label: str, left: Body, right: Body) -> Body:
    apply = BINARY["|"]

    def run(scope: Scope, this: Items) -> Items:
        first, second = left(scope, this), right(scope, this)
        return each(label, lambda: apply(scope, first, second), first, second)

    return run


def _membership(label: str, left: Body, right: Body) -> Body:
    """`left in right`: found among the certain items is certain."""
    apply = BINARY["in"]

    def run(scope: Scope, this: Items) -> Items:
        item, collection = left(scope, this), right(scope, this)
        if is_open(item):
            return Partial([], open_because(item), open=True)
        result = strict(label, lambda: apply(scope, item, list(collection)), item)
        if is_open(collection) and result and not truth(result):
            return Partial([], open_because(collection), open=True)
        return result

    return run
