from __future__ import annotations

from datetime import date

import pytest

from app.rulebook.answer import Answer, Detail, Quantity, Reason
from app.rulebook.scope import Need, Scope
from benefit_router import CodeList
from tests.rulebook.small import FILES, built, edited, wrong

PATH = "policies/drug.yaml"
POLICY = FILES[PATH]
HEAD, CASES = POLICY.split("cases:\n")
OTHERWISE = "  - case: otherwise\n    answer: {covered: covered, pa: auth-needed}\n"


def policy_of(cases: str) -> dict[str, str]:
    return FILES | {PATH: f"{HEAD}cases:\n{cases}"}


def test_policy() -> None:
    (policy,) = built(FILES).policies
    assert policy.scope == Scope(
        slug="drug",
        title="A drug",
        codes=CodeList("drug", frozenset({("HCPCS", "J1745"), ("RxNorm", "191831")})),
        track="medical",
        lines=frozenset({"commercial"}),
        plans=frozenset(),
        effective_from=date(2026, 1, 1),
        effective_to=None,
        source_url="https://example.org/policies/drug",
    )
    assert policy.needs == (Need("conditions"),)
    first, last = policy.cases
    assert first.name == "disease"
    assert first.condition is not None
    assert first.condition.lists == ("disease",)
    assert first.answers == (Answer("covered", "no-auth", reasons=(Reason("Meets 2.1"),)),)
    assert (last.name, last.condition) == ("otherwise", None)
    assert last.answers == (
        Answer(
            "covered",
            "auth-needed",
            ("clinical",),
            ("withpa",),
            reasons=(Reason("Criterion 2.1 is not shown"),),
            questionnaires=("form",),
            contacts=("desk",),
        ),
    )


def test_an_answer_with_everything() -> None:
    answer = """\
  - case: otherwise
    answer:
      covered: conditional
      pa: conditional
      docs: [clinical, conditional]
      purpose: [withpa, withorder]
      info: [location, OTH]
      questionnaire: [form]
      billing: [HCPCS J1745]
      reason: Depends on the place
      valid_days: 30
      details:
        - {code: allowed-quantity, category: cat-limitation, value: {value: 1.50, unit: /mo}, qualification: per eye}
        - {code: policy-link, value: "https://example.org/p"}
        - {code: concurrent-review, value: true}
"""
    (policy,) = built(policy_of(answer)).policies
    assert policy.cases[0].answers == (
        Answer(
            "conditional",
            "conditional",
            ("clinical", "conditional"),
            ("withpa", "withorder"),
            ("location", "OTH"),
            (("HCPCS", "J1745"),),
            (Reason("Depends on the place"),),
            (
                Detail("allowed-quantity", Quantity(1.5, "/mo"), "cat-limitation", "per eye"),
                Detail("policy-link", "https://example.org/p", link=True),
                Detail("concurrent-review", True),
            ),
            ("form",),
            valid_days=30,
        ),
    )
    assert str(policy.cases[0].answers[0].details[0].value) == "Quantity(value=Decimal('1.50'), unit='/mo')"


def test_answers_by_billing_code() -> None:
    cases = """\
  - case: otherwise
    answers:
      - {covered: covered, pa: no-auth, billing: [HCPCS J1745]}
      - {covered: not-covered, billing: [HCPCS Q5103, HCPCS Q5104]}
"""
    (policy,) = built(policy_of(cases)).policies
    assert [answer.billing_codes for answer in policy.cases[0].answers] == [
        (("HCPCS", "J1745"),),
        (("HCPCS", "Q5103"), ("HCPCS", "Q5104")),
    ]


@pytest.mark.parametrize(
    ("needs", "found"),
    [
        ("[conditions, observations]", (Need("conditions"), Need("observations"))),
        ("[conditions, {observations: list:disease}]", (Need("conditions"), Need("observations", "disease"))),
        ("[{conditions: list:disease}]", (Need("conditions", "disease"),)),
    ],
)
def test_needs(needs: str, found: tuple[Need, ...]) -> None:
    (policy,) = built(edited(PATH, "[conditions]", needs)).policies
    assert policy.needs == found


