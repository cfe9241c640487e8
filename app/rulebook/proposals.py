"""Draft routing rows from what HCPCS descriptors say of how a drug is given.

Nothing here decides an answer: every row is a draft that somebody checks, completes and has approved.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from app.rulebook.hcpcs import HcpcsCode
from benefit_router import COLUMNS, Code, CodeList, Problem, rows

SOURCE = "https://www.cms.gov/medicare/coding-billing/healthcare-common-procedure-system/quarterly-update"


@dataclass(frozen=True, slots=True)
class _Sign:
    """Words of a descriptor, and the cells of the rows they speak for: each row a name and its cells."""

    words: re.Pattern[str]
    rows: tuple[tuple[str, Mapping[str, str]], ...]


def _says(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_MEDICAL = {"track": "medical", "band": "4"}
_UNDETERMINED = {"track": "undetermined", "pa": "conditional", "band": "6", "confidence": "presumptive"}
# In order: the first sign of a descriptor speaks for the code.
_SIGNS = (
    _Sign(
        _says(r"(?=.*\b(drug|biologic))(?=.*(\bunclassified\b|\bno[cs]\b|not otherwise (classified|specified)))"),
        (
            ("unclassified", _UNDETERMINED | {
                "info_needed": "detail-code",
                "explanation_text": "The code names no drug: which benefit pays cannot be told until one is named.",
            }),
        ),
    ),
    _Sign(
        _says(r"not for use when ((the )?drug is )?self[- ]administered"),
        (
            ("given", _MEDICAL | {
                "supply_channel": "buy-bill",
                "explanation_text": "Given by a professional who buys it; the code is not for self-administration.",
            }),
            ("unstated", _UNDETERMINED | {
                "info_needed": "performer",
                "explanation_text": "The code is not for a self-administered drug, and nobody says who gives it.",
            }),
        ),
    ),
    _Sign(
        _says(r"\bnon[- ]?esrd\b"),
        (("not-esrd", _MEDICAL | {
            "condition_flag": "!esrd",
            "explanation_text": "The code is for use outside end-stage renal disease.",
        }),),
    ),
    _Sign(
        _says(r"\besrd on dialysis\b"),
        (("esrd", {
            "track": "medical-bundled",
            "band": "4",
            "condition_flag": "esrd",
            "explanation_text": "The code is for a patient on dialysis; the dialysis payment may hold the drug.",
        }),),
    ),
    _Sign(
        _says(r"administered through (dme|durable medical equipment)\b"),
        (("dme", _MEDICAL | {
            "site_pos": "12",
            "explanation_text": "Given at home through durable medical equipment.",
        }),),
    ),
    _Sign(
        _says(r"\boral\b"),
        (("oral", _UNDETERMINED | {
            "info_needed": "OTH",
            "explanation_text": "An oral drug: the medical benefit pays only in the cases that Medicare names.",
        }),),
    ),
)  # fmt: skip
# Letters under which HCPCS has drugs. `E` and others may name a drug in passing.
_DRUG_LETTERS = "CJKQS"


@dataclass(frozen=True, slots=True)
class Proposal:
    """Draft rows, how many codes of the file were looked at, and ids of rows that the table already has."""

    rows: tuple[Mapping[str, str], ...]
    codes: int
    ruled: tuple[str, ...]
    passed_over: tuple[str, ...]

    def text(self) -> str:
        """A routing table of the drafts."""
        out = io.StringIO()
        writer = csv.DictWriter(out, [column.name for column in COLUMNS], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return out.getvalue()


def propose(
    codes: Iterable[HcpcsCode], table: str, lists: Mapping[str, CodeList], *, release: str, retrieved: date
) -> Proposal:
    """Drafts for the codes in force on the day `retrieved`; `table` is the text of the routing table there is."""
    ids, named = _ruled(table, lists)
    found: list[Mapping[str, str]] = []
    marked: dict[str, None] = {}
    passed: list[str] = []
    looked = 0
    for each in codes:
        looked += 1
        if each.code[0] not in _DRUG_LETTERS or (each.ended is not None and each.ended <= retrieved):
            continue
        sign = next((sign for sign in _SIGNS if sign.words.search(each.descriptor)), None)
        for name, cells in sign.rows if sign is not None else ():
            rule_id = f"hcpcs-{each.code.lower()}-{name}"
            if rule_id in ids:
                passed.append(rule_id)
                continue
            rulers = [rule for rule, codes_of in named.items() if ("HCPCS", each.code) in codes_of]
            if rulers:
                marked[each.code] = None
            found.append({**cells, **_common(each, rule_id, rulers, release, retrieved)})
    return Proposal(tuple(found), looked, tuple(marked), tuple(passed))


def _common(each: HcpcsCode, rule_id: str, rulers: list[str], release: str, retrieved: date) -> Mapping[str, str]:
    title = f"DRAFT {each.code} {each.short or each.descriptor[:60]}"
    return {
        "rule_id": rule_id,
        "title": title + (f" (already ruled by {'; '.join(rulers)})" if rulers else ""),
        "status": "draft",
        "effective_from": (each.effective or retrieved).isoformat(),
        "effective_to": each.ended.isoformat() if each.ended else "",
        "match_system": "HCPCS",
        "match_code": each.code,
        "match_level": "hcpcs",
        "billing_codes": f"HCPCS {each.code}",
        "source_url": SOURCE,
        "source_section": f"CMS HCPCS quarterly file, {release}, line {each.line}",
        "retrieved": retrieved.isoformat(),
        "licence_note": "draft from a public CMS descriptor, not policy",
        "author": "signpost rules propose",
        "approver": "to be named",
    }


def _ruled(table: str, lists: Mapping[str, CodeList]) -> tuple[set[str], dict[str, CodeList]]:
    """Ids of the rows there are, and the HCPCS codes that each names, whatever its status."""
    problems: list[Problem] = []
    ids: set[str] = set()
    named: dict[str, CodeList] = {}
    for _, row in rows(table, "benefit_routes.csv", COLUMNS, problems):
        ids.add(row["rule_id"])
        codes: list[Code] = []
        for part in (piece.strip() for piece in row.get("match_code", "").split(";")):
            if part.startswith("list:") and part[5:] in lists:
                known = lists[part[5:]]
                codes += [*known.exact, *((system, f"{prefix}*") for system, prefix in known.prefixes)]
            elif part and row.get("match_system") == "HCPCS":
                codes.append(("HCPCS", part))
        if codes:
            named[row["rule_id"]] = CodeList.of(row["rule_id"], codes)
    return ids, named
