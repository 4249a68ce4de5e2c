"""INSERT ... ON CONFLICT that is compiled once and then kept, as every other statement is.

SQLAlchemy 2.0 compiles each of its own anew, since its clause may hold values that would stay in what is kept (its compilers say
so where they read them). Here each value is a parameter from the start, so that statements of one form share what was compiled.
PostgreSQL and SQLite take the same clause.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import dml
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement
from sqlalchemy.sql.visitors import InternalTraversal

# What tells two clauses apart, by SQLAlchemy's own attributes.
_TARGET: Final = [("inferred_target_elements", InternalTraversal.dp_string_list)]
_CHANGES: Final = [
    *_TARGET,
    ("update_values_to_set", InternalTraversal.dp_dml_ordered_values),
    ("update_whereclause", InternalTraversal.dp_clauseelement),
]

_Key = Iterable[str | sa.Column[Any]]


def _names(key: _Key) -> list[str]:
    return [each if isinstance(each, str) else each.name for each in key]


class _DoNothing(dml.OnConflictDoNothing):
    _cache_key_traversal = _TARGET


class _DoUpdate(dml.OnConflictDoUpdate):
    _cache_key_traversal = _CHANGES


class Upsert(sa.Insert):
    """An INSERT that may say what to do about a row whose key is there already."""

    inherit_cache = True

    @property
    def excluded(self) -> ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]:
        """The row that would have been inserted, for the values of `on_conflict_do_update`."""
        return sa.alias(self.table, name="excluded").columns

    def on_conflict_do_nothing(self, index_elements: _Key | None = None) -> Self:
        """Leave a row that is there as it is: the one with the same key, or without a key any that may not stand beside this."""
        return self._with(_DoNothing(index_elements=None if index_elements is None else _names(index_elements)))

    def on_conflict_do_update(
        self, *, index_elements: _Key, set_: Mapping[str, Any], where: sa.ColumnElement[bool] | None = None
    ) -> Self:
        """Give these columns of the row with the same key these values or expressions, where it meets the condition."""
        values = {name: self._parameter(name, value) for name, value in set_.items()}
        return self._with(_DoUpdate(index_elements=_names(index_elements), set_=values, where=where))

    def _parameter(self, name: str, value: Any) -> Any:
        if isinstance(value, sa.ClauseElement):
            return value
        return sa.bindparam(None, value, type_=self.table.c[name].type)

    def _with(self, clause: sa.ClauseElement) -> Self:
        changed = self._generate()
        changed._post_values_clause = clause  # noqa: SLF001 - where SQLAlchemy's own keep it
        return changed
