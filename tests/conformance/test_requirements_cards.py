"""Requirements on cards that no test elsewhere shows, on a card of every sample guidance."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from app import create_app
from app.crd.gather import RECORD_PREFETCH
from app.crd.shorthand import hook_request
from app.rulebook.rulebook import Rulebook, build
from app.rulebook.schema import schema
from app.settings import Settings
from tests.conformance.hl7 import CRD, Judge, profile_of
from tests.conformance.requirements import requirement
from tests.ehr_actions import COVERAGE_INFORMATION, EhrActions, example, order_of, with_orders
from tests.fhir import ehr_server
from tests.fhir.ehr_server import EhrServer
from tests.test_scenarios import SCENARIOS
from tests.web.test_ehr_reads import fhir  # noqa: F401  # a fixture
from tests.web.test_order_sign import HCPCS, coded, order
from tests.web.test_other_hooks import appointment, booking, bundle, fire

pytest_plugins = ("tests.conformance.hl7",)

Resource = dict[str, Any]
MEMBERS = {"commercial": "M100006", "ma": "M100001", "medicaid": "M100011"}


def glucose_monitor() -> Resource:
    """An order beside which a form and an app are offered."""
    return with_orders(example("mri"), order("DeviceRequest", "d1", codeCodeableConcept=coded(HCPCS, "E2103")))


def booked_with_another_plan() -> Resource:
    """An infusion that is booked while the EHR has another plan on file than the payer."""
    request = booking(appointment(basedOn=[{"reference": "MedicationRequest/mr1"}]))
    request["prefetch"]["medicationRequests"] = bundle(order_of(example("infusion")))
    coverage = request["prefetch"]["coverage"]["entry"][0]["resource"]
    for each in coverage["class"]:
        if each["type"]["coding"][0]["code"] == "plan":
            each["value"] = "silver-hmo"
    return request


REQUESTS = {
    "diabetes-program": glucose_monitor,
    "glucose-monitor-suppliers": glucose_monitor,
    "plan-on-file": booked_with_another_plan,
}


@pytest.fixture(scope="module")
def sent(sample_rulebook: Rulebook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Resource]]:
    """A card for each guidance of the sample rulebook, by its slug, from an answer over HTTP."""
    app = create_app(Settings(sandbox=True, data_dir=tmp_path_factory.mktemp("data"), rules_interval=0))
    ehr = EhrActions(app.test_client())
    shown_by: dict[str, Any] = {}
    for scenario in SCENARIOS:
        for expect in scenario.expect:
            for slug in expect.get("cards") or ():
                shown_by.setdefault(slug, scenario)
    found = {}
    for guidance in sample_rulebook.guidance:
        slug = guidance.scope.slug
        if slug in REQUESTS:
            request = REQUESTS[slug]()
        else:
            member = MEMBERS[shown_by[slug].member["line"]]
            request = hook_request(replace(shown_by[slug], member=member), sample_rulebook)
        for name in RECORD_PREFETCH.values():
            request["prefetch"].setdefault(name, bundle())
        found[slug] = next(each for each in fire(ehr, request).json["cards"] if each["summary"] == guidance.summary)
    yield found
    app.extensions["ledger"].close()


def of_type(response: str, sent: dict[str, Resource], rulebook: Rulebook) -> list[Resource]:
    """The cards of a response type; there is at least one."""
    found = [sent[each.scope.slug] for each in rulebook.guidance if each.response == response]
    assert found
    return found


def actions(card: Resource) -> list[Resource]:
    return [action for suggestion in card.get("suggestions", ()) for action in suggestion.get("actions", ())]


@requirement("resp-15")
def test_every_response_type_is_sent(sent: dict[str, Resource], sample_rulebook: Rulebook) -> None:
    """Coverage Information aside, the seven of the IG."""
    types = schema("guidance")["properties"]["card"]["properties"]["response"]["enum"]
    assert len(types) == 7
    for response in types:
        of_type(response, sent, sample_rulebook)


@requirement("resp-3")
def test_every_suggestion_has_a_uuid(sent: dict[str, Resource]) -> None:
    suggestions = [each for card in sent.values() for each in card.get("suggestions", ())]
    assert suggestions
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each["uuid"]) for each in suggestions)
    assert len({each["uuid"] for each in suggestions}) == len(suggestions)


@requirement("resp-4", "resp-5")
def test_every_card_has_its_source(sent: dict[str, Resource], sample_rulebook: Rulebook) -> None:
    topics = {each.scope.slug: each.topic for each in sample_rulebook.guidance}
    for slug, card in sent.items():
        assert card["source"]["label"] == sample_rulebook.payer.name
        assert card["source"]["topic"]["code"] == topics[slug]
        assert card["source"]["topic"]["system"] == "http://terminology.hl7.org/CodeSystem/cdshooks-card-type"


@requirement("resp-18", "resp-19")
def test_references_have_absolute_links(sent: dict[str, Resource], sample_rulebook: Rulebook) -> None:
    for card in of_type("external-reference", sent, sample_rulebook):
        assert card["links"]
        for link in card["links"]:
            assert link["type"] == "absolute"
            assert urlsplit(link["url"]).scheme == "https"
            assert urlsplit(link["url"]).hostname


@requirement("resp-25", "resp-12")
def test_no_card_is_about_coverage_information(sent: dict[str, Resource]) -> None:
    """Nor can a rule make one, and no suggestion carries the annotation."""
    topics = schema("guidance")["properties"]["card"]["properties"]["topic"]["enum"]
    assert "coverage-info" not in topics
    for card in sent.values():
        assert card["source"]["topic"]["code"] != "coverage-info"
        assert COVERAGE_INFORMATION not in json.dumps(card)


@requirement("dev-25")
def test_every_card_names_its_order(sent: dict[str, Resource]) -> None:
    for card in sent.values():
        assert all(each["reference"] for each in card["extension"]["davinci-crd.associated-resource"])


@requirement("resp-24")
def test_instructions_without_detail_are_refused(sample_rulebook: Rulebook) -> None:
    """Those that come with it meet the model (test_hl7_emitted.py)."""
    file = "guidance/pap-trial-period.yaml"
    without = re.sub(r"\n  detail: .*", "", sample_rulebook.files[file])
    assert without != sample_rulebook.files[file]
    assert build({**sample_rulebook.files, file: without}).problems


@requirement("dev-20", "dev-19")
@pytest.mark.parametrize("has_it", [True, False])
def test_the_ehr_is_asked_for_the_form_before_it_is_sent(
    ehr: EhrActions,
    fhir: EhrServer,  # noqa: F811
    has_it: bool,
) -> None:
    request = glucose_monitor() | {"fhirServer": fhir.base, "fhirAuthorization": {"access_token": "t"}}
    there = [{"resourceType": "Questionnaire", "id": "q", "status": "active"}] if has_it else []
    fhir.on["/Questionnaire"] = ehr_server.answer(bundle(*there))
    cards = ehr.sign(request).json["cards"]
    (asked,) = [path for path in fhir.asked if path.startswith("/Questionnaire")]
    assert "url=" in asked
    assert "version=" in asked
    sent = [action for card in cards for action in actions(card) if action["type"] == "create"]
    kinds = [action["resource"]["resourceType"] for action in sent]
    assert kinds == (["Task"] if has_it else ["Questionnaire", "Task"])
    if not has_it:
        assert sent[0]["extension"]["davinci-crd.if-none-exist"].startswith("url=")


@requirement("dev-20")
def test_without_a_way_to_ask_no_form_is_sent(sent: dict[str, Resource], sample_rulebook: Rulebook) -> None:
    (card,) = of_type("form-completion", sent, sample_rulebook)
    assert [each["resource"]["resourceType"] for each in actions(card)] == ["Task"]


@requirement("resp-62")
def test_tasks_meet_their_profile(sent: dict[str, Resource], sample_rulebook: Rulebook, judge: Judge) -> None:
    (card,) = of_type("form-completion", sent, sample_rulebook)
    tasks = [each["resource"] for each in actions(card) if each["resource"]["resourceType"] == "Task"]
    assert tasks
    assert [judge.errors(task, profile_of(task, "2.2")) for task in tasks] == [[]] * len(tasks)


@pytest.mark.parametrize(
    ("response", "model"),
    [
        pytest.param("form-completion", "formCompletion", id="resp-65"),
        pytest.param("coverage-update", "adjustCoverage", id="resp-71"),
        pytest.param("smart-launch", "launchSMART", id="resp-72"),
    ],
)
@requirement("resp-65", "resp-71", "resp-72")
def test_response_meets_its_model(
    sent: dict[str, Resource], sample_rulebook: Rulebook, hook_judge: Judge, response: str, model: str
) -> None:
    (card,) = of_type(response, sent, sample_rulebook)
    assert hook_judge.errors({"cards": [card]}, f"{CRD}/CRDHooksResponse-{model}") == []


@requirement("resp-59")
def test_no_form_beside_documents_for_dtr(ehr: EhrActions, sample_rulebook: Rulebook) -> None:
    """An order that needs documents has its questionnaire in coverage-information, and no Task."""
    for name in ("mri", "infusion"):
        answered = ehr.sign(example(name))
        assert answered.parts()["questionnaire"]
        assert "complete-questionnaire" not in json.dumps(answered.json["cards"])


@requirement("resp-70")
@pytest.mark.parametrize("name", ["mri", "infusion", "self-injected"])
def test_clinicians_are_not_shown_coverage_updates(ehr: EhrActions, name: str) -> None:
    request = copy.deepcopy(example(name))
    request["prefetch"]["coverage"] = booked_with_another_plan()["prefetch"]["coverage"]
    cards = ehr.sign(request).json["cards"]
    touched = [action["resource"] for card in cards for action in actions(card) if "resource" in action]
    assert "Coverage" not in [resource["resourceType"] for resource in touched]


@requirement("resp-13")
def test_an_answer_with_nothing_new_meets_the_base_profile(ehr: EhrActions, hook_judge: Judge) -> None:
    (action,) = ehr.sign(example("mri")).json["systemActions"]
    answered = ehr.sign(with_orders(example("mri"), action["resource"]))
    assert hook_judge.errors(answered.json, f"{CRD}/CRDHooksResponse") == []
