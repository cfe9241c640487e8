"""How the service does, in pictures, each with its figures as a table and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, time, timedelta

from flask import Response, render_template, request

from app.console.charts import Chart
from app.console.figures import Figures
from app.errors import NotFound
from app.web.console.pages import blueprint, ledger, needs

_SPANS = (7, 30, 90)


@blueprint.get("/figures")
@needs("figures")
def figures() -> str:
    """The page of pictures."""
    told, charts, days = _counted()
    return render_template("console/figures.html", told=told, charts=charts, days=days, spans=_SPANS)


@blueprint.get("/figures/<name>.csv")
@needs("figures")
def figures_csv(name: str) -> Response:
    """One picture's figures."""
    _, charts, _ = _counted()
    if name not in charts:
        raise NotFound(f"There are no figures called {name}. There are {', '.join(charts)}.")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(charts[name].head)
    for row in charts[name].rows:
        writer.writerow([str(cell).replace(",", "") if n else cell for n, cell in enumerate(row)])
    kept = {"Content-Disposition": f'attachment; filename="signpost-{name}.csv"'}
    return Response(out.getvalue(), mimetype="text/csv", headers=kept)


def _counted() -> tuple[Figures, dict[str, Chart], int]:
    """Everything counted over the last days, today among them."""
    days = next((span for span in _SPANS if request.args.get("days") == str(span)), 30)
    until = datetime.now(UTC).date()
    since = until - timedelta(days=days - 1)
    told = Figures()
    ledger().measure(told.add, since=_start(since))
    return told, told.charts(since, until, ledger().feedback_report(_start(since))), days


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
