"""Every mistake a benefit admin or a spreadsheet can make: where it is told, and what to do about it."""

from __future__ import annotations

from datetime import date

import pytest

from benefit_router import COLUMNS, CodeList, DrugCatalog, Outcome, Problem, Vocabulary, decide, read_table
from benefit_router.columns import LEVEL_WEIGHTS, MATCH_LEVELS
from benefit_router.rule import AgeRange, Flag, Indication, OneOf, Provenance, Stated
from tests.benefit_router.orders import FILE, ROW, order, problems_of, product, rule_of, table_text

PIDD = CodeList.of("list:pidd", [("ICD-10-CM", "D80*")])
VOCABULARY = Vocabulary(
    lists={"pidd": PIDD, "oncology": CodeList.of("list:oncology", [("HCPCS", "J9312"), ("HCPCS", "J99*")])},
    words={
        "lob": ("ma", "commercial"),
        "route": ("intravenous", "subcutaneous"),
        "dose_form": ("vial", "solution, for inhalation"),
        "flag": ("esrd",),
        "questionnaire": ("infliximab",),
    },
)
DRUG = {"match_system": "HCPCS", "match_code": "J9312"}


def _told(problems: list[Problem], line: int | None, column: str | None, message: str, remedy: str) -> None:
    (found,) = problems
    assert (found.file, found.line, found.column, found.severity) == (FILE, line, column, "error")
    assert message in found.message
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("column", "cells", "message", "remedy"),
    [
        pytest.param("title", {"title": ""}, "empty", "for example 'Rituximab infusion", id="required cell empty"),
        pytest.param("rule_id", {"rule_id": "My Row"}, "not a plain name", "lower-case letters", id="name"),
        pytest.param("status", {"status": "aproved"}, "'aproved'", "Did you mean 'approved'?", id="misspelt word"),
        pytest.param("track", {"track": "both"}, "'both'", "Allowed: medical, medical-bundled", id="no such word"),
        pytest.param("lob", {"lob": "comercial"}, "'comercial'", "'commercial'?", id="misspelt, known to the rulebook"),
        pytest.param("lob", {"lob": "ma, commercial"}, "has a comma", "';'", id="comma between words"),
        pytest.param("site_pos", {"site_pos": "11, 22"}, "has a comma", "';'", id="comma between free words"),
        pytest.param("site_pos", {"site_pos": ";"}, "names nothing", "blank", id="only a separator"),
        pytest.param("condition_flag", {"condition_flag": "!esdr"}, "'esdr'", "'esrd'?", id="misspelt flag"),
        pytest.param("band", {"band": "four"}, "not a whole number", "such as 4", id="no number"),
        pytest.param("band", {"band": "8"}, "outside 0 to 7", "what each band is for", id="band too high"),
        pytest.param("band", {"band": "-1"}, "outside 0 to 7", "what each band is for", id="band too low"),
        pytest.param("priority", {"priority": "1.5"}, "not a whole number", "such as 10", id="priority"),
        pytest.param("age_max", {"age_min": "65", "age_max": "17"}, "below the youngest", "Swap", id="ages crossed"),
        pytest.param(
            "effective_from",
            {"effective_from": "1/31/2026"},
            "another spelling",
            "2026-01-31",
            id="date otherwise",
        ),
        pytest.param("effective_from", {"effective_from": "46053"}, "number of a day", "2026-01-31", id="day number"),
        pytest.param("effective_from", {"effective_from": "2026-02-30"}, "not a date", "2026-01-31", id="no such day"),
        pytest.param("effective_from", {"effective_from": "20260131"}, "not a date", "2026-01-31", id="other ISO form"),
        pytest.param("approved_at", {"approved_at": "soon"}, "not a date", "2026-01-31", id="date of provenance"),
        pytest.param(
            "effective_to",
            {"effective_to": "2026-01-01"},
            "ends before it begins",
            "first day it no longer",
            id="no day",
        ),
        pytest.param("approver", {"approver": "a.author"}, "same person", "someone else", id="four eyes"),
        pytest.param(
            "match_code", {"match_code": "J9312"}, "has no code system", "Fill match_system", id="code of no system"
        ),
        pytest.param("match_system", {**DRUG, "match_system": "HCPC"}, "'HCPC'", "'HCPCS'?", id="misspelt system"),
        pytest.param(
            "match_level",
            {**DRUG, "match_level": "scd"},
            "not a HCPCS code",
            "match_system RxNorm",
            id="level of another",
        ),
        pytest.param("match_level", {**DRUG, "match_level": "hcpc"}, "'hcpc'", "'hcpcs'?", id="misspelt level"),
        pytest.param("match_code", {**DRUG, "match_code": "J9312, Q5115"}, "comma", "';'", id="comma between codes"),
        pytest.param("match_code", {**DRUG, "match_code": ";"}, "names nothing", "blank", id="separator for a code"),
        pytest.param("match_code", {"match_code": "list:pid"}, "no list 'pid'", "'list:pidd'?", id="misspelt list"),
        pytest.param("match_code", {"match_code": "list:x"}, "no list 'x'", "Add lists/x.csv", id="unknown list"),
        pytest.param("dx", {"dx": "list:pid; C50*"}, "no list 'pid'", "'list:pidd'?", id="misspelt list of diagnoses"),
        pytest.param("dx", {"dx": "cancer"}, "not a code of ICD-10-CM", "C50*", id="words for a diagnosis"),
        pytest.param(
            "match_code",
            {"match_system": "NDC", "match_code": "1.69406E+08"},
            "shortened by a spreadsheet",
            "as text",
            id="long code of a spreadsheet",
        ),
        pytest.param(
            "match_code",
            {"match_system": "NDC", "match_code": "16940601"},
            "'16940601' is not a code of NDC",
            "dropped leading zeros",
            id="three zeros dropped",
        ),
        pytest.param(
            "match_level",
            {"match_system": "NDC", "match_code": "169406012"},
            "ndc11 code has 11 digits",
            "dropped leading zeros",
            id="two zeros dropped look like a product",
        ),
        pytest.param(
            "match_level",
            {"match_system": "NDC", "match_level": "ndc9", "match_code": "00169406012"},
            "ndc9 code has 9 digits",
            "11 digits for a package",
            id="package as product",
        ),
        pytest.param(
            "requires_signals",
            {"requires_signals": "rout"},
            "'rout' is not a signal",
            "lob, state",
            id="no such signal",
        ),
        pytest.param("billing_codes", {"billing_codes": "J931"}, "not a billing code", "HCPCS J9312", id="billing"),
        pytest.param("billing_codes", {"billing_codes": "J93*"}, "not a billing code", "HCPCS", id="billing prefix"),
        pytest.param("billing_codes", {"billing_codes": "HCPCS J9312, J1745"}, "not a billing", "';'", id="bill comma"),
        pytest.param("administration_codes", {"administration_codes": "ICD 9"}, "not a billing", "CPT", id="system"),
        pytest.param("pa", {"pa": "maybe"}, "'maybe'", "Allowed: conditional, no, performer, yes", id="authorization"),
        pytest.param("pa", {"track": "undetermined", "pa": "no"}, "cannot say 'no'", "conditional", id="untold, free"),
        pytest.param(
            "pa", {"track": "undetermined", "pa": "yes"}, "cannot say 'yes'", "conditional", id="untold, asked"
        ),
        pytest.param(
            "info_needed", {"pa": "conditional"}, "what it waits for", "performer; location", id="conditional"
        ),
        pytest.param("handoff", {"track": "pharmacy"}, "who handles it", "PBM profile", id="pharmacy of nobody"),
        pytest.param(
            "questionnaire",
            {"track": "pharmacy", "handoff": "pbm", "questionnaire": "infliximab"},
            "NCPDP SCRIPT ePA",
            "empty",
            id="pharmacy with a form",
        ),
        pytest.param(
            "doc_purpose",
            {"track": "pharmacy", "handoff": "pbm", "doc_purpose": "withpa"},
            "NCPDP SCRIPT ePA",
            "empty",
            id="pharmacy with documents for authorization",
        ),
        pytest.param("questionnaire", {"questionnaire": "inflix"}, "'inflix'", "'infliximab'?", id="misspelt form"),
    ],
)
def test_a_wrong_cell_is_told_by_line_column_and_remedy(
    column: str, cells: dict[str, str], message: str, remedy: str
) -> None:
    good = {"rule_id": "good"}
    _told(problems_of(good, cells, vocabulary=VOCABULARY), 3, column, message, remedy)


