"""Custom fields of Chargebee's resources: members that begin with cf_, of which nobody knows the names beforehand."""

from __future__ import annotations

from typing import Any

import msgspec

MARK = b'"cf_'
PREFIX = "cf_"
WORDS_OF = {True: "yes", False: "no"}


class _Fact(msgspec.Struct, frozen=True):
    resource: dict[str, msgspec.Raw]


_facts = msgspec.json.Decoder(_Fact)


def custom_fields_of(data: bytes) -> dict[str, str]:
    """Return the custom fields of the resource in a fact's data, in words; empty ones are left out.

    Numbers keep their digits, since they are taken from the bytes. What is no word, number or truth value is left out.
    """
    if MARK not in data:
        return {}
    members = _facts.decode(data).resource
    found = {name: _in_words(bytes(raw)) for name, raw in members.items() if name.startswith(PREFIX)}
    return {name: words for name, words in found.items() if words}


def _in_words(raw: bytes) -> str:
    value: Any = msgspec.json.decode(raw)
    if isinstance(value, bool):
        return WORDS_OF[value]
    if isinstance(value, str):
        return " ".join(value.split())
    return raw.decode() if isinstance(value, (int, float)) else ""
