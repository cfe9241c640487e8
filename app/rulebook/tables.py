"""The CSV tables of a rulebook, each column in one place: what it means, an example, and how its cells are read.

The same descriptions read the files, write docs/rules and make the JSON Schemas of `signpost rules schema`.
"""

from __future__ import annotations

from typing import Any

from app.rulebook.standards import STANDARDS
from benefit_router import ROUTING_TABLE, Column, Table

_SYSTEM = "Short name of the code system: RxNorm, NDC, HCPCS, CPT, CVX, ICD-10-CM, SNOMED, LOINC."

LISTS = Table(
    "lists",
    "lists/*.csv",
    "A named list of codes; `list:<name>` elsewhere.",
    (
        Column("system", "code", _SYSTEM, "ICD-10-CM", required=True),
        Column("code", "code", "The code; one that ends in `*` stands for all that start so.", "C83*", required=True),
        Column("display", "text", "The code in words, for people.", "non-follicular lymphoma"),
    ),
)
DRUGS = Table(
    "drugs",
    "crosswalks/drugs.csv",
    "The drugs the payer tells apart, one product a row.",
    (
        Column("product", "slug", "Unique name.", "example-drug", required=True),
        Column("name", "text", "Name for people.", "examplemab", required=True),
        Column(
            "ingredient_rxnorm",
            "codes",
            "RxNorm of the ingredient: an order by it may mean every product that has it.",
            "999001",
        ),
        Column("rxnorm", "codes", "RxNorm codes of the product. At least one code of any system.", "999002; 999003"),
        Column("ndc", "codes", "NDCs: 11 digits, with dashes, or 9 for every package.", "99999000101"),
        Column("hcpcs", "codes", "HCPCS codes it is billed by.", "J9999"),
        Column("cpt", "codes", "CPT codes it is billed by.", "90750"),
        Column("cvx", "codes", "CVX codes of a vaccine.", "187"),
        Column("dose_form", "text", "A word of dose_forms.csv.", "vial"),
        Column("routes", "words", "Words of routes.csv; blank: the routes of the dose form.", "intravenous"),
        Column("classes", "words", "Tags for the `drug_class` column of the routing table.", "incident-to"),
        Column("verified", "yes-no", "`yes`: the codes were checked in a public source.", "no", words=("yes", "no")),
        Column("source", "text", "Where the codes are from, for people.", "HCPCS quarterly file"),
    ),
)
DOSE_FORMS = Table(
    "dose_forms",
    "crosswalks/dose_forms.csv",
    "Words for dose forms, the routes each can have, and the code that means it.",
    (
        Column("dose_form", "text", "The word.", "chewable tablet", required=True),
        Column("routes", "words", "Routes it can have, words of routes.csv.", "oral", required=True),
        Column("system", "code", f"{_SYSTEM} Blank: no code means it.", "SNOMED"),
        Column("code", "code", "The code.", "385055001"),
    ),
)
ROUTES = Table(
    "routes",
    "crosswalks/routes.csv",
    "Words for routes, and the codes that mean them.",
    (
        Column("route", "text", "The word.", "oral", required=True),
        Column("system", "code", _SYSTEM, "SNOMED", required=True),
        Column("code", "code", "The code.", "26643006", required=True),
    ),
)
BILLING = Table(
    "billing",
    "crosswalks/billing.csv",
    "Billing codes for an ordered code that is no drug.",
    (
        Column("system", "code", f"Of the ordered code. {_SYSTEM}", "SNOMED", required=True),
        Column("code", "code", "The ordered code.", "241541005", required=True),
        Column("billing_system", "code", "Code system of the billing code.", "CPT", required=True),
        Column("billing_code", "code", "Code a claim would carry.", "70551", required=True),
        Column("source", "text", "Where the pair is from, for people.", "an example, to be checked"),
    ),
)

VALIDITY = Table(
    "validity",
    "crosswalks/validity.csv",
    "Days on which codes are valid, for codes that are new, ended or replaced.",
    (
        Column("system", "code", _SYSTEM, "HCPCS", required=True),
        Column("code", "code", "The code. An NDC of 9 digits stands for its packages.", "J2505", required=True),
        Column("valid_from", "date", "First day it may be used. Blank: always.", "2010-01-01"),
        Column("valid_to", "date", "First day it may no longer be used. Blank: for good.", "2022-01-01"),
        Column("verified", "yes-no", "`yes`: the days were compared with the source.", "no", words=("yes", "no")),
        Column("source", "text", "Where the days are from.", "HCPCS quarterly update of January 2022", required=True),
    ),
)
ORIGINS = Table(
    "value_sets",
    "crosswalks/value_sets.csv",
    "Lists that were taken from a ValueSet, and what they held then.",
    (
        Column("list", "slug", "Name of the list.", "oximetry", required=True),
        Column(
            "value_set",
            "url",
            "Canonical of the ValueSet, with its version after `|` where it has one.",
            "https://example.org/fhir/ValueSet/oximetry|2.1.0",
            required=True,
        ),
        Column("expanded", "date", "Day of the expansion that the list was taken from.", "2026-10-01", required=True),
        Column(
            "hash",
            "text",
            "Of the list's codes as they were taken; `rules check` says what to write.",
            "3f1c5a9e0b7d2846",
            required=True,
        ),
    ),
)

RULE_TABLES = (ROUTING_TABLE, STANDARDS, LISTS, DRUGS, DOSE_FORMS, ROUTES, BILLING, VALIDITY, ORIGINS)

_PATTERNS = {"date": r"\d{4}-\d{2}-\d{2}", "integer": r"-?\d+", "slug": r"[a-z0-9][a-z0-9._-]*"}


def table_schema(table: Table) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a table as a list of its rows, every cell a text under its column's name."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": table.file,
        "description": table.meaning,
        "type": "array",
        "items": {
            "type": "object",
            "properties": {column.name: _cell_schema(column) for column in table.columns},
            "required": [column.name for column in table.columns if column.required],
            "additionalProperties": False if table.closed else {"type": "string"},
        },
    }


def _cell_schema(column: Column) -> dict[str, Any]:
    cell: dict[str, Any] = {"type": "string", "description": column.meaning, "examples": [column.example]}
    blank = not column.required or column.blank_ok
    if column.kind in ("word", "yes-no") and column.words:
        cell["enum"] = [*column.words, ""] if blank else [*column.words]
    elif (pattern := _PATTERNS.get(column.kind)) and not column.vocabulary:
        cell["pattern"] = f"^({pattern})?$" if blank else f"^{pattern}$"
    elif not blank:
        cell["minLength"] = 1
    return cell
