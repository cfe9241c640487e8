"""Small rulebooks, orders and calls, so that a test says only what it is about."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from app.crd.chart import Chart, Resource
from app.crd.determination import Determination
from app.crd.determine import Decided, determine
from app.crd.facts import OrderFacts, build_facts
from app.crd.gather import Kept
from app.crd.order_content import ORDER_TYPES
from app.fhir import codings
from app.fhir.ehr import Fetched, Read, Search
from app.hooks.request import HookRequest, parse_request
from app.members import Member, MemberDirectory, MemberMatch
from app.rulebook.answer import Answer
from app.rulebook.policies import Policy
from app.rulebook.rulebook import Rulebook, build

TODAY = date(2026, 6, 15)
PAYER_ID = {"system": "urn:oid:2.16.840.1.113883.6.300", "value": "00001"}
SERVER = "https://ehr.example.org/fhir"

HCPCS, CPT, RXNORM, NDC, SNOMED = codings.HCPCS, codings.CPT, codings.RXNORM, codings.NDC, codings.SNOMED
BILLING_OPTIONS = codings.BILLING_OPTIONS

_PAYER: dict[str, Any] = {
    "payer": "Test Health",
    "identifiers": [PAYER_ID],
    "lines": {"commercial": {"name": "Commercial"}, "ma": {"name": "Medicare Advantage"}},
    "plans": {
        "gold": {"name": "Gold", "line": "commercial", "pharmacy": "rx"},
        "bare": {"name": "Bare", "line": "commercial"},
        "classic": {"name": "Classic", "line": "ma", "pharmacy": "part-d"},
        "essential": {"name": "Essential", "line": "ma", "pharmacy": "elsewhere"},
    },
    "pharmacy": {
        slug: {
            "name": name,
            "phone": "1-555-010-0100",
            "epa_standard": "NCPDP SCRIPT",
            "epa_versions": ["2023011"],
            "relation": relation,
        }
        for slug, name, relation in (
            ("rx", "Test Rx", "same-plan"),
            ("part-d", "Test Part D", "same-payer"),
            ("elsewhere", "another Part D plan", "other"),
        )
    },
    "contacts": {
        "desk": {"name": "Review desk", "phone": "1-555-010-0101"},
        "page": {"name": "Review page", "url": "https://payer.example.org/review"},
        "name-only": {"name": "Medical director"},
    },
    "clocks": {
        "fast": {"standard": "72 h", "expedited": "24 h", "authority": "42 CFR 1", "status": "in-force"},
        "slow": {"standard": "7 d", "expedited": "72 h", "authority": "42 CFR 1", "status": "in-force"},
        "planned": {"standard": "24 h", "expedited": "24 h", "authority": "a proposal", "status": "proposed"},
    },
    "flags": {"esrd": "End-stage renal disease"},
    "assertions": {"valid_days": 90},
}

_ROUTES_CSV = "route,system,code\nintravenous,SNOMED,47625008\nsubcutaneous,SNOMED,34206005\noral,SNOMED,26643006\n"
_FORMS_CSV = "dose_form,routes,system,code\nvial,intravenous,SNOMED,385219001\npen,subcutaneous,SNOMED,422238001\n"
ROUTE_CODES = {"intravenous": "47625008", "subcutaneous": "34206005", "oral": "26643006"}

_ROW = {
    "title": "A row",
    "status": "approved",
    "band": "4",
    "effective_from": "2020-01-01",
    "source_url": "https://example.org/rules",
    "retrieved": "2026-01-01",
    "licence_note": "illustration",
    "author": "a.author",
    "approver": "b.approver",
}
_SCOPE: dict[str, Any] = {
    "title": "A rule",
    "source": {"url": "https://example.org/rules", "retrieved": "2026-01-01"},
    "effective": {"from": "2020-01-01"},
    "approved": {"author": "a.author", "approver": "b.approver", "on": "2026-01-02"},
}

NO_AUTH: dict[str, Any] = {"covered": "covered", "pa": "no-auth", "reason": "Meets the criteria."}
AUTH: dict[str, Any] = {
    "covered": "covered",
    "pa": "auth-needed",
    "docs": "clinical",
    "purpose": "withpa",
    "questionnaire": "form",
    "reason": "Criteria not shown.",
}
NOT_COVERED: dict[str, Any] = {"covered": "not-covered", "reason": "Excluded."}


def row(rule_id: str, **cells: str) -> dict[str, str]:
    """A routing row; what is not given is unimportant."""
    return {"rule_id": rule_id, **_ROW, **cells}


def policy(slug: str, codes: list[str] | str, *cases: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    """A policy. `cases` as in the file; a bare answer becomes the last case."""
    track = {"track": rest.pop("track")} if "track" in rest else {}
    named = [
        case if "answer" in case or "answers" in case else {"case": "otherwise", "answer": dict(case)} for case in cases
    ]
    return {"policy": slug, **_SCOPE, "applies_to": {"codes": codes, **track}, "cases": named, **rest}


def case(name: str, when: str | None, *answers: Mapping[str, Any]) -> dict[str, Any]:
    """One case with one or several answers."""
    content: dict[str, Any] = (
        {"answer": dict(answers[0])} if len(answers) == 1 else {"answers": [dict(a) for a in answers]}
    )
    return {"case": name, **({"when": when} if when else {}), **content}


def guidance(slug: str, codes: list[str] | str, card: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    """A card and when to show it."""
    track = {"track": rest.pop("track")} if "track" in rest else {}
    return {
        "guidance": slug,
        **_SCOPE,
        "applies_to": {"codes": codes, **track},
        "card": {"topic": "guideline", "indicator": "info", "summary": f"About {slug}", **card},
        **rest,
    }


INSTRUCTIONS: dict[str, Any] = {"response": "instructions", "detail": "Read this."}


def rulebook(
    *,
    rows: Sequence[Mapping[str, str]] = (),
    policies: Sequence[Mapping[str, Any]] = (),
    cards: Sequence[Mapping[str, Any]] = (),
    drugs: str = "",
    lists: Mapping[str, str] | None = None,
    billing: str = "",
) -> Rulebook:
    """A rulebook in memory. `drugs` and `billing` are CSV lines, `lists` the lines of each list."""
    form = {
        "resourceType": "Questionnaire",
        "url": "https://payer.example.org/Questionnaire/form",
        "version": "3",
        "status": "active",
    }
    files = {
        "payer.yaml": json.dumps(_PAYER),
        "benefit_routes.csv": _csv([*rows, row("unused", match_system="HCPCS", match_code="Z9999", track="medical")]),
        "crosswalks/routes.csv": _ROUTES_CSV,
        "crosswalks/dose_forms.csv": _FORMS_CSV,
        "questionnaires/form/questionnaire.json": json.dumps(form),
    }
    if drugs:
        files["crosswalks/drugs.csv"] = f"product,name,ingredient_rxnorm,rxnorm,ndc,hcpcs,dose_form\n{drugs}"
    if billing:
        files["crosswalks/billing.csv"] = f"system,code,billing_system,billing_code\n{billing}"
    files |= {f"lists/{name}.csv": f"system,code,display\n{text}" for name, text in (lists or {}).items()}
    files |= {f"policies/{each['policy']}.yaml": json.dumps(each) for each in policies}
    files |= {f"guidance/{each['guidance']}.yaml": json.dumps(each) for each in cards}
    loaded = build(files)
    assert loaded.rulebook is not None, [str(problem) for problem in loaded.errors]
    return loaded.rulebook


def _csv(rows: Iterable[Mapping[str, str]]) -> str:
    listed = list(rows)
    names = list(dict.fromkeys(name for each in listed for name in each))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return out.getvalue()


def concept(*coded: str, text: str | None = None, options: Sequence[str] = ()) -> dict[str, Any]:
    """A CodeableConcept from codes such as `HCPCS J1745`; `options` are its billing options."""
    built: dict[str, Any] = {}
    if options:
        built["extension"] = [{"url": BILLING_OPTIONS, "valueCodeableConcept": concept(each)} for each in options]
    if coded:
        built["coding"] = [coding(each) for each in coded]
    if text:
        built["text"] = text
    return built


def coding(coded: str) -> dict[str, str]:
    """A Coding; the system by its short name or in full."""
    system, _, code = coded.partition(" ")
    return {"system": codings.system_from_short_name(system) or system, "code": code}


def service(*coded: str, id: str = "s1", **members: Any) -> Resource:  # noqa: A002  # the element's name
    """A ServiceRequest."""
    return {
        "resourceType": "ServiceRequest",
        "id": id,
        "status": "draft",
        "intent": "order",
        "code": concept(*coded),
        "subject": {"reference": "Patient/p1"},
        **members,
    }


def drug(*coded: str, id: str = "m1", route: str | None = None, **members: Any) -> Resource:  # noqa: A002
    """A MedicationRequest by code; without any code it names no drug."""
    resource: Resource = {"resourceType": "MedicationRequest", "id": id, "status": "draft", "intent": "order"}
    if coded:
        resource["medicationCodeableConcept"] = concept(*coded)
    resource["subject"] = {"reference": "Patient/p1"}
    if route:
        resource["dosageInstruction"] = [{"route": {"coding": [{"system": SNOMED, "code": ROUTE_CODES[route]}]}}]
    return resource | members


def coverage(id: str = "c1", **members: Any) -> Resource:  # noqa: A002  # the element's name
    """An active Coverage of the test payer, which the reference itself identifies."""
    return {
        "resourceType": "Coverage",
        "id": id,
        "status": "active",
        "beneficiary": {"reference": "Patient/p1"},
        "payor": [{"identifier": PAYER_ID}],
        **members,
    }


def patient(**members: Any) -> Resource:
    return {"resourceType": "Patient", "id": "p1", "birthDate": "1970-01-01", "gender": "female", **members}


def bundle(*resources: Any) -> Resource:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in resources]}


def call(
    *orders: Resource,
    prefetch: Mapping[str, Any] | None = None,
    hook: str = "order-sign",
    full_urls: Mapping[str, str] | None = None,
    context: Mapping[str, Any] | None = None,
    **members: Any,
) -> HookRequest:
    """A parsed hook call on patient p1."""
    entries = []
    for order in orders:
        url = (full_urls or {}).get(order.get("id", ""))
        entries.append({"resource": order} | ({"fullUrl": url} if url else {}))
    stated: dict[str, Any] = {
        "userId": "Practitioner/u1",
        "patientId": "p1",
        "draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": entries},
        **(context or {}),
    }
    if hook == "order-select":
        stated.setdefault("selections", [f"{o['resourceType']}/{o['id']}" for o in orders])
    body = {"hook": hook, "hookInstance": "h1", "context": stated, "prefetch": prefetch or {}, **members}
    return parse_request(json.dumps(body).encode(), hook, order_types=ORDER_TYPES, max_orders=50)


MEMBER = Member("1", "roster", line="commercial", plan="gold", state="CA")


@dataclass(frozen=True)
class Members:
    """A member source that always gives the same match."""

    match: MemberMatch = field(default_factory=lambda: MemberMatch("found", MEMBER))

    def find(self, coverage: Resource, patient: Resource | None, on: date) -> MemberMatch:
        return self.match


def directory(match: MemberMatch | Member | None = None) -> MemberDirectory:
    if match is None:
        return MemberDirectory([Members()])
    return MemberDirectory([Members(match if isinstance(match, MemberMatch) else MemberMatch("found", match))])


def facts_of(
    order: Resource,
    *,
    rules: Rulebook | None = None,
    member: MemberMatch | Member | None = None,
    prefetch: Mapping[str, Any] | None = None,
    chart: Chart | None = None,
    today: date = TODAY,
    **rest: Any,
) -> OrderFacts:
    """The facts of one order on its own."""
    request = call(order, prefetch={"patient": patient()} if prefetch is None else prefetch, **rest)
    return build_facts(
        request.orders[0],
        request=request,
        chart=chart or Chart.from_request(request),
        coverage=coverage(),
        directory=directory(member),
        rulebook=rules or rulebook(),
        today=today,
    )


def decide_all(
    *orders: Resource,
    rules: Rulebook,
    member: MemberMatch | Member | None = None,
    record: Mapping[str, Kept] | None = None,
    prefetch: Mapping[str, Any] | None = None,
    hook: str = "order-sign",
    today: date = TODAY,
    **rest: Any,
) -> list[Decided]:
    """The whole pure way from a call to determinations. Kinds of record not given are empty and complete."""
    request = call(*orders, prefetch={"patient": patient()} if prefetch is None else prefetch, hook=hook, **rest)
    kept = {kind: Kept(()) for kind in ("conditions", "medications", "observations", "procedures", "allergies")} | dict(
        record or {}
    )
    return determine(
        request.orders,
        request=request,
        chart=Chart.from_request(request),
        coverage=coverage(),
        directory=directory(member),
        rulebook=rules,
        read_record=lambda needs: {need.kind: kept[need.kind] for need in needs},
        today=today,
    )


def decide_one(order: Resource, **arguments: Any) -> Determination:
    """The determination of a single order."""
    (decided,) = decide_all(order, **arguments)
    return decided.determination


def answer_to(order: Resource, **arguments: Any) -> Answer:
    """The only answer to a single order."""
    (answer,) = decide_one(order, **arguments).answers
    return answer


def shape(answer: Answer) -> dict[str, Any]:
    """What an answer asks and promises, without its words; only what is there."""
    told = {
        "covered": answer.covered,
        "pa": answer.pa_needed,
        "docs": answer.doc_needed,
        "purpose": answer.doc_purpose,
        "info": answer.info_needed,
        "questionnaire": answer.questionnaires,
        "billing": tuple(" ".join(code) for code in answer.billing_codes),
        "contact": answer.contacts,
    }
    return {name: value for name, value in told.items() if value}


def details(answer: Answer) -> dict[str, Any]:
    """Details by their code."""
    return {detail.code: detail.value for detail in answer.details}


def words(answer: Answer) -> str:
    """Every reason in one text."""
    return " ".join(reason.text for reason in answer.reasons)


@dataclass
class FakeEhr:
    """An EHR with a few resources. Reads by `Type/id`, searches by type; what it lacks is a problem in words."""

    records: Mapping[str, Any] = field(default_factory=dict)
    asked: list[list[Read | Search]] = field(default_factory=list)

    def fetch(self, wanted: Sequence[Read | Search]) -> dict[Read | Search, Fetched]:
        self.asked.append(list(wanted))
        return {item: self._one(item) for item in wanted}

    def read(self, key: str) -> Fetched:
        return self._one(Read(*key.split("/")))

    def search(self, type: str, params: Sequence[tuple[str, str]]) -> Fetched:  # noqa: A002  # the protocol's name
        return self._one(Search(type, tuple(params)))

    def _one(self, item: Read | Search) -> Fetched:
        found = self.records.get(f"{item.type}/{item.id}" if isinstance(item, Read) else item.type)
        if isinstance(found, Fetched):
            return found
        if found is None:
            return Fetched((), False, "The EHR did not answer")
        return Fetched(tuple(found) if isinstance(found, list) else (found,), True, None)


def policy_of(rules: Rulebook, slug: str) -> Policy:
    """A policy of a rulebook by name."""
    return next(each for each in rules.policies if each.scope.slug == slug)
