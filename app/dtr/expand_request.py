"""What ValueSet/$expand is asked, by query or in Parameters (davinci-dtr 2.2, DTR-ValueSet-expand)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.dtr.parameters import parameters_of, read_resource
from app.dtr.value_sets import MOST
from app.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class ExpandRequest:
    """`url` may carry `|version`. `count` and `offset` choose a page; all else that R4 knows is passed over."""

    url: str
    words: str | None = None
    offset: int = 0
    count: int = MOST


def parse_expand_request(query: Mapping[str, str], body: bytes | None) -> ExpandRequest:
    """Read a call; a body goes before the query. InvalidRequest names what is wrong."""
    stated = dict(query)
    if body is not None and body.strip():
        for each in parameters_of(read_resource(body)):
            value = next((each.data[name] for name in each.data if name.startswith("value")), None)
            if isinstance(value, str | int) and not isinstance(value, bool):
                stated[each.name] = str(value)
    url = stated.get("url", "").strip()
    if not url:
        raise InvalidRequest("Send the url of the value set.", element="url", code="required")
    if edition := stated.get("valueSetVersion"):
        url = f"{url}|{edition}"
    return ExpandRequest(
        url,
        stated.get("filter") or None,
        _number(stated, "offset", 0),
        min(_number(stated, "count", MOST), MOST),
    )


def _number(stated: Mapping[str, str], name: str, default: int) -> int:
    text = stated.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidRequest(f"'{name}' is not a whole number from 0 on.", element=name, code="value")
    return int(text)
