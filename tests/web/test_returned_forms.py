"""Completed forms come back over HTTP, are kept with their order, and change what the same order is answered."""

from __future__ import annotations

import copy
import json
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from app import create_app
from app.cli import main
from app.crd.replay import replay
from app.settings import ROOT, Settings
from tests.dtr import sample_forms
from tests.dtr.dtr_actions import (
    DtrActions,
    Fetched,
    Signed,
    context,
    coverage,
    coverage_of,
    order,
    questionnaire,
    sign,
)
from tests.ehr_actions import COVERAGE_INFORMATION, Answer, EhrActions, example, order_of, with_orders
from tests.web.test_next_question import answered, step

Resource = dict[str, Any]
PATH = "/QuestionnaireResponse"


def pump(**changes: Any) -> Resource:
    """An insulin pump for a patient whose record shows type 1 diabetes."""
    request = example("mri")
    subject = order_of(request)["subject"]
    device = {
        "resourceType": "DeviceRequest",
        "id": "pump-1",
        "status": "draft",
        "intent": "order",
        "codeCodeableConcept": {
            "coding": [
                {"system": "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "code": "E0784"},
            ]
        },
        "subject": subject,
        "authoredOn": "2026-11-20",
    }
    condition = {
        "resourceType": "Condition",
        "id": "t1d",
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E10.9"}]},
        "subject": subject,
    }
    request["prefetch"]["conditions"] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": condition}],
    }
    return with_orders(request, device | changes)


def says(answer: Answer) -> list[Any]:
    parts = answer.parts()
    return [parts.get(name, [None])[0] for name in ("pa-needed", "doc-needed", "questionnaire")]


def filled(fetched: Fetched, **answers: Any) -> Resource:
    """The draft of a package, completed: `_3=True`."""
    (response,) = fetched.of_type("QuestionnaireResponse")
    kinds = {bool: "valueBoolean", str: "valueString"}
    items = [{"linkId": n.lstrip("_"), "answer": [{kinds[type(v)]: v}]} for n, v in answers.items()]
    return {**response, "status": "completed", "item": items}


PUMP: Resource = {
    "resourceType": "Questionnaire",
    "id": "infusion-pump",
    "url": f"{sample_forms.BASE}/Questionnaire/infusion-pump",
    "version": "1.0.0",
    "title": "External infusion pump",
    "status": "active",
    "subjectType": ["Patient"],
    "item": [
        {"linkId": "1", "text": "Drug", "type": "string", "required": True},
        {"linkId": "2", "text": "Disease", "type": "text", "required": True},
        {"linkId": "3", "text": "Is the patient trained?", "type": "boolean"},
    ],
}
TRAINED = f"""
  - case: trained-on-form
    when: >-
      %forms.exists(questionnaire.startsWith('{PUMP["url"]}')
      and item.where(linkId = '3').answer.exists(value = true))
    answer: {{covered: covered, pa: no-auth, reason: "The form on file says that the patient is trained."}}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The sample payer with a form of three questions for pumps, and a case that looks at one of them."""
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    shutil.copytree(ROOT / "questionnaires", tmp_path / "questionnaires")
    form = tmp_path / "questionnaires" / "infusion-pump"
    shutil.rmtree(form)
    form.mkdir()
    (form / "questionnaire.json").write_text(json.dumps(PUMP))
    path = tmp_path / "rules" / "policies" / "infusion-pump.yaml"
    head, _, cases = path.read_text().partition("\ncases:\n")
    others = cases[cases.index("  - case: pump-disease") :]
    path.write_text(f"{head}\ncases:\n{TRAINED}\n{others}")
    return Settings(
        sandbox=True,
        data_dir=tmp_path,
        rules_interval=0,
        rules=tmp_path / "rules",
        questionnaires=tmp_path / "questionnaires",
    )


@pytest.fixture(params=["2.0", "2.2"])
def client(app: Flask, request: pytest.FixtureRequest) -> DtrActions:
    return DtrActions(app.test_client(), request.param)


