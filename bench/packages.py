"""DTR calls over HTTP on one worker: packages by assertion, and the steps of an adaptive form.

    python -m bench.packages [--rounds 300]

One client, one call after the other, so the times are those of a call and not of a queue. The forms are those of the
tests (`tests/dtr/sample_forms.py`): two Libraries, two value sets, and one form that is asked step by step.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import requests

from bench.server import Server
from tests.dtr import sample_forms
from tests.dtr.dtr_actions import coverage, coverage_of, order, questionnaire
from tests.ehr_actions import example, order_of


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.packages")
    parser.add_argument("--rounds", type=int, default=300)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        forms = sample_forms.write_sample_forms(folder)
        settings = {"SIGNPOST_WORKERS": "1", "SIGNPOST_QUESTIONNAIRES": str(forms)}
        with Server("wsgi:app", folder, **settings) as server:
            _measure(server.url, rounds)


def _measure(url: str, rounds: int) -> None:
    http, request = requests.Session(), example("mri")
    answer = http.post(f"{url}/cds-services/order-sign-crd", json=request, timeout=30).json()
    parts = answer["systemActions"][0]["resource"]["extension"][-1]["extension"]
    assertion = next(part["valueString"] for part in parts if part["url"] == "coverage-assertion-id")
    base = f"{url}/fhir/dtr/2.2/Questionnaire"
    given = [coverage(coverage_of(request)), order(order_of(request))]
    package = {"resourceType": "Parameters", "parameter": [*given, {"name": "context", "valueString": assertion}]}
    adaptive = {"resourceType": "Parameters", "parameter": [*given, questionnaire(sample_forms.ADAPTIVE)]}
    (bundle,) = [
        each["resource"]
        for each in _post(http, f"{base}/$questionnaire-package", adaptive)["parameter"]
        if each["name"] == "packagebundle"
    ]
    draft = bundle["entry"][1]["resource"]
    first = _post(http, f"{base}/$next-question", draft)
    items = [
        {"linkId": "onset", "answer": [{"valueDate": "2026-09-01"}]},
        {"linkId": "weak", "answer": [{"valueBoolean": False}]},
    ]
    later = {**first, "item": [{"linkId": "symptoms", "item": items}]}
    for name, path, body in (
        ("package by assertion", f"{base}/$questionnaire-package", package),
        ("$next-question, first", f"{base}/$next-question", draft),
        ("$next-question, later", f"{base}/$next-question", later),
    ):
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            _post(http, path, body)
            times.append((time.perf_counter() - started) * 1000)
        times.sort()
        p50, p90, p99 = (times[int(rounds * part)] for part in (0.5, 0.9, 0.99))
        print(f"{name}: p50 {p50:.1f} ms, p90 {p90:.1f} ms, p99 {p99:.1f} ms ({rounds} calls)")


def _post(http: requests.Session, url: str, body: Any) -> Any:
    answer = http.post(url, json=body, timeout=30)
    answer.raise_for_status()
    return answer.json()


if __name__ == "__main__":
    main()
