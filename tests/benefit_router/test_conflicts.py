from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from benefit_router.codes import CodeList
from benefit_router.conflicts import conflicts
from benefit_router.rule import AgeRange, Flag, Indication, OneOf, Stated
from tests.benefit_router.orders import rule

CODE = ("HCPCS", "J9312")
OTHER = ("HCPCS", "J1745")
CLINIC, HOME = OneOf("site_pos", frozenset({"11", "22"})), OneOf("site_pos", frozenset({"12"}))
AT_11 = OneOf("site_pos", frozenset({"11"}))
CHILD, ADULT, ANYONE = AgeRange(None, 17), AgeRange(18, None), AgeRange(None, None)
CANCER, PIDD = (Indication(CodeList.of(name, [("ICD-10-CM", name)])) for name in ("C50*", "D80*"))


def _pair(first: dict[str, Any], second: dict[str, Any], one: tuple[Any, ...] = (), two: tuple[Any, ...] = ()) -> int:
    rows = [
        rule("a", "medical", *one, **{"codes": [CODE], **first}),
        rule("b", "pharmacy", *two, **{"codes": [CODE], **second}),
    ]
    return len(conflicts(rows, "t"))


@pytest.mark.parametrize(
    ("one", "two", "clash"),
    [
        ((), (), True),
        ((CLINIC,), (HOME,), False),
        ((CLINIC,), (AT_11,), True),
        ((CLINIC,), (OneOf("route", frozenset({"oral"})),), True),
        ((CHILD,), (ADULT,), False),
        ((ADULT,), (CHILD,), False),
        ((AgeRange(None, 18),), (ADULT,), True),
        ((ANYONE,), (CHILD,), True),
        ((Flag("esrd", True),), (Flag("esrd", False),), False),
        ((Flag("esrd", True),), (Flag("esrd", True),), True),
        ((Flag("esrd", True),), (Flag("transplant", False),), True),
        # One order may state both diagnoses.
        ((CANCER,), (PIDD,), True),
        ((Stated("site_pos"),), (CLINIC,), True),
        ((Stated("site_pos"), CLINIC), (HOME,), False),
    ],
)
def test_rows_of_one_rank_clash_when_one_order_can_satisfy_both(
    one: tuple[Any, ...], two: tuple[Any, ...], clash: bool
) -> None:
    assert bool(_pair({}, {}, one, two)) is clash


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        pytest.param({"band": 3}, {"band": 4}, False, id="another band"),
        pytest.param({"specificity": 8}, {}, False, id="more specific"),
        pytest.param({"priority": 1}, {}, False, id="another priority"),
        pytest.param({"starts": date(2026, 2, 1)}, {}, False, id="newer"),
        pytest.param({"codes": [OTHER]}, {}, False, id="another code"),
        pytest.param({"codes": [CODE, OTHER]}, {"codes": [OTHER]}, True, id="one code in common"),
        pytest.param({"codes": "*"}, {"codes": "*"}, True, id="any drug"),
        pytest.param({"codes": None}, {"codes": None}, True, id="any order"),
        pytest.param({"codes": None, "drug_class": "a"}, {"codes": None, "drug_class": "ab"}, True, id="class"),
        pytest.param({"codes": None, "drug_class": "a"}, {"codes": None, "drug_class": "b"}, False, id="other class"),
        pytest.param({"drug_class": "a"}, {"drug_class": "b"}, False, id="one code, other classes"),
        pytest.param({"drug_class": "a"}, {}, True, id="one code, any class"),
    ],
)
def test_rows_of_one_rank_and_subject_clash(first: dict[str, Any], second: dict[str, Any], clash: bool) -> None:
    assert bool(_pair(first, second)) is clash


@pytest.mark.parametrize(("ends", "clash"), [(date(2025, 12, 1), False), (date(2026, 1, 1), False), (None, True)])
def test_rows_never_in_force_together_do_not_clash(ends: date | None, clash: bool) -> None:
    """Rows of different first days are ranked by them, so this is seen only where a row ends before it begins."""
    assert bool(_pair({"ends": ends}, {})) is clash
    assert bool(_pair({}, {"ends": ends})) is clash


def test_rows_that_say_the_same_do_not_clash() -> None:
    assert conflicts([rule("a", codes=[CODE]), rule("b", codes=[CODE])], "t") == []


def test_prefix_rows_of_one_list_clash() -> None:
    injections = CodeList.of("list:injections", [("HCPCS", "J*")])
    rows = [replace(rule(name, track), codes=injections) for name, track in (("a", "medical"), ("b", "pharmacy"))]
    assert len(conflicts(rows, "t")) == 1


def test_each_pair_is_told_once_with_both_lines() -> None:
    rows = [rule("a", "medical", codes=[CODE, OTHER]), rule("b", "pharmacy", codes=[CODE, OTHER])]
    (found,) = conflicts(rows, "routes.csv")
    assert (found.file, found.line, found.column, found.severity) == ("routes.csv", 1, "rule_id", "error")
    assert "'b' and 'a' (line 1)" in found.message
    assert "priority" in found.remedy
