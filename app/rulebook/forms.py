"""`questionnaires/`: the payer's forms, the Libraries that clients fill them by, and the value sets of their answers.

    questionnaires/<form>/questionnaire.json   the Questionnaire
    questionnaires/<form>/prefill.yaml         where its answers come from (`prefill`)
    questionnaires/<form>/library.json         its Library: CQL and ELM in content.data
    questionnaires/<form>/valuesets/*.json     value sets of this form
    questionnaires/libraries/*.json            Libraries that several build on, such as FHIRHelpers
    questionnaires/valuesets/*.json            value sets that several use

All of it is part of the rulebook and its hash: a form is given as it was when an answer asked for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.errors import InvalidRequest
from app.fhir import references
from app.fhir.json import decode
from benefit_router import Problem

Resource = Mapping[str, Any]

_PATTERNS = (
    "*/questionnaire.json",
    "*/prefill.yaml",
    "*/library.json",
    "*/valuesets/*.json",
    "libraries/*.json",
    "valuesets/*.json",
)
_FORM = re.compile(r"questionnaires/([^/]+)/questionnaire\.json")
_LIBRARY = re.compile(r"questionnaires/(?:[^/]+/library|libraries/[^/]+)\.json")
_VALUE_SET = re.compile(r"questionnaires/(?:[^/]+/)?valuesets/[^/]+\.json")


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Questionnaires, Libraries or value sets, found by canonical: exact text, never a path."""

    by_canonical: Mapping[str, Resource] = field(default_factory=dict)
    current: Mapping[str, Resource] = field(default_factory=dict)

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> Artifacts:
        """Of resources that each have a url and a version. Of several versions the last given is the current one."""
        every = list(resources)
        return cls({canonical_of(each): each for each in every}, {each["url"]: each for each in every})

    def get(self, canonical: str) -> Resource | None:
        """The resource of `url|version`, or the current one of a bare `url`."""
        return self.by_canonical.get(canonical) if "|" in canonical else self.current.get(canonical)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.by_canonical.values())


def canonical_of(resource: Resource) -> str:
    """`url|version`."""
    return f"{resource['url']}|{resource['version']}"


def id_of(resource: Resource) -> str:
    """Its id, or what its url ends in; `read_forms` and the like see to it that one of the two is a FHIR id."""
    return str(resource.get("id") or resource["url"].rpartition("/")[2])


def read_form_files(questionnaires: Path) -> dict[str, str]:
    """The texts of the forms, by path under `questionnaires/`."""
    files = {}
    for pattern in _PATTERNS:
        for path in sorted(questionnaires.glob(pattern)):
            name = f"questionnaires/{path.relative_to(questionnaires).as_posix()}"
            files[name] = path.read_text(encoding="utf-8", errors="replace")
    return files


def read_forms(files: Mapping[str, str], problems: list[Problem]) -> dict[str, dict[str, Any]]:
    """Each form's Questionnaire by the name of its folder."""
    forms = {}
    for slug in form_folders(files):
        form = _canonical_resource(files, f"questionnaires/{slug}/questionnaire.json", "Questionnaire", problems)
        if form is not None:
            forms[slug] = form
    return forms


def form_folders(files: Iterable[str]) -> list[str]:
    """The names of the folders with a form, readable or not."""
    return [found[1] for path in files if (found := _FORM.fullmatch(path))]


def read_libraries(files: Mapping[str, str], problems: list[Problem]) -> Artifacts:
    """Every Library. One without both CQL and ELM could not be given to a client (DTR oper-13)."""
    found = []
    for path in filter(_LIBRARY.fullmatch, files):
        library = _canonical_resource(files, path, "Library", problems)
        if library is None:
            continue
        held = {each.get("contentType") for each in library.get("content", ()) if each.get("data")}
        for kind in sorted({"text/cql", "application/elm+json"} - held):
            words = f"The Library has no {kind} in content.data."
            problems.append(Problem(path, 1, "content", words, "Build it with `signpost questionnaires build`."))
        found.append(library)
    return Artifacts.of(found)


def read_value_sets(files: Mapping[str, str], problems: list[Problem]) -> Artifacts:
    """Every value set."""
    found = (_canonical_resource(files, path, "ValueSet", problems) for path in filter(_VALUE_SET.fullmatch, files))
    return Artifacts.of([each for each in found if each is not None])


def _canonical_resource(
    files: Mapping[str, str], path: str, kind: str, problems: list[Problem]
) -> dict[str, Any] | None:
    """A resource of this kind that has a url and a version; None, with a problem, for anything else."""
    try:
        resource = decode(files[path].encode())
    except InvalidRequest as error:
        problems.append(Problem(path, None, None, f"This is not JSON: {error}", "Correct the file."))
        return None
    if not isinstance(resource, dict) or resource.get("resourceType") != kind:
        problems.append(Problem(path, 1, "resourceType", f"This is not a {kind}.", f"Put the {kind} here."))
        return None
    for name in ("url", "version"):
        if not isinstance(resource.get(name), str) or not resource[name] or "|" in resource[name]:
            words = f"The {kind} lacks a {name}." if not resource.get(name) else f"This is not a {name}."
            problems.append(Problem(path, 1, name, words, "Add it: answers and forms name the version."))
            return None
    if not references.is_id(id_of(resource)):
        words = f"The {kind} has no id, and its url ends in none."
        problems.append(Problem(path, 1, "id", words, "Give it an id of letters, digits, - and dots."))
        return None
    return resource
