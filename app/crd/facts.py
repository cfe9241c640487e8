"""What a rule may look at for one order: every fact known, derived or missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from app import fhirpath
from app.crd import circumstances as at
from app.crd.chart import Chart, Resource
from app.crd.order_content import OrderContent, listed, orderer, read_content
from app.fhir import codings, dates, references
from app.hooks.request import DraftOrder, HookRequest
from app.members import MemberMatch
from app.members.directory import MemberDirectory
from app.rulebook.codes import as_code, with_ndc_product
from app.rulebook.rulebook import Rulebook
from benefit_router import MISSING, Code, DrugCatalog, OrderSignals, Signal
from benefit_router.columns import BY_NAME

# How a missing fact is named to the person who could supply it.
_WORDS = {
    "route": "the order does not say by which route it is given",
    "dose_form": "the dose form is not known",
    "site": "the order does not say where it will be given",
    "encounter_class": "the encounter could not be read",
    "supply_channel": "the order does not say who supplies the drug",
    "performer_type": "the order names no performer",
    "network": "it is not known whether the performer is in network",
    "age": "the patient's birth date is not known",
    "sex": "the patient's sex is not known",
    "line": "the member's line of business is not known",
    "plan": "the member's plan is not known",
    "group": "the member's group is not known",
    "state": "the member's state is not known",
    "phase": "the phase of the therapy is not known",
    "diagnoses": "no diagnosis is on the order",
    "requester_npi": "the requester's NPI is not known",
    "quantity": "the order gives no quantity",
    "days_supply": "the order gives no days' supply",
}


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """One order as rules see it. `codes` are what it states, `options` what it may be billed as; `view` is `%facts`.

    `products` are the codes of each product it asks for, or may mean where they are a drug's or billed differently.
    `trouble` says why the drug or device itself could not be read, when the EHR failed to give it. `authorization` is
    the number of one on file that covers whatever the order means; `gold_card`: its orderer needs none. `beside` are
    the keys of the other orders of the call.
    """

    order: DraftOrder
    content: OrderContent
    coverage: Resource
    match: MemberMatch
    patient: Resource | None
    encounter: Resource | None
    codes: frozenset[Code]
    products: tuple[frozenset[Code], ...]
    options: frozenset[Code]
    signals: OrderSignals
    is_drug: bool
    on: date
    view: Mapping[str, Any]
    trouble: str | None
    authorization: str | None = None
    gold_card: bool = False
    beside: frozenset[str] = frozenset()

    @property
    def line(self) -> str | None:
        """The member's line of business."""
        return self.match.member.line if self.match.member else None

    @property
    def plan(self) -> str | None:
        """The member's plan."""
        return self.match.member.plan if self.match.member else None


def build_facts(
    order: DraftOrder,
    *,
    request: HookRequest,
    chart: Chart,
    coverage: Resource,
    directory: MemberDirectory,
    rulebook: Rulebook,
    today: date,
) -> OrderFacts:
    """The facts of one order. InvalidRequest when the order breaks core FHIR."""
    resource = order.resource
    content = read_content(resource, chart, order.element)
    on = content.day_of_service(today)
    patient = chart.patient
    match = directory.find(coverage, patient, on)
    catalog = rulebook.table.catalog
    stated = with_ndc_product(_codes(content.stated, catalog))
    options = with_ndc_product(_codes(content.billing_options, catalog))
    billed = frozenset(code for one in stated for code in rulebook.crosswalks.billing.get(one, ()))
    encounter, encounter_class = at.encounter_of(resource, request, chart)
    site = at.site_of(resource, chart)
    member_id, plan = (match.member.member_id, match.member.plan) if match.member else ("", None)
    performers = [at.npi_of(performer, resource, chart) for performer in listed(resource.get("performer"))]
    requester = at.npi_of(orderer(resource), resource, chart)
    grants = directory.grants_about(member_id, {npi for npi in (requester, *performers) if npi is not None})
    reasons = at.reasons_of(resource, chart)
    route, dose_form = at.agreeing(
        at.route_of(resource, rulebook.crosswalks),
        at.dose_form_of(content.medication, rulebook.crosswalks),
        rulebook.crosswalks,
    )
    signals = OrderSignals(
        codes=stated | _drug_options(options),
        on=on,
        single={
            "route": route,
            "dose_form": dose_form,
            "site_pos": site,
            "enc_class": encounter_class,
            "supply_channel": at.supply_channel_of(resource, site, chart),
            "performer_type": at.performer_type_of(resource, chart),
            "network": _network([grants.in_network(npi, plan, on) for npi in performers]),
            "sex": _sex(patient),
            "phase": at.phase_of(resource),
            **_member_signals(match, rulebook),
        },
        diagnoses=frozenset().union(*reasons) or None,
        reasons=frozenset(frozenset(system for system, _ in codes) for codes in reasons),
        flags=match.member.flags if match.member else {},
        age=_age(match, patient, on),
    )
    is_drug = resource["resourceType"] == "MedicationRequest" or rulebook.table.routes(signals.codes)
    each = (stated,) if len(content.products) == 1 else _each(content.products, catalog)
    products = tuple(billed for codes in each for billed in _billed_apart(codes))
    if is_drug:
        products = _meanings(signals, rulebook)
    authorizations = {grants.authorization(member_id, codes, on) for codes in products}
    return OrderFacts(
        order=order,
        content=content,
        coverage=coverage,
        match=match,
        patient=patient,
        encounter=encounter,
        codes=stated,
        products=products,
        options=options | billed,
        signals=signals,
        is_drug=is_drug,
        on=on,
        view={**_view(signals, resource, chart), "codes": _codes_view(signals, products if is_drug else ())},
        trouble=_trouble(resource, content, chart),
        authorization=authorizations.pop() if len(authorizations) == 1 else None,
        gold_card=all(grants.gold_carded(requester, codes, on) for codes in products),
        beside=frozenset(each.key for each in request.orders) - {order.key},
    )


