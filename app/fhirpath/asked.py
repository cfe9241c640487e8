"""Which codes an expression asks about, and of what: as far as its text shows, without any data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from app.fhirpath import syntax

# Functions whose argument is about each item of their source, and those that give back items of their source.
_ABOUT_EACH = frozenset({"where", "exists", "all", "select"})
_KEEPS = frozenset({"where", "first", "last", "tail", "skip", "take", "single", "distinct"})
_COMPARING = frozenset({"=", "!=", "~", "!~", "in", "contains"})


class Asked(NamedTuple):
    """`path` (`%facts.codes.code`) is compared with the literal `text`; `member_of`: with the set of that name."""

    path: str
    text: str
    member_of: bool = False


def asked(node: syntax.Node, context: str | None = None) -> Iterator[Asked]:
    """Every such question in `node`, in the order of the text. `context` is the path of `$this`, None: not known."""
    match node:
        case syntax.Call(name="memberOf", arguments=[syntax.Literal(value=[str(text)])]):
            if (path := _path(node.source, context)) is not None:
                yield Asked(path, text, member_of=True)
        case syntax.Call(name=name) if name in _ABOUT_EACH:
            source = _path(node.source, context)
            if node.source is not None:
                yield from asked(node.source, context)
            for argument in node.arguments:
                yield from asked(argument, source)
            return
        case syntax.Binary(operator=operator) if operator in _COMPARING:
            for side, other in ((node.left, node.right), (node.right, node.left)):
                if (path := _path(side, context)) is not None:
                    yield from (Asked(path, text) for text in _texts(other))
    for child in syntax.children(node):
        yield from asked(child, context)


def _path(node: syntax.Node | None, context: str | None) -> str | None:
    match node:
        case None:
            return context
        case syntax.Variable():
            return f"%{node.name}"
        case syntax.Special(name="$this"):
            return context
        case syntax.Path():
            source = _path(node.source, context)
            return f"{source}.{node.name}" if source is not None else None
        case syntax.Index():
            return _path(node.source, context)
        case syntax.Call(name=name) if name in _KEEPS:
            return _path(node.source, context)
    return None


def _texts(node: syntax.Node) -> Iterator[str]:
    """The texts of a literal, or of literals joined by `|`."""
    match node:
        case syntax.Literal():
            yield from (value for value in node.value if isinstance(value, str))
        case syntax.Binary(operator="|"):
            yield from _texts(node.left)
            yield from _texts(node.right)
