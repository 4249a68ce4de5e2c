"""YAML as a bookkeeper means it: NO is Norway, 0700 is an account code, and a key stands once."""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

# A mapping refers to no part of itself; an alias that does would be walked without end.
DEEPEST = 30


class _Loader(yaml.SafeLoader):
    # YAML 1.1 reads NO as false, 0700 as the octal number 448 and 1:30 as sixty-fold digits. Here only true and false are
    # booleans, and only what is written as a plain decimal number is a number.
    yaml_implicit_resolvers = {  # noqa: RUF012 - the loader's own attribute is a plain dict
        first: [
            (tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in {"bool", "int", "float", "timestamp"}
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]*)$"), list("-0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$"), list("-0123456789"))


@dataclass(frozen=True, slots=True)
class Reading:
    """A document, the line (from 1) of each place in it, and the keys that stand twice in one place, with their lines.

    Places are written in words (`("divisions", "123456", "vat", "2")`), since a key may be a number in quotes. Where parts
    of the document were taken out, `origins` are the places in the file that those in the rest had.
    """

    document: Any
    lines: MappingOf[tuple[str, ...], int]
    repeated: tuple[tuple[int, str], ...]
    origins: MappingOf[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def origin(self, place: Sequence[int | str]) -> tuple[int | str, ...]:
        """Return where a place is in the file."""
        words = self.origins.get(tuple(map(str, place)))
        if words is None:
            return tuple(place)
        return tuple(int(word) if isinstance(part, int) else word for part, word in zip(place, words, strict=True))

    def line(self, place: Sequence[int | str]) -> int:
        """Return the line of a place, or that of the nearest place around it."""
        words = tuple(map(str, place))
        return next((line for end in range(len(words), -1, -1) if (line := self.lines.get(words[:end])) is not None), 1)


def read_with_places(text: str) -> Reading:
    """Read a document; raises yaml.YAMLError for what is no YAML. Of a key that stands twice the last one counts."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        lines: dict[tuple[str, ...], int] = {}
        repeated: list[tuple[int, str]] = []
        if node is not None:
            _walk(node, (), lines, repeated)
        document = loader.construct_document(node) if node is not None else None
    finally:
        loader.dispose()
    return Reading(document, lines, tuple(repeated))


def _walk(
    node: yaml.Node, place: tuple[str, ...], lines: dict[tuple[str, ...], int], repeated: list[tuple[int, str]], depth: int = 0
) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if depth > DEEPEST:
        raise yaml.constructor.ConstructorError(None, None, "this is nested too deeply", node.start_mark)
    if isinstance(node, yaml.SequenceNode):
        for index, each in enumerate(node.value):
            _walk(each, (*place, str(index)), lines, repeated, depth + 1)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[tuple[str, str]] = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a single word", key.start_mark)
        if (key.tag, key.value) in seen:
            repeated.append((key.start_mark.line + 1, key.value))
        seen.add((key.tag, key.value))
        lines[(*place, key.value)] = key.start_mark.line + 1
        _walk(value, (*place, key.value), lines, repeated, depth + 1)


def read_yaml(text: str) -> Any:
    """Return the document; raises yaml.YAMLError, also for a key that stands twice in one place."""
    reading = read_with_places(text)
    for line, key in reading.repeated:
        raise yaml.constructor.ConstructorError(None, None, f"the key {key} stands here twice, on line {line}")
    return reading.document
