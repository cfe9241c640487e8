"""Both ways a form is filled, the server's FHIRPath and the clients' CQL, give the same answers on the same patients.

The CQL runs in cql-execution, an engine of others; it needs Node.js, and the packages of tools/cql (`npm ci`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import main
from app.cli.questionnaires.build import missing, run_node
from app.dtr import extensions
from app.dtr.answer_space import codings_in
from app.dtr.bundle_data import from_bundle, order_in
from app.dtr.cases import Case, answers, plain, read_cases
from app.dtr.cql.resource import ELM, content
from app.dtr.populate import populate
from app.fhir import security_labels
from app.fhir.json import encode
from app.rulebook.prefill import walk
from app.rulebook.rulebook import Rulebook
from app.settings import ROOT

needs_node = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def definitions(form: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """linkId, type and the definition of the form's library that fills the item."""
    for link_id, (item, _) in walk(form.get("item")):
        for expression in extensions.values(item, extensions.INITIAL_EXPRESSION, "valueExpression"):
            assert expression["language"] == "text/cql-identifier"
            library, _, name = expression["expression"].partition(".")
            assert library == f'"{form["name"]}"'
            yield link_id, item["type"], name


def test_every_prefilled_item_has_both_twins(sample_rulebook: Rulebook) -> None:
    for slug, form in sample_rulebook.forms.items():
        prefill = sample_rulebook.prefills.get(slug)
        asked = prefill.items.items() if prefill else ()
        # What stands in the payer's own file of the member no client can know.
        shared = {link_id for link_id, source in asked if "member" not in source.expression.variables}
        assert {link_id for link_id, _, _ in definitions(form)} == shared, slug


@needs_node
def test_both_twins_give_the_same_answers(sample_rulebook: Rulebook) -> None:
    cases, _ = read_cases(ROOT / "questionnaires", sample_rulebook)
    given = {
        "libraries": [json.loads(content(each, ELM) or "") for each in sample_rulebook.libraries],
        "cases": [
            {
                "library": sample_rulebook.forms[case.form]["name"],
                "on": case.on.isoformat(),
                "bundle": shown(case),
                "order": order_in(case.bundle),
            }
            for case in cases
        ],
    }
    results = json.loads(run_node("run.mjs", encode(given).decode()))
    compared = 0
    for case, result in zip(cases, results, strict=True):
        form, server = sample_rulebook.forms[case.form], server_answers(case, sample_rulebook)
        for link_id, kind, name in definitions(form):
            if link_id not in server and link_id not in case.expect:
                continue  # not enabled yet, so the server does not fill it; a client asks when it is
            client = tuple(answer(kind, each) for each in listed(result[name]))
            assert sorted(client, key=str) == sorted(server.get(link_id, ()), key=str), f"{case.place}: {link_id}"
            compared += bool(client)
    assert compared > len(sample_rulebook.prefills)


@needs_node
def test_what_is_committed_is_what_would_be_built() -> None:
    result = CliRunner().invoke(main, ["questionnaires", "build", "--check"])
    assert result.exit_code == 0, result.output


def shown(case: Case) -> dict[str, Any]:
    """What of the patient a client shows: what is restricted it does not give to the form either."""
    kept = [each for each in case.bundle["entry"] if not security_labels.restricted(each["resource"])]
    return {**case.bundle, "entry": kept}


def server_answers(case: Case, rulebook: Rulebook) -> Mapping[str, Any]:
    prefill = rulebook.prefills.get(case.form)
    now = datetime.combine(case.on, time(), tzinfo=UTC)
    data = from_bundle(case.bundle, prefill, rulebook, now=now, member=case.member, partial=case.partial)
    return answers(populate(rulebook.forms[case.form], prefill, data, "2.2", codings_in(rulebook.value_sets)))


def listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def answer(kind: str, value: Any) -> Any:
    """A result of the CQL as a case file writes an answer of an item of this type."""
    match kind:
        case "choice":
            return plain({"valueCoding": value})
        case "quantity":
            return plain({"valueQuantity": {**value, "value": Decimal(str(value["value"]))}})
        case "integer" | "decimal":
            return Decimal(str(value))
        case _:
            return value
