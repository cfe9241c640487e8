"""JSON that gives back what it was given: decimals keep their digits, untouched members keep their bytes."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from app.errors import InvalidRequest

# Far beyond any quantity in a record, and small enough that int(), round() and str.format stay cheap:
# Decimal("1e999999999") is nine bytes on the wire and a gigabyte as an integer.
MAX_EXPONENT = 400


def _decimal(digits: str) -> Decimal:
    number = Decimal(digits)
    if abs(number.adjusted()) > MAX_EXPONENT:
        raise ValueError("number out of range")
    return number


# The escape itself, and not a backslash that is escaped before the letters.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_decoder = msgspec.json.Decoder(float_hook=_decimal)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(data: bytes) -> Any:
    """The JSON value in `data`: fractions and exponents as Decimals, every digit kept (`1.10`, not 1.1).

    Raises InvalidRequest, which says where the text went wrong if that is known and never quotes it.
    A member that stands twice keeps its last value.
    """
    return _decoded(_decoder, data, "The JSON holds a number out of range.")


def refuse_nul(data: bytes) -> None:
    """InvalidRequest when a text in `data` has U+0000: FHIR allows none (R4, "string"), and PostgreSQL keeps none."""
    if b"\\u0000" in data and _NUL.search(data):
        raise InvalidRequest("The JSON holds the character U+0000, which FHIR does not allow.", code="value")


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON; Decimals as numbers with their digits kept, `msgspec.Raw` byte for byte."""
    return _encoder.encode(value)


def with_member(raw: bytes | msgspec.Raw, name: str, value: Any) -> msgspec.Raw:
    """The JSON object `raw` with its top-level member `name` set: in place where it stands, else at the end.

    Every other member's value comes out byte for byte as received, in the order received (CRD resp-37:
    nothing else of an order may change). Of a member that stands twice the last value stays, as in `decode`.

    Raises InvalidRequest if `raw` is not a JSON object.
    """
    members = _decoded(_members, raw, "Expected a JSON object.")
    members[name] = value
    return msgspec.Raw(_encoder.encode(members))


def _decoded(decoder: msgspec.json.Decoder[Any], data: bytes | msgspec.Raw, unfit: str) -> Any:
    # `from None` throughout: the texts of these causes can hold pieces of the body.
    try:
        return decoder.decode(data)
    except (msgspec.ValidationError, InvalidOperation):
        raise InvalidRequest(unfit, code="structure") from None
    except msgspec.DecodeError as error:
        # msgspec's syntax errors give a reason and a byte offset, nothing of the text itself.
        raise InvalidRequest(f"The text is not JSON. {error}.", code="structure") from None
    except UnicodeDecodeError:
        raise InvalidRequest("The text is not UTF-8.", code="structure") from None
    except RecursionError:
        raise InvalidRequest("The JSON is nested too deeply.", code="structure") from None
