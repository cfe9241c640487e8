"""Authorizations on file, gold cards and the network, seen from the EHR."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ehr_actions import EhrActions, example, order_of


def member(request: dict[str, Any], member_id: str, birth_date: str) -> dict[str, Any]:
    coverage = request["prefetch"]["coverage"]["entry"][0]["resource"]
    coverage["subscriberId"] = coverage["identifier"][0]["value"] = member_id
    request["prefetch"]["patient"]["birthDate"] = birth_date
    return request


def test_an_authorization_on_file_satisfies(ehr: EhrActions) -> None:
    parts = ehr.sign(member(example("mri"), "M100009", "1969-08-17")).parts()
    assert (parts["covered"], parts["pa-needed"], parts["satisfied-pa-id"]) == (
        ["covered"],
        ["satisfied"],
        ["AUTH-0001"],
    )
    assert not {"doc-needed", "doc-purpose", "questionnaire", "info-needed"} & set(parts)


def test_one_that_is_over_does_not(ehr: EhrActions) -> None:
    request = member(example("mri"), "M100009", "1969-08-17")
    order_of(request)["occurrenceDateTime"] = "2027-07-01"
    assert ehr.sign(request).parts()["pa-needed"] == ["auth-needed"]


def test_an_authorization_stands_when_the_record_cannot_be_read(ehr: EhrActions) -> None:
    request = member(example("mri"), "M100009", "1969-08-17")
    del request["prefetch"]["conditions"]
    parts = ehr.sign(request).parts()
    assert parts["pa-needed"] == ["satisfied"]


@pytest.mark.parametrize("version", ["2.0", "2.2"])
def test_a_gold_carded_orderer_needs_none(ehr: EhrActions, version: str) -> None:
    request = example("mri")
    request["extension"]["davinci-crd.requestedVersion"] = version
    request["prefetch"]["practitioners"]["entry"][0]["resource"]["identifier"][0]["value"] = "1999999984"
    parts = ehr.sign(request).parts()
    assert (parts["covered"], parts["pa-needed"]) == (["covered"], ["no-auth"])
    assert parts["reason"][0]["coding"][0]["code"] == "gold-card"
    assert "doc-purpose" not in parts


def test_a_gold_card_is_for_its_codes_only(ehr: EhrActions) -> None:
    request = example("infusion")
    request["prefetch"]["practitioners"]["entry"][0]["resource"]["identifier"][0]["value"] = "1999999984"
    assert ehr.sign(request).parts()["pa-needed"] == ["auth-needed"]
