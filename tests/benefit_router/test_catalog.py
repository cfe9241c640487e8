from __future__ import annotations

import pytest

from benefit_router import Code, DrugCatalog
from tests.benefit_router.orders import product

INGREDIENT: Code = ("RxNorm", "847083")
VIAL = product("vial", INGREDIENT, ("HCPCS", "J3358"), form="vial", routes=["intravenous"])
PEN = product("pen", INGREDIENT, ("HCPCS", "J3357"), form="pen", routes=["subcutaneous"])
UNSAID = product("unsaid", INGREDIENT, ("HCPCS", "J3590"))
OTHER = product("other", ("RxNorm", "1"), ("HCPCS", "J3357"), form="pen", routes=["subcutaneous"])
CATALOG = DrugCatalog.of([VIAL, PEN, UNSAID, OTHER])


@pytest.mark.parametrize(
    ("stated", "route", "meant"),
    [
        pytest.param([("HCPCS", "J3358")], None, {"vial"}, id="product code"),
        pytest.param([INGREDIENT], None, {"vial", "pen", "unsaid"}, id="ingredient: one of its products"),
        pytest.param([INGREDIENT, ("HCPCS", "J3357")], None, {"pen"}, id="codings of one order narrow each other"),
        pytest.param(
            [INGREDIENT, ("RxNorm", "404")], None, {"vial", "pen", "unsaid"}, id="an unknown code is no evidence"
        ),
        pytest.param([("HCPCS", "J3358"), ("RxNorm", "1")], None, {"vial", "other"}, id="contradiction: either"),
        pytest.param(
            [("HCPCS", "J3358"), ("HCPCS", "J3357")],
            "intravenous",
            {"vial", "pen", "other"},
            id="a route does not settle a contradiction",
        ),
        pytest.param([INGREDIENT], "intravenous", {"vial", "unsaid"}, id="a route rules out products known to lack it"),
        pytest.param([("HCPCS", "J3358")], "oral", {"vial"}, id="a route no candidate has narrows nothing"),
    ],
)
def test_products_an_order_may_mean(stated: list[Code], route: str | None, meant: set[str]) -> None:
    found = CATALOG.candidates(stated, route)
    assert found.known
    assert {each.name for each in found.products} == meant


@pytest.mark.parametrize("stated", [[], [("RxNorm", "404")]])
def test_codes_nobody_knows_mean_what_was_ordered(stated: list[Code]) -> None:
    found = CATALOG.candidates(stated)
    assert not found.known
    assert [each.identities for each in found.products] == [frozenset(stated)]
    assert found.routes == found.dose_forms == frozenset()


def test_what_follows_from_the_candidates() -> None:
    injected = DrugCatalog.of([VIAL, PEN]).candidates([INGREDIENT])
    assert injected.routes == {"intravenous", "subcutaneous"}
    assert injected.dose_forms == {"vial", "pen"}


def test_nothing_follows_when_one_candidate_is_silent() -> None:
    found = CATALOG.candidates([INGREDIENT])
    assert found.routes == found.dose_forms == frozenset()


def test_which_codes_it_holds() -> None:
    assert INGREDIENT in CATALOG
    assert ("RxNorm", "404") not in CATALOG
