"""YAML rule files with the place of every value, so that an error can name its line.

The loader is stricter than YAML 1.1: only `true` and `false` are booleans (`no` and `on` are words), dates stay text,
`0123`, `+1` and numbers too long to be a quantity stay text, decimals are exact, and a key that stands twice is an
error. So are anchors, aliases and tags: a few lines of them can stand for gigabytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml

from benefit_router import Problem

Path = tuple[str | int, ...]


# Far more than any schema has levels, and far less than Python's recursion limit.
MAX_DEPTH = 50


class _Refused(Exception):
    """YAML that rule files do not use."""

    def __init__(self, event: yaml.Event, message: str, remedy: str) -> None:
        super().__init__(message)
        assert event.start_mark is not None  # every event of a text has one
        self.line = event.start_mark.line + 1
        self.message = message
        self.remedy = remedy


class _Composer(yaml.composer.Composer):
    """Makes nodes of events, and refuses what rule files do not use."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[attr-defined]  # the parser's
        if getattr(event, "anchor", None) is not None:
            raise _Refused(
                event, "'&' and '*' begin an anchor or an alias.", "Put a text in quotes; write a value out."
            )
        if getattr(event, "tag", None) is not None:
            raise _Refused(event, "'!' begins a tag.", "Put a text in quotes; leave tags out.")
        if self.depth == MAX_DEPTH:
            raise _Refused(event, "The file is nested too deeply.", "Look for stray brackets.")
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Resolver(yaml.resolver.BaseResolver):
    """What a text without quotes may be beside a text; see the module's docstring."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


class _Loader(_Composer, _Resolver, yaml.SafeLoader):
    """The loader in Python, which says best what is wrong and where."""


_Resolver.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)$"), list("tf"))
_Resolver.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(null|~|)$"), ["n", "~", ""])
_Resolver.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(0|[1-9][0-9]{0,17})$"), list("-0123456789"))
_Resolver.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}$"), list("-0123456789")
)


if yaml.__with_libyaml__:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]  # not in the stubs

    class _FastLoader(_Composer, CParser, _Resolver):
        """The same on libyaml's parser, where there is one: eight times as fast."""

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            _Composer.__init__(self)
            _Resolver.__init__(self)


def _compose(text: str) -> yaml.Node | None:
    if yaml.__with_libyaml__ and "\t" not in text:  # libyaml lets a tab stand where the other refuses it
        try:
            return _FastLoader(text).get_single_node()
        except (_Refused, yaml.YAMLError, UnicodeEncodeError):
            pass  # the other says what is wrong
    return _Loader(text).get_single_node()


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file: its data, and where each value stands."""

    file: str
    data: Any
    places: dict[Path, tuple[int, int]]

    def line(self, path: Sequence[str | int]) -> int:
        """Line of the value at `path`, or of the nearest enclosing value that has one."""
        where = tuple(path)
        while where and where not in self.places:
            where = where[:-1]
        return self.places.get(where, (1, 1))[0]

    def problem(self, path: Sequence[str | int], message: str, remedy: str) -> Problem:
        """A problem at the value of `path`."""
        return Problem(self.file, self.line(path), ".".join(map(str, path)) or None, message, remedy)


def read_document(text: str, file: str) -> tuple[Document | None, list[Problem]]:
    """Parse one YAML file. The document is None when it cannot be read at all."""
    try:
        node = _compose(text)
    except _Refused as error:
        return None, [Problem(file, error.line, None, error.message, error.remedy)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        words = ": ".join(part for part in (error.context, error.problem) if part)
        remedy = "Check indentation, colons and quotation marks."
        return None, [Problem(file, line, None, f"This is not YAML: {words}.", remedy)]
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = "There is a character that no text file should hold."
        return None, [Problem(file, line, None, message, "Delete it, and save the file as UTF-8 text.")]
    if node is None:
        return None, [Problem(file, 1, None, "The file is empty.", "Fill it, or remove it.")]
    problems: list[Problem] = []
    places: dict[Path, tuple[int, int]] = {}
    data = _build(node, (), places, file, problems)
    return Document(file, data, places), problems


def check_encoding(text: str, file: str) -> list[Problem]:
    """Whether the file was UTF-8, judged by the characters that decoding puts where it was not."""
    place = text.find("\ufffd")
    if place < 0:
        return []
    message = "The file is not UTF-8 text."
    return [Problem(file, text.count("\n", 0, place) + 1, None, message, "Save it as UTF-8.")]


def _build(node: yaml.Node, path: Path, places: dict[Path, tuple[int, int]], file: str, problems: list[Problem]) -> Any:
    places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                line = key_node.start_mark.line + 1
                problems.append(
                    Problem(file, line, None, "A key is not a word.", "Quote texts with brackets or braces.")
                )
                continue
            key = key_node.value
            if key in built:
                line = key_node.start_mark.line + 1
                problems.append(Problem(file, line, key, f"'{key}' stands twice.", "Keep one of them."))
            built[key] = _build(value_node, (*path, key), places, file, problems)
            places[(*path, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        return built
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, i), places, file, problems) for i, item in enumerate(node.value)]
    text: str = node.value
    kind = node.tag.rsplit(":", 1)[-1]
    if kind == "bool":
        return text == "true"
    if kind == "null":
        return None
    if kind == "int":
        return int(text)
    if kind == "float":
        return Decimal(text)
    return text
