"""Tokens → syntax tree, by precedence climbing (FHIRPath N1, "Operator Precedence")."""

from __future__ import annotations

from decimal import Decimal
from typing import NoReturn

from app.fhirpath import syntax
from app.fhirpath.errors import FhirPathSyntaxError
from app.fhirpath.lexer import Token, tokenize
from app.fhirpath.numeric import MAX_INTEGER
from app.fhirpath.quantity import CALENDAR_UNITS, Quantity
from app.fhirpath.temporal import Date, DateTime, Time

MAX_LENGTH = 20_000
MAX_DEPTH = 200
_MAX_DIGITS = 60

_BINARY = {
    "implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4,
    "=": 5, "~": 5, "!=": 5, "!~": 5, "<": 6, ">": 6, "<=": 6, ">=": 6, "|": 7, "is": 8, "as": 8,
    "+": 9, "-": 9, "&": 9, "*": 10, "/": 10, "div": 10, "mod": 10,
}  # fmt: skip
_UNARY = 11
KEYWORDS = frozenset(["and", "or", "xor", "implies", "div", "mod", "true", "false"])
_OPERAND = "a path, literal, function, %variable or parenthesis"


class Parser:
    """One text, parsed once."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise FhirPathSyntaxError(f"Longer than {MAX_LENGTH} characters", text, MAX_LENGTH)
        self.text = text
        self.tokens = tokenize(text)
        self.position = 0
        self.token = self.tokens[0]
        self.nesting = 0

    def parse(self) -> syntax.Node:
        """The whole text as one expression."""
        if self.token.kind == "end":
            self.fail("Empty expression", _OPERAND)
        try:
            node = self.expression(0)
        except RecursionError:
            raise FhirPathSyntaxError("Nested too deeply", self.text, self.token.start) from None
        if self.token.kind != "end":
            self.fail(f"Unexpected {self.shown()}", "an operator, '.', '[' or the end")
        return node

    def fail(self, message: str, expected: str | None = None, token: Token | None = None) -> NoReturn:
        raise FhirPathSyntaxError(message, self.text, (token or self.token).start, expected)

    def shown(self) -> str:
        token = self.token
        return "end of expression" if token.kind == "end" else repr(self.text[token.start : token.end])

    def advance(self) -> Token:
        token = self.token
        self.position += 1
        self.token = self.tokens[self.position]
        return token

    def at(self, symbol: str) -> bool:
        return self.token.kind == "symbol" and self.token.text == symbol

    def expect(self, symbol: str, context: str) -> Token:
        if not self.at(symbol):
            self.fail(f"Unexpected {self.shown()} {context}", f"'{symbol}'")
        return self.advance()

    def checked(self, node: syntax.Node, *parts: syntax.Node | None) -> syntax.Node:
        """`node` with its depth set from its parts; bounded, because emitting and evaluating recurse."""
        node.depth = 1 + max((part.depth for part in parts if part is not None), default=0)
        if node.depth > MAX_DEPTH:
            raise FhirPathSyntaxError(f"Nested more than {MAX_DEPTH} deep", self.text, node.start)
        return node

    def expression(self, minimum: int) -> syntax.Node:
        self.nesting += 1
        if self.nesting > MAX_DEPTH:
            self.fail(f"Nested more than {MAX_DEPTH} deep")
        left = self.operand()
        while True:
            token = self.token
            power = _BINARY.get(token.text) if token.kind in ("symbol", "identifier") else None
            if power is None or power < minimum:
                break
            self.advance()
            if power == 8:
                kind = self.type_specifier()
                left = self.checked(
                    syntax.TypeTest(operator=token.text, operand=left, type=kind, start=left.start, end=kind.end),
                    left,
                )
                continue
            right = self.expression(power + 1)
            left = self.checked(
                syntax.Binary(
                    operator=token.text,
                    left=left,
                    right=right,
                    operator_start=token.start,
                    start=left.start,
                    end=right.end,
                ),
                left,
                right,
            )
        self.nesting -= 1
        return left

    def operand(self) -> syntax.Node:
        if self.at("-") or self.at("+"):
            token = self.advance()
            operand = self.expression(_UNARY)
            return self.checked(
                syntax.Unary(operator=token.text, operand=operand, start=token.start, end=operand.end),
                operand,
            )
        node = self.term()
        while self.token.kind == "symbol":
            if self.token.text == ".":
                self.advance()
                node = self.invocation(node)
            elif self.token.text == "[":
                self.advance()
                index = self.expression(0)
                end = self.expect("]", "in the index").end
                node = self.checked(syntax.Index(source=node, index=index, start=node.start, end=end), node, index)
            else:
                break
        return node

    def term(self) -> syntax.Node:
        token = self.token
        kind = token.kind
        if kind == "identifier" and token.text in ("true", "false"):
            self.advance()
            return syntax.Literal(value=[token.text == "true"], start=token.start, end=token.end)
        if kind in ("identifier", "delimited"):
            return self.invocation(None)
        if kind in ("string", "number", "date", "datetime", "time"):
            return self.literal()
        if kind == "external":
            self.advance()
            return syntax.Variable(name=token.text, start=token.start, end=token.end)
        if kind == "special":
            self.advance()
            return syntax.Special(name=token.text, start=token.start, end=token.end)
        if self.at("("):
            self.advance()
            node = self.expression(0)
            node.end = self.expect(")", "in the parenthesis").end
            node.start = token.start
            return node
        if self.at("{"):
            self.advance()
            end = self.expect("}", "after '{'").end
            return syntax.Literal(value=[], start=token.start, end=end)
        return self.fail(f"Unexpected {self.shown()}", _OPERAND)

    def invocation(self, source: syntax.Node | None) -> syntax.Node:
        token = self.token
        if token.kind == "special" and source is not None:
            self.fail(f"{token.text} cannot follow '.'", "an element or function name")
        if token.kind not in ("identifier", "delimited"):
            self.fail(f"Unexpected {self.shown()}", "an element or function name")
        if token.kind == "identifier" and token.text in KEYWORDS:
            self.fail(f"Keyword {token.text!r} cannot be a name here", f"`{token.text}` in backticks")
        self.advance()
        start = token.start if source is None else source.start
        if not self.at("("):
            path = syntax.Path(
                source=source,
                name=token.text,
                start=start,
                end=token.end,
            )
            return self.checked(path, source)
        self.advance()
        arguments: list[syntax.Node] = []
        if not self.at(")"):
            arguments.append(self.argument(token.text))
            while self.at(","):
                self.advance()
                arguments.append(self.argument(token.text))
        end = self.expect(")", f"in the arguments of {token.text}()").end
        call = syntax.Call(
            source=source, name=token.text, arguments=arguments, name_start=token.start, start=start, end=end
        )
        return self.checked(call, source, *arguments)

    def argument(self, function: str) -> syntax.Node:
        """An argument; in sort() also its direction: `asc`, `desc`, or a leading minus."""
        node = self.expression(0)
        if function != "sort":
            return node
        negated = isinstance(node, syntax.Unary) and node.operator == "-"
        key = node.operand if isinstance(node, syntax.Unary) and negated else node
        descending = False
        if self.token.kind == "identifier" and self.token.text in ("asc", "desc"):
            descending = self.advance().text == "desc"
        sort_key = syntax.SortKey(key=key, negated=negated, descending=descending, start=node.start, end=node.end)
        return self.checked(sort_key, node)

    def type_specifier(self) -> syntax.Node:
        node: syntax.Node | None = None
        while True:
            token = self.token
            if token.kind not in ("identifier", "delimited"):
                self.fail(f"Unexpected {self.shown()}", "a type name")
            self.advance()
            start = token.start if node is None else node.start
            node = syntax.Path(source=node, name=token.text, start=start, end=token.end)
            if not self.at("."):
                return node
            self.advance()

    def literal(self) -> syntax.Node:
        token = self.advance()
        start, end = token.start, token.end
        value: object
        if token.kind == "string":
            value = token.text
        elif token.kind == "number":
            if len(token.text) > _MAX_DIGITS:
                self.fail(f"Number of more than {_MAX_DIGITS} digits", token=token)
            value = Decimal(token.text) if "." in token.text else int(token.text)
            unit = self.token
            if unit.kind == "string" or (unit.kind == "identifier" and unit.text in CALENDAR_UNITS):
                self.advance()
                end = unit.end
                value = Quantity(Decimal(value), unit.text, calendar=unit.kind == "identifier")
            elif unit.kind == "identifier" and unit.start == end:
                self.fail(f"Unexpected {self.shown()} after a number", "an operator")
            elif isinstance(value, int) and value > MAX_INTEGER:
                self.fail(f"Integer above {MAX_INTEGER}", "a decimal, or a string in quotes", token)
        else:
            kind = {"date": Date, "datetime": DateTime, "time": Time}[token.kind]
            value = kind.parse(token.text[2:] if token.kind == "time" else token.text[1:])
            if value is None:
                self.fail(f"{token.text} is no valid {token.kind}", "a value that exists", token)
        return syntax.Literal(value=[value], start=start, end=end)
