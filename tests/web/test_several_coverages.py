"""Several Coverages of this payer: refused as CRD 2.2 asks, or each answered under its own assertion."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from app.settings import Settings
from tests.ehr_actions import Answer, EhrActions, example


def two_coverages(version: str, *orders: int | None) -> dict[str, Any]:
    """The medical card, and a second card of another member number, ranked as asked."""
    request = example("infusion")
    request["extension"]["davinci-crd.requestedVersion"] = version
    first = request["prefetch"]["coverage"]["entry"][0]["resource"]
    second = copy.deepcopy(first)
    second["id"] = "c2"
    second["subscriberId"] = second["identifier"][0]["value"] = "M100013"  # ended in 2026
    del request["prefetch"]["patient"]["birthDate"]
    request["prefetch"]["coverage"]["entry"].append({"resource": second})
    for coverage, order in zip((first, second), orders, strict=False):
        if order is not None:
            coverage["order"] = order
    return request


def told(answer: Answer) -> list[tuple[str, str]]:
    (repetitions,) = answer.repetitions
    return [
        (answer.parts(0, n)["coverage"][0]["reference"], answer.parts(0, n)["covered"][0])
        for n in range(len(repetitions))
    ]


def test_refused_in_2_2(ehr: EhrActions) -> None:
    answer = ehr.sign(two_coverages("2.2"))
    assert (answer.status, answer.issue["code"]) == (400, "multiple-matches")


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ((), ["Coverage/c1", "Coverage/c2"]),
        ((2, 1), ["Coverage/c2", "Coverage/c1"]),
        ((None, 7), ["Coverage/c2", "Coverage/c1"]),
    ],
)
def test_answered_in_2_0_in_their_order(ehr: EhrActions, orders: tuple[int, ...], expected: list[str]) -> None:
    answer = ehr.sign(two_coverages("2.0", *orders))
    assert answer.status == 200
    assert [coverage for coverage, _ in told(answer)] == expected
    assert dict(told(answer)) == {"Coverage/c1": "covered", "Coverage/c2": "not-covered"}
    ids = {answer.parts(0, n)["coverage-assertion-id"][0] for n in range(2)}
    assert len(ids) == 2
    assert len(answer.json["systemActions"]) == 1


class TestSwitchedOff:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"refuse_several_coverages": False})

    def test_answered_in_2_2(self, ehr: EhrActions) -> None:
        assert dict(told(ehr.sign(two_coverages("2.2")))) == {"Coverage/c1": "covered", "Coverage/c2": "not-covered"}

    def test_only_what_is_new_is_told_again(self, ehr: EhrActions) -> None:
        request = two_coverages("2.2")
        carried = ehr.sign(request).json["systemActions"][0]["resource"]
        request["context"]["draftOrders"]["entry"][0]["resource"] = carried
        assert "systemActions" not in ehr.sign(request).json
        carried["extension"] = carried["extension"][:1]
        again = ehr.sign(request)
        assert [coverage for coverage, _ in told(again)] == ["Coverage/c1", "Coverage/c2"]
