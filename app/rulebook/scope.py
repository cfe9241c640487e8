"""What policies and guidance share: which orders a rule is about and when, what it reads, and what it may name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from app import fhirpath
from app.rulebook.codes import parse_codes
from app.rulebook.conditions import RECORD, Condition, compile_condition
from app.rulebook.documents import Document, Path
from app.rulebook.spelling import nearest
from benefit_router import CodeList, Problem


@dataclass(frozen=True, slots=True)
class Need:
    """A kind of record to read when a rule is in play; `codes` names a list to narrow it to, or is None for all.

    `within_days` narrows it to so many days before the order; only prefill does.
    """

    kind: str
    codes: str | None = None
    within_days: int | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Which orders a rule is about, and when."""

    slug: str
    title: str
    codes: CodeList
    track: str | None
    lines: frozenset[str]
    plans: frozenset[str]
    effective_from: date
    effective_to: date | None
    source_url: str

    def in_force(self, day: date) -> bool:
        """Half-open, like every date range of the rulebook."""
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)

    @property
    def specificity(self) -> tuple[bool, bool, date]:
        """A rule for named plans beats one for named lines, which beats a general one; then the newer wins."""
        return (bool(self.plans), bool(self.lines), self.effective_from)


@dataclass(frozen=True, slots=True)
class Names:
    """What a rule may refer to by name."""

    lists: Mapping[str, CodeList]
    lines: Collection[str]
    plans: Collection[str]
    contacts: Collection[str]
    questionnaires: Collection[str]


def read_scope(document: Document, slug: str, names: Names, problems: list[Problem]) -> Scope:
    """Scope of the rule a document holds, whose name inside the file is `slug`."""
    data = document.data
    stem = document.file.rsplit("/", 1)[-1].removesuffix(".yaml")
    if slug != stem:
        problems.append(
            document.problem((), f"The file is named '{stem}', the rule '{slug}'.", "Give both the same name.")
        )
    for key, known in (("lines", names.lines), ("plans", names.plans)):
        for position, name in enumerate(data.get(key, ())):
            if name not in known:
                problems.append(document.problem((key, position), f"There is no '{name}'.", nearest(name, known)))
    approved = data["approved"]
    if approved["author"] == approved["approver"]:
        problems.append(
            document.problem(
                ("approved", "approver"), "Author and approver are the same.", "Have someone else approve it."
            )
        )
    start = date.fromisoformat(data["effective"]["from"])
    end = date.fromisoformat(data["effective"]["to"]) if "to" in data["effective"] else None
    if end is not None and end <= start:
        problems.append(
            document.problem(("effective", "to"), "It ends before it begins.", "'to' is the first day after it.")
        )
    return Scope(
        slug=slug,
        title=data["title"],
        codes=_codes(document, data["applies_to"]["codes"], names, problems),
        track=data["applies_to"].get("track"),
        lines=frozenset(data.get("lines", ())),
        plans=frozenset(data.get("plans", ())),
        effective_from=start,
        effective_to=end,
        source_url=data["source"]["url"],
    )


def _codes(document: Document, stated: str | list[str], names: Names, problems: list[Problem]) -> CodeList:
    path: Path = ("applies_to", "codes")
    if isinstance(stated, str):
        name = stated.removeprefix("list:")
        if name not in names.lists:
            problems.append(document.problem(path, f"There is no list '{name}'.", nearest(name, names.lists)))
            return CodeList.of(name, ())
        return names.lists[name]
    return CodeList.of(", ".join(stated), parse_codes(stated))


def read_needs(document: Document, names: Names, problems: list[Problem]) -> tuple[Need, ...]:
    """What the rule reads from the patient's record."""
    found = []
    for position, entry in enumerate(document.data.get("needs", ())):
        if isinstance(entry, str):
            found.append(Need(entry))
            continue
        ((kind, text),) = entry.items()
        name = text.removeprefix("list:")
        if name not in names.lists:
            hint = nearest(name, names.lists)
            problems.append(document.problem(("needs", position, kind), f"There is no list '{name}'.", hint))
        found.append(Need(kind, name))
    return tuple(found)


def read_condition(
    document: Document,
    path: Path,
    text: str | None,
    needs: tuple[Need, ...],
    names: Names,
    problems: list[Problem],
) -> Condition | None:
    """The compiled `when` at `path`; None when there is none, or, with a problem, when it does not compile."""
    if text is None:
        return None
    try:
        condition = compile_condition(text)
    except fhirpath.FhirPathSyntaxError as error:
        problems.append(document.problem(path, f"{error.message}\n{error.caret()}", "Correct the FHIRPath expression."))
        return None
    for name in condition.lists:
        if name not in names.lists:
            problems.append(document.problem(path, f"There is no list '{name}'.", nearest(name, names.lists)))
    kinds = {need.kind for need in needs}
    for name in sorted(condition.variables & set(RECORD)):
        if name not in kinds:
            message = f"%{name} is used but would not be read."
            problems.append(document.problem(path, message, f"Add '{name}' to 'needs'."))
    return condition
