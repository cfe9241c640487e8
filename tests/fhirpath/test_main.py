"""`python -m app.fhirpath`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.fhirpath.__main__ import main


@pytest.fixture
def patient(tmp_path: Path) -> str:
    path = tmp_path / "patient.json"
    path.write_text(json.dumps({"resourceType": "Patient", "birthDate": "1961-03-09", "name": [{"given": ["Ada"]}]}))
    return str(path)


RUNS = [
    (["name.given"], 0, '"Ada"\n', ""),
    (["birthDate + 1 day"], 0, '"1961-03-10"\n', ""),
    (["1.50 | true"], 0, "1.50\ntrue\n", ""),
    (["name"], 0, '{"given":["Ada"]}\n', ""),
    (["today() > birthDate", "--judge"], 0, "true\n", ""),
    (["gender = 'x'", "--judge"], 0, "unknown\n  gender: no value (absent)\n", ""),
    (["name.given", "--trace"], 0, "name.given  →  'Ada'\n  name  →  {given}\n", ""),
    (["name.nothing", "--root", "Patient"], 2, "", "HumanName has no element 'nothing'"),
    (["name.given < 1"], 1, "", "cannot be compared"),
    (["name.given < 1", "--trace"], 1, "error: String < Integer cannot be compared\n", ""),
    (["%a"], 2, "", "Unknown variable %a"),
    (["%a", "--variable", "a=/nowhere.json"], 1, "", "nowhere"),
]


@pytest.mark.parametrize(("arguments", "status", "out", "err"), RUNS)
def test_run(
    arguments: list[str], status: int, out: str, err: str, patient: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([arguments[0], patient, *arguments[1:]]) == status
    printed = capsys.readouterr()
    assert printed.out.endswith(out)
    assert bool(printed.out) == bool(out)
    assert err in printed.err


def test_variables_come_from_files(patient: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["%p.name.given", patient, "--variable", f"p={patient}"]) == 0
    assert capsys.readouterr().out == '"Ada"\n'
