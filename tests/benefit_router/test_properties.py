"""What must hold of every table, catalog and order: found by search, not by example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from benefit_router import (
    TRACKS,
    DrugCatalog,
    OrderSignals,
    Product,
    RoutingTable,
    Rule,
    Signal,
    Vocabulary,
    decide,
    read_table,
)
from benefit_router.codes import Code, CodeList
from benefit_router.conflicts import conflicts
from benefit_router.rule import AgeRange, Flag, Indication, OneOf, Stated
from benefit_router.table import indexed_codes
from tests.benefit_router.orders import DAY, order, product, rule, table_text

# A busy machine is no fault of the router.
SEARCH = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ROUTES = ("intravenous", "subcutaneous", "oral")
FORMS = ("vial", "pen", "tablet")
INGREDIENTS: tuple[Code, ...] = (("RxNorm", "1"), ("RxNorm", "2"))
HCPCS: tuple[Code, ...] = (("HCPCS", "J0001"), ("HCPCS", "J0002"))
CLASSES = ("biologic", "oncolytic")
OTHER_SIGNALS = {
    "site_pos": ("11", "12"),
    "enc_class": ("AMB", "IMP"),
    "supply_channel": ("buy-bill", "white"),
    "plan_id": ("gold", "silver"),
}
SINGLES = {"route": ROUTES, "dose_form": FORMS, **OTHER_SIGNALS}
DIAGNOSES: tuple[Code, ...] = (("ICD-10-CM", "C50.9"), ("ICD-10-CM", "D80.0"))
ELSEWHERE: tuple[Code, ...] = (("SNOMED", "254837009"),)
NOBODYS: tuple[Code, ...] = (("RxNorm", "999999"), ("urn:oid:1.2.3", "J0001"), ("NDC", "999999999"))


def _ndc(number: int) -> tuple[Code, Code]:
    return ("NDC", f"0000{number}0000"), ("NDC", f"0000{number}000001")


NAMEABLE = (
    *INGREDIENTS,
    *HCPCS,
    *(("RxNorm", f"10{number}") for number in range(3)),
    *(code for number in range(3) for code in _ndc(number)),
    ("HCPCS", "J000*"),
    ("NDC", "00001*"),
)


@st.composite
def catalogs(draw: st.DrawFn) -> tuple[Product, ...]:
    """Up to three products of two ingredients; routes, form and classes as known or unknown as they come."""
    return tuple(
        product(
            f"product {number}",
            draw(st.sampled_from(INGREDIENTS)),
            ("RxNorm", f"10{number}"),
            *_ndc(number),
            *draw(st.sets(st.sampled_from(HCPCS), max_size=1)),
            form=draw(st.none() | st.sampled_from(FORMS)),
            routes=draw(st.sets(st.sampled_from(ROUTES), max_size=2)),
            tags=draw(st.sets(st.sampled_from(CLASSES))),
        )
        for number in range(draw(st.integers(1, 3)))
    )


def _some(values: tuple[Any, ...]) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(st.sampled_from(values), min_size=1, max_size=max(1, len(values) - 1))


# Route and form are inferred where they are not stated, so they have most to get wrong.
CONDITIONS = st.one_of(
    st.sampled_from(("route", "route", "dose_form", *OTHER_SIGNALS)).flatmap(
        lambda name: st.builds(OneOf, st.just(name), _some(SINGLES[name]), st.sampled_from((True, True, False)))
    ),
    st.builds(Indication, _some((*DIAGNOSES, *ELSEWHERE)).map(lambda codes: CodeList.of("dx", codes))),
    st.builds(Flag, st.sampled_from(("esrd", "transplant")), st.booleans()),
    st.sampled_from((AgeRange(None, 17), AgeRange(18, 64), AgeRange(65, None))),
    st.builds(Stated, st.sampled_from(("route", "site_pos", "dx", "age"))),
)


NAMED = st.frozensets(st.sampled_from(NAMEABLE), min_size=1, max_size=2)


@st.composite
def rule_sets(draw: st.DrawFn) -> tuple[Rule, ...]:
    """Few rows in few ranks, so that they meet; specificity is drawn, not computed, for equal ranks to be common."""
    return tuple(
        rule(
            f"row-{number}",
            draw(st.sampled_from(("medical", "medical", "pharmacy", "pharmacy", *TRACKS))),
            *draw(st.just([]) | st.lists(CONDITIONS, max_size=2)),
            codes=draw(st.sampled_from((None, "*")) | NAMED | NAMED),
            band=draw(st.integers(3, 5)),
            specificity=draw(st.integers(0, 1)),
            drug_class=draw(st.just(()) | _some(CLASSES)),
            starts=draw(st.sampled_from((DAY, DAY - timedelta(days=9)))),
            ends=draw(st.none() | st.just(DAY + timedelta(days=1))),
            pa=draw(st.sampled_from((None, "yes", "no", "no", "conditional"))),
            billing_codes=draw(st.sampled_from(((), (HCPCS[0],)))),
        )
        for number in range(draw(st.integers(1, 7)))
    )


@st.composite
def true_orders(draw: st.DrawFn, products: tuple[Product, ...]) -> OrderSignals:
    """Everything there is to know of an order of one product: nothing in it contradicts anything else."""
    meant = draw(st.sampled_from(products))
    return order(
        *(code for code in meant.identities if code[0] != "class"),
        route=draw(st.sampled_from(sorted(meant.routes) or ROUTES)),
        dose_form=meant.dose_form or draw(st.sampled_from(FORMS)),
        **{name: draw(st.sampled_from(values)) for name, values in OTHER_SIGNALS.items()},
        dx=draw(_some((*DIAGNOSES, *ELSEWHERE))),
        flags={"esrd": draw(st.booleans()), "transplant": draw(st.booleans())},
        age=draw(st.sampled_from((9, 17, 18, 40, 65, 80))),
    )


@st.composite
def with_less(draw: st.DrawFn, full: OrderSignals) -> OrderSignals:
    """The order with some of its statements left out, be it all of them."""
    lost = draw(st.sets(st.sampled_from(("diagnoses", "age", *full.single, *full.flags)), max_size=5))
    return replace(
        full,
        codes=full.codes - draw(st.frozensets(st.sampled_from(sorted(full.codes)))) if full.codes else full.codes,
        single={name: signal for name, signal in full.single.items() if name not in lost},
        diagnoses=None if "diagnoses" in lost else full.diagnoses,
        flags={name: value for name, value in full.flags.items() if name not in lost},
        age=None if "age" in lost else full.age,
    )


def with_one_less(more: OrderSignals) -> Iterator[OrderSignals]:
    """The order without one of its codes, signals or flags, each in turn."""
    for code in sorted(more.codes):
        yield replace(more, codes=more.codes - {code})
    for name in more.single:
        yield replace(more, single={other: signal for other, signal in more.single.items() if other != name})
    for name in more.flags:
        yield replace(more, flags={other: value for other, value in more.flags.items() if other != name})
    yield replace(more, diagnoses=None)
    yield replace(more, age=None)


@st.composite
def any_orders(draw: st.DrawFn) -> OrderSignals:
    """Orders of any kind: unknown codes, contradictions, inferred signals."""
    known_or_not = {
        name: draw(
            st.sampled_from(values).map(Signal.known) | st.frozensets(st.sampled_from(values)).map(Signal.derived)
        )
        for name, values in SINGLES.items()
    }
    return order(
        *draw(st.frozensets(st.sampled_from((*NAMEABLE, *NOBODYS)), max_size=3)),
        **known_or_not,
        dx=draw(st.none() | st.frozensets(st.sampled_from((*DIAGNOSES, *ELSEWHERE)))),
        flags=draw(st.dictionaries(st.sampled_from(("esrd", "transplant")), st.booleans())),
        age=draw(st.none() | st.integers(0, 99)),
    )


tables = st.builds(RoutingTable.of, rule_sets(), catalogs().map(DrugCatalog.of))


@st.composite
def partial_orders(draw: st.DrawFn) -> tuple[RoutingTable, OrderSignals]:
    """A table, and an order of one of its products that says much, little or nothing, but nothing untrue."""
    products = draw(catalogs())
    asked = draw(true_orders(products).flatmap(with_less))
    return RoutingTable.of(draw(rule_sets()), DrugCatalog.of(products)), asked


@SEARCH
@given(tables, any_orders())
def test_every_order_gets_one_coherent_answer(table: RoutingTable, asked: OrderSignals) -> None:
    decision = decide(table, asked)
    assert decision == decide(table, asked)
    assert decision.reason
    if decision.track == "undetermined":
        assert decision.pa == "conditional"
        assert decision.info_needed
    else:
        assert decision.rule_id is not None
        deciding = table.rule(decision.rule_id)
        assert deciding is not None
        assert deciding.in_force(asked.on)
        assert decision.outcome == deciding.outcome
        assert decision.track == deciding.outcome.track
        assert decision.pa in (deciding.outcome.pa, "conditional")


@SEARCH
@given(tables, any_orders(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_products_changes_nothing(table: RoutingTable, asked: OrderSignals, random: Any) -> None:
    rows, products = list(table.rules), list(table.catalog.products)
    random.shuffle(rows)
    random.shuffle(products)
    assert decide(RoutingTable.of(rows, DrugCatalog.of(products)), asked) == decide(table, asked)


@SEARCH
@given(partial_orders(), st.sampled_from(NOBODYS))
def test_a_coding_nobody_here_knows_changes_nothing(asked: tuple[RoutingTable, OrderSignals], irrelevant: Code) -> None:
    table, stated = asked
    assert decide(table, replace(stated, codes=stated.codes | {irrelevant})) == decide(table, stated)


@settings(SEARCH, max_examples=400)
@given(partial_orders())
def test_saying_less_only_moves_towards_undetermined(asked: tuple[RoutingTable, OrderSignals]) -> None:
    """THE guarantee: missing data never turn one track into another, nor an authorization into none.

    Orders are already partial, so leaving out one statement at a time reaches every way of leaving out several.
    """
    table, more = asked
    before = decide(table, more)
    for less in with_one_less(more):
        after = decide(table, less)
        assert after.track in (before.track, "undetermined")
        if after.track == before.track:
            assert after.pa in (before.pa, "conditional")
        event(f"{before.track} to {after.track}")


@settings(SEARCH, max_examples=300)
@given(partial_orders(), st.data())
def test_two_partial_accounts_of_one_order_never_disagree(
    asked: tuple[RoutingTable, OrderSignals], data: st.DataObject
) -> None:
    """Inferred signals are sets that hold the truth. Whatever is left out or blurred, two definite answers agree."""
    table, full = asked
    answers = set()
    for _ in range(2):
        told = data.draw(with_less(full))
        blurred = {
            name: data.draw(st.frozensets(st.sampled_from(SINGLES[name])).map(signal.values.union).map(Signal.derived))
            for name, signal in told.single.items()
            if data.draw(st.booleans())
        }
        answers.add(decide(table, replace(told, single={**told.single, **blurred})).track)
    assert len(answers - {"undetermined"}) <= 1


@SEARCH
@given(tables, any_orders())
def test_rows_of_one_rank_never_lose_in_silence(table: RoutingTable, asked: OrderSignals) -> None:
    decision = decide(table, asked)
    winner = table.rule(decision.rule_id or "")
    if winner is None or decision.track == "undetermined":
        return
    rivals = [
        rival
        for seen in decision.considered
        if seen.verdict in ("outranked", "open")
        and (rival := table.rule(seen.rule_id)) is not None
        and rival.rank[:4] == winner.rank[:4]
        and rival.outcome != winner.outcome
    ]
    assert all(rival.outcome.track == decision.track for rival in rivals)
    assert decision.confidence == "presumptive" or not rivals
    assert decision.pa == "conditional" or all(rival.outcome.pa == decision.pa for rival in rivals)


@SEARCH
@given(rule_sets(), any_orders())
def test_rows_of_one_rank_and_subject_that_meet_are_conflicts(rows: tuple[Rule, ...], asked: OrderSignals) -> None:
    """Whenever two rows of one code, class or kind hold for an order, and nothing ranks them, loading has said so."""
    reported = {frozenset((found.message.split("'")[1], found.message.split("'")[3])) for found in conflicts(rows, "t")}
    holding = [
        row
        for row in rows
        if row.in_force(asked.on) and all(condition.test(asked, asked.single) == 1 for condition in row.conditions)
    ]
    for first, second in combinations(holding, 2):
        unranked = first.rank[:4] == second.rank[:4] and first.outcome != second.outcome
        if unranked and _subjects(first) & _subjects(second) and _classes_meet(first, second):
            assert frozenset((first.rule_id, second.rule_id)) in reported


def _subjects(row: Rule) -> frozenset[object]:
    return frozenset(indexed_codes(row)) or frozenset((row.codes if row.codes in (None, "*") else row.rule_id,))


def _classes_meet(first: Rule, second: Rule) -> bool:
    return not first.drug_class or not second.drug_class or not first.drug_class.isdisjoint(second.drug_class)


@SEARCH
@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 800))
def test_a_row_speaks_from_its_first_day_to_the_day_before_its_end(first: date, days: int) -> None:
    end = first + timedelta(days=days)
    code: Code = ("HCPCS", "J0001")
    table = RoutingTable.of([rule("row", codes=[code], starts=first, ends=end)])
    answers = [
        decide(table, order(code, on=day)).track
        for day in (first - timedelta(days=1), first, end - timedelta(days=1), end)
    ]
    assert answers == ["undetermined", "medical", "medical", "undetermined"]


@SEARCH
@given(catalogs(), st.data())
@pytest.mark.parametrize("digits", [9, 11])
def test_a_package_and_its_product_are_reached_by_rows_of_either(
    digits: int, products: tuple[Product, ...], data: st.DataObject
) -> None:
    meant = data.draw(st.sampled_from(products))
    named = next(code for code in meant.identities if code[0] == "NDC" and len(code[1]) == digits)
    table = RoutingTable.of([rule("row", codes=[named])], DrugCatalog.of(products))
    for code in meant.identities:
        if code[0] == "NDC":
            assert decide(table, order(code)).rule_id == "row"


# What a row may name of one drug, the most exact first (docs/rules/routing-table.md, Specificity).
EXACTNESS: dict[str, dict[str, str]] = {
    "package": {"match_system": "NDC", "match_code": "00000000001"},
    "product": {"match_system": "RxNorm", "match_code": "100"},
    "billing code": {"match_system": "HCPCS", "match_code": "J0001"},
    "listed class": {"match_code": "list:listed", "drug_class": "biologic"},
    "ingredient": {"match_system": "RxNorm", "match_code": "1", "match_level": "ingredient"},
    "list": {"match_code": "list:listed"},
    "class": {"drug_class": "biologic"},
    "any drug": {"match_code": "*"},
}
NAMED_DRUG = product(
    "a drug", ("RxNorm", "1"), ("RxNorm", "100"), *_ndc(0), ("NDC", "00000000001"), HCPCS[0], tags=("biologic",)
)


@SEARCH
@given(
    st.dictionaries(
        st.sampled_from(sorted(EXACTNESS)),
        st.tuples(st.integers(1, 6), st.integers(0, 2), st.sampled_from(("medical", "medical-bundled", "none"))),
        min_size=1,
    ),
    st.randoms(use_true_random=False),
)
def test_the_stronger_band_answers_and_in_a_band_what_names_the_drug_most_exactly(
    drawn: dict[str, tuple[int, int, str]], random: Any
) -> None:
    """A class, a list and a product may each name one drug (notes 3.4). Priority only settles what is equally exact."""
    named = list(drawn)
    random.shuffle(named)
    cells = [
        {
            "rule_id": kind.replace(" ", "-"),
            **EXACTNESS[kind],
            "band": str(drawn[kind][0]),
            "priority": str(drawn[kind][1]),
            "track": drawn[kind][2],
        }
        for kind in named
    ]
    catalog = DrugCatalog.of([NAMED_DRUG])
    vocabulary = Vocabulary(lists={"listed": CodeList.of("listed", [HCPCS[0]])}, words={})
    table, problems = read_table(table_text(*cells), file="t", vocabulary=vocabulary, catalog=catalog)
    assert table is not None, problems
    expected = min(named, key=lambda kind: (drawn[kind][0], list(EXACTNESS).index(kind)))
    decision = decide(table, order(*(code for code in NAMED_DRUG.identities if code[0] != "class")))
    assert decision.rule_id == expected.replace(" ", "-")
    assert decision.track == drawn[expected][2]
