from __future__ import annotations

from typing import Any

import pytest

from benefit_router import Code, DrugCatalog, OrderSignals, RoutingTable, Rule, decide, words_for
from benefit_router.decision import INFO_NEEDED
from benefit_router.rule import Flag, OneOf
from benefit_router.signals import SINGLE
from tests.benefit_router.orders import order, product, rule

INGREDIENT: Code = ("RxNorm", "847083")
VIAL: Code = ("HCPCS", "J3358")
PEN: Code = ("HCPCS", "J3357")
CATALOG = DrugCatalog.of(
    [
        product("ustekinumab vial", INGREDIENT, VIAL, form="vial", routes=["intravenous"]),
        product("ustekinumab syringe", INGREDIENT, PEN, form="syringe", routes=["subcutaneous"]),
    ]
)


def _on(name: str, *allowed: str, derived_ok: bool = False) -> OneOf:
    return OneOf(name, frozenset(allowed), derived_ok)


def _decide(asked: OrderSignals, *rows: Rule) -> Any:
    return decide(RoutingTable.of(rows, CATALOG), asked)


BY_CODE = rule("by-code", "medical", codes=[VIAL], band=3, pa="yes", explanation="Infused.")
CLINIC = rule("clinic", "medical", _on("site_pos", "11"), codes="*", band=4, pa="yes")
HOME = rule("home", "pharmacy", _on("site_pos", "12"), codes="*", band=5, pa="no")
FALLBACK = rule("fallback", "pharmacy", codes="*", band=7, pa="no")


@pytest.mark.parametrize(
    ("asked", "rows", "track", "pa", "rule_id", "confidence", "missing", "info"),
    [
        pytest.param(
            order(VIAL), [BY_CODE, FALLBACK], "medical", "yes", "by-code", "determined", (), (), id="strongest match"
        ),
        pytest.param(
            order(VIAL, site_pos="12"), [CLINIC, FALLBACK], "pharmacy", "no", "fallback", "determined", (), (),
            id="a refuted row leaves it to the next",
        ),
        pytest.param(
            order(VIAL), [CLINIC, FALLBACK], "undetermined", "conditional", "fallback", "determined",
            ("site_pos",), ("location",), id="a stronger open row says otherwise",
        ),
        pytest.param(
            order(INGREDIENT), [BY_CODE, FALLBACK], "undetermined", "conditional", "fallback", "determined",
            ("code",), ("detail-code",), id="one of the products meant has another benefit",
        ),
        pytest.param(
            order(VIAL), [CLINIC, HOME], "undetermined", "conditional", None, "determined",
            ("site_pos",), ("location",), id="only open rows",
        ),
        pytest.param(
            order(VIAL, site_pos="22"), [CLINIC, HOME], "undetermined", "conditional", None, "determined", (), ("OTH",),
            id="no row speaks",
        ),
        pytest.param(
            order(("RxNorm", "404")), [FALLBACK], "undetermined", "conditional", None, "determined",
            ("code",), ("detail-code",), id="unknown code",
        ),
        pytest.param(
            order(VIAL), [CLINIC, rule("other", "medical", codes="*", band=7, pa="yes")],
            "medical", "yes", "other", "presumptive", (), (), id="open rows agree",
        ),
        pytest.param(
            order(VIAL), [CLINIC, rule("other", "medical", codes="*", band=7, pa="no")],
            "medical", "conditional", "other", "presumptive", ("site_pos",), ("location",),
            id="open rows agree on the benefit, not on authorization",
        ),
        pytest.param(
            order(VIAL), [CLINIC, rule("other", "medical", codes="*", band=7)],
            "medical", "conditional", "other", "presumptive", ("site_pos",), ("location",),
            id="a policy may decide, or authorization is needed",
        ),
        pytest.param(
            order(VIAL), [rule("a", "medical", codes=[VIAL]), rule("b", "pharmacy", codes=[INGREDIENT])],
            "undetermined", "conditional", "a", "determined", (), ("OTH",), id="equal ranks disagree",
        ),
        pytest.param(
            order(VIAL), [rule("a", pa="no", codes=[VIAL]), rule("b", pa="yes", codes=[INGREDIENT])],
            "medical", "conditional", "a", "presumptive", ("code",), ("detail-code",),
            id="equal ranks disagree on authorization",
        ),
        pytest.param(
            order(VIAL),
            [rule("a", codes=[VIAL], billing_codes=(VIAL,)), rule("b", codes=[INGREDIENT])],
            "medical", None, "a", "presumptive", (), (), id="equal ranks disagree on billing",
        ),
    ],
)  # fmt: skip
def test_answers(
    asked: OrderSignals,
    rows: list[Rule],
    track: str,
    pa: str | None,
    rule_id: str | None,
    confidence: str,
    missing: tuple[str, ...],
    info: tuple[str, ...],
) -> None:
    decision = _decide(asked, *rows)
    assert (decision.track, decision.pa, decision.rule_id, decision.confidence) == (track, pa, rule_id, confidence)
    assert (decision.missing_signals, decision.info_needed) == (missing, info)


