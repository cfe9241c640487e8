"""Who read what is kept of a person."""

from __future__ import annotations

import csv
import io

from flask import Response, render_template, request

from app.web.console.pages import blueprint, ledger, needs

_MOST = 500


@blueprint.get("/reads")
@needs("reads")
def readings() -> str:
    """The newest readings, of somebody or of all."""
    reader = request.args.get("reader", "").strip() or None
    found = ledger().readings(reader=reader, limit=_MOST)
    return render_template("console/reads.html", found=found, reader=reader, most=_MOST)


@blueprint.get("/reads.csv")
@needs("reads")
def readings_csv() -> Response:
    """All of them."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("at", "reader", "through", "kind", "about", "member_id"))
    for each in ledger().readings(limit=1_000_000):
        writer.writerow((each.at.isoformat(), each.reader, each.through, each.kind, each.about, each.member_id or ""))
    return Response(out.getvalue(), mimetype="text/csv", headers={"Content-Disposition": "attachment"})
