"""Building the forms' Libraries: what is made from prefill.yaml and the lists, what is stale, what is wrong."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import main
from app.dtr.cql.building import build
from app.dtr.cql.record import with_record
from app.dtr.cql.resource import CQL, ELM, content, data_requirements
from app.rulebook.rulebook import Rulebook
from app.rulebook.scope import Need
from app.settings import ROOT


@pytest.mark.parametrize(
    ("need", "parts"),
    [
        (Need("encounters", None, 30), ["[Encounter] R", "Record.SeenOn(R) on or after Today() - 30 days"]),
        (
            Need("observations", "hemoglobin"),
            ["[Observation: System.Code { code: '718-7', system: 'http://loinc.org' }]"],
        ),
        (
            Need("conditions", "asthma"),
            [
                '[Condition] R\n    where exists "codes in asthma"(R.code)',
                "C.system.value = 'http://hl7.org/fhir/sid/icd-10-cm' and (StartsWith(C.code.value, 'J45'))",
            ],
        ),
        (Need("medications", "bisphosphonates"), ['exists "codes in bisphosphonates"(Record.DrugOf(R))', "'46041'"]),
    ],
)
def test_the_record_is_made_of_needs_and_lists(need: Need, parts: list[str], sample_rulebook: Rulebook) -> None:
    made = with_record("library X version '1'\n", [need], sample_rulebook.lists)
    for part in parts:
        assert part in made
    assert with_record(made, [need], sample_rulebook.lists) == made, "made anew, it is the same"


def test_codes_are_meant_with_and_without_their_dot(sample_rulebook: Rulebook) -> None:
    made = with_record('"codes in chronic-migraine"', [], sample_rulebook.lists)
    assert "StartsWith(C.code.value, 'G43.7') or StartsWith(C.code.value, 'G437')" in made


def test_a_client_is_asked_for_no_more_than_the_server_keeps(sample_rulebook: Rulebook) -> None:
    needs = [Need("observations", "hemoglobin", 30), Need("conditions", "asthma")]
    assert list(data_requirements(needs, sample_rulebook.lists)) == [
        {
            "type": "Observation",
            "codeFilter": [{"path": "code", "code": [{"system": "http://loinc.org", "code": "718-7"}]}],
            "dateFilter": [
                {
                    "path": "effective",
                    "valueDuration": {"value": 30, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"},
                }
            ],
        },
        {"type": "Condition"},
    ]


def test_every_committed_library_holds_its_cql_and_elm(sample_rulebook: Rulebook) -> None:
    for slug, form in sample_rulebook.forms.items():
        path = ROOT / "questionnaires" / slug / "library.json"
        library = json.loads(path.read_bytes())
        assert library["name"] == form["name"]
        assert content(library, CQL) == path.with_suffix(".cql").read_text("utf-8")
        elm = json.loads(content(library, ELM) or "{}")["library"]
        assert elm["identifier"] == {"id": library["name"], "version": form["version"]}


@pytest.fixture
def forms(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "questionnaires", tmp_path / "questionnaires"))


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["questionnaires", "build", *arguments])
    return result.exit_code, result.output


def test_what_is_stale_is_said_without_node(forms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert run("--check", "--questionnaires", str(forms))[0] == 0
    source = forms / "home-oxygen" / "library.cql"
    source.write_text(source.read_text("utf-8").replace("'AMB'", "'VR'"), "utf-8")
    code, told = run("--check", "--questionnaires", str(forms))
    assert (code, "stale: home-oxygen/library.json" in told) == (1, True), told


@pytest.mark.parametrize(
    ("there", "said"), [(None, "apt-get install nodejs npm"), ("/usr/bin/node", "npm ci --prefix tools/cql")]
)
def test_what_to_install(there: str | None, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: there)
    module = importlib.import_module("app.cli.questionnaires.build")  # the package has the command under this name
    monkeypatch.setattr(module, "TOOLS", ROOT / "nowhere")
    code, told = run()
    assert code == 1
    assert said.replace("tools/cql", "nowhere") in told


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("library HomeOxygen version '1.2.0'", "library HomeOxygen", 1, "does not name its library"),
        ("version '1.2.0'", "version '9.0.0'", 1, "The library is of version 9.0.0, its form of 1.2.0."),
        (
            "FHIR.DeviceRequest\n",
            "FHIR.Task\n",
            None,
            "The library takes a parameter 'clinical' of type Task, and nothing",
        ),
        ("Record.Latest(", '"codes in nothing"(', None, "There is no list 'nothing'."),
        ("Record.Latest(", "Broken(", 7, "It does not compile."),
    ],
)
def test_what_is_wrong_is_told_with_its_file(
    before: str, after: str, line: int | None, said: str, forms: Path, sample_rulebook: Rulebook
) -> None:
    source = forms / "home-oxygen" / "library.cql"
    text = source.read_text("utf-8")
    assert before in text
    source.write_text(text.replace(before, after), "utf-8")

    def compiled(texts: Mapping[str, str]) -> Mapping[str, Any]:
        wrong = {"errors": [{"line": 7, "column": 3, "message": "It does not compile."}]}
        return {name: wrong if "Broken(" in text else {"elm": {}} for name, text in texts.items()}

    (problem,) = build(forms, sample_rulebook, compiled).problems
    assert (problem.file, problem.line) == ("questionnaires/home-oxygen/library.cql", line)
    assert said in problem.message
