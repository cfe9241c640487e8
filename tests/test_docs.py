"""The documentation says what the code does: generated parts are fresh, nothing is left out, every example works."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app.cli import main
from app.cli.rules.schema import TABLES
from app.crd.scenarios import run
from app.errors import RequestError
from app.rulebook.conditions import VARIABLES, compile_condition
from app.rulebook.documents import read_document
from app.rulebook.payer import build_payer
from app.rulebook.rulebook import Rulebook, build
from app.rulebook.scenarios import read_scenarios
from app.rulebook.schema import KINDS, check
from app.settings import ROOT, Settings
from benefit_router import COLUMNS, Table
from tests.ehr_actions import EhrActions, example
from tests.generate_docs import PARTS, every_command, parts_of, renewed
from tests.schema_keys import MEANINGS, every_key

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OURS = [page for page in PAGES if page.name != "fhirpath.md"]
_BLOCK = re.compile(r"^```(?P<language>[a-z]+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


def blocks(text: str, language: str) -> Iterator[tuple[str, str]]:
    """File name and text of each block of a language."""
    for block in _BLOCK.finditer(text):
        if block["language"] == language:
            yield block["file"] or "", block["text"]


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_generated_parts_are_fresh(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == renewed(text), "out of date: run python -m tests.generate_docs"


def test_every_part_has_its_place() -> None:
    placed = [name for path in OURS for name in parts_of(path.read_text(encoding="utf-8"))]
    assert sorted(set(placed)) == sorted(PARTS)


@pytest.mark.parametrize("setting", Settings.model_fields)
def test_settings(setting: str) -> None:
    assert Settings.model_fields[setting].description
    assert f"| `SIGNPOST_{setting.upper()}` |" in page("operate.md")


@pytest.mark.parametrize(("name", "command"), list(every_command(main, "signpost")), ids=lambda value: str(value))
def test_commands(name: str, command: object) -> None:
    section = page("operate.md").partition(f"### `{name}")[2].partition("### ")[0]
    assert getattr(command, "help", None)
    for option in getattr(command, "params", ()):
        words = option.opts[0] if option.opts[0].startswith("-") else option.name.upper()
        assert words in section or f"{name} {words}" in page("operate.md"), f"{name} {words} is not documented"


def test_addresses(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static":
            address = re.sub(r"<(?:[^<>:]+:)?(\w+)>", r"{\1}", rule.rule)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                assert f"`{method} {address}`" in page("operate.md"), f"{method} {address} is not documented"


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_routing_columns(column: object) -> None:
    assert getattr(column, "meaning", "")
    assert f"| `{getattr(column, 'name', '')}` |" in page("rules/routing-table.md")


@pytest.mark.parametrize("table", [table for table in TABLES if table.name != "benefit_routes"], ids=lambda t: t.name)
def test_table_columns(table: Table) -> None:
    pages = page("rules/standards.md") + page("rules/lists-and-crosswalks.md")
    part = pages.partition(f"<!-- generated: {table.name.replace('_', '-')}-columns -->")[2].partition("<!-- /gen")[0]
    for column in table.columns:
        assert column.meaning
        assert f"| `{column.name}` |" in part


@pytest.mark.parametrize("number", range(len(list(blocks(page("routing-api.md"), "json")))))
def test_routing_questions_are_answered(app: Flask, number: int) -> None:
    """Each example question of the page gets the answer whose beginning stands behind it."""
    file, text = list(blocks(page("routing-api.md"), "json"))[number]
    answered = app.test_client().post(f"/routing/v1/{file}", data=text)
    assert answered.status_code == 200, answered.text


@pytest.mark.parametrize("kind", KINDS)
def test_schema_keys_have_a_meaning(kind: str) -> None:
    every = every_key(kind)
    assert [path for path, _, _, meaning in every if not meaning] == []
    assert set(MEANINGS[kind]) <= {path for path, *_ in every}, "a meaning for a key that is gone"


def test_statuses() -> None:
    for error in (RequestError, *RequestError.__subclasses__()):
        assert re.search(rf"^\| [^|]*\b{error.status}\b[^|]* \|", page("connect.md"), re.MULTILINE), error.__name__


def logged_events() -> Iterator[str]:
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
                and isinstance(node.args[0], ast.Constant)
            ):
                yield str(node.args[0].value)


@pytest.mark.parametrize("event", sorted(set(logged_events())))
def test_log_events(event: str) -> None:
    assert f"\n| `{event}` |" in page("operate.md")


def test_facts_and_variables(app: Flask, ehr: EhrActions) -> None:
    """Everything a rule may look at, as the ledger keeps it of a real call, stands on the page about conditions."""
    assertion = ehr.sign(example("infusion")).parts()["coverage-assertion-id"][0]
    facts = json.loads(app.extensions["ledger"].assertion(assertion).facts)
    documented = set(re.findall(r"`%facts\.([a-z_]+)`", page("rules/conditions.md")))
    assert documented == set(facts) - {"on", "words", "member"}
    assert {f"%{name}" for name in VARIABLES} <= set(re.findall(r"`(%[a-z]+)`", page("rules/conditions.md"))) | {
        "%facts"
    }


@pytest.mark.parametrize("text", [text for _, text in blocks(page("rules/conditions.md"), "fhirpath")])
def test_conditions_compile(text: str, sample_rulebook: Rulebook) -> None:
    assert set(compile_condition(text).lists) <= set(sample_rulebook.lists)


@pytest.mark.parametrize("path", sorted((DOCS / "rules").glob("*.md")), ids=name_of)
def test_rule_examples_load(path: Path, sample_rulebook: Rulebook, tmp_path: Path) -> None:
    """Each example is taken into the sample rules: in place of the routing table, else beside what is there."""
    text = path.read_text(encoding="utf-8")
    files = dict(sample_rulebook.files)
    for file, example_text in [*blocks(text, "yaml"), *blocks(text, "csv")]:
        assert file, "an example must name its file behind ```yaml or ```csv"
        if file == "payer.yaml":
            document, problems = read_document(example_text, file)
            assert document is not None
            assert problems + check(document, "payer") == []
            build_payer(document, problems)
            assert problems == []
        elif file.startswith("scenarios/"):
            (tmp_path / file.rpartition("/")[2]).write_text(example_text, encoding="utf-8")
        elif file == "standards.csv" or file.startswith("crosswalks/"):
            header, _, rows = example_text.partition("\n")
            assert header in files[file].splitlines()
            files[file] += rows
        else:
            assert file == "benefit_routes.csv" or file not in files, "an example must not hide a sample rule"
            files[file] = example_text
    loaded = build(files)
    assert loaded.problems == ()
    assert loaded.rulebook is not None
    scenarios, problems = read_scenarios(tmp_path, loaded.rulebook)
    assert problems == []
    for scenario in scenarios:
        assert run(scenario, loaded.rulebook, ROOT / "rules" / "members" / "roster.csv").differences == ()


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    prose = _BLOCK.sub("", path.read_text(encoding="utf-8"))
    for link in _LINK.finditer(prose):
        target, _, anchor = link["target"].partition("#")
        if "://" in target:
            continue
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), f"{link['target']} leads nowhere"
        assert not anchor or anchor in anchors(there), f"{link['target']}: no such heading"


def modules_named(text: str) -> Iterator[str]:
    yield from re.findall(r"`((?:app|benefit_router|tests|bench)/[\w./-]*)`", text)


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_paths_of_the_code_exist(path: Path) -> None:
    for named in modules_named(path.read_text(encoding="utf-8")):
        assert (ROOT / named).exists(), f"{named} does not exist"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_path_of_a_developers_machine(path: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:home|root|tmp|work|Users)/\S*", path.read_text(encoding="utf-8")) == []
