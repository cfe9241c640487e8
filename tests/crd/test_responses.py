"""Form completion, coverage update and SMART launch: when each is offered, and the resources it brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.crd import cards
from app.crd.chart import Chart
from app.crd.determine import Decided
from app.errors import LedgerError, StateError
from app.fhir.ehr import Fetched
from app.hooks.configuration import Configuration
from app.members import Member
from app.rulebook.rulebook import Rulebook
from app.settings import Settings
from tests.crd import builders
from tests.crd.builders import (
    AUTH,
    NO_AUTH,
    TODAY,
    FakeEhr,
    case,
    decide_all,
    guidance,
    policy,
    rulebook,
    service,
)
from tests.crd.test_cards import ids
from tests.ehr_actions import Answer, EhrActions, example, order_of, with_orders
from tests.fhir import ehr_server
from tests.fhir.ehr_server import EhrServer

PLAIN = {"questionnaire": "form", "label": "Fill it in", "description": "Enrolment in the program"}
CANONICAL = "https://payer.example.org/Questionnaire/form|3"
MRI = service("CPT 72148")
TASK_CODES = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"


def form_rules(*, policies: Any = (), **form: Any) -> Rulebook:
    card = {"response": "form-completion", "form": {**PLAIN, **form}}
    return rulebook(cards=[guidance("join", ["CPT 72148", "CPT 72149"], card)], policies=policies)


def built(
    decided: list[Decided],
    rules: Rulebook,
    *,
    configuration: Configuration | None = None,
    version: str = "2.2",
    lacking: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    return [
        cards.build_card(
            each,
            rules,
            version=version,
            several_orders=len(decided) > 1,
            today=TODAY,
            new_id=ids(),
            lacking=lacking,
        )
        for each in cards.shown(decided, configuration or Configuration())
    ]


def test_a_form_is_a_task_for_the_patient() -> None:
    rules = form_rules()
    order = service("CPT 72148", encounter={"reference": "Encounter/e"})
    (card,) = built(decide_all(order, rules=rules), rules)
    assert card["selectionBehavior"] == "at-most-one"
    assert card["extension"] == {"davinci-crd.associated-resource": [{"reference": "ServiceRequest/s1"}]}
    assert "links" not in card
    (suggestion,) = card["suggestions"]
    (action,) = suggestion["actions"]
    assert (suggestion["label"], bool(suggestion["uuid"])) == ("Fill it in", True)
    assert (action["type"], action["description"]) == ("create", "Fill it in")
    assert action["resource"] == {
        "resourceType": "Task",
        "id": action["resource"]["id"],
        "basedOn": [{"reference": "ServiceRequest/s1"}],
        "status": "ready",
        "intent": "order",
        "code": {"coding": [{"system": TASK_CODES, "code": "complete-questionnaire"}]},
        "description": "Enrolment in the program",
        "for": {"reference": "Patient/p1"},
        "encounter": {"reference": "Encounter/e"},
        "authoredOn": "2026-06-15",
        "requester": {"type": "Organization", "identifier": builders.PAYER_ID, "display": "Test Health"},
        "reasonCode": {"text": "Enrolment in the program"},
        "input": [
            {
                "type": {"coding": [{"system": TASK_CODES, "code": "questionnaire"}], "text": "questionnaire"},
                "valueCanonical": CANONICAL,
            }
        ],
    }


def test_crd_2_0_wants_to_know_what_happens_to_the_form() -> None:
    rules = form_rules()
    (card,) = built(decide_all(MRI, rules=rules), rules, version="2.0")
    inputs = card["suggestions"][0]["actions"][0]["resource"]["input"]
    assert [each["type"]["coding"][0]["code"] for each in inputs] == ["questionnaire", "after-completion-action"]
    assert inputs[1]["type"]["coding"][0]["system"] == "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"
    assert inputs[1]["valueCodeableConcept"] == {"text": "Return it to Test Health"}


def test_one_form_for_all_its_orders() -> None:
    rules = form_rules()
    (card,) = built(decide_all(MRI, service("CPT 72149", id="s2"), rules=rules), rules)
    task = card["suggestions"][0]["actions"][0]["resource"]
    assert task["basedOn"] == [{"reference": "ServiceRequest/s1"}, {"reference": "ServiceRequest/s2"}]
    assert card["detail"] == "For: CPT 72148, CPT 72149."


@pytest.mark.parametrize(
    ("answer", "is_shown"),
    [
        (NO_AUTH, True),
        ({**AUTH, "questionnaire": "other"}, False),
        ({"covered": "covered", "pa": "no-auth", "docs": "admin", "purpose": "withclaim", "reason": "For us."}, False),
    ],
)
def test_no_form_beside_documents_that_dtr_collects(answer: dict[str, Any], is_shown: bool) -> None:
    """CRD resp-59. The card's own form may not be one that an answer names, so here the policy names another."""
    asked = {name: value for name, value in answer.items() if name != "questionnaire"}
    rules = form_rules(policies=[policy("mri", ["CPT 72148"], case("otherwise", None, asked))])
    assert bool(built(decide_all(MRI, rules=rules), rules)) is is_shown