@pytest.fixture
def signed(ehr: EhrActions) -> Signed:
    request = pump()
    answer = ehr.sign(request)
    assert says(answer)[:2] == ["performpa", "clinical"]
    return Signed(coverage_of(request), order_of(request), answer.parts()["coverage-assertion-id"][0])


@pytest.fixture
def completed(client: DtrActions, signed: Signed) -> Resource:
    return filled(client.package(*signed.parameters), _1="insulin", _2="type 1 diabetes", _3=True)


def test_the_same_order_is_answered_better(
    app: Flask, ehr: EhrActions, client: DtrActions, signed: Signed, completed: Resource
) -> None:
    """Sign, package, complete, post, sign again: the standing answer does not hide what came back."""
    before = ehr.sign(pump())
    assert before.parts()["coverage-assertion-id"] == [signed.assertion_id]  # until then the answer stands
    status, outcome = client.post(PATH, completed)
    assert (status, outcome["resourceType"]) == (201, "OperationOutcome")
    after = ehr.sign(pump())
    assert says(after) == ["no-auth", None, None]
    ledger = app.extensions["ledger"]
    given = ledger.assertion(after.parts()["coverage-assertion-id"][0])
    assert given.supersedes == signed.assertion_id
    assert given.rule_ids == ("policy:infusion-pump#trained-on-form",)
    assert ledger.verify() == []
    assert replay(ledger, given.assertion_id).same  # and can be given again from what it rested on


def bearing(assertion_id: str) -> Resource:
    """The order saved anew: under another id, with a code of its own beside the one it had, and the answer on it."""
    made = order_of(pump(id="pump-9"))
    made["codeCodeableConcept"]["coding"].append({"system": "https://ehr.example.org/items", "code": "PUMP"})
    parts = [
        {"url": "coverage", "valueReference": {"reference": "Coverage/c1"}},
        {"url": "coverage-assertion-id", "valueString": assertion_id},
    ]
    return {**made, "extension": [{"url": COVERAGE_INFORMATION, "extension": parts}]}


def other_code(request: Resource) -> Resource:
    order_of(request)["codeCodeableConcept"]["coding"][0]["code"] = "E0779"
    return request


def other_member(request: Resource) -> Resource:
    """Another member's call, with an order of the same id."""
    text = json.dumps(request).replace("M100006", "M100009").replace("1980-05-01", "1969-08-17")
    found: Resource = json.loads(text)
    return found


@pytest.mark.parametrize(
    ("request_of", "answered"),
    [
        (lambda _: pump(), "no-auth"),
        (lambda signed: with_orders(pump(), bearing(signed.assertion_id)), "no-auth"),
        (lambda _: pump(id="pump-2"), "performpa"),  # it may be a second one: a day tells no two orders apart
        (lambda signed: with_orders(pump(), order_of(pump()), bearing(signed.assertion_id)), "performpa"),
        (lambda _: other_code(pump()), "performpa"),  # the same id, and something else is ordered
        (lambda _: other_code(pump(id="pump-2")), "performpa"),
        (lambda _: other_member(pump()), "performpa"),
        (lambda signed: other_member(with_orders(pump(), bearing(signed.assertion_id))), "performpa"),
    ],
    ids=[
        "same",
        "bears the answer",
        "other id",
        "copied with its answer",
        "other code",
        "other id and code",
        "other member",
        "its answer",
    ],
)
def test_for_which_order_a_form_counts(
    ehr: EhrActions, client: DtrActions, signed: Signed, completed: Resource, request_of: Any, answered: str
) -> None:
    assert client.post(PATH, completed)[0] == 201
    request = request_of(signed)
    assert says_of(ehr.sign(request), request["context"]["draftOrders"]["entry"][-1]["resource"]["id"]) == answered


