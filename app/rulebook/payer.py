"""Who answers: the payer, its lines of business, plans, pharmacy processors and contacts (`payer.yaml`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.rulebook.documents import Document
from benefit_router import Problem


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan a member may be in. `pharmacy` names the PBM profile of its drug benefit, if it has one."""

    plan_id: str
    name: str
    line: str
    pharmacy: str | None


@dataclass(frozen=True, slots=True)
class Pharmacy:
    """Who runs a pharmacy benefit. `relation` says who pays: this coverage, another of this payer, someone else."""

    slug: str
    name: str
    phone: str
    epa_standard: str
    epa_versions: tuple[str, ...]
    relation: Literal["same-plan", "same-payer", "other"]
    url: str | None = None
    bin: str | None = None
    pcn: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """A department a clinician can ask."""

    name: str
    phone: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """A decision clock: durations such as `72 h` or `7 d`, the authority, and whether it binds today."""

    standard: str
    expedited: str
    authority: str
    status: Literal["in-force", "proposed"]

    @property
    def words(self) -> str:
        """Both times in one line."""
        return f"standard {self.standard}, expedited {self.expedited}"


@dataclass(frozen=True, slots=True)
class Payer:
    """The payer as its rule files describe it. `medicare` are the lines that are, `medicare_flags` its flags."""

    name: str
    identifiers: frozenset[tuple[str, str]]
    lines: Mapping[str, str]
    plans: Mapping[str, Plan]
    coverage_types: tuple[tuple[str, str], ...]
    pharmacy: Mapping[str, Pharmacy]
    contacts: Mapping[str, Contact]
    clocks: Mapping[str, Clock]
    flags: Mapping[str, str]
    medicare: frozenset[str]
    medicare_flags: frozenset[str]
    valid_days: int

    def line_of_type(self, code: str) -> str | None:
        """The line of business a Coverage.type code stands for: its own entry, else that of its longest prefix."""
        lines = dict(self.coverage_types)
        starred = (f"{code[:length]}*" for length in range(len(code), -1, -1))
        return next((lines[pattern] for pattern in (code, *starred) if pattern in lines), None)


def build_payer(document: Document, problems: list[Problem]) -> Payer:
    """The payer from a document that meets its schema; names that point nowhere become problems."""
    data: dict[str, Any] = document.data
    lines = {slug: entry["name"] for slug, entry in data["lines"].items()}
    pharmacy = {
        slug: Pharmacy(slug=slug, epa_versions=tuple(entry.pop("epa_versions", ())), **entry)
        for slug, entry in ((slug, dict(entry)) for slug, entry in data.get("pharmacy", {}).items())
    }
    plans = {
        plan_id: Plan(plan_id, entry["name"], entry["line"], entry.get("pharmacy"))
        for plan_id, entry in data.get("plans", {}).items()
    }
    flags = {
        slug: {"meaning": entry} if isinstance(entry, str) else entry for slug, entry in data.get("flags", {}).items()
    }
    for plan in plans.values():
        if plan.line not in lines:
            problems.append(_unknown(document, ("plans", plan.plan_id, "line"), plan.line, "lines"))
        if plan.pharmacy is not None and plan.pharmacy not in pharmacy:
            problems.append(_unknown(document, ("plans", plan.plan_id, "pharmacy"), plan.pharmacy, "pharmacy"))
    for position, entry in enumerate(data.get("coverage_types", [])):
        if entry["line"] not in lines:
            problems.append(_unknown(document, ("coverage_types", position, "line"), entry["line"], "lines"))
    return Payer(
        name=data["payer"],
        identifiers=frozenset((entry["system"], entry["value"]) for entry in data["identifiers"]),
        lines=lines,
        plans=plans,
        coverage_types=tuple((entry["code"], entry["line"]) for entry in data.get("coverage_types", [])),
        pharmacy=pharmacy,
        contacts={slug: Contact(**entry) for slug, entry in data.get("contacts", {}).items()},
        clocks={slug: Clock(**entry) for slug, entry in data.get("clocks", {}).items()},
        flags={slug: flag["meaning"] for slug, flag in flags.items()},
        medicare=frozenset(slug for slug, entry in data["lines"].items() if entry.get("medicare")),
        medicare_flags=frozenset(slug for slug, flag in flags.items() if flag.get("medicare")),
        valid_days=data["assertions"]["valid_days"],
    )


def _unknown(document: Document, path: tuple[str | int, ...], name: str, section: str) -> Problem:
    return document.problem(path, f"'{name}' is not defined.", f"Add it under '{section}', or correct the name.")
