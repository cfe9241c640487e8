"""The R4 type table: which elements a type has, and of which types they are.

Read from r4.json (see build_types.py). Types are built when first asked for; a `Type` is shared and never changes
after its children are known, so compiled expressions of all threads use the same ones.
"""

from __future__ import annotations

import json
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgspec

from app.fhirpath.temporal import Date, DateTime, Time

_TEMPORAL = {"date": Date, "dateTime": DateTime, "instant": DateTime, "time": Time}


class Child(msgspec.Struct, eq=False, gc=False):
    """One element of a type.

    `sibling` is the key of a primitive's id and extensions (`_given`); `choices` maps the keys of a choice
    element (`valueString`) to their types, None for any other element.
    """

    name: str
    type: Type
    repeats: bool
    sibling: str | None
    choices: dict[str, Type] | None


class Type:
    """A FHIR type. `name` is the FHIR name, or the path of a backbone element (`Patient.contact`)."""

    def __init__(self, name: str, base: Type | None, elements: dict[str, str]) -> None:
        self.name = name
        self.base = base
        self._elements = elements
        self.ancestors: frozenset[str] = (base.ancestors if base else frozenset()) | {name}
        self.is_primitive = name[:1].islower() and "." not in name
        self.is_resource = "Resource" in self.ancestors
        self.is_quantity = "Quantity" in self.ancestors
        self.temporal: Any = next((_TEMPORAL[a] for a in self.ancestors if a in _TEMPORAL), None)
        self.is_decimal = name == "decimal"

    @cached_property
    def children(self) -> dict[str, Child]:
        """Element name → child, inherited ones included."""
        found = dict(self.base.children) if self.base else {}
        for name, spec in self._elements.items():
            child = self._child(name, spec)
            found[child.name] = child
        return found

    @cached_property
    def choice_keys(self) -> dict[str, str]:
        """The JSON keys of choice elements, which FHIRPath does not know by these names, and their element names."""
        return {key: child.name for child in self.children.values() for key in child.choices or ()}

    def _child(self, name: str, spec: str) -> Child:
        if name.endswith("[x]"):
            base = name[:-3]
            kinds = [get(kind) for kind in spec.split("|")]
            choices = {base + kind.name[0].upper() + kind.name[1:]: kind for kind in kinds}
            return Child(base, kinds[0], False, None, choices)
        kind = get(spec.rstrip("*"))
        return Child(name, kind, spec.endswith("*"), f"_{name}" if kind.is_primitive else None, None)

    def is_a(self, name: str) -> bool:
        """Whether this is the named type or derived from it."""
        return name in self.ancestors

    def __repr__(self) -> str:
        return f"FHIR.{self.name}"


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("r4.json").read_text("utf-8"))
    return table


@cache
def get(name: str) -> Type:
    """The type of this name; KeyError when R4 has none."""
    base, elements = _table()[name]
    return Type(name, get(base) if base else None, elements)


def find(name: str) -> Type | None:
    """As `get`, None when R4 has no such type. A name without the table's blessing is not kept."""
    return get(name) if name in _table() else None


# What stands for the type of JSON that no table describes.
UNTYPED = Type("", None, {})
