from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fhir.codings import (
    BILLING_OPTIONS,
    CPT,
    CVX,
    HCPCS,
    ICD10CM,
    LOINC,
    NDC,
    NUCC,
    PLACE_OF_SERVICE,
    RXNORM,
    SNOMED,
    Coding,
    billing_options,
    codings_of,
    ndc9,
    normalise_code,
    normalise_ndc,
    normalise_system,
    short_name,
    system_from_short_name,
)


@pytest.mark.parametrize(
    ("url", "system"),
    [
        ("http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", HCPCS),
        ("https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets/", HCPCS),
        ("https://cms.gov/medicare/coding/hcpcsreleasecodesets", HCPCS),
        ("http://terminology.hl7.org/CodeSystem/HCPCS", HCPCS),
        ("https://terminology.hl7.org/CodeSystem/HCPCS-all-codes", HCPCS),
        (" http://www.nlm.nih.gov/research/umls/rxnorm ", RXNORM),
        ("https://www.nlm.nih.gov/research/umls/rxnorm/", RXNORM),
        ("urn:oid:2.16.840.1.113883.6.88", RXNORM),
        ("https://www.ama-assn.org/go/cpt", CPT),
        ("http://snomed.info/sct/731000124108/version/20260901", SNOMED),
        ("https://loinc.org/", LOINC),
        ("http://hl7.org/fhir/sid/icd-10-cm", ICD10CM),
        ("https://hl7.org/fhir/sid/ndc", NDC),
        ("http://hl7.org/fhir/sid/cvx", CVX),
        (
            "http://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set",
            PLACE_OF_SERVICE,
        ),
        ("https://www.nucc.org/provider-taxonomy", NUCC),
        (" http://example.org/own/ ", "http://example.org/own/"),
        ("http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10"),
        ("http://snomed.info/sctx", "http://snomed.info/sctx"),
        ("", ""),
    ],
)
def test_systems(url, system):
    assert normalise_system(url) == system
    assert normalise_system(system) == system


@pytest.mark.parametrize(
    ("name", "system"),
    [
        ("HCPCS", HCPCS),
        ("RxNorm", RXNORM),
        ("rxnorm", RXNORM),
        ("SNOMED", SNOMED),
        ("SNOMED CT", SNOMED),
        ("icd-10-cm", ICD10CM),
        ("ICD10", ICD10CM),
        ("POS", PLACE_OF_SERVICE),
        ("place of service", PLACE_OF_SERVICE),
        ("NUCC", NUCC),
        ("unheard of", None),
        ("", None),
    ],
)
def test_short_names(name, system):
    assert system_from_short_name(name) == system


def test_people_see_short_names():
    assert short_name("http://www.nlm.nih.gov/research/umls/rxnorm/") == "RxNorm"
    assert short_name("http://example.org/own") == "http://example.org/own"


@pytest.mark.parametrize("system", [HCPCS, RXNORM, NDC, CPT, SNOMED, LOINC, ICD10CM, CVX, PLACE_OF_SERVICE, NUCC])
def test_short_names_lead_back(system):
    assert system_from_short_name(short_name(system)) == system


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("0002-7597-01", ("00002759701",)),
        ("50242-040-62", ("50242004062",)),
        ("60575-4112-1", ("60575411201",)),
        ("57894-0030-01", ("57894003001",)),
        ("57894003001", ("57894003001",)),
        (" 57894003001 ", ("57894003001",)),
        ("0002759701", ("00002759701", "00027059701", "00027597001")),
        ("0000000000", ("00000000000",)),
        ("0002-759-01", ()),
        ("000-27597-01", ()),
        ("123456789", ()),
        ("123456789012", ()),
        ("57894-0030", ()),
        ("57894-0030-01-", ()),
        ("5789400300X", ()),
        ("٥٧٨٩٤٠٠٣٠٠١", ()),
        ("", ()),
    ],
)
def test_ndc(text, forms):
    assert normalise_ndc(text) == forms


digits = st.text("0123456789", min_size=10, max_size=10)


@given(digits, st.sampled_from([(4, 4, 2), (5, 3, 2), (5, 4, 1)]))
def test_a_ten_digit_ndc_without_dashes_may_be_what_its_dashes_would_have_said(ten, shape):
    first, second, _ = shape
    dashed = f"{ten[:first]}-{ten[first : first + second]}-{ten[first + second :]}"
    (form,) = normalise_ndc(dashed)
    assert form in normalise_ndc(ten)
    assert normalise_ndc(form) == (form,)
    assert normalise_ndc(f"{form[:5]}-{form[5:9]}-{form[9:]}") == (form,)
    assert form.startswith(ndc9(form))
    assert len(ndc9(form)) == 9


@pytest.mark.parametrize(
    ("system", "code", "spelling"),
    [
        (HCPCS, " j1745 ", "J1745"),
        (CPT, "0001u", "0001U"),
        (NUCC, "3336h0001x", "3336H0001X"),
        (ICD10CM, "n186", "N18.6"),
        (ICD10CM, "N18.6", "N18.6"),
        (ICD10CM, "B20", "B20"),
        (ICD10CM, "E11.", "E11"),
        (NDC, "57894-0030-01", "57894003001"),
        (NDC, "0002759701", "0002759701"),
        (NDC, "not an ndc", "not an ndc"),
        (RXNORM, " 310798 ", "310798"),
        ("http://example.org/own", "aB", "aB"),
    ],
)
def test_codes(system, code, spelling):
    assert normalise_code(system, code) == spelling
    assert normalise_code(system, spelling) == spelling


def test_codings_of_a_concept():
    concept = {
        "text": "infliximab",
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/HCPCS", "code": "j1745", "display": "Inj infliximab"},
            None,
            "J1745",
            {"system": RXNORM},
            {"system": RXNORM, "code": " "},
            {"system": RXNORM, "code": 7},
            {"code": "local", "display": 7},
            {"system": ["x"], "code": "local"},
        ],
    }
    assert codings_of(concept) == (
        Coding(HCPCS, "J1745", "Inj infliximab"),
        Coding("", "local"),
        Coding("", "local"),
    )


def test_codings_match_by_key_whatever_they_are_called():
    assert Coding(HCPCS, "J1745", "one").key == Coding(HCPCS, "J1745", "other").key == (HCPCS, "J1745")


@pytest.mark.parametrize("concept", [None, "J1745", [], {}, {"text": "x"}, {"coding": None}, {"coding": {"code": "x"}}])
def test_no_codings(concept):
    assert codings_of(concept) == ()


def test_billing_options():
    option = {"url": BILLING_OPTIONS, "valueCodeableConcept": {"coding": [{"system": HCPCS, "code": "Q5103"}]}}
    other = {"url": "http://example.org", "valueCodeableConcept": {"coding": [{"system": HCPCS, "code": "X"}]}}
    concept = {"extension": [other, None, option, {"url": BILLING_OPTIONS, "valueString": "x"}, option]}
    assert [coding.code for coding in billing_options(concept)] == ["Q5103", "Q5103"]


@pytest.mark.parametrize("element", [None, [], {}, {"extension": None}, {"extension": {"url": BILLING_OPTIONS}}])
def test_no_billing_options(element):
    assert billing_options(element) == ()
