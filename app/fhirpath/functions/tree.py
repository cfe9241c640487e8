"""Tree navigation."""

from __future__ import annotations

from app.fhirpath.element import Items, all_children
from app.fhirpath.functions.registry import function
from app.fhirpath.scope import Scope

_SECTION = "FHIRPath N1, Tree Navigation"


@function("children()", _SECTION, flow="each")
def children(scope: Scope, items: Items) -> Items:
    """All immediate children, in the order of the JSON."""
    out: Items = []
    for item in items:
        out.extend(all_children(item))
    scope.hold(len(items) + len(out))
    return out


@function("descendants()", _SECTION, flow="each")
def descendants(scope: Scope, items: Items) -> Items:
    """All descendants, level by level."""
    out: Items = []
    level = items
    while level:
        level = children(scope, level)
        out.extend(level)
        scope.hold(len(out))
    return out