@pytest.mark.parametrize(
    ("outcome", "reason", "info"),
    [
        ({"info_needed": ("timeframe",), "explanation": "Depends on the day."}, "Depends on the day.", ("timeframe",)),
        ({}, "Title of row", ("OTH",)),
    ],
)
def test_a_row_may_itself_say_that_it_cannot_be_told(outcome: dict[str, Any], reason: str, info: tuple[str]) -> None:
    decision = _decide(order(VIAL), rule("row", "undetermined", codes=[VIAL], **outcome), FALLBACK)
    assert (decision.track, decision.pa, decision.rule_id) == ("undetermined", "conditional", "row")
    assert (decision.reason, decision.info_needed) == (reason, info)
    assert decision.outcome is not None


@pytest.mark.parametrize("dissenter", ["undetermined", "none", "pharmacy", "medical-bundled"])
def test_any_other_track_of_a_stronger_open_row_is_dissent(dissenter: str) -> None:
    open_row = rule("open", dissenter, _on("site_pos", "11"), codes=[VIAL], band=1)
    assert _decide(order(VIAL), open_row, BY_CODE).track == "undetermined"


def test_an_open_row_of_the_winners_rank_counts_though_its_name_comes_later() -> None:
    later = rule("z", "pharmacy", _on("site_pos", "11"), codes=[VIAL], band=3)
    assert _decide(order(VIAL), BY_CODE, later).track == "undetermined"
    weaker = rule("z", "pharmacy", _on("site_pos", "11"), codes=[VIAL], band=4)
    assert _decide(order(VIAL), BY_CODE, weaker).track == "medical"


INPATIENT = rule("inpatient", "medical-bundled", _on("enc_class", "IMP"), codes=None, band=1, pa="no")


@pytest.mark.parametrize(
    ("named", "track", "pa"),
    [
        pytest.param([], "medical-bundled", "no", id="nothing else ranks as high"),
        pytest.param([FALLBACK], "medical-bundled", "no", id="rows for drugs rank lower"),
        pytest.param(
            [rule("car-t", "medical", codes=[VIAL], band=1, specificity=1, pa="yes")], "undetermined", "conditional",
            id="it may be a drug that a stronger row names",
        ),
        pytest.param(
            [rule("car-t", "medical", codes=[VIAL], band=1, pa="yes")], "undetermined", "conditional",
            id="it may be a drug that a row of equal rank names",
        ),
        pytest.param(
            [rule("car-t", "medical-bundled", codes=[VIAL], band=0, pa="yes")], "undetermined", "conditional",
            id="it may be a drug that needs authorization",
        ),
        pytest.param(
            [rule("any-drug", "medical", codes="*", band=0)], "undetermined", "conditional", id="it may be a drug"
        ),
        pytest.param(
            [rule("class", "medical", codes=None, drug_class=["car-t"], band=0)], "undetermined", "conditional",
            id="it may be of a class",
        ),
        pytest.param(
            [rule("same", "medical-bundled", codes=[VIAL], band=0, pa="no")], "medical-bundled", "no",
            id="rows for drugs agree",
        ),
    ],
)  # fmt: skip
def test_what_an_order_of_an_unknown_code_may_be(named: list[Rule], track: str, pa: str) -> None:
    """A CAR-T order with a local code must not go without authorization because the code is not known here."""
    decision = _decide(order(("urn:local", "CART"), enc_class="IMP"), INPATIENT, *named)
    assert (decision.track, decision.pa, decision.rule_id) == (track, pa, "inpatient")
    assert decision.missing_signals == (("code",) if track == "undetermined" else ())


