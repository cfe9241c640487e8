"""DTR's payer service over HTTP: packages, reading and searching, value sets, what machines are told."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.settings import ROOT, Settings
from tests.dtr import sample_forms
from tests.dtr.dtr_actions import (
    DtrActions,
    Signed,
    context,
    coverage,
    order,
    questionnaire,
    sign,
)
from tests.ehr_actions import EhrActions

VERSIONS = ("2.0", "2.2")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    forms = sample_forms.write_sample_forms(tmp_path)
    return Settings(sandbox=True, data_dir=tmp_path, rules_interval=0, questionnaires=forms)


@pytest.fixture
def signed(ehr: EhrActions) -> Signed:
    return sign(ehr)


@pytest.fixture(params=VERSIONS)
def client(app: Flask, request: pytest.FixtureRequest) -> DtrActions:
    return DtrActions(app.test_client(), request.param)


@pytest.fixture
def client_2_2(app: Flask) -> DtrActions:
    return DtrActions(app.test_client(), "2.2")


def canonicals(value: Any, name: str = "") -> Iterator[str]:
    """Every canonical reference in a resource."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from canonicals(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from canonicals(each, name)
    elif name in ("answerValueSet", "valueCanonical", "questionnaire", "resource") and str(value).startswith("http"):
        yield str(value)


def test_the_package_of_an_answer(client: DtrActions, signed: Signed) -> None:
    fetched = client.package(*signed.parameters)
    assert fetched.status == 200
    assert fetched.forms == [f"{sample_forms.FORM}|1.1.0"]
    (bundle,) = fetched.bundles
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert bundle["type"] == "collection"
    assert kinds[:2] == ["Questionnaire", "QuestionnaireResponse"]
    assert set(kinds) <= {"Questionnaire", "QuestionnaireResponse", "Library", "ValueSet"}
    assert [each["name"] for each in fetched.of_type("Library")] == ["LumbarMri", "Helpers"]
    for entry in bundle["entry"]:
        kind, address = entry["resource"]["resourceType"], entry["fullUrl"]
        if kind != "QuestionnaireResponse":
            assert address == f"http://localhost{client.base}/{kind}/{entry['resource']['id']}"
    assert all("|" in each for each in canonicals(bundle))


def test_the_draft_response(client: DtrActions, signed: Signed) -> None:
    (response,) = client.package(*signed.parameters).of_type("QuestionnaireResponse")
    assert "id" not in response
    assert "author" not in response
    assert (response["status"], response["subject"]) == ("in-progress", {"reference": "Patient/p1"})
    assert response["questionnaire"] == f"{sample_forms.FORM}|1.1.0"
    assert response["authored"]
    said = {}
    for each in response["extension"]:
        said.setdefault(each["url"].rpartition("/")[2], []).append(each.get("valueReference", {}).get("reference"))
    about = {"Coverage/c1", "ServiceRequest/sr1"}
    assert about == {r for name in ("qr-context", "qr-coverage") for r in said.get(name, ())}
    assert ("qr-coverage" in said) is (client.version == "2.2")
    assert len(said["intendedUse"]) == 1
    assert response["identifier"]["value"] == signed.assertion_id


def test_what_the_versions_call_things(app: Flask, signed: Signed) -> None:
    old, new = (DtrActions(app.test_client(), each).package(*signed.parameters) for each in VERSIONS)
    for fetched in (old, new):
        (form,) = fetched.of_type("Questionnaire")
        extensions = json.dumps(form)
        is_old = fetched is old
        assert ("supportLink" in extensions) is is_old
        assert ("supportHyperlink" in extensions) is not is_old
        assert ("artifact-versionAlgorithm" in extensions) is not is_old
        assert ("text/cql-identifier" in extensions) is not is_old
        assert ("text/fhirpath" in extensions) is not is_old
        assert ("text" in form) is is_old
    assert "Lumbar &amp; sacral spine" in old.of_type("Questionnaire")[0]["text"]["div"]
    # 2.0 wants every expansion there; 2.2 leaves those of 40 codes and more to $expand, and says so.
    assert [each["expansion"]["total"] for each in old.of_type("ValueSet")] == [45, 3]
    assert [each["expansion"]["total"] for each in new.of_type("ValueSet")] == [3]
    assert any("ask $expand" in issue["diagnostics"] for issue in new.issues)


