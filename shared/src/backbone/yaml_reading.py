"""YAML as a bookkeeper means it: NO is Norway, 0700 is an account code, and a key stands once."""

from __future__ import annotations

import re
from typing import Any

import yaml


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


def _mapping_without_duplicates(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    pairs: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, (dict, list)):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a single word", key_node.start_mark)
        if key in pairs:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key} stands here twice", key_node.start_mark)
        pairs[key] = loader.construct_object(value_node, deep=True)
    return pairs


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)


def read_yaml(text: str) -> Any:
    """Return the document; raises yaml.YAMLError, also for a key that stands twice in one place."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - the loader is a SafeLoader that knows fewer types


def compose(text: str) -> yaml.Node | None:
    """Return the document's nodes with their places, None for an empty text; raises yaml.YAMLError."""
    node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return node