def test_all_mistakes_are_told_at_once() -> None:
    found = problems_of({"band": "9", "lob": "mars; venus"}, {"rule_id": "b", "track": ""}, vocabulary=VOCABULARY)
    assert [(each.line, each.column) for each in found] == [(2, "band"), (2, "lob"), (2, "lob"), (3, "track")]


def test_a_name_stands_once() -> None:
    _told(problems_of({}, {"rule_id": "b"}, {}), 4, "rule_id", "'row' is also on line 2", "its own rule_id")


def test_empty_names_are_only_called_empty() -> None:
    found = problems_of({"rule_id": ""}, {"rule_id": ""})
    assert [(each.line, each.message) for each in found] == [(2, "The cell is empty."), (3, "The cell is empty.")]


def test_rows_that_nothing_ranks_never_load() -> None:
    clash = {**DRUG, "rule_id": "other", "track": "pharmacy", "handoff": "pbm"}
    _told(problems_of(DRUG, clash), 3, "rule_id", "'row' (line 2)", "priority")


NAMES = [column.name for column in COLUMNS]


@pytest.mark.parametrize(
    ("header", "column", "message", "remedy"),
    [
        ([*NAMES, "match_cod"], "match_cod", "no such column", "Did you mean 'match_code'?"),
        ([*NAMES, "zzz"], "zzz", "no such column", "Remove"),
        (["", *NAMES], "column 1", "no such column", "Remove"),
        ([*NAMES, "lob"], "lob", "stands twice", "Remove one"),
        ([name for name in NAMES if name != "track"], "track", "missing", "Add a column 'track'"),
    ],
)
def test_a_wrong_header_is_told(header: list[str], column: str, message: str, remedy: str) -> None:
    _told(problems_header(header), 1, column, message, remedy)


