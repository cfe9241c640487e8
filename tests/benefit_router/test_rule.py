from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from benefit_router import CodeList, OrderSignals, Signal
from benefit_router.rule import AgeRange, Condition, Flag, Indication, OneOf, Stated, Verdict
from tests.benefit_router.orders import order, rule

NO, YES, OPEN = Verdict.NO, Verdict.YES, Verdict.OPEN
NEEDLES = frozenset({"intravenous", "subcutaneous"})
STRICT, LENIENT = OneOf("route", NEEDLES), OneOf("route", NEEDLES, derived_ok=True)
PIDD = Indication(CodeList.of("list:pidd", [("ICD-10-CM", "D80*")]))
SNOMED, CANCER = [("SNOMED", "36070007")], [("ICD-10-CM", "C50.9")]
CHILD, ADULT, RETIRED = AgeRange(None, 17), AgeRange(18, 64), AgeRange(65, None)
DERIVED = Signal.derived


@pytest.mark.parametrize(
    ("condition", "asked", "verdict"),
    [
        (STRICT, order(), OPEN),
        (STRICT, order(route=DERIVED([])), OPEN),
        (STRICT, order(route="oral"), NO),
        (STRICT, order(route="intravenous"), YES),
        (STRICT, order(route=DERIVED(["oral", "nasal"])), NO),
        (STRICT, order(route=DERIVED(["oral", "intravenous"])), OPEN),
        (STRICT, order(route=DERIVED(NEEDLES)), OPEN),
        (LENIENT, order(route=DERIVED(NEEDLES)), YES),
        (LENIENT, order(route=DERIVED(["oral", "intravenous"])), OPEN),
        (PIDD, order(), OPEN),
        (PIDD, order(dx=[]), OPEN),
        (PIDD, order(dx=[("ICD-10-CM", "D80.0")]), YES),
        (PIDD, order(dx=[("ICD-10-CM", "C50.9"), ("ICD-10-CM", "D80.0")]), YES),
        (PIDD, order(dx=[("ICD-10-CM", "C50.9")]), NO),
        # Another code system cannot be compared with the list, so it refutes nothing.
        (PIDD, order(dx=[("SNOMED", "36070007")]), OPEN),
        (PIDD, order(dx=[("SNOMED", "36070007"), ("ICD-10-CM", "C50.9")]), NO),
        # Each reason must be comparable: one given otherwise, or not to be read, may be the one that is meant.
        (PIDD, order(dx=[*SNOMED, *CANCER], reasons=[["SNOMED", "ICD-10-CM"]]), NO),
        (PIDD, order(dx=[*SNOMED, *CANCER], reasons=[["SNOMED"], ["ICD-10-CM"]]), OPEN),
        (PIDD, order(dx=CANCER, reasons=[["ICD-10-CM"], []]), OPEN),
        (PIDD, order(dx=[("ICD-10-CM", "D80.0")], reasons=[["ICD-10-CM"], []]), YES),
        (Flag("esrd", expected=True), order(), OPEN),
        (Flag("esrd", expected=True), order(flags={"esrd": True}), YES),
        (Flag("esrd", expected=True), order(flags={"esrd": False}), NO),
        (Flag("esrd", expected=False), order(flags={"esrd": False}), YES),
        (Flag("esrd", expected=False), order(flags={"esrd": True}), NO),
        (ADULT, order(), OPEN),
        (ADULT, order(age=17), NO),
        (ADULT, order(age=18), YES),
        (ADULT, order(age=64), YES),
        (ADULT, order(age=65), NO),
        (CHILD, order(age=0), YES),
        (CHILD, order(age=18), NO),
        (RETIRED, order(age=65), YES),
        (RETIRED, order(age=64), NO),
        (Stated("route"), order(), OPEN),
        (Stated("route"), order(route=DERIVED(["oral"])), OPEN),
        (Stated("route"), order(route="oral"), YES),
        (Stated("dx"), order(), OPEN),
        (Stated("dx"), order(dx=[]), OPEN),
        (Stated("dx"), order(dx=[("SNOMED", "36070007")]), YES),
        (Stated("age"), order(), OPEN),
        (Stated("age"), order(age=0), YES),
    ],
)
def test_verdicts(condition: Condition, asked: OrderSignals, verdict: int) -> None:
    assert condition.test(asked, asked.single) == verdict


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (STRICT, "intravenous or subcutaneous"),
        (PIDD, "list:pidd"),
        (Flag("esrd", expected=True), "esrd"),
        (Flag("esrd", expected=False), "!esrd"),
        (CHILD, "17 or younger"),
        (ADULT, "18 to 64"),
        (RETIRED, "65 or older"),
        (Stated("route"), "stated"),
    ],
)
def test_what_a_condition_asks_for(condition: Condition, words: str) -> None:
    assert condition.wanted() == words


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        ({"band": 1}, {"band": 2, "specificity": 99, "priority": 9}),
        ({"specificity": 24}, {"specificity": 16, "priority": 9}),
        ({"priority": 1}, {"priority": 0, "starts": date(2026, 5, 1)}),
        ({"starts": date(2026, 2, 1)}, {"starts": date(2026, 1, 1)}),
    ],
)
def test_band_then_specificity_then_priority_then_newest(stronger: dict[str, Any], weaker: dict[str, Any]) -> None:
    """The id comes last, so give the weaker row the better one."""
    assert rule("b", **stronger).rank < rule("a", **weaker).rank


def test_the_id_makes_the_order_total() -> None:
    assert rule("a").rank < rule("b").rank
    assert rule("a").rank[:4] == rule("b").rank[:4]


@pytest.mark.parametrize(
    ("day", "ends", "speaks"),
    [
        (date(2025, 12, 31), None, False),
        (date(2026, 1, 1), None, True),
        (date(2099, 1, 1), None, True),
        (date(2026, 6, 30), date(2026, 7, 1), True),
        (date(2026, 7, 1), date(2026, 7, 1), False),
    ],
)
def test_in_force_is_half_open(day: date, ends: date | None, speaks: bool) -> None:
    assert rule(starts=date(2026, 1, 1), ends=ends).in_force(day) is speaks


@pytest.mark.parametrize(
    ("signal", "words", "status"),
    [
        (Signal.known("oral"), "oral", "known"),
        (DERIVED(["pen", "vial"]), "pen or vial", "derived"),
        (DERIVED([]), "missing", "missing"),
    ],
)
def test_signals_say_how_they_are_known(signal: Signal, words: str, status: str) -> None:
    assert (str(signal), signal.status) == (words, status)
