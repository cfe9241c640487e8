from __future__ import annotations

import json
from datetime import date

import pytest

from app.rulebook.guidance import CoverageUpdate, FormRequest, Guidance, SmartApp, Suggestion
from benefit_router import COLUMNS
from tests.rulebook.small import FILES, FORM, built, edited, wrong

PATH = "guidance/card.yaml"
LINKS = '  links: [{label: a page, url: "https://example.org"}]\n'
CHANGE = "    - {label: Change, change_code: {codes: [HCPCS Q5103, CVX 140], display: other}}\n"
REPLACE = "    - {label: Change, action: replace, change_code: {codes: [HCPCS Q5103], display: other}}\n"
ADD = "    - {label: Add, orders: [{type: ServiceRequest, codes: [CPT 80076], display: a panel}]}\n"
FORM_CARD = "  form: {questionnaire: other, label: Fill in, description: For the program}\n"
SET = "  coverage: {label: Correct it, set: {period_end: 2026-12-31, plan: gold}}\n"
APP = "  app: {label: Open, url: 'https://example.org/launch', context: a=b}\n"
OTHER_FORM = {
    "questionnaires/other/questionnaire.json": json.dumps(FORM | {"url": "http://payer.example.org/Questionnaire/o"})
}
BOOKING = "hooks: [appointment-book]\ncard:\n"


def card_of(response: str, more: str) -> dict[str, str]:
    return FILES | {PATH: FILES[PATH].replace("response: instructions", f"response: {response}") + more}


def test_the_least_a_card_says() -> None:
    (guidance,) = built(FILES).guidance
    assert guidance.scope.slug == "card"
    assert guidance.scope.codes.exact == {("HCPCS", "J1745")}
    assert (guidance.hooks, guidance.needs, guidance.condition, guidance.priority) == (frozenset(), (), None, 0)
    assert (guidance.response, guidance.topic, guidance.indicator) == ("instructions", "guideline", "info")
    assert (guidance.summary, guidance.detail) == ("Do this.", "This is why.")
    assert (guidance.links, guidance.suggestions) == ((), ())


def test_when_and_where_a_card_is_shown() -> None:
    more = "hooks: [order-select]\nneeds: [medications]\nwhen: '%medications.empty()'\npriority: 20\ncard:"
    (guidance,) = built(edited(PATH, "card:\n", f"{more}\n")).guidance
    assert guidance.hooks == {"order-select"}
    assert [need.kind for need in guidance.needs] == ["medications"]
    assert guidance.condition is not None
    assert guidance.condition.text == "%medications.empty()"
    assert guidance.priority == 20


@pytest.mark.parametrize(
    ("response", "more", "links", "suggestions"),
    [
        ("external-reference", LINKS, (("a page", "https://example.org"),), ()),
        ("instructions", "", (), ()),
        (
            "alternate-request",
            f"  suggestions:\n{CHANGE}{REPLACE}",
            (),
            (
                Suggestion("Change", (("HCPCS", "Q5103"), ("CVX", "140")), "other", False, ()),
                Suggestion("Change", (("HCPCS", "Q5103"),), "other", True, ()),
            ),
        ),
        (
            "additional-orders",
            f"  suggestions:\n{ADD}",
            (),
            (Suggestion("Add", (), "", False, (("ServiceRequest", (("CPT", "80076"),), "a panel"),)),),
        ),
    ],
)
def test_shapes(response: str, more: str, links: tuple[object, ...], suggestions: tuple[object, ...]) -> None:
    guidance: Guidance
    (guidance,) = built(card_of(response, more)).guidance
    assert guidance.response == response
    assert guidance.links == links
    assert guidance.suggestions == suggestions


@pytest.mark.parametrize(
    ("response", "more", "wants"),
    [
        ("external-reference", "", "links, and no suggestions"),
        ("external-reference", f"{LINKS}  suggestions:\n{CHANGE}", "links, and no suggestions"),
        ("instructions", LINKS, "neither links nor suggestions"),
        ("instructions", f"  suggestions:\n{ADD}", "neither links nor suggestions"),
        ("alternate-request", "", "suggestions with 'change_code'"),
        ("alternate-request", f"  suggestions:\n{ADD}", "suggestions with 'change_code'"),
        ("alternate-request", f"  suggestions:\n{CHANGE}{ADD}", "suggestions with 'change_code'"),
        ("alternate-request", f"{LINKS}  suggestions:\n{CHANGE}", "suggestions with 'change_code'"),
        ("additional-orders", "", "suggestions with 'orders'"),
        ("additional-orders", f"  suggestions:\n{CHANGE}", "suggestions with 'orders'"),
        ("additional-orders", f"  suggestions:\n{ADD}{REPLACE}", "suggestions with 'orders'"),
        ("additional-orders", f"{LINKS}  suggestions:\n{ADD}", "suggestions with 'orders'"),
    ],
)
def test_wrong_shapes(response: str, more: str, wants: str) -> None:
    (problem,) = wrong(card_of(response, more))
    assert (problem.file, problem.line, problem.column) == (PATH, 7, "card")
    assert f"A card of type {response} has {wants}." in problem.message


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "message"),
    [
        ("guidance: card", "guidance: cord", 1, None, "named 'card', the rule 'cord'"),
        ("b.approver", "a.author", 5, "approved.approver", "are the same"),
        ("to: 2027-01-01", "to: 2026-01-01", 4, "effective.to", "ends before"),
        ("card:\n", "when: '%medications.exists()'\ncard:\n", 7, "when", "%medications is used but would not be read"),
        ("card:\n", "when: '%facts.age >'\ncard:\n", 7, "when", "%facts.age >"),
        ("card:\n", "when: \"%order.code.memberOf('list:x')\"\ncard:\n", 7, "when", "no list 'x'"),
        ("[HCPCS J1745]", "list:x", 6, "applies_to.codes", "no list 'x'"),
    ],
)
def test_checks(old: str, new: str, line: int, column: str | None, message: str) -> None:
    (problem,) = wrong(edited(PATH, old, new))
    assert (problem.file, problem.line, problem.column) == (PATH, line, column)
    assert message in problem.message


