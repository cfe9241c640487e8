"""Security labels (FHIR R4, "Security Labels"): which resources may not be shown beyond those who opened them."""

from __future__ import annotations

from typing import Any

from app.fhir.codings import ACT_CODE

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_RESTRICTED = {"R", "V"}


def restricted(resource: dict[str, Any]) -> bool:
    """Whether a resource is labelled restricted, very restricted, or of a sensitive kind (substance use, HIV, …).

    Every label of v3-ActCode counts: its sensitivity, policy and control codes all ask for care, and whoever fills in
    a form for somebody else cannot tell which of them that person meets.
    """
    meta = resource.get("meta")
    labels = meta.get("security") if isinstance(meta, dict) else None
    for label in labels if isinstance(labels, list) else ():
        if not isinstance(label, dict):
            continue
        if label.get("system") == ACT_CODE:
            return True
        if label.get("system") == CONFIDENTIALITY and label.get("code") in _RESTRICTED:
            return True
    return False
