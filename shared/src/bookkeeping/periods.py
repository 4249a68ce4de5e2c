"""Which period an entry is reported in: its own while that is open, else a later one, by the division's rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

PeriodPolicy = Literal["move", "hold", "ask"]
VatReturn = Literal["monthly", "quarterly", "yearly"]
MONTHS_OF_A_QUARTER = 3
DECEMBER = 12


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
    """The periods of one journal, as far as they are known; Exact keeps them per journal.

    They come in one by one; `known_until` is the last day that Exact has a period for, None when that is not known.
    """

    __slots__ = ("_known_until", "_periods")

    def __init__(self, periods: Iterable[Period] = (), *, known_until: date | None = None) -> None:
        self._periods = tuple(sorted(periods, key=lambda period: period.starts))
        self._known_until = known_until

    def __bool__(self) -> bool:
        return bool(self._periods)

    def __iter__(self) -> Iterator[Period]:
        return iter(self._periods)

    def of(self, day: date) -> Period | None:
        """Return the period that `day` lies in, or None when it is not known."""
        for period in self._periods:
            if period.starts <= day <= period.ends:
                return period
        return None

    def is_to_come(self, day: date) -> bool:
        """Tell whether Exact has a period for a day that has not come in yet."""
        is_later = bool(self._periods) and self._periods[-1].ends < day
        return is_later and self._known_until is not None and day <= self._known_until

    def numbered(self, year: int, number: int) -> Period | None:
        """Return the period with a number, or None when it is not known."""
        return next((period for period in self._periods if (period.year, period.number) == (year, number)), None)

    def named(self, name: str) -> Period | None:
        """Return the period that is written so (2026-03), or None when it is not known."""
        return next((period for period in self._periods if str(period) == name), None)

    def first_open_after(self, closed: Period) -> Period | None:
        """Return the first open period that starts after `closed`, or None when none is known."""
        for period in self._periods:
            if period.starts > closed.ends and period.is_open:
                return period
        return None

    def distance(self, one: Period, other: Period) -> int:
        """Return how many periods later `other` is."""
        return self._periods.index(other) - self._periods.index(one)

    def first_open_day(self, day: date) -> date | None:
        """Return `day` when its period is open or unknown, else the first day of the next open period, else None."""
        period = self.of(day)
        if period is None or period.is_open:
            return day
        following = self.first_open_after(period)
        return following.starts if following is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodAnswer:
    """What a person answered about closed periods: `into` which a document or all of a period goes; None stands for any."""

    into: str
    document: str | None = None
    period: str | None = None
    journal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodRules:
    """What else a division wants of moves: how far they may go, what was answered, and which VAT returns were filed.

    Without `filed_until` a period that is closed counts as filed.
    """

    max_distance: int | None = None
    across_years: Literal["move", "hold"] = "move"
    answers: tuple[PeriodAnswer, ...] = ()
    vat_return: VatReturn = "monthly"
    filed_until: date | None = None
    _by_document: MappingOf[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)
    _by_period: MappingOf[tuple[str, str | None], str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_document", {each.document: each.into for each in self.answers if each.document is not None})
        periods = {(each.period, each.journal): each.into for each in self.answers if each.period is not None}
        object.__setattr__(self, "_by_period", periods)

    def answer(self, document: str, period: Period | None, journal: str) -> str | None:
        """Return the period that a person named for a document: for itself, else for all of its period."""
        found = self._by_document.get(document)
        if found is None and period is not None:
            name = str(period)
            found = self._by_period.get((name, journal)) or self._by_period.get((name, None))
        return found

    def return_of(self, day: date) -> str:
        """Return the VAT return that a day belongs to: 2026-02, 2026-Q1 or 2026."""
        if self.vat_return == "yearly":
            return str(day.year)
        if self.vat_return == "quarterly":
            return f"{day.year}-Q{(day.month - 1) // MONTHS_OF_A_QUARTER + 1}"
        return f"{day.year}-{day.month:02d}"

    def is_filed(self, day: date, period: Period) -> bool:
        """Tell whether the VAT return of a day was filed."""
        return day <= self.filed_until if self.filed_until is not None else not period.is_open


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What is reported in another period than its date says; amounts in minor units of `currency`, positive for a sale.

    An `entry` moves with its whole debt and its VAT by code; a `deferral` with the revenue that would have been released in
    closed periods. `filed_return` names the VAT return that was filed without `vat`, None when none was.
    """

    kind: Literal["entry", "deferral"]
    journal: str
    from_period: str
    to_period: str
    currency: str
    amount_minor: int
    vat: tuple[tuple[str, int], ...] = ()
    filed_return: str | None = None

    @property
    def vat_minor(self) -> int:
        """All VAT of the entry."""
        return sum(amount for _, amount in self.vat)


def month_end(day: date) -> date:
    """Return the last day of the month of `day`."""
    following = date(day.year + (day.month == DECEMBER), day.month % DECEMBER + 1, 1)
    return following - timedelta(days=1)


def spans(first: date, last: date, periods: Periods | None = None) -> list[tuple[date, date]]:
    """Cut days at the ends of the known periods, else at those of months."""
    found: list[tuple[date, date]] = []
    start = first
    while start <= last:
        period = periods.of(start) if periods is not None else None
        end = min(period.ends if period is not None else month_end(start), last)
        found.append((start, end))
        start = end + timedelta(days=1)
    return found