def test_libraries_without_version_for_inferno(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"dtr_unversioned_libraries": True}))
    signed = sign(EhrActions(app.test_client()))
    for version, expected in (("2.0", sample_forms.LIBRARY), ("2.2", f"{sample_forms.LIBRARY}|1.0.0")):
        (form,) = DtrActions(app.test_client(), version).package(*signed.parameters).of_type("Questionnaire")
        named = [each["valueCanonical"] for each in form["extension"] if each["url"].endswith("cqf-library")]
        assert named == [expected]
    app.extensions["ledger"].close()
    app.extensions["state"].close()


def test_an_answer_is_found_after_a_restart_under_its_own_rulebook(settings: Settings, signed: Signed) -> None:
    """By any worker: this one has never seen the call, and the forms have changed meanwhile."""
    path = settings.questionnaires / "lumbar-mri" / "questionnaire.json"
    form = json.loads(path.read_text())
    path.write_text(json.dumps({**form, "version": "2.0.0"}))
    other = create_app(settings)
    client = DtrActions(other.test_client())
    assert client.package(*signed.parameters).forms == [f"{sample_forms.FORM}|1.1.0"]
    named = client.package(*signed.parameters, questionnaire(sample_forms.FORM))
    assert named.forms == [f"{sample_forms.FORM}|2.0.0"]  # not both for one order (oper-7)
    old = questionnaire(f"{sample_forms.FORM}|1.1.0")
    assert client.package(*signed.parameters, old).forms == [f"{sample_forms.FORM}|1.1.0"]
    other.extensions["ledger"].close()
    other.extensions["state"].close()


def test_by_canonical(client_2_2: DtrActions, signed: Signed) -> None:
    """Known ones come, of unknown ones there is a warning (oper-9); without a context nothing else comes."""
    of = f"{sample_forms.BASE}/Questionnaire"
    fetched = client_2_2.package(
        coverage(signed.coverage),
        order(signed.order),
        questionnaire(f"{of}/home-oxygen"),
        questionnaire(f"{of}/home-oxygen|9"),
        questionnaire("../../etc/passwd"),
    )
    assert [each.partition("|")[0] for each in fetched.forms] == [f"{of}/home-oxygen"]
    lacking = [each for each in fetched.issues if each["diagnostics"].startswith("There is no form")]
    assert [(each["severity"], each["code"]) for each in lacking] == [("warning", "not-found")] * 2


def test_by_order(client: DtrActions, signed: Signed) -> None:
    fetched = client.package(coverage(signed.coverage), order(signed.order))
    assert fetched.forms == [f"{sample_forms.FORM}|1.1.0"]


def test_what_cannot_be_given_in_2_0_is_a_404(client: DtrActions, signed: Signed) -> None:
    """2.0 has no shape for an answer without a form; 2.2 has."""
    fetched = client.package(coverage(signed.coverage), questionnaire("http://example.org/none"))
    assert fetched.status == (404 if client.version == "2.0" else 200)
    assert "There is no form" in fetched.issues[0]["diagnostics"]


def test_a_pharmacy_drug_says_where_to_go(client_2_2: DtrActions, ehr: EhrActions) -> None:
    fetched = client_2_2.package(*sign(ehr, "self-injected").parameters)
    assert (fetched.status, fetched.bundles) == (200, [])
    assert "NCPDP SCRIPT" in fetched.issues[0]["diagnostics"]


def test_documents_without_a_form_say_what_to_do(settings: Settings, tmp_path: Path) -> None:
    """oper-8: CRD said that documents are needed, and no form is on file for them."""
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    path = tmp_path / "rules" / "policies" / "lumbar-mri.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "questionnaire: lumbar-mri" not in line))
    app = create_app(settings.model_copy(update={"rules": tmp_path / "rules"}))
    fetched = DtrActions(app.test_client()).package(*sign(EhrActions(app.test_client())).parameters)
    assert (fetched.status, fetched.bundles) == (200, [])
    assert [(each["severity"], each["code"]) for each in fetched.issues] == [("warning", "not-found")]
    assert "send what the coverage information asks for" in fetched.issues[0]["diagnostics"]
    app.extensions["ledger"].close()
    app.extensions["state"].close()


