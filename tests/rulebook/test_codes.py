from __future__ import annotations

import pytest

from app.fhir import codings
from app.rulebook.codes import (
    Crosswalks,
    as_code,
    as_coding,
    parse_code,
    parse_codes,
    read_crosswalks,
    read_list,
    with_ndc_product,
)
from benefit_router import Code, Problem
from tests.rulebook.small import FILES

WALKS = {path.removeprefix("crosswalks/"): text for path, text in FILES.items() if path.startswith("crosswalks/")}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("HCPCS J9312", ("HCPCS", "J9312")),
        (" hcpcs  j9312 ", ("HCPCS", "J9312")),
        ("ICD-10-CM K5090", ("ICD-10-CM", "K50.90")),
        ("ICD10 k50.90", ("ICD-10-CM", "K50.90")),
        ("SNOMED 34000006", ("SNOMED CT", "34000006")),
        ("NDC 57894-030-01", ("NDC", "57894003001")),
        ("HCPCS E04*", ("HCPCS", "E04*")),
        ("HCPCS", None),
        ("HCPCS ", None),
        ("J9312", None),
        ("ICD-11 CA22", None),
        ("", None),
    ],
)
def test_parse_code(text: str, code: Code | None) -> None:
    assert parse_code(text) == code
    assert parse_codes(["CVX 140", text]) == (("CVX", "140"), *((code,) if code else ()))


@pytest.mark.parametrize(
    ("code", "system"),
    [
        (("HCPCS", "J9312"), codings.HCPCS),
        (("SNOMED CT", "34000006"), codings.SNOMED),
        (("http://payer.example.org/codes", "x"), "http://payer.example.org/codes"),
    ],
)
def test_codes_become_codings_and_come_back(code: Code, system: str) -> None:
    assert as_coding(code) == {"system": system, "code": code[1]}
    assert as_coding(code, "words") == {"system": system, "code": code[1], "display": "words"}
    assert as_code(codings.Coding(system, code[1])) == code


@pytest.mark.parametrize(
    ("codes", "more"),
    [
        ([("NDC", "57894003001")], {("NDC", "578940030")}),
        ([("NDC", "578940030")], set()),
        ([("HCPCS", "12345678901")], set()),
        ([], set()),
    ],
)
def test_an_ndc_names_its_product_too(codes: list[Code], more: set[Code]) -> None:
    assert with_ndc_product(codes) == {*codes, *more}


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("system,code,display\nHCPCS,J1745,x\n", {("HCPCS", "J1745")}),
        ("\ufeffcode , system\n j1745 , hcpcs \n", {("HCPCS", "J1745")}),
        ("# why\n\nsystem,code\n  # indented\nICD-10-CM,K5090\n\n", {("ICD-10-CM", "K50.90")}),
        ('system,code,display\nHCPCS,J1745,"a, b"\n', {("HCPCS", "J1745")}),
        ("system,code\nNDC,57894-030-01\nNDC,578940030\n", {("NDC", "57894003001"), ("NDC", "578940030")}),
        ("system,code\r\nCVX,140\r\n", {("CVX", "140")}),
        ("system,code\n", set()),
    ],
)
def test_lists(text: str, codes: set[Code]) -> None:
    problems: list[Problem] = []
    found = read_list("x", text, "lists/x.csv", problems)
    assert problems == []
    assert found.exact == codes


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        ("ICD-10-CM,K50*", ("ICD-10-CM", "K50.90"), ("ICD-10-CM", "K51.00")),
        ("ICD-10-CM,K509*", ("ICD-10-CM", "K50.90"), ("ICD-10-CM", "K50.80")),
        ("HCPCS,e04*", ("HCPCS", "E0431"), ("HCPCS", "E0531")),
        ("NDC,578940030*", ("NDC", "57894003001"), ("NDC", "57894003101")),
    ],
)
def test_prefixes(entry: str, inside: Code, outside: Code) -> None:
    problems: list[Problem] = []
    found = read_list("x", f"system,code\n{entry}\n", "lists/x.csv", problems)
    assert problems == []
    assert inside in found
    assert outside not in found


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "remedy"),
    [
        ("", 1, None, "empty", "system,code"),
        ("# only a comment\n", 1, None, "empty", "header"),
        ("sytem,code\nHCPCS,J1745\n", 1, "system", "missing", "Is 'sytem' meant?"),
        ("# x\nsystem,value\nHCPCS,J1745\n", 2, "code", "missing", "Add a column 'code'."),
        ("system,code,code\nHCPCS,J1745,J1746\n", 1, "code", "stands twice", "Keep one"),
        ("system,code\nHCPCS,J1745,extra\n", 2, None, "3 cells, the header 2", "double quotes"),
        ("system,code\nHCPCS\n", 2, None, "1 cells, the header 2", "double quotes"),
        ("system,code\nHCPCS,\n", 2, "code", "empty", "Fill it"),
        ("system,code,display\n,J1745,x\n", 2, "system", "empty", "Fill it"),
        ('system,code\nHCPCS,"J1745\n', 2, None, "not CSV", "quotation marks"),
        ("system,code\nHCPC,J1745\n", 2, "system", "'HCPC' is not a code system", "HCPCS"),
        ("system,code\nNDC,5789403001\n", 2, "code", "several NDCs", "dashes"),
        ("system,code\nNDC,2751001\n", 2, "code", "not an NDC", "dropped zeros"),
        ("system,code\nNDC,abcdefghi\n", 2, "code", "not an NDC", "11 digits"),
        ("system,code\nNDC,57894*\n", 2, "code", "not an NDC", "11 digits"),
        ("system,code\nNDC,\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669\n", 2, "code", "not an NDC", "11"),
    ],
)
def test_wrong_lists(text: str, line: int, column: str | None, message: str, remedy: str) -> None:
    problems: list[Problem] = []
    read_list("x", text, "lists/x.csv", problems)
    (problem,) = problems
    assert (problem.file, problem.line, problem.column) == ("lists/x.csv", line, column)
    assert message in problem.message
    assert remedy in problem.remedy


