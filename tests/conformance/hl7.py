"""The judge of record: HL7's own instance validator, run as a process on the official packages.

`Judge` builds the small Maven project beside this file once, starts it, and asks it about resources. What it answers is
told in `Issue`s, without the noise: messages that name a gap of this machine (no terminology server, packages that no
registry carries) and not a fault of the resource. Each kind of noise has its reason in `NOISE`.

Fixtures, one process each for the whole run: `judge` (CRD 2.2), `judge_2_0` (CRD 2.0.1), `judge_dtr_2_0` (DTR 2.0.1),
`hook_judge` (the logical models of CRD 2.2; a process of its own because validating a logical model disturbs later
checks). A test module gets them with `pytest_plugins = ("tests.conformance.hl7",)`. They skip where Java, Maven, what
Maven needs, or the packages are absent.

PYTEST_DONT_REWRITE: test modules import names from here as well as load it as a plugin.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

VALIDATOR = Path(__file__).parent / "validator"
TARGET = VALIDATOR / "target"
CRD = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
CRD_2_2 = "davinci-crd-2.2.0-preview.tgz"
CRD_2_0 = "davinci-crd-2.0.1.tgz"
_COMMON = ("uv-extensions-r4-5.3.0.tgz", "xver-extensions-0.1.0.tgz")
# The newest US Core first: it answers to its unversioned URL. A profile that names a version gets that version.
PACKAGES_2_2 = (CRD_2_2, "us-core-7.0.0.tgz", "us-core-6.1.0.tgz", "us-core-3.1.1.tgz", *_COMMON)
PACKAGES_2_0 = (CRD_2_0, "us-core-3.1.1.tgz", *_COMMON)
# DTR 2.2 is not to be had as a package, and SDC neither.
PACKAGES_DTR_2_0 = ("davinci-dtr-2.0.1.tgz", *PACKAGES_2_0)
# What CRD's logical models stand on, in the least words that hold: three types and four value sets of HL7's tooling
# package, which is not among the packages at hand. Indicators are those of CDS Hooks.
HOOK_DEFINITIONS = VALIDATOR / "cds-hooks.json"

_CRD_PROFILES = {
    "Appointment": "profile-appointment-no-order",
    "CommunicationRequest": "profile-communicationrequest",
    "Coverage": "profile-coverage",
    "Device": "profile-device",
    "DeviceRequest": "profile-devicerequest",
    "Encounter": "profile-encounter",
    "Location": "profile-location",
    "MedicationRequest": "profile-medicationrequest",
    "NutritionOrder": "profile-nutritionorder",
    "Organization": "profile-organization",
    "Patient": "profile-patient",
    "Practitioner": "profile-practitioner",
    "ServiceRequest": "profile-servicerequest",
    "Task": "profile-taskquestionnaire",
    "VisionPrescription": "profile-visionprescription",
}
_US_CORE_PROFILES = {"Medication": "us-core-medication", "PractitionerRole": "us-core-practitionerrole"}


def profile_of(resource: Mapping[str, Any], version: str = "2.2") -> str | None:
    """The profile a resource of a CRD exchange is held to, as Inferno's CRD suites have it; None is base R4."""
    kind = resource["resourceType"]
    if kind == "Appointment" and version == "2.0":
        return f"{CRD}/profile-appointment"
    if kind in _CRD_PROFILES:
        return f"{CRD}/{_CRD_PROFILES[kind]}"
    return f"{US_CORE}/{_US_CORE_PROFILES[kind]}|3.1.1" if kind in _US_CORE_PROFILES else None


def examples(package: Path) -> dict[str, dict[str, Any]]:
    """The official examples of a package by file name without `.json`."""
    with tarfile.open(package) as archive:
        return {
            Path(member.name).stem: json.load(archive.extractfile(member))  # type: ignore[arg-type]
            for member in archive.getmembers()
            if re.fullmatch(r"package/example/[A-Z][^/]*\.json", member.name)
        }


