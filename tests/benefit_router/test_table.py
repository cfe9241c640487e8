from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from benefit_router import Code, DrugCatalog, OrderSignals, RoutingTable, Signal, decide
from benefit_router.rule import Verdict
from tests.benefit_router.orders import order, product, rule

INGREDIENT: Code = ("RxNorm", "1")
VIAL: Code = ("HCPCS", "J0001")
PEN: Code = ("HCPCS", "J0002")
UNCATALOGUED: Code = ("NDC", "00001000001")
BILLED: Code = ("HCPCS", "J0009")
OTHER: Code = ("CPT", "90009")
CATALOG = DrugCatalog.of(
    [product("vial", INGREDIENT, VIAL, tags=["infused"]), product("pen", INGREDIENT, PEN, tags=["injected"])]
)


@pytest.mark.parametrize(
    ("subject", "stated", "found"),
    [
        pytest.param({"codes": [VIAL]}, [VIAL], "sure", id="its product"),
        pytest.param({"codes": [VIAL]}, [PEN], "no", id="another product"),
        pytest.param({"codes": [VIAL]}, [INGREDIENT], "open", id="one of the products meant"),
        pytest.param({"codes": [VIAL, PEN]}, [INGREDIENT], "sure", id="every product meant"),
        pytest.param({"codes": [INGREDIENT]}, [VIAL], "sure", id="the product's ingredient"),
        pytest.param({"codes": [("HCPCS", "J00*")]}, [INGREDIENT], "sure", id="prefix"),
        pytest.param({"codes": [("HCPCS", "J0001*")]}, [INGREDIENT], "open", id="prefix of one product"),
        pytest.param({"codes": [("HCPCS", "J0001*")]}, [PEN], "no", id="prefix of another product"),
        pytest.param({"codes": [UNCATALOGUED]}, [UNCATALOGUED], "sure", id="outside the catalog"),
        pytest.param({"codes": [UNCATALOGUED]}, [UNCATALOGUED, VIAL], "sure", id="outside the catalog, beside it"),
        pytest.param({"codes": [("NDC", "0000*")]}, [UNCATALOGUED, VIAL], "sure", id="prefix, beside the catalog"),
        pytest.param({"codes": None, "drug_class": ["infused"]}, [VIAL], "sure", id="class"),
        pytest.param({"codes": None, "drug_class": ["infused"]}, [INGREDIENT], "open", id="class of one product"),
        pytest.param({"codes": None, "drug_class": ["infused", "injected"]}, [INGREDIENT], "sure", id="either class"),
        pytest.param({"codes": "*", "drug_class": ["infused"]}, [PEN], "no", id="any drug of a class"),
        pytest.param({"codes": [INGREDIENT], "drug_class": ["infused"]}, [PEN], "no", id="code and class"),
        pytest.param({"codes": [INGREDIENT], "drug_class": ["infused"]}, [VIAL], "sure", id="code and its class"),
        pytest.param(
            {"codes": [UNCATALOGUED], "drug_class": ["infused"]}, [UNCATALOGUED, VIAL], "open", id="class not shown"
        ),
        pytest.param(
            {"codes": [UNCATALOGUED], "drug_class": ["infused"]}, [UNCATALOGUED], "open", id="class not known"
        ),
        # An order with two billing codes that are not one product's may mean either.
        pytest.param({"codes": [BILLED]}, [BILLED, VIAL], "open", id="another billing code beside the product's"),
        pytest.param({"codes": [VIAL]}, [BILLED, VIAL], "open", id="the product, another billing code beside it"),
        pytest.param({"codes": [BILLED]}, [BILLED, OTHER], "open", id="one of two billing codes"),
        pytest.param({"codes": [BILLED, OTHER]}, [BILLED, OTHER], "sure", id="both billing codes"),
        pytest.param({"codes": [BILLED]}, [BILLED, INGREDIENT], "sure", id="a billing code and an ingredient"),
        pytest.param({"codes": "*"}, [BILLED, VIAL], "sure", id="any drug, whichever is billed"),
        pytest.param({"codes": "*"}, [VIAL], "sure", id="any drug"),
        pytest.param({"codes": "*"}, [("RxNorm", "404")], "no", id="any drug, but nobody knows this one"),
        pytest.param({"codes": None}, [("RxNorm", "404")], "sure", id="any order"),
    ],
)
def test_which_rows_speak_of_an_order(subject: dict[str, object], stated: list[Code], found: str) -> None:
    table = RoutingTable.of([rule("row", **subject)], CATALOG)  # type: ignore[arg-type]
    meant = CATALOG.candidates(stated)
    known = meant.known or table.speaks_of(stated)
    rows = list(table.candidates(stated, meant, known=known))
    assert ["no" if not rows else "sure" if rows[0].certain else "open"] == [found]


def test_a_row_named_twice_is_found_once() -> None:
    table = RoutingTable.of([rule("row", codes=[VIAL, ("HCPCS", "J00*"), INGREDIENT])], CATALOG)
    assert [found.rule.rule_id for found in table.candidates([VIAL], CATALOG.candidates([VIAL]), known=True)] == ["row"]


def test_rows_by_name_and_number() -> None:
    table = RoutingTable.of([rule("weak", band=7), rule("strong", band=1)])
    assert len(table) == 2
    assert [row.rule_id for row in table.rules] == ["strong", "weak"]
    assert table.rule("weak") is table.rules[1]
    assert table.rule("absent") is None


@pytest.mark.parametrize(
    ("code", "is_drug"), [(VIAL, True), (UNCATALOGUED, True), (("HCPCS", "J9999"), True), (("HCPCS", "E0601"), False)]
)
def test_what_is_a_drug_to_the_table(code: Code, is_drug: bool) -> None:
    table = RoutingTable.of([rule("exact", codes=[UNCATALOGUED]), rule("prefix", codes=[("HCPCS", "J99*")])], CATALOG)
    assert table.routes([code]) is is_drug


@dataclass(frozen=True)
class Counted:
    """A condition that counts how often it is tested."""

    tested: list[int] = field(default_factory=list)
    signal: str = "site_pos"

    def test(self, order: OrderSignals, singles: Mapping[str, Signal]) -> int:
        self.tested.append(1)
        return Verdict.YES

    def wanted(self) -> str:
        return "anything"


@pytest.mark.parametrize("size", [200, 20_000])
def test_a_decision_looks_at_the_rows_of_its_drug_however_many_there_are(size: int) -> None:
    """Two rows name the drug, one any drug, one any order; the other drugs' rows are never looked at."""
    counted = Counted()
    rows = [rule(f"row-{n}", "medical", counted, codes=[("RxNorm", str(n // 2))]) for n in range(size - 2)]
    rows += [rule("any-drug", "medical", counted, codes="*", band=6), rule("any-order", "none", codes=None, band=7)]
    table = RoutingTable.of(rows)
    decision = decide(table, order(("RxNorm", "42")))
    assert len(table) == size
    assert len(counted.tested) == 3
    assert decision.rule_id == "row-84"
    assert [seen.rule_id for seen in decision.considered] == ["row-85", "any-drug", "any-order"]
