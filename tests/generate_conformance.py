"""docs/conformance.md and docs/conformance-dtr.md, made from tests/conformance.

`python -m tests.generate_conformance` writes them. tests/conformance/test_requirements_document.py fails when a page is
not what `page()` gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from app.hooks.discovery import VERSIONS
from app.settings import ROOT
from tests.conformance.requirements import CRD, DTR, MANDATORY, Guide, Statement, statements

PAGES: dict[Path, Guide] = {
    ROOT / "docs" / "conformance.md": CRD,
    ROOT / "docs" / "conformance-dtr.md": DTR,
}
_ABOUT = {
    CRD: f"""# Conformance to Da Vinci CRD

What the Coverage Requirements Discovery guide (CRD 2.2.1) asks of a server, statement by statement, and how
Signpost shows that it does it. The service speaks CRD {" and ".join(VERSIONS)}.

The ids are those of the guide's own list of
[narrative requirements](http://hl7.org/fhir/us/davinci-crd/Requirements/fromNarrative).""",
    DTR: """# Conformance to Da Vinci DTR

What the Documentation Templates and Rules guide (DTR 2.2.0) asks of a payer's server, statement by statement, and how
Signpost shows that it does it. The service speaks DTR 2.0 and 2.2; Inferno's payer suite for 2.0 is restated in
`tests/conformance/inferno_dtr.py`, with the one place where it contradicts itself.

The ids are those of the guide's own list of
[narrative requirements](http://hl7.org/fhir/us/davinci-dtr/Requirements/fromNarrative).""",
}
_FILES = {
    CRD: "`tests/conformance/requirements.yaml`, `tests/conformance/unshown.yaml`",
    DTR: "`tests/conformance/dtr_requirements.yaml`, `tests/conformance/dtr_unshown.yaml`",
}

INTRODUCTION = """{about} What a statement asks is told
here in our words; where a word matters, read it there.

{results}
Results are not typed in after a run. A test that shows something must pass for the build to pass, and this page must be
what the tests and their notes make it: {files} and the
marks in `tests/conformance/`. To run everything again:

    make test                                 # all tests; fails when this page is out of date
    python -m tests.generate_conformance      # writes this page anew

Tests that read the guide's own packages look for them where `SIGNPOST_IG_DIR` says, and those that ask HL7's validator
need Java and Maven; without these they are skipped and say so.
"""

RESULTS = {
    "shown": "The tests named call the service, or the part of it that decides, and fail when this is broken.",
    "shown in part": "So they do, but for what is said beside them.",
    "no test can show": "It is about people, organizations or a payer's words, or does not apply; the reason is given.",
    "not met": "The service does not do it today, or not always; what is missing is said. Where there is a test of it, "
    "it is marked to fail, and the build breaks on the day it passes, until this page says so.",
    "not yet judged": "Nobody has looked at it yet.",
}


def page(guide: Guide) -> str:
    """The whole page of a guide."""
    every = statements(guide)
    server = [each for each in every if each.actor == "server"]
    must = [each for each in server if each.level in MANDATORY]
    groups = {
        "What a server must do": must,
        "What a server should do": [each for each in server if each.level not in MANDATORY],
        "What is asked of the payer's organization": [each for each in every if each.actor != "server"],
    }
    groups = {title: group for title, group in groups.items() if group}
    results = _table(("result", "means"), RESULTS.items())
    introduction = INTRODUCTION.format(about=_ABOUT[guide], results=results, files=_FILES[guide])
    parts = [introduction, "## Totals\n", _totals(groups)]
    not_met = [each for each in must if each.result == "not met"]
    if not_met:
        parts += ["## Not met\n", _table(("requirement", "what is missing"), ((e.key, e.words) for e in not_met))]
    for title, group in groups.items():
        parts += [f"## {title}\n", _statements(group)]
    return "\n".join(parts)


def _totals(groups: dict[str, list[Statement]]) -> str:
    rows = [
        (title, *(str(sum(_result(each) == name for each in group)) for name in RESULTS), str(len(group)))
        for title, group in groups.items()
    ]
    return _table(("", *RESULTS, "all"), rows)


def _result(statement: Statement) -> str:
    return "shown in part" if statement.in_part else statement.result


def _statements(group: Sequence[Statement]) -> str:
    rows = []
    for each in group:
        result = _result(each)
        shown = [f"`{node.removeprefix('tests/')}`" for node in each.tests]
        how = "<br>".join([*([each.words] if each.words else []), *shown])
        rows.append((each.key, each.level, each.says, f"**{result}**" if result == "not met" else result, how))
    return _table(("requirement", "level", "what it asks", "result", "shown by, or why not"), rows)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(cell.strip().replace('|', '&#124;') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    for path, guide in PAGES.items():
        path.write_text(page(guide), encoding="utf-8")
