"""Missing is not false: what `judge` makes of facts that are absent, unobtainable or incomplete."""

from __future__ import annotations

from typing import Any

import pytest

from app import fhirpath
from app.fhirpath import Incomplete, Judgement, Missing, Unobtainable

DOWN = Unobtainable("the EHR did not answer")
UNKNOWN_X = Missing("%x", DOWN.reason, "unobtainable")

CONDITION = {"resourceType": "Condition", "code": {"coding": [{"system": "icd", "code": "K50"}]}}
OTHER = {"resourceType": "Condition", "code": {"coding": [{"system": "icd", "code": "J20"}]}}

FACTS: dict[str, Any] = {
    "t": True,
    "f": False,
    "e": None,
    "x": DOWN,
    "order": {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "reasonCode": DOWN,
        "bodySite": [{"text": "arm"}, DOWN],
        "code": {"coding": [{"system": "cpt", "code": "1"}], "text": DOWN},
        "quantityQuantity": {"value": DOWN, "unit": "mg"},
        "subject": {"reference": "Patient/none"},
    },
    "some": Incomplete([CONDITION], "first page only"),
    "none": Incomplete([], "first page only"),
    "all": [CONDITION, OTHER],
    "numbers": Incomplete([1, 2], "first page only"),
    "plain": {"a": 1, "gap": DOWN, "list": [1, DOWN], "more": Incomplete([5], "cut off")},
}


def judge(text: str, **options: Any) -> Judgement:
    """The judgement, which judge() may reach by the plain closures, and the trace only by the three-valued ones."""
    compiled = fhirpath.compile(text, frozenset(FACTS))
    judgement = compiled.judge(None, variables=FACTS, **options)
    assert compiled.trace(None, variables=FACTS, judging=True, **options).judgement == judgement
    return judgement


# and, or, xor, implies over true, false, empty (e) and unobtainable (x): Kleene's tables, FHIRPath "Boolean logic".
TABLES = {
    "and": {"tt": True, "tf": False, "ft": False, "ff": False, "te": None, "et": None, "fe": False, "ef": False,
            "tx": None, "xt": None, "fx": False, "xf": False, "ex": None, "xe": None, "xx": None, "ee": None},
    "or": {"tt": True, "tf": True, "ft": True, "ff": False, "te": True, "et": True, "fe": None, "ef": None,
           "tx": True, "xt": True, "fx": None, "xf": None, "ex": None, "xe": None, "xx": None, "ee": None},
    "xor": {"tt": False, "tf": True, "ft": True, "ff": False, "te": None, "et": None, "fe": None, "ef": None,
            "tx": None, "xt": None, "fx": None, "xf": None, "ex": None, "xe": None, "xx": None, "ee": None},
    "implies": {"tt": True, "tf": False, "ft": True, "ff": True, "te": None, "et": True, "fe": True, "ef": None,
                "tx": None, "xt": True, "fx": True, "xf": None, "ex": None, "xe": None, "xx": None, "ee": None},
}  # fmt: skip


@pytest.mark.parametrize(
    ("operator", "sides", "value"),
    [(operator, sides, value) for operator, table in TABLES.items() for sides, value in table.items()],
)
def test_logic(operator: str, sides: str, value: bool | None) -> None:
    judgement = judge(f"%{sides[0]} {operator} %{sides[1]}")
    assert judgement.value is value
    kinds = {"x": "unobtainable", "e": "absent"}
    expected = {kinds[side] for side in sides if side in kinds} if value is None else set()
    assert {missing.kind for missing in judgement.because} == expected


