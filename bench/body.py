"""The measured request: order-sign, two orders of which one is a drug, everything in prefetch, 20 to 30 KB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NUMBER = b"00000000"  # stands for the number of the request
EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"


def order_sign() -> bytes:
    """The two sample orders in one call, with the narratives and history that real records carry."""
    infusion, imaging = (json.loads((EXAMPLES / f"order-sign-{n}.json").read_text()) for n in ("infusion", "mri"))
    infusion["context"]["draftOrders"]["entry"] += imaging["context"]["draftOrders"]["entry"]
    infusion["prefetch"]["procedures"] = imaging["prefetch"]["procedures"]
    conditions = infusion["prefetch"]["conditions"]["entry"]
    conditions += imaging["prefetch"]["conditions"]["entry"]
    for number in range(12):
        conditions.append(_history(conditions[-1], number))
    for entry in (*conditions, *infusion["context"]["draftOrders"]["entry"]):
        entry["resource"]["text"] = _narrative(entry["resource"])
    infusion["prefetch"]["patient"]["text"] = _narrative(infusion["prefetch"]["patient"])
    for entry in infusion["context"]["draftOrders"]["entry"]:
        # Each request is about new orders: one that comes again would only be given its standing answer.
        entry["resource"]["id"] = f"{entry['resource']['id']}-{NUMBER.decode()}"
    body = json.dumps(infusion, indent=2).encode()
    assert 20_000 <= len(body) <= 30_000, len(body)
    return body


def _history(entry: dict[str, Any], number: int) -> dict[str, Any]:
    resource = {**entry["resource"], "id": f"history-{number}", "recordedDate": f"2025-{number % 12 + 1:02}-15"}
    return {"fullUrl": f"https://ehr.example.org/fhir/Condition/history-{number}", "resource": resource}


def _narrative(resource: dict[str, Any]) -> dict[str, str]:
    words = f"<p><b>{resource['resourceType']}</b> {resource['id']}: recorded at Example Clinic by Dr. Example</p>"
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{words * 2}</div>'}