def with_signals(facts: OrderFacts, signals: OrderSignals, rulebook: Rulebook) -> OrderFacts:
    """The facts of the same order if its signals were others; what rests on them follows."""
    products = _meanings(signals, rulebook) if facts.is_drug else facts.products
    codes = _codes_view(signals, products if facts.is_drug else ())
    return replace(
        facts,
        signals=signals,
        products=products,
        on=signals.on,
        view={**facts.view, **_signal_view(signals), "codes": codes},
    )


def _network(verdicts: list[bool | None]) -> Signal:
    """In network only when every performer is; unknown when nobody can say of one of them."""
    if not verdicts or None in verdicts:
        return MISSING
    return Signal.known("in" if all(verdicts) else "out")


def _meanings(signals: OrderSignals, rulebook: Rulebook) -> tuple[frozenset[Code], ...]:
    """All codes of each product a drug order may mean, by its codes and its route."""
    stated = signals.signal("route")
    route = next(iter(stated.values)) if stated.status == "known" else None
    catalog = rulebook.table.catalog
    uncatalogued = frozenset(code for code in signals.codes if code not in catalog)
    return tuple(product.identities | uncatalogued for product in catalog.candidates(signals.codes, route).products)


def _codes_view(signals: OrderSignals, products: tuple[frozenset[Code], ...]) -> Any:
    """`%facts.codes`: what the order states, and what follows whichever product it means.

    Where the products differ the list is incomplete, so that a condition on a code not in it is unknown.
    """
    shared = frozenset.intersection(*products) if products else frozenset()
    possible = frozenset().union(*products)
    sure = _coding_dicts(frozenset(code for code in signals.codes | shared if code[0] != "class"))
    open_ones = any(code[0] != "class" for code in possible - shared - signals.codes)
    return fhirpath.Incomplete(sure, "the order does not say which exact product it means") if open_ones else sure


def _trouble(resource: Resource, content: OrderContent, chart: Chart) -> str | None:
    if content.unresolved is None:
        return None
    for name in ("medicationReference", "codeReference"):
        key = references.local_key(resource.get(name))
        if key is not None and key in chart.trouble:
            return f"What is ordered could not be read: {chart.trouble[key]}"
    return None


def _codes(found: tuple[codings.Coding, ...], catalog: DrugCatalog) -> set[Code]:
    """Rule-file codes of codings.

    Ten digits of an NDC without dashes may be any of three packages: they count when the payer's catalog knows exactly
    one of them, and otherwise name no product.
    """
    codes: set[Code] = set()
    for coding in found:
        if coding.system == codings.NDC:
            forms = [("NDC", form) for form in codings.normalise_ndc(coding.code)]
            known = [form for form in forms if form in catalog]
            if len(forms) == 1 or len(known) == 1:
                codes.add(forms[0] if len(forms) == 1 else known[0])
        elif coding.system:
            codes.add(as_code(coding))
    return codes


def _each(products: tuple[tuple[codings.Coding, ...], ...], catalog: DrugCatalog) -> tuple[frozenset[Code], ...]:
    return tuple(with_ndc_product(_codes(product, catalog)) for product in products)


def _billed_apart(codes: frozenset[Code]) -> tuple[frozenset[Code], ...]:
    """What codes of one thing may mean: a claim carries one billing code, so several are as many possibilities."""
    billed = sorted(code for code in codes if code[0] in ("HCPCS", "CPT"))
    return tuple(codes - set(billed) | {code} for code in billed) if len(billed) > 1 else (codes,)


