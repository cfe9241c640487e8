"""References between resources (FHIR R4, "References"): one parse for every written form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from app.fhir.remembered import remembered

Kind = Literal["relative", "absolute", "urn", "contained", "logical", "conditional"]

_TYPE = r"[A-Z][A-Za-z]{1,63}"
_ID = r"[A-Za-z0-9\-.]{1,64}"
_IS_TYPE = re.compile(_TYPE)
_IS_ID = re.compile(_ID)
_RESTFUL = re.compile(
    rf"(?:(?P<base>(?i:https?)://[^\s?#]+)/)?(?P<type>{_TYPE})/(?P<id>{_ID})(?:/_history/(?P<version>{_ID}))?"
)
# The members that say which patient a resource is about.
_ABOUT = ("patient", "subject", "beneficiary", "for")
_CONDITIONAL = re.compile(rf"(?P<type>{_TYPE})\?\S+")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a reference points. `text` is the reference as written, `system|value` for a logical one.

    `id` is the resource id (relative, absolute), the fragment (contained; None for "#", the container itself)
    or the lower-cased urn (urn). `base` is the server of an absolute reference, without a slash at its end.
    """

    kind: Kind
    type: str | None
    id: str | None
    base: str | None
    version: str | None
    text: str


def parse(reference: Any) -> Reference | None:
    """A Reference element, or its bare text, understood; None where it is absent or malformed."""
    if reference is None:
        return None
    if isinstance(reference, str):
        return _parse_text(reference.strip(), "")
    if not isinstance(reference, dict):
        return None
    stated = reference.get("type")
    stated = stated if is_type(stated) else None
    text = reference.get("reference")
    if isinstance(text, str) and text.strip():
        return _parse_text(text.strip(), stated or "")
    return _parse_identifier(reference.get("identifier"), stated)


def local_key(reference: Any) -> str | None:
    """`Type/id` of what a reference (element, text, Reference) points to, whatever its server or version."""
    found = reference if isinstance(reference, Reference) else parse(reference)
    if found is None or found.kind not in ("relative", "absolute") or not (found.type and found.id):
        return None
    return f"{found.type}/{found.id}"


def resource_key(resource: Any) -> str | None:
    """`Type/id` of a resource; None without a type and a valid id."""
    if not isinstance(resource, dict):
        return None
    kind, identity = resource.get("resourceType"), resource.get("id")
    return _key(kind, identity) if isinstance(kind, str) and isinstance(identity, str) else None


@remembered(8192)
def _key(kind: str, identity: str) -> str | None:
    return f"{kind}/{identity}" if is_type(kind) and is_id(identity) else None


def is_type(value: Any) -> bool:
    """Whether `value` is shaped like the name of a resource type."""
    return isinstance(value, str) and _is_type(value)


@remembered(512)
def _is_type(text: str) -> bool:
    return _IS_TYPE.fullmatch(text) is not None


def is_id(value: Any) -> bool:
    """Whether `value` is a FHIR id, and so safe as one segment of a path ("." and ".." are not)."""
    return isinstance(value, str) and _IS_ID.fullmatch(value) is not None and value.strip(".") != ""


def patient_of(resource: Any) -> Reference | None:
    """The Patient a resource is about: its patient, subject, beneficiary, `for` or patient participant.

    A Patient is about itself. None where no such member points to a Patient (but to a Group, say).
    """
    if not isinstance(resource, dict):
        return None
    if resource.get("resourceType") == "Patient":
        return parse(resource_key(resource))
    for name in _ABOUT:
        if name in resource:
            found = parse(resource[name])
            if found is not None and found.type in ("Patient", None):
                return found
    participants = resource.get("participant")
    if resource.get("resourceType") == "Appointment" and isinstance(participants, list):
        # An untyped urn among the participants may be anybody: only one that says Patient counts.
        for each in participants:
            found = parse(each.get("actor")) if isinstance(each, dict) else None
            if found is not None and found.type == "Patient":
                return found
    return None


@remembered(4096)  # the records of one patient name the same few again and again
def _parse_text(text: str, type_stated: str) -> Reference | None:
    stated = type_stated or None
    if text.startswith("#"):
        fragment = text[1:]
        return Reference("contained", stated, fragment or None, None, None, text) if " " not in text else None
    if text.lower().startswith(("urn:uuid:", "urn:oid:")):
        return Reference("urn", stated, text.lower(), None, None, text)
    if match := _RESTFUL.fullmatch(text):
        if not is_id(match["id"]):
            return None
        kind: Kind = "absolute" if match["base"] else "relative"
        base = match["base"].rstrip("/") if match["base"] else None
        return Reference(kind, match["type"], match["id"], base, match["version"], text)
    if match := _CONDITIONAL.fullmatch(text):
        return Reference("conditional", match["type"], None, None, None, text)
    if re.match(r"https?://[^\s/]", text, re.IGNORECASE) and not re.search(r"\s", text):
        return Reference("absolute", stated, None, None, None, text)
    return None


def _parse_identifier(identifier: Any, stated: str | None) -> Reference | None:
    if not isinstance(identifier, dict):
        return None
    system, value = identifier.get("system"), identifier.get("value")
    if not isinstance(value, str) or not value.strip():
        return None
    return Reference("logical", stated, None, None, None, f"{system if isinstance(system, str) else ''}|{value}")