def problems_header(header: list[str]) -> list[Problem]:
    table, problems = read_table(table_text({}, header=header), file=FILE)
    assert table is None
    return problems


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ("", 1, "empty", "header line"),
        ('rule_id,"title\n', 1, "not CSV", "quotation marks"),
        (table_text({}) + '"unclosed,\n', 3, "not CSV", "quotation marks"),
        (table_text({}) + 'a,"b"c\n', 3, "not CSV", "quotation marks"),
        (table_text({}) + "one,two\n", 3, "2 cells", "double quotes"),
        (
            table_text({}).rstrip("\n") + ",more\n",
            2,
            f"{len(NAMES) + 1} cells, the header {len(NAMES)}",
            "double quotes",
        ),
    ],
)
def test_text_that_is_not_a_table_is_told(text: str, line: int, message: str, remedy: str) -> None:
    table, problems = read_table(text, file=FILE)
    assert table is None
    _told(problems, line, None, message, remedy)


def test_what_spreadsheets_and_people_add_does_no_harm() -> None:
    """A byte-order mark, Windows line ends, comments, blank lines and padded cells; lines still count from the file."""
    head, *rows = table_text({"title": 'A "quoted", title\nin two lines'}, {"rule_id": " padded "}).split("\n", 1)
    text = "\ufeff" + head + "\n# a comment, with a comma\n" + "," * (len(NAMES) - 1) + "\n\n" + rows[0]
    for spelled in (text, text.replace("\n", "\r\n")):
        table, problems = read_table(spelled, file=FILE)
        assert problems == []
        assert table is not None
        assert [(row.rule_id, row.line) for row in sorted(table.rules, key=lambda row: row.line)] == [
            ("row", 5),
            ("padded", 7),
        ]


@pytest.mark.parametrize("status", ["draft", "review", "retired"])
def test_only_approved_rows_go_live_but_all_are_checked(status: str) -> None:
    table, problems = read_table(table_text({"status": status, **DRUG}), file=FILE)
    assert problems == []
    assert table is not None
    assert len(table) == 0
    _told(problems_of({"status": status, "band": "9"}), 2, "band", "outside", "")


def test_a_drug_code_never_conflicts_with_a_draft_of_itself() -> None:
    clash = {**DRUG, "rule_id": "other", "status": "draft", "track": "none"}
    table, problems = read_table(table_text(DRUG, clash), file=FILE)
    assert problems == []
    assert table is not None


