"""What a text means is worked out once, and nothing long that a client sends is kept."""

from __future__ import annotations

import pytest

from app.fhir.remembered import LONGEST, remembered


@pytest.mark.parametrize(
    ("texts", "times"),
    [
        (("E11.9",), 1),
        (("http://hl7.org/fhir/sid/icd-10-cm", "E11.9"), 1),
        (("x" * LONGEST,), 1),
        (("x" * (LONGEST + 1),), 2),
        (("x" * 200, "y" * 200), 2),
    ],
)
def test_only_short_texts_are_remembered(texts: tuple[str, ...], times: int) -> None:
    asked: list[tuple[str, ...]] = []

    @remembered(4)
    def length(*given: str) -> int:
        asked.append(given)
        return sum(map(len, given))

    assert [length(*texts), length(*texts)] == [sum(map(len, texts))] * 2
    assert len(asked) == times
