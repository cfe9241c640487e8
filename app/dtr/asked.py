"""Which forms a call of $questionnaire-package is about: by canonical, by what CRD answered, by the orders themselves.

Source: davinci-dtr 2.2, OperationDefinition questionnaire-package (oper-7, oper-8, oper-9), spec-108, spec-128 to 130,
prof-1; SPEC "Data Expectations".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import msgspec

from app.crd.chart import Chart
from app.crd.determine import Decided, determine
from app.crd.gather import gather_record
from app.crd.same_order import asks_the_same, codes_answered, codes_asked, is_named
from app.dtr.package_request import PackageRequest
from app.dtr.promised import Promised
from app.errors import UnprocessableRequest
from app.fhir import outcomes, references
from app.fhir.json import encode
from app.hooks.request import DraftOrder, HookRequest
from app.members import MemberMatch
from app.members.directory import MemberDirectory
from app.rulebook.answer import Answer
from app.rulebook.rulebook import Rulebook

Resource = dict[str, Any]

_NOT_UNDERSTOOD = frozenset({"ImmunizationRecommendation", "SupplyRequest"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """One form to give: its folder, the rulebook it is of, the orders it is about, and what it is for."""

    form: str
    rulebook: Rulebook
    orders: tuple[Resource, ...] = ()
    purposes: tuple[str, ...] = ()
    promised: Promised | None = None

    @property
    def questionnaire(self) -> Resource:
        """The Questionnaire on file."""
        return dict(self.rulebook.forms[self.form])

    @property
    def canonical(self) -> str:
        """`url|version`."""
        return self.rulebook.questionnaires[self.form]


@dataclass(slots=True)
class Asked:
    """What a call comes to. `patient` is `Patient/id`, `person` that Patient where the call brought it.

    `issues` go into the outcome beside the packages.
    """

    match: MemberMatch | None
    coverage: Resource | None
    patient: str | None
    person: Resource | None = None
    referenced: tuple[Resource, ...] = ()
    wanted: list[Wanted] = field(default_factory=list)
    issues: list[Resource] = field(default_factory=list)


def find_asked(
    request: PackageRequest,
    promised: Promised | None,
    *,
    rulebook: Rulebook,
    directory: MemberDirectory,
    today: date,
) -> Asked:
    """The forms of a call. UnprocessableRequest where member, order and context do not go together (spec-130)."""
    asked = _whose(request, promised, directory, today)
    by_canonical = list(_by_canonical(request, promised, rulebook, asked))
    by_order = [] if _is_restricted(request) else list(_by_order(request, promised, rulebook, directory, today, asked))
    asked.wanted = _joined([*by_canonical, *by_order])
    return asked


def _is_restricted(request: PackageRequest) -> bool:
    """Without a context, canonicals say which forms alone are wanted; orders then only say what they are about."""
    return request.context is None and bool(request.questionnaires)


def _whose(request: PackageRequest, promised: Promised | None, directory: MemberDirectory, today: date) -> Asked:
    """The member, one and the same by coverage, orders and context."""
    patient = promised.patient if promised is not None else None
    for resource in (*request.coverages, *request.orders):
        of = references.patient_of(resource)
        if of is None or of.kind not in ("relative", "absolute") or of.id is None:
            continue
        if patient is not None and patient != f"Patient/{of.id}":
            raise UnprocessableRequest("Coverage, orders and context are not all of one patient.", code="business-rule")
        patient = f"Patient/{of.id}"
    person = next((each for each in request.referenced if references.resource_key(each) == patient), None)
    refusal = "The coverage is of no member of this plan."
    for coverage in request.coverages:
        match = directory.find(coverage, person, today)
        if match.outcome != "found" or match.member is None:
            refusal = match.words or refusal
            continue
        if promised is not None and promised.assertion.member_id not in (None, match.member.member_id):
            raise UnprocessableRequest("The context is an answer for another member.", code="business-rule")
        asked = Asked(match, coverage, patient, person, request.referenced)
        if len(request.coverages) > 1:
            words = "Of several coverages only the first that is of a member is looked at."
            asked.issues.append(outcomes.issue("warning", "incomplete", words))
        return asked
    if request.coverages:
        raise UnprocessableRequest(refusal, element="Parameters.parameter", code="not-found")
    return Asked(None, None, patient, person, request.referenced)


def _by_canonical(
    request: PackageRequest, promised: Promised | None, rulebook: Rulebook, asked: Asked
) -> Iterable[Wanted]:
    """The forms named; a version that is not live any more is still there where the context was answered by it."""
    told = promised.every if promised is not None else ()
    for canonical in request.questionnaires:
        for source in dict.fromkeys((rulebook, *(each.rulebook for each in told))):
            form = form_of(canonical, source)
            if form is not None:
                # One that has changed the answer may be done again, though it is not asked for any more (spec-45).
                asking = next((each for each in told if form in each.forms), None)
                purposes = asking.purposes if asking is not None else ()
                yield Wanted(form, source, request.orders, purposes, promised if asking is not None else None)
                break
        else:
            words = f"There is no form {canonical[:300]}."
            asked.issues.append(outcomes.issue("warning", "not-found", words))


def form_of(canonical: str, rulebook: Rulebook) -> str | None:
    """The folder of the form of this canonical, with or without a version."""
    for form, versioned in rulebook.questionnaires.items():
        if canonical in (versioned, versioned.rpartition("|")[0]):
            return form
    return None


def _by_order(
    request: PackageRequest,
    promised: Promised | None,
    rulebook: Rulebook,
    directory: MemberDirectory,
    today: date,
    asked: Asked,
) -> Iterable[Wanted]:
    """The forms that CRD's answer asked for, and those that orders ask for which CRD did not answer so."""
    decided = _decided(request, rulebook, directory, today, asked)
    if promised is None:
        for one in decided:
            yield from _of_determination(one.determination.answers, one, rulebook)
        if decided and not any(each.determination.answers[0].questionnaires for each in decided):
            asked.issues += [_no_form(one.determination.answers, one.determination.route) for one in decided]
        return
    expires = promised.assertion.expires_on
    if expires is not None and expires < today:
        words = f"The answer that is the context lapsed after {expires}: sign the order again for one that holds."
        asked.issues.append(outcomes.issue("warning", "expired", words))
    related = [one for one in decided if _is_same_order(one, promised)]
    if decided and not related:
        raise UnprocessableRequest(
            "None of the orders is the one that the context was answered for.",
            element="Parameters.parameter",
            code="business-rule",
        )
    changed = [one for one in related if _asks_for_something_else(one, promised)]
    if related and len(changed) == len(related):
        words = "The order asks for something else than when it was answered; the forms are those for what it says now."
        asked.issues.append(outcomes.issue("information", "informational", words))
    else:
        orders = tuple(one.order.resource for one in related if one not in changed)
        for form in promised.forms:
            yield Wanted(form, promised.rulebook, orders, promised.purposes, promised)
        if not promised.forms:
            asked.issues.append(_no_form(promised.answers, promised.determination.route))
    for one in decided:
        if one in changed or one not in related:
            yield from _of_determination(one.determination.answers, one, rulebook)