EMPTY = Fetched((), True, None)


@pytest.mark.parametrize(
    ("form", "answer", "lacking"),
    [
        pytest.param({"include_form": True}, EMPTY, {"form"}, id="not-there"),
        pytest.param({"include_form": True}, {"resourceType": "Questionnaire", "id": "q"}, set(), id="there"),
        pytest.param({"include_form": True}, None, set(), id="could-not-be-asked"),
        pytest.param({}, EMPTY, set(), id="not-to-be-included"),
    ],
)
def test_the_ehr_is_asked_for_the_form_first(form: dict[str, Any], answer: Any, lacking: set[str]) -> None:
    """CRD dev-20."""
    rules = form_rules(**form)
    shown = cards.shown(decide_all(MRI, rules=rules), Configuration())
    ehr = FakeEhr({"Questionnaire": answer} if answer is not None else {})
    assert cards.forms_lacking(shown, rules, Chart("p1"), ehr) == lacking
    asked = [dict(search.params) for batch in ehr.asked for search in batch if hasattr(search, "params")]
    assert asked == ([{"url": CANONICAL.split("|")[0], "version": "3"}] if form else [])


def test_without_an_ehr_no_form_is_offered() -> None:
    rules = form_rules(include_form=True)
    shown = cards.shown(decide_all(MRI, rules=rules), Configuration())
    assert cards.forms_lacking(shown, rules, Chart("p1"), None) == frozenset()


@pytest.mark.parametrize(("lacking", "kinds"), [({"form"}, ["Questionnaire", "Task"]), (set(), ["Task"])])
def test_the_form_comes_before_its_task_and_only_once(lacking: set[str], kinds: list[str]) -> None:
    rules = form_rules(include_form=True)
    (card,) = built(decide_all(MRI, rules=rules), rules, lacking=frozenset(lacking))
    actions = card["suggestions"][0]["actions"]
    assert [action["resource"]["resourceType"] for action in actions] == kinds
    assert [action["type"] for action in actions] == ["create"] * len(kinds)
    assert all(action["description"] for action in actions)
    found = [action["extension"] for action in actions if "extension" in action]
    conditional = {"davinci-crd.if-none-exist": "url=https://payer.example.org/Questionnaire/form&version=3"}
    assert found == ([conditional] if lacking else [])


def update_rules(**to: str) -> Rulebook:
    card = {"response": "coverage-update", "topic": "insurance", "coverage": {"label": "Correct it", "set": to}}
    return rulebook(cards=[guidance("fix", ["CPT 72148"], card, hooks=["appointment-book"])])


def of_class(code: str, value: str, **more: Any) -> dict[str, Any]:
    system = "http://terminology.hl7.org/CodeSystem/coverage-class"
    return {"type": {"coding": [{"system": system, "code": code}]}, "value": value, **more}


GROUP = of_class("group", "g7")
GOLD = of_class("plan", "gold", name="Gold")


