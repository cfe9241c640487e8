"""Codes as rule files write them (`HCPCS J9312`), named lists, and crosswalks between codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.fhir import codings
from app.rulebook import tables
from app.rulebook.spelling import nearest
from benefit_router import Code, CodeList, DrugCatalog, Problem, Product, Table, rows


def parse_code(text: str) -> Code | None:
    """`HCPCS J9312` → ("HCPCS", "J9312"), spelled like orders; None for an unknown system."""
    name, _, code = text.strip().partition(" ")
    system = codings.system_from_short_name(name)
    if system is None or not code.strip():
        return None
    return as_code(codings.Coding(system, codings.normalise_code(system, code)))


def parse_codes(texts: Iterable[str]) -> tuple[Code, ...]:
    """Codes of known systems among `texts`; which systems those are, the schema has checked."""
    return tuple(code for text in texts if (code := parse_code(text)) is not None)


def as_code(coding: codings.Coding) -> Code:
    """A FHIR coding under its system's short name, as rule files know it."""
    return codings.short_name(coding.system), coding.code


def codes_of(value: Any) -> tuple[Code, ...]:
    """The codes of a Coding or a CodeableConcept; () for anything else."""
    single = codings.coding_of(value)
    return tuple([as_code(coding) for coding in ((single,) if single is not None else codings.codings_of(value))])


def as_coding(code: Code, display: str | None = None) -> dict[str, str]:
    """The FHIR Coding of a rule file's code."""
    system, value = code
    built = {"system": codings.system_from_short_name(system) or system, "code": value}
    if display:
        built["display"] = display
    return built


def with_ndc_product(codes: Iterable[Code]) -> frozenset[Code]:
    """The codes, and for every 11-digit NDC its 9-digit product too, since rules may name either."""
    found = set(codes)
    found |= {("NDC", codings.ndc9(code)) for system, code in found if system == "NDC" and len(code) == 11}
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Crosswalks:
    """What the ordered codes imply: drug products, billing codes, and words for routes and dose forms."""

    catalog: DrugCatalog = field(default_factory=DrugCatalog)
    billing: Mapping[Code, tuple[Code, ...]] = field(default_factory=dict)
    routes: Mapping[Code, str] = field(default_factory=dict)
    dose_forms: Mapping[Code, str] = field(default_factory=dict)
    routes_of_form: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def route_words(self) -> frozenset[str]:
        """Every route a rule may name."""
        return frozenset(self.routes.values()) | frozenset().union(*self.routes_of_form.values())


def read_list(name: str, text: str, file: str, problems: list[Problem]) -> CodeList:
    """A named list: system, code (a trailing `*` makes a prefix), display."""
    codes: list[Code] = []
    for line, row in rows(text, file, tables.LISTS.columns, problems):
        code = cell_code(row["system"], row["code"], file, line, problems)
        if code is not None:
            codes.append(code)
    return CodeList.of(name, codes)


def cell_code(system: str, code: str, file: str, line: int, problems: list[Problem]) -> Code | None:
    """A code from its two cells, spelled like orders; None, with a problem, when it is none."""
    url = codings.system_from_short_name(system)
    if url is None:
        known = "RxNorm, NDC, HCPCS, CPT, CVX, ICD-10-CM, SNOMED, LOINC"
        problems.append(
            Problem(file, line, "system", f"'{system}' is not a code system known here.", f"Use one of: {known}.")
        )
        return None
    if url == codings.NDC and not _is_ndc(code.rstrip("*")):
        message, remedy = f"'{code}' is not an NDC.", "Write 11 digits, or the 9 of labeler and product."
        if code.isdigit() and len(code) == 10:
            message, remedy = f"'{code}' can be read as several NDCs.", "Write its dashes, or 11 digits."
        problems.append(Problem(file, line, "code", message, f"{remedy} A spreadsheet may have dropped zeros."))
        return None
    star = "*" if code.endswith("*") else ""
    return codings.short_name(url), codings.normalise_code(url, code.rstrip("*")) + star


