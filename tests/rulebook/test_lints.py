"""Each lint finds the smallest rule that is wrong, in its file and line, and is silent about the near miss."""

from __future__ import annotations

from datetime import date

import pytest

from app.rulebook.expansions import Expansion, digest
from app.rulebook.hcpcs import HcpcsCode
from app.rulebook.lints import LINTS, Subject, lint
from app.rulebook.validity import of_release
from benefit_router import Problem
from tests.benefit_router.orders import table_text
from tests.rulebook.small import FILES, built, edited

ON = date(2026, 11, 25)
SOUND = {
    "source_section": "2",
    "approved_at": "2026-01-02",
    "test_refs": "T1; T1-near",
    "match_system": "HCPCS",
    "match_code": "J1745",
}
PILL = {"match_system": "RxNorm", "match_code": "6851", "billing_codes": "J8610"}
PHARMACY = {"track": "pharmacy", "handoff": "rx"}
ALWAYS = frozenset({"policy:drug#disease", "policy:drug#otherwise"})
WHEN = "\"%conditions.exists(code.memberOf('list:disease'))\""
ANOTHER_CASE = "  - case: again\n    when: {when}\n    answer: {{covered: covered, pa: no-auth}}\n  - case: otherwise\n"


def found(files: dict[str, str], decided: frozenset[str] | None = ALWAYS) -> list[Problem]:
    return lint(Subject(built(files), ON, frozenset({"T1", "T1-near"}), decided))


def rows(*changes: dict[str, str]) -> dict[str, str]:
    """The small rulebook with rows that are sound but for what is changed. Row n stands on line n + 1."""
    named = [{"rule_id": f"row-{position}", **SOUND, **row} for position, row in enumerate(changes, start=1)]
    return FILES | {"benefit_routes.csv": table_text(*named)}


def case(when: str) -> dict[str, str]:
    """The small policy with one more case before its last, on line 13."""
    return edited("policies/drug.yaml", "  - case: otherwise\n", ANOTHER_CASE.format(when=when))


def list_of(text: str) -> dict[str, str]:
    return FILES | {
        "lists/spare.csv": text,
        "benefit_routes.csv": table_text({**SOUND, "match_system": "", "match_code": "list:spare"}),
    }


def policies(first: tuple[str, str], second: tuple[str, str], **second_scope: str) -> dict[str, str]:
    """Two policies about the same codes, in force from and to the given days."""
    text = FILES["policies/drug.yaml"]
    dated = [
        text.replace("{from: 2026-01-01}", f"{{from: {start}{f', to: {end}' if end else ''}}}")
        for start, end in (first, second)
    ]
    newer = dated[1].replace("policy: drug", "policy: drug-b")
    for old, new in second_scope.items():
        newer = newer.replace(f"{old}: [commercial]", new)
    return FILES | {"policies/drug.yaml": dated[0], "policies/drug-b.yaml": newer}


def valid(*codes: str, start: str = "", end: str = "", system: str = "HCPCS") -> dict[str, str]:
    """The days of codes."""
    told = "".join(f"{system},{code},{start},{end},no,a release\n" for code in codes)
    return {"crosswalks/validity.csv": f"system,code,valid_from,valid_to,verified,source\n{told}"}


def taken(name: str, hash: str) -> dict[str, str]:  # noqa: A002  # the column's name
    """A list as taken from a ValueSet."""
    return {"crosswalks/value_sets.csv": f"list,value_set,expanded,hash\n{name},{VALUE_SET}|1,2026-10-01,{hash}\n"}


