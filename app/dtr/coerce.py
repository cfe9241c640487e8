"""From what an expression gave to the answers of an item (SDC, "Populating": results must suit the item's type).

Whatever does not suit is left out and said; nothing is bent until it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app import fhirpath
from app.dtr import extensions
from app.dtr.answer_space import Expand, UnknownAnswers, answer_space
from app.fhir.codings import coding_of
from app.fhirpath.element import UCUM

Answer = dict[str, Any]
"""The value of one answer: `{"valueDate": "2026-11-01"}`."""


@dataclass(frozen=True, slots=True)
class Coerced:
    """The answers there may be, and why each other result is none: in words that hold no value."""

    answers: tuple[Answer, ...]
    refused: tuple[str, ...] = ()


class _Refused(Exception):
    """This result is no answer to this item."""


def coerce(
    item: Mapping[str, Any], results: Sequence[Any], questionnaire: Mapping[str, Any], expand: Expand
) -> Coerced:
    """The results of an expression as answers of the item, each answer once."""
    convert = _BY_TYPE.get(str(item.get("type")))
    if convert is None:
        return Coerced((), (f"an item of type '{item.get('type')}' takes no answer",))
    try:
        space = answer_space(item, questionnaire, expand)
    except UnknownAnswers:
        return Coerced((), ("the value set of its answers is not at hand",))
    answers: list[Answer] = []
    refused: list[str] = []
    for result in results:
        try:
            answer = convert(item, result, space)
            for each in answer if isinstance(answer, list) else [answer]:
                if each not in answers:
                    answers.append(each)
        except _Refused as error:
            if str(error) not in refused:
                refused.append(str(error))
    return Coerced(tuple(answers), tuple(refused))


Space = tuple[Answer, ...] | None


def _boolean(item: Mapping[str, Any], result: Any, space: Space) -> Answer:
    if not isinstance(result, bool):
        raise _Refused(f"the item takes true or false, not {_kind(result)}")
    return {"valueBoolean": result}


def _string(item: Mapping[str, Any], result: Any, space: Space) -> Answer:
    if not isinstance(result, str):
        raise _Refused(f"the item takes a text, not {_kind(result)}; .toString() makes one of a simple value")
    longest = item.get("maxLength")
    if isinstance(longest, int) and len(result) > longest:
        raise _Refused(f"the text is longer than the {longest} characters the item takes")
    return _among({"valueString": result}, space)


def _url(item: Mapping[str, Any], result: Any, space: Space) -> Answer:
    if not isinstance(result, str):
        raise _Refused(f"the item takes an address, not {_kind(result)}")
    return {"valueUri": result}


def _integer(item: Mapping[str, Any], result: Any, space: Space) -> Answer:
    number = _number(item, result)
    if number != number.to_integral_value():
        raise _Refused("the item takes a whole number")
    return _among({"valueInteger": int(number)}, space)


def _decimal(item: Mapping[str, Any], result: Any, space: Space) -> Answer:
    return {"valueDecimal": _number(item, result)}


def _number(item: Mapping[str, Any], result: Any) -> Decimal:
    if isinstance(result, int | Decimal) and not isinstance(result, bool):
        return Decimal(result)
    if _is_quantity(result):
        (unit, *_) = extensions.values(item, extensions.UNIT, "valueCoding") or (None,)
        if unit is None:
            raise _Refused("the item takes a number and names no unit; .value gives the number of a Quantity")
        if isinstance(result, dict) and result.get("comparator"):
            raise _Refused("the Quantity is a bound (comparator) and no number")
        converted = _in_unit(result, unit)
        if converted is None:
            raise _Refused("the Quantity's unit does not convert to the item's")
        return Decimal(converted["value"])
    raise _Refused(f"the item takes a number, not {_kind(result)}")


def _date(item: Mapping[str, Any], result: Any, space: Space) -> Answer:
    if isinstance(result, fhirpath.DateTime):
        raise _Refused("the item takes a date, not a date and time; .toDate() makes one of it")
    if not isinstance(result, fhirpath.Date):
        raise _Refused(f"the item takes a date, not {_kind(result)}")
    return _among({"valueDate": str(result)}, space)


def _date_time(item: Mapping[str, Any], result: Any, space: Space) -> Answer:
    # A Date is a DateTime of that precision (FHIRPath N1, "Conversion": implicit).
    if not isinstance(result, fhirpath.DateTime | fhirpath.Date):
        raise _Refused(f"the item takes a date and time, not {_kind(result)}")
    return {"valueDateTime": str(result)}


def _time(item: Mapping[str, Any], result: Any, space: Space) -> Answer:
    if not isinstance(result, fhirpath.Time):
        raise _Refused(f"the item takes a time, not {_kind(result)}")
    return _among({"valueTime": str(result)}, space)


def _choice(item: Mapping[str, Any], result: Any, space: Space) -> Answer:
    if _is_concept(result):
        raise _Refused("the item takes a Coding, not a CodeableConcept; .coding gives its Codings")
    if isinstance(result, str):
        return _option_of(result, space)
    coding = coding_of(result)
    if coding is None:
        raise _Refused(f"the item takes a Coding or a code, not {_kind(result)}")
    if space is None:
        return {"valueCoding": {key: result[key] for key in ("system", "code", "display") if key in result}}
    for option in space:
        own = coding_of(option.get("valueCoding"))
        if own is not None and own.key == coding.key:
            return {"valueCoding": _plain(option["valueCoding"])}
    raise _Refused("the Coding is none of the item's options")


def _option_of(text: str, space: Space) -> Answer:
    """The one option that a bare code or text means."""
    if space is None:
        raise _Refused("a bare code says no system, and the item has no options to find it in")
    meant = [
        option
        for option in space
        if option.get("valueString") == text or (option.get("valueCoding") or {}).get("code") == text
    ]
    if len(meant) != 1:
        raise _Refused("the code is that of several options" if meant else "the code is none of the item's options")
    (option,) = meant
    return {"valueCoding": _plain(option["valueCoding"])} if "valueCoding" in option else option


def _open_choice(item: Mapping[str, Any], result: Any, space: Space) -> Answer:
    if isinstance(result, str):
        try:
            return _option_of(result, space)
        except _Refused:
            return {"valueString": result}
    return _choice(item, result, space)


def _quantity(item: Mapping[str, Any], result: Any, space: Space) -> Answer:
    if not _is_quantity(result):
        raise _Refused(f"the item takes a Quantity, not {_kind(result)}")
    allowed = extensions.values(item, extensions.UNIT_OPTION, "valueCoding")
    allowed += extensions.values(item, extensions.UNIT, "valueCoding")
    if not allowed:
        if any(extensions.of(item, extensions.UNIT_VALUE_SET)):
            raise _Refused("the value set of the item's units is not at hand")
        return {"valueQuantity": _as_fhir(result)}
    given = _as_fhir(result)
    for unit in allowed:
        if (given.get("system"), given.get("code")) == (unit.get("system"), unit.get("code")):
            return {"valueQuantity": given}
    for unit in allowed:
        converted = _in_unit(result, unit)
        if converted is not None:
            return {"valueQuantity": converted}
    raise _Refused("the Quantity's unit is none of the item's and converts to none of them")


def _reference(item: Mapping[str, Any], result: Any, space: Space) -> Answer:
    target = result.get("reference") if isinstance(result, dict) else None
    if isinstance(result, dict) and result.get("resourceType") and result.get("id"):
        target = f"{result['resourceType']}/{result['id']}"
    if not isinstance(target, str) or target.startswith("#"):
        raise _Refused(f"the item takes a resource or a Reference, not {_kind(result)}")
    kinds = extensions.values(item, extensions.REFERENCE_RESOURCE, "valueCode")
    named = target.split("/")[-2] if "/" in target else None
    if kinds and named is not None and named not in kinds:
        raise _Refused(f"the item takes a reference to {' or '.join(kinds)}, not to {named}")
    reference = {"reference": target}
    if isinstance(result.get("display"), str) and "resourceType" not in result:
        reference["display"] = result["display"]
    return {"valueReference": reference}


def _attachment(item: Mapping[str, Any], result: Any, space: Space) -> list[Answer]:
    found: list[Any] = []
    if isinstance(result, dict):
        kind = result.get("resourceType")
        if kind == "Binary":
            found = [{key: result[key] for key in ("contentType", "data") if key in result}]
        elif kind == "DocumentReference":
            content = result.get("content")
            found = [each.get("attachment") for each in (content if isinstance(content, list) else ())]
        elif kind is None and ("url" in result or "data" in result):
            found = [result]
    whole = [each for each in found if isinstance(each, dict) and ("url" in each or "data" in each)]
    if not whole:
        raise _Refused(f"the item takes an Attachment, a Binary or a DocumentReference, not {_kind(result)}")
    return [{"valueAttachment": each} for each in whole]


_BY_TYPE: dict[str, Callable[[Mapping[str, Any], Any, Space], Answer | list[Answer]]] = {
    "boolean": _boolean,
    "string": _string,
    "text": _string,
    "url": _url,
    "integer": _integer,
    "decimal": _decimal,
    "date": _date,
    "dateTime": _date_time,
    "time": _time,
    "choice": _choice,
    "open-choice": _open_choice,
    "quantity": _quantity,
    "reference": _reference,
    "attachment": _attachment,
}


def _among(answer: Answer, space: Space) -> Answer:
    """The answer, which must be one of the options where there are any."""
    if space and answer not in space:
        raise _Refused("the answer is none of the item's options")
    return answer


def _plain(coding: Mapping[str, Any]) -> dict[str, Any]:
    return {key: coding[key] for key in ("system", "version", "code", "display") if key in coding}


def _is_concept(value: Any) -> bool:
    return isinstance(value, dict) and "code" not in value and ("coding" in value or set(value) == {"text"})


def _is_quantity(value: Any) -> bool:
    if isinstance(value, fhirpath.Quantity):
        return True
    return isinstance(value, dict) and "resourceType" not in value and isinstance(value.get("value"), int | Decimal)


def _as_fhir(quantity: Any) -> dict[str, Any]:
    """A Quantity element, of a FHIRPath quantity in UCUM."""
    if isinstance(quantity, fhirpath.Quantity):
        return {"value": quantity.value, "unit": quantity.unit, "system": UCUM, "code": quantity.ucum}
    return {
        key: quantity[key] for key in ("value", "comparator", "unit", "system", "code") if quantity.get(key) is not None
    }


_CONVERT = fhirpath.compile("%quantity.toQuantity(%unit)", variables={"quantity", "unit"})


def _in_unit(quantity: Any, unit: Mapping[str, Any]) -> dict[str, Any] | None:
    """The Quantity in a UCUM unit given as a Coding; None where it does not convert. A bound does not."""
    if unit.get("system") != UCUM or not isinstance(unit.get("code"), str):
        return None
    try:
        converted = _CONVERT.evaluate(None, variables={"quantity": quantity, "unit": unit["code"]})
    except fhirpath.FhirPathError:
        return None
    if not converted:
        return None
    label = unit.get("display") or unit["code"]
    return {"value": converted[0].value, "unit": label, "system": UCUM, "code": unit["code"]}


def _kind(value: Any) -> str:
    """What a result is, in a word that says nothing of its content."""
    if _is_concept(value):
        return "a CodeableConcept"
    if _is_quantity(value):
        return "a Quantity"
    if isinstance(value, dict):
        return f"a {value['resourceType']}" if "resourceType" in value else "an element with parts of its own"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, int | Decimal):
        return "a number"
    return {"Date": "a date", "DateTime": "a date and time", "Time": "a time"}.get(type(value).__name__, "this")