@pytest.mark.parametrize(
    ("effective", "days"),
    [
        ("{from: 2026-01-01}", {"2025-12-31": False, "2026-01-01": True, "2100-01-01": True}),
        ("{from: 2026-01-01, to: 2026-02-01}", {"2026-01-31": True, "2026-02-01": False}),
        ("{from: 2026-01-01, to: 2026-01-02}", {"2026-01-01": True, "2026-01-02": False}),
    ],
)
def test_in_force(effective: str, days: dict[str, bool]) -> None:
    (policy,) = built(edited(PATH, "{from: 2026-01-01}", effective)).policies
    assert {day: policy.scope.in_force(date.fromisoformat(day)) for day in days} == days


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "message", "remedy"),
    [
        # names
        ("policy: drug", "policy: drugs", 1, None, "named 'drug', the rule 'drugs'", "the same name"),
        ("[commercial]", "[comercial]", 6, "lines.0", "There is no 'comercial'", "Did you mean 'commercial'?"),
        ("lines: [commercial]", "plans: [platinum]", 6, "plans.0", "There is no 'platinum'", "Use one of: gold."),
        ("codes: list:drug", "codes: list:drugs", 7, "applies_to.codes", "no list 'drugs'", "Did you mean 'drug'?"),
        ("[conditions]", "[conditions, {observations: list:x}]", 8, "needs.1.observations", "no list 'x'", "disease"),
        ("memberOf('list:disease')", "memberOf('list:diseases')", 11, "cases.0.when", "'diseases'", "'disease'"),
        ("contact: desk", "contact: dsk", 20, "cases.1.answer.contact", "no contact 'dsk'", "Did you mean 'desk'?"),
        ("questionnaire: form", "questionnaire: forn", 19, "cases.1.answer.questionnaire", "no form 'forn'", "'form'?"),
        ("questionnaire: form", "questionnaire: [form, b]", 19, "cases.1.answer.questionnaire", "no form 'b'", "form"),
        # approval and dates
        ("b.approver", "a.author", 5, "approved.approver", "are the same", "someone else"),
        ("{from: 2026-01-01}", "{from: 2026-01-01, to: 2026-01-01}", 4, "effective.to", "ends before", "first day"),
        ("{from: 2026-01-01}", "{from: 2026-01-01, to: 2025-01-01}", 4, "effective.to", "ends before", "first day"),
        # cases
        ("  - case: otherwise\n", "  - case: otherwise\n    when: 'true'\n", 13, "cases.1", "no answer", "Add a"),
        ('    when: "%conditions.exists(code.memberOf(\'list:disease\'))"\n', "", 10, "cases.0", "Only the", "Add"),
        ("case: otherwise", "case: disease", 13, "cases.1.case", "two cases 'disease'", "its own name"),
        # conditions
        ("%conditions.exists", "%procedures.exists", 11, "cases.0.when", "%procedures is used but", "Add 'procedures'"),
        ("needs: [conditions]\n", "", 10, "cases.0.when", "%conditions is used but", "Add 'conditions' to 'needs'"),
        ("%conditions.exists(", "%conditons.exists(", 11, "cases.0.when", "%conditons", "Correct the FHIRPath"),
        # answers
        ("pa: no-auth, ", "", 12, "cases.0.answer", "says nothing about authorization", "Add 'pa'"),
        ("      docs: clinical\n", "", 14, "cases.1.answer", "contradicts itself: a questionnaire needs", "Correct"),
        ("pa: no-auth", "docs: admin, purpose: withpa, pa: no-auth", 12, "cases.0.answer", "(crd-ci-q4)", "Correct"),
        ("pa: no-auth", "info: location, pa: no-auth", 12, "cases.0.answer", "(crd-ci-q3)", "Correct"),
        ("pa: no-auth", "pa: conditional", 12, "cases.0.answer", "(crd-ci-q3)", "Correct"),
        ("covered: covered, pa: no-auth", "covered: not-covered, pa: no-auth", 12, "cases.0.answer", "(crd-ci-q2)", ""),
        ("pa: no-auth, reason: Meets 2.1", "pa: indeterminate", 12, "cases.0.answer", "(crd-ci-q9)", "Correct"),
        ("pa: no-auth, reason: Meets 2.1", "pa: conditional, info: OTH", 12, "cases.0.answer", "(crd-ci-q6)", "Corr"),
        ("      reason: Criterion 2.1 is not shown\n", "", 14, "cases.1.answer", "(crd-ci-q8)", "Correct"),
    ],
)  # fmt: skip
def test_checks(old: str, new: str, line: int, column: str | None, message: str, remedy: str) -> None:
    (problem,) = wrong(edited(PATH, old, new))
    assert (problem.file, problem.line, problem.column) == (PATH, line, column)
    assert message in problem.message
    assert remedy in problem.remedy


