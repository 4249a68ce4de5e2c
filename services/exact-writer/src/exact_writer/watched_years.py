"""Which financial years are read every hour: pure.

Exact lists the state of each journal in each period, sixty rows a page, so that all years of a division with many journals take
many calls. A period of this year or the last may be opened or closed any day. In an older year nothing happens as a rule; where
some of it is open and some is closed, somebody is at work in it. All years are read once a day, when a command names a period
that is not known, when Exact refuses an entry in a year that is not watched, and when a webhook says that something changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from math import ceil
from typing import Final

import msgspec

from contracts.commands import EntryLine
from exact_writer.master_records import Record

RECENT_DAYS: Final = 400  # after its end a year is corrected until its report is done
ROWS_A_PAGE: Final = 60  # of financial/FinancialPeriods and read/financial/JournalStatusList


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """All years from `since` on, those that Exact will have one day too, and `older` ones."""

    since: int
    older: frozenset[int] = frozenset()

    def has(self, year: int) -> bool:
        """Whether a year is read every hour."""
        return year >= self.since or year in self.older

    def filter_by(self, name: str) -> str:
        """The same for OData, where `name` is the property that has the year."""
        return " or ".join([f"{name} ge {self.since}", *(f"{name} eq {year}" for year in sorted(self.older))])


def watched(periods: Mapping[str, Record], today: date) -> Watched | None:
    """The years that are read every hour, of periods by `journal/year/period`; None for all: no year is recent."""
    ends: dict[int, date] = {}
    states: dict[int, set[bool]] = defaultdict(set)
    for code, record in periods.items():
        year = year_of(code)
        ends[year] = max(ends.get(year, date.min), record.ends or date.min)
        states[year].add(record.is_open)
    recent = [year for year, end in ends.items() if end >= today - timedelta(days=RECENT_DAYS)]
    if not recent:
        return None
    since = min(recent)
    return Watched(since=since, older=frozenset(year for year, found in states.items() if year < since and len(found) > 1))


def year_of(code: str) -> int:
    """The year of a period's code."""
    return int(code.rsplit("/", 2)[1])


def calls_of(periods: Mapping[str, Record], years: Watched | None) -> int:
    """How many pages it takes to read these years; None for all."""
    codes = [code for code in periods if years is None or years.has(year_of(code))]
    dates = {tuple(code.rsplit("/", 2)[1:]) for code in codes}
    # Without any yet: a page of each.
    return max(1, ceil(len(dates) / ROWS_A_PAGE)) + max(1, ceil(len(codes) / ROWS_A_PAGE))


def reaches_beyond(line: EntryLine, period: Record) -> bool:
    """Whether a line defers revenue into other periods than this one."""
    if line.from_date is None or line.to_date is None or period.starts is None or period.ends is None:
        return False
    return line.from_date < period.starts or line.to_date > period.ends
