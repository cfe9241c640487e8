"""The sandbox: a pretend EHR in the browser that is a real CDS Hooks client, and the small FHIR server behind it.

On with `--sandbox` only: it answers anyone, about nobody real.
"""

from __future__ import annotations

from app.web.sandbox.fhir import blueprint as fhir
from app.web.sandbox.pages import blueprint as pages

__all__ = ["fhir", "pages"]
