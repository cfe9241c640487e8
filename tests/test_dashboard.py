"""The Grafana dashboard asks only for what the service exports."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from app.settings import ROOT, Settings
from app.web.instruments import COUNTED
from tests.ehr_actions import EhrActions, example

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "signpost.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
_SELECTOR = re.compile(r"(signpost_\w+)\{([^}]*)\}")
_BY = re.compile(r"\bby \(([^)]*)\)")
# What Prometheus itself adds to every series it scrapes.
SCRAPED = {"job", "instance", "le"}


def queries(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


EVERY = [expr for panel in PANELS for expr in queries(panel)]
EVERY += [each["expr"] for each in DASHBOARD["annotations"]["list"]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of each series by its name, as `/metrics` gives them; of series nobody has seen yet, as declared."""
    app = create_app(Settings(sandbox=True, data_dir=tmp_path_factory.mktemp("data"), rules_interval=0))
    assert EhrActions(app.test_client()).sign(example("infusion")).status == 200
    families = list(text_string_to_metric_families(app.test_client().get("/metrics").text))
    app.extensions["ledger"].close()
    app.extensions["state"].close()
    declared = {name: set(each._labelnames) for each, names in COUNTED._collector_to_names.items() for name in names}
    found = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    return declared | found


@pytest.mark.parametrize("expr", EVERY)
def test_every_query_has_an_answer(expr: str, exported: dict[str, set[str]]) -> None:
    asked = _SELECTOR.findall(expr)
    assert asked
    assert len(asked) == expr.count("signpost_"), "each metric is asked for under the chosen job"
    for name, selectors in asked:
        assert name in exported
        assert set(re.findall(r"(\w+)\s*[=!]~?", selectors)) <= exported[name] | SCRAPED
        assert 'job=~"$job"' in selectors
    grouped = {label.strip() for group in _BY.findall(expr) for label in group.split(",")}
    assert grouped <= set.union(*(exported[name] for name, _ in asked)) | SCRAPED
    assert expr.count("(") == expr.count(")")


@pytest.mark.parametrize("expr", EVERY)
def test_every_query_is_promql(expr: str) -> None:
    promql = pytest.importorskip("promql_parser")
    promql.parse(re.sub(r"\$__\w+", "5m", expr))  # Grafana puts a duration there


def test_everything_exported_is_shown(exported: dict[str, set[str]]) -> None:
    shown = " ".join(EVERY)
    families = {
        re.sub(r"_(bucket|sum|count|created|total)$", "", name) for name in exported if name.startswith("signpost")
    }
    assert [name for name in sorted(families) if name not in shown] == []


def test_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
