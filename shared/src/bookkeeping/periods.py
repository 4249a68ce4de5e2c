"""Which period an entry is reported in: its own while that is open, else the first open one after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A period of a journal; `starts` and `ends` both belong to it."""

    year: int
    number: int
    starts: date
    ends: date
    is_open: bool

    def __str__(self) -> str:
        return f"{self.year}-{self.number:02d}"


class Periods:
    """The periods of one journal, as far as they are known; Exact keeps them per journal."""

    __slots__ = ("_periods",)

    def __init__(self, periods: Iterable[Period] = ()) -> None:
        self._periods = tuple(sorted(periods, key=lambda period: period.starts))

    def of(self, day: date) -> Period | None:
        """Return the period that `day` lies in, or None when it is not known."""
        for period in self._periods:
            if period.starts <= day <= period.ends:
                return period
        return None

    def numbered(self, year: int, number: int) -> Period | None:
        """Return the period with a number, or None when it is not known."""
        return next((period for period in self._periods if (period.year, period.number) == (year, number)), None)

    def first_open_after(self, closed: Period) -> Period | None:
        """Return the first open period that starts after `closed`, or None when none is known."""
        for period in self._periods:
            if period.starts > closed.ends and period.is_open:
                return period
        return None

    def first_open_day(self, day: date) -> date | None:
        """Return `day` when its period is open or unknown, else the first day of the next open period, else None."""
        period = self.of(day)
        if period is None or period.is_open:
            return day
        following = self.first_open_after(period)
        return following.starts if following is not None else None
