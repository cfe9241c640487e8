"""What each DTR version calls things: parameters, profiles, and what a form may hold.

Sources: davinci-dtr 2.0.1 (package) and 2.2 (StructureDefinitions dtr-qpackage-output-parameters, DTR-QPackageBundle,
dtr-std-questionnaire, dtr-questionnaire-adapt-search, dtr-questionnaire-adapt).
"""

from __future__ import annotations

from dataclasses import dataclass

from app.dtr.draft import Version

VERSIONS: tuple[Version, ...] = ("2.0", "2.2")
PROFILES = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition"


@dataclass(frozen=True, slots=True)
class Wire:
    """`package` and `outcome`: parameters of $questionnaire-package. `release`: the version of the guide."""

    release: str
    package: str
    outcome: str
    form: str
    shell: str


WIRE: dict[Version, Wire] = {
    "2.0": Wire(
        "2.0.1",
        "PackageBundle",
        "operationOutcome",
        f"{PROFILES}/dtr-std-questionnaire",
        f"{PROFILES}/dtr-questionnaire-adapt-search",
    ),
    "2.2": Wire(
        "2.2.0",
        "packagebundle",
        "outcome",
        f"{PROFILES}/dtr-std-questionnaire",
        f"{PROFILES}/dtr-questionnaire-adapt-search",
    ),
}
