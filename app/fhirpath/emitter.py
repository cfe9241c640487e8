"""Syntax tree → closures `(scope, this) -> items`, for evaluation. judging.py has those for judgement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.fhirpath import model, syntax
from app.fhirpath.analysis import CONTEXT_VARIABLES, PREFIXES, STANDARD_VARIABLES, Analysis
from app.fhirpath.arithmetic import negate, posit
from app.fhirpath.collection import FALSE, TRUE, distinct, equal, verdict
from app.fhirpath.element import Element, Items, lift, step
from app.fhirpath.errors import FhirPathError, GapError
from app.fhirpath.functions import FUNCTIONS, Function
from app.fhirpath.functions.fhir import member_of_named
from app.fhirpath.functions.subsetting import at
from app.fhirpath.operators import BINARY, LOGIC, member
from app.fhirpath.scope import Body, Scope

_METERED = 64


class Emitter:
    """Emits one tree; the tree has passed `Analysis`."""

    def __init__(self, text: str, analysis: Analysis, *, tracing: bool = False) -> None:
        self.text = text
        self.analysis = analysis
        self.tracing = tracing

    def emit(self, node: syntax.Node) -> Body:
        """The closure for `node`."""
        match node:
            case syntax.Literal():
                body = self.literal(node)
            case syntax.Variable():
                body = self.variable(node)
            case syntax.Special():
                body = _SPECIAL[node.name]
            case syntax.Path():
                body = self.path(node)
            case syntax.Call():
                body = self.call(node)
            case syntax.Index():
                body = self.index(node)
            case syntax.Unary():
                body = self.unary(node)
            case syntax.Binary():
                body = self.binary(node)
            case syntax.TypeTest():
                body = self.type_test(node)
            case _:
                raise TypeError(type(node).__name__)
        return self.traced(node, body) if self.tracing else body

    def traced(self, node: syntax.Node, body: Body) -> Body:
        start, end = node.start, node.end

        def run(scope: Scope, this: Items) -> Items:
            recorder = scope.recorder
            recorder.enter(start, end)
            result: Items | None = None
            try:
                result = body(scope, this)
            finally:
                recorder.leave(result)
            return result

        return run

    def literal(self, node: syntax.Literal) -> Body:
        value = node.value
        return lambda scope, this: value

    def variable(self, node: syntax.Variable) -> Body:
        name = node.name
        constant = STANDARD_VARIABLES.get(name)
        for prefix, url in PREFIXES.items():
            if name.startswith(prefix):
                constant = url + name.removeprefix(prefix)
        if constant is not None:
            items = [constant]
            return lambda scope, this: items
        if name in CONTEXT_VARIABLES:
            attribute = {"context": "context", "resource": "resource", "rootResource": "root"}[name]
            return lambda scope, this: getattr(scope, attribute)
        if node.start in self.analysis.defined_at:
            return lambda scope, this: scope.defined[name]
        hint = self.analysis.hints.get(name)
        kind = model.find(hint) if hint else None

        def run(scope: Scope, this: Items) -> Items:
            found = scope.lifted.get(name)
            if found is None:
                if name not in scope.variables:
                    raise FhirPathError(f"%{name} was not passed")
                found = scope.lifted[name] = self.lifted(scope.variables[name], name, kind)
            return found

        return run

    def lifted(self, value: Any, name: str, kind: model.Type | None) -> Items:
        try:
            return lift(value, kind)
        except GapError as gap:
            raise GapError(f"%{name}: {gap.reason}") from None

    def path(self, node: syntax.Path) -> Body:
        names: list[str] = []
        walk: syntax.Node | None = node
        while isinstance(walk, syntax.Path) and not self.is_type_root(walk):
            names.insert(0, walk.name)
            walk = walk.source
            if self.tracing:
                break
        start = None if walk is None else self.emit(walk) if not self.is_type_root(walk) else self.type_root(walk)
        if not names and start is not None:
            return start
        if len(names) == 1 and start is None:
            return lambda scope, this, name=names[0]: step(this, name)  # type: ignore[misc]

        def run(scope: Scope, this: Items) -> Items:
            items = this if start is None else start(scope, this)
            for name in names:
                items = step(items, name)
                if len(items) > _METERED:
                    scope.hold(len(items))
            return items

        return run

    def is_type_root(self, node: syntax.Node | None) -> bool:
        """Whether a path starts with the name of the context's type: `Patient.name`."""
        if not isinstance(node, syntax.Path) or node.source is not None:
            return False
        return node.name[:1].isupper() and model.find(node.name) is not None

    def type_root(self, node: syntax.Node | None) -> Body:
        name = node.name if isinstance(node, syntax.Path) else ""

        def run(scope: Scope, this: Items) -> Items:
            return [item for item in this if type(item) is Element and name in item.type.ancestors]

        return run

    def index(self, node: syntax.Index) -> Body:
        source, index = self.emit(node.source), self.emit(node.index)
        return lambda scope, this: at(scope, source(scope, this), index(scope, this))

    def unary(self, node: syntax.Unary) -> Body:
        operand = self.emit(node.operand)
        apply = negate if node.operator == "-" else posit
        return lambda scope, this: apply(operand(scope, this))

    def type_test(self, node: syntax.TypeTest) -> Body:
        operand = self.emit(node.operand)
        target = self.analysis.type_target(node.type)
        run = FUNCTIONS[node.operator].run
        return lambda scope, this: run(scope, operand(scope, this), target)

    def binary(self, node: syntax.Binary) -> Body:
        left, right = self.emit(node.left), self.emit(node.right)
        operator = node.operator
        if operator in LOGIC:
            return LOGIC[operator](left, right)
        if not self.tracing and (short := self.shortened(node, left)) is not None:
            return short
        apply = BINARY[operator]
        return lambda scope, this: apply(scope, left(scope, this), right(scope, this))

    def shortened(self, node: syntax.Binary, left: Body) -> Body | None:
        """A shorter way for what rules do most: compare with a literal, look up in a union of literals."""
        constants = _constants(node if node.operator == "|" else node.right)
        if constants is None:
            return None
        if node.operator == "|":
            once = distinct(Scope.unlimited(), constants)
            return lambda scope, this: once
        if node.operator == "=" and len(constants) == 1 and type(constants[0]) is str:
            return _equals_text(left, constants[0])
        return _in_constants(left, constants) if node.operator == "in" else None

    def call(self, node: syntax.Call) -> Body:
        function = FUNCTIONS[node.name]
        source = context if node.source is None else self.emit(node.source)
        if node.name == "memberOf" and not self.tracing:
            value_set = _constants(node.arguments[0])
            if value_set is not None and len(value_set) == 1 and type(value_set[0]) is str:
                return _member_of(source, value_set[0])
        arguments = [self.argument(function, position, argument) for position, argument in enumerate(node.arguments)]
        body = _call(function.run, source, arguments)
        takes_expression = any(parameter.kind == "expression" for parameter in function.parameters)
        return restoring(body) if takes_expression and self.analysis.uses_position else body

    def argument(self, function: Function, position: int, node: syntax.Node) -> tuple[bool, Any]:
        """Whether the argument is evaluated before the call, and the closure or constant to pass."""
        kind = function.parameter(position).kind
        if kind == "type":
            return False, self.analysis.type_target(node)
        if kind == "literal" and isinstance(node, syntax.Literal):
            return False, node.value[0]
        if kind == "sortkey" and isinstance(node, syntax.SortKey):
            return False, (self.emit(node.key), node.negated, node.descending)
        return kind != "expression", self.emit(node)