def _decided(
    request: PackageRequest, rulebook: Rulebook, directory: MemberDirectory, today: date, asked: Asked
) -> list[Decided]:
    """Each order, decided on what the call brings: conditions on the record are unknown, so every form may be asked."""
    if not request.orders or asked.coverage is None:
        return []
    patient_id = (asked.patient or "Patient/unknown").partition("/")[2]
    chart = Chart(patient_id)
    orders = []
    for position, resource in enumerate(request.orders):
        key = references.resource_key(resource)
        assert key is not None  # checked when the call was parsed
        if resource["resourceType"] in _NOT_UNDERSTOOD:
            words = f"Forms cannot be found by a {resource['resourceType']}."
            asked.issues.append(outcomes.issue("warning", "not-supported", words))
            continue
        chart.add(resource, "context")
        raw = msgspec.Raw(encode(resource))
        orders.append(DraftOrder(key, resource, raw, None, f"Parameters.parameter[{position}].resource"))
    for resource in (asked.coverage, *request.referenced):
        chart.add(resource, "prefetch")
    hook = HookRequest(
        hook="order-sign",
        hook_instance="",
        context={"patientId": patient_id},
        prefetch={},
        orders=tuple(orders),
        selections=None,
        dispatched=(),
        performer=None,
        fhir_server=None,
        access_token=None,
        requested_version=None,
        configuration={},
    )
    return determine(
        orders,
        request=hook,
        chart=chart,
        coverage=asked.coverage,
        directory=directory,
        rulebook=rulebook,
        read_record=lambda needs: gather_record(chart, needs, rulebook.lists, None, {}),
        today=today,
    )


