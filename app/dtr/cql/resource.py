"""A Library as clients get it: the CQL, its ELM, and what it will look for (SDC "sdc-library"; DTR 2.2 oper-13)."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.dtr.cql.record import parameters, whole_codes
from app.rulebook.codes import as_coding
from app.rulebook.prefill import KINDS
from app.rulebook.scope import Need
from benefit_router import CodeList

Resource = dict[str, Any]

CQL = "text/cql"
ELM = "application/elm+json"
_HEADER = re.compile(r"^library\s+(\w+)\s+version\s+'([^']+)'", re.MULTILINE)
_INCLUDE = re.compile(r"^include\s+(\w+)\s+version\s+'([^']+)'", re.MULTILINE)
_SEMVER = {
    "url": "http://hl7.org/fhir/StructureDefinition/artifact-versionAlgorithm",
    "valueCoding": {"system": "http://hl7.org/fhir/version-algorithm", "code": "semver"},
}
_LOGIC = {"system": "http://terminology.hl7.org/CodeSystem/library-type", "code": "logic-library"}
# Where the day of a kind stands, for dateFilter.
_DAY = {
    "medications": "authoredOn",
    "observations": "effective",
    "procedures": "performed",
    "encounters": "period",
    "reports": "effective",
}


class NoHeader(Exception):
    """The CQL does not begin with `library Name version '1.0.0'`."""


def header(text: str) -> tuple[str, str]:
    """Name and version of a CQL library. Raises NoHeader."""
    found = _HEADER.search(text)
    if found is None:
        raise NoHeader
    return found[1], found[2]


def library(
    text: str, elm: Any, *, base: str, title: str, date: str, publisher: str, required: Iterable[Resource] = ()
) -> Resource:
    """The Library of a CQL text. `base` is what its url begins with; `required` are its DataRequirements."""
    name, version = header(text)
    made: Resource = {
        "resourceType": "Library",
        "id": name,
        "extension": [_SEMVER],
        "url": f"{base}/Library/{name}",
        "version": version,
        "name": name,
        "title": title,
        "status": "active",
        "experimental": True,
        "type": {"coding": [_LOGIC]},
        "date": date,
        "publisher": publisher,
        "description": "Example of an invented payer; not policy.",
    }
    included = [
        {
            "type": "depends-on",
            "display": other,
            "url": f"{base}/Library/{other}",
            "resource": f"{base}/Library/{other}|{its}",
        }
        for other, its in _INCLUDE.findall(text)
    ]
    if included:
        made["relatedArtifact"] = included
    if taken := parameters(text):
        made["parameter"] = [{"name": n, "use": "in", "min": 0, "max": "1", "type": kind} for n, kind in taken]
    if asked := list(required):
        made["dataRequirement"] = asked
    packed = json.dumps(elm, separators=(",", ":"), ensure_ascii=False)
    made["content"] = [
        {"contentType": CQL, "data": b64encode(text.encode()).decode()},
        {"contentType": ELM, "data": b64encode(packed.encode()).decode()},
    ]
    return made


def content(resource: Mapping[str, Any], kind: str) -> str | None:
    """The text of a content of a Library."""
    for each in resource.get("content", ()):
        if each.get("contentType") == kind:
            return b64decode(each["data"]).decode()
    return None


def data_requirements(needs: Iterable[Need], lists: Mapping[str, CodeList]) -> Iterator[Resource]:
    """What a client has to have at hand for the CQL (DTR spec-68), as narrow as FHIR can say it."""
    for need in needs:
        asked: Resource = {"type": KINDS[need.kind]}
        codes = whole_codes(need, lists)
        if codes is not None:
            path = "medication" if need.kind == "medications" else "code"
            asked["codeFilter"] = [{"path": path, "code": [as_coding(code) for code in codes]}]
        if need.within_days is not None and need.kind in _DAY:
            days = {"value": need.within_days, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"}
            asked["dateFilter"] = [{"path": _DAY[need.kind], "valueDuration": days}]
        yield asked
