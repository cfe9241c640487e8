"""Value sets as answers take them: expanded here from their codes, or by a terminology server where one is set.

Source: davinci-dtr 2.2, oper-5 (as of today, active codes only), oper-15 (under 40 codes: within the package).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from app.dtr.answer_space import codings_of
from app.errors import NotFound
from app.rulebook.forms import Artifacts

INLINE = 40
"""From so many codes on, an expansion stays out of packages and is asked for by `$expand`."""

MOST = 1000
"""Codes in one answer of `$expand`; `offset` asks for the next ones."""

Resource = dict[str, Any]
ExpandElsewhere = Callable[[Mapping[str, str]], "Resource | None"]
"""`$expand` on a terminology server, by its parameters; None when there is none or it does not know the value set."""


def expanded(value_set: Mapping[str, Any], now: datetime) -> Resource | None:
    """The whole expansion of a value set that lists its codes; None for one that only a terminology server can."""
    codings = codings_of(_active(value_set))
    return None if codings is None else _with(value_set, codings, now, total=len(codings))


def expand(
    canonical: str,
    value_sets: Artifacts,
    now: datetime,
    *,
    words: str | None = None,
    offset: int = 0,
    count: int = MOST,
    elsewhere: ExpandElsewhere = lambda parameters: None,
) -> Resource:
    """The expansion, or the page of it that is asked for. NotFound where nobody has it.

    `words`: each must begin the code or a word of the display.
    """
    value_set = value_sets.get(canonical)
    whole = codings_of(_active(value_set)) if value_set is not None else None
    if value_set is None or whole is None:
        asked = {"url": canonical, "offset": str(offset), "count": str(count)}
        url, _, edition = canonical.partition("|")
        if edition:
            asked |= {"url": url, "valueSetVersion": edition}
        found = elsewhere(asked | ({"filter": words} if words else {}))
        if found is None:
            raise NotFound("No value set of this url can be expanded here.", code="not-found")
        return found
    chosen = [coding for coding in whole if _has(coding, words)] if words else whole
    named: dict[str, Any] = {"filter": words} if words else {}
    return _with(
        value_set,
        chosen[offset : offset + min(count, MOST)],
        now,
        total=len(chosen),
        parameters=named | {"offset": offset, "count": count},
        offset=offset,
    )


def _active(value_set: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without the codes that an expansion on file marks as inactive."""
    expansion = value_set.get("expansion")
    if not isinstance(expansion, dict):
        return value_set

    def kept(entries: Any) -> list[Any]:
        return [
            {**each, "contains": kept(each["contains"])} if each.get("contains") else each
            for each in entries or ()
            if isinstance(each, dict) and not each.get("inactive")
        ]

    return {**value_set, "expansion": {**expansion, "contains": kept(expansion.get("contains"))}}


def _has(coding: Mapping[str, Any], words: str) -> bool:
    said = [str(coding.get("code", "")).lower(), *str(coding.get("display", "")).lower().split()]
    return all(any(each.startswith(word) for each in said) for word in words.lower().split())


def _with(
    value_set: Mapping[str, Any],
    codings: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    total: int,
    parameters: Mapping[str, Any] | None = None,
    offset: int | None = None,
) -> Resource:
    """The value set with an expansion made now; how it was made stands in its parameters."""
    stated: dict[str, Any] = {"activeOnly": True, "date": now.isoformat(), **(parameters or {})}
    kinds = {bool: "valueBoolean", int: "valueInteger", str: "valueString"}
    expansion: Resource = {
        "timestamp": now.isoformat(),
        "total": total,
        **({"offset": offset} if offset is not None else {}),
        "parameter": [
            {"name": name, "valueDateTime" if name == "date" else kinds[type(value)]: value}
            for name, value in stated.items()
        ],
    }
    if codings:
        expansion["contains"] = [dict(each) for each in codings]
    return {**value_set, "expansion": expansion}
