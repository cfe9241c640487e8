"""Everything under rules/ and questionnaires/, loaded, checked and immutable."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from app.fhir import codings
from app.rulebook import schema
from app.rulebook.codes import Crosswalks, codes_of, read_crosswalks, read_list
from app.rulebook.documents import Document, check_encoding, read_document
from app.rulebook.expansions import ORIGINS_FILE, Origin, read_origins
from app.rulebook.forms import (
    Artifacts,
    canonical_of,
    form_folders,
    read_form_files,
    read_forms,
    read_libraries,
    read_value_sets,
)
from app.rulebook.guidance import Guidance, build_guidance, check_forms
from app.rulebook.payer import Payer, build_payer
from app.rulebook.policies import Policy, build_policy, check_overlaps
from app.rulebook.prefill import Prefill, build_prefill
from app.rulebook.scope import Names
from app.rulebook.standards import STANDARDS_FILE, Standard, read_standards
from app.rulebook.validity import VALIDITY_FILE, Validity, read_validity
from benefit_router import Code, CodeList, Problem, RoutingTable, Rule, Vocabulary, read_table

ROUTES_FILE = "benefit_routes.csv"
# Members are not rules, and scenarios decide nothing: neither is part of what names a rulebook or is stored with it.
_FOLDERS = ("policies", "guidance", "lists", "crosswalks")

Scoped = TypeVar("Scoped", Policy, Guidance)


@dataclass(frozen=True, slots=True, eq=False)
class Rulebook:
    """One version of the rules. `files` are the exact texts it was built from, by path; `hash` names their content.

    `questionnaires` are the forms' versioned canonicals, `forms` the Questionnaires themselves and `prefills` where
    their answers come from, each by the name of the form's folder. `libraries` and `value_sets` are what they build on.
    `validity` of codes and `origins` of lists decide nothing; the lints look at them.
    """

    hash: str
    label: str
    payer: Payer
    table: RoutingTable
    crosswalks: Crosswalks
    lists: Mapping[str, CodeList]
    questionnaires: Mapping[str, str]
    forms: Mapping[str, Mapping[str, Any]]
    prefills: Mapping[str, Prefill]
    libraries: Artifacts
    value_sets: Artifacts
    standards: tuple[Standard, ...]
    validity: Mapping[Code, Validity]
    origins: Mapping[str, Origin]
    files: Mapping[str, str]
    _policies: _ByCode[Policy]
    _guidance: _ByCode[Guidance]

    @property
    def policies(self) -> tuple[Policy, ...]:
        """Every policy."""
        return self._policies.every

    @property
    def guidance(self) -> tuple[Guidance, ...]:
        """Every card."""
        return self._guidance.every

    def policies_about(self, codes: Iterable[Code]) -> list[Policy]:
        """Policies that name one of these codes, whatever the member and date."""
        return self._policies.about(codes)

    def guidance_about(self, codes: Iterable[Code]) -> list[Guidance]:
        """Cards that name one of these codes, whatever the member and date."""
        return self._guidance.about(codes)

    def altered(
        self,
        *,
        rules: Iterable[Rule] | None = None,
        policies: Iterable[Policy] | None = None,
        guidance: Iterable[Guidance] | None = None,
        lists: Mapping[str, CodeList] | None = None,
    ) -> Rulebook:
        """This rulebook with other rules, to try what they do. Unchecked, and under the name of this one."""
        return replace(
            self,
            table=self.table if rules is None else RoutingTable.of(rules, self.table.catalog),
            lists=self.lists if lists is None else lists,
            _policies=self._policies if policies is None else _index(list(policies)),
            _guidance=self._guidance if guidance is None else _index(list(guidance)),
        )

    def member_of(
        self, value: Any, value_set: str, codes_of: Callable[[Any], tuple[Code, ...]] = codes_of
    ) -> bool | None:
        """FHIRPath `memberOf('list:name')` for a code, Coding or CodeableConcept.

        None is unknown: a list nobody defined, or a concept given only in words or in code systems the list does not
        speak; nobody can say that such an entry is not meant. A bare code names no system, so it is a member when the
        list has it under any (as FHIRPath's memberOf says). `codes_of` reads the codes of a value: a caller that asks
        again and again of the same ones may remember them.
        """
        codes = self.lists.get(value_set.removeprefix("list:"))
        if codes is None:
            return None
        if isinstance(value, str):
            return any(code in codes for code in _codes_in(codes.systems, value))
        stated = codes_of(value)
        if codes.has_any(stated):
            return True
        if isinstance(value, dict) and "code" not in value and not any(system in codes.systems for system, _ in stated):
            return None
        return False


@dataclass(frozen=True, slots=True)
class _ByCode(Generic[Scoped]):
    """Rules indexed by the codes they name."""

    every: tuple[Scoped, ...]
    exact: Mapping[Code, tuple[Scoped, ...]]
    prefixed: tuple[Scoped, ...]

    def about(self, codes: Iterable[Code]) -> list[Scoped]:
        found: dict[str, Scoped] = {}
        for code in codes:
            for rule in self.exact.get(code, ()):
                found[rule.scope.slug] = rule
            for rule in self.prefixed:
                if code in rule.scope.codes:
                    found[rule.scope.slug] = rule
        return list(found.values())


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome of loading: a rulebook unless a problem is an error."""

    rulebook: Rulebook | None
    problems: tuple[Problem, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Problems that keep the rulebook from going live."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


def read_files(rules: Path, questionnaires: Path) -> dict[str, str]:
    """The texts a rulebook is built from, by path relative to the rules folder (forms under `questionnaires/`)."""
    files: dict[str, str] = {}
    found = [rules / "payer.yaml", rules / ROUTES_FILE, rules / STANDARDS_FILE]
    for folder in _FOLDERS:
        found += sorted((rules / folder).glob("*.csv")) + sorted((rules / folder).glob("*.yaml"))
    for path in found:
        if path.is_file():
            files[path.relative_to(rules).as_posix()] = path.read_text(encoding="utf-8-sig", errors="replace")
    return files | read_form_files(questionnaires)


def load(rules: Path, questionnaires: Path) -> Loaded:
    """Load the rulebook from disk."""
    if not rules.is_dir():
        return Loaded(
            None, (Problem(str(rules), None, None, "There is no such folder.", "Point --rules at a rules folder."),)
        )
    try:
        files = read_files(rules, questionnaires)
    except OSError as error:
        remedy = "Let the service read it, and write files whole."
        return Loaded(
            None, (Problem(str(error.filename), None, None, f"It cannot be read: {error.strerror}.", remedy),)
        )
    loaded = build(files)
    return Loaded(loaded.rulebook, (*_passed_over(rules), *loaded.problems))


def _passed_over(rules: Path) -> Iterator[Problem]:
    """Files in the rule folders that nothing reads, such as a policy saved as .yml."""
    for folder in _FOLDERS:
        for path in sorted((rules / folder).glob("*")):
            if path.is_file() and path.suffix not in (".csv", ".yaml") and not path.name.startswith("."):
                file = path.relative_to(rules).as_posix()
                remedy = "Name rule files .yaml and tables .csv, in small letters; keep other files elsewhere."
                yield Problem(file, None, None, "The file is not read.", remedy, "warning")


def build(files: Mapping[str, str]) -> Loaded:
    """Build a rulebook from texts. Pure: the same texts give the same rulebook, so a past answer can be replayed."""
    digest = content_hash(files)  # first: the bytes of a large table and its rows need not be in memory at once
    problems = [problem for path, text in files.items() for problem in check_encoding(text, path)]
    payer_document = _document(files, "payer.yaml", "payer", problems)
    payer = build_payer(payer_document, problems) if payer_document else None
    lists = {
        _stem(path): read_list(_stem(path), text, path, problems)
        for path, text in files.items()
        if path.startswith("lists/")
    }
    walks = {path.removeprefix("crosswalks/"): text for path, text in files.items() if path.startswith("crosswalks/")}
    crosswalks = read_crosswalks(walks, problems)
    forms = read_forms(files, problems)
    libraries, value_sets = read_libraries(files, problems), read_value_sets(files, problems)
    questionnaires = {slug: canonical_of(form) for slug, form in forms.items()}
    prefills = dict(_prefills(files, forms, lists, problems))
    if payer is None:
        return Loaded(None, tuple(problems))

    # Rulebooks stored before there was such a file are built without it.
    standards = read_standards(files[STANDARDS_FILE], payer.lines, problems) if STANDARDS_FILE in files else ()
    validity = read_validity(files[VALIDITY_FILE], problems) if VALIDITY_FILE in files else {}
    origins = read_origins(files[ORIGINS_FILE], lists, problems) if ORIGINS_FILE in files else {}
    # A form that is there and cannot be read was told: that it is named is not wrong.
    named = dict.fromkeys(form_folders(files), "") | questionnaires
    names = Names(lists, payer.lines, payer.plans, payer.contacts, named)
    policies = [
        build_policy(document, names, problems)
        for path in files
        if path.startswith("policies/") and (document := _document(files, path, "policy", problems))
    ]
    problems += check_overlaps(policies)
    guidance = [
        build_guidance(document, names, problems)
        for path in files
        if path.startswith("guidance/") and (document := _document(files, path, "guidance", problems))
    ]
    table = _table(files, payer, names, crosswalks, problems)
    problems += check_forms(guidance, set(_named_by_answers(policies, table)))
    if table is None or any(problem.severity == "error" for problem in problems):
        return Loaded(None, tuple(problems))
    rulebook = Rulebook(
        hash=digest,
        label=digest[:12],
        payer=payer,
        table=table,
        crosswalks=crosswalks,
        lists=lists,
        questionnaires=questionnaires,
        standards=standards,
        validity=validity,
        origins=origins,
        forms=forms,
        prefills=prefills,
        libraries=libraries,
        value_sets=value_sets,
        files=dict(files),
        _policies=_index(policies),
        _guidance=_index(guidance),
    )
    return Loaded(rulebook, tuple(problems))


def content_hash(files: Mapping[str, str]) -> str:
    """SHA-256 over the paths and texts, in path order."""
    digest = hashlib.sha256()
    for path in sorted(files):
        content = files[path].encode()
        digest.update(f"{path}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _document(files: Mapping[str, str], path: str, kind: str, problems: list[Problem]) -> Document | None:
    """A YAML file that meets its schema; None, with problems, when it does not."""
    if path not in files:
        problems.append(Problem(path, None, None, "The file is missing.", f"Add {path}."))
        return None
    document, found = read_document(files[path], path)
    if document is not None:
        found += schema.check(document, kind)
    problems += found
    return document if not found else None


def _table(
    files: Mapping[str, str], payer: Payer, names: Names, crosswalks: Crosswalks, problems: list[Problem]
) -> RoutingTable | None:
    if ROUTES_FILE not in files:
        problems.append(Problem(ROUTES_FILE, None, None, "The file is missing.", "Add the routing table."))
        return None
    words: dict[str, frozenset[str]] = {
        "lob": frozenset(payer.lines),
        "plan": frozenset(payer.plans),
        "route": crosswalks.route_words,
        "dose_form": frozenset(crosswalks.routes_of_form),
        "flag": frozenset(payer.flags),
        "clock": frozenset(payer.clocks),
        "handoff": frozenset(payer.pharmacy),
        "questionnaire": frozenset(names.questionnaires),
    }
    vocabulary = Vocabulary(lists=names.lists, words=words)
    with _no_collecting():
        table, found = read_table(
            files[ROUTES_FILE], file=ROUTES_FILE, vocabulary=vocabulary, catalog=crosswalks.catalog
        )
    problems += found
    return table


@contextmanager
def _no_collecting() -> Iterator[None]:
    """A large table is a million objects that all stay: looking for garbage among them meanwhile costs a fifth more."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _prefills(
    files: Mapping[str, str],
    forms: Mapping[str, dict[str, Any]],
    lists: Mapping[str, CodeList],
    problems: list[Problem],
) -> Iterator[tuple[str, Prefill]]:
    """Each form's folder name with where its answers come from."""
    for path in files:
        slug = path.split("/")[1] if path.startswith("questionnaires/") and path.endswith("/prefill.yaml") else None
        if slug is None or (document := _document(files, path, "prefill", problems)) is None:
            continue
        if slug in forms:
            yield slug, build_prefill(document, slug, forms[slug], lists, problems)
        elif slug not in form_folders(files):
            problems.append(document.problem((), "There is no form beside it.", "Add questionnaire.json."))


def _named_by_answers(policies: Iterable[Policy], table: RoutingTable | None) -> Iterator[str]:
    """Forms that an answer may name; DTR fills those in."""
    for policy in policies:
        for case in policy.cases:
            yield from (form for answer in case.answers for form in answer.questionnaires)
    for rule in table.rules if table is not None else ():
        if rule.outcome.questionnaire is not None:
            yield rule.outcome.questionnaire


def _index(rules: list[Scoped]) -> _ByCode[Scoped]:
    exact: dict[Code, list[Scoped]] = {}
    for rule in rules:
        for code in rule.scope.codes.exact:
            exact.setdefault(code, []).append(rule)
    prefixed = tuple(rule for rule in rules if rule.scope.codes.prefixes)
    return _ByCode(tuple(rules), {code: tuple(found) for code, found in exact.items()}, prefixed)


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _codes_in(systems: Iterable[str], value: str) -> Iterator[Code]:
    for name in systems:
        yield name, codings.normalise_code(codings.system_from_short_name(name) or name, value)