def test_every_cell_reaches_the_rule() -> None:
    row = rule_of(
        rule_id="full",
        priority="10",
        effective_to="2027-01-01",
        **DRUG,
        drug_class="oncology",
        lob="ma; commercial",
        state="any",
        plan_id="*",
        route="intravenous",
        derived_ok="yes",
        site_pos="11;22",
        dx="C50*; d80.0",
        condition_flag="esrd; !transplant",
        age_min="18",
        age_max="64",
        requires_signals="route; dx",
        billing_codes="J9312; CPT 96413; NDC 00169-4060-12",
        modifiers="JZ; JA",
        administration_codes="CPT 96413",
        pa="yes",
        questionnaire="rituximab",
        doc_purpose="withpa",
        clock_profile="partb",
        info_needed="location; OTH",
        explanation_text="Why",
        patient_text="Why, plainly",
        confidence="presumptive",
        source_section="2",
        approved_at="2026-01-02",
        change_ticket="CHG-1",
        test_refs="T02; T01",
    )
    assert (row.rule_id, row.title, row.band, row.priority, row.line) == ("full", "A row", 4, 10, 2)
    assert (row.effective_from, row.effective_to) == (date(2026, 1, 1), date(2027, 1, 1))
    assert row.codes == CodeList.of("J9312", [("HCPCS", "J9312")])
    assert row.drug_class == {"oncology"}
    assert row.conditions == (
        OneOf("lob", frozenset({"ma", "commercial"}), derived_ok=True),
        OneOf("route", frozenset({"intravenous"}), derived_ok=True),
        OneOf("site_pos", frozenset({"11", "22"}), derived_ok=True),
        Indication(CodeList.of("C50*; d80.0", [("ICD-10-CM", "C50*"), ("ICD-10-CM", "D80.0")])),
        Flag("transplant", expected=False),
        Flag("esrd", expected=True),
        AgeRange(18, 64),
        Stated("dx"),
        Stated("route"),
    )
    # HCPCS 24, class 8, line 4, route 8, site 8, diagnosis 8, two flags 8 each, two ages 2 each (notes 3.4)
    assert row.specificity == 24 + 8 + 4 + 8 + 8 + 8 + 16 + 4
    assert row.outcome == Outcome(
        track="medical",
        billing_codes=(("HCPCS", "J9312"), ("CPT", "96413"), ("NDC", "00169406012")),
        modifiers=("JA", "JZ"),
        administration_codes=(("CPT", "96413"),),
        pa="yes",
        questionnaire="rituximab",
        doc_purpose="withpa",
        clock_profile="partb",
        info_needed=("OTH", "location"),
        explanation="Why",
        patient_text="Why, plainly",
        confidence="presumptive",
    )
    assert row.provenance == Provenance(
        source_url=ROW["source_url"],
        source_section="2",
        retrieved=date(2026, 1, 1),
        licence_note=ROW["licence_note"],
        author="a.author",
        approver="b.approver",
        approved_at=date(2026, 1, 2),
        change_ticket="CHG-1",
        test_refs=("T01", "T02"),
    )


def test_a_handoff_reaches_the_rule() -> None:
    assert rule_of(track="pharmacy", handoff="sample-pbm", doc_purpose="withorder").outcome.handoff == "sample-pbm"


@pytest.mark.parametrize("column", ["route", "dose_form", "supply_channel", "phase"])
@pytest.mark.parametrize(("derived_ok", "expected"), [("", False), ("no", False), ("yes", True)])
def test_an_inferred_value_satisfies_a_row_only_when_it_says_so(column: str, derived_ok: str, expected: bool) -> None:
    words = {"supply_channel": "white", "phase": "induction"}
    (condition,) = rule_of(**{column: words.get(column, "vial")}, derived_ok=derived_ok).conditions
    assert condition == OneOf(column, frozenset({words.get(column, "vial")}), derived_ok=expected)