def says_of(answer: Answer, order_id: str) -> Any:
    """pa-needed of one of several orders."""
    (action,) = [each for each in answer.json["systemActions"] if each["resource"]["id"] == order_id]
    said = [each for each in action["resource"]["extension"] if each["url"] == COVERAGE_INFORMATION][-1]
    return next((part["valueCode"] for part in said["extension"] if part["url"] == "pa-needed"), None)


INSTANT = {"authoredOn": "2026-11-20T10:11:12Z"}
NUMBER = {"identifier": [{"system": "urn:oid:1.2.3", "value": "PLAC-1"}]}
OTHER_NUMBER = {"identifier": [{"system": "urn:oid:1.2.3", "value": "PLAC-2"}]}


@pytest.mark.parametrize(
    ("then", "now", "answered"),
    [
        (INSTANT, INSTANT | {"status": "active", "note": [{"text": "soon"}]}, "no-auth"),
        (INSTANT, {"authoredOn": "2026-11-20T10:11:13Z"}, "performpa"),
        (INSTANT, INSTANT | {"occurrenceDateTime": "2027-01-01"}, "performpa"),
        (INSTANT | {"status": "active"}, INSTANT | {"status": "active"}, "performpa"),  # saved, so its id is its own
        (NUMBER, NUMBER | {"occurrenceDateTime": "2027-01-01"}, "no-auth"),
        (INSTANT | NUMBER, INSTANT | OTHER_NUMBER, "performpa"),
        (NUMBER, {}, "performpa"),
    ],
    ids=["saved", "other instant", "other date of service", "not a draft", "number", "other number", "number lost"],
)
def test_a_draft_saved_under_another_id_is_told_from_a_second_order(
    ehr: EhrActions, client: DtrActions, then: Resource, now: Resource, answered: str
) -> None:
    request = pump(**then)
    context = ehr.sign(request).parts()["coverage-assertion-id"][0]
    signed = Signed(coverage_of(request), order_of(request), context)
    response = filled(client.package(*signed.parameters), _1="insulin", _2="type 1 diabetes", _3=True)
    assert client.post(PATH, response)[0] == 201
    assert says(ehr.sign(pump(id="pump-2", **now)))[0] == answered


def test_an_order_that_the_response_names_is_the_one(ehr: EhrActions, client: DtrActions, completed: Resource) -> None:
    """As when the draft was saved while its form was open."""
    text = json.dumps(completed).replace("DeviceRequest/pump-1", "DeviceRequest/pump-2")
    assert client.post(PATH, json.loads(text))[0] == 201
    assert says(ehr.sign(pump(id="pump-2")))[0] == "no-auth"
    assert says(ehr.sign(pump(id="pump-3")))[0] == "performpa"


def test_under_another_id_a_form_counts_as_long_as_the_answer(app: Flask, ehr: EhrActions, client: DtrActions) -> None:
    request = pump(**INSTANT)
    context = ehr.sign(request).parts()["coverage-assertion-id"][0]
    signed = Signed(coverage_of(request), order_of(request), context)
    response = filled(client.package(*signed.parameters), _1="insulin", _2="type 1 diabetes", _3=True)
    assert client.post(PATH, response)[0] == 201
    app.extensions["crd"]._clock = lambda: datetime.now(UTC) + timedelta(days=100)
    assert says(ehr.sign(pump(id="pump-2", **INSTANT)))[0] == "performpa"
    assert says(ehr.sign(pump(**INSTANT)))[0] == "no-auth"


def test_an_amended_response_takes_the_place_of_the_one_before(
    ehr: EhrActions, client: DtrActions, completed: Resource
) -> None:
    assert client.post(PATH, completed)[0] == 201
    amended = {**copy.deepcopy(completed), "status": "amended"}
    amended["item"][2]["answer"][0]["valueBoolean"] = False
    assert client.post(PATH, amended)[0] == 201
    assert says(ehr.sign(pump()))[0] == "performpa"


