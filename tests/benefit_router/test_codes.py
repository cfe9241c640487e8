from __future__ import annotations

import pytest

from benefit_router.codes import CodeList, as_written, fault_in

CANCERS = CodeList.of("cancers", [("ICD-10-CM", "C50*"), ("ICD-10-CM", "D05.1"), ("SNOMED", "254837009")])


@pytest.mark.parametrize(
    ("code", "member"),
    [
        (("ICD-10-CM", "C50.911"), True),
        (("ICD-10-CM", "C50"), True),
        (("ICD-10-CM", "D05.1"), True),
        (("ICD-10-CM", "D05.10"), False),  # a whole code is not a prefix
        (("ICD-10-CM", "C5"), False),
        (("SNOMED", "C50.911"), False),  # the same characters in another system
        (("SNOMED", "254837009"), True),
        ("C50.911", False),
    ],
)
def test_membership(code: object, member: bool) -> None:
    assert (code in CANCERS) is member


def test_a_list_without_prefixes_holds_whole_codes_only() -> None:
    assert "J9312" not in CodeList.of("one", [("HCPCS", "J9312")])


def test_the_systems_a_list_speaks() -> None:
    assert CANCERS.systems == {"ICD-10-CM", "SNOMED"}
    assert CodeList.of("empty", []).systems == frozenset()


@pytest.mark.parametrize(
    ("system", "text", "code"),
    [
        ("NDC", "00169-4060-12", "00169406012"),
        ("NDC", "00169-4060", "001694060"),
        ("ICD-10-CM", "c50911", "C50.911"),
        ("ICD-10-CM", "C50.911", "C50.911"),
        ("ICD-10-CM", "D80", "D80"),
        ("ICD-10-CM", "d80*", "D80*"),
        ("ICD-10-CM", "C501*", "C50.1*"),
        ("HCPCS", "J9312", "J9312"),
    ],
)
def test_one_spelling(system: str, text: str, code: str) -> None:
    assert as_written(system, text) == code
    assert fault_in(system, code) is None


@pytest.mark.parametrize(
    ("system", "code", "fault", "remedy"),
    [
        ("HCPCS", "J9312, Q5115", "comma", "';'"),
        ("RxNorm", "1.21191E+05", "shortened by a spreadsheet", "as text"),
        ("RxNorm", "rituximab", "not a code of RxNorm", "RxNorm number"),
        ("NDC", "0169406012", "not a code of NDC", "leading zeros"),
        ("NDC", "ABCDEFGHIJK", "not a code of NDC", "11 digits"),
        ("HCPCS", "j9312", "not a code of HCPCS", "capital letter"),
        ("CPT", "9641", "not a code of CPT", "five digits"),
        ("CVX", "1234", "not a code of CVX", "three digits"),
        ("ICD-10-CM", "CANCER", "not a code of ICD-10-CM", "C50*"),
    ],
)
def test_codes_no_order_can_carry(system: str, code: str, fault: str, remedy: str) -> None:
    found = fault_in(system, code)
    assert found is not None
    assert fault in found[0]
    assert remedy in found[1]


@pytest.mark.parametrize(("system", "code"), [("HCPCS", "J17*"), ("LOCAL", "anything at all")])
def test_prefixes_and_systems_of_the_payer_are_free(system: str, code: str) -> None:
    assert fault_in(system, code) is None
