"""String manipulation. Regular expressions run on RE2, which never backtracks."""

from __future__ import annotations

import base64
import binascii
import html
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

from app.fhirpath.collection import integer, text
from app.fhirpath.element import Items
from app.fhirpath.errors import FhirPathError
from app.fhirpath.functions.registry import function
from app.fhirpath.scope import Scope

_SECTION = "FHIRPath N1, String Manipulation"
_ADDED = "FHIRPath 2.1.0, String Manipulation"


def _pair(items: Items, argument: Items, name: str) -> tuple[str, str] | None:
    value = text(items, f"the input of {name}()")
    other = text(argument, f"the argument of {name}()")
    return None if value is None or other is None else (value, other)


@function("indexOf(substring: String)", _SECTION)
def index_of(scope: Scope, items: Items, substring: Items) -> Items:
    """Where `substring` first starts, counted from 0; -1 when it does not occur."""
    pair = _pair(items, substring, "indexOf")
    return [] if pair is None else [pair[0].find(pair[1])]


@function("lastIndexOf(substring: String)", _ADDED)
def last_index_of(scope: Scope, items: Items, substring: Items) -> Items:
    """Where `substring` last starts, counted from 0; -1 when it does not occur."""
    pair = _pair(items, substring, "lastIndexOf")
    return [] if pair is None else [pair[0].rfind(pair[1])]


@function("substring(start: Integer, length?: Integer)", _SECTION)
def substring_(scope: Scope, items: Items, start: Items, length: Items | None = None) -> Items:
    """The part from `start`, of at most `length` characters; empty when `start` is outside."""
    value, begin = text(items, "the input of substring()"), integer(start, "the start of substring()")
    if value is None or begin is None or not 0 <= begin < len(value):
        return []
    size = integer(length, "the length of substring()") if length else None
    return [value[begin:] if size is None else value[begin : begin + max(size, 0)]]


@function("startsWith(prefix: String)", _SECTION)
def starts_with(scope: Scope, items: Items, prefix: Items) -> Items:
    """True when the string starts with `prefix`."""
    pair = _pair(items, prefix, "startsWith")
    return [] if pair is None else [pair[0].startswith(pair[1])]


@function("endsWith(suffix: String)", _SECTION)
def ends_with(scope: Scope, items: Items, suffix: Items) -> Items:
    """True when the string ends with `suffix`."""
    pair = _pair(items, suffix, "endsWith")
    return [] if pair is None else [pair[0].endswith(pair[1])]


@function("contains(substring: String)", _SECTION)
def contains(scope: Scope, items: Items, substring: Items) -> Items:
    """True when `substring` occurs in the string; for collections there is the operator `contains`."""
    pair = _pair(items, substring, "contains")
    return [] if pair is None else [pair[1] in pair[0]]


@function("upper()", _SECTION)
def upper(scope: Scope, items: Items) -> Items:
    """The string in upper case."""
    value = text(items, "the input of upper()")
    return [] if value is None else [value.upper()]


@function("lower()", _SECTION)
def lower(scope: Scope, items: Items) -> Items:
    """The string in lower case."""
    value = text(items, "the input of lower()")
    return [] if value is None else [value.lower()]


@function("replace(pattern: String, substitution: String)", _SECTION)
def replace(scope: Scope, items: Items, pattern: Items, substitution: Items) -> Items:
    """The string with every `pattern` replaced; an empty pattern matches around every character."""
    pair = _pair(items, pattern, "replace")
    new = text(substitution, "the substitution of replace()")
    if pair is None or new is None:
        return []
    value, old = pair
    scope.write(len(value) + len(new) * value.count(old))
    return [value.replace(old, new)]


@lru_cache(maxsize=512)
def compiled(pattern: str, flags: str = "") -> Any:
    """The pattern in RE2, `.` matching line ends as the specification says; FhirPathError when it is none."""
    if not set(flags) <= {"i", "m"}:
        raise FhirPathError("the flags of a regular expression are i and m")
    options = re2.Options()
    options.dot_nl = True
    options.case_sensitive = "i" not in flags
    pattern = f"(?m){pattern}" if "m" in flags else pattern
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise FhirPathError("not a regular expression that RE2 knows") from error


def _flags(flags: Items | None) -> str:
    return text(flags, "the flags of a regular expression") or "" if flags else ""


@function("matches(regex: String, flags?: String)", _SECTION)
def matches(scope: Scope, items: Items, regex: Items, flags: Items | None = None) -> Items:
    """True when the regular expression matches a part of the string; flags are `i` and `m`."""
    pair = _pair(items, regex, "matches")
    return [] if pair is None else [compiled(pair[1], _flags(flags)).search(pair[0]) is not None]


@function("matchesFull(regex: String, flags?: String)", _ADDED)
def matches_full(scope: Scope, items: Items, regex: Items, flags: Items | None = None) -> Items:
    """True when the regular expression matches the whole string."""
    pair = _pair(items, regex, "matchesFull")
    return [] if pair is None else [compiled(pair[1], _flags(flags)).fullmatch(pair[0]) is not None]


