"""Forms, Libraries and value sets as they leave, in the words of each DTR version. On file they are in those of 2.2.

Every reference among them names its version (oper-16). For 2.0 that of the Library may be left out, by a setting, since
Inferno's suite compares it as text with Library.url.

Sources: davinci-dtr 2.0.1 and 2.2; SDC 4.0.0 (sdc-2: a version needs its algorithm), SDC 3.0.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from html import escape
from typing import Any

from app.dtr import extensions
from app.dtr.draft import Version
from app.dtr.value_sets import INLINE, expanded
from app.dtr.wire import WIRE
from app.rulebook.forms import canonical_of, id_of
from app.rulebook.rulebook import Rulebook

Resource = dict[str, Any]

_ALTERNATIVE = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/alternativeExpression"
_HYPERLINK = "http://hl7.org/fhir/StructureDefinition/questionnaire-supportHyperlink"
# What 2.0.1 calls an extension of 2.2's.
_NAMES_IN_2_0 = {
    _ALTERNATIVE: "http://hl7.org/fhir/us/ecr/StructureDefinition/us-ph-alternative-expression-extension",
    _HYPERLINK: "http://hl7.org/fhir/StructureDefinition/questionnaire-supportLink",
}
# What 2.0.1 and SDC 3.0.0 do not have: DTR's own extensions of forms, the algorithm of versions, targetConstraint.
_NOT_IN_2_0 = (
    "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/",
    extensions.VERSION_ALGORITHM,
    "http://hl7.org/fhir/StructureDefinition/targetConstraint",
)
_POPULATION = (
    extensions.VARIABLE,
    extensions.ITEM_POPULATION_CONTEXT,
    extensions.INITIAL_EXPRESSION,
    extensions.CANDIDATE_EXPRESSION,
    extensions.CONTEXT_EXPRESSION,
)
_SEMVER = {"system": "http://hl7.org/fhir/version-algorithm", "code": "semver"}


class Publisher:
    """Gives what one rulebook holds as of one moment, to clients of one version. `base` is the FHIR base they call."""

    def __init__(
        self, rulebook: Rulebook, version: Version, base: str, now: datetime, *, unversioned_libraries: bool = False
    ) -> None:
        self._rulebook = rulebook
        self._version = version
        self._base = base
        self._now = now
        self._bare_libraries = unversioned_libraries and version == "2.0"

    def address(self, kind: str, identity: str) -> str:
        """Where a client reads a resource."""
        return f"{self._base}/{kind}/{identity}"

    def questionnaire(self, form: Mapping[str, Any]) -> Resource:
        """A form; of an adaptive one its shell, whose items come one after the other by $next-question."""
        made = self._canonical(form)
        if is_adaptive(form):
            made.pop("item", None)
            made["extension"] = [*(e for e in made.get("extension", ()) if e["url"] != extensions.ADAPTIVE)]
            made["extension"].append({"url": extensions.ADAPTIVE, "valueUrl": self._base})
        profile = WIRE[self._version].shell if is_adaptive(form) else WIRE[self._version].form
        made["meta"] = {**made.get("meta", {}), "profile": [profile]}
        if self._version == "2.0":
            made["text"] = narrative(made)
        return _in_order(made)

    def contained(self, form: Mapping[str, Any], items: list[Resource]) -> Resource:
        """The form in use of an adaptive one: derived from the shell, with the items asked so far."""
        made = self._canonical(form)
        made["id"] = f"{id_of(form)}-asked"
        made.pop("meta", None)
        made.pop("text", None)
        made["derivedFrom"] = [canonical_of(form)]
        made["extension"] = [*(e for e in made.get("extension", ()) if e["url"] != extensions.ADAPTIVE)]
        made["extension"].append({"url": extensions.ADAPTIVE, "valueUrl": self._base})
        made["item"] = self.items(items)
        if not items:
            del made["item"]
        if self._version == "2.0":
            # sdc-questionnaire-adapt of SDC 3.0.0: no url, and a title and a text.
            for name in ("url", "version"):
                made.pop(name, None)
            made.setdefault("title", id_of(form))
            made["text"] = narrative(made)
        return _in_order(made)

    def items(self, items: list[Resource]) -> list[Resource]:
        """Items of a form as they leave."""
        found: list[Resource] = self._walk(items)
        return found

    def library(self, library: Mapping[str, Any]) -> Resource:
        """A Library."""
        return _in_order(self._canonical(library))

    def value_set(self, value_set: Mapping[str, Any]) -> Resource:
        """A value set, with its expansion as of now where it lists its codes."""
        whole = expanded(value_set, self._now)
        return _in_order(self._canonical(whole if whole is not None else value_set))

    def libraries_of(self, form: Mapping[str, Any]) -> tuple[list[Resource], list[str]]:
        """Every Library a form builds on, however far (oper-12), each once; and the canonicals that lead nowhere."""
        found: dict[str, Resource] = {}
        lost: list[str] = []
        waiting = list(extensions.values(form, extensions.CQF_LIBRARY, "valueCanonical"))
        while waiting:
            canonical = str(waiting.pop(0))
            library = self._rulebook.libraries.get(canonical)
            if library is None:
                lost.append(canonical)
            elif canonical_of(library) not in found:
                found[canonical_of(library)] = self.library(library)
                waiting += [
                    each["resource"]
                    for each in library.get("relatedArtifact", ())
                    if each.get("type") == "depends-on" and isinstance(each.get("resource"), str)
                ]
        return list(found.values()), lost

    def value_sets_of(self, form: Mapping[str, Any]) -> tuple[list[Resource], list[str], list[str]]:
        """The value sets a form takes answers from: those that go with it, those left to $expand, and unknown ones.

        2.0 wants every expansion in the package; 2.2 those under 40 codes, and says to leave larger ones out
        (spec-163).
        """
        packed: list[Resource] = []
        left: list[str] = []
        lost: list[str] = []
        for canonical in dict.fromkeys(_value_sets_named(form)):
            value_set = self._rulebook.value_sets.get(canonical)
            if value_set is None:
                lost.append(canonical)
                continue
            made = self.value_set(value_set)
            if self._version == "2.0" or made.get("expansion", {}).get("total", INLINE) < INLINE:
                packed.append(made)
            else:
                left.append(canonical_of(value_set))
        return packed, left, lost

    def _canonical(self, resource: Mapping[str, Any]) -> Resource:
        made: Resource = self._walk(dict(resource))
        made["id"] = id_of(resource)
        if self._version == "2.2":
            stated = list(made.get("extension", ()))
            if not any(each["url"] == extensions.VERSION_ALGORITHM for each in stated):
                made["extension"] = [*stated, {"url": extensions.VERSION_ALGORITHM, "valueCoding": _SEMVER}]
        return made

    def _walk(self, value: Any, name: str | None = None) -> Any:
        """The value with its references pinned and its extensions in the version's words."""
        if isinstance(value, list):
            kept = (each for each in value if name != "extension" or self._is_had(each))
            return [self._walk(each) for each in kept]
        if isinstance(value, dict):
            made = {key: self._walk(each, key) for key, each in value.items()}
            made = {key: each for key, each in made.items() if each != [] or key not in ("extension",)}
            return self._in_words(made)
        if isinstance(value, str) and name in ("answerValueSet", "valueCanonical", "resource"):
            return self._pinned(value)
        return value

    def _is_had(self, extension: Any) -> bool:
        if self._version != "2.0" or not isinstance(extension, dict):
            return True
        url = str(extension.get("url"))
        if url.startswith(_NOT_IN_2_0) and url not in _NAMES_IN_2_0:
            return False
        # 2.0 wants CQL wherever a form is filled at the EHR; what is FHIRPath here the service fills itself.
        language = (extension.get("valueExpression") or {}).get("language")
        return not (url in _POPULATION and language == "text/fhirpath")

    def _in_words(self, element: Resource) -> Resource:
        if self._version != "2.0":
            return element
        if element.get("url") == _HYPERLINK:
            # There the link stands alone, without its label.
            links = [each["valueUri"] for each in extensions.of(element, "link") if "valueUri" in each]
            element = {"url": _HYPERLINK, **({"valueUri": links[0]} if links else {})}
        if element.get("url") in _NAMES_IN_2_0:
            element = {**element, "url": _NAMES_IN_2_0[element["url"]]}
        if element.get("language") == "text/cql-identifier":
            # The name of a definition is CQL itself, and 2.0 knows no other word for it.
            element = {**element, "language": "text/cql"}
        return element

    def _pinned(self, canonical: str) -> str:
        library = self._rulebook.libraries.get(canonical)
        if library is not None:
            return str(library["url"]) if self._bare_libraries else canonical_of(library)
        value_set = self._rulebook.value_sets.get(canonical)
        return canonical if value_set is None else canonical_of(value_set)


