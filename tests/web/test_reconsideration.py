"""An adaptive form that an answer asked for brings, at its end, the answer that takes it into account."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from app.cli import main
from app.crd.replay import replay
from app.settings import Settings
from tests.dtr.dtr_actions import DtrActions, Signed, context, coverage_of, questionnaire
from tests.ehr_actions import COVERAGE_INFORMATION, Answer, EhrActions, example, order_of
from tests.web.console.conftest import Person
from tests.web.test_next_question import step

Resource = dict[str, Any]
FORM = "http://meadowlark.example.org/fhir/Questionnaire/lumbar-mri-step-by-step"


def request() -> Resource:
    """An MRI for a Medicaid member: the rules ask for the form that goes step by step."""
    text = json.dumps(example("mri")).replace("M100006", "M100011").replace("1980-05-01", "1988-10-25")
    found: Resource = json.loads(text)
    return found


@pytest.fixture(params=["2.0", "2.2"])
def client(app: Flask, request: pytest.FixtureRequest) -> DtrActions:
    return DtrActions(app.test_client(), request.param)


@pytest.fixture
def signed(ehr: EhrActions) -> Signed:
    answer = ehr.sign(request())
    assert answer.parts()["questionnaire"] == [f"{FORM}|1.1.0"]
    return Signed(coverage_of(request()), order_of(request()), assertion_id(answer))


def assertion_id(answer: Answer) -> str:
    return str(answer.parts()["coverage-assertion-id"][0])


def completed(client: DtrActions, draft: Resource, **answers: bool) -> Resource:
    """The form, asked to its end; `care_done=False` answers the item care-done wherever it is asked."""
    response = draft
    for _ in range(8):
        response = step(client, response)
        if response["status"] == "completed":
            return response
        given = {name.replace("_", "-"): value for name, value in answers.items()}
        response = {**response, "item": [filled(each, given) for each in response["contained"][0]["item"]]}
    raise AssertionError("the form has no end")


def filled(item: Resource, given: dict[str, bool]) -> Resource:
    items = [
        {"linkId": each["linkId"], "answer": [{"valueBoolean": given[each["linkId"]]}]}
        for each in item["item"]
        if each["linkId"] in given
    ]
    return {"linkId": item["linkId"], **({"item": items} if items else {})}


def draft_of(client: DtrActions, signed: Signed) -> Resource:
    (draft,) = client.package(context(signed.assertion_id)).of_type("QuestionnaireResponse")
    return draft


def said(response: Resource) -> dict[str, Any]:
    """The one coverage-information of a response, its parts by name."""
    (repetition,) = [each for each in response["extension"] if each["url"] == COVERAGE_INFORMATION]
    return {
        part["url"]: next((value for key, value in part.items() if key.startswith("value")), None)
        for part in repetition["extension"]
    }


def test_the_end_of_a_form_brings_the_answer(app: Flask, ehr: EhrActions, client: DtrActions, signed: Signed) -> None:
    found = said(completed(client, draft_of(client, signed), urgent=True, attested=True))
    assert found["coverage"] == {"reference": "Coverage/c1"}
    assert (found["covered"], found["pa-needed"]) == ("covered", "no-auth")
    assert "doc-needed" not in found
    assert ("expiry-date" in found) is (client.version == "2.2")  # each DTR version speaks its CRD version's words
    # Under the id that the order bears, so that it takes the place of what stands there (spec-47); kept as its own.
    assert found["coverage-assertion-id"] == signed.assertion_id
    ledger = app.extensions["ledger"]
    first, given = ledger.told_under(signed.assertion_id)
    assert (first.assertion_id, first.pa_needed) == (signed.assertion_id, "auth-needed")
    assert (given.supersedes, given.told_as) == (signed.assertion_id, signed.assertion_id)
    assert given.rule_ids == ("policy:lumbar-mri#urgent-on-form",)
    assert ledger.verify() == []
    assert replay(ledger, signed.assertion_id).same
    assert replay(ledger, given.assertion_id).same
    # The same order signed again hears the same, under the same id still, and that can be given again too.
    again = ehr.sign(request())
    assert (assertion_id(again), again.parts()["pa-needed"]) == (signed.assertion_id, ["no-auth"])
    assert replay(ledger, ledger.recent(1)[0].invocation_id).honoured == (given.assertion_id,)
    assert len(ledger.told_under(signed.assertion_id)) == 2


def test_an_id_means_what_was_told_under_it_last(app: Flask, client: DtrActions, signed: Signed) -> None:
    """For packages too: no form is asked for any more, and whoever names it may do it again."""
    completed(client, draft_of(client, signed), urgent=True, attested=True)
    package = client.package(context(signed.assertion_id))
    assert (package.status, package.bundles) == (404 if client.version == "2.0" else 200, [])
    assert "No documents are asked for." in package.issues[0]["diagnostics"]
    again = client.package(context(signed.assertion_id), questionnaire(FORM))
    (draft,) = again.of_type("QuestionnaireResponse")
    assert draft["identifier"]["value"] == signed.assertion_id
    found = said(completed(client, draft, urgent=False, care_done=False, attested=True))
    assert (found["coverage-assertion-id"], found["pa-needed"]) == (signed.assertion_id, "auth-needed")
    ledger = app.extensions["ledger"]
    first, second, third = ledger.told_under(signed.assertion_id)
    assert (second.supersedes, third.supersedes) == (first.assertion_id, second.assertion_id)
    assert len(ledger.forms_returned_for(first.assertion_id)) == 2
    assert ledger.verify() == []


def test_whoever_looks_by_the_id_hears_of_the_later_answer(
    app: Flask, settings: Settings, client: DtrActions, signed: Signed
) -> None:
    completed(client, draft_of(client, signed), urgent=True, attested=True)
    first, later = app.extensions["ledger"].told_under(signed.assertion_id)
    folder = ["--data-dir", str(settings.data_dir)]

    def command(*arguments: str) -> str:
        done = CliRunner().invoke(main, [*arguments, *folder])
        assert done.exit_code == 0, done.output
        return done.output

    shown = command("ledger", "show", first.assertion_id)
    assert shown.index("pa_needed       auth-needed") < shown.index("pa_needed       no-auth")
    assert f"Assertion   {later.assertion_id}\nTold as     {first.assertion_id}" in shown
    words = f"the client was told covered no-auth: that answer is kept as {later.assertion_id}"
    assert words in command("replay", first.assertion_id)
    assert words in command("rules", "explain", "--assertion", first.assertion_id)
    for own in ("replay", later.assertion_id), ("rules", "explain", "--assertion", later.assertion_id):
        assert words not in command(*own)
    person = Person(app.test_client())
    person.log_in("ed")
    page = person.get(f"/why/{first.assertion_id}").text
    assert "A completed form changed this answer since" in page
    assert f"/console/why/{later.assertion_id}" in page
    page = person.get(f"/why/{later.assertion_id}").text
    assert "A completed form changed this answer since" not in page
    assert f"told the client as <code>{first.assertion_id}</code>" in page
    assert "lumbar-mri-step-by-step|1.1.0 came back" in page


def test_a_form_done_again_takes_the_place_of_the_earlier(app: Flask, client: DtrActions, signed: Signed) -> None:
    draft = draft_of(client, signed)
    first = completed(client, draft, urgent=True, attested=True)
    again = completed(client, {**draft, "extension": first["extension"]}, urgent=False, care_done=False, attested=True)
    found = said(again)
    assert (found["pa-needed"], found["questionnaire"]) == ("auth-needed", f"{FORM}|1.1.0")
    assert found["coverage-assertion-id"] == said(first)["coverage-assertion-id"] == signed.assertion_id
    told = app.extensions["ledger"].told_under(signed.assertion_id)
    assert [each.pa_needed for each in told] == ["auth-needed", "no-auth", "auth-needed"]
    assert [each.supersedes for each in told[1:]] == [each.assertion_id for each in told[:-1]]


def test_the_last_call_sent_again_is_answered_the_same(app: Flask, client: DtrActions, signed: Signed) -> None:
    """As after a lost answer; and the completed response sent back after it is the one that is kept already."""
    last = completed(client, draft_of(client, signed), urgent=True, attested=True)
    again = step(client, {**last, "status": "in-progress"})
    assert {**again, "authored": last["authored"]} == last
    assert client.post("/QuestionnaireResponse", last)[0] == 201
    assert len(app.extensions["ledger"].forms_returned_for(signed.assertion_id)) == 1


def test_the_last_call_of_an_earlier_end_sent_again_changes_nothing(
    app: Flask, client: DtrActions, signed: Signed
) -> None:
    """A retry that comes after the form was done again: what holds is the later one, and so it is answered."""
    draft, calls = draft_of(client, signed), []
    send = client.post
    client.post = lambda path, body: (calls.append(body), send(path, body))[1]  # type: ignore[method-assign]
    completed(client, draft, urgent=True, attested=True)
    late = calls[-1]
    completed(client, draft, urgent=False, care_done=False, attested=True)
    status, response = send("/Questionnaire/$next-question", late)
    assert (status, response["status"], said(response)["pa-needed"]) == (200, "completed", "auth-needed")
    ledger = app.extensions["ledger"]
    assert len(ledger.forms_returned_for(signed.assertion_id)) == 2
    assert [each.pa_needed for each in ledger.told_under(signed.assertion_id)][-1] == "auth-needed"


def test_an_answer_that_stays_keeps_its_id(client: DtrActions, signed: Signed) -> None:
    """So that clients put it in the place of the one they have (spec-47)."""
    form = completed(client, draft_of(client, signed), urgent=False, care_done=False, attested=True)
    assert said(form)["coverage-assertion-id"] == signed.assertion_id
    assert said(form)["pa-needed"] == "auth-needed"


def test_the_order_as_it_was_signed_last_is_answered(
    app: Flask, ehr: EhrActions, client: DtrActions, signed: Signed
) -> None:
    """And only that one: another order of the same call keeps its answer."""
    draft, later = draft_of(client, signed), request()
    order_of(later)["note"] = [{"text": "as soon as possible"}]
    other = {**order_of(later), "id": "sr2"}
    later["context"]["draftOrders"]["entry"].append({"resource": other})
    newer = ehr.sign(later)
    found = said(completed(client, draft, urgent=True, attested=True))
    ledger = app.extensions["ledger"]
    assert found["coverage-assertion-id"] == assertion_id(newer)
    assert ledger.told_under(assertion_id(newer))[-1].supersedes == assertion_id(newer)
    assert [each.order_ref for each in ledger.assertions_of(ledger.recent(1)[0].invocation_id)] == [
        "ServiceRequest/sr1"
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda draft: draft.pop("identifier"),
        lambda draft: draft["identifier"].update(value="of nobody"),
        lambda draft: draft.update(subject={"reference": "Patient/else"}),
    ],
    ids=["no answer", "unknown answer", "other patient"],
)
def test_without_an_answer_before_there_is_none(app: Flask, client: DtrActions, signed: Signed, change: Any) -> None:
    """spec-43: coverage information comes only after CRD; what a client wrote there itself is not passed on."""
    draft = draft_of(client, signed)
    change(draft)
    draft["extension"].append({"url": COVERAGE_INFORMATION, "extension": [{"url": "covered", "valueCode": "covered"}]})
    response = completed(client, draft, urgent=True, attested=True)
    assert COVERAGE_INFORMATION not in [each["url"] for each in response["extension"]]
    assert app.extensions["ledger"].forms_returned_for(signed.assertion_id) == []


def test_what_the_rules_cannot_tell_any_more_is_left_out(
    app: Flask, client: DtrActions, signed: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a call of an older version, say: the form is complete, and the order is to be signed again."""
    ledger, draft = app.extensions["ledger"], draft_of(client, signed)
    found = ledger.invocation
    monkeypatch.setattr(ledger, "invocation", lambda each: replace(found(each), basis=None))
    response = completed(client, draft, urgent=True, attested=True)
    assert COVERAGE_INFORMATION not in [each["url"] for each in response["extension"]]
    assert len(ledger.forms_returned_for(signed.assertion_id)) == 1
