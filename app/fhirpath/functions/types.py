"""Types: `is`, `as`, type()."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from app.fhirpath import model
from app.fhirpath.element import Element, Items
from app.fhirpath.errors import FhirPathError
from app.fhirpath.functions.registry import function
from app.fhirpath.model import UNTYPED
from app.fhirpath.quantity import Quantity
from app.fhirpath.scope import Scope
from app.fhirpath.temporal import Date, DateTime, Time

_SECTION = "FHIRPath N1, Types"
SYSTEM_TYPES: dict[str, type] = {
    "Boolean": bool, "String": str, "Integer": int, "Decimal": Decimal,
    "Date": Date, "DateTime": DateTime, "Time": Time, "Quantity": Quantity,
}  # fmt: skip
_SYSTEM_NAMES = {python: name for name, python in SYSTEM_TYPES.items()}
_REFLECTED = model.Type("SimpleTypeInfo", None, {"namespace": "string", "name": "string"})


class TypeTarget(NamedTuple):
    """A type specifier: a FHIR type, a System type, or for an unqualified `Quantity` either."""

    fhir: str | None
    system: type | None

    def describes(self, item: Any) -> bool:
        """Whether `item` is of this type or of one derived from it."""
        if type(item) is Element:
            return self.fhir is not None and self.fhir in item.type.ancestors
        return self.system is not None and (type(item) is self.system or self.system is object)

    def selects(self, item: Any) -> bool:
        """For `as` and ofType(): primitives of exactly this type, others as `describes`."""
        if type(item) is Element and item.type.is_primitive:
            return item.type.name == self.fhir
        return self.describes(item)


def target(qualified: list[str]) -> TypeTarget | None:
    """The type a specifier such as `System.Integer` or `Patient` names; None when there is none."""
    if len(qualified) == 2:
        namespace, name = qualified
        if namespace == "System" and (name in SYSTEM_TYPES or name == "Any" or model.find(name)):
            return TypeTarget(None, object if name == "Any" else SYSTEM_TYPES.get(name))
        if namespace == "FHIR" and model.find(name):
            return TypeTarget(name, None)
        return None
    if len(qualified) != 1:
        return None
    name = qualified[0]
    found = TypeTarget(name if model.find(name) else None, SYSTEM_TYPES.get(name))
    return None if found == (None, None) else found


@function("is(type: type)", _SECTION, flow="strict")
def is_(scope: Scope, items: Items, type_: TypeTarget) -> Items:
    """True when the single item is of the type, or of one derived from it."""
    if len(items) > 1:
        raise FhirPathError(f"is on {len(items)} items where one is allowed")
    return [type_.describes(items[0])] if items else []


@function("as(type: type)", _SECTION, flow="strict")
def as_(scope: Scope, items: Items, type_: TypeTarget) -> Items:
    """The single item when it is of the type, else nothing; ofType() does so for many items."""
    if len(items) > 1:
        raise FhirPathError(f"as on {len(items)} items where one is allowed")
    return items if items and type_.selects(items[0]) else []


@function("type()", "FHIRPath N1, Reflection")
def type_(scope: Scope, items: Items) -> Items:
    """The `namespace` and `name` of each item's type."""
    return [Element(_reflect(item), _REFLECTED, None, None) for item in items]


def _reflect(item: Any) -> dict[str, str]:
    if type(item) is Element:
        name = "BackboneElement" if "." in item.type.name else item.type.name
        return {"namespace": "FHIR", "name": name if item.type is not UNTYPED else "Element"}
    return {"namespace": "System", "name": _SYSTEM_NAMES[type(item)]}