def office(more: str, hooks: str = BOOKING) -> dict[str, str]:
    files = card_of("coverage-update", more) | OTHER_FORM
    return files | {PATH: files[PATH].replace("card:\n", hooks, 1)}


@pytest.mark.parametrize(
    ("files", "form", "coverage", "app"),
    [
        (
            card_of("form-completion", FORM_CARD) | OTHER_FORM,
            FormRequest("Fill in", "other", "For the program", include=False),
            None,
            None,
        ),
        (
            card_of("form-completion", FORM_CARD.replace("}", ", include_form: true}")) | OTHER_FORM,
            FormRequest("Fill in", "other", "For the program", include=True),
            None,
            None,
        ),
        (office(SET), None, CoverageUpdate("Correct it", date(2026, 12, 31), "gold"), None),
        (
            office("  coverage: {label: Correct it, set: {plan: from-roster}}\n"),
            None,
            CoverageUpdate("Correct it", None, "from-roster"),
            None,
        ),
        (card_of("smart-launch", APP), None, None, SmartApp("Open", "https://example.org/launch", "a=b")),
        (
            card_of("smart-launch", APP.replace(", context: a=b", "")),
            None,
            None,
            SmartApp("Open", "https://example.org/launch", None),
        ),
    ],
)
def test_what_else_a_card_may_offer(
    files: dict[str, str], form: FormRequest | None, coverage: CoverageUpdate | None, app: SmartApp | None
) -> None:
    (guidance,) = built(files).guidance
    assert (guidance.form, guidance.coverage, guidance.app) == (form, coverage, app)
    assert (guidance.links, guidance.suggestions) == ((), ())


ROW = dict.fromkeys((column.name for column in COLUMNS), "") | {
    "rule_id": "row",
    "title": "A row",
    "status": "approved",
    "band": "4",
    "match_system": "HCPCS",
    "match_code": "J1745",
    "track": "medical",
    "pa": "yes",
    "questionnaire": "other",
    "effective_from": "2020-01-01",
    "source_url": "https://example.org/rules",
    "retrieved": "2026-01-01",
    "licence_note": "illustration",
    "author": "a.author",
    "approver": "b.approver",
}
ROUTED = {"benefit_routes.csv": ",".join(ROW) + "\n" + ",".join(ROW.values()) + "\n"}


@pytest.mark.parametrize(
    ("files", "column", "message", "remedy"),
    [
        pytest.param(
            card_of("form-completion", FORM_CARD.replace("other", "form")),
            "card.form.questionnaire",
            "An answer names the form 'form', so DTR fills it in.",
            "Take another form",
            id="form-of-a-policy",
        ),
        pytest.param(
            card_of("form-completion", FORM_CARD) | OTHER_FORM | ROUTED,
            "card.form.questionnaire",
            "An answer names the form 'other', so DTR fills it in.",
            "Take another form",
            id="form-of-a-routing-row",
        ),
        pytest.param(
            card_of("form-completion", FORM_CARD.replace("other", "othr")) | OTHER_FORM,
            "card.form.questionnaire",
            "There is no form 'othr'.",
            "other",
            id="no-such-form",
        ),
        pytest.param(
            office(SET.replace("gold", "golt")),
            "card.coverage.set.plan",
            "There is no plan 'golt'.",
            "gold",
            id="no-such-plan",
        ),
        pytest.param(office(SET, "card:\n"), "hooks", "office staff", "appointment-book", id="coverage-on-every-hook"),
        pytest.param(
            office(SET, "hooks: [appointment-book, order-sign]\ncard:\n"),
            "hooks",
            "office staff",
            "encounter-start",
            id="coverage-on-a-clinical-hook",
        ),
        pytest.param(
            card_of("form-completion", FORM_CARD + LINKS) | OTHER_FORM,
            "card",
            "A card of type form-completion has a 'form', and nothing beside it.",
            "Change",
            id="form-with-links",
        ),
        pytest.param(
            office(SET + APP),
            "card",
            "A card of type coverage-update has a 'coverage', and nothing beside it.",
            "Change",
            id="coverage-with-an-app",
        ),
        pytest.param(
            card_of("smart-launch", LINKS),
            "card",
            "A card of type smart-launch has an 'app', and nothing beside it.",
            "Change",
            id="link-for-an-app",
        ),
        pytest.param(
            card_of("instructions", APP), "card", "neither links nor suggestions", "Change", id="app-in-instructions"
        ),
    ],
)
def test_what_else_a_card_must_not_offer(files: dict[str, str], column: str, message: str, remedy: str) -> None:
    (problem,) = wrong(files)
    assert (problem.file, problem.column) == (PATH, column)
    assert message in problem.message
    assert remedy in problem.remedy


def test_instructions_say_what_to_do() -> None:
    (problem,) = wrong({**FILES, PATH: FILES[PATH].replace("  detail: This is why.\n", "")})
    assert "resp-24" in problem.message