def booked(rules: Rulebook, on_file: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, member: Any = None) -> Any:
    coverage = {**builders.coverage(), **on_file}
    monkeypatch.setattr(builders, "coverage", lambda: coverage)
    context = {"appointments": builders.bundle(MRI)}  # the order that is booked
    return built(decide_all(MRI, rules=rules, hook="appointment-book", context=context, member=member), rules)


@pytest.mark.parametrize(
    ("to", "on_file", "changed"),
    [
        pytest.param(
            {"period_end": "2026-12-31"},
            {"period": {"start": "2026-01-01"}},
            {"period": {"start": "2026-01-01", "end": "2026-12-31"}},
            id="end",
        ),
        pytest.param({"period_end": "2026-12-31"}, {}, {"period": {"end": "2026-12-31"}}, id="no-period-yet"),
        pytest.param({"period_end": "2026-12-31"}, {"period": {"end": "2026-12-31"}}, None, id="same-end"),
        pytest.param({"period_end": "2026-12-31"}, {"period": {"start": "2027-01-01"}}, None, id="before-it-starts"),
        pytest.param({"plan": "gold"}, {}, {"class": [GOLD]}, id="no-class-yet"),
        pytest.param(
            {"plan": "gold"}, {"class": [of_class("plan", "bare"), GROUP]}, {"class": [GROUP, GOLD]}, id="other-plan"
        ),
        pytest.param({"plan": "gold"}, {"class": [GOLD]}, None, id="same-plan"),
        pytest.param({"plan": "from-roster"}, {"class": [of_class("plan", "bare")]}, {"class": [GOLD]}, id="roster"),
        pytest.param(
            {"plan": "gold", "period_end": "2026-12-31"},
            {"class": [GOLD], "text": {"status": "generated"}},
            {"class": [GOLD], "period": {"end": "2026-12-31"}},
            id="both-and-no-narrative",
        ),
    ],
)
def test_a_coverage_is_put_right_where_it_differs(
    to: dict[str, str], on_file: dict[str, Any], changed: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = builders.coverage()
    found = booked(update_rules(**to), on_file, monkeypatch)
    if changed is None:
        assert found == []
        return
    (card,) = found
    (suggestion,) = card["suggestions"]
    (action,) = suggestion["actions"]
    assert (action["type"], action["description"]) == ("update", "Correct it")
    assert action["resource"] == {**before, **changed}


@pytest.mark.parametrize(
    ("on_file", "member"),
    [
        pytest.param({}, Member("1", "coverage", line="commercial", plan="gold"), id="not-on-the-roster"),
        pytest.param({}, Member("1", "roster", line="commercial"), id="no-plan-on-the-roster"),
        pytest.param({"id": None}, None, id="no-id-to-update"),
    ],
)
def test_nothing_is_taken_from_a_roster_that_does_not_say(
    on_file: dict[str, Any], member: Member | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert booked(update_rules(plan="from-roster"), on_file, monkeypatch, member) == []


def app_rules(**app: str) -> Rulebook:
    card = {"response": "smart-launch", "app": {"label": "Find one", "url": "https://payer.example.org/launch", **app}}
    return rulebook(cards=[guidance("app", ["CPT 72148"], card)])


@pytest.mark.parametrize(("app", "handed"), [({"context": "a=b"}, {"appContext": "a=b"}), ({}, {})])
@pytest.mark.parametrize("version", ["2.0", "2.2"])
def test_a_smart_app_is_a_link_with_its_context(app: dict[str, str], handed: dict[str, str], version: str) -> None:
    rules = app_rules(**app)
    (card,) = built(decide_all(MRI, rules=rules), rules, version=version)
    assert card["links"] == [
        {"label": "Find one", "url": "https://payer.example.org/launch", "type": "smart", **handed}
    ]
    # 2.2's logical model wants a suggestion, without actions.
    offered = [sorted(offer) for offer in card.get("suggestions", [])]
    assert offered == ([["label", "uuid"]] if version == "2.2" else [])
    assert ("selectionBehavior" in card) is (version == "2.2")


def test_a_client_of_2_0_starts_dtr_from_a_card() -> None:
    rules = rulebook(policies=[policy("mri", ["CPT 72148"], AUTH)])
    decided = decide_all(MRI, service("CPT 1", id="s2"), rules=rules)
    determined = [(each.play.facts, each.determination) for each in decided if each.play is not None]
    assert len(determined) == 2
    (launch,) = cards.dtr_launches(determined, "https://dtr.example.org/launch", rules)
    card = cards.build_card(launch, rules, version="2.0", several_orders=True, today=TODAY, new_id=ids())
    assert card["source"]["topic"] == {
        "system": "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp",
        "code": "coverage-info",
        "display": "Coverage information",
    }
    assert card["extension"] == {"davinci-crd.associated-resource": [{"reference": "ServiceRequest/s1"}]}
    assert card["detail"] == "For: CPT 72148."
    (link,) = card["links"]
    assert (link["type"], link["url"]) == ("smart", "https://dtr.example.org/launch")
    assert link["appContext"] == f"questionnaire={CANONICAL}&order=ServiceRequest/s1&coverage=Coverage/c1"


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (Configuration(), 2),
        (Configuration(max_cards=1), 1),
        (Configuration(switched_off=frozenset({"network"})), 1),
    ],
)
def test_these_cards_are_counted_and_switched_off_like_any(configuration: Configuration, expected: int) -> None:
    both = [
        guidance("join", ["CPT 72148"], {"response": "form-completion", "form": PLAIN}),
        guidance(
            "app",
            ["CPT 72148"],
            {"response": "smart-launch", "topic": "network", "app": {"label": "Go", "url": "https://p.example.org"}},
        ),
    ]
    rules = rulebook(cards=both)
    assert len(built(decide_all(MRI, rules=rules), rules, configuration=configuration)) == expected