def test_edits_of_the_order(client_2_2: DtrActions, signed: Signed) -> None:
    """A note or another id is the same order (spec-128); another code is looked at anew (prof-1)."""
    edited = {**signed.order, "id": "saved-77", "status": "active", "note": [{"text": "urgent"}]}
    fetched = client_2_2.package(coverage(signed.coverage), order(edited), context(signed.assertion_id))
    assert fetched.forms == [f"{sample_forms.FORM}|1.1.0"]
    other = copy.deepcopy(signed.order)
    other["code"] = {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "81162"}]}
    fetched = client_2_2.package(coverage(signed.coverage), order(other), context(signed.assertion_id))
    assert [each.partition("|")[0] for each in fetched.forms] == [f"{sample_forms.BASE}/Questionnaire/brca-testing"]
    unrelated = {**other, "id": "another"}
    fetched = client_2_2.package(coverage(signed.coverage), order(unrelated), context(signed.assertion_id))
    assert (fetched.status, fetched.issues[0]["severity"]) == (422, "error")


def test_two_orders_of_one_form_come_as_one(client: DtrActions, signed: Signed) -> None:
    second = {**signed.order, "id": "sr2"}
    fetched = client.package(coverage(signed.coverage), order(signed.order), order(second))
    assert fetched.forms == [f"{sample_forms.FORM}|1.1.0"]
    (response,) = fetched.of_type("QuestionnaireResponse")
    contexts = [e["valueReference"]["reference"] for e in response["extension"] if e["url"].endswith("qr-context")]
    assert [each for each in contexts if each.startswith("Service")] == ["ServiceRequest/sr1", "ServiceRequest/sr2"]


def test_what_has_lapsed_is_said(app: Flask, client_2_2: DtrActions, signed: Signed) -> None:
    app.extensions["dtr"]._clock = lambda: datetime(2030, 1, 1, tzinfo=UTC)
    fetched = client_2_2.package(*signed.parameters)
    assert fetched.forms == [f"{sample_forms.FORM}|1.1.0"]
    lapsed = [each["diagnostics"] for each in fetched.issues if each["code"] == "expired"]
    assert [words.partition(":")[0].split(" ")[1] for words in lapsed] == ["answer", "form"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "address",
    [
        "Questionnaire/$questionnaire-package",
        "Questionnaire/$next-question",
        "Questionnaire/$log-questionnaire-errors",
        "QuestionnaireResponse?context=x",
        "ValueSet/$expand",
    ],
)
def test_json_alone_is_spoken(app: Flask, version: str, address: str) -> None:
    url, http = f"/fhir/dtr/{version}/{address}", app.test_client()
    for kind in ("application/fhir+xml", "text/plain; charset=utf-8", "application/x-www-form-urlencoded"):
        asked = http.post(url, data="<Parameters/>", content_type=kind)
        assert asked.status_code == 415, kind
        assert asked.json is not None
        assert "send application/fhir+json" in asked.json["issue"][0]["diagnostics"]
    for named in ("application/fhir+json; charset=utf-8", "application/json", "text/json", None):
        assert http.post(url, data="{}", content_type=named).status_code == 400, named


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("operation", ["$questionnaire-package", "$next-question", "$log-questionnaire-errors"])
def test_operations_are_posted(app: Flask, version: str, operation: str) -> None:
    asked = app.test_client().get(f"/fhir/dtr/{version}/Questionnaire/{operation}")
    assert (asked.status_code, asked.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("depth", [50, 200, 480, 5000])
def test_deep_bodies(app: Flask, depth: int) -> None:
    """However deep the items of a response or the resources of a call are, the answer is the caller's error."""
    http = app.test_client()
    items = '{"linkId":"x","item":[' * depth + "]}" * depth
    response = f'{{"resourceType":"QuestionnaireResponse","status":"completed","item":[{items}]}}'
    nested = '{"name":"x","part":[' * depth + "]}" * depth
    for path, body in (
        ("/fhir/dtr/2.2/QuestionnaireResponse?context=x", response),
        ("/fhir/dtr/2.2/Questionnaire/$next-question", response),
        (
            "/fhir/dtr/2.2/Questionnaire/$questionnaire-package",
            f'{{"resourceType":"Parameters","parameter":[{nested}]}}',
        ),
    ):
        assert http.post(path, data=body).status_code in (400, 422), path


def test_context_alone_is_enough(client_2_2: DtrActions, signed: Signed) -> None:
    """As calls after PAS come; what is known of patient and Coverage is known from the hook."""
    fetched = client_2_2.package(context(signed.assertion_id))
    (response,) = fetched.of_type("QuestionnaireResponse")
    assert response["subject"] == {"reference": "Patient/p1"}
    assert response["extension"][0]["valueReference"] == {"reference": "Coverage/c1"}


def test_changedsince(client_2_2: DtrActions, signed: Signed) -> None:
    since = lambda moment: client_2_2.package(*signed.parameters, {"name": "changedsince", "valueInstant": moment})  # noqa: E731
    assert len(since("2026-10-31T00:00:00Z").bundles) == 1
    unchanged = since("2026-11-02T10:00:00+02:00")
    assert (unchanged.status, unchanged.bundles) == (200, [])
    assert "has not changed" in unchanged.issues[0]["diagnostics"]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (lambda p: [], 400, "at least one"),
        (lambda p: p[:1], 400, "dtr-1"),
        (lambda p: [p[1]], 400, "coverage"),
        (lambda p: [p[0], p[1], context("unknown")], 422, "No coverage-assertion-id"),
        (lambda p: [p[0], p[1], context("x" * 9000)], 422, "No coverage-assertion-id"),
        (lambda p: [*p, context("another")], 400, "more than one context"),
        (lambda p: [{"name": "coverage", "resource": {"resourceType": "Patient"}}, p[1]], 400, "no Coverage"),
        (lambda p: [p[0], {"name": "order", "resource": {"resourceType": "Patient", "id": "1"}}], 400, "no order"),
        (lambda p: [p[0], {"name": "order", "resource": {"resourceType": "ServiceRequest"}}], 400, "no id"),
        (lambda p: [p[0], {"name": "order"}], 400, "no FHIR resource"),
        (lambda p: [p[0], {"name": "questionnaire", "valueCode": "x"}], 400, "has no value"),
        (lambda p: [p[0], p[1], {"name": "changedsince", "valueInstant": "yesterday"}], 400, "no instant"),
        (lambda p: [p[0], *[p[1]] * 51], 422, "at most"),
        (
            lambda p: [coverage({"resourceType": "Coverage", "status": "cancelled", "subscriberId": "nobody"}), p[1]],
            422,
            "not active",
        ),
        (
            lambda p: [coverage({**p[0]["resource"], "beneficiary": {"reference": "Patient/else"}}), *p[1:]],
            422,
            "not all of one patient",
        ),
    ],
)
def test_refusals(client_2_2: DtrActions, signed: Signed, change: Any, status: int, words: str) -> None:
    fetched = client_2_2.package(*change(list(signed.parameters)))
    assert (fetched.status, fetched.json["resourceType"]) == (status, "OperationOutcome")
    assert words in fetched.issues[0]["diagnostics"]