def _of_determination(answers: Sequence[Answer], one: Decided, rulebook: Rulebook) -> Iterable[Wanted]:
    purposes = tuple(dict.fromkeys(code for answer in answers for code in answer.doc_purpose))
    for form in dict.fromkeys(form for answer in answers for form in answer.questionnaires):
        yield Wanted(form, rulebook, (one.order.resource,), purposes)


def _is_same_order(one: Decided, promised: Promised) -> bool:
    """By its id, by the answer it bears, or by asking for the same (spec-128)."""
    if one.play is None:
        return one.order.key == promised.assertion.order_ref
    return is_named(one.play.facts, promised.assertion) or asks_the_same(one.play.facts, promised.assertion)


def _asks_for_something_else(one: Decided, promised: Promised) -> bool:
    now = codes_asked(one.play.facts) if one.play is not None else frozenset()
    return bool(now) and now != codes_answered(promised.assertion)


def _no_form(answers: Sequence[Answer], route: Any) -> Resource:
    """Why there is no form, and what to do instead (oper-8)."""
    reasons = " ".join(dict.fromkeys(reason.text for answer in answers for reason in answer.reasons if reason.text))
    if route is not None and route.track == "pharmacy":
        words = (
            "The drug is paid under the pharmacy benefit: its authorization is asked for by NCPDP SCRIPT ePA, not here."
        )
        return outcomes.issue("information", "not-supported", f"{words} {reasons}".strip())
    if any(answer.doc_needed for answer in answers):
        words = "Documents are needed, and no form is on file for them: send what the coverage information asks for."
        return outcomes.issue("warning", "not-found", f"{words} {reasons}".strip())
    words = "No documents are asked for."
    return outcomes.issue("information", "informational", f"{words} {reasons}".strip())


def _joined(wanted: Iterable[Wanted]) -> list[Wanted]:
    """Each form once with all its orders; two versions of one only for different orders (oper-7)."""
    found: dict[tuple[str, frozenset[str | None]], Wanted] = {}
    for each in wanted:
        url = each.canonical.rpartition("|")[0]
        same = next((key for key, known in found.items() if key[0] == url and _may_join(known, each)), None)
        if same is None:
            found[url, _keys(each.orders)] = each
            continue
        known = found[same]
        orders = {references.resource_key(order): order for order in (*known.orders, *each.orders)}
        found[same] = replace(
            known,
            orders=tuple(orders.values()),
            purposes=tuple(dict.fromkeys((*known.purposes, *each.purposes))),
            promised=known.promised or (each.promised if known.canonical == each.canonical else None),
        )
    return list(found.values())


def _may_join(known: Wanted, other: Wanted) -> bool:
    return (
        known.canonical == other.canonical
        or not (known.orders and other.orders)
        or bool(_keys(known.orders) & _keys(other.orders))
    )


def _keys(orders: Iterable[Resource]) -> frozenset[str | None]:
    return frozenset(references.resource_key(order) for order in orders)
