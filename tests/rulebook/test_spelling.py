from __future__ import annotations

import pytest

from app.rulebook.spelling import nearest


@pytest.mark.parametrize(
    ("word", "known", "remedy"),
    [
        ("coverd", ["covered", "conditional"], "Did you mean 'covered'?"),
        ("xyz", ["b", "a"], "Use one of: a, b."),
        ("xyz", [], "None is defined."),
        ("5", [5, "x"], "Did you mean '5'?"),
    ],
)
def test_remedy(word: str, known: list[object], remedy: str) -> None:
    assert nearest(word, known) == remedy
