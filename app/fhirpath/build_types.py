"""Write r4.json, the type table of FHIR R4, from the R4B classes of `fhir.resources`.

    python -m app.fhirpath.build_types

A development tool: `fhir.resources` is a development dependency and never imported at run time. R4B differs from
R4 in Evidence, EvidenceVariable and the medicinal-product resources, which nobody meets in CRD and DTR, and in a few
choices, which are put right below.

Format: `{type: [base, {element: spec}]}`. A spec is the element's type, `*` after it when it repeats; a choice
element is written `value[x]` with its types joined by `|`. Backbone elements are types named by their path.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("r4.json")

# FHIR R4 datatypes.html, "Primitive Types": each with the type it specialises.
PRIMITIVES = {
    **dict.fromkeys(
        [
            "boolean",
            "integer",
            "string",
            "decimal",
            "uri",
            "base64Binary",
            "instant",
            "date",
            "dateTime",
            "time",
            "xhtml",
        ],
        "Element",
    ),
    **dict.fromkeys(["code", "id", "markdown"], "string"),
    **dict.fromkeys(["url", "canonical", "uuid", "oid"], "uri"),
    **dict.fromkeys(["unsignedInt", "positiveInt"], "integer"),
}
_PYTHON_NAMES = {**{name.lower(): name for name in PRIMITIVES}, "encodedbytes": "base64Binary", "uuidversion": "uuid"}

# Where R4 (4.0.1) says otherwise than R4B (4.3.0).
CORRECTIONS: dict[str, dict[str, str]] = {
    "Resource": {"id": "id"},
    "ActivityDefinition": {"subject[x]": "CodeableConcept|Reference"},
    "PlanDefinition": {"subject[x]": "CodeableConcept|Reference"},
}
_R4B_ONLY = {"CodeableReference", "RatioRange"}


def build() -> dict[str, list[Any]]:
    """The whole table."""
    package = importlib.import_module("fhir.resources.R4B")
    classes: dict[str, Any] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("fhir") or module.name == "tests":
            continue
        loaded = importlib.import_module(f"fhir.resources.R4B.{module.name}")
        for name, cls in inspect.getmembers(loaded, inspect.isclass):
            if cls.__module__ == loaded.__name__ and hasattr(cls, "model_fields"):
                classes[name] = cls
    names = _names(classes)
    table: dict[str, list[Any]] = {name: [base, {}] for name, base in PRIMITIVES.items()}
    for python_name, cls in classes.items():
        name = names[python_name]
        base = names.get(cls.__mro__[1].__name__, "")
        table[name] = [base, _elements(cls, classes, names)]
    for name, changes in CORRECTIONS.items():
        table[name][1].update(changes)
    for _, elements in table.values():
        for element, kinds in elements.items():
            # R4's open choice ("any type", datatypes.html) has Meta, R4B's has not.
            if "|UsageContext" in kinds and "|Meta" not in kinds:
                elements[element] += "|Meta"
    return dict(sorted(table.items()))


def _names(classes: dict[str, Any]) -> dict[str, str]:
    """Python class → FHIR type name; a backbone class gets the path at which it is defined."""
    public = {name for name, cls in classes.items() if not _is_backbone(name, cls, classes)}
    names = {name: name for name in public}

    # Breadth first: a class met twice is named by the shorter path (Observation.referenceRange).
    queue = [(name, name) for name in sorted(public)]
    for owner, path in queue:
        for field in _own_fields(classes[owner]):
            target, _ = _target(field)
            if target in classes and target not in names:
                names[target] = f"{path}.{field.alias}"
                queue.append((target, names[target]))
    return names


def _is_backbone(name: str, cls: Any, classes: dict[str, Any]) -> bool:
    bases = [base.__name__ for base in cls.__mro__[1:3]]
    if not {"BackboneElement", "Element"} & set(bases):
        return False
    return any(
        name != owner and name.startswith(owner) and cls.__module__ == classes[owner].__module__ for owner in classes
    )


def _own_fields(cls: Any) -> list[Any]:
    inherited = set(cls.__mro__[1].model_fields) if hasattr(cls.__mro__[1], "model_fields") else set()
    return [
        field
        for name, field in cls.model_fields.items()
        if name not in inherited
        and not name.endswith("__ext")
        and field.alias not in {"fhir_comments", "resource_type", "resourceType"}
    ]


def _target(field: Any) -> tuple[str, bool]:
    """The element's type (a class name, or a FHIR primitive) and whether it repeats."""
    text = str(field.annotation)
    repeats = "List[" in text
    if found := re.search(r"abc\.(\w+)Type\b", text):
        return found.group(1), repeats
    if "bool" in text:
        return "boolean", repeats
    # `Annotated[str, Uri()]`; some constrained primitives keep the marker in the field's metadata instead.
    markers = re.findall(r"\w+", text) + [type(marker).__name__ for marker in field.metadata]
    for marker in markers:
        if marker[0].isupper() and marker.lower() in _PYTHON_NAMES:
            return _PYTHON_NAMES[marker.lower()], repeats
    raise ValueError(f"cannot read the type of {field}")


def _elements(cls: Any, classes: dict[str, Any], names: dict[str, str]) -> dict[str, str]:
    elements: dict[str, str] = {}
    for field in _own_fields(cls):
        target, repeats = _target(field)
        kind = names.get(target, target)
        if kind in _R4B_ONLY:
            continue
        choice = (field.json_schema_extra or {}).get("one_of_many")
        if choice:
            key = f"{choice}[x]"
            elements[key] = f"{elements[key]}|{kind}" if key in elements else kind
        else:
            elements[field.alias] = kind + ("*" if repeats else "")
    return elements


def write() -> None:
    """One type a line, so that a difference between two builds can be read."""
    lines = (f'"{name}":{json.dumps(entry, separators=(",", ":"))}' for name, entry in build().items())
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    write()
