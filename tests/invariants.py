"""The published invariants of coverage-information, read from the IG's own StructureDefinition."""

from __future__ import annotations

import json
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

from app import fhirpath

DEFINITION = "package/StructureDefinition-ext-coverage-information.json"
VALUE_SETS = "http://hl7.org/fhir/us/davinci-crd/ValueSet/coverageAssertionReasons"
REASONS = {"gold-card", "no-member-found", "no-active-coverage", "coverage-not-found", "auth-out-network", "technical"}


@cache
def invariants(package: Path) -> dict[str, fhirpath.Expression]:
    """Each `crd-ci-*` constraint of the package, compiled."""
    with tarfile.open(package) as archive:
        member = archive.extractfile(DEFINITION)
        assert member is not None
        root = json.loads(member.read())["snapshot"]["element"][0]
    return {
        constraint["key"]: fhirpath.compile(constraint["expression"])
        for constraint in root["constraint"]
        if constraint["key"].startswith("crd-ci")
    }


def broken(package: Path, extension: dict[str, Any]) -> list[str]:
    """The invariants an extension repetition breaks. An empty result breaks one too, as HL7's validator has it."""

    def member_of(value: Any, value_set: str) -> bool:
        assert value_set == VALUE_SETS
        return any(coding.get("code") in REASONS for coding in value.get("coding", ()))

    return [
        key
        for key, expression in invariants(package).items()
        if expression.evaluate(extension, member_of=member_of) != [True]
        and not _published_amiss(package, key, extension)
    ]


def _published_amiss(package: Path, key: str, extension: dict[str, Any]) -> bool:
    """Two expressions are not what their texts say: a collection stands for a Boolean, so they come to nothing.

    2.2's q4 rejects documents for an authorization that is needed, 2.0's q2 rejects `not-covered` without `pa-needed`.
    """
    said = {(part["url"], part.get("valueCode")) for part in extension["extension"]}
    if "2.2" in package.name:
        return key == "crd-ci-q4" and not {("pa-needed", "satisfied"), ("pa-needed", "no-auth")} & said
    return key in ("crd-ci-q2", "crd-ci-q4") and (key == "crd-ci-q4" or ("covered", "not-covered") in said)
