from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fhir.references import Reference, is_id, local_key, parse, patient_of, resource_key

UUID = "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"


@pytest.mark.parametrize(
    ("reference", "expected", "key"),
    [
        ("Patient/p1", ("relative", "Patient", "p1", None, None), "Patient/p1"),
        (" Patient/p1 ", ("relative", "Patient", "p1", None, None), "Patient/p1"),
        ("Patient/p1/_history/3", ("relative", "Patient", "p1", None, "3"), "Patient/p1"),
        (
            "https://ehr.example.org/fhir/r4/Patient/p1",
            ("absolute", "Patient", "p1", "https://ehr.example.org/fhir/r4", None),
            "Patient/p1",
        ),
        (
            "HTTP://localhost:8080/Patient/p1/_history/v2",
            ("absolute", "Patient", "p1", "HTTP://localhost:8080", "v2"),
            "Patient/p1",
        ),
        (
            "https://ehr.example.org/Group/Patient/p1",
            ("absolute", "Patient", "p1", "https://ehr.example.org/Group", None),
            "Patient/p1",
        ),
        ("https://ehr.example.org/about", ("absolute", None, None, None, None), None),
        (UUID, ("urn", None, UUID.lower(), None, None), None),
        ("urn:oid:1.2.3", ("urn", None, "urn:oid:1.2.3", None, None), None),
        ("#org", ("contained", None, "org", None, None), None),
        ("#", ("contained", None, None, None, None), None),
        ("Practitioner?identifier=x|1", ("conditional", "Practitioner", None, None, None), None),
    ],
)
def test_written_forms(reference, expected, key):
    found = parse({"reference": reference})
    assert (found.kind, found.type, found.id, found.base, found.version) == expected
    assert found.text == reference.strip()
    assert parse(reference) == found
    assert local_key(found) == local_key(reference) == local_key({"reference": reference}) == key


@pytest.mark.parametrize(
    "reference",
    [
        None,
        "",
        " ",
        7,
        [],
        {},
        {"reference": None},
        {"reference": ["Patient/p1"]},
        {"display": "Someone"},
        {"identifier": "x"},
        {"identifier": {"system": "http://example.org"}},
        "Patient",
        "Patient/",
        "/Patient/p1",
        "patient/p1",
        "Patient/p1/extra",
        "Patient/..",
        "Patient/p_1",
        "Patient/" + "x" * 65,
        "Patient/p1?_format=json",
        "Patient/p1/_history/",
        "Patient/p 1",
        "Patient/p1\nX-Header: 1",
        "#a b",
        "javascript:alert(1)",
        "file:///etc/Patient/p1",
    ],
)
def test_nothing_to_follow(reference):
    assert parse(reference) is None
    assert local_key(reference) is None


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (
            {"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}, "type": "Practitioner"},
            Reference("logical", "Practitioner", None, None, None, "http://hl7.org/fhir/sid/us-npi|1234567893"),
        ),
        ({"identifier": {"value": "7"}}, Reference("logical", None, None, None, None, "|7")),
        ({"reference": UUID, "type": "Patient"}, Reference("urn", "Patient", UUID.lower(), None, None, UUID)),
        ({"reference": "#x", "type": 7}, Reference("contained", None, "x", None, None, "#x")),
        # The reference itself is stronger than `type`, and `reference` stronger than `identifier`.
        (
            {"reference": "Patient/p", "type": "Group", "identifier": {"value": "7"}},
            Reference("relative", "Patient", "p", None, None, "Patient/p"),
        ),
    ],
)
def test_type_and_identifier_members(reference, expected):
    assert parse(reference) == expected


ids = st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True).filter(is_id)
types = st.from_regex(r"[A-Z][A-Za-z]{1,20}", fullmatch=True)


@given(
    type_=types,
    id_=ids,
    base=st.sampled_from([None, "https://ehr.example.org", "http://10.0.0.1:8080/a/b"]),
    version=st.none() | ids,
)
def test_parts_put_together_come_apart_again(type_, id_, base, version):
    text = (f"{base}/" if base else "") + f"{type_}/{id_}" + (f"/_history/{version}" if version else "")
    found = parse(text)
    assert (found.base, found.type, found.id, found.version) == (base, type_, id_, version)
    assert local_key(text) == resource_key({"resourceType": type_, "id": id_})


@given(st.text())
def test_any_text_is_a_reference_or_none(text):
    found = parse(text)
    assert found is None or found.text == text.strip()


@pytest.mark.parametrize(
    "resource",
    [None, "Patient/p1", {}, {"resourceType": "Patient"}, {"id": "p1"}, {"resourceType": "Patient", "id": "a/b"},
     {"resourceType": "Patient", "id": 7}, {"resourceType": "../x", "id": "1"}],
)  # fmt: skip
def test_no_key_without_type_and_id(resource):
    assert resource_key(resource) is None


@pytest.mark.parametrize(
    ("resource", "key"),
    [
        ({"resourceType": "Patient", "id": "p"}, "Patient/p"),
        ({"resourceType": "ServiceRequest", "subject": {"reference": "Patient/p"}}, "Patient/p"),
        ({"resourceType": "Coverage", "beneficiary": {"reference": "http://h/Patient/p"}}, "Patient/p"),
        ({"resourceType": "NutritionOrder", "patient": {"reference": "Patient/p"}}, "Patient/p"),
        ({"resourceType": "Task", "for": {"reference": "Patient/p"}}, "Patient/p"),
        (
            {
                "resourceType": "Appointment",
                "participant": [
                    None,
                    {"actor": {"reference": "urn:uuid:0"}},
                    {"actor": {"reference": "Practitioner/x"}},
                    {"actor": {"reference": "Patient/p"}},
                ],
            },
            "Patient/p",
        ),
    ],
)
def test_the_patient_of_a_resource(resource, key):
    assert local_key(patient_of(resource)) == key


@pytest.mark.parametrize(
    "resource",
    [None, [], {}, {"resourceType": "Patient"}, {"resourceType": "ServiceRequest", "subject": {"reference": "Group/g"}},
     {"resourceType": "ServiceRequest", "subject": "Patient/p and more"},
     {"resourceType": "Appointment", "participant": {"actor": {"reference": "Patient/p"}}}],
)  # fmt: skip
def test_no_patient(resource):
    assert patient_of(resource) is None


def test_a_subject_named_by_urn_may_be_the_patient():
    assert patient_of({"resourceType": "Condition", "subject": {"reference": UUID}}).kind == "urn"
