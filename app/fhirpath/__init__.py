"""FHIRPath on plain dicts: compiled, strict, explainable, and able to say "unknown".

    e = compile("Patient.name.where(use = 'official').given.first()")
    e.evaluate(patient)                     → ["Peter"]
    e.judge(patient, …)                     → Judgement(value=True | False | None, because=(Missing, …))
    e.trace(patient, …)                     → every sub-expression with its value

Nothing here knows anything of the service around it. See docs/fhirpath.md.
"""

from app.fhirpath.asked import Asked
from app.fhirpath.errors import FhirPathError, FhirPathSyntaxError, GapError, LimitError
from app.fhirpath.expression import Expression, compile
from app.fhirpath.gaps import Incomplete, Judgement, Missing, Unobtainable
from app.fhirpath.quantity import Quantity
from app.fhirpath.scope import Limits
from app.fhirpath.temporal import Date, DateTime, Time
from app.fhirpath.trace import Step, Trace

__all__ = [
    "Asked", "Date", "DateTime", "Expression", "FhirPathError", "FhirPathSyntaxError", "GapError", "Incomplete",
    "Judgement", "LimitError", "Limits", "Missing", "Quantity", "Step", "Time", "Trace", "Unobtainable", "compile",
]  # fmt: skip
