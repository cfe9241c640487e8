from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest
from app.fhir.json import decode, encode, refuse_nul, with_member


@pytest.mark.parametrize(
    "text",
    [
        b'{"value":1.10}',
        b'{"value":-0.00}',
        b'{"value":100000000000000000000000000001}',
        b'{"value":0.1000000000000000000000000000000000001}',
        '{"text":"Größe 5 µg \U0001f48a"}'.encode(),
        b'{"b":1,"a":[true,false,null,{}]}',
    ],
)
def test_what_is_decoded_encodes_to_the_same_bytes(text):
    assert encode(decode(text)) == text


def test_numbers_with_a_fraction_or_exponent_become_decimals_and_whole_ones_ints():
    assert decode(b"[1.10, 7, 1e3]") == [Decimal("1.10"), 7, Decimal("1e3")]
    assert [type(number) for number in decode(b"[1.10, 7, 1e3]")] == [Decimal, int, Decimal]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "truncated"),
        (b'{"secret":', "truncated"),
        (b'{"secret":tru}', "byte 14"),
        (b'["secret",]', "byte 10"),
        (b'{"secret":NaN}', "byte 10"),
        (b'{"secret":"\xff"}', "UTF-8"),
        (b'\xef\xbb\xbf{"secret":1}', "byte 0"),
        (b'{"secret":' * 100_000, "nested"),
        (b'{"secret":1e999999999}', "out of range"),
        (b'{"secret":1e-999999999}', "out of range"),
        (b'{"secret":1e99999999999999999999}', "out of range"),
        (b'{"secret":' + b"9" * 5000 + b"}", "out of range"),
    ],
)
def test_a_broken_body_is_refused_with_a_position_and_not_quoted(body, says):
    with pytest.raises(InvalidRequest, match=says) as caught:
        decode(body)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("raw", "value", "expected"),
    [
        (b"{}", 1, b'{"x":1}'),
        (b' { "a" : 1.10 } ', [1], b'{"a":1.10,"x":[1]}'),
        (b'{"a":{ "deep" : [1.0, 2] },"b":"\\u00e9"}', 1, b'{"a":{ "deep" : [1.0, 2] },"b":"\\u00e9","x":1}'),
        (b'{"a":1,"x":2.50,"b":3}', None, b'{"a":1,"x":null,"b":3}'),
        (b'{"x":1,"a":2,"x":3}', 4, b'{"x":4,"a":2}'),
        (b'{"a":1,"b":2,"a":3}', 4, b'{"a":3,"b":2,"x":4}'),
        (b'{"a":123456789012345678901234567890}', 4, b'{"a":123456789012345678901234567890,"x":4}'),
        (b'{"a":1}', msgspec.Raw(b'{ "kept" : 1.10 }'), b'{"a":1,"x":{ "kept" : 1.10 }}'),
    ],
)
@pytest.mark.parametrize("kind", [bytes, msgspec.Raw])
def test_with_member_sets_one_member(kind, raw, value, expected):
    assert bytes(with_member(kind(raw), "x", value)) == expected


@pytest.mark.parametrize("raw", [b"[1]", b'"text"', b"null", b"", b'{"a":', b'{"a":tru}'])
def test_with_member_needs_an_object(raw):
    with pytest.raises(InvalidRequest):
        with_member(raw, "x", 1)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(
    members=st.dictionaries(st.text(), values, max_size=6),
    indent=st.sampled_from([None, 0, 3]),
    ascii_only=st.booleans(),
    name=st.text(),
    value=values,
)
def test_every_other_member_keeps_its_bytes_and_its_place(members, indent, ascii_only, name, value):
    written = {
        key: json.dumps(member, indent=indent, ensure_ascii=ascii_only).encode() for key, member in members.items()
    }
    raw = b" , ".join(json.dumps(key).encode() + b" : " + text for key, text in written.items())

    set_to = msgspec.json.decode(with_member(b" {" + raw + b"} ", name, value), type=dict[str, msgspec.Raw])

    assert list(set_to) == list(members | {name: value})
    assert {key: bytes(text) for key, text in set_to.items() if key != name} == {
        key: text for key, text in written.items() if key != name
    }
    assert decode(bytes(set_to[name])) == decode(encode(value))


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (rb'{"a": "x\u0000y"}', True),
        (rb'{"\u0000": 1}', True),
        (rb'["\\\u0000"]', True),
        (rb'["\\u0000"]', False),
        (rb'["u0000"]', False),
        (rb'["\u0001"]', False),
    ],
)
def test_text_has_no_nul(text: bytes, refused: bool) -> None:
    if refused:
        with pytest.raises(InvalidRequest, match=r"U\+0000"):
            refuse_nul(text)
    else:
        refuse_nul(text)