def test_one_wrong_line_does_not_hide_the_others() -> None:
    problems: list[Problem] = []
    text = 'x,"broken\nsystem,code\nHCPC,J1\nHCPCS,J1745\nHCPCS,\n'
    found = read_list("x", text, "lists/x.csv", problems)
    assert found.exact == {("HCPCS", "J1745")}
    assert [problem.line for problem in problems] == [1, 3, 5]


def test_crosswalks() -> None:
    problems: list[Problem] = []
    walks = read_crosswalks(WALKS, problems)
    assert problems == []
    assert walks.routes == {("SNOMED CT", "47625008"): "intravenous", ("SNOMED CT", "26643006"): "oral"}
    assert walks.dose_forms == {("SNOMED CT", "385055001"): "tablet"}
    assert walks.routes_of_form == {"tablet": {"oral"}, "vial": {"intravenous", "intramuscular"}}
    assert walks.route_words == {"intravenous", "intramuscular", "oral"}
    assert walks.billing == {("SNOMED CT", "726551006"): (("CPT", "77065"), ("CPT", "77066"))}
    (drug,) = walks.catalog.candidates([("HCPCS", "J1745")]).products
    assert drug.name == "a drug"
    assert drug.ingredient == ("RxNorm", "191831")
    assert drug.routes == {"intravenous", "intramuscular"}, "its own are blank, so those of its form"
    assert drug.classes == {"biologic", "infused"}
    assert drug.billing_codes == {("HCPCS", "J1745")}
    assert drug.identities == {
        ("RxNorm", "191831"), ("RxNorm", "213361"), ("NDC", "57894003001"), ("NDC", "578940030"), ("HCPCS", "J1745"),
        ("class", "biologic"), ("class", "infused"),
    }  # fmt: skip


def test_a_product_may_state_its_own_routes_and_no_form() -> None:
    text = "product,name,rxnorm,routes\ndrug,a drug,1; 2,intravenous\n"
    walks = read_crosswalks(WALKS | {"drugs.csv": text}, [])
    (drug,) = walks.catalog.candidates([("RxNorm", "2")]).products
    assert (drug.routes, drug.dose_form, drug.ingredient) == ({"intravenous"}, None, None)


def test_every_crosswalk_may_be_absent() -> None:
    problems: list[Problem] = []
    walks = read_crosswalks({}, problems)
    assert problems == []
    assert walks.route_words == frozenset() == Crosswalks().route_words
    assert not walks.billing


@pytest.mark.parametrize(
    ("file", "row", "column", "message", "remedy"),
    [
        ("routes.csv", "nasal,SNOMEDCT2,1", "system", "'SNOMEDCT2'", "SNOMED"),
        ("dose_forms.csv", "gel,topical,SNOMD,1", "system", "'SNOMD'", "SNOMED"),
        ("billing.csv", "SNOMED,1,CPTT,77065", "system", "'CPTT'", "CPT"),
        ("billing.csv", "SNOMEDD,1,CPT,77065", "system", "'SNOMEDD'", "SNOMED"),
        ("drugs.csv", "x,x,,,5789403001,,,,,,", "code", "several NDCs", "dashes"),
        ("drugs.csv", "x,x,1,,,,,,tablets,,", "dose_form", "'tablets' is not a dose form", "Did you mean 'tablet'?"),
        ("drugs.csv", "x,x,1,,,,,,aerosol,,", "dose_form", "'aerosol' is not a dose form", "dose_forms.csv"),
        ("drugs.csv", "x,x,1,,,,,,,oral; intravenos,", "routes", "'intravenos' is not a route", "'intravenous'?"),
        ("drugs.csv", "x,x,,,,,,,tablet,,", "rxnorm", "no code", "at least one code"),
        ("drugs.csv", "x,,1,,,,,,,,", "name", "empty", "Fill it"),
    ],
)
def test_wrong_crosswalks(file: str, row: str, column: str, message: str, remedy: str) -> None:
    problems: list[Problem] = []
    read_crosswalks(WALKS | {file: f"{WALKS[file]}{row}\n"}, problems)
    problem = problems[0]
    assert (problem.file, problem.column) == (f"crosswalks/{file}", column)
    assert problem.line == WALKS[file].count("\n") + 1
    assert message in problem.message
    assert remedy in problem.remedy