UNKNOWN = [
    "%x",
    "%x.not()",
    "%x.a.b.c = 1",
    "%x = 1",
    "1 = %x",
    "%x != 1",
    "%x ~ 1",
    "%x !~ 1",
    "%x > 1",
    "%x + 1 = 2",
    "-%x = 2",
    "%x & 'a' = 'a'",
    "%x.exists()",
    "%x.exists($this = 1)",
    "%x.empty()",
    "%x.count() = 0",
    "%x.all($this = 1)",
    "%x.allTrue()",
    "%x.anyTrue()",
    "%x.where($this = 1).exists()",
    "%x.where($this = 1).empty()",
    "%x.select($this).exists()",
    "%x.repeat(item).exists()",
    "%x.ofType(Condition).exists()",
    "%x is Condition",
    "(%x as Condition).exists()",
    "%x.first().exists()",
    "%x[0].exists()",
    "(%x | {}).exists()",
    "%x.combine({}).empty()",
    "%x in ('a' | 'b')",
    "('a' | 'b') contains %x",
    "'a' in %x",
    "%x contains 'a'",
    "%x.startsWith('a')",
    "%x.toString() = 'a'",
    "%x.hasValue()",
    "%x.extension('u').exists()",
    "%x.children().exists()",
    "%x.descendants().empty()",
    "%x.trace('t').exists()",
    "%x.distinct().count() = 1",
    "%x.aggregate($this + $total, 0) = 0",
    "%x.sort().first() = 1",
    "%some.where($index = 0).exists()",
    "%some.select($index) contains 0",
    "%numbers.exists($index = 1 and $this = 2)",
    "%x.resolve().exists()",
    "%x.subsetOf('a')",
    "('a').subsetOf(%x)",
    "('a' | 'b').exclude(%x).exists()",
    "iif(%x, true, false)",
    "iif(%x = 1, 'a', 'b') = 'a'",
    "%t.select(%x).exists()",
    "%x.iif($this = 1, true, false)",
    "coalesce({}, %x, true)",
    "%t.defineVariable('y', %x).select(%y = 1)",
    "%plain.gap = 1",
    "%plain.gap.exists()",
    "%plain.list.count() = 2",
    "%plain.list.all($this = 1)",
    "%plain.list contains 2",
    "%plain.more = 5",
    "%order.reasonCode.exists()",
    "%order.reasonCode.coding.code = 'K50'",
    "%order.code.text = 'a'",
    "%order.code = %order.code",
    "%order.quantity > 1 'mg'",
    "%order.quantity.value > 1",
    "%order.bodySite.text contains 'leg'",
    "%order.bodySite.count() = 1",
    "%order.children().where($this = 'nothing').exists()",
    "%order.subject.resolve().exists()",
    "%some.code.coding.exists(code = 'J20')",
    "%some.all(code.coding.exists(code = 'K50'))",
    "%some.count() = 1",
    "%some.first().exists() and true",
    "%some.where(code.coding.code = 'J20').empty()",
    "%none.exists()",
    "%none.empty()",
    "%none.all(false)",
    "%numbers contains 3",
    "%numbers.sum() = 3",
    "%all.exists(code.text = %x)",
    "%all.all(code.coding.exists() and %x)",
    "%all.where(%x).exists()",
]


@pytest.mark.parametrize("text", UNKNOWN)
def test_unknown_stays_unknown(text: str) -> None:
    judgement = judge(text)
    assert judgement.value is None
    assert {missing.kind for missing in judgement.because} == {"unobtainable"}


DECIDED = [
    ("%order.status = 'draft'", True),
    ("%order.code.coding.code = '1'", True),
    ("%order.bodySite.exists()", True),
    ("%order.bodySite.empty()", False),
    ("%order.bodySite.text contains 'arm'", True),
    ("%order.bodySite.exists(text = 'arm')", True),
    ("%order.bodySite.all(text = 'leg')", False),
    ("%order.note.exists()", False),
    ("%order.note.empty()", True),
    ("%order.note.text.startsWith('a').exists()", False),
    ("%order is ServiceRequest", True),
    ("%plain.a = 1", True),
    ("%plain.list contains 1", True),
    ("%plain.list.exists()", True),
    ("%plain.more.exists()", True),
    ("%plain.more.all($this < 5)", False),
    ("%some.exists()", True),
    ("%some.empty()", False),
    ("%some.exists(code.coding.code = 'K50')", True),
    ("%some.all(code.coding.code = 'J20')", False),
    ("%some.where(code.coding.code = 'K50').exists()", True),
    ("%some.code.coding.code contains 'K50'", True),
    ("'K50' in %some.code.coding.code", True),
    ("%some.select(code.coding.code = 'K50').anyTrue()", True),
    ("%some.select(code.coding.code = 'K50').allFalse()", False),
    ("%some.select(code.coding.code = 'J20').allTrue()", False),
    ("%some.select(code.coding.code = 'J20').anyFalse()", True),
    ("%all.count() = 2", True),
    ("%all.exists(code.coding.code = 'K50' or %x)", True),
    ("%all.all(code.coding.code = 'K50' and %x)", False),
    ("(%x | %t).exists()", True),
    ("(%t | %x).where($this).exists()", True),
    ("iif(%x, true, true)", True),
    ("iif(%t, false, %x)", False),
    ("coalesce(%t, %x)", True),
    ("%x.exists() or %order.status = 'draft'", True),
    ("%x.exists() and %order.status = 'active'", False),
    ("%e.exists()", False),
    ("%e.count() = 0", True),
    ("(%e = 1).empty()", True),
    ("{}.empty()", True),
]


@pytest.mark.parametrize(("text", "value"), DECIDED)
def test_certain_items_decide(text: str, value: bool) -> None:
    assert judge(text) == Judgement(value, ())


