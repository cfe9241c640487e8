"""Codings made comparable: one URL for a code system, one spelling for a code.

Orders name the same system in several ways (CRD writes HCPCS with https, PAS with http) and the same code too
(E11.9 and E119, NDCs with and without dashes). Everything that matches codes goes through `codings_of`.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from app.fhir.remembered import remembered

HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
NDC = "http://hl7.org/fhir/sid/ndc"
CPT = "http://www.ama-assn.org/go/cpt"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
ICD10PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
CVX = "http://hl7.org/fhir/sid/cvx"
PLACE_OF_SERVICE = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"
NUCC = "http://nucc.org/provider-taxonomy"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

BILLING_OPTIONS = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-billing-options"

_SHORT_NAMES = {
    HCPCS: "HCPCS",
    RXNORM: "RxNorm",
    NDC: "NDC",
    CPT: "CPT",
    SNOMED: "SNOMED CT",
    LOINC: "LOINC",
    ICD10CM: "ICD-10-CM",
    ICD10PCS: "ICD-10-PCS",
    CVX: "CVX",
    PLACE_OF_SERVICE: "POS",
    NUCC: "NUCC",
}

# Other URLs the same system goes by, and its OID (HL7 OID registry).
_ALIASES = {
    "http://terminology.hl7.org/CodeSystem/HCPCS": HCPCS,
    "http://terminology.hl7.org/CodeSystem/HCPCS-all-codes": HCPCS,
    "urn:oid:2.16.840.1.113883.6.285": HCPCS,
    "urn:oid:2.16.840.1.113883.6.88": RXNORM,
    "urn:oid:2.16.840.1.113883.6.69": NDC,
    "http://terminology.hl7.org/CodeSystem/CPT": CPT,
    "urn:oid:2.16.840.1.113883.6.12": CPT,
    "urn:oid:2.16.840.1.113883.6.96": SNOMED,
    "urn:oid:2.16.840.1.113883.6.1": LOINC,
    "urn:oid:2.16.840.1.113883.6.90": ICD10CM,
    "urn:oid:2.16.840.1.113883.6.4": ICD10PCS,
    "urn:oid:2.16.840.1.113883.12.292": CVX,
    "urn:oid:2.16.840.1.113883.6.50": PLACE_OF_SERVICE,
    "urn:oid:2.16.840.1.113883.6.101": NUCC,
}


class Coding(NamedTuple):
    """A code in a system. Compare by `key`: two systems' words for one code (`display`) differ freely."""

    system: str
    code: str
    display: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What two codings must share to be the same."""
        return self.system, self.code


def _loose(url: str) -> str:
    """`url` without what people vary: scheme, `www.`, letter case, a slash at the end."""
    return re.sub(r"^https?://(www\.)?", "", url.strip().lower()).rstrip("/")


_SYSTEMS = {_loose(url): url for url in _SHORT_NAMES} | {_loose(url): target for url, target in _ALIASES.items()}
_SNOMED_EDITION = _loose(SNOMED) + "/"


@remembered(1024)
def normalise_system(url: str) -> str:
    """The one URL used here for a code system; unknown systems come back as they are, trimmed."""
    loose = _loose(url)
    if loose.startswith(_SNOMED_EDITION):
        return SNOMED
    return _SYSTEMS.get(loose, url.strip())


@remembered(1024)
def short_name(system: str) -> str:
    """What people call a system ("RxNorm"); the URL itself where no name is known."""
    system = normalise_system(system)
    return _SHORT_NAMES.get(system, system)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_BY_SHORT_NAME = {_plain(name): system for system, name in _SHORT_NAMES.items()} | {
    "snomed": SNOMED,
    "icd10": ICD10CM,
    "placeofservice": PLACE_OF_SERVICE,
}


@remembered(256)
def system_from_short_name(name: str) -> str | None:
    """The system a rule file means by "HCPCS", "rxnorm", "ICD-10-CM"; None if no system has that name."""
    return _BY_SHORT_NAME.get(_plain(name))


def normalise_ndc(text: str) -> tuple[str, ...]:
    """The 11-digit forms (5-4-2, no dashes) an NDC may mean.

    One for 4-4-2, 5-3-2, 5-4-1 and 5-4-2 with dashes and for 11 digits without; three (fewer if they
    coincide) for 10 digits without dashes, which do not say which part lacks a digit; none if it is no NDC.
    """
    text = text.strip()
    if re.fullmatch(r"\d{11}", text, re.ASCII):
        return (text,)
    if re.fullmatch(r"\d{10}", text, re.ASCII):
        split = [(4, 8), (5, 8), (5, 9)]
        return tuple(dict.fromkeys(_ndc11(text[:a], text[a:b], text[b:]) for a, b in split))
    match = re.fullmatch(r"(\d{4,5})-(\d{3,4})-(\d{1,2})", text, re.ASCII)
    if match and sum(map(len, match.groups())) >= 10:
        return (_ndc11(*match.groups()),)
    return ()


def _ndc11(labeler: str, product: str, package: str) -> str:
    return labeler.zfill(5) + product.zfill(4) + package.zfill(2)


def ndc9(ndc11: str) -> str:
    """Labeler and product of an 11-digit NDC: the drug whatever its package."""
    return ndc11[:9]


@remembered(8192)
def normalise_code(system: str, code: str) -> str:
    """The one spelling used here for a code of an already normalised `system`.

    HCPCS, CPT, ICD-10-PCS and NUCC upper-case, ICD-10-CM upper-case with its dot, NDC as 11 digits where that
    is unambiguous.
    """
    code = code.strip()
    if system in (HCPCS, CPT, ICD10PCS, NUCC):
        return code.upper()
    if system == ICD10CM:
        bare = code.upper().replace(".", "")
        return f"{bare[:3]}.{bare[3:]}" if len(bare) > 3 else bare
    if system == NDC:
        forms = normalise_ndc(code)
        return forms[0] if len(forms) == 1 else code
    return code


def codings_of(concept: Any) -> tuple[Coding, ...]:
    """The codings of a CodeableConcept, normalised, in their order; () for anything that is not one.

    A coding without a code is dropped; one without a system has the system "", which no list names.
    """
    listed = concept.get("coding") if isinstance(concept, dict) else None
    if not isinstance(listed, list):
        return ()
    return tuple(coding for each in listed if (coding := coding_of(each)) is not None)


def coding_of(value: Any) -> Coding | None:
    """One Coding element, normalised; None without a code."""
    if not isinstance(value, dict):
        return None
    code = value.get("code")
    if not isinstance(code, str):
        return None
    system, display = value.get("system"), value.get("display")
    found = _coding(system if isinstance(system, str) else "", code)
    if found is not None and isinstance(display, str):
        return Coding(found.system, found.code, display)
    return found


@remembered(8192)
def _coding(system: str, code: str) -> Coding | None:
    if not code.strip():
        return None
    system = normalise_system(system)
    return Coding(system, normalise_code(system, code))


def billing_options(element: Any) -> tuple[Coding, ...]:
    """The codes an order may be billed under: CRD's billing-options extension on a concept or resource."""
    extensions = element.get("extension") if isinstance(element, dict) else None
    found: list[Coding] = []
    for extension in extensions if isinstance(extensions, list) else ():
        if isinstance(extension, dict) and extension.get("url") == BILLING_OPTIONS:
            found += codings_of(extension.get("valueCodeableConcept"))
    return tuple(found)
