"""Which answers an item allows: its answerOptions, or the expansion of its answerValueSet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.rulebook.forms import Artifacts

Expand = Callable[[str], "Sequence[dict[str, Any]] | None"]
"""The Codings of a value set by canonical, None where it is not known."""


class UnknownAnswers(Exception):
    """The item takes its answers from a value set that is not at hand, so nothing can be said to be one of them."""


def answer_space(
    item: Mapping[str, Any], questionnaire: Mapping[str, Any], expand: Expand
) -> tuple[dict[str, Any], ...] | None:
    """Every allowed answer as `{"valueCoding": …}` or another `value[x]`; None where anything of the type is.

    Raises UnknownAnswers.
    """
    options = item.get("answerOption")
    if isinstance(options, list):
        return tuple(_value_of(option) for option in options if isinstance(option, dict))
    canonical = item.get("answerValueSet")
    if not isinstance(canonical, str):
        return None
    codings = _contained(canonical[1:], questionnaire) if canonical.startswith("#") else expand(canonical)
    if codings is None:
        raise UnknownAnswers(canonical)
    return tuple({"valueCoding": coding} for coding in codings)


def _value_of(option: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in option.items() if key.startswith("value")}


def _contained(name: str, questionnaire: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    contained = questionnaire.get("contained")
    for resource in contained if isinstance(contained, list) else ():
        if isinstance(resource, dict) and resource.get("id") == name and resource.get("resourceType") == "ValueSet":
            return codings_of(resource)
    return None


def codings_in(value_sets: Artifacts) -> Expand:
    """The Codings of those of these value sets that list them."""

    def codings(canonical: str) -> list[dict[str, Any]] | None:
        value_set = value_sets.get(canonical)
        return codings_of(value_set) if value_set is not None else None

    return codings


def codings_of(value_set: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The Codings of a ValueSet: of its expansion, else of its compose where that lists every code; None otherwise."""
    expansion = value_set.get("expansion")
    if isinstance(expansion, dict):
        return list(_expanded(expansion.get("contains")))
    compose = value_set.get("compose")
    if not isinstance(compose, dict) or compose.get("exclude"):
        return None
    found: list[dict[str, Any]] = []
    for include in compose.get("include", ()):
        if not isinstance(include.get("concept"), list) or include.get("valueSet") or include.get("filter"):
            return None
        found += [_coding({"system": include.get("system"), **concept}) for concept in include["concept"]]
    return found


def _expanded(entries: Any) -> Sequence[dict[str, Any]]:
    found = []
    for entry in entries if isinstance(entries, list) else ():
        if entry.get("code") and not entry.get("abstract"):
            found.append(_coding(entry))
        found += _expanded(entry.get("contains"))
    return found


def _coding(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("system", "version", "code", "display") if entry.get(key)}