def _is_ndc(text: str) -> bool:
    return len(codings.normalise_ndc(text)) == 1 or (len(text) == 9 and text.isascii() and text.isdecimal())


def read_crosswalks(files: Mapping[str, str], problems: list[Problem]) -> Crosswalks:
    """All crosswalks from the texts of drugs.csv, dose_forms.csv, routes.csv and billing.csv (each may be absent)."""
    routes: dict[Code, str] = {}
    for line, row in _file(files, tables.ROUTES, problems):
        code = cell_code(row["system"], row["code"], "crosswalks/routes.csv", line, problems)
        if code is not None:
            routes[code] = row["route"]

    dose_forms: dict[Code, str] = {}
    routes_of_form: dict[str, frozenset[str]] = {}
    for line, row in _file(files, tables.DOSE_FORMS, problems):
        routes_of_form[row["dose_form"]] = routes_of_form.get(row["dose_form"], frozenset()) | _words(row["routes"])
        if row.get("system") and row.get("code"):
            code = cell_code(row["system"], row["code"], "crosswalks/dose_forms.csv", line, problems)
            if code is not None:
                dose_forms[code] = row["dose_form"]

    billing: dict[Code, tuple[Code, ...]] = {}
    for line, row in _file(files, tables.BILLING, problems):
        code = cell_code(row["system"], row["code"], "crosswalks/billing.csv", line, problems)
        billed = cell_code(row["billing_system"], row["billing_code"], "crosswalks/billing.csv", line, problems)
        if code is not None and billed is not None:
            billing[code] = (*billing.get(code, ()), billed)

    walks = Crosswalks(DrugCatalog(), billing, routes, dose_forms, routes_of_form)
    products = [_product(row, line, walks, problems) for line, row in _file(files, tables.DRUGS, problems)]
    return replace(walks, catalog=DrugCatalog.of(products))


def _file(files: Mapping[str, str], table: Table, problems: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    text = files.get(table.file.removeprefix("crosswalks/"))
    if text is not None:
        yield from rows(text, table.file, table.columns, problems)


def _words(cell: str) -> frozenset[str]:
    return frozenset(part.strip() for part in cell.split(";") if part.strip())


def _product(row: dict[str, str], line: int, walks: Crosswalks, problems: list[Problem]) -> Product:
    file = "crosswalks/drugs.csv"
    codes: dict[str, list[Code]] = {}
    columns = {
        "ingredient_rxnorm": "RxNorm",
        "rxnorm": "RxNorm",
        "ndc": "NDC",
        "hcpcs": "HCPCS",
        "cpt": "CPT",
        "cvx": "CVX",
    }
    for column, system in columns.items():
        for value in sorted(_words(row.get(column, ""))):
            code = cell_code(system, value, file, line, problems)
            if code is not None:
                codes.setdefault(column, []).append(code)
    form = row.get("dose_form") or None
    if form is not None and form not in walks.routes_of_form:
        hint = f"{nearest(form, walks.routes_of_form)} Or add it to crosswalks/dose_forms.csv."
        problems.append(Problem(file, line, "dose_form", f"'{form}' is not a dose form known here.", hint))
    routes = _words(row.get("routes", ""))
    for word in sorted(routes - walks.route_words):  # a rule for the right word would never see this product
        hint = f"{nearest(word, walks.route_words)} Or add it to crosswalks/routes.csv."
        problems.append(Problem(file, line, "routes", f"'{word}' is not a route known here.", hint))
    classes = _words(row.get("classes", ""))
    named = [code for found in codes.values() for code in found]
    if not named:
        problems.append(
            Problem(file, line, "rxnorm", "The product has no code.", "Give at least one code of any system.")
        )
    return Product(
        name=row["name"],
        identities=with_ndc_product(named) | {("class", tag) for tag in classes},
        dose_form=form,
        routes=routes or walks.routes_of_form.get(form or "", frozenset()),
        billing_codes=frozenset(codes.get("hcpcs", []) + codes.get("cpt", [])),
        classes=classes,
        ingredient=next(iter(codes.get("ingredient_rxnorm", ())), None),
    )