def _as_stored(response: Resource) -> Resource:
    """As the client's server gives it back, with what the payer wrote on it."""
    stored = {**response, "id": "77", "meta": {"versionId": "2"}, "text": {"status": "generated", "div": "<div/>"}}
    return {**stored, "extension": [*response["extension"], {"url": COVERAGE_INFORMATION, "extension": []}]}


@pytest.mark.parametrize("again", [copy.deepcopy, _as_stored], ids=["retried", "as it was stored"])
def test_a_response_sent_twice_is_kept_once_and_answered_the_same(
    app: Flask, client: DtrActions, signed: Signed, completed: Resource, again: Any
) -> None:
    answers = [client.send(PATH, each) for each in (completed, again(completed))]
    assert [each.status_code for each in answers] == [201, 201]
    assert len({(each.headers["Location"], each.data) for each in answers}) == 1
    assert len(app.extensions["ledger"].forms_returned_for(signed.assertion_id)) == 1


def test_every_version_stays_in_the_ledger_and_the_last_sent_counts(
    app: Flask, ehr: EhrActions, client: DtrActions, signed: Signed, completed: Resource
) -> None:
    """Changed, and changed back: three versions, though the last says what the first did."""
    changed = copy.deepcopy(completed)
    changed["item"][2]["answer"][0]["valueBoolean"] = False
    back = {**completed, "authored": "2027-01-01T10:00:00Z"}
    places = {client.send(PATH, each).headers["Location"] for each in (completed, changed, back)}
    kept = app.extensions["ledger"].forms_returned_for(signed.assertion_id)
    assert {each.rpartition("/")[2] for each in places} == {each.form_id for each in kept}
    assert len(kept) == 3
    assert says(ehr.sign(pump()))[0] == "no-auth"
    assert app.extensions["ledger"].verify() == []


def test_an_older_version_sent_again_is_not_the_newest(
    app: Flask, ehr: EhrActions, client: DtrActions, signed: Signed, completed: Resource
) -> None:
    """As a retry does that comes late: it is answered as the version that is kept, and what came after it holds."""
    changed = copy.deepcopy(completed)
    changed["item"][2]["answer"][0]["valueBoolean"] = False
    first, _, late = (client.send(PATH, each) for each in (completed, changed, _as_stored(completed)))
    assert (late.status_code, late.headers["Location"]) == (201, first.headers["Location"])
    assert "a later response has taken its place" in late.get_json()["issue"][0]["diagnostics"]
    assert len(app.extensions["ledger"].forms_returned_for(signed.assertion_id)) == 2
    assert says(ehr.sign(pump()))[0] == "performpa"


def test_one_response_from_many_threads_is_kept_once(
    app: Flask, client: DtrActions, signed: Signed, completed: Resource
) -> None:
    """At the same instant: whoever is first keeps it, and all hear where."""
    ready = threading.Barrier(6)

    def post(_: int) -> tuple[int, str]:
        own = DtrActions(app.test_client(), client.version)
        ready.wait()
        answer = own.send(PATH, completed)
        return answer.status_code, answer.headers["Location"]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(post, range(6)))
    assert {status for status, _ in answers} == {201}
    assert len({place for _, place in answers}) == 1
    assert len(app.extensions["ledger"].forms_returned_for(signed.assertion_id)) == 1
    assert app.extensions["ledger"].verify() == []


def test_as_a_bundle_with_the_context_beside_it(client: DtrActions, signed: Signed, completed: Resource) -> None:
    del completed["identifier"]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": completed}]}
    assert client.post(PATH, bundle)[0] == 400
    assert client.post(f"{PATH}?context={signed.assertion_id}", bundle)[0] == 201