# Path, reason and kind: what a person reads as "unknown because …".
BECAUSE = [
    ("%x.code = 'a'", [("%x", DOWN.reason, "unobtainable")]),
    ("%order.reasonCode.coding.code = 'a'", [("%order.reasonCode", DOWN.reason, "unobtainable")]),
    ("%plain.more.all($this = 5)", [("%plain.more", "cut off", "unobtainable")]),
    ("%some.exists(code.text = 'a' or code.coding.code = 'J20')", [("%some", "first page only", "unobtainable")]),
    ("%order.note.text = 'a'", [("%order.note", "no value", "absent")]),
    ("%order.code.coding.display = 'a'", [("%order.code.coding.display", "no value", "absent")]),
    ("%e = 1", [("%e", "no value", "absent")]),
    ("%e.a.b > 1", [("%e", "no value", "absent")]),
    ("%all.where(code.text = 'a').id = '1'", [("%all.where(code.text = 'a')", "none meets the criteria", "absent")]),
    ("%order.note.text = 'a' and %x", [("%order.note", "no value", "absent"), ("%x", DOWN.reason, "unobtainable")]),
    ("%order.note.text = 'a' and %x and false", []),
    ("%x = 1 or %x = 2", [("%x", DOWN.reason, "unobtainable")]),
    ("%order.select(note.text = 'a')", [("%order.note", "no value", "absent")]),
    ("%order.select($this.note.text).startsWith('a')", [("%order.note", "no value", "absent")]),
    ("iif(%e = 1, true)", [("%e", "no value", "absent")]),
    ("%order.extension('u').value = true", [("%order.extension('u')", "nothing of this kind", "absent")]),
    ("%order.ofType(Patient).active", [("%order.ofType(Patient)", "nothing of this kind", "absent")]),
    (
        "%order.subject.resolve().ofType(Patient).active",
        [("%order.subject.resolve()", "the reference could not be resolved", "unobtainable")],
    ),
    ("%all.exists(code.text = %x)", [("%x", DOWN.reason, "unobtainable")]),
    ("%order.code = %order.code", [("%order.code = %order.code", DOWN.reason, "unobtainable")]),
    ("1 / 0 = 1", [("1 / 0 = 1", "the result is empty", "absent")]),
]


@pytest.mark.parametrize(("text", "because"), BECAUSE)
def test_because(text: str, because: list[tuple[str, str, str]]) -> None:
    assert [(m.path, m.reason, m.kind) for m in judge(text).because] == because


def member_of(value: Any, name: str) -> bool | None:
    codes = {coding.get("code") for coding in value.get("coding", [])} if isinstance(value, dict) else {value}
    return None if name == "list:unknown" else "K50" in codes


MEMBERSHIP = [
    ("%all.exists(code.memberOf('list:crohns'))", True),
    ("%all.all(code.memberOf('list:crohns'))", False),
    ("%all[1].code.memberOf('list:crohns')", False),
    ("%all[0].code.memberOf('list:unknown')", None),
    ("%some.exists(code.memberOf('list:crohns'))", True),
    ("%none.exists(code.memberOf('list:crohns'))", None),
    ("%order.code.memberOf('list:crohns')", None),
    ("%order.bodySite.first().memberOf('list:crohns')", None),
    ("%order.note.first().text.memberOf('list:crohns')", None),
    ("'K50'.memberOf('list:crohns')", True),
    ("%x.memberOf('list:crohns')", None),
]


@pytest.mark.parametrize(("text", "value"), MEMBERSHIP)
def test_member_of(text: str, value: bool | None) -> None:
    assert judge(text, member_of=member_of).value is value


def test_member_of_decides_by_the_codings_that_are_there() -> None:
    concept = {"coding": [{"code": "K50"}, DOWN]}
    rule = fhirpath.compile("%c.memberOf('list:crohns')")
    assert rule.judge(None, variables={"c": concept}, member_of=member_of) == Judgement(True)


def test_a_resolver_may_say_why_it_could_not() -> None:
    judgement = judge("%order.subject.resolve().exists()", resolve=lambda reference: Unobtainable("no permission"))
    assert judgement.because == (Missing("%order.subject.resolve()", "no permission", "unobtainable"),)


def test_the_context_itself_may_be_missing() -> None:
    assert fhirpath.compile("Patient.active").judge(DOWN).because == (Missing("%context", DOWN.reason, "unobtainable"),)


@pytest.mark.parametrize("text", ["%order.status", "%all.code", "1", "%all.id.exists() | %t | 'a'"])
def test_a_judgement_needs_one_boolean(text: str) -> None:
    with pytest.raises(fhirpath.FhirPathError, match="Boolean"):
        judge(text)


@pytest.mark.parametrize(
    "text", ["%x", "%x.exists()", "%order.reasonCode", "%plain.gap", "%some.count()", "%plain.list"]
)
def test_evaluate_refuses_what_it_cannot_know(text: str) -> None:
    with pytest.raises(fhirpath.GapError, match="could not be obtained"):
        fhirpath.compile(text).evaluate(None, variables=FACTS)


def test_evaluate_may_pass_by_a_gap_it_does_not_need() -> None:
    assert fhirpath.compile("%order.status").evaluate(None, variables=FACTS) == ["draft"]
