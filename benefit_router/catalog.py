"""The drug catalog: which products a code may mean, and what follows from that.

An order rarely names the exact product. A coding at ingredient level means *one of* the products of that ingredient, so
the catalog answers with the set of candidate products, and every fact derived from it (dose form, route, billing code)
is a set of possible values. A rule is only sure when it holds for every candidate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from benefit_router.codes import Code

# Codes at these levels name one product; the others name a group of products.
PRODUCT_LEVELS = frozenset({"scd", "sbd", "gpck", "bpck", "ndc9", "ndc11", "product"})
LEVELS = PRODUCT_LEVELS | {"ingredient", "scdf", "hcpcs", "cpt", "cvx", "class"}


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """One product a payer distinguishes. `identities` are all codes and tags under which a rule may speak of it."""

    name: str
    identities: frozenset[Code]
    dose_form: str | None = None
    routes: frozenset[str] = frozenset()
    billing_codes: frozenset[Code] = frozenset()
    classes: frozenset[str] = frozenset()
    ingredient: Code | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """The products an order may mean. `known` is False when no code of the order is in the catalog."""

    products: tuple[Product, ...]
    known: bool

    @property
    def dose_forms(self) -> frozenset[str]:
        """Possible dose forms; empty when one candidate's form is not known."""
        forms = {product.dose_form for product in self.products}
        return frozenset() if None in forms else frozenset(form for form in forms if form)

    @property
    def routes(self) -> frozenset[str]:
        """Possible routes; empty when one candidate's routes are not known."""
        if any(not product.routes for product in self.products):
            return frozenset()
        return frozenset().union(*(product.routes for product in self.products))


@dataclass(frozen=True, slots=True)
class DrugCatalog:
    """Products indexed by every code that may mean them."""

    products: tuple[Product, ...] = ()
    by_code: dict[Code, tuple[Product, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, products: Iterable[Product]) -> DrugCatalog:
        """Index `products` by identity."""
        every = tuple(products)
        index: dict[Code, list[Product]] = {}
        for product in every:
            for code in product.identities:
                index.setdefault(code, []).append(product)
        return cls(every, {code: tuple(found) for code, found in index.items()})

    def __contains__(self, code: object) -> bool:
        return code in self.by_code

    def candidates(self, stated: Iterable[Code], route: str | None = None) -> Candidates:
        """The products that agree with every code the order states, and with its route where that narrows the choice.

        Codings of one order describe the same thing at different levels, so their product sets are intersected. Codings
        that contradict each other leave the union, which no route narrows: nothing is certain then. A code the catalog
        does not know is no evidence either way.
        """
        codes = tuple(stated)
        sets = [self.by_code[code] for code in codes if code in self.by_code]
        if not sets:
            return Candidates((Product("as ordered", frozenset(codes)),), known=False)
        agreed = [product for product in sets[0] if all(product in other for other in sets[1:])]
        if not agreed:
            agreed = list(dict.fromkeys(product for found in sets for product in found))
        elif route is not None:
            agreed = [p for p in agreed if not p.routes or route in p.routes] or agreed
        return Candidates(tuple(agreed), known=True)