@pytest.mark.parametrize(
    ("system", "code", "level", "weight"),
    [
        ("RxNorm", "121191", "", LEVEL_WEIGHTS["scd"]),
        ("RxNorm", "121191", "ingredient", LEVEL_WEIGHTS["ingredient"]),
        ("NDC", "00169-4060-12", "", LEVEL_WEIGHTS["ndc11"]),
        ("NDC", "00169-4060", "ndc9", LEVEL_WEIGHTS["ndc9"]),
        ("HCPCS", "J9312; J93*", "", LEVEL_WEIGHTS["hcpcs"]),
        ("CPT", "96413", "", LEVEL_WEIGHTS["cpt"]),
        ("CVX", "08", "", LEVEL_WEIGHTS["cvx"]),
        ("", "*", "", 0),
        ("", "", "", 0),
        ("", "", "class", LEVEL_WEIGHTS["class"]),
        ("", "list:oncology", "", LEVEL_WEIGHTS["list"]),
    ],
)
def test_the_level_of_a_code_is_its_specificity(system: str, code: str, level: str, weight: int) -> None:
    cells = {"match_system": system, "match_code": code, "match_level": level}
    table, problems = read_table(table_text(cells), file=FILE, vocabulary=VOCABULARY)
    assert problems == []
    assert table is not None
    assert table.rules[0].specificity == weight


def test_every_level_has_a_weight() -> None:
    assert set(LEVEL_WEIGHTS) == set(MATCH_LEVELS)


@pytest.mark.parametrize(
    ("cells", "exact", "prefixes"),
    [
        ({"match_code": "list:oncology"}, {("HCPCS", "J9312")}, {("HCPCS", "J99")}),
        (
            {"match_system": "HCPCS", "match_code": "list:oncology; J1745;"},
            {("HCPCS", "J9312"), ("HCPCS", "J1745")},
            {("HCPCS", "J99")},
        ),
    ],
)
def test_lists_and_codes_in_one_cell(cells: dict[str, str], exact: set[object], prefixes: set[object]) -> None:
    table, _ = read_table(table_text(cells), file=FILE, vocabulary=VOCABULARY)
    assert table is not None
    codes = table.rules[0].codes
    assert isinstance(codes, CodeList)
    assert codes.exact == exact
    assert set(codes.prefixes) == prefixes


def test_a_word_of_the_rulebook_may_hold_a_comma() -> None:
    table, problems = read_table(
        table_text({"dose_form": "solution, for inhalation"}), file=FILE, vocabulary=VOCABULARY
    )
    assert problems == []
    assert table is not None


def test_a_table_answers_with_its_catalog() -> None:
    catalog = DrugCatalog.of([product("rituximab", ("RxNorm", "121191"), ("HCPCS", "J9312"))])
    table, _ = read_table(table_text(DRUG), file=FILE, catalog=catalog)
    assert table is not None
    assert decide(table, order(("RxNorm", "121191"))).rule_id == "row"


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Problem("f.csv", 3, "lob", "Wrong.", "Mend it."), "f.csv:3 [lob]: error: Wrong. Mend it."),
        (Problem("f.csv", None, None, "Wrong.", "", "warning"), "f.csv: warning: Wrong."),
    ],
)
def test_a_problem_in_one_line(problem: Problem, words: str) -> None:
    assert str(problem) == words


def test_rows_that_agree_share_their_parts_and_each_is_told_of_its_faults() -> None:
    """What repeats is read once; a fault that repeats is told for every row it stands in."""
    table, problems = read_table(
        table_text({"rule_id": "a"}, {"rule_id": "b", "match_system": "RxNorm", "match_code": "7"}), file=FILE
    )
    assert problems == []
    assert table is not None
    first, second = table.rules
    assert first.outcome is second.outcome
    assert first.provenance is second.provenance
    wrong = ({"rule_id": name, "track": "medcal"} for name in "ab")
    _, problems = read_table(table_text(*wrong), file=FILE)
    assert [(problem.line, problem.column) for problem in problems] == [(2, "track"), (3, "track")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_longer_than_what_is_split_at_once(end: str) -> None:
    """Every line is counted, also where the text is cut into pieces, and a cell may go on over the cut."""
    title = "x" * 999 + "\ny"
    count = 1200
    text = table_text(*({"rule_id": f"row-{n}", "title": title} for n in range(count)), {"band": "nine"})
    assert len(text) > 1 << 20
    _, problems = read_table(text.replace("\n", end), file=FILE)
    assert [(problem.line, problem.column) for problem in problems] == [(2 * count + 2, "band")]
