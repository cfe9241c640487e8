from __future__ import annotations

import pytest

from app.rulebook.guidance import Guidance, Suggestion
from tests.rulebook.small import FILES, built, edited, wrong

PATH = "guidance/card.yaml"
LINKS = '  links: [{label: a page, url: "https://example.org"}]\n'
CHANGE = "    - {label: Change, change_code: {codes: [HCPCS Q5103, CVX 140], display: other}}\n"
REPLACE = "    - {label: Change, action: replace, change_code: {codes: [HCPCS Q5103], display: other}}\n"
ADD = "    - {label: Add, orders: [{type: ServiceRequest, codes: [CPT 80076], display: a panel}]}\n"


def card_of(response: str, more: str) -> dict[str, str]:
    return FILES | {PATH: FILES[PATH].replace("response: instructions", f"response: {response}") + more}


def test_the_least_a_card_says() -> None:
    (guidance,) = built(FILES).guidance
    assert guidance.scope.slug == "card"
    assert guidance.scope.codes.exact == {("HCPCS", "J1745")}
    assert (guidance.hooks, guidance.needs, guidance.condition, guidance.priority) == (frozenset(), (), None, 0)
    assert (guidance.response, guidance.topic, guidance.indicator) == ("instructions", "guideline", "info")
    assert (guidance.summary, guidance.detail, guidance.links, guidance.suggestions) == ("Do this.", None, (), ())


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
        ("instructions", "  detail: In **Markdown**.\n", (), ()),
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
