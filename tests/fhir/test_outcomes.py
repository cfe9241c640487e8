from __future__ import annotations

import pytest

from app.errors import InvalidRequest, UnprocessableRequest
from app.fhir.outcomes import from_error, issue, issues_of, operation_outcome


def test_an_outcome_lists_its_issues():
    outcome = operation_outcome(
        issue("error", "required", "context.patientId is missing", ["context.patientId"]),
        issue("warning", "informational", "unknown option"),
    )
    assert outcome == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "required",
                "diagnostics": "context.patientId is missing",
                "expression": ["context.patientId"],
            },
            {"severity": "warning", "code": "informational", "diagnostics": "unknown option"},
        ],
    }
    assert list(issues_of(outcome)) == outcome["issue"]


def test_an_outcome_without_issues_cannot_be_made():
    with pytest.raises(ValueError, match="needs an issue"):
        operation_outcome()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InvalidRequest("not JSON"), {"severity": "error", "code": "invalid", "diagnostics": "not JSON"}),
        (
            UnprocessableRequest("no payor", element="Coverage.payor", code="required"),
            {"severity": "error", "code": "required", "diagnostics": "no payor", "expression": ["Coverage.payor"]},
        ),
    ],
)
def test_from_error(error, expected):
    assert from_error(error)["issue"] == [expected]


@pytest.mark.parametrize(
    "resource",
    [None, [], {"resourceType": "Patient", "issue": [{}]}, {"resourceType": "OperationOutcome"},
     {"resourceType": "OperationOutcome", "issue": {"code": "x"}},
     {"resourceType": "OperationOutcome", "issue": ["x"]}],
)  # fmt: skip
def test_no_issues(resource):
    assert list(issues_of(resource)) == []
