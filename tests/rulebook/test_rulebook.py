from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.fhir.codings import HCPCS, ICD10CM, SNOMED
from app.rulebook.rulebook import ROUTES_FILE, Loaded, content_hash, load, read_files
from benefit_router import Code, Problem
from tests.rulebook.small import FILES, FORM, built, edited, write, wrong

FORM_PATH = "questionnaires/form/questionnaire.json"


def test_everything_is_there() -> None:
    book = built(FILES)
    assert (len(book.policies), len(book.guidance), len(book.table)) == (1, 1, 0)
    assert set(book.lists) == {"drug", "disease"}
    assert book.questionnaires == {"form": "http://payer.example.org/Questionnaire/form|1"}
    assert book.files == FILES
    assert book.label == book.hash[:12]


def test_build_is_pure() -> None:
    files = dict(FILES)
    one, two = built(files), built(dict(reversed(FILES.items())))
    assert one.hash == two.hash == content_hash(FILES)
    assert files == FILES
    files.clear()
    assert one.files == FILES, "a rulebook keeps its own copy"


@pytest.mark.parametrize("path", sorted(FILES))
def test_every_file_is_part_of_the_name(path: str) -> None:
    changed = FILES | {path: FILES[path] + ("" if path.endswith(".json") else "# ") + "\n"}
    assert content_hash(changed) != content_hash(FILES)


def test_the_name_says_which_text_is_in_which_file() -> None:
    assert len({content_hash(files) for files in ({"a": "bc"}, {"ab": "c"}, {"a": "b", "c": ""}, {"b": "a"}, {})}) == 5


def test_disk_and_texts_are_the_same(tmp_path: Path) -> None:
    rules, forms = write(FILES, tmp_path)
    assert read_files(rules, forms) == FILES
    loaded = load(rules, forms)
    assert loaded.rulebook is not None
    assert loaded.rulebook.hash == content_hash(FILES)


@pytest.mark.parametrize(
    "path",
    [
        "members/roster.csv",
        "scenarios/drug.yaml",
        "README.md",
        "policies/notes.txt",
        "policies/.drug.yaml.swp",
        "policies/archive/old.yaml",
    ],
)
def test_what_is_no_rule_does_not_name_the_rulebook(path: str, tmp_path: Path) -> None:
    rules, forms = write(FILES | {path: "anything"}, tmp_path)
    assert read_files(rules, forms) == FILES


def test_a_folder_named_like_a_rule_file_is_no_rule(tmp_path: Path) -> None:
    rules, forms = write(FILES, tmp_path)
    (rules / "policies" / "folder.yaml").mkdir()
    assert read_files(rules, forms) == FILES


def test_no_folder(tmp_path: Path) -> None:
    loaded = load(tmp_path / "rules", tmp_path)
    assert loaded.rulebook is None
    assert loaded.errors[0].message == "There is no such folder."


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules, forms = write(FILES, tmp_path)
    read_text = Path.read_text

    def refuse(self: Path, *args: Any, **kwargs: Any) -> str:
        if self.name == "drug.yaml":
            raise PermissionError(13, "Permission denied", str(self))
        return read_text(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", refuse)
    (problem,) = load(rules, forms).errors
    assert problem.file.endswith("drug.yaml")
    assert "Permission denied" in problem.message


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    rules, forms = write(FILES, tmp_path)
    policy = rules / "policies" / "drug.yaml"
    policy.write_bytes(policy.read_text().replace("A drug", "Un m\u00e9dicament").encode("latin-1"))
    (problem,) = load(rules, forms).errors
    assert (problem.file, problem.line) == ("policies/drug.yaml", 2)
    assert "UTF-8" in problem.message


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("payer.yaml", "The file is missing."),
        (ROUTES_FILE, "The file is missing."),
        ("lists/drug.csv", "There is no list 'drug'."),
        (FORM_PATH, "There is no form 'form'."),
    ],
)
def test_missing_files(path: str, message: str) -> None:
    files = {name: text for name, text in FILES.items() if name != path}
    assert message in {problem.message for problem in wrong(files)}


@pytest.mark.parametrize("path", ["policies/drug.yaml", "guidance/card.yaml", "crosswalks/drugs.csv"])
def test_files_a_payer_may_do_without(path: str) -> None:
    assert path not in built({name: text for name, text in FILES.items() if name != path}).files


@pytest.mark.parametrize(
    ("form", "column", "message"),
    [
        (json.dumps({**FORM, "version": None}), "version", "lacks a version"),
        (json.dumps({**FORM, "version": "1|2"}), "version", "not a version"),
        (json.dumps({key: value for key, value in FORM.items() if key != "version"}), "version", "lacks a version"),
        (json.dumps({key: value for key, value in FORM.items() if key != "url"}), "url", "lacks a url"),
        (json.dumps({**FORM, "id": "../form"}), "id", "no id"),
        (json.dumps({**FORM, "resourceType": "Library"}), "resourceType", "not a Questionnaire"),
        ("[]", "resourceType", "not a Questionnaire"),
        ("{", None, "not JSON"),
        ("", None, "not JSON"),
    ],
)
def test_wrong_forms(form: str, column: str | None, message: str) -> None:
    problem = wrong(FILES | {FORM_PATH: form})[0]
    assert (problem.file, problem.column) == (FORM_PATH, column)
    assert message in problem.message


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("payer.yaml", ""),
        ("payer.yaml", "[1, 2]"),
        ("policies/drug.yaml", "{"),
        ("policies/drug.yaml", "- 1"),
        ("guidance/card.yaml", "null"),
        ("lists/drug.csv", ""),
        (ROUTES_FILE, ""),
        (ROUTES_FILE, "rule_id\nx\n"),
    ],
)
def test_garbage_never_goes_live(path: str, text: str) -> None:
    assert path in {problem.file for problem in wrong(FILES | {path: text})}