# Over HTTP: what one call said to the next, and what depends on the client.

MONITOR = {
    "codeCodeableConcept": {
        "coding": [{"system": builders.HCPCS, "code": "E2103"}],
        "text": "continuous glucose monitor",
    }
}


def monitor() -> dict[str, Any]:
    """A call on an order that two of the sample payer's cards are about, one of them only at signing."""
    request = example("mri")
    order = order_of(request)
    kept = {name: order[name] for name in ("id", "status", "intent", "subject", "authoredOn", "requester")}
    return with_orders(request, {"resourceType": "DeviceRequest", **kept, **MONITOR})


FORM_CARD = "Offer the diabetes program: patients with a glucose monitor can be coached at no cost."
APP_CARD = "Pick a supplier in network: others cost the patient more."


def summaries(answer: Answer) -> list[str]:
    assert answer.status == 200
    return [card["summary"] for card in answer.json["cards"]]


def signed_after(ehr: EhrActions, change: Callable[[dict[str, Any]], None]) -> list[str]:
    """Select the order, take over what the payer wrote on it, change the call, and sign."""
    request = monitor()
    order = order_of(request)
    selected = ehr.select(request, f"DeviceRequest/{order['id']}")
    assert summaries(selected) == [FORM_CARD]
    order.update(selected.json["systemActions"][0]["resource"])
    change(request)
    return summaries(ehr.sign(request))


def _other_patient(request: dict[str, Any]) -> None:
    request["context"]["patientId"] = "p2"
    request["prefetch"]["patient"]["id"] = "p2"
    request["prefetch"]["coverage"]["entry"][0]["resource"]["beneficiary"] = {"reference": "Patient/p2"}
    order_of(request)["subject"] = {"reference": "Patient/p2"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda request: None, [APP_CARD], id="the-same"),
        pytest.param(
            lambda request: order_of(request).update(priority="urgent"), [FORM_CARD, APP_CARD], id="order-changed"
        ),
        pytest.param(
            lambda request: request.update(fhirServer="http://127.0.0.1:9/other"), [FORM_CARD, APP_CARD], id="other-ehr"
        ),
        pytest.param(
            lambda request: request.update(extension={"davinci-crd.requestedVersion": "2.0"}),
            [FORM_CARD, APP_CARD],
            id="other-words",
        ),
        pytest.param(_other_patient, [FORM_CARD, APP_CARD], id="other-patient"),
    ],
)
def test_signing_does_not_repeat_what_selecting_said(
    ehr: EhrActions, change: Callable[[dict[str, Any]], None], expected: list[str]
) -> None:
    assert signed_after(ehr, change) == expected


