"""A client nobody here wrote, LHC-Forms, fetches a package in a real browser and shows its prefilled answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.settings import Settings
from tests.dtr.dtr_actions import context, coverage, coverage_of, order
from tests.ehr_actions import Answer, EhrActions, example, order_of, with_orders

Resource = dict[str, Any]
TODAY = datetime.now(UTC).date().isoformat()
pytestmark = pytest.mark.embedded

CLIENT = "http://forms.localhost"
PAGE = """
<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A DTR client</title>
<link rel="stylesheet" href="/lforms/webcomponent/styles.css"></head>
<body><main id="form"></main>
<script src="/lforms/webcomponent/assets/lib/zone.min.js"></script>
<script src="/lforms/webcomponent/lhc-forms.js"></script>
<script src="/lforms/fhir/R4/lformsFHIR.min.js"></script></body></html>
"""
# What a client does: fetch the package, give the form and the draft to the renderer.
OPEN = """
async ({url, body}) => {
  const answer = await fetch(url, {method: 'POST', headers: {'Content-Type': 'application/fhir+json'}, body});
  const {parameter} = await answer.json();
  const {entry} = parameter.find(each => each.name === 'packagebundle').resource;
  const of = kind => entry.map(each => each.resource).find(each => each.resourceType === kind);
  const form = LForms.Util.convertFHIRQuestionnaireToLForms(of('Questionnaire'), 'R4');
  const filled = LForms.Util.mergeFHIRDataIntoLForms('QuestionnaireResponse', of('QuestionnaireResponse'), form, 'R4');
  await LForms.Util.addFormToPage(filled, 'form', {prepopulate: false});
}
"""
READ = "() => LForms.Util.getFormFHIRData('QuestionnaireResponse', 'R4', '#form')"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A service that a page of the client's origin may call."""
    settings = Settings(sandbox=True, data_dir=tmp_path_factory.mktemp("data"), cors_origins=(CLIENT,))
    started = create_app(settings)
    yield started
    started.extensions["ledger"].close()
    started.extensions["state"].close()


@pytest.fixture
def client(page: Any, lforms: Path) -> Any:
    """The client's page, served from its own origin."""

    def serve(route: Any) -> None:
        path = route.request.url.removeprefix(CLIENT)
        if path.startswith("/lforms/"):
            route.fulfill(path=str(lforms / path.removeprefix("/lforms/").split("?")[0]))
        else:
            route.fulfill(body=PAGE, content_type="text/html")

    page.route(f"{CLIENT}/**", serve)
    page.goto(f"{CLIENT}/")
    return page


def oxygen() -> Resource:
    """An order for an oxygen concentrator; the record has a saturation just above the criterion."""
    request = example("mri")
    subject = order_of(request)["subject"]
    device = {
        "resourceType": "DeviceRequest",
        "id": "oxygen-1",
        "status": "draft",
        "intent": "original-order",
        "codeCodeableConcept": {
            "coding": [{"system": "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "code": "E1390"}]
        },
        "subject": subject,
        "authoredOn": "2026-11-20",
    }
    lung = {
        "resourceType": "Condition",
        "id": "lung",
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J44.9"}]},
        "subject": subject,
    }
    saturation = {
        "resourceType": "Observation",
        "id": "saturation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "59408-5"}]},
        "subject": subject,
        "effectiveDateTime": TODAY,
        "valueQuantity": {"value": 89, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
    }
    for name, resource in (("conditions", lung), ("observations", saturation)):
        request["prefetch"][name] = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": resource}]}
    return with_orders(request, device)


def test_lhc_forms_shows_the_answers(client: Any, address: str, calls: EhrActions, keep: Any) -> None:
    request = oxygen()
    answer: Answer = calls.sign(request)
    assertion = answer.parts()["coverage-assertion-id"][0]
    asked = [coverage(coverage_of(request)), order(order_of(request)), context(assertion)]
    body = json.dumps({"resourceType": "Parameters", "parameter": asked})
    client.evaluate(OPEN, {"url": f"{address}/fhir/dtr/2.2/Questionnaire/$questionnaire-package", "body": body})
    client.get_by_text("Home oxygen equipment").first.wait_for()
    shown = client.locator("#form").inner_text()
    assert "Oxygen saturation, breathing room air" in shown
    assert "COPD" in shown
    inputs = client.locator("#form input").evaluate_all("all => all.map(each => each.value)")
    assert "89" in inputs
    read = client.evaluate(READ)
    given = {item["linkId"]: item["answer"] for group in read["item"] for item in group["item"]}
    assert given["saturation"][0]["valueQuantity"]["value"] == 89
    assert given["saturation-date"] == [{"valueDate": TODAY}]
    assert given["lung-disease"][0]["valueCoding"]["code"] == "J44"
    client.locator("#form").screenshot(path=keep("home-oxygen-in-lhc-forms.png"))
