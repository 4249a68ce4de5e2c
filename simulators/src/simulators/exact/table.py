from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from simulators.exact.wire import Row


class Table:
    """Rows of one kind in one division, by key, each with a row version that grows at every change.

    Rows hold only what is filled. `indexed` names properties that are looked up by value often.
    """

    def __init__(self, key: tuple[str, ...], next_version: Callable[[], int], indexed: Iterable[str] = ()) -> None:
        self.key = key
        self._next_version = next_version
        self._rows: dict[Any, Row] = {}
        self._places: dict[Any, int] = {}  # kept after a deletion, so that a page token stays usable
        self._versions: list[int] = []
        self._version_keys: list[Any] = []
        self._indexes: dict[str, dict[Any, dict[Any, None]]] = {name: {} for name in indexed}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def key_of(self, row: Row) -> Any:
        """The key of a row: one value, or a tuple where the key has several parts."""
        return row[self.key[0]] if len(self.key) == 1 else tuple(row[name] for name in self.key)

    def get(self, key: Any) -> Row | None:
        """The row with this key."""
        return self._rows.get(key)

    def place(self, key: Any) -> int:
        """Where a row stands or stood in the order of creation; -1 for a key that never existed."""
        return self._places.get(key, -1)

    def add(self, row: Row) -> Row:
        """Stores a new row. Its key must be free: the caller has checked that."""
        key = self.key_of(row)
        self._rows[key] = row
        self._places.setdefault(key, len(self._places))
        for name, index in self._indexes.items():
            index.setdefault(fold(row.get(name)), {})[key] = None
        self._stamp(key, row)
        return row

    def change(self, key: Any, changes: Row) -> Row:
        """Writes some properties of a row and gives it a new row version."""
        row = self._rows[key]
        for name, index in self._indexes.items():
            if name in changes:
                index.get(fold(row.get(name)), {}).pop(key, None)
                index.setdefault(fold(changes[name]), {})[key] = None
        row.update(changes)
        self._stamp(key, row)
        return row

    def remove(self, key: Any) -> Row:
        """Takes a row out; its row versions are gone with it."""
        row = self._rows.pop(key)
        for name, index in self._indexes.items():
            index.get(fold(row.get(name)), {}).pop(key, None)
        return row

    def where(self, name: str, value: Any) -> list[Row]:
        """The rows whose indexed property has this value, in order of creation."""
        keys = self._indexes[name].get(fold(value), {})
        return [self._rows[key] for key in keys]

    def has_index(self, name: str) -> bool:
        """Whether `where` can be asked about this property."""
        return name in self._indexes

    def after_version(self, version: int) -> Iterator[Row]:
        """The rows whose current row version is higher, oldest change first."""
        for place in range(bisect_right(self._versions, version), len(self._versions)):
            row = self._rows.get(self._version_keys[place])
            if row is not None and row["Timestamp"] == self._versions[place]:
                yield row

    def stamp_anew(self) -> None:
        """Gives every row a new version, in the order of the old ones."""
        keys = [self.key_of(row) for row in self.after_version(-1)]
        self._versions, self._version_keys = [], []
        for key in keys:
            self._stamp(key, self._rows[key])

    def _stamp(self, key: Any, row: Row) -> None:
        row["Timestamp"] = self._next_version()
        self._versions.append(row["Timestamp"])
        self._version_keys.append(key)


def fold(value: Any) -> Any:
    """Text as SQL Server compares it by default: without case and without trailing spaces."""
    return value.rstrip(" ").casefold() if isinstance(value, str) else value
