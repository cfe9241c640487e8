"""Everything the service sends is valid for the CRD version it speaks, as HL7's validator judges it."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.crd.coverage_information import Repetition
from app.crd.gather import RECORD_PREFETCH
from app.crd.respond import SERIALIZERS
from app.crd.scenarios import answer
from app.crd.shorthand import hook_request
from app.rulebook.rulebook import Rulebook
from app.rulebook.scenarios import Scenario
from app.settings import Settings
from tests.conformance.hl7 import CRD, Judge, profile_of
from tests.ehr_actions import Answer, EhrActions, example, with_orders
from tests.test_scenarios import ROSTER, SCENARIOS, by_id

pytest_plugins = ("tests.conformance.hl7",)

Resource = dict[str, Any]
Errors = Callable[[Resource], list[str]]
EXAMPLES = ("infusion", "mri", "self-injected")
IN_SHORTHAND = [scenario for scenario in SCENARIOS if scenario.request is None]
# What a profile asks of an order and a scenario does not care about.
BY_WHOM = {"reference": "Practitioner/requester"}
COMPLETED: dict[str, Resource] = {
    "CommunicationRequest": {
        "authoredOn": "2026-06-01",
        "requester": BY_WHOM,
        "basedOn": [{"reference": "ServiceRequest/order"}],
    },
    "DeviceRequest": {"authoredOn": "2026-06-01", "requester": BY_WHOM},
    "MedicationRequest": {"authoredOn": "2026-06-01", "requester": BY_WHOM},
    "NutritionOrder": {"dateTime": "2026-06-01", "orderer": BY_WHOM},
    "ServiceRequest": {"authoredOn": "2026-06-01", "requester": BY_WHOM},
    "VisionPrescription": {"created": "2026-06-01", "dateWritten": "2026-06-01", "prescriber": BY_WHOM},
}
MEMBERS = {"commercial": "M100006", "ma": "M100001", "medicaid": "M100011"}
MODELS = {
    "additional-orders": "additionalOrders",
    "alternate-request": "alternateRequest",
    "coverage-update": "adjustCoverage",
    "external-reference": "externalReference",
    "form-completion": "formCompletion",
    "instructions": "instructions",
    "smart-launch": "launchSMART",
}


def completed(order: Resource) -> Resource:
    return {**order, **COMPLETED[order["resourceType"]]}


@pytest.fixture(params=sorted(SERIALIZERS))
def version(request: pytest.FixtureRequest) -> str:
    """A CRD version the service speaks."""
    spoken: str = request.param
    return spoken


@pytest.fixture
def errors(version: str, request: pytest.FixtureRequest) -> Errors:
    """The errors of a resource under its profile of the version."""
    judge: Judge = request.getfixturevalue("judge" if version == "2.2" else "judge_2_0")
    return lambda resource: [
        each for each in judge.errors(resource, profile_of(resource, version)) if not published_amiss(each, resource)
    ]


def published_amiss(error: str, resource: Resource) -> bool:
    """Whether an error is one of two invariants that say something else than their words (see test_hl7_judge).

    crd-ci-q4 of 2.2 forbids `withpa` with `satisfied`, `no-auth` and not covered, yet is false for every `withpa`;
    crd-ci-q2 of 2.0 forbids pa-needed where not covered, yet is false without it. Where the words apply, both stay.
    """
    place = re.search(r"extension\[(\d+)\]: Constraint failed: (crd-ci-q[24])", error)
    if place is None:
        return False
    said = {(part["url"], part.get("valueCode")) for part in resource["extension"][int(place[1])]["extension"]}
    if place[2] == "crd-ci-q2":
        return ("covered", "not-covered") in said and not any(name == "pa-needed" for name, _ in said)
    return not said & {("pa-needed", "satisfied"), ("pa-needed", "no-auth"), ("covered", "not-covered")}


@pytest.mark.parametrize(
    ("invariant", "said", "amiss"),
    [
        ("crd-ci-q4", {"covered": "covered", "pa-needed": "auth-needed", "doc-purpose": "withpa"}, True),
        ("crd-ci-q4", {"covered": "covered", "pa-needed": "satisfied", "doc-purpose": "withpa"}, False),
        ("crd-ci-q4", {"covered": "covered", "pa-needed": "no-auth", "doc-purpose": "withpa"}, False),
        ("crd-ci-q4", {"covered": "not-covered", "doc-purpose": "withpa"}, False),
        ("crd-ci-q2", {"covered": "not-covered"}, True),
        ("crd-ci-q2", {"covered": "not-covered", "pa-needed": "no-auth"}, False),
        ("crd-ci-q2", {"covered": "covered"}, False),
        ("crd-ci-q3", {"covered": "conditional"}, False),
    ],
)
def test_only_what_is_published_amiss_is_set_aside(invariant: str, said: dict[str, str], amiss: bool) -> None:
    parts = [{"url": name, "valueCode": code} for name, code in said.items()]
    error = f"error at ServiceRequest.extension[0]: Constraint failed: {invariant}: ..."
    assert published_amiss(error, {"extension": [{"extension": parts}]}) is amiss


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EhrActions]:
    """One service for the module: a call leaves nothing behind that the next answer depends on."""
    app: Flask = create_app(Settings(sandbox=True, data_dir=tmp_path_factory.mktemp("data"), rules_interval=0))
    yield EhrActions(app.test_client())
    app.extensions["ledger"].close()


def fire(service: EhrActions, request: Resource, version: str) -> Answer:
    asked = copy.deepcopy(request)
    asked.setdefault("extension", {})["davinci-crd.requestedVersion"] = version
    answered = service.post(f"{asked['hook']}-crd", json.dumps(asked).encode())
    assert answered.status == 200, answered.json
    return answered


def selecting(request: Resource) -> Resource:
    """The same drafts, only selected so far."""
    drafts = [entry["resource"] for entry in request["context"]["draftOrders"]["entry"]]
    selected = copy.deepcopy(request)
    selected["context"]["selections"] = [f"{order['resourceType']}/{order['id']}" for order in drafts]
    return {**selected, "hook": "order-select"}


def dispatching(request: Resource) -> Resource:
    """The drafts on their way to a performer, prefetched. Still drafts: CRD 2.0.1's profiles allow nothing else."""
    orders = [entry["resource"] for entry in request["context"]["draftOrders"]["entry"]]
    found = [{"resource": order} for order in orders]
    return {
        "hook": "order-dispatch",
        "hookInstance": request["hookInstance"],
        "context": {
            "patientId": request["context"]["patientId"],
            "dispatchedOrders": [f"{order['resourceType']}/{order['id']}" for order in orders],
            "performer": "Practitioner/dr1",
        },
        "prefetch": {**request["prefetch"], "orders": {"resourceType": "Bundle", "type": "searchset", "entry": found}},
    }