@pytest.mark.parametrize("body", ["[]", "{", '{"resourceType": "Patient"}', '{"resourceType": "Parameters"}', "null"])
def test_bodies_that_are_no_parameters(app: Flask, body: str) -> None:
    url = "/fhir/dtr/2.2/Questionnaire/$questionnaire-package"
    response = app.test_client().post(url, data=body, content_type="application/fhir+json")
    assert (response.status_code, response.get_json()["resourceType"]) == (400, "OperationOutcome")


def test_unknown_parameters_and_sparse_orders_are_no_error(client_2_2: DtrActions, signed: Signed) -> None:
    """conf-8, conf-9, conf-12: what profiles allow to leave out may be left out."""
    bare = {name: signed.order[name] for name in ("resourceType", "id", "code", "subject")}
    fetched = client_2_2.package(
        coverage(signed.coverage), order(bare), {"name": "unknown", "valueString": "x"}, context(signed.assertion_id)
    )
    assert fetched.forms == [f"{sample_forms.FORM}|1.1.0"]


def test_another_member_gets_nothing(client_2_2: DtrActions, signed: Signed) -> None:
    theirs = copy.deepcopy(signed.coverage)
    theirs["subscriberId"] = "somebody-else"
    theirs.pop("identifier", None)
    fetched = client_2_2.package(coverage(theirs), order(signed.order), context(signed.assertion_id))
    assert (fetched.status, fetched.issues[0]["code"]) == (422, "business-rule")


def test_no_phi_in_the_log(client_2_2: DtrActions, signed: Signed, capfd: pytest.CaptureFixture[str]) -> None:
    client_2_2.package(*signed.parameters)
    said = capfd.readouterr()
    assert "dtr.package" in said.out + said.err
    for secret in (signed.coverage.get("subscriberId", "M"), "Patient/p1"):
        assert secret not in said.out + said.err