def test_every_file_tells_its_own_problems() -> None:
    files = edited("policies/drug.yaml", "contact: desk", "contact: dsk")
    files |= {"lists/disease.csv": "system\nX\n", "guidance/card.yaml": "guidance: card\n"}
    assert {problem.file for problem in wrong(files)} == {
        "policies/drug.yaml",
        "lists/disease.csv",
        "guidance/card.yaml",
    }


ROUTE = {
    "rule_id": "infused", "title": "Infused", "status": "approved", "band": "1", "effective_from": "2026-01-01",
    "lob": "commercial", "plan_id": "gold", "match_system": "HCPCS", "match_code": "J1745", "route": "intravenous",
    "dose_form": "vial", "condition_flag": "esrd", "track": "medical", "pa": "yes", "clock_profile": "items",
    "handoff": "rx", "explanation_text": "Given by a professional.", "source_url": "https://example.org",
    "source_section": "1", "retrieved": "2026-11-01", "licence_note": "illustration", "author": "a", "approver": "b",
    "approved_at": "2026-11-02",
}  # fmt: skip


def routed(cells: dict[str, str]) -> dict[str, str]:
    header = FILES[ROUTES_FILE].strip().split(",")
    return FILES | {ROUTES_FILE: FILES[ROUTES_FILE] + ",".join(cells.get(name, "") for name in header) + "\n"}


def test_routing_table() -> None:
    assert len(built(routed(ROUTE)).table) == 1


@pytest.mark.parametrize(
    "column", ["lob", "plan_id", "route", "dose_form", "condition_flag", "clock_profile", "handoff"]
)
def test_the_routing_table_may_only_use_words_the_rulebook_knows(column: str) -> None:
    word = "unheard-of"
    (problem,) = wrong(routed(ROUTE | {column: word}))
    assert (problem.file, problem.line, problem.column) == (ROUTES_FILE, 2, column)
    assert "unheard-of" in problem.message


@pytest.mark.parametrize(
    ("codes", "policies", "cards"),
    [
        ([("HCPCS", "J1745")], ["drug"], ["card"]),
        ([("RxNorm", "191831"), ("HCPCS", "J1745")], ["drug"], ["card"]),
        ([("RxNorm", "191831")], ["drug"], []),
        ([("HCPCS", "E0431")], ["oxygen"], []),
        ([("HCPCS", "E0431"), ("HCPCS", "E0432"), ("RxNorm", "191831")], ["oxygen", "drug"], []),
        ([("HCPCS", "E1")], [], []),
        ([], [], []),
    ],
)
def test_rules_about_codes(codes: list[Code], policies: list[str], cards: list[str]) -> None:
    oxygen = FILES["policies/drug.yaml"].replace("policy: drug", "policy: oxygen").replace("list:drug", "[HCPCS E04*]")
    book = built(FILES | {"policies/oxygen.yaml": oxygen})
    assert [policy.scope.slug for policy in book.policies_about(codes)] == policies
    assert [guidance.scope.slug for guidance in book.guidance_about(codes)] == cards


def concept(*codings: dict[str, str]) -> dict[str, Any]:
    return {"coding": list(codings), "text": "words"}


@pytest.mark.parametrize(
    ("value", "name", "found"),
    [
        # a Coding
        ({"system": HCPCS, "code": "J1745"}, "drug", True),
        ({"system": HCPCS.replace("https:", "http:"), "code": "j1745"}, "drug", True),
        ({"system": HCPCS, "code": "J1746"}, "drug", False),
        ({"system": SNOMED, "code": "J1745"}, "drug", False),
        ({"code": "J1745"}, "drug", False),
        ({"system": ICD10CM, "code": "K5090"}, "disease", True),
        # facts, whose systems are short names
        ({"system": "HCPCS", "code": "J1745"}, "drug", True),
        # a CodeableConcept, as a whole
        (concept({"system": HCPCS, "code": "J9999"}, {"system": HCPCS, "code": "J1745"}), "drug", True),
        (concept({"system": HCPCS, "code": "J9999"}), "drug", False),
        # words, or systems the list does not speak: not known
        (concept(), "drug", None),
        ({"text": "a drug"}, "drug", None),
        (concept({"system": SNOMED, "code": "1"}), "drug", None),
        # a code, which names no system
        ("J1745", "drug", True),
        ("j1745", "drug", True),
        ("K50.90", "disease", True),
        ("K5090", "disease", True),
        ("34000006", "disease", True),
        ("K51.90", "disease", False),
        ("", "disease", False),
        # a list nobody defined: not known, rather than not a member
        ({"system": HCPCS, "code": "J1745"}, "drugs", None),
        ("J1745", "drugs", None),
    ],
)
def test_member_of(value: Any, name: str, found: bool | None) -> None:
    book = built(FILES)
    assert book.member_of(value, f"list:{name}") is found
    assert book.member_of(value, name) is found


def test_warnings_are_no_errors() -> None:
    warning, error = Problem("f", 1, None, "x", "y", "warning"), Problem("f", 2, None, "x", "y")
    assert Loaded(None, (warning, error)).errors == (error,)
