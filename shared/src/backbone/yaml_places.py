"""On which line of a YAML file something stands, for whoever must say where a rule is."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from backbone.yaml_reading import compose

Path = Sequence[str | int]


class Places:
    """The lines of one file, asked by path; raises yaml.YAMLError for a text that is not YAML."""

    def __init__(self, text: str) -> None:
        self._root = compose(text)

    def line(self, path: Path) -> int:
        """Return the line, counted from 1, of what stands at a path, or of the deepest part of the path that is there."""
        node, line = self._root, 1
        for step in path:
            found = _child(node, step)
            if found is None:
                return line
            node, line = found
        return line


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child: yaml.Node = node.value[step]
        return child, child.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == str(step):
                return value, key.start_mark.line + 1
    return None


def written(path: Path) -> str:
    """Write a path as people point at a part of the file: divisions.100001.revenue[3].account."""
    parts = (f"[{step}]" if isinstance(step, int) and index > 1 else f".{step}" for index, step in enumerate(path))
    return "".join(parts).lstrip(".")