def context(scope: Scope, this: Items) -> Items:
    return this


_SPECIAL: dict[str, Body] = {
    "$this": context,
    "$index": lambda scope, this: scope.index,
    "$total": lambda scope, this: scope.total,
}


def _call(run: Callable[..., Items], source: Body, arguments: list[tuple[bool, Any]]) -> Body:
    """The call, in a form for the number of arguments, because most have one or none."""
    if not arguments:
        return lambda scope, this: run(scope, source(scope, this))
    if len(arguments) == 1:
        evaluated, only = arguments[0]
        if evaluated:
            return lambda scope, this: run(scope, source(scope, this), only(scope, this))
        return lambda scope, this: run(scope, source(scope, this), only)

    def several(scope: Scope, this: Items) -> Items:
        items = source(scope, this)
        return run(scope, items, *(value(scope, this) if evaluated else value for evaluated, value in arguments))

    return several


def _member_of(source: Body, name: str) -> Body:
    """`path.memberOf('literal')`, which rules ask of every condition of a patient."""
    return lambda scope, this: member_of_named(scope, source(scope, this), name)


def restoring(body: Body) -> Body:
    """Gives $index and $total of the outer function back after an inner one."""

    def run(scope: Scope, this: Items) -> Items:
        index, total = scope.index, scope.total
        try:
            return body(scope, this)
        finally:
            scope.index, scope.total = index, total

    return run


def _equals_text(left: Body, wanted: str) -> Body:
    """`path = 'literal'`, the commonest comparison there is."""
    right = [wanted]

    def run(scope: Scope, this: Items) -> Items:
        items = left(scope, this)
        if len(items) == 1:
            item = items[0]
            value = item.value if type(item) is Element and item.type.temporal is None else item
            if type(value) is str:
                return TRUE if value == wanted else FALSE
        return verdict(equal(items, right))

    return run


def _constants(node: syntax.Node) -> Items | None:
    """The items of a union of literals, None for anything else."""
    if isinstance(node, syntax.Literal):
        return node.value
    if isinstance(node, syntax.Binary) and node.operator == "|":
        left, right = _constants(node.left), _constants(node.right)
        return None if left is None or right is None else left + right
    return None


def _in_constants(left: Body, constants: Items) -> Body:
    texts = frozenset(item for item in constants if type(item) is str)

    def run(scope: Scope, this: Items) -> Items:
        items = left(scope, this)
        if len(items) == 1:
            item = items[0]
            value = item.value if type(item) is Element and item.type.temporal is None else item
            if type(value) is str:
                return TRUE if value in texts else FALSE
        return member(scope, items, constants)

    return run