@pytest.mark.embedded
def test_the_ledger_tells_of_it(settings: Settings, client: DtrActions, signed: Signed, completed: Resource) -> None:
    client.post(PATH, completed)
    where = ["--data-dir", str(settings.data_dir)]
    told = CliRunner().invoke(main, ["ledger", "show", signed.assertion_id, *where])
    assert f"Form back   {PUMP['url']}|1.0.0, completed" in told.output
    body = [{"name": "questionnaire", "valueCanonical": FORM}, {"name": "operationOutcome", "resource": OUTCOME}]
    client.post(ERRORS, {"resourceType": "Parameters", "parameter": body})
    told = CliRunner().invoke(main, ["ledger", "form-errors", *where])
    assert f"{FORM}  sandbox\n    error exception Questionnaire.item.where(linkId='2')" in told.output


def test_it_is_kept_sealed_and_chained(
    app: Flask, settings: Settings, client: DtrActions, signed: Signed, completed: Resource
) -> None:
    client.post(PATH, completed)
    ledger = app.extensions["ledger"]
    (kept,) = ledger.forms_returned_for(signed.assertion_id)
    assert b"insulin" not in kept.content
    assert (kept.assertion_id, kept.status, kept.client) == (signed.assertion_id, "completed", "sandbox")


@pytest.mark.embedded
def test_a_row_that_is_changed_shows_and_opens_for_nobody_else(
    app: Flask, settings: Settings, ehr: EhrActions, client: DtrActions, completed: Resource
) -> None:
    client.post(PATH, completed)
    with closing(sqlite3.connect(settings.data_dir / "ledger.sqlite")) as connection:
        connection.execute("UPDATE returned_form SET order_ref = 'DeviceRequest/pump-2'")
        connection.commit()
    assert any("returned form" in fault for fault in app.extensions["ledger"].verify())
    # Rules that look at it are undecided, so what they answer is open too: no promise rests on it.
    assert says(ehr.sign(pump(id="pump-2")))[0] == "conditional"
    with closing(sqlite3.connect(settings.data_dir / "ledger.sqlite")) as connection:
        connection.execute("DELETE FROM returned_form")
        connection.commit()
    assert any("is missing" in fault for fault in app.extensions["ledger"].verify())


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (lambda r: r.update(status="in-progress"), 422, "completed or amended"),
        (lambda r: r["identifier"].update(value="unknown"), 422, "No coverage-assertion-id"),
        (lambda r: r.update(subject={"reference": "Patient/else"}), 422, "another patient"),
        (
            lambda r: r.update(questionnaire="http://meadowlark.example.org/fhir/Questionnaire/car-t"),
            422,
            "did not ask",
        ),
        (lambda r: r.update(questionnaire="../../secrets"), 422, "did not ask"),
        (lambda r: r["item"].pop(0), 400, "must be answered"),
        (lambda r: r["item"][0]["answer"][0].update(valueString=7), 400, "not of the type"),
        (lambda r: r.update(resourceType="Patient"), 400, "QuestionnaireResponse"),
    ],
)
def test_refusals_keep_nothing(
    app: Flask, ehr: EhrActions, client: DtrActions, completed: Resource, change: Any, status: int, words: str
) -> None:
    change(completed)
    found, outcome = client.post(PATH, completed)
    assert (found, outcome["resourceType"]) == (status, "OperationOutcome")
    assert words in outcome["issue"][0]["diagnostics"]
    assert says(ehr.sign(pump()))[0] == "performpa"
    assert app.extensions["ledger"].verify() == []


def test_what_was_kept_of_the_record_goes_when_the_form_is_back(
    app: Flask, client: DtrActions, signed: Signed, completed: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = []
    ledger = app.extensions["ledger"]
    monkeypatch.setattr(ledger, "delete_snapshot", forgotten.append)
    client.post(PATH, completed)
    assert forgotten == [signed.assertion_id]


def test_package_calls_leave_nothing_behind(app: Flask, settings: Settings, client: DtrActions, signed: Signed) -> None:
    """sec-9, sec-10: of what package and question calls bring, nothing is stored."""
    secret = {"reference": "Practitioner/somebody-unheard-of"}
    changed = {**signed.order, "requester": secret}
    client.package(coverage(signed.coverage), order(changed), context(signed.assertion_id))
    app.extensions["ledger"].close()
    for path in settings.data_dir.glob("*"):
        assert not path.is_file() or b"somebody-unheard-of" not in path.read_bytes()


ERRORS = "/Questionnaire/$log-questionnaire-errors"
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [
        {
            "severity": "error",
            "code": "exception",
            "diagnostics": "Jane Sample, born 1970-01-01: division by zero",
            "expression": ["Questionnaire.item.where(linkId='2')"],
        }
    ],
}
FORM = "http://meadowlark.example.org/fhir/Questionnaire/infusion-pump|1.0.0"


