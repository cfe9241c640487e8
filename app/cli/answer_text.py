"""A hook's answer as a person reads it: order by order, what it needs, which benefit pays, why, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.crd.coverage_information import stated
from app.fhir import codings

_COVERED = {
    "covered": "covered",
    "not-covered": "not covered",
    "conditional": "depends on what is missing",
    "indeterminate": "cannot be told now",
}
_AUTHORIZATION = {
    "no-auth": "no authorization needed",
    "auth-needed": "prior authorization needed",
    "satisfied": "authorization is already on file",
    "performpa": "prior authorization needed, started by the performing provider",
    "conditional": "depends on what is missing",
    "indeterminate": "cannot be told now",
}
_INFO = {
    "performer": "who performs or supplies it",
    "location": "where",
    "timeframe": "when",
    "contract-window": "under which contract",
    "detail-code": "the exact code",
    "OTH": "see why",
}


def answer_text(request: Mapping[str, Any], response: Mapping[str, Any]) -> str:
    """The whole answer; an OperationOutcome becomes its words."""
    if "issue" in response:
        return "\n".join(f"Refused: {_issue(issue)}" for issue in response["issue"])
    lines: list[str] = []
    for action in response.get("systemActions", []):
        lines += ["", *_order(action["resource"])]
    for card in response.get("cards", []):
        lines += ["", *_card(card)]
    if not lines:
        lines = ["", "Nothing to say about this call."]
    return "\n".join(lines[1:])


def _issue(issue: Mapping[str, Any]) -> str:
    where = ", ".join(issue.get("expression", []))
    return f"{issue.get('diagnostics', issue.get('code'))}" + (f" ({where})" if where else "")


def order_words(resource: Mapping[str, Any]) -> str:
    """What is ordered, in the order's own words."""
    for name in ("medicationCodeableConcept", "code", "codeCodeableConcept"):
        concept = resource.get(name)
        if isinstance(concept, dict):
            found = codings.codings_of(concept)
            words = concept.get("text") or next((coding.display for coding in found if coding.display), None)
            code = f"{codings.short_name(found[0].system)} {found[0].code}" if found else ""
            return f"{words} ({code})" if words and code else str(words or code)
    return str(resource.get("resourceType"))


def _order(resource: Mapping[str, Any]) -> Iterator[str]:
    yield f"Order     {order_words(resource)}"
    for repetition in stated(resource):
        parts = repetition["extension"]
        yield from (f"  {name:<14} {words}" for name, words in _parts(parts))


def _values(parts: list[dict[str, Any]], url: str) -> list[Any]:
    return [
        next(value for key, value in part.items() if key.startswith("value")) for part in parts if part["url"] == url
    ]


def _parts(parts: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    details = {
        detail["extension"][1]["valueCodeableConcept"]["coding"][0]["code"]: next(
            value for key, value in detail["extension"][2].items() if key.startswith("value")
        )
        for detail in parts
        if detail["url"] == "detail"
    }
    yield "covered?", _COVERED[_values(parts, "covered")[0]]
    for code in _values(parts, "pa-needed"):
        yield "authorization?", _AUTHORIZATION[code]
    if "benefit-track" in details:
        yield "benefit", str(details["benefit-track"])
    billed = [f"{codings.short_name(code['system'])} {code['code']}" for code in _values(parts, "billingCode")]
    if billed:
        carried = details.get("billing-modifiers")
        yield "billed as", ", ".join(billed) + (f", modifiers {carried}" if carried else "")
    for reason in _values(parts, "reason"):
        yield "why", str(reason.get("text") or reason["coding"][0]["display"])
    missing = [_INFO[code] for code in _values(parts, "info-needed")]
    if missing:
        yield "missing", ", ".join(missing)
    yield "what next", _next(parts, details)
    for name, code in (("decided within", "decision-time"), ("to the patient", "patient-note")):
        if code in details:
            yield name, str(details[code])
    yield "assertion", f"{_values(parts, 'coverage-assertion-id')[0]} (holds to {_values(parts, 'expiry-date')[0]})"


def _next(parts: list[dict[str, Any]], details: Mapping[str, Any]) -> str:
    """The clinician's next step."""
    needed = next(iter(_values(parts, "pa-needed")), None)
    forms = _values(parts, "questionnaire")
    steps = []
    if details.get("benefit-track") == "pharmacy":
        contact: dict[str, Any] = next(iter(_values(parts, "contact")), {})
        who = contact.get("name", "the pharmacy benefit manager")
        steps.append(
            f"prior authorization by {details.get('epa-standard', 'NCPDP SCRIPT')} with {who}"
            if needed == "auth-needed"
            else f"send the prescription; {who} handles it"
        )
    else:
        if forms:
            steps.append(f"complete the form {', '.join(form.rsplit('/', 1)[-1] for form in forms)} (DTR)")
        if needed in ("auth-needed", "performpa"):
            steps.append("submit the prior authorization by FHIR (PAS)")
        if needed == "no-auth":
            steps.append("go ahead")
    if needed == "conditional" or _values(parts, "covered")[0] == "conditional":
        steps.append("supply what is missing and ask again")
    return "; ".join(steps) or "nothing"


def _card(card: Mapping[str, Any]) -> Iterator[str]:
    yield f"Card      {card['summary']}"
    for line in str(card.get("detail", "")).splitlines():
        if line.strip():
            yield f"  {line.strip()}"
    for link in card.get("links", []):
        yield f"  link: {link['label']} <{link['url']}>"
    for suggestion in card.get("suggestions", []):
        yield f"  offers: {suggestion['label']}"
