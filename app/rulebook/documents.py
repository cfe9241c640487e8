"""YAML rule files with the place of every value, so that an error can name its line.

The loader is stricter than YAML 1.1: only `true` and `false` are booleans (`no` and `on` are words), dates stay text,
`0123` stays text, decimals are exact, and a key that stands twice is an error.
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


class _Loader(yaml.SafeLoader):
    """SafeLoader with resolvers of our own; see the module's docstring."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(null|~|)$"), ["n", "~", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+\.[0-9]+$"), list("-+0123456789"))


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
    problems: list[Problem] = []
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        return None, [
            Problem(
                file,
                line,
                None,
                f"This is not YAML: {error.problem}.",
                "Check indentation, colons and quotation marks.",
            )
        ]
    except yaml.YAMLError:
        return None, [Problem(file, None, None, "This is not YAML.", "Save the file as UTF-8 text.")]
    finally:
        loader.dispose()
    if node is None:
        return None, [Problem(file, 1, None, "The file is empty.", "Fill it, or remove it.")]
    places: dict[Path, tuple[int, int]] = {}
    data = _build(node, (), places, file, problems)
    return Document(file, data, places), problems


def _build(node: yaml.Node, path: Path, places: dict[Path, tuple[int, int]], file: str, problems: list[Problem]) -> Any:
    places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
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