VALUE_SET = "https://example.org/ValueSet/disease"
MEDICARE = {
    "payer.yaml": FILES["payer.yaml"]
    .replace("name: Medicare Advantage", "name: Advantage, medicare: true")
    .replace("esrd: on dialysis", "esrd: {meaning: on dialysis, medicare: true}")
}
IV = {"route": "intravenous"}
FIRST_HALF = {"effective_to": "2026-07-01"}
FIRED = [
    ("shadowed-row", rows({"band": "3"}, IV), rows({**IV, "band": "3"}, {}), "benefit_routes.csv:3"),
    (
        "shadowed-row",
        rows({"band": "3", "age_min": "18"}, {"age_min": "21"}),
        rows({"band": "3", "age_min": "18"}, {"age_min": "17"}),
        "benefit_routes.csv:3",
    ),
    (
        "shadowed-row",
        rows({"band": "3", "match_code": "J1745; J1746"}, {}),
        rows({"band": "3"}, {"match_code": "J1745; J1746"}),
        "benefit_routes.csv:3",
    ),
    (
        "shadowed-row",
        rows({**IV, "band": "3", "derived_ok": "yes"}, IV),
        rows({**IV, "band": "3"}, {**IV, "derived_ok": "yes"}),
        "benefit_routes.csv:3",
    ),
    ("shadowed-row", rows({"band": "3"}, FIRST_HALF), rows({"band": "3", **FIRST_HALF}, {}), "benefit_routes.csv:3"),
    (
        "shadowed-policy",
        policies(("2026-01-01", ""), ("2026-01-01", ""), lines="plans: [gold]")
        | {
            "policies/drug.yaml": FILES["policies/drug.yaml"].replace(
                "lines: [commercial]", "lines: [commercial]\nplans: [gold]"
            )
        },
        policies(("2026-01-01", ""), ("2026-01-01", ""), lines="plans: [gold]"),
        "policies/drug-b.yaml:1",
    ),
    (
        "unreachable-case",
        case(WHEN),
        case("\"%conditions.exists(code.memberOf('list:drug'))\""),
        "policies/drug.yaml:13",
    ),
    (
        "unreachable-case",
        edited("policies/drug.yaml", WHEN, "1 = 1 or %facts.age > 3"),
        edited("policies/drug.yaml", WHEN, "1 = 2 or %facts.age > 3"),
        "policies/drug.yaml:13",
    ),
    (
        "impossible-condition",
        case("\"%order.status = 'active' and 1 > 2\""),
        case("today() < @2020-01-01"),
        "policies/drug.yaml:13",
    ),
    (
        "impossible-condition",
        edited("guidance/card.yaml", "card:\n", "when: 1 = 2\ncard:\n"),
        edited("guidance/card.yaml", "card:\n", "when: \"%order.status = 'draft'\"\ncard:\n"),
        "guidance/card.yaml:1",
    ),
    ("impossible-columns", rows({"route": "oral"}), rows({"route": "oral; intravenous"}), "benefit_routes.csv:2"),
    ("impossible-columns", rows({"dose_form": "tablet"}), rows({"dose_form": "tablet; vial"}), "benefit_routes.csv:2"),
    (
        "impossible-columns",
        rows({"plan_id": "gold", "lob": "ma"}),
        rows({"plan_id": "gold", "lob": "commercial"}),
        "benefit_routes.csv:2",
    ),
    (
        "impossible-columns",
        rows({"match_code": "J9999", "route": "oral", "dose_form": "vial"}),
        rows({"match_code": "J9999", "route": "intravenous", "dose_form": "vial"}),
        "benefit_routes.csv:2",
    ),
    (
        "empty-list",
        list_of("system,code,display\n"),
        list_of("system,code,display\nHCPCS,J1745,a drug\n"),
        "lists/spare.csv:1",
    ),
    (
        "overlap-in-band",
        rows({**IV, "sex": "female"}, {**PHARMACY, "site_pos": "12"}),
        rows({**IV, "sex": "female", "priority": "1"}, {**PHARMACY, "site_pos": "12"}),
        "benefit_routes.csv:3",
    ),
    (
        "overlap-in-band",
        rows({**IV, "effective_from": "2026-02-01"}, {**PHARMACY, "site_pos": "12"}),
        rows({**IV, "site_pos": "11"}, {**PHARMACY, "site_pos": "12"}),
        "benefit_routes.csv:3",
    ),
    (
        "gap-between-versions",
        rows(FIRST_HALF, {"effective_from": "2026-07-02"}),
        rows(FIRST_HALF, {"effective_from": "2026-07-01"}),
        "benefit_routes.csv:3",
    ),
    (
        "gap-between-versions",
        policies(("2026-01-01", "2026-07-01"), ("2026-07-02", "")),
        policies(("2026-01-01", "2026-07-01"), ("2026-07-01", "")),
        "policies/drug-b.yaml:1",
    ),
    (
        "overlap-between-versions",
        rows({"effective_to": "2026-07-02"}, {"effective_from": "2026-07-01"}),
        rows(FIRST_HALF, {"effective_from": "2026-07-01"}),
        "benefit_routes.csv:2",
    ),
    (
        "overlap-between-versions",
        policies(("2026-01-01", ""), ("2026-07-01", "")),
        policies(("2026-01-01", "2026-07-01"), ("2026-07-01", "")),
        "policies/drug.yaml:1",
    ),
    ("expired", rows({"effective_to": "2026-11-25"}), rows({"effective_to": "2026-11-26"}), "benefit_routes.csv:2"),
    ("expired", edited("guidance/card.yaml", "to: 2027-01-01", "to: 2026-11-25"), FILES, "guidance/card.yaml:1"),
    ("drug-not-in-catalog", rows({**PILL, "match_code": "6852"}), rows(PILL), "benefit_routes.csv:2"),
    (
        "drug-not-in-catalog",
        rows({"drug_class": "biologics"}),
        rows({"drug_class": "biologic"}),
        "benefit_routes.csv:2",
    ),
    (
        "billing-of-another-drug",
        rows({**PILL, "billing_codes": "J1745"}),
        rows({"billing_codes": "J1745"}),
        "benefit_routes.csv:2",
    ),
    (
        "code-not-in-its-list",
        case("\"%facts.codes.exists(code = 'J9999')\""),
        case("\"%facts.codes.exists(code = 'J1745' or code = '57894003001')\""),
        "policies/drug.yaml:13",
    ),
    (
        "code-not-in-its-list",
        case("\"%facts.codes.exists($this.memberOf('list:disease'))\""),
        case("\"%conditions.exists(code.coding.exists(code = 'J9999'))\""),
        "policies/drug.yaml:13",
    ),
    (
        "code-not-in-its-list",
        edited("guidance/card.yaml", "card:\n", "when: \"%order.medication.coding.code = 'J1746'\"\ncard:\n"),
        edited("guidance/card.yaml", "card:\n", "when: \"%order.medication.coding.code = 'J1745'\"\ncard:\n"),
        "guidance/card.yaml:1",
    ),
    (
        "expired-code",
        rows({"billing_codes": "J9998", "match_code": "J9998; J9999"}) | valid("J9998", end="2026-11-25"),
        rows({"billing_codes": "J9998", "match_code": "J9998; J9999"}) | valid("J9998", end="2026-11-26"),
        "benefit_routes.csv:2",
    ),
    (
        "expired-code",
        rows({"billing_codes": "J9998", "effective_from": "2027-01-01"}) | valid("J9998", start="2027-02-01"),
        rows({"billing_codes": "J9998", "effective_to": "2026-11-25"}) | valid("J9998", start="2027-02-01"),
        "benefit_routes.csv:2",
    ),
    (
        "expired-code",
        rows({"match_code": "J9998; J9999"}) | valid("J9998", "J9999", end="2026-01-01"),
        rows({"match_code": "J9998; J9999"}) | valid("J9998", end="2026-01-01"),
        "benefit_routes.csv:2",
    ),
    (
        "expired-code",
        list_of("system,code\nNDC,99999000101\n") | valid("999990001", end="2026-01-01", system="NDC"),
        list_of("system,code\nNDC,99999000101\n") | valid("999990002", end="2026-01-01", system="NDC"),
        "lists/spare.csv:2",
    ),
    (
        "code-not-all-days",
        rows({"match_code": "J9998; J9999"}) | valid("J9998", end="2026-01-01"),
        rows({"match_code": "J9998; J9999"}) | valid("J9998", end="2027-01-01"),
        "benefit_routes.csv:2",
    ),
    (
        "code-not-all-days",
        rows({"billing_codes": "J1745"}) | valid("J1745", start="2026-02-01"),
        rows({"billing_codes": "J1745"}) | valid("J1745", start="2026-01-01"),
        "benefit_routes.csv:2",
    ),
    (
        "code-not-all-days",
        rows({"billing_codes": "J1745"}) | valid("J1745", end="2027-01-01"),
        rows({"billing_codes": "J1745", "effective_to": "2027-01-01"}) | valid("J1745", end="2027-01-01"),
        "benefit_routes.csv:2",
    ),
    (
        "list-changed",
        FILES | taken("disease", "0" * 16),
        FILES | taken("disease", digest(built(FILES).lists["disease"])),
        "crosswalks/value_sets.csv:2",
    ),
    ("medical-without-hcpcs", rows({**PILL, "billing_codes": ""}), rows(PILL), "benefit_routes.csv:2"),
    (
        "medical-without-hcpcs",
        rows({**PILL, "match_code": "6852", "billing_codes": ""}),
        rows({**PILL, "match_code": "191831", "billing_codes": ""}),
        "benefit_routes.csv:2",
    ),
    ("pharmacy-without-product", rows({**PHARMACY, "match_code": "J9999"}), rows(PHARMACY), "benefit_routes.csv:2"),
    (
        "not-derivable",
        rows({**IV, "derived_ok": "yes", "requires_signals": "route"}),
        rows({**IV, "derived_ok": "yes"}),
        "benefit_routes.csv:2",
    ),
    (
        "not-derivable",
        rows({**PILL, "route": "oral", "derived_ok": "yes"})
        | {"crosswalks/drugs.csv": FILES["crosswalks/drugs.csv"].replace(",tablet,", ",,")},
        rows({**PILL, "route": "oral", "derived_ok": "yes"}),
        "benefit_routes.csv:2",
    ),
    (
        "authorization-without-way",
        rows({"pa": "yes", "match_code": "J9999"}),
        rows({"pa": "yes"}),
        "benefit_routes.csv:2",
    ),
    (
        "authorization-without-way",
        case("'%facts.age > 3'")
        | {
            "policies/drug.yaml": case("'%facts.age > 3'")["policies/drug.yaml"].replace(
                "pa: no-auth}\n  - case: o", "pa: auth-needed}\n  - case: o"
            )
        },
        case("'%facts.age > 3'"),
        "policies/drug.yaml:13",
    ),
    (
        "medicare-flag-on-any-line",
        rows({"condition_flag": "esrd"}) | MEDICARE,
        rows({"condition_flag": "esrd", "lob": "ma"}) | MEDICARE,
        "benefit_routes.csv:2",
    ),
    ("thin-provenance", rows({"source_section": ""}), rows({}), "benefit_routes.csv:2"),
    ("thin-provenance", rows({"approved_at": ""}), rows({}), "benefit_routes.csv:2"),
    ("row-without-scenario", rows({"test_refs": ""}), rows({}), "benefit_routes.csv:2"),
    ("row-without-scenario", rows({"test_refs": "T1; T2"}), rows({}), "benefit_routes.csv:2"),
    ("row-without-near-miss", rows({"test_refs": "T1"}), rows({}), "benefit_routes.csv:2"),
    ("case-without-scenario", case("'%facts.age > 3'"), FILES, "policies/drug.yaml:13"),
    ("unused-list", FILES | {"lists/spare.csv": FILES["lists/drug.csv"]}, FILES, "lists/spare.csv:1"),
    (
        "unused-form",
        edited("policies/drug.yaml", "      questionnaire: form\n", ""),
        FILES,
        "questionnaires/form/questionnaire.json:1",
    ),
]