def is_adaptive(form: Mapping[str, Any]) -> bool:
    """Whether a form is asked step by step (SDC, "Adaptive Questionnaires")."""
    return any(extensions.of(form, extensions.ADAPTIVE))


def narrative(form: Mapping[str, Any]) -> Resource:
    """The questions of a form as the text that 2.0 wants of every form."""
    body = f"<p>{escape(str(form.get('title') or form.get('name') or ''))}</p>"
    if asked := "".join(_listed(form.get("item", ()))):
        body += f"<ul>{asked}</ul>"
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{body}</div>'}


def _listed(items: Any) -> Iterator[str]:
    for item in items:
        below = "".join(_listed(item.get("item", ())))
        yield f"<li>{escape(str(item.get('text', '')))}{f'<ul>{below}</ul>' if below else ''}</li>"


def _value_sets_named(element: Any, name: str | None = None) -> Iterator[str]:
    """Every external value set that answers or units are taken from."""
    if isinstance(element, dict):
        if element.get("url") == extensions.UNIT_VALUE_SET and isinstance(element.get("valueCanonical"), str):
            yield element["valueCanonical"]
        for key, value in element.items():
            yield from _value_sets_named(value, key)
    elif isinstance(element, list):
        for each in element:
            yield from _value_sets_named(each)
    elif name == "answerValueSet" and isinstance(element, str) and not element.startswith("#"):
        yield element


def _in_order(resource: Resource) -> Resource:
    first = ("resourceType", "id", "meta", "text", "contained", "extension")
    return {name: resource[name] for name in (*first, *resource) if name in resource}
