"""What an expression's text shows of the codes it asks about."""

from __future__ import annotations

import pytest

from app import fhirpath

IN_LIST = "%facts.codes.exists($this.memberOf('list:x'))"
NESTED = "%conditions.where(code.coding.exists(system = 'S' and code = 'K50.0')).exists(status = 'active')"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%facts.codes.exists(code = 'J1')", [("%facts.codes.code", "J1", False)]),
        ("'J1' != %facts.codes.first().code", [("%facts.codes.code", "J1", False)]),
        ("%a.code in ('x' | 'y')", [("%a.code", "x", False), ("%a.code", "y", False)]),
        ("('x' | 'y') contains %a[0].code", [("%a.code", "x", False), ("%a.code", "y", False)]),
        (IN_LIST, [("%facts.codes", "list:x", True)]),
        (
            NESTED,
            [
                ("%conditions.code.coding.system", "S", False),
                ("%conditions.code.coding.code", "K50.0", False),
                ("%conditions.status", "active", False),
            ],
        ),
        ("%a.code.lower() = 'x'", []),
        ("%a.age > 3 and %a.code = %b.code", []),
    ],
)
def test_literals_and_sets_are_told_with_the_path_that_is_asked(
    text: str, expected: list[tuple[str, str, bool]]
) -> None:
    assert [tuple(asked) for asked in fhirpath.compile(text).asked] == expected