def test_a_syntax_error_points_at_its_place() -> None:
    (problem,) = wrong(edited(PATH, "%conditions.exists(code", "%conditions.exists(,code"))
    line, caret = problem.message.split("\n")[-2:]
    assert line.startswith("%conditions.exists(,code")
    assert caret == " " * line.index(",") + "^"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("billing: [HCPCS J1745]", "reason: no code"),
        ("reason: no code", "billing: [HCPCS J1745]"),
        ("billing: [HCPCS J1745, HCPCS Q5103]", "billing: [HCPCS Q5104, HCPCS j1745]"),
    ],
)
def test_several_answers_are_told_apart_by_billing_code(first: str, second: str) -> None:
    answers = "".join(f"      - {{covered: covered, pa: no-auth, {more}}}\n" for more in (first, second))
    (problem,) = wrong(policy_of(f"  - case: otherwise\n    answers:\n{answers}"))
    assert (problem.line, problem.column) == (11, "cases.0.answers")
    assert "billing codes of their own" in problem.message


def test_a_contradiction_among_several_answers_has_its_own_line() -> None:
    answers = (
        "      - {covered: covered, pa: no-auth, billing: [HCPCS J1745]}\n"
        "      - {covered: covered, pa: conditional, billing: [HCPCS Q5103]}\n"
    )
    (problem,) = wrong(policy_of(f"  - case: otherwise\n    answers:\n{answers}"))
    assert (problem.line, problem.column) == (13, "cases.0.answers.1")


# Two policies about the same code: what sets them apart, in the header of each.
SAME = "lines: [commercial]\napplies_to: {track: medical, codes: [HCPCS J1745]}"


@pytest.mark.parametrize(
    ("one", "two", "shared"),
    [
        (SAME, SAME, "HCPCS J1745"),
        (SAME, SAME.replace("[HCPCS J1745]", "list:drug"), "HCPCS J1745"),
        (SAME, SAME.replace("[HCPCS J1745]", "[RxNorm 1]"), None),
        (SAME, SAME.replace("commercial", "ma"), None),
        (SAME, SAME.replace("[commercial]", "[ma, commercial]"), "HCPCS J1745"),
        (SAME, SAME.replace("track: medical, ", ""), "HCPCS J1745"),
        # One is more specific, so it answers: for lines over none, for plans over lines, newer over older.
        (SAME, SAME.replace("lines: [commercial]\n", ""), None),
        (SAME, SAME.replace("lines: [commercial]", "plans: [gold]"), None),
        (SAME, f"effective: {{from: 2026-02-01}}\n{SAME}", None),
        # Plans apart, lines the same.
        (f"plans: [gold]\n{SAME}", f"plans: [silver]\n{SAME}", None),
        (f"plans: [gold]\n{SAME}", f"plans: [silver, gold]\n{SAME}", "HCPCS J1745"),
        # Both from the same day, so they cannot follow each other.
        (f"effective: {{from: 2026-01-01, to: 2026-02-01}}\n{SAME}", SAME, "HCPCS J1745"),
        # A prefix overlaps what stands under it, and prefixes that begin alike.
        (SAME, SAME.replace("J1745", "J17*"), "HCPCS J1745"),
        (SAME.replace("J1745", "J17*"), SAME, "HCPCS J1745"),
        (SAME.replace("J1745", "J1*"), SAME.replace("J1745", "J17*"), "HCPCS J17*"),
        (SAME.replace("J1745", "J17*"), SAME.replace("J1745", "J18*"), None),
        (SAME.replace("J1745", "J17*"), SAME.replace("HCPCS J1745", "CPT J17*"), None),
        (SAME.replace("J1745", "J17*"), SAME.replace("J1745", "J1845"), None),
    ],
)
def test_overlaps(one: str, two: str, shared: str | None) -> None:
    def text(slug: str, header: str) -> str:
        effective = "" if "effective" in header else "effective: {from: 2026-01-01}\n"
        return (
            f"policy: {slug}\ntitle: x\nsource: {{url: x, retrieved: 2026-01-01}}\n{effective}"
            f"approved: {{author: a, approver: b, on: 2026-01-01}}\n{header}\ncases:\n{OTHERWISE}"
        )

    payer = FILES["payer.yaml"].replace("plans:\n", "plans:\n  silver: {name: Silver, line: commercial}\n")
    files = FILES | {"payer.yaml": payer, "policies/one.yaml": text("one", one), "policies/two.yaml": text("two", two)}
    del files[PATH]
    if shared is None:
        assert len(built(files).policies) == 2
    else:
        (problem,) = wrong(files)
        assert (problem.file, problem.column) == ("policies/two.yaml", "applies_to")
        assert f"'two' and 'one' both speak about {shared} " in problem.message


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("plans: [gold]", "lines: [commercial]"),
        ("plans: [gold]", ""),
        ("lines: [commercial]", ""),
        ("lines: [commercial]\nplans: [gold]", "plans: [gold]"),
    ],
)
def test_the_more_specific_policy(one: str, two: str) -> None:
    scopes = [built(edited(PATH, "lines: [commercial]", lines)).policies[0].scope for lines in (one, two)]
    assert scopes[0].specificity > scopes[1].specificity