@pytest.mark.parametrize(("name", "bad", "near", "place"), FIRED)
def test_a_lint_finds_what_is_wrong_and_no_more(
    name: str, bad: dict[str, str], near: dict[str, str], place: str
) -> None:
    places = {f"{problem.file}:{problem.line}" for problem in found(bad) if problem.lint == name}
    assert places == {place}
    assert [str(problem) for problem in found(near) if problem.lint == name] == []


def test_scenarios_of_a_policy_that_get_one_case_leave_it_without_a_near_miss() -> None:
    problems = [p for p in found(FILES, frozenset({"policy:drug#disease"})) if p.lint == "policy-without-near-miss"]
    assert [(problem.file, problem.line) for problem in problems] == [("policies/drug.yaml", 1)]


def test_scenarios_nobody_ran_say_nothing() -> None:
    assert not {"case-without-scenario", "policy-without-near-miss"} & {problem.lint for problem in found(FILES, None)}


def test_a_small_rulebook_is_clean_and_every_lint_is_tried() -> None:
    assert [str(problem) for problem in found(rows({}))] == []
    assert {each.id for each in LINTS} == {name for name, *_ in FIRED} | {"policy-without-near-miss", "list-drifted"}


def test_findings_say_what_to_do_and_carry_the_lint() -> None:
    (problem,) = found(rows({"test_refs": "T1"}))
    assert str(problem) == (
        "benefit_routes.csv:2 [test_refs]: warning: 'row-1': it names one scenario, so nothing shows where it stops. "
        "Add a near miss: the same order with one thing changed. (row-without-near-miss)"
    )


