"""The tutorial, command by command: what it has its reader do works, and prints what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tutorial import PAGE, Walk, differences, steps


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    walk = Walk(tmp_path)
    yield walk
    walk.end()


def test_the_walk_through(walk: Walk) -> None:
    every = list(steps(PAGE.read_text(encoding="utf-8")))
    assert len(every) > 15
    for step in every:
        if step.command is None:
            walk.edit(step)
            continue
        printed = walk.run(step.command)
        assert differences(step.text, printed) == [], f"$ {step.command}\n{printed}"
        walk.learn(step.text, printed)


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n...\n", "a\nb\n", True),
        ("a\n", "a\nb\n", False),
        ("a\nx\n", "a\nb\n", False),
        ("id 0123456789ab on 2026-01-01\n", "id ba9876543210 on 2027-02-02\n", True),
        ("12 passed, 0 failed\n", "250 passed, 0 failed\n", True),
        ("12 passed, 0 failed\n", "250 passed, 1 failed\n", False),
    ],
)
def test_what_counts_as_the_same(shown: str, printed: str, fits: bool) -> None:
    assert (differences(shown, printed) == []) is fits