def _drug_options(options: frozenset[Code]) -> frozenset[Code]:
    """One billing option is as good as a statement of the code; several are only possibilities."""
    return options if len({code for code in options if code[0] in ("HCPCS", "CPT")}) == 1 else frozenset()


def _member_signals(match: MemberMatch, rulebook: Rulebook) -> dict[str, Signal]:
    member = match.member
    if member is None:
        return {}
    plan = rulebook.payer.plans.get(member.plan or "")
    # A plan that only a Coverage names may be one of the payer's in another spelling.
    known_plan = member.plan and (plan is not None or member.source == "roster")
    pharmacy = rulebook.payer.pharmacy.get(member.pharmacy or (plan.pharmacy if plan else None) or "")
    # The roster is complete: what it leaves blank the member does not have. A Coverage only leaves it unsaid.
    unsaid = Signal.known("-") if member.source == "roster" else MISSING
    return {
        "lob": _known(member.line),
        "plan_id": _known(member.plan) if known_plan else MISSING if member.plan else unsaid,
        "group_id": _known(member.group) if member.group else unsaid,
        "state": _known(member.state),
        "bin": _known(member.bin or (pharmacy.bin if pharmacy else None)),
        "pcn": _known(member.pcn or (pharmacy.pcn if pharmacy else None)),
    }


def _sex(patient: Resource | None) -> Signal:
    """Administrative gender, unless it is one that says nothing (`unknown`)."""
    gender = (patient or {}).get("gender")
    return Signal.known(gender) if gender in BY_NAME["sex"].words else MISSING


def _known(value: Any) -> Signal:
    return Signal.known(value) if isinstance(value, str) and value else MISSING


def _age(match: MemberMatch, patient: Resource | None, on: date) -> int | None:
    """Whole years on the day of service, by the patient's record or else the payer's own."""
    age = dates.age_on((patient or {}).get("birthDate"), on)
    if age is None and match.member is not None:
        age = dates.age_on(match.member.birth_date, on)
    return age


# `%facts` that are single-valued signals of the router, and the signal's name there.
SIGNALS = {
    "route": "route",
    "dose_form": "dose_form",
    "site": "site_pos",
    "encounter_class": "enc_class",
    "supply_channel": "supply_channel",
    "performer_type": "performer_type",
    "network": "network",
    "sex": "sex",
    "line": "lob",
    "plan": "plan_id",
    "group": "group_id",
    "state": "state",
    "phase": "phase",
}
_MISSING = {name: fhirpath.Unobtainable(words) for name, words in _WORDS.items()}


def _view(signals: OrderSignals, resource: Resource, chart: Chart) -> dict[str, Any]:
    """`%facts` for FHIRPath. A missing fact is unobtainable, so a condition on it is unknown, not false."""
    dispense = resource.get("dispenseRequest")
    dispense = dispense if isinstance(dispense, dict) else {}
    return _signal_view(signals) | _present(
        requester_npi=at.npi_of(orderer(resource), resource, chart),
        quantity=_number(dispense.get("quantity")),
        days_supply=_number(dispense.get("expectedSupplyDuration")),
    )


def _signal_view(signals: OrderSignals) -> dict[str, Any]:
    """The part of `%facts` that the router looks at too."""
    values: dict[str, Any] = {}
    for name, signal in SIGNALS.items():
        found = signals.single.get(signal, MISSING).values
        values[name] = next(iter(found)) if len(found) == 1 else _MISSING[name]
    values |= _present(age=signals.age, diagnoses=_diagnoses(signals))
    values["flags"] = dict(signals.flags)
    values["service_date"] = signals.on.isoformat()
    return values


def _diagnoses(signals: OrderSignals) -> Any:
    """The codes of the order's reasons; incomplete when one of them has none of ICD-10-CM, in which lists are kept."""
    if signals.diagnoses is None:
        return None
    stated = _coding_dicts(signals.diagnoses)
    if all("ICD-10-CM" in systems for systems in signals.reasons):
        return stated
    return fhirpath.Incomplete(stated, "the order gives a reason without its ICD-10-CM code")


def _present(**values: Any) -> dict[str, Any]:
    return {name: _MISSING[name] if value is None else value for name, value in values.items()}


def _coding_dicts(codes: frozenset[Code]) -> list[dict[str, str]]:
    return [
        {"system": codings.system_from_short_name(system) or system, "code": code} for system, code in sorted(codes)
    ]


def _number(quantity: Any) -> Any:
    return quantity.get("value") if isinstance(quantity, dict) else None
