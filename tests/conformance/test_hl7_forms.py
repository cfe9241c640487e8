"""Every form that ships is valid for HL7's validator as clients get it: package, draft, Libraries, value sets.

Each package is judged once, whole; what it holds is judged in it. Of DTR 2.2 and of SDC no package is at hand
(`NOISE` in hl7.py says what follows from that), so 2.2 is judged within R4 and its extensions.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.rulebook.rulebook import Rulebook
from tests.conformance.hl7 import Judge
from tests.conformance.test_hl7_dtr import without_profiles
from tests.dtr.dtr_actions import DtrActions, coverage, coverage_of, questionnaire
from tests.ehr_actions import example

pytest_plugins = ("tests.conformance.hl7",)

Resource = dict[str, Any]
BUNDLE = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/DTR-QPackageBundle"


def packages(app: Flask, version: str, rulebook: Rulebook) -> dict[str, Resource]:
    """The package of every form, by the form's canonical."""
    asked = [questionnaire(each) for each in rulebook.questionnaires.values()]
    fetched = DtrActions(app.test_client(), version).package(coverage(coverage_of(example("mri"))), *asked)
    return dict(zip(fetched.forms, fetched.bundles, strict=True))


@pytest.mark.embedded
def test_every_package_of_2_0_is_valid(app: Flask, sample_rulebook: Rulebook, judge_dtr_2_0: Judge) -> None:
    found = packages(app, "2.0", sample_rulebook)
    assert len(found) == len(sample_rulebook.forms)
    judged = {form: judge_dtr_2_0.errors(bundle, BUNDLE) for form, bundle in found.items()}
    assert {form: errors for form, errors in judged.items() if errors} == {}


@pytest.mark.embedded
def test_every_package_of_2_2_is_valid(app: Flask, sample_rulebook: Rulebook, judge: Judge) -> None:
    found = packages(app, "2.2", sample_rulebook)
    assert len(found) == len(sample_rulebook.forms)
    judged = {form: judge.errors(without_profiles(bundle)) for form, bundle in found.items()}
    amiss = {form: [each for each in errors if "us/davinci-dtr" not in each] for form, errors in judged.items()}
    assert {form: errors for form, errors in amiss.items() if errors} == {}


@pytest.mark.embedded
def test_a_slip_in_a_form_is_found(app: Flask, sample_rulebook: Rulebook, judge: Judge) -> None:
    bundle = without_profiles(next(iter(packages(app, "2.2", sample_rulebook).values())))
    form, _, library, *_ = (entry["resource"] for entry in bundle["entry"])
    form["item"][0]["type"], library["parameter"] = "heading", [{"name": "clinical", "use": "inward", "type": "Task"}]
    found = " ".join(judge.errors(bundle))
    assert "heading" in found
    assert "inward" in found