@function("replaceMatches(regex: String, substitution: String, flags?: String)", _SECTION)
def replace_matches(scope: Scope, items: Items, regex: Items, substitution: Items, flags: Items | None = None) -> Items:
    """The string with every match replaced; `$1` and `${name}` stand for groups, an empty regex changes nothing."""
    pair = _pair(items, regex, "replaceMatches")
    new = text(substitution, "the substitution of replaceMatches()")
    if pair is None or new is None:
        return []
    value, pattern = pair
    if not pattern:
        return [value]
    expression = compiled(pattern, _flags(flags))
    groups = {**{str(number): number for number in range(expression.groups + 1)}, **expression.groupindex}
    out: list[str] = []
    position = 0
    for found in expression.finditer(value):
        part = value[position : found.start()] + _expand(new, found, groups)
        scope.write(len(part))
        out.append(part)
        position = found.end()
    scope.write(sum(map(len, out)) + len(value) - position)
    return ["".join(out) + value[position:]]


_REFERENCE = re2.compile(r"\\(.)|\$(\d)|\$\{(\w+)\}")


def _expand(template: str, found: Any, groups: dict[str, int]) -> str:
    def one(reference: Any) -> str:
        if reference.group(1) is not None:
            return str(reference.group(1))
        name = reference.group(2) or reference.group(3)
        return (found.group(groups[name]) or "") if name in groups else str(reference.group(0))

    return str(_REFERENCE.sub(one, template)) if "$" in template or "\\" in template else template


@function("length()", _SECTION)
def length(scope: Scope, items: Items) -> Items:
    """The number of characters."""
    value = text(items, "the input of length()")
    return [] if value is None else [len(value)]


@function("toChars()", _SECTION)
def to_chars(scope: Scope, items: Items) -> Items:
    """The characters, one item each."""
    value = text(items, "the input of toChars()")
    scope.hold(len(value or ""))
    return list(value or "")


@function("trim()", _ADDED)
def trim(scope: Scope, items: Items) -> Items:
    """The string without white space at its ends."""
    value = text(items, "the input of trim()")
    return [] if value is None else [value.strip()]


@function("split(separator: String)", _ADDED)
def split(scope: Scope, items: Items, separator: Items) -> Items:
    """The parts between the separators."""
    pair = _pair(items, separator, "split")
    if pair is None:
        return []
    parts = pair[0].split(pair[1]) if pair[1] else list(pair[0])
    scope.hold(len(parts))
    return list(parts)


@function("encode(format: String)", _ADDED)
def encode(scope: Scope, items: Items, format_: Items) -> Items:
    """The UTF-8 bytes as `hex`, `base64` or `urlbase64`."""
    pair = _pair(items, format_, "encode")
    if pair is None:
        return []
    data = pair[0].encode()
    encoders: dict[str, Callable[[bytes], bytes]] = {
        "hex": binascii.hexlify,
        "base64": base64.b64encode,
        "urlbase64": base64.urlsafe_b64encode,
    }
    encoder = encoders.get(pair[1])
    return [encoder(data).decode("ascii")] if encoder else []


@function("decode(format: String)", _ADDED)
def decode(scope: Scope, items: Items, format_: Items) -> Items:
    """The reverse of encode()."""
    pair = _pair(items, format_, "decode")
    if pair is None:
        return []
    decoders: dict[str, Callable[[bytes], bytes]] = {
        "hex": binascii.unhexlify,
        "base64": base64.b64decode,
        "urlbase64": base64.urlsafe_b64decode,
    }
    decoder = decoders.get(pair[1])
    if decoder is None:
        return []
    try:
        return [decoder(pair[0].encode("ascii")).decode()]
    except ValueError as error:
        raise FhirPathError(f"the input of decode() is no {pair[1]}") from error


@function("escape(target: String)", _ADDED)
def escape(scope: Scope, items: Items, target: Items) -> Items:
    """The string escaped for `html` or `json`."""
    pair = _pair(items, target, "escape")
    if pair is None or pair[1] not in ("html", "json"):
        return []
    return [html.escape(pair[0]) if pair[1] == "html" else json.dumps(pair[0], ensure_ascii=False)[1:-1]]


@function("unescape(target: String)", _ADDED)
def unescape(scope: Scope, items: Items, target: Items) -> Items:
    """The reverse of escape()."""
    pair = _pair(items, target, "unescape")
    if pair is None or pair[1] not in ("html", "json"):
        return []
    if pair[1] == "html":
        return [html.unescape(pair[0])]
    try:
        return [str(json.loads(f'"{pair[0]}"', strict=False))]
    except ValueError:
        # Quotes that were never escaped: only the escapes that are there are undone.
        try:
            return [str(json.loads('"' + pair[0].replace('"', '\\"') + '"', strict=False))]
        except ValueError as error:
            raise FhirPathError("the input of unescape() is no escaped JSON string") from error
