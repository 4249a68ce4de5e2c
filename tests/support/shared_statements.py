"""Statements are compiled once a process instead of once an engine: each test opens engines of its own, and asks them the same.

The statements and what they do are the same; compiling them anew took a tenth of the tests' processor time.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.util import LRUCache

CAPACITY = 4_000
_alike: dict[type[Any], type[Any]] = {}  # by dialect: the same one, of which all objects are equal
_compiled: dict[type[Any], LRUCache[Any, Any]] = {}  # by the latter


def share_statements() -> None:
    """Let every engine of this process use what an engine of the same dialect has compiled before."""
    event.listen(sa.Engine, "engine_connect", _share)


def _share(connection: sa.Connection) -> None:
    engine: Any = connection.engine
    dialect = type(engine.dialect)
    if dialect in _compiled:
        return
    if dialect not in _alike:
        # What was compiled is found by its dialect, too. SQLAlchemy looks for the last one in the class itself.
        members = {
            "__eq__": lambda self, other: type(self) is type(other),
            "__hash__": lambda self: hash(type(self)),
            "supports_statement_cache": dialect.supports_statement_cache,
        }
        _alike[dialect] = type(dialect.__name__, (dialect,), members)
        _compiled[_alike[dialect]] = LRUCache(CAPACITY)
    engine.dialect.__class__ = _alike[dialect]
    engine._compiled_cache = _compiled[_alike[dialect]]
