"""The owner's page: pictures with their figures, and the same as CSV."""

from __future__ import annotations

import csv
import io
import re
from xml.etree import ElementTree

import pytest
from flask import Flask

from app.console import charts
from tests.ehr_actions import EhrActions, example
from tests.web.console.conftest import LogIn


def test_figures_of_real_calls(app: Flask, ehr: EhrActions, log_in: LogIn) -> None:
    for _ in range(3):
        for name in ("infusion", "self-injected", "mri"):
            ehr.sign(example(name))
    ehr.post("order-sign-crd", b"garbage")
    vera = log_in("vera")
    page = vera.get("/figures").text
    assert "<strong>10</strong> calls" in page
    assert "<strong>100.0 %</strong> within budget" in page
    told = {
        name: list(csv.reader(io.StringIO(vera.get(f"/figures/{name}.csv").text)))
        for name in ("volumes", "in-time", "benefits", "answers", "feedback", "slowest-rules")
    }
    assert sorted(told["benefits"][1:]) == [["medical", "3"], ["no drug", "3"], ["pharmacy", "3"]]
    assert told["volumes"][-1][1] == "10"
    assert told["in-time"][-1][1] == "100"
    assert sum(int(row[1]) for row in told["answers"][1:]) == 9
    assert {"route:infliximab", "route:adalimumab"} <= {row[0] for row in told["slowest-rules"]}
    assert ["infliximab-biosimilar-first", "0", "3", "0", "0", "3"] in told["feedback"]
    assert vera.get("/figures/nobody.csv").status_code == 404
    assert len(told["volumes"]) == 31
    assert len(list(csv.reader(io.StringIO(vera.get("/figures/volumes.csv", days="7").text)))) == 8


def test_nothing_yet(log_in: LogIn) -> None:
    assert "No call was answered in these days." in log_in("vera").get("/figures").text


@pytest.mark.parametrize(
    "made",
    [
        charts.columns("A & <b>", ("day", "calls"), [("2026-11-01", 3), ('"<x>"', 0)]),
        charts.columns("None", ("day", "calls"), []),
        charts.line("L", ("day", "%"), [("a", 90.0), ("b", None), ("c", 100.0)], mark=90, top=100),
        charts.bars("B", ("rule", "ms", "more"), [("<i>", 12.5, "accent")], unit=" ms", more=[(1,)]),
        charts.flows("F", ("before", "after", "n"), [("medical", "pharmacy", 3), ("<x>", "none", 1)]),
    ],
    ids=lambda made: made.title,
)
def test_pictures_are_whole_and_escaped(made: charts.Chart) -> None:
    picture = ElementTree.fromstring(made.svg)
    assert picture.get("aria-label") == made.title
    assert not picture.findall(".//b") + picture.findall(".//i") + picture.findall(".//x")
    assert " style=" not in made.svg
    for row in made.rows:
        assert len(row) == len(made.head)
    numbers = re.findall(r'(?:width|height|y|cy)="(-?[\d.]+)"', made.svg)
    assert all(float(number) >= 0 for number in numbers)
