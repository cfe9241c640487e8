"""Requirements on coverage information that no test elsewhere shows."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.conformance.requirements import requirement
from tests.conformance.test_requirements_protocol import NAMES, of_each_hook, selected
from tests.ehr_actions import COVERAGE_INFORMATION, EhrActions, example, order_of, with_orders
from tests.web.test_other_hooks import dispatch, encounter, fire

Resource = dict[str, Any]
PRIMARY = ("order-sign", "order-dispatch", "appointment-book")
BILLING_OPTIONS = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-billing-options"
CPT = "http://www.ama-assn.org/go/cpt"


def coverage_of(request: Resource) -> Resource:
    found: Resource = request["prefetch"]["coverage"]["entry"][0]["resource"]
    return found


@requirement("billopt-2")
@pytest.mark.parametrize("name", NAMES)
def test_no_billing_options_are_needed(ehr: EhrActions, name: str) -> None:
    request = example(name)
    order = order_of(request)
    order["extension"] = [each for each in order.get("extension", ()) if each["url"] != BILLING_OPTIONS]
    answered = ehr.sign(request)
    assert answered.parts()["covered"] == ["covered"]
    assert answered.parts()["pa-needed"] == ["auth-needed"]


@requirement("hook-16", "hook-26", "hook-33", "resp-26", "resp-28")
@pytest.mark.parametrize("hook", PRIMARY)
@pytest.mark.parametrize("what", ["an order the rules know", "an order no rule knows"])
def test_primary_hooks_always_say_something_of_coverage(ehr: EhrActions, hook: str, what: str) -> None:
    request = of_each_hook()[hook]
    if what == "an order no rule knows":
        for order in (
            *(entry["resource"] for entry in request["context"].get("draftOrders", {}).get("entry", ())),
            *(entry["resource"] for entry in request["prefetch"].get("serviceRequests", {}).get("entry", ())),
        ):
            order["code"] = {"text": "something new"}
    answered = fire(ehr, request)
    assert answered.status == 200
    assert len(answered.json["systemActions"]) == 1
    assert [bool(each) for each in answered.repetitions] == [True]
    assert answered.parts()["covered"] == (["covered"] if what == "an order the rules know" else ["conditional"])


@requirement("hook-39", "resp-28", "resp-29")
def test_selected_orders_are_answered_and_the_switch_is_obeyed(ehr: EhrActions) -> None:
    request = selected(example("mri"))
    assert fire(ehr, request).parts()["covered"] == ["covered"]
    request["extension"]["davinci-crd.configuration"] = {"coverage-info": False}
    assert not fire(ehr, request).json.get("systemActions")


@requirement("hook-19")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hook", ["order-select", "encounter-start", "encounter-discharge"])
def test_secondary_hooks_ask_for_no_documents(ehr: EhrActions, hook: str, name: str) -> None:
    request = example(name)
    if hook == "order-select":
        answered = fire(ehr, selected(request))
    else:
        at_encounter = encounter(hook)
        coverage_of(at_encounter)["subscriberId"] = coverage_of(at_encounter)["identifier"][0]["value"] = "M100013"
        del at_encounter["prefetch"]["patient"]["birthDate"]
        answered = fire(ehr, at_encounter)
    assert answered.repetitions
    for repetitions in answered.repetitions:
        for repetition in repetitions:
            said = {part.get("valueCode") for part in repetition["extension"] if part["url"] == "doc-needed"}
            assert not said & {"clinical", "admin"}


@requirement("resp-37")
@pytest.mark.parametrize("hook", PRIMARY)
def test_nothing_but_coverage_information_changes(ehr: EhrActions, hook: str) -> None:
    request = of_each_hook()[hook]
    (action,) = fire(ehr, request).json["systemActions"]
    returned = action["resource"]
    assert action["type"] == "update"
    assert {k: v for k, v in returned.items() if k != "extension"} == order_of(example("mri"))
    assert {each["url"] for each in returned["extension"]} == {COVERAGE_INFORMATION}


@requirement("resp-30")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hook", ["order-sign", "order-select", "order-dispatch"])
def test_every_answer_says_until_when_it_holds(ehr: EhrActions, hook: str, name: str) -> None:
    made = {
        "order-sign": example(name),
        "order-select": selected(example(name)),
        "order-dispatch": dispatch(example(name), "PractitionerRole/dr1"),
    }
    request = made[hook]
    if hook == "order-dispatch":
        request["prefetch"]["orders"] = request["prefetch"].pop("serviceRequests")
    parts = fire(ehr, request).parts()
    assert parts["date"][0] < parts["expiry-date"][0]


@requirement("resp-32")
def test_another_coverages_answer_keeps_its_own_assertion(ehr: EhrActions) -> None:
    """The order already carries what another payer said."""
    request = example("mri")
    theirs = {
        "url": COVERAGE_INFORMATION,
        "extension": [
            {"url": "coverage", "valueReference": {"reference": "Coverage/other"}},
            {"url": "covered", "valueCode": "covered"},
            {"url": "pa-needed", "valueCode": "satisfied"},
            {"url": "date", "valueDate": "2026-11-01"},
            {"url": "coverage-assertion-id", "valueString": "theirs"},
            {"url": "satisfied-pa-id", "valueString": "their authorization"},
        ],
    }
    order_of(request)["extension"] = [theirs]
    (repetitions,) = ehr.sign(request).repetitions
    assert theirs in repetitions
    assert len(repetitions) == 2
    for part in ("coverage-assertion-id", "satisfied-pa-id"):
        ids = [each["valueString"] for whole in repetitions for each in whole["extension"] if each["url"] == part]
        assert len(set(ids)) == len(ids)


@requirement("resp-44", "resp-45")
@pytest.mark.parametrize(
    ("member", "born", "reason"),
    [
        ("M100013", "1983-06-06", "no-active-coverage"),
        ("M100006", "1999-09-09", "no-member-found"),
    ],
    ids=["coverage ended", "another person's number"],
)
def test_who_has_no_coverage_is_told_so(ehr: EhrActions, member: str, born: str, reason: str) -> None:
    request = example("mri")
    coverage_of(request)["subscriberId"] = coverage_of(request)["identifier"][0]["value"] = member
    request["prefetch"]["patient"]["birthDate"] = born
    answered = ehr.sign(request)
    assert answered.status == 200
    assert answered.parts()["covered"] == ["not-covered"]
    assert [coding["code"] for each in answered.parts()["reason"] for coding in each.get("coding", ())] == [reason]


@requirement("conf-13")
@pytest.mark.parametrize("name", NAMES)
def test_no_extension_but_crds_is_written(ehr: EhrActions, name: str) -> None:
    """What there is to say goes into the parts of coverage-information, each by its own name."""
    parts = {
        "coverage", "covered", "pa-needed", "doc-needed", "doc-purpose", "info-needed", "billingCode", "reason",
        "detail", "dependency", "questionnaire", "date", "coverage-assertion-id", "satisfied-pa-id", "contact",
        "expiry-date",
    }  # fmt: skip
    before = copy.deepcopy(order_of(example(name))).get("extension", [])
    (action,) = ehr.sign(example(name)).json["systemActions"]
    written = [each for each in action["resource"]["extension"] if each not in before]
    assert {each["url"] for each in written} == {COVERAGE_INFORMATION}
    assert {part["url"] for each in written for part in each["extension"]} <= parts


@requirement("hook-30")
def test_only_dispatched_orders_are_answered(ehr: EhrActions) -> None:
    request = dispatch(example("mri"), "PractitionerRole/dr1")
    other = {**order_of(example("mri")), "id": "sr2"}
    request["prefetch"]["serviceRequests"]["entry"].append({"resource": other})
    assert [action["resource"]["id"] for action in fire(ehr, request).json["systemActions"]] == ["sr1"]


@requirement("resp-35")
@pytest.mark.parametrize("name", NAMES)
def test_an_order_that_says_it_all_is_not_updated(ehr: EhrActions, name: str) -> None:
    (action,) = ehr.sign(example(name)).json["systemActions"]
    assert "systemActions" not in ehr.sign(with_orders(example(name), action["resource"])).json