@pytest.mark.parametrize(
    "parameters",
    [
        [{"name": "questionnaire", "valueCanonical": FORM}, {"name": "operationOutcome", "resource": OUTCOME}],
        [{"name": "Questionnaire", "valueCanonical": FORM}, {"name": "OperationOutcome", "resource": OUTCOME}],
        [
            {
                "name": "resource",
                "resource": {
                    "resourceType": "Parameters",
                    "parameter": [
                        {"name": "questionnaire", "valueCanonical": FORM},
                        {"name": "operationOutcome", "resource": OUTCOME},
                    ],
                },
            }
        ],
    ],
    ids=["2.2", "2.0.1's operation", "2.2.0 as published"],
)
def test_errors_of_forms_are_kept_without_their_words(
    app: Flask, client: DtrActions, parameters: list[Resource], capfd: pytest.CaptureFixture[str]
) -> None:
    assert client.post(ERRORS, {"resourceType": "Parameters", "parameter": parameters}) == (204, {})
    (kept,) = app.extensions["ledger"].form_errors()
    assert (kept.questionnaire, kept.client) == (FORM, "sandbox")
    assert json.loads(kept.issues)[0]["expression"] == ["Questionnaire.item.where(linkId='2')"]
    said = capfd.readouterr()
    assert "Jane" not in kept.issues.decode() + said.out + said.err


def test_errors_of_nothing(client: DtrActions) -> None:
    assert (
        client.post(ERRORS, {"resourceType": "Parameters", "parameter": [{"name": "x", "valueString": "y"}]})[0] == 400
    )


def test_an_adaptive_form_comes_back_complete(tmp_path: Path) -> None:
    """One that still has questions to ask is refused; at its end it is kept."""
    forms = sample_forms.write_sample_forms(tmp_path)
    _asking_step_by_step(tmp_path)
    app = create_app(
        Settings(sandbox=True, data_dir=tmp_path, rules_interval=0, questionnaires=forms, rules=tmp_path / "rules")
    )
    client = DtrActions(app.test_client())
    signed = sign(EhrActions(app.test_client()))
    fetched = client.package(*signed.parameters, questionnaire(sample_forms.ADAPTIVE))
    (draft,) = fetched.of_type("QuestionnaireResponse")
    first = step(client, draft)
    early = answered({**first, "status": "completed"}, "symptoms", onset="2026-09-01", weak=False)
    status, outcome = client.post(PATH, early)
    assert (status, outcome["issue"][0]["code"]) == (422, "incomplete")
    second = step(client, answered(first, "symptoms", onset="2026-09-01", weak=False))
    last = step(client, answered(second, "therapy", weeks=6))
    assert client.post(PATH, last)[0] == 201
    kept = app.extensions["ledger"].forms_returned_for(signed.assertion_id)
    assert {each.questionnaire for each in kept} == {f"{sample_forms.ADAPTIVE}|1.1.0"}
    app.extensions["ledger"].close()
    app.extensions["state"].close()


def _asking_step_by_step(folder: Path) -> None:
    """The sample rules, with the step-by-step form asked for instead of the MRI form."""
    shutil.copytree(ROOT / "rules", folder / "rules")
    path = folder / "rules" / "policies" / "lumbar-mri.yaml"
    path.write_text(path.read_text().replace("questionnaire: lumbar-mri\n", "questionnaire: mri-step-by-step\n"))
