"""Series of document numbers: which numbers between the first and the last one are not there."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

_NUMBERED = re.compile(r"^(?P<prefix>.*?)(?P<digits>\d{1,18})$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Numbered:
    """A number of a series: `INV-0042` is 42 of `INV-`, four digits wide."""

    prefix: str
    value: int
    width: int

    @property
    def text(self) -> str:
        """The number as documents carry it."""
        return f"{self.prefix}{self.value:0{self.width}d}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that are not there, from the first to the last."""

    first: int
    last: int

    @property
    def count(self) -> int:
        """How many they are."""
        return self.last - self.first + 1


def numbered(number: str) -> Numbered | None:
    """Read a document number; None for one that does not end with digits, which no series has."""
    found = _NUMBERED.match(number)
    if found is None:
        return None
    digits = found["digits"]
    # Only leading zeros tell a width: 99 and 100 are of one series.
    return Numbered(found["prefix"], int(digits), len(digits) if digits.startswith("0") else 1)


def named_like(number: str, value: int) -> str:
    """Write a number of the series that `number` belongs to as its documents carry it: 7 of `INV-0042` is `INV-0007`.

    Of a number that does not end with digits nothing is known but the value.
    """
    series = numbered(number)
    return str(value) if series is None else replace(series, value=value).text


def gaps(values: Iterable[int]) -> Iterator[Gap]:
    """Give the gaps between numbers that come in growing order; one that comes twice makes no gap."""
    before: int | None = None
    for value in values:
        if before is not None and value > before + 1:
            yield Gap(before + 1, value - 1)
        before = value


@dataclass(frozen=True, slots=True)
class Lacking:
    """The numbers that a series lacks behind its first one; `first` is that one as its document carries it."""

    first: str
    gaps: tuple[Gap, ...]

    @property
    def count(self) -> int:
        """How many they are."""
        return sum(gap.count for gap in self.gaps)

    def __contains__(self, number: str) -> bool:
        """Tell whether a number of a document is one of them."""
        here, series = numbered(number), numbered(self.first)
        if here is None or series is None or here.prefix != series.prefix:
            return False
        place = bisect_right(self.gaps, here.value, key=lambda gap: gap.first) - 1
        return place >= 0 and here.value <= self.gaps[place].last

    def __iter__(self) -> Iterator[str]:
        """Give them as documents would carry them."""
        if numbered(self.first) is None:
            return
        for gap in self.gaps:
            for value in range(gap.first, gap.last + 1):
                yield named_like(self.first, value)
