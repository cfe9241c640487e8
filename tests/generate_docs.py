"""The parts of docs/ that are made from the code. `python -m tests.generate_docs` writes them; test_docs.py checks.

A generated part stands between `<!-- generated: name -->` and `<!-- /generated -->`; the rest is written by hand.
"""

from __future__ import annotations

import csv
import inspect
import io
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from click.testing import CliRunner

from app import logs
from app.cli import main
from app.cli.answer_text import answer_text
from app.cli.rules.schema import TABLES, YAML_FILES
from app.crd.coverage_information import OWN_DETAILS
from app.crd.gather import RECORD_PREFETCH, RECORD_TYPES
from app.crd.service import CrdService
from app.encryption import Encryption
from app.fhir.ehr import ConnectionPool, HostPolicy
from app.hooks.configuration import CARD_TYPES, DEFAULT_MAX_CARDS
from app.hooks.discovery import discovery
from app.ledger import Ledger
from app.members import MemberDirectory
from app.members.roster import Roster
from app.rulebook.keeper import FileKeeper
from app.rulebook.lints import LINTS
from app.rulebook.standards import STATUSES
from app.settings import ROOT, Settings
from app.web.instruments import COUNTED
from app.web.metrics import Standing
from benefit_router import COLUMNS, Column, Table
from benefit_router.columns import LEVEL_WEIGHTS
from tests.ehr_actions import COVERAGE_INFORMATION
from tests.schema_keys import every_key

DOCS = ROOT / "docs"
SAMPLES = ("mri", "infusion", "self-injected")
_PART = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- /generated -->)", re.DOTALL)


def write() -> None:
    """Write every generated part of docs/ anew."""
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        fresh = renewed(text)
        if fresh != text:
            path.write_text(fresh, encoding="utf-8")


def renewed(text: str) -> str:
    """A page with its generated parts as they must be now."""
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part['name']]()}\n{part[3]}", text)


def parts_of(text: str) -> list[str]:
    """Names of the generated parts of a page."""
    return [part["name"] for part in _PART.finditer(text)]


def settings() -> str:
    """Every setting."""
    rows = []
    for name, setting in Settings.model_fields.items():
        default = _default(setting.default)
        rows.append((f"`{name}`", f"`SIGNPOST_{name.upper()}`", default, _cell(setting.description or "")))
    return _table(("setting", "environment variable", "default", "meaning"), rows)


def _default(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Path):
        return f"`{value.relative_to(ROOT) if value.is_absolute() else value}`"
    return f"`{','.join(value) if isinstance(value, tuple) else str(value).lower()}`"


def commands() -> str:
    """Every command with its arguments and options."""
    return "\n\n".join(_command(name, command) for name, command in every_command(main, "signpost"))


