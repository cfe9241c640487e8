"""A form of ours, filled from the record of a patient whom HL7 wrote down: Amy Shaw of the US Core examples."""

from __future__ import annotations

import json
import tarfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.dtr.answer_space import codings_in
from app.dtr.bundle_data import from_bundle
from app.dtr.cases import answers
from app.dtr.populate import Populated, populate
from app.fhir.json import decode
from app.rulebook.rulebook import Rulebook

# The day of her oxygen measurement by pulse oximetry is 5 December 2014.
ON = datetime(2014, 12, 20, tzinfo=UTC)
ORDER = {
    "resourceType": "DeviceRequest",
    "id": "oxygen",
    "status": "draft",
    "intent": "original-order",
    "codeCodeableConcept": {
        "coding": [{"system": "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "code": "E1390"}]
    },
    "subject": {"reference": "Patient/example"},
}


@pytest.fixture(scope="module")
def amy(ig: Path) -> dict[str, Any]:
    """Every example of US Core 6.1 that is about her, and our order."""
    package = ig / "us-core-6.1.0.tgz"
    if not package.exists():
        pytest.skip(f"US Core's package is not at {package}")
    resources: list[dict[str, Any]] = [ORDER]
    with tarfile.open(package) as archive:
        for member in archive:
            if not (member.name.startswith("package/example/") and member.name.endswith(".json")):
                continue
            file = archive.extractfile(member)
            assert file is not None
            resource = decode(file.read())
            hers = resource.get("subject", resource.get("patient", {})) == {"reference": "Patient/example"}
            named = json.dumps(resource.get("subject"), default=str).find('"Patient/example"') >= 0
            if resource["resourceType"] != "Bundle" and (
                hers or named or member.name.endswith("/Patient-example.json")
            ):
                resources.append(resource)
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}


def filled(bundle: dict[str, Any], form: str, rulebook: Rulebook) -> Populated:
    prefill = rulebook.prefills[form]
    data = from_bundle(bundle, prefill, rulebook, now=ON)
    return populate(rulebook.forms[form], prefill, data, "2.2", codings_in(rulebook.value_sets))


def test_her_measurement_is_in_the_form(amy: dict[str, Any], sample_rulebook: Rulebook) -> None:
    assert len(amy["entry"]) > 50
    given = {value for values in answers(filled(amy, "home-oxygen", sample_rulebook)).values() for value in values}
    assert Decimal(95) in given or "95 %" in given
    assert "2014-12-05" in {str(value)[:10] for value in given}
    assert Decimal(99) not in given, "that one is of 1999"


def test_every_form_takes_her_record(amy: dict[str, Any], sample_rulebook: Rulebook) -> None:
    """Whatever a form asks, each item that has a source is filled, not there, or not evaluated, and says which."""
    for form, prefill in sample_rulebook.prefills.items():
        populated = filled(amy, form, sample_rulebook)
        told = {outcome.link_id for outcome in populated.items}
        repeated = {link_id for link_id, source in prefill.items.items() if source.repeat_as is not None}
        enabled_always = {
            item["linkId"] for item in sample_rulebook.forms[form]["item"] if "enableWhen" not in item
        } & prefill.items.keys()
        assert enabled_always - repeated <= told
        assert not any("Amy" in json.dumps(issue) or "Shaw" in json.dumps(issue) for issue in populated.issues)
