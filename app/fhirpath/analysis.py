"""What can be known before any data: names that do not exist, arguments that do not fit, and what is used.

Types are followed where they are known: from `compile(root=…)`, from a path that starts with a type (`Patient.name`),
from hints for variables, through functions that keep or name a type. Where they are not known nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import NoReturn

from app.fhirpath import model, syntax
from app.fhirpath.errors import FhirPathError, FhirPathSyntaxError
from app.fhirpath.functions import FUNCTIONS, Function
from app.fhirpath.functions.strings import compiled
from app.fhirpath.functions.types import TypeTarget, target
from app.fhirpath.model import Type

# FHIR R4 fhirpath.html, "Environment variables"; vs-… and ext-… take any name.
STANDARD_VARIABLES = {
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
    "ucum": "http://unitsofmeasure.org",
}
CONTEXT_VARIABLES = ("context", "resource", "rootResource")
PREFIXES = {"vs-": "http://hl7.org/fhir/ValueSet/", "ext-": "http://hl7.org/fhir/StructureDefinition/"}
NOT_SUPPORTED = frozenset(["htmlChecks", "subsumes", "subsumedBy", "elementDefinition", "slice"])
_KEEPS_TYPE = frozenset({
    "where", "first", "last", "tail", "skip", "take", "single", "distinct", "exclude", "intersect", "sort", "trace",
    "defineVariable", "checkModifiers",
})  # fmt: skip
_COMPARING = frozenset({"=", "!=", "~", "!~", "<", "<=", ">", ">="})

Types = tuple[Type, ...]  # what an item may be; empty when nothing is known


class Analysis:
    """One pass over a tree. `variables`, `value_sets` and `paths` keep the order of the text."""

    def __init__(
        self,
        text: str,
        variables: Collection[str] | None,
        root: Types,
        hints: Mapping[str, str | None],
        *,
        typed: bool,
    ) -> None:
        self.text = text
        self.allowed = variables
        self.typed = typed
        self.root = root
        self.hints = hints
        self.variables: dict[str, None] = {}
        self.value_sets: dict[str, None] = {}
        self.paths: dict[str, None] = {}
        self.uses_position = False
        self.defined_at: set[int] = set()  # where a variable of defineVariable() is used

    def fail(self, message: str, position: int, expected: str | None = None) -> NoReturn:
        raise FhirPathSyntaxError(message, self.text, position, expected)

    def visit(self, node: syntax.Node, this: Types, defined: set[str]) -> Types:
        """Check `node`; the types its items may have. `defined` grows by what defineVariable() defines."""
        match node:
            case syntax.Literal():
                return ()
            case syntax.Variable():
                return self.variable(node, defined)
            case syntax.Special():
                self.uses_position |= node.name != "$this"
                return this if node.name == "$this" else ()
            case syntax.Path():
                return self.path(node, this, defined)
            case syntax.Call():
                return self.call(node, this, defined)
            case syntax.Index():
                found = self.visit(node.source, this, defined)
                self.visit(node.index, this, set(defined))
                return found
            case syntax.TypeTest():
                self.visit(node.operand, this, set(defined))
                found_type = self.type_target(node.type)
                return self.types_of(found_type) if node.operator == "as" else ()
            case syntax.Binary():
                left = self.visit(node.left, this, set(defined))
                right = self.visit(node.right, this, set(defined))
                self._check_comparison(node, left, right)
                return tuple(dict.fromkeys(left + right)) if node.operator == "|" and left and right else ()
        for child in syntax.children(node):
            self.visit(child, this, set(defined))
        return ()

    def _check_comparison(self, node: syntax.Binary, left: Types, right: Types) -> None:
        """A date and a string are never equal, and the mistake would stay unnoticed."""
        for types, other in ((left, node.right), (right, node.left)):
            is_text = isinstance(other, syntax.Literal) and bool(other.value) and type(other.value[0]) is str
            if node.operator in _COMPARING and is_text and types and all(kind.temporal for kind in types):
                self.fail(f"A {types[0].name} is compared with a string", other.start, "a literal such as @2026-01-31")

    def variable(self, node: syntax.Variable, defined: set[str]) -> Types:
        name = node.name
        if name in defined:
            self.defined_at.add(node.start)
            return ()
        standard = name in STANDARD_VARIABLES or name in CONTEXT_VARIABLES or name.startswith(tuple(PREFIXES))
        if not standard:
            if self.allowed is not None and name not in self.allowed:
                known = sorted({*self.allowed, *CONTEXT_VARIABLES, *STANDARD_VARIABLES, *defined})
                self.fail(f"Unknown variable %{name}", node.start, _one_of(name, known, "%"))
            self.variables[name] = None
        hint = self.hints.get(name)
        if hint is not None and self.typed:
            kind = model.find(hint)
            if kind is None:
                raise ValueError(f"types: no FHIR R4 type {hint!r}")
            return (kind,)
        return self.root if name == "context" else ()

    def path(self, node: syntax.Path, this: Types, defined: set[str]) -> Types:
        self._note_path(node)
        if node.source is None:
            if node.name[:1].isupper() and self.typed and (kind := model.find(node.name)):
                return (kind,)
            types = this
        else:
            types = self.visit(node.source, this, defined)
        if not types or not self.typed:
            return ()
        return self.child(node, types)

    def child(self, node: syntax.Path, types: Types) -> Types:
        found: dict[Type, None] = {}
        names: set[str] = set()
        for kind in types:
            child = kind.children.get(node.name)
            if child is not None:
                found.update(dict.fromkeys((child.choices or {"": child.type}).values()))
            elif kind.name in ("Resource", "DomainResource"):
                return ()
            names.update(kind.children)
        if found:
            return tuple(found)
        if len(types) == 1:
            kind = types[0]
            message = f"{kind.name} has no element {node.name!r}"
            if node.name in kind.choice_keys:
                expected: str | None = f"{kind.choice_keys[node.name]!r}, with ofType() where the type matters"
            else:
                expected = _one_of(node.name, sorted(names), "")
        else:
            message = f"None of the types this can have here has an element {node.name!r}"
            expected = _one_of(node.name, sorted(names), "")
        return self.fail(message, node.end - len(node.name), expected)

    def _note_path(self, node: syntax.Path) -> None:
        """`%order.code.coding`, but not the `%order.code` on the way there."""
        names: list[str] = []
        walk: syntax.Node | None = node
        while isinstance(walk, syntax.Path | syntax.Index):
            if isinstance(walk, syntax.Path):
                names.append(walk.name)
            walk = walk.source
        if isinstance(walk, syntax.Variable):
            path = ".".join([f"%{walk.name}", *reversed(names)])
            if not any(known.startswith(f"{path}.") for known in self.paths):
                self.paths[path] = None

    def call(self, node: syntax.Call, this: Types, defined: set[str]) -> Types:
        name = node.name
        source = this if node.source is None else self.visit(node.source, this, defined)
        function = FUNCTIONS.get(name)
        if function is None:
            if name in NOT_SUPPORTED:
                self.fail(f"Function {name}() is not supported", node.name_start)
            self.fail(f"Unknown function {name}()", node.name_start, _one_of(name, sorted(FUNCTIONS), "", "()"))
        if not function.minimum <= len(node.arguments) <= function.maximum:
            wanted = str(function.minimum)
            if function.maximum != function.minimum:
                wanted += f" to {function.maximum}"
            message = f"{name}() takes {wanted} arguments, not {len(node.arguments)}"
            self.fail(message, node.name_start, function.signature)
        found: list[Types] = []
        for position, argument in enumerate(node.arguments):
            found.append(self.argument(function, position, argument, source, this, set(defined)))
        self._special(node, defined)
        return self.result(name, source, found)

    def argument(
        self,
        function: Function,
        position: int,
        node: syntax.Node,
        source: Types,
        this: Types,
        defined: set[str],
    ) -> Types:
        kind = function.parameter(position).kind
        if kind == "type":
            return self.types_of(self.type_target(node))
        if kind == "sortkey" and isinstance(node, syntax.SortKey):
            return self.visit(node.key, source, defined)
        if function.name in ("repeat", "repeatAll"):
            return self._repeated(node, source, defined)
        return self.visit(node, source if kind == "expression" else this, defined)

    def _repeated(self, node: syntax.Node, source: Types, defined: set[str]) -> Types:
        """`repeat(item | answer.item)` also runs on what it found: what the first type lacks proves nothing."""
        try:
            return self.visit(node, source, set(defined))
        except FhirPathSyntaxError:
            return self.visit(node, (), defined)

    def result(self, name: str, source: Types, arguments: list[Types]) -> Types:
        if name in _KEEPS_TYPE:
            return source
        if name in ("ofType", "as", "select", "repeat", "repeatAll"):
            return arguments[0]
        if name in ("union", "combine") and source and arguments[0]:
            return tuple(dict.fromkeys(source + arguments[0]))
        if name == "extension" and self.typed:
            return (model.get("Extension"),)
        return ()

    def _special(self, node: syntax.Call, defined: set[str]) -> None:
        first = node.arguments[0] if node.arguments else None
        literal = first.value[0] if isinstance(first, syntax.Literal) and first.value else None
        if node.name == "memberOf" and isinstance(literal, str):
            self.value_sets[literal] = None
        elif node.name == "iif" and literal is not None and not isinstance(literal, bool) and first is not None:
            self.fail("The criterion of iif() is not Boolean", first.start, "a condition")
        elif node.name == "defineVariable":
            if not isinstance(literal, str) or first is None:
                self.fail("defineVariable() needs its name as a literal", node.name_start, "a string")
            if literal in {*defined, *(self.allowed or ()), *CONTEXT_VARIABLES, *STANDARD_VARIABLES}:
                self.fail(f"%{literal} is already defined", first.start, "another name")
            defined.add(literal)
        elif node.name in ("matches", "matchesFull", "replaceMatches") and isinstance(literal, str) and first:
            self._check_regex(literal, first.start)

    def _check_regex(self, pattern: str, position: int) -> None:
        try:
            compiled(pattern)
        except FhirPathError as error:
            raise FhirPathSyntaxError(
                "Not a regular expression", self.text, position, "RE2 syntax: no look-around, no back references"
            ) from error

    def type_target(self, node: syntax.Node) -> TypeTarget:
        """The type a specifier names; FhirPathSyntaxError when it names none."""
        names: list[str] = []
        walk: syntax.Node | None = node
        while isinstance(walk, syntax.Path):
            names.insert(0, walk.name)
            walk = walk.source
        found = target(names) if walk is None else None
        if found is None:
            self.fail(f"Unknown type {self.text[node.start : node.end]}", node.start, "a FHIR R4 or System type")
        return found

    def types_of(self, found: TypeTarget) -> Types:
        return (model.get(found.fhir),) if found.fhir and self.typed else ()


def _one_of(name: str, known: Collection[str], before: str, after: str = "") -> str | None:
    """The nearest names, or all when they are few."""
    near = get_close_matches(name, known, n=3, cutoff=0.6) or (list(known) if len(known) <= 8 else [])
    return " or ".join(f"{before}{candidate}{after}" for candidate in near) or None