def every_command(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    """Commands that do something, with their full names."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _command(name: str, command: click.Command) -> str:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    usage = " ".join([name, *(argument.make_metavar(click.Context(command)) for argument in arguments)])
    lines = [f"### `{usage}`", "", inspect.cleandoc(command.help or "")]
    rows = [
        (f"`{' '.join([each.opts[0], *([] if each.is_flag else [each.make_metavar(click.Context(command))])])}`",
         f"`{each.default}`" if each.show_default else "", _cell(each.help or ""))
        for each in command.params
        if isinstance(each, click.Option)
    ]  # fmt: skip
    if rows:
        lines += ["", _table(("option", "default", "meaning"), rows)]
    return "\n".join(lines)


def routing_columns() -> str:
    """Every column of the routing table."""
    rows = []
    for column in COLUMNS:
        allowed = ", ".join(f"`{word}`" for word in column.words) or _VOCABULARIES.get(column.vocabulary, "")
        required = "required" if column.required else ""
        weight = str(column.weight or "")
        rows.append((f"`{column.name}`", required, _cell(column.meaning), f"`{column.example}`", allowed, weight))
    return _table(("column", "", "meaning", "example", "allowed", "weight"), rows)


def table_columns(table: Table) -> str:
    """Every column of a small table."""
    rows = [
        (f"`{column.name}`", _needed(column), _cell(column.meaning), f"`{column.example}`") for column in table.columns
    ]
    return _table(("column", "", "meaning", "example"), rows)


def _needed(column: Column) -> str:
    if not column.required:
        return ""
    return "required; may be blank" if column.blank_ok else "required"


def table_files() -> str:
    """Every kind of rule file with its schema, as an editor's settings map them."""
    rows = [(f"`rules/{file}`", f"`{name}.json`", "YAML") for name, file in YAML_FILES.items()]
    rows += [(f"`rules/{table.file}`", f"`{table.name}.json`", "CSV, as a list of rows") for table in TABLES]
    return _table(("file", "schema", "of"), rows)


def standards_statuses() -> str:
    """Every status of standards.csv."""
    return _table(("status", "meaning"), [(f"`{name}`", words) for name, words in STATUSES.items()])


_VOCABULARIES = {
    "lob": "`lines` of payer.yaml",
    "plan": "`plans` of payer.yaml",
    "route": "routes of crosswalks/routes.csv and dose_forms.csv",
    "dose_form": "dose forms of crosswalks/dose_forms.csv",
    "flag": "`flags` of payer.yaml",
    "questionnaire": "folders of questionnaires/",
    "clock": "`clocks` of payer.yaml",
    "handoff": "`pharmacy` of payer.yaml",
}


def match_weights() -> str:
    """What each match level adds to specificity."""
    rows = [(f"`{level}`", str(weight)) for level, weight in LEVEL_WEIGHTS.items()]
    return _table(("match_level", "weight"), rows)


def keys(kind: str) -> str:
    """Every key of one kind of YAML file."""
    rows = [(f"`{path}`", required, allowed, _cell(meaning)) for path, required, allowed, meaning in every_key(kind)]
    return _table(("key", "", "value", "meaning"), rows)


def lints() -> str:
    """Every lint of the rules."""
    return _table(("lint", "severity", "finds"), [(f"`{each.id}`", each.severity, each.meaning) for each in LINTS])


def card_types() -> str:
    """The configuration options a request may carry."""
    rows = [(f"`{code}`", "boolean", "`true`", f"{name}: {words}") for code, (name, words) in CARD_TYPES.items()]
    rows.append(("`max-cards`", "integer", f"`{DEFAULT_MAX_CARDS}`", "The most cards to return, most important first"))
    return _table(("code", "type", "default", "meaning"), rows)


def own_details() -> str:
    """Detail codes that CRD does not have."""
    return _table(("code", "meaning"), [(f"`{code}`", meaning) for code, meaning in OWN_DETAILS.items()])


def prefetch() -> str:
    """Every prefetch key of the discovery document, with its query."""
    service = discovery("", ())["services"][0]
    long = re.compile(r"\{\{[^}]{60,}\}\}")
    rows = [(f"`{key}`", f"`{long.sub('…', query)}`") for key, query in service["prefetch"].items()]
    return _table(("key", "query"), rows)


def record_prefetch() -> str:
    """Prefetch keys that spare a read of the record."""
    rows = [(f"`{key}`", RECORD_TYPES[kind], f"`{kind}`") for kind, key in RECORD_PREFETCH.items()]
    return _table(("key", "holds", "`needs` of a rule"), rows)


def example_action() -> str:
    """The coverage-information that the infusion example gets."""
    with _service() as (service, _):
        action = json.loads(service.answer("order-sign-crd", _sample("infusion")).body)["systemActions"][0]
    found = [each for each in action["resource"]["extension"] if each["url"] == COVERAGE_INFORMATION]
    return f"```json\n{json.dumps(found[0], indent=2)}\n```"


def example_texts() -> str:
    """The three examples as `signpost hook` prints them."""
    shown = []
    with _service() as (service, _):
        for name in SAMPLES:
            answered = service.answer("order-sign-crd", _sample(name))
            text = answer_text(json.loads(_sample(name)), json.loads(answered.body))
            shown += [f"$ signpost hook docs/examples/order-sign-{name}.json", text, ""]
    return _console("\n".join(shown))


def ledger_show() -> str:
    """What the ledger tells of the infusion example."""
    with _service() as (service, folder):
        answered = service.answer("order-sign-crd", _sample("infusion"))
        assertion = re.search(r'"coverage-assertion-id","valueString":"([^"]+)"', answered.body.decode())
        assert assertion is not None
        told = _run("ledger", "show", assertion[1], "--data-dir", str(folder))
    told = re.sub(r"after [0-9.]+ ms", "after 2.2 ms", told)
    told = re.sub(r"(Rulebook +)[0-9a-f]{64}", r"\1(hash of the rule files)", told)
    return _console(f"$ signpost ledger show {assertion[1]}\n{told}")


def populated_example() -> str:
    """What `signpost questionnaires populate` shows of the first case of home oxygen."""
    data = "questionnaires/home-oxygen/cases/low-saturation.json"
    told = _run("questionnaires", "populate", "home-oxygen", "--data", str(ROOT / data), "--on", "2026-11-20")
    return _console(f"$ signpost questionnaires populate home-oxygen --data {data} --on 2026-11-20\n{told}")


def refused_edit() -> str:
    """What `signpost rules check` says of two slips of the pen."""
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(shutil.copytree(ROOT / "rules", Path(folder) / "rules"))
        for file, before, after in (
            ("policies/home-oxygen.yaml", "pa: auth-needed", "pa: auth-neded"),
            ("benefit_routes.csv", "\nrituximab,", "\nrituximab x,"),
        ):
            path = rules / file
            path.write_text(path.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
        return _console(f"$ signpost rules check\n{_run('rules', 'check', '--rules', str(rules))}")


def explained() -> str:
    """The infusion example explained, without its facts."""
    told = _run("rules", "explain", "docs/examples/order-sign-infusion.json", "--on", "2026-11-22")
    told = re.sub(r"rulebook [0-9a-f]{12}", "rulebook (hash of the rule files)", told)
    told = re.sub(r"(?<=Facts\n)(  .*\n)+", "  ...\n", told)
    return _console(f"$ signpost rules explain docs/examples/order-sign-infusion.json --on 2026-11-22\n{told}")


def compared_rules() -> str:
    """What `signpost rules diff` says of a drug that moves, a stricter policy and a row nobody notices."""
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(shutil.copytree(ROOT / "rules", Path(folder) / "rules"))
        table, policy = rules / "benefit_routes.csv", rules / "policies" / "lumbar-mri.yaml"
        text = table.read_text(encoding="utf-8")
        header = next(csv.reader([text.splitlines()[0]]))
        (line,) = [line for line in text.splitlines() if line.startswith("adalimumab,")]
        row = dict(zip(header, next(csv.reader([line])), strict=True))
        day = "2027-07-01"
        moved = row | {"rule_id": "adalimumab-medical", "effective_from": day, "track": "medical", "handoff": ""}
        silent = row | {"rule_id": "adalimumab-weaker", "band": "7"}
        written = [row | {"effective_to": day}, moved, silent]
        text = text.replace(line, "\n".join(_csv_line(each, header) for each in written))
        table.write_text(text, encoding="utf-8")
        policy.write_text(
            policy.read_text(encoding="utf-8").replace("pa: no-auth", "pa: auth-needed", 1), encoding="utf-8"
        )
        told = _run("rules", "diff", str(ROOT / "rules"), str(rules), "--since", "2026-11-22")
    told = re.sub(r"Rulebook \w+ to \w+", "Rulebook (old hash) to (new hash)", told)
    return _console(f"$ signpost rules diff HEAD:rules rules\n{told}")


def _csv_line(row: dict[str, str], header: list[str]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, header, lineterminator="").writerow(row)
    return text.getvalue()


def mutated_rules() -> str:
    """Changes of one routing row that the sample's scenarios do not notice."""
    arguments = ("rules", "test", "--mutate", "--rule", "route:ma-denosumab", "--jobs", "1")
    told = re.sub(r"^\d+ passed", "(all) passed", _run(*arguments))
    return _console(f"$ signpost {' '.join(arguments[:-2])}\n{told}")


def _run(*arguments: str) -> str:
    return CliRunner().invoke(main, arguments).output


def _console(text: str) -> str:
    return f"```\n{text.rstrip()}\n```"


def _sample(name: str) -> bytes:
    return (DOCS / "examples" / f"order-sign-{name}.json").read_bytes()


@contextmanager
def _service() -> Iterator[tuple[CrdService, Path]]:
    """The service on a fixed day, with counted ids and a ledger in a folder of its own."""
    numbers = count(1)
    with tempfile.TemporaryDirectory() as folder:
        made = Settings(sandbox=True, data_dir=Path(folder), rules_interval=0)
        ledger = Ledger.open(made.ledger_url, synchronous="normal")
        yield (
            CrdService(
                made,
                FileKeeper(made.rules, made.questionnaires, interval=0),
                lambda _: MemberDirectory([Roster.read(made.roster_path)]),
                ConnectionPool(HostPolicy(None)),
                ledger,
                encryption=Encryption.of([], made.key_path),
                clock=lambda: datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
                new_id=lambda: str(UUID(int=next(numbers))),
            ),
            Path(folder),
        )
        ledger.close()


def _cell(text: str) -> str:
    """Text that may stand in a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def figures() -> str:
    """Every metric of GET /metrics, as its own HELP tells it."""
    rows = []
    for collector in (
        *COUNTED._collector_to_names,
        Standing(FileKeeper(ROOT / "rules", ROOT / "questionnaires", interval=0)),
    ):
        names = tuple(getattr(collector, "_labelnames", ()))
        for family in collector.collect():
            labels = names or tuple(sorted({label for sample in family.samples for label in sample.labels}))
            name = f"{family.name}_total" if family.type == "counter" else family.name
            rows.append((f"`{name}`", family.type, ", ".join(f"`{label}`" for label in labels), family.documentation))
    return _table(("metric", "kind", "labels", "what"), rows)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


PARTS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "commands": commands,
    "routing-columns": routing_columns,
    "lints": lints,
    "figures": figures,
    "schema-files": table_files,
    **{
        f"{table.name.replace('_', '-')}-columns": partial(table_columns, table)
        for table in TABLES
        if table.name != "benefit_routes"
    },
    "standards-statuses": standards_statuses,
    "match-weights": match_weights,
    "payer-keys": lambda: keys("payer"),
    "policy-keys": lambda: keys("policy"),
    "guidance-keys": lambda: keys("guidance"),
    "scenarios-keys": lambda: keys("scenarios"),
    "prefill-keys": lambda: keys("prefill"),
    "cases-keys": lambda: keys("cases"),
    "card-types": card_types,
    "own-details": own_details,
    "prefetch": prefetch,
    "record-prefetch": record_prefetch,
    "example-action": example_action,
    "example-texts": example_texts,
    "ledger-show": ledger_show,
    "refused-edit": refused_edit,
    "populated-example": populated_example,
    "mutated-rules": mutated_rules,
    "explained": explained,
    "compared-rules": compared_rules,
}

if __name__ == "__main__":
    logs.configure("error")
    write()