@pytest.mark.parametrize(
    ("condition", "asked", "track", "derived"),
    [
        pytest.param(_on("route", "intravenous"), order(VIAL, route="intravenous"), "medical", (), id="stated"),
        pytest.param(_on("route", "intravenous"), order(VIAL), "undetermined", (), id="inferred is not stated"),
        pytest.param(
            _on("route", "intravenous", derived_ok=True), order(VIAL), "medical", ("route",), id="inferred may do"
        ),
        pytest.param(
            _on("route", "intravenous", derived_ok=True), order(INGREDIENT), "undetermined", (), id="one of two"
        ),
        pytest.param(
            _on("route", "intravenous", "subcutaneous", derived_ok=True), order(INGREDIENT), "medical", ("route",),
            id="either of two",
        ),
        pytest.param(
            _on("route", "subcutaneous"), order(VIAL, route="subcutaneous"), "undetermined", (),
            id="a route the product does not have leaves both possible",
        ),
        pytest.param(
            _on("route", "intravenous", "subcutaneous", derived_ok=True), order(VIAL, route="subcutaneous"), "medical",
            ("route",), id="both possible, both allowed",
        ),
        pytest.param(_on("dose_form", "vial"), order(VIAL, dose_form="vial"), "medical", (), id="stated form"),
        pytest.param(
            _on("dose_form", "vial", derived_ok=True), order(VIAL), "medical", ("dose_form",), id="inferred form"
        ),
        pytest.param(
            _on("dose_form", "pen"), order(VIAL, dose_form="pen"), "undetermined", (),
            id="a form the product does not have leaves both possible",
        ),
        pytest.param(
            _on("dose_form", "pen"), order(("RxNorm", "404"), dose_form="pen"), "medical", (),
            id="nothing is known of the product",
        ),
    ],
)  # fmt: skip
def test_what_follows_from_the_product(
    condition: OneOf, asked: OrderSignals, track: str, derived: tuple[str, ...]
) -> None:
    decision = _decide(asked, rule("row", "medical", condition, codes=None))
    assert (decision.track, decision.derived_signals) == (track, derived)
    assert decision.confidence == ("presumptive" if derived else "determined")


def test_a_stated_route_names_the_product_of_an_ingredient() -> None:
    decision = _decide(order(INGREDIENT, route="intravenous"), BY_CODE, FALLBACK)
    assert (decision.rule_id, decision.products) == ("by-code", ("ustekinumab vial",))


def test_a_row_that_is_a_presumption_never_looks_certain() -> None:
    assert _decide(order(VIAL), rule("row", codes=[VIAL], confidence="presumptive")).confidence == "presumptive"


def test_every_row_looked_at_says_why_it_did_not_decide() -> None:
    rows = [
        rule("lacking", "medical", _on("site_pos", "11"), Flag("esrd", True), codes=[INGREDIENT], band=1, pa="yes"),
        rule("refuted", "pharmacy", _on("lob", "ma"), _on("state", "CA"), codes=[VIAL], band=2),
        BY_CODE,
        FALLBACK,
        rule("past", codes=[VIAL], ends=order().on),
    ]
    decision = _decide(order(VIAL, lob="commercial"), *rows)
    assert decision.rule_id == "by-code"
    assert [(seen.rule_id, seen.verdict, seen.columns, seen.track) for seen in decision.considered] == [
        ("lacking", "open", ("site_pos", "condition_flag"), "medical"),
        ("refuted", "refuted", ("lob",), "pharmacy"),
        ("fallback", "outranked", (), "pharmacy"),
    ]


@pytest.mark.parametrize(
    ("rows", "asked", "reason"),
    [
        ([BY_CODE], order(VIAL), "Infused."),
        ([FALLBACK], order(VIAL), "Title of fallback"),
        ([CLINIC, FALLBACK], order(VIAL), "The benefit depends on where it will be given."),
        ([CLINIC], order(VIAL), "The benefit depends on where it will be given."),
        ([CLINIC], order(VIAL, site_pos="12"), "No routing rule speaks about this drug for this member."),
        ([CLINIC], order(("RxNorm", "404")), "This drug code is not known to the payer's tables."),
    ],
)
def test_reasons_are_for_clinicians(rows: list[Rule], asked: OrderSignals, reason: str) -> None:
    assert _decide(asked, *rows).reason == reason


@pytest.mark.parametrize(
    ("signals", "words"),
    [
        (["route"], "the route of administration"),
        (["route", "site_pos"], "the route of administration and where it will be given"),
        (["route", "dx", "age"], "the route of administration, the diagnosis it is ordered for and the patient's age"),
        (["network", "network"], "whether the performer is in network"),
        (["bin", "pcn"], "the member's pharmacy card"),
    ],
)
def test_words_for_missing_signals(signals: list[str], words: str) -> None:
    assert words_for(signals) == words


@pytest.mark.parametrize("name", [*SINGLE, "code", "dx", "condition_flag", "age"])
def test_every_signal_has_words_for_clinicians(name: str) -> None:
    assert words_for([name]).startswith(("the ", "where ", "who ", "whether "))


@pytest.mark.parametrize("name", SINGLE)
def test_every_signal_can_be_asked_for(name: str) -> None:
    local: Code = ("RxNorm", "7")
    decision = _decide(order(local), rule("row", "medical", _on(name, "x"), codes=[local]))
    assert decision.missing_signals == (name,)
    assert decision.info_needed == (INFO_NEEDED.get(name, "OTH"),)