@pytest.mark.parametrize(
    ("value_set", "codes", "told"),
    [
        (VALUE_SET, {("ICD-10-CM", "K50.0"), ("SNOMED CT", "34000006")}, None),
        ("https://example.org/ValueSet/other", set(), None),
        (VALUE_SET, {("ICD-10-CM", "K50.0")}, "has beyond it SNOMED CT 34000006."),
        (VALUE_SET, {("SNOMED CT", "34000006")}, "has beyond it ICD-10-CM K50*."),
        (
            VALUE_SET,
            {("ICD-10-CM", "K50.0"), ("SNOMED CT", "34000006"), *(("ICD-10-CM", f"K51.{n}") for n in range(8))},
            "lacks ICD-10-CM K51.0, ICD-10-CM K51.1, ICD-10-CM K51.2, ICD-10-CM K51.3, ICD-10-CM K51.4, "
            "ICD-10-CM K51.5 and 2 more.",
        ),
    ],
)
def test_a_list_is_compared_with_an_expansion_of_its_value_set(
    value_set: str, codes: set[tuple[str, str]], told: str | None
) -> None:
    book = built(FILES | taken("disease", digest(built(FILES).lists["disease"])))
    expansion = Expansion(value_set, "2", frozenset(codes), "disease.json")
    problems = [p for p in lint(Subject(book, ON, expansions=(expansion,))) if (p.lint or "").startswith("list-")]
    if told is None:
        assert problems == []
    else:
        (problem,) = problems
        assert (problem.file, problem.lint) == ("lists/disease.csv", "list-drifted")
        assert problem.message == f"beside disease.json, the list 'disease' of 2026-10-01 {told}"


def test_a_release_of_hcpcs_ends_codes_that_the_rulebook_says_nothing_of() -> None:
    book = built(rows({"billing_codes": "J1745", "match_code": "J1745; J1746"}))
    release = of_release([HcpcsCode("J1745", "", "", None, date(2026, 1, 1), 1), OPEN], "HCPC2026.txt")
    problems = [p for p in lint(Subject(book, ON, release=release)) if p.lint == "expired-code"]
    assert [(p.file, p.line) for p in problems] == [("benefit_routes.csv", 2), ("crosswalks/drugs.csv", 2)]
    assert "to the day before 2026-01-01 (HCPC2026.txt)" in problems[0].message


OPEN = HcpcsCode("J1746", "", "", date(2020, 1, 1), None, 2)