def test_reading_and_searching(client: DtrActions) -> None:
    status, form = client.get("/Questionnaire/lumbar-mri")
    assert (status, form["url"]) == (200, sample_forms.FORM)
    for query, total in (
        (f"/Library?url={sample_forms.LIBRARY}", 1),
        (f"/Library?url={sample_forms.LIBRARY}|1.0.0", 1),
        (f"/Library?url={sample_forms.LIBRARY}&version=2", 0),
        ("/ValueSet?_id=levels&status=active", 1),
        ("/Questionnaire?title=lumbar&unknown=x", 2),
        ("/Questionnaire?name=Nobody", 0),
    ):
        status, found = client.get(query)
        assert (status, found["type"], found["total"]) == (200, "searchset", total), query
    for path in ("/Library/none", "/ValueSet/..%2f..%2fsecrets", "/Patient/1"):
        assert client.get(path)[0] == 404
    assert client.get("/Questionnaire/mri-step-by-step")[1].get("item") is None


def test_expand(client_2_2: DtrActions) -> None:
    def codes(query: str) -> list[str]:
        status, found = client_2_2.get(f"/ValueSet/$expand?{query}")
        assert (status, found["resourceType"]) == (200, "ValueSet")
        return [each["code"] for each in found["expansion"].get("contains", ())]

    assert len(codes(f"url={sample_forms.LARGE}")) == 45
    assert codes(f"url={sample_forms.LARGE}|1.0.0&filter=LEVEL 4") == ["L4", *(f"L4{n}" for n in range(6))]
    assert codes(f"url={sample_forms.LARGE}&filter=level&offset=40&count=3") == ["L41", "L42", "L43"]
    assert codes(f"url={sample_forms.LARGE}&filter=nothing") == []
    status, posted = client_2_2.post(
        "/ValueSet/$expand",
        {
            "resourceType": "Parameters",
            "parameter": [{"name": "url", "valueUri": sample_forms.LARGE}, {"name": "count", "valueInteger": 2}],
        },
    )
    assert (status, posted["expansion"]["total"], len(posted["expansion"]["contains"])) == (200, 45, 2)
    named = {each["name"] for each in posted["expansion"]["parameter"]}
    assert named == {"activeOnly", "date", "offset", "count"}


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("url=http://none", 404), (f"url={sample_forms.SMALL}|9", 404), ("url=x&count=-1", 400)],
)
def test_expand_refuses(client_2_2: DtrActions, query: str, status: int) -> None:
    found = client_2_2.get(f"/ValueSet/$expand?{query}")
    assert (found[0], found[1]["resourceType"]) == (status, "OperationOutcome")


def test_what_machines_are_told(client: DtrActions, app: Flask) -> None:
    status, stated = client.get("/metadata")
    release = {"2.0": "2.0.1", "2.2": "2.2.0"}[client.version]
    payer_service = f"http://hl7.org/fhir/us/davinci-dtr/CapabilityStatement/dtr-payer-service|{release}"
    assert (status, stated["instantiates"], stated["kind"]) == (200, [payer_service], "instance")
    served = {rule.rule.rpartition("/")[2] for rule in app.url_map.iter_rules() if "$" in rule.rule}
    offered = {op["name"] for each in stated["rest"][0]["resource"] for op in each.get("operation", ())}
    assert {f"${name}" for name in offered} == served
    _, found = client.get("/.well-known/davinci-configuration")
    assert found == app.test_client().get("/.well-known/davinci-configuration").get_json()
    assert found[f"davinci_dtr_qpackage_endpoint#{client.version}"] == f"http://localhost{client.base}"
    assert found["payer-identifier"]["value"]
    assert DtrActions(app.test_client(), "2.1").get("/metadata")[0] == 404


def test_a_fault_of_ours_is_an_outcome_without_the_record(
    app: Flask,
    client_2_2: DtrActions,
    signed: Signed,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("the name of a patient")

    monkeypatch.setattr(app.extensions["dtr"]._ledger, "snapshot", fail)
    fetched = client_2_2.package(*signed.parameters)
    assert (fetched.status, fetched.issues[0]["code"]) == (500, "exception")
    said = capfd.readouterr()
    assert "web.fault" in said.out + said.err
    assert "name of a patient" not in said.out + said.err
