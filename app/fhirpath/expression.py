"""The public face: compile a text once, evaluate, judge or trace it as often as wanted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any, Literal

from app.fhirpath import model, syntax
from app.fhirpath.analysis import Analysis
from app.fhirpath.asked import Asked, asked
from app.fhirpath.element import Element, Items, lift, output
from app.fhirpath.emitter import Emitter
from app.fhirpath.errors import FhirPathError, FhirPathSyntaxError, LimitError
from app.fhirpath.gaps import Judgement, Missing
from app.fhirpath.judging import JudgingEmitter, lifted
from app.fhirpath.model import Type
from app.fhirpath.parser import Parser
from app.fhirpath.partial import because, is_open
from app.fhirpath.scope import DEFAULT_LIMITS, Body, Limits, MemberOf, Resolve, Scope
from app.fhirpath.trace import Recorder, Trace


def compile(  # noqa: A001 - the calling form is re.compile's
    text: str,
    variables: Collection[str] | None = None,
    *,
    root: str | None = None,
    types: Mapping[str, str | None] | None = None,
    model: Literal["r4"] | None = "r4",
) -> Expression:
    """Parse and check `text`; FhirPathSyntaxError when it is not sound.

    `variables` are the %names allowed besides the standard ones, None allows any. `root` is the FHIR type of the
    context, `types` those of variables; where types are known, unknown element names are errors too, unless `model`
    is None.
    """
    return Expression(text, variables, root=root, types=types or {}, typed=model is not None)


def _joined(node: syntax.Node, operator: str) -> list[syntax.Node]:
    if isinstance(node, syntax.Binary) and node.operator == operator:
        return [*_joined(node.left, operator), *_joined(node.right, operator)]
    return [node]


def _lifted(value: Any, hint: Type | None) -> Items:
    return lifted(value, "%context", hint)


class Expression:
    """A compiled expression: immutable, without state of an evaluation, safe to share between threads.

    `variables` are the %names it uses besides the standard ones, `value_sets` the literal names given to memberOf(),
    `paths` the element paths under variables (`%order.code.coding`), as far as the text shows them.
    """

    def __init__(
        self,
        text: str,
        variables: Collection[str] | None,
        *,
        root: str | None,
        types: Mapping[str, str | None],
        typed: bool,
    ) -> None:
        self.text = text
        self._tree = Parser(text).parse()
        self._root = model.find(root) if root and typed else None
        if root and typed and self._root is None:
            raise ValueError(f"root: no FHIR R4 type {root!r}")
        context = (self._root,) if self._root else ()
        self._analysis = Analysis(text, variables, context, types, typed=typed)
        try:
            self._analysis.visit(self._tree, context, set())
            self._body = Emitter(text, self._analysis).emit(self._tree)
        except RecursionError:
            raise FhirPathSyntaxError("Nested too deeply", text, 0) from None
        self._typed = typed
        self.variables = frozenset(self._analysis.variables)
        self.value_sets = tuple(self._analysis.value_sets)
        self.paths = tuple(self._analysis.paths)

    def __repr__(self) -> str:
        return f"fhirpath.compile({self.text!r})"

    @cached_property
    def asked(self) -> tuple[Asked, ...]:
        """Every literal and every set of codes that a path is compared with, as far as the text shows them."""
        return tuple(asked(self._tree))

    def operands(self, operator: str) -> tuple[str, ...]:
        """The texts that `operator` joins at the top, of `a and b and c` three for "and"; else the whole text alone."""
        return tuple(self.text[node.start : node.end] for node in _joined(self._tree, operator))

    def evaluate(
        self,
        resource: Any,
        variables: Mapping[str, Any] | None = None,
        now: dt.datetime | None = None,
        resolve: Resolve | None = None,
        member_of: MemberOf | None = None,
        limits: Limits | None = None,
    ) -> list[Any]:
        """The result as plain Python values; FhirPathError when it cannot be worked out.

        `resource` is the context: a dict, a list of dicts, a scalar or None. An element comes back as the dict that
        was handed in, not a copy. A fact that is `Unobtainable` raises as soon as it is needed; use `judge` where
        facts may be missing.
        """
        scope = self._scope(variables, now, resolve, member_of, limits)
        this = self._enter(scope, resource, lift)
        return [output(item) for item in self._run(self._body, scope, this)]

    def judge(
        self,
        resource: Any,
        variables: Mapping[str, Any] | None = None,
        now: dt.datetime | None = None,
        resolve: Resolve | None = None,
        member_of: MemberOf | None = None,
        limits: Limits | None = None,
    ) -> Judgement:
        """True, False, or unknown with what it hinged on; FhirPathError when the result is no Boolean.

        The plain closures are tried first, being twice as fast: where they come to a Boolean without meeting a gap,
        nothing was missing. Only then are the three-valued ones asked what is known and what is not.
        """
        scope = self._scope(variables, now, resolve, member_of, limits)
        scope.unanswered = True
        try:
            items = self._run(self._body, scope, self._enter(scope, resource, lift))
            if len(items) == 1:
                return self._judgement(items)
        except LimitError:
            raise
        except FhirPathError:
            pass
        scope = self._scope(variables, now, resolve, member_of, limits)
        this = self._enter(scope, resource, _lifted)
        return self._judgement(self._run(self._judging, scope, this))

    def trace(
        self,
        resource: Any,
        variables: Mapping[str, Any] | None = None,
        now: dt.datetime | None = None,
        resolve: Resolve | None = None,
        member_of: MemberOf | None = None,
        limits: Limits | None = None,
        *,
        judging: bool = False,
    ) -> Trace:
        """Every sub-expression with its value, as `evaluate` sees it, or as `judge` does when `judging`.

        An evaluation that fails is traced up to the failure: `Trace.error` then says why.
        """
        scope = self._scope(variables, now, resolve, member_of, limits)
        scope.recorder = recorder = Recorder(self.text)
        error: str | None = None
        items: Items = []
        judgement: Judgement | None = None
        try:
            body = self._judging_tracing if judging else self._tracing
            items = self._run(body, scope, self._enter(scope, resource, _lifted if judging else lift))
            judgement = self._judgement(items) if judging else None
        except FhirPathError as failure:
            error = str(failure)
        value = [output(item) for item in items]
        return Trace(expression=self.text, value=value, judgement=judgement, error=error, steps=recorder.root.steps)

    @cached_property
    def _judging(self) -> Body:
        return JudgingEmitter(self.text, self._analysis).emit(self._tree)

    @cached_property
    def _tracing(self) -> Body:
        return Emitter(self.text, self._analysis, tracing=True).emit(self._tree)

    @cached_property
    def _judging_tracing(self) -> Body:
        return JudgingEmitter(self.text, self._analysis, tracing=True).emit(self._tree)

    def _scope(
        self,
        variables: Mapping[str, Any] | None,
        now: dt.datetime | None,
        resolve: Resolve | None,
        member_of: MemberOf | None,
        limits: Limits | None,
    ) -> Scope:
        return Scope(variables or {}, now, resolve, member_of, limits or DEFAULT_LIMITS)

    def _enter(self, scope: Scope, resource: Any, lifting: Callable[[Any, Type | None], Items]) -> Items:
        """Set %context, %resource and %rootResource, which the caller may override by variables of these names."""
        this = scope.context = scope.resource = scope.root = lifting(resource, self._root)
        overrides = scope.variables
        if "context" in overrides:
            scope.context = lifting(overrides["context"], None)
        if "resource" in overrides:
            scope.resource = scope.root = lifting(overrides["resource"], None)
        if "rootResource" in overrides:
            scope.root = lifting(overrides["rootResource"], None)
        return this

    def _run(self, body: Body, scope: Scope, this: Items) -> Items:
        try:
            return body(scope, this)
        except RecursionError:
            raise FhirPathError("the evaluation nests too deeply") from None

    def _judgement(self, items: Items) -> Judgement:
        if is_open(items) or not items:
            reasons = because(items) or (Missing(self.text, "the result is empty", "absent"),)
            return Judgement(None, reasons)
        if len(items) > 1:
            raise FhirPathError(f"a judgement needs one Boolean, this gives {len(items)} items")
        item = items[0]
        value = item.value if type(item) is Element else item
        if type(value) is not bool:
            raise FhirPathError("a judgement needs a Boolean, this gives something else")
        return Judgement(value)
