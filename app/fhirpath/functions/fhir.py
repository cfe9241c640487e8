"""What FHIR R4 adds to FHIRPath (hl7.org/fhir/R4/fhirpath.html, "Additional functions")."""

from __future__ import annotations

from typing import Any

from app.fhirpath import model
from app.fhirpath.collection import FALSE, TRUE, text
from app.fhirpath.element import Element, Items, plain, step
from app.fhirpath.errors import FhirPathError, GapError
from app.fhirpath.functions.registry import function
from app.fhirpath.gaps import Unobtainable, gap_in
from app.fhirpath.scope import Scope

_SECTION = "FHIR R4 fhirpath.html, Additional functions"
UNRESOLVED = "the reference could not be resolved"
_PROFILES = "http://hl7.org/fhir/StructureDefinition/"


@function("extension(url: String)", _SECTION, flow="each")
def extension(scope: Scope, items: Items, url: Items) -> Items:
    """The extensions with this URL; works on primitives too."""
    wanted = text(url, "the URL of extension()")
    return [found for found in step(items, "extension") if _url(found) == wanted]


def _url(extension_: Element) -> Any:
    return extension_.value.get("url") if type(extension_.value) is dict else None


@function("hasValue()", _SECTION)
def has_value(scope: Scope, items: Items) -> Items:
    """True when the input is one primitive with a value, not extensions alone."""
    if len(items) != 1:
        return [False]
    item = items[0]
    return [type(item) is not Element or (item.type.is_primitive and item.value is not None)]


@function("getValue()", _SECTION)
def get_value(scope: Scope, items: Items) -> Items:
    """The System value of a single primitive that has one."""
    return [plain(items[0])] if has_value(scope, items)[0] else []


@function("resolve()", _SECTION, flow="whole")
def resolve(scope: Scope, items: Items) -> Items:
    """The resources that references point at: contained, in the same Bundle, or handed in by the caller.

    A reference nobody can resolve is left out.
    """
    out: Items = []
    for item in items:
        found = resolved(scope, item)
        if isinstance(found, Unobtainable):
            raise GapError(found.reason)
        if found is not None:
            out.append(found)
        elif scope.unanswered:
            raise GapError(UNRESOLVED)
    scope.hold(len(items))
    return out


def resolved(scope: Scope, item: Any) -> Element | Unobtainable | None:
    """One reference followed: a Reference element, a uri-like primitive or a string."""
    value = item.value if type(item) is Element else item
    home = item.home if type(item) is Element else None
    reference = value.get("reference") if type(value) is dict else value
    if isinstance(reference, Unobtainable):
        return reference
    if type(reference) is not str:
        return None
    resource = _contained(home, reference) if reference.startswith("#") else _bundled(scope, reference)
    if resource is None and scope.resolve is not None and not reference.startswith("#"):
        resource = scope.resolve(reference)
    if resource is None or isinstance(resource, Unobtainable):
        return resource
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    kind = model.find(name) if isinstance(name, str) else None
    if kind is None:
        raise FhirPathError("resolve() was handed something that is no FHIR R4 resource")
    return Element(resource, kind, None, home if reference.startswith("#") else resource)


def _contained(home: Any, reference: str) -> Any:
    if type(home) is not dict:
        return None
    if reference == "#":
        return home
    return next((entry for entry in _dicts(home.get("contained")) if entry.get("id") == reference[1:]), None)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if type(entry) is dict] if type(value) is list else []


def _bundled(scope: Scope, reference: str) -> Any:
    root = scope.root
    if not root or type(root[0]) is not Element or root[0].type.name != "Bundle":
        return None
    for entry in _dicts(root[0].value.get("entry")):
        resource = entry.get("resource")
        if type(resource) is not dict:
            continue
        local = f"{resource.get('resourceType')}/{resource.get('id')}"
        if reference in (entry.get("fullUrl"), local):
            return resource
    return None


@function("memberOf(valueset: String)", _SECTION, flow="whole")
def member_of(scope: Scope, items: Items, valueset: Items) -> Items:
    """Whether the code, Coding, CodeableConcept or string is in the value set; the caller answers.

    A CodeableConcept is asked about as a whole. Empty when the caller cannot tell.
    """
    return member_of_named(scope, items, text(valueset, "the value set of memberOf()"))


def member_of_named(scope: Scope, items: Items, name: str | None) -> Items:
    """memberOf() of the value set of that name."""
    if len(items) > 1:
        raise FhirPathError(f"memberOf() on {len(items)} items where one is allowed; use exists($this.memberOf(…))")
    if not items or name is None:
        return []
    item = items[0]
    if type(item) is Element and (reason := gap_in(item.value)) is not None:
        raise GapError(reason)
    answer = asked(scope, item, name)
    if answer is None and scope.unanswered:
        raise GapError(f"membership in {name} is not known")
    return [] if answer is None else TRUE if answer else FALSE


def asked(scope: Scope, item: Any, name: str) -> bool | None:
    """The caller's answer about one item."""
    if scope.member_of is None:
        raise FhirPathError("memberOf() needs the caller to pass `member_of`")
    value = item.value if type(item) is Element else item
    if type(value) not in (dict, str):
        raise FhirPathError("memberOf() is defined for code, Coding, CodeableConcept and string")
    return scope.member_of(value, name)


@function("conformsTo(structure: String)", _SECTION)
def conforms_to(scope: Scope, items: Items, structure: Items) -> Items:
    """Whether the item is of the FHIR type whose core definition this is; other profiles are not known."""
    url = text(structure, "the profile of conformsTo()")
    if url is None or not items:
        return []
    name = url.removeprefix(_PROFILES) if url.startswith(_PROFILES) else ""
    if model.find(name) is None:
        raise FhirPathError(f"conformsTo() does not know the profile {url}")
    if len(items) > 1:
        raise FhirPathError(f"conformsTo() on {len(items)} items where one is allowed")
    return [type(items[0]) is Element and items[0].type.is_a(name)]


@function("checkModifiers(modifier?: String*)", _SECTION)
def check_modifiers(scope: Scope, items: Items, *modifiers: Items) -> Items:
    """The input; an error when an element has a modifier extension that is not listed."""
    known = {text(modifier, "an argument of checkModifiers()") for modifier in modifiers}
    for found in step(items, "modifierExtension"):
        if _url(found) not in known:
            raise FhirPathError("checkModifiers() met a modifier extension that is not listed")
    return items
