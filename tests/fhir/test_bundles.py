from __future__ import annotations

import pytest

from app.fhir import bundles

OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "suppressed"}, None]}
MIXED = {
    "resourceType": "Bundle",
    "entry": [
        {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "1"}},
        None,
        "entry",
        {"fullUrl": "urn:uuid:2"},
        {"resource": None},
        {"resource": {"id": "untyped"}},
        {"resource": OUTCOME, "search": {"mode": "outcome"}},
        {"resource": OUTCOME},
        {"fullUrl": 7, "resource": {"resourceType": "Coverage", "id": "3"}},
    ],
}


def test_data_and_remarks_are_told_apart():
    assert list(bundles.entries(MIXED)) == [
        ("urn:uuid:1", {"resourceType": "Patient", "id": "1"}),
        (None, {"resourceType": "Coverage", "id": "3"}),
    ]
    assert [resource["id"] for resource in bundles.resources(MIXED)] == ["1", "3"]
    assert [issue["code"] for issue in bundles.issues(MIXED)] == ["suppressed", "suppressed"]


@pytest.mark.parametrize(
    "bundle",
    [None, [], "Bundle", {}, {"resourceType": "Patient", "entry": MIXED["entry"]}, {"resourceType": "Bundle"},
     {"resourceType": "Bundle", "entry": None}, {"resourceType": "Bundle", "entry": {"resource": OUTCOME}}],
)  # fmt: skip
def test_nothing_inside(bundle):
    assert list(bundles.entries(bundle)) == list(bundles.resources(bundle)) == list(bundles.issues(bundle)) == []


@pytest.mark.parametrize(
    ("value", "expected"), [(MIXED, True), ({"resourceType": "Patient"}, False), (None, False), ([MIXED], False)]
)
def test_is_bundle(value, expected):
    assert bundles.is_bundle(value) is expected


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ([{"relation": "self", "url": "a"}, None, {"relation": "next", "url": " b "}], "b"),
        ([{"relation": "next"}], None),
        ([{"relation": "next", "url": ""}], None),
        ({"relation": "next", "url": "b"}, None),
        (None, None),
    ],
)
def test_next_link(link, expected):
    assert bundles.next_link({"resourceType": "Bundle", "link": link}) == expected
