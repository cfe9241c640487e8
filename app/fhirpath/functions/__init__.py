"""The functions of FHIRPath, one module a chapter of the specification. Importing the package fills `FUNCTIONS`."""

from __future__ import annotations

from app.fhirpath.functions import (
    boundaries,
    combining,
    conversion,
    existence,
    fhir,
    filtering,
    mathematics,
    strings,
    subsetting,
    tree,
    types,
    utility,
)
from app.fhirpath.functions.registry import FUNCTIONS, Function, Parameter

__all__ = [
    "FUNCTIONS", "Function", "Parameter", "boundaries", "combining", "conversion", "existence", "fhir", "filtering",
    "mathematics", "strings", "subsetting", "tree", "types", "utility",
]  # fmt: skip
