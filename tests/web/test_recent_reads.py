"""A secondary hook prepares the primary one: who and where is read once, the clinical record anew."""

from __future__ import annotations

from typing import Any

import pytest

from app.settings import Settings
from tests.ehr_actions import EhrActions
from tests.fhir import ehr_server
from tests.fhir.ehr_server import EhrServer
from tests.web.test_ehr_reads import fhir, live  # noqa: F401  # fhir is a fixture
from tests.web.test_other_hooks import fire

CLINICAL = {"/Condition", "/MedicationRequest", "/Procedure", "/Observation"}


def at_start(request: dict[str, Any]) -> dict[str, Any]:
    context = {"userId": "PractitionerRole/dr1", "patientId": "p1", "encounterId": "e1"}
    return {**request, "hook": "encounter-start", "context": context}


def asked(fhir: EhrServer) -> set[str]:  # noqa: F811
    """Paths asked for since the last look."""
    found = {path.split("?")[0] for path in fhir.asked}
    fhir.asked.clear()
    return found


def test_signing_reads_only_what_the_encounter_did_not(ehr: EhrActions, fhir: EhrServer) -> None:  # noqa: F811
    request = live(fhir, "mri")
    assert fire(ehr, at_start(request)).status == 200
    assert {"/Patient/p1", "/Encounter/e1", "/Coverage"} <= asked(fhir)
    first = ehr.sign(request)
    assert not {"/Patient/p1", "/Encounter/e1", "/Coverage"} & asked(fhir)
    second = ehr.sign(request)
    assert asked(fhir) <= CLINICAL
    assert first.parts()["pa-needed"] == second.parts()["pa-needed"] == ["auth-needed"]


def test_trouble_is_not_remembered(ehr: EhrActions, fhir: EhrServer) -> None:  # noqa: F811
    request = live(fhir, "mri")
    there = fhir.on["/Coverage"]
    fhir.on["/Coverage"] = ehr_server.status(500)
    assert ehr.sign(request).parts()["covered"] == ["indeterminate"]
    fhir.on["/Coverage"] = there
    assert ehr.sign(request).parts()["covered"] == ["covered"]


def test_another_patient_or_server_is_another_matter(ehr: EhrActions, fhir: EhrServer) -> None:  # noqa: F811
    ehr.sign(live(fhir, "mri"))
    asked(fhir)
    with EhrServer() as other:
        ehr.sign(live(other, "mri"))
        assert "/Coverage" in asked(other)


class TestSwitchedOff:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"ehr_cache_seconds": 0.0})

    def test_everything_is_read_each_time(self, ehr: EhrActions, fhir: EhrServer) -> None:  # noqa: F811
        for _ in range(2):
            ehr.sign(live(fhir, "mri"))
            assert {"/Patient/p1", "/Coverage"} <= asked(fhir)
