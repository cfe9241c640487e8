"""Text → tokens, after the FHIRPath N1 grammar (FHIRPath N1, "Formal Specifications", lexical part)."""

from __future__ import annotations

import re
from typing import NamedTuple

from app.fhirpath.errors import FhirPathSyntaxError

_PATTERN = re.compile(
    r"""
      (?P<space>\s+|//[^\n\r]*|/\*.*?\*/)
    | (?P<datetime>@[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?T
        (?:[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)
    | (?P<date>@[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?)
    | (?P<time>@T[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?)
    | (?P<number>[0-9]+(?:\.[0-9]+)?)
    | (?P<identifier>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<delimited>`(?:[^`\\]|\\.)*`)
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<external>%(?:[A-Za-z_][A-Za-z0-9_]*|`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))
    | (?P<special>\$(?:this|index|total)\b)
    | (?P<symbol><=|>=|!=|!~|/(?!\*)|[-+*&|<>=~.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {
    "'": "'", '"': '"', "`": "`", "\\": "\\", "/": "/", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip


class Token(NamedTuple):
    """`kind` is a group of the pattern, "end" after the last; `text` is unescaped for names and strings."""

    kind: str
    text: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """All tokens of `text`, white space and comments left out, an "end" token last."""
    tokens: list[Token] = []
    append, match = tokens.append, _PATTERN.match
    position, length = 0, len(text)
    while position < length:
        found = match(text, position)
        if found is None:
            raise _unreadable(text, position)
        end = found.end()
        kind = found.lastgroup or ""
        if kind != "space":
            raw = text[position:end]
            if kind in ("string", "delimited"):
                raw = _unescape(raw[1:-1], text, position + 1)
            elif kind == "external":
                raw = raw[1:] if raw[1] not in "`'\"" else _unescape(raw[2:-1], text, position + 2)
            append(Token(kind, raw, position, end))
        position = end
    append(Token("end", "", length, length))
    return tokens


def _unescape(raw: str, text: str, start: int) -> str:
    if "\\" not in raw:
        return raw

    def replace(found: re.Match[str]) -> str:
        escape = found.group(1)
        if len(escape) == 5:
            return chr(int(escape[1:], 16))
        if escape not in _ESCAPES:
            raise FhirPathSyntaxError(
                f"Unknown escape \\{escape}",
                text,
                start + found.start(),
                "one of \\' \\\" \\` \\\\ \\/ \\f \\n \\r \\t \\uXXXX",
            )
        return _ESCAPES[escape]

    unescaped = _ESCAPE.sub(replace, raw)
    try:
        # Two escapes may be the halves of one character: '\\uD83D\\uDD25'.
        return unescaped.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise FhirPathSyntaxError("Half a character", text, start, "both halves of the surrogate pair") from None


def _unreadable(text: str, position: int) -> FhirPathSyntaxError:
    character = text[position]
    messages = {
        "'": ("String without its closing quote", "'"),
        "`": ("Identifier without its closing backtick", "`"),
        '"': ("Double quotes do not delimit strings in FHIRPath", "'single quotes'"),
        "@": ("Not a date, dateTime or time literal", "@YYYY-MM-DD, @YYYY-MM-DDThh:mm:ss or @Thh:mm:ss"),
        "$": ("Unknown $ name", "$this, $index or $total"),
        "%": ("A % must be followed by the variable's name", "a name"),
        "!": ("Unexpected '!'", "!= or !~; negation is written .not()"),
    }
    if text.startswith("/*", position):
        return FhirPathSyntaxError("Comment without its end", text, position, "*/")
    message, expected = messages.get(character, (f"Unexpected character {character!r}", None))
    return FhirPathSyntaxError(message, text, position, expected)
