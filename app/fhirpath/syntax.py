"""The syntax tree. Every node knows its span in the text, so that traces and errors can quote it."""

from __future__ import annotations

from typing import Any

import msgspec


class Node(msgspec.Struct, kw_only=True, eq=False, gc=False):
    """`start` and `end` are offsets into the text; `depth` is the height of the tree below."""

    start: int
    end: int
    depth: int = 1


class Literal(Node):
    """A constant collection: `{}` is empty, any other literal has one item."""

    value: list[Any]


class Variable(Node):
    """`%name`."""

    name: str


class Special(Node):
    """`$this`, `$index` or `$total`."""

    name: str


class Path(Node):
    """`source.name`; without a source the step starts from the context."""

    source: Node | None
    name: str


class Call(Node):
    """`source.name(arguments)`."""

    source: Node | None
    name: str
    arguments: list[Node]
    name_start: int


class Index(Node):
    """`source[index]`."""

    source: Node
    index: Node


class Unary(Node):
    """`+operand` or `-operand`."""

    operator: str
    operand: Node


class Binary(Node):
    """Any infix operator but `is` and `as`."""

    operator: str
    left: Node
    right: Node
    operator_start: int


class TypeTest(Node):
    """`operand is Type` or `operand as Type`."""

    operator: str
    operand: Node
    type: Node


class SortKey(Node):
    """An argument of `sort()`: a key, whether a minus stands before it, and its direction."""

    key: Node
    negated: bool
    descending: bool


def children(node: Node) -> list[Node]:
    """The direct sub-expressions, in the order they are written. Type specifiers are not expressions."""
    match node:
        case Path():
            return [node.source] if node.source else []
        case Call():
            return ([node.source] if node.source else []) + node.arguments
        case Index():
            return [node.source, node.index]
        case Unary():
            return [node.operand]
        case Binary():
            return [node.left, node.right]
        case TypeTest():
            return [node.operand]
        case SortKey():
            return [node.key]
    return []