def at_encounter(request: Resource, hook: str) -> Resource:
    """A hook of the encounter of the sample requests."""
    context = {name: request["context"][name] for name in ("userId", "patientId", "encounterId")}
    return {"hook": hook, "hookInstance": request["hookInstance"], "context": context, "prefetch": request["prefetch"]}


def suggested(answered: Answer) -> list[Resource]:
    """The resources that cards suggest."""
    return [
        action["resource"]
        for card in answered.json["cards"]
        for suggestion in card.get("suggestions", ())
        for action in suggestion.get("actions", ())
        if "resource" in action
    ]


def updated(answered: Answer) -> list[Resource]:
    return [action["resource"] for action in answered.json["systemActions"]]


def each_wrong(resources: list[Resource], errors: Errors) -> dict[str, list[str]]:
    judged = {f"{position} {each['resourceType']}": errors(each) for position, each in enumerate(resources)}
    return {place: found for place, found in judged.items() if found}


@pytest.mark.parametrize("name", EXAMPLES)
def test_sample_orders_are_valid_as_they_come(errors: Errors, name: str) -> None:
    drafts = [entry["resource"] for entry in example(name)["context"]["draftOrders"]["entry"]]
    assert each_wrong(drafts, errors) == {}


@pytest.mark.parametrize("moment", [copy.deepcopy, selecting, dispatching], ids=["sign", "select", "dispatch"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_sample_requests(
    service: EhrActions, errors: Errors, version: str, name: str, moment: Callable[[Resource], Resource]
) -> None:
    answered = fire(service, moment(example(name)), version)
    assert updated(answered)
    assert each_wrong(updated(answered) + suggested(answered), errors) == {}


@pytest.mark.parametrize("name", ["CRDServiceRequest", "CRDServiceRequest3", "CRDServiceRequest4"])
def test_official_requests(service: EhrActions, errors: Errors, version: str, ig: Path, name: str) -> None:
    sent: Resource = json.loads((ig / "crd-2.2" / f"{name}.json").read_text())
    sent["fhirServer"] = "http://127.0.0.1:9/fhir"  # a closed door: tests ask nobody outside
    for entry in sent["context"].get("appointments", {}).get("entry", ()):
        # The IG's own Appointment lacks the times that its profile asks for.
        entry["resource"] |= {"start": "2026-12-01T10:00:00Z", "end": "2026-12-01T10:30:00Z"}
        entry["resource"]["requestedPeriod"] = [{"start": "2026-12-01", "end": "2026-12-02"}]
    answered = fire(service, sent, version)
    assert updated(answered)
    assert each_wrong(updated(answered) + suggested(answered), errors) == {}


PAYLOAD = "http://hl7.org/fhir/5.0/StructureDefinition/extension-CommunicationRequest.payload.content[x]"
ALL_TYPES: tuple[Resource, ...] = (
    {
        "resourceType": "CommunicationRequest",
        "payload": [
            {
                "extension": [{"url": PAYLOAD, "valueCodeableConcept": {"text": "records of the last visit"}}],
                "contentString": "Records of the last visit",
            }
        ],
    },
    {"resourceType": "DeviceRequest", "intent": "original-order", "codeCodeableConcept": {"text": "walker"}},
    {"resourceType": "MedicationRequest", "intent": "original-order", "medicationCodeableConcept": {"text": "a drug"}},
    {"resourceType": "NutritionOrder", "intent": "original-order", "oralDiet": {"instruction": "soft food"}},
    {"resourceType": "ServiceRequest", "intent": "original-order", "code": {"text": "wound care"}},
    {
        "resourceType": "VisionPrescription",
        "lensSpecification": [{"product": {"text": "lens"}, "eye": "right"}],
    },
)


def all_orders() -> list[Resource]:
    """A valid order of each type CRD knows, for the patient of the sample requests."""
    whose = {"NutritionOrder": "patient", "VisionPrescription": "patient"}
    return [
        completed(
            {
                **order,
                "id": f"order-{position}",
                "status": "draft",
                whose.get(order["resourceType"], "subject"): {"reference": "Patient/p1"},
            }
        )
        for position, order in enumerate(ALL_TYPES)
    ]


def test_all_types_of_order_at_once(service: EhrActions, errors: Errors, version: str) -> None:
    answered = fire(service, with_orders(example("mri"), *all_orders()), version)
    assert [each["resourceType"] for each in updated(answered)] == [each["resourceType"] for each in ALL_TYPES]
    assert each_wrong(updated(answered), errors) == {}


@pytest.mark.parametrize("scenario", IN_SHORTHAND, ids=by_id)
def test_scenario(scenario: Scenario, sample_rulebook: Rulebook, version: str, errors: Errors) -> None:
    """What each sample rule says, on the order it says it of."""
    drafts = [each["resource"] for each in hook_request(scenario, sample_rulebook)["context"]["draftOrders"]["entry"]]
    determinations, _ = answer(scenario, sample_rulebook, ROSTER)
    on = date.fromisoformat(scenario.on)
    sent = [
        {
            **completed(draft),
            "extension": [
                SERIALIZERS[version](
                    Repetition(each, {"reference": "Coverage/c"}, f"a-{position}", on, determination.expires),
                    sample_rulebook,
                )
                for each in determination.answers
            ],
        }
        for position, (draft, determination) in enumerate(zip(drafts, determinations, strict=True))
    ]
    assert each_wrong(sent, errors) == {}


# Cards and whole answers. The logical models are CRD 2.2's; 2.0.1 has none.


def _with_cards() -> dict[str, Scenario]:
    """For each guidance of the sample rulebook a scenario that shows it."""
    found: dict[str, Scenario] = {}
    for scenario in IN_SHORTHAND:
        for expect in scenario.expect:
            for slug in expect.get("cards") or ():
                found.setdefault(slug, scenario)
    return found


WITH_CARDS = _with_cards()


def card_request(scenario: Scenario, rulebook: Rulebook) -> Resource:
    """The scenario for a member of the sample roster, with a record that is prefetched and empty."""
    assert isinstance(scenario.member, dict)
    asked = hook_request(replace(scenario, member=MEMBERS[scenario.member["line"]]), rulebook)
    for entry in asked["context"]["draftOrders"]["entry"]:
        entry["resource"] = completed(entry["resource"])
    empty = {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": []}
    asked["prefetch"].update({name: empty for name in RECORD_PREFETCH.values() if name not in asked["prefetch"]})
    return asked


def test_every_guidance_is_shown_by_a_scenario(sample_rulebook: Rulebook) -> None:
    """But for coverage updates: scenarios are about orders, and these cards are for the office (see below)."""
    about_orders = {each.scope.slug for each in sample_rulebook.guidance if each.response != "coverage-update"}
    assert set(WITH_CARDS) == about_orders


@pytest.mark.parametrize("slug", sorted(WITH_CARDS))
def test_suggested_orders(
    service: EhrActions, errors: Errors, version: str, sample_rulebook: Rulebook, slug: str
) -> None:
    answered = fire(service, card_request(WITH_CARDS[slug], sample_rulebook), version)
    assert answered.json["cards"]
    assert each_wrong(suggested(answered), errors) == {}


@pytest.mark.parametrize("slug", sorted(WITH_CARDS))
def test_a_card_is_what_crd_calls_its_type(
    service: EhrActions, hook_judge: Judge, sample_rulebook: Rulebook, slug: str
) -> None:
    guidance = next(each for each in sample_rulebook.guidance if each.scope.slug == slug)
    answered = fire(service, card_request(WITH_CARDS[slug], sample_rulebook), "2.2")
    card = next(each for each in answered.json["cards"] if each["summary"] == guidance.summary)
    model = f"{CRD}/CRDHooksResponse-{MODELS[guidance.response]}"
    assert hook_judge.errors({"cards": [card]}, model) == []


def booking(request: Resource, on_file: str) -> Resource:
    """An appointment for the draft, by a patient whose Coverage names a plan."""
    order = request["context"]["draftOrders"]["entry"][0]["resource"]
    coverage = copy.deepcopy(request["prefetch"]["coverage"])
    coverage["entry"][0]["resource"]["class"][0]["value"] = on_file
    appointment = {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "proposed",
        "basedOn": [{"reference": f"{order['resourceType']}/{order['id']}"}],
        "participant": [{"actor": {"reference": "Patient/p1"}, "status": "accepted"}],
    }
    context = {name: request["context"][name] for name in ("userId", "patientId")}
    found = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": order}]}
    return {
        "hook": "appointment-book",
        "hookInstance": request["hookInstance"],
        "context": {
            **context,
            "appointments": {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": appointment}]},
        },
        "prefetch": {**request["prefetch"], "coverage": coverage, "orders": found},
    }


@pytest.mark.parametrize(("on_file", "plans"), [("silver-hmo", ["gold-ppo"]), ("gold-ppo", [])])
def test_a_coverage_update(
    service: EhrActions, errors: Errors, version: str, hook_judge: Judge, on_file: str, plans: list[str]
) -> None:
    """The card for the office: the Coverage as it came, with the plan that the roster has."""
    answered = fire(service, booking(example("infusion"), on_file), version)
    cards = [each for each in answered.json["cards"] if each["source"]["topic"]["code"] == "insurance"]
    assert [each["class"][0]["value"] for each in suggested(answered) if each["resourceType"] == "Coverage"] == plans
    assert each_wrong(suggested(answered), errors) == {}
    for card in cards if version == "2.2" else ():
        assert hook_judge.errors({"cards": [card]}, f"{CRD}/CRDHooksResponse-adjustCoverage") == []


def test_whole_answers(service: EhrActions, hook_judge: Judge, sample_rulebook: Rulebook) -> None:
    requests = {
        **{name: example(name) for name in EXAMPLES},
        **{f"{name}, selected": selecting(example(name)) for name in EXAMPLES},
        **{f"{name}, dispatched": dispatching(example(name)) for name in EXAMPLES},
        **{slug: card_request(scenario, sample_rulebook) for slug, scenario in WITH_CARDS.items()},
    }
    wrong = {
        name: [each for each in hook_judge.errors(answered.json, f"{CRD}/CRDHooksResponse") if "crd-ci-q4" not in each]
        for name, request in requests.items()
        if (answered := fire(service, request, "2.2"))
    }
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize("hook", ["encounter-start", "encounter-discharge"])
def test_whole_answers_at_an_encounter(service: EhrActions, hook_judge: Judge, hook: str) -> None:
    answered = fire(service, at_encounter(example("mri"), hook), "2.2")
    assert hook_judge.errors(answered.json, f"{CRD}/CRDHooksResponse") == []


def test_coverage_information_actions(service: EhrActions, hook_judge: Judge) -> None:
    """An action of each kind of order against CRD's model of this response type.

    Not of CommunicationRequest: without R5's definitions the engine cannot say whether its payload fits the profile.
    """
    orders = [each for each in all_orders() if each["resourceType"] != "CommunicationRequest"]
    answered = fire(service, selecting(with_orders(example("mri"), *orders)), "2.2")
    model = f"{CRD}/CRDHooksResponse-coverageInformation"
    assert len(answered.json["systemActions"]) == len(orders)
    for action in answered.json["systemActions"]:
        assert hook_judge.errors({"cards": [], "systemActions": [action]}, model) == []