@dataclass(frozen=True, slots=True)
class Issue:
    """What the validator says of one place: `severity` is fatal, error, warning or information."""

    severity: str
    location: str
    message: str

    @property
    def is_noise(self) -> bool:
        """Whether the message is one of `NOISE`."""
        return any(noise.search(self.message) for noise in _NOISE)

    @property
    def is_error(self) -> bool:
        """Whether it makes the resource invalid."""
        return self.severity in ("fatal", "error")

    def __str__(self) -> str:
        return f"{self.severity} at {self.location}: {self.message}"


NOISE: tuple[tuple[str, str], ...] = (
    (
        r"omb-race-category|omb-ethnicity-category|detailed-race|detailed-ethnicity|cts\.nlm\.nih\.gov",
        "these value sets are kept at VSAC, which no registry carries: every race and ethnicity code looks unknown",
    ),
    (
        r"(CodeSystem is unknown and can't be validated|The code cannot be checked because codeSystem"
        r"|Unable to expand ValueSet|CodeSystem could not be found|ValueSet '[^']*' not found)",
        "no terminology server: LOINC, SNOMED CT, RxNorm, ICD-10-CM, CPT, HCPCS, X12, NUCC and THO are not at hand",
    ),
    (
        r"URL value '[^']*' does not resolve|No definition could be found for URL value",
        "canonicals of this payer and of packages not at hand; Inferno's CRD suites drop these messages too",
    ),
    (
        r"is not valid \(invalid Version '5\.0'\)|Unable to resolve profile CanonicalType\[http://hl7\.org/fhir/5\.0/",
        "CommunicationRequest.payload's R5 extension, which CRD asks for; the engine has no R5 definitions here",
    ),
    (
        r"(davinci-hrex|/uv/sdc/)\S*.*(could not be resolved|not be found|unknown|not known)",
        "parents and value sets of SDC and HRex, of which no package is at hand",
    ),
    (
        r"Unable to resolve profile CanonicalType\[http://hl7\.org/fhir/uv/sdc/"
        r"|Unknown Code System 'http://hl7\.org/fhir/uv/sdc/"
        r"|Unknown code 'http://hl7\.org/fhir/expression-language#text/cql-identifier'",
        "the same for extensions, codes and expression languages of SDC",
    ),
    (
        r"Slice 'Appointment\.participant:\w+': a matching slice is required",
        "these slices are told apart by resolve(), which finds nothing for a resource judged by itself",
    ),
    (
        r"extension \S*ext-coverage-information\S* is not allowed to be used at this point"
        r".*\[(Appointment|VisionPrescription)\]",
        "CRD 2.0.1 puts coverage-information into these profiles, but does not list them as its place; for Appointment "
        "Inferno drops this too",
    ),
    (
        r"This element is not allowed by the profile http://hl7\.org/fhir/tools/StructureDefinition/CDSHooksExtensions",
        "the engine finds a named extension and then refuses it; Inferno's CRD suites drop this message too",
    ),
    (
        r"^This element does not match any known slice defined in the profile \S*/CRDHooksResponse\|",
        "the engine compares a card with the whole model of its type, not with the card in it, so none ever matches; "
        "tests wrap each card and ask for its type instead",
    ),
    (
        r"^Value is '(delete|update)' but is fixed to 'create' in the profile \S*/CRDHooksResponse-alternateRequest\|",
        "the model fixes every action to create, against its own crd-respar-1 (one update, or delete and create); "
        "the IG's example of this card breaks it too",
    ),
    (
        r"^Unknown profile http://hl7\.org/fhir/StructureDefinition/SimpleQuantity\|4\.0\.1$",
        "HAPI's core definitions have it, but not by its versioned URL",
    ),
)  # fmt: skip
_NOISE = tuple(re.compile(pattern) for pattern, _ in NOISE)


class Unavailable(Exception):
    """The judge cannot be had on this machine; the message says what is absent."""