def test_signing_twice_says_it_twice(ehr: EhrActions) -> None:
    """What was said at signing is not held against a retry."""
    assert [summaries(ehr.sign(monitor())) for _ in range(2)] == [[FORM_CARD, APP_CARD]] * 2


def test_a_card_that_never_left_was_not_said(app: Flask, ehr: EhrActions, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(call: object) -> None:
        raise LedgerError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(app.extensions["ledger"], "record", fail)
        assert ehr.select(monitor(), f"DeviceRequest/{order_of(monitor())['id']}").status == 503
    assert summaries(ehr.sign(monitor())) == [FORM_CARD, APP_CARD]


def test_without_the_shared_state_a_card_is_repeated(
    app: Flask, ehr: EhrActions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StateError("unreachable")

    monkeypatch.setattr(app.extensions["state"], "set", fail)
    monkeypatch.setattr(app.extensions["state"], "get", fail)
    assert signed_after(ehr, lambda request: None) == [FORM_CARD, APP_CARD]


DTR_APP = "https://dtr.example.org/launch"


@pytest.mark.parametrize(
    ("version", "url", "configured", "links"),
    [
        ("2.0", DTR_APP, {}, 1),
        ("2.2", DTR_APP, {}, 0),
        ("2.0", None, {}, 0),
        ("2.0", DTR_APP, {"max-cards": 0}, 0),
        ("2.0", DTR_APP, {"coverage-info": False}, 0),
    ],
)
def test_dtr_starts_from_a_card_only_in_2_0(
    tmp_path: Path, version: str, url: str | None, configured: dict[str, Any], links: int
) -> None:
    app = create_app(Settings(sandbox=True, data_dir=tmp_path, rules_interval=0, dtr_app_url=url))
    request = example("infusion")
    request["extension"] = {"davinci-crd.requestedVersion": version, "davinci-crd.configuration": configured}
    answer = EhrActions(app.test_client()).sign(request)
    launches = [card for card in answer.json["cards"] if any(e["type"] == "smart" for e in card.get("links", ()))]
    assert [card["links"][0]["url"] for card in launches] == [DTR_APP] * links
    if launches:
        assert answer.json["cards"][0] == launches[0]
        assert launches[0]["links"][0]["appContext"].startswith("questionnaire=http")
        (call,) = app.extensions["ledger"].recent(1)
        recorded = app.extensions["ledger"].cards_of(call.invocation_id)
        assert ("dtr", "smart-launch") in [(card.guidance, card.response) for card in recorded]
    app.extensions["ledger"].close()


@pytest.mark.parametrize(("held", "kinds"), [([], ["Questionnaire", "Task"]), ([{"id": "q"}], ["Task"])])
def test_the_form_goes_to_an_ehr_that_says_it_lacks_it(
    ehr: EhrActions, held: list[dict[str, Any]], kinds: list[str]
) -> None:
    request = monitor()
    with EhrServer() as fhir:
        entries = [{"resource": {"resourceType": "Questionnaire", "status": "active", **each}} for each in held]
        fhir.on["/Questionnaire"] = ehr_server.answer({"resourceType": "Bundle", "type": "searchset", "entry": entries})
        request["fhirServer"] = fhir.base
        request["fhirAuthorization"] = {
            "access_token": "t",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "user/*.read",
            "subject": "crd",
        }
        answer = ehr.sign(request)
        assert [path for path in fhir.asked if path.startswith("/Questionnaire?")]
    card = next(each for each in answer.json["cards"] if each["summary"] == FORM_CARD)
    assert [action["resource"]["resourceType"] for action in card["suggestions"][0]["actions"]] == kinds
