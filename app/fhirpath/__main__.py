"""FHIRPath at the command line.

    python -m app.fhirpath "Patient.name.given" patient.json
    python -m app.fhirpath "%order.code.memberOf('x')" patient.json --variable order=order.json --judge --trace

One item a line, as JSON. Exit status 1 when the evaluation fails, 2 when the expression is no FHIRPath.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from app.fhirpath.errors import FhirPathError, FhirPathSyntaxError
from app.fhirpath.expression import compile as compile_expression

_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def _read(path: str) -> Any:
    data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    return _DECODER.decode(data)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m app.fhirpath", description="Evaluate a FHIRPath expression on FHIR JSON."
    )
    parser.add_argument("expression")
    parser.add_argument("file", help="FHIR JSON, - for standard input")
    parser.add_argument("--trace", action="store_true", help="show every sub-expression with its value")
    parser.add_argument("--judge", action="store_true", help="answer true, false or unknown, and why unknown")
    parser.add_argument("--root", help="FHIR type of the context, to find unknown element names")
    parser.add_argument("--variable", action="append", default=[], metavar="NAME=FILE", help="the JSON of a %%variable")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    options = _arguments(argv)
    try:
        variables = {name: _read(path) for name, _, path in (entry.partition("=") for entry in options.variable)}
        resource = _read(options.file)
    except (OSError, msgspec.DecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    now = dt.datetime.now().astimezone()
    try:
        expression = compile_expression(options.expression, frozenset(variables), root=options.root)
        if options.trace:
            trace = expression.trace(resource, variables, now, judging=options.judge)
            sys.stdout.write(f"{trace}\n")
            return int(trace.error is not None)
        if options.judge:
            judgement = expression.judge(resource, variables, now)
            sys.stdout.write({True: "true\n", False: "false\n", None: "unknown\n"}[judgement.value])
            for missing in judgement.because:
                sys.stdout.write(f"  {missing.path}: {missing.reason} ({missing.kind})\n")
            return 0
        for item in expression.evaluate(resource, variables, now):
            sys.stdout.write(_ENCODER.encode(item).decode() + "\n")
    except FhirPathSyntaxError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except FhirPathError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