def build() -> str:
    """The class path of the validator, built when its sources are newer.

    Raises Unavailable when Java, Maven, or what Maven has to fetch is absent.
    """
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise Unavailable(f"HL7's validator needs Java 17 and Maven; {tool} is not on the PATH")
    TARGET.mkdir(exist_ok=True)
    with (VALIDATOR / "target" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        jar, class_path = TARGET / "validator.jar", TARGET / "classpath"
        sources = [VALIDATOR / "pom.xml", *VALIDATOR.glob("src/**/*.java")]
        if not jar.exists() or jar.stat().st_mtime < max(each.stat().st_mtime for each in sources):
            _package()
        libraries = class_path.read_text().strip()
        if not all(Path(each).exists() for each in libraries.split(":")):
            _package()
    return f"{jar}:{libraries}"


def _package() -> None:
    """Offline first: once everything is there, the build asks nobody."""
    for network in (["-o"], []):
        command = ["mvn", "-q", "-B", *network, "package"]
        built = subprocess.run(command, cwd=VALIDATOR, capture_output=True, text=True, check=False)
        if built.returncode == 0:
            return
    words = built.stdout + built.stderr
    if re.search(r"Could not (resolve|transfer|find)", words):
        raise Unavailable(f"Maven cannot fetch HL7's validator: {words[:500]}")
    raise RuntimeError(f"the validator does not build: {words[:4000]}")


class Judge:
    """A running validator with the definitions it judges by. Close it when done."""

    def __init__(self, class_path: str, definitions: Sequence[Path]) -> None:
        absent = [str(each) for each in definitions if not each.is_file()]
        if absent:
            raise Unavailable(f"HL7's validator needs the packages {', '.join(absent)}")
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        # Compiling little and collecting garbage simply is the fastest way for a process of half a minute.
        tuning = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx2g"]
        self._process = subprocess.Popen(
            ["java", *tuning, "-cp", class_path, "signpost.Judge", *map(str, definitions)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        self._asked = 0
        if self._read() != "READY\n":
            raise RuntimeError(f"the validator did not start: {self._last_words()}")

    def validate(self, resource: Mapping[str, Any], profile: str | None = None) -> list[Issue]:
        """What is said of a resource, or of a hook body, held to a profile (canonical URL), without the noise."""
        return [each for each in self.validate_raw(resource, profile) if not each.is_noise]

    def validate_raw(self, resource: Mapping[str, Any], profile: str | None = None) -> list[Issue]:
        """Everything the engine says."""
        self._asked += 1
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": self._asked, "profile": profile, "resource": resource}) + "\n")
        self._process.stdin.flush()
        line = self._read()
        if not line:
            raise RuntimeError(f"the validator ended: {self._last_words()}")
        answer = json.loads(line)
        assert answer["id"] == self._asked
        return [Issue(**each) for each in answer["issues"]]

    def errors(self, resource: Mapping[str, Any], profile: str | None = None) -> list[str]:
        """The issues that make a resource invalid, in words."""
        return [str(each) for each in self.validate(resource, profile) if each.is_error]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()
        self._said.close()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _last_words(self) -> str:
        self._process.wait(timeout=30)
        self._said.seek(0)
        return self._said.read().decode(errors="replace")[-4000:]


def _session(definitions: Sequence[Path]) -> Iterator[Judge]:
    try:
        judge = Judge(build(), definitions)
    except Unavailable as absent:
        pytest.skip(str(absent))
    yield judge
    judge.close()


@pytest.fixture(scope="session")
def judge(ig: Path) -> Iterator[Judge]:
    """The validator with CRD 2.2 and the three US Core versions it builds on."""
    yield from _session([ig / name for name in PACKAGES_2_2])


@pytest.fixture(scope="session")
def judge_2_0(ig: Path) -> Iterator[Judge]:
    """The validator with CRD 2.0.1."""
    yield from _session([ig / name for name in PACKAGES_2_0])


@pytest.fixture(scope="session")
def judge_dtr_2_0(ig: Path) -> Iterator[Judge]:
    """The validator with DTR 2.0.1 and the CRD it builds on."""
    yield from _session([ig / name for name in PACKAGES_DTR_2_0])


@pytest.fixture(scope="session")
def hook_judge(ig: Path) -> Iterator[Judge]:
    """The validator for whole hook bodies: CRD 2.2's logical models and what they stand on."""
    yield from _session([*(ig / name for name in PACKAGES_2_2), HOOK_DEFINITIONS])
