"""The roll-forward of deferred revenue: what stood on the balance account, what came, was released and credited, by period."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from bookkeeping.deferral import Method, schedule
from bookkeeping.journal import Entry
from bookkeeping.periods import Periods

Kind = Literal["invoiced", "released", "credited"]


@dataclass(frozen=True, slots=True)
class Movement:
    """One line's effect in one period; amounts in minor units of the division's currency. `released` is net of credits."""

    period: str
    account: str
    kind: Kind
    amount_minor: int


@dataclass(slots=True)
class Row:
    """One revenue account in one period: opening + invoiced - released - credited = closing."""

    account: str
    period: str
    opening_minor: int
    invoiced_minor: int = 0
    released_minor: int = 0
    credited_minor: int = 0

    @property
    def closing_minor(self) -> int:
        """What is left on the balance account at the end of the period."""
        return self.opening_minor + self.invoiced_minor - self.released_minor - self.credited_minor


def movements(entry: Entry, periods: Periods, method: Method) -> Iterator[Movement]:
    """Give what the deferred lines of an entry, in the division's currency, do to the balance account.

    Exact defers a line in the period that its entry is reported in, and releases it over the periods between From and To. What
    an invoice gives back, as a discount on an account of its own, is invoiced less than nothing, and not credited.
    """
    is_credit = entry.receivable_minor < 0
    for line in entry.lines:
        if line.first is None or line.last is None:
            continue
        amount = -line.amount_minor
        reported = period_of(entry.entry_date, periods)
        if entry.reporting_year is not None and entry.reporting_period is not None:
            reported = f"{entry.reporting_year}-{entry.reporting_period:02d}"
        yield Movement(reported, line.account, "credited" if is_credit else "invoiced", -amount if is_credit else amount)
        for release in schedule(amount, line.first, line.last, method, periods):
            yield Movement(period_of(release.first, periods), line.account, "released", release.amount_minor)


def period_of(day: date, periods: Periods) -> str:
    """Name the period of a day; its month where Exact's periods do not reach."""
    period = periods.of(day)
    return str(period) if period is not None else f"{day.year}-{day.month:02d}"


@dataclass(slots=True)
class RollForward:
    """Adds up movements by account and period; what is kept does not grow with the number of documents."""

    _sums: dict[str, dict[str, dict[Kind, int]]] = field(default_factory=dict)

    def add(self, moved: Iterable[Movement]) -> None:
        """Add what one entry does."""
        for each in moved:
            of_period = self._sums.setdefault(each.account, {}).setdefault(each.period, {})
            of_period[each.kind] = of_period.get(each.kind, 0) + each.amount_minor

    def rows(self, first: str | None = None, last: str | None = None) -> list[Row]:
        """Return every account in the periods asked for; those in which nothing stood and nothing happened are left out."""
        found = []
        periods = self._periods()
        for account, by_period in sorted(self._sums.items()):
            balance = 0
            for period in periods:
                sums = by_period.get(period, {})
                row = Row(
                    account,
                    period,
                    balance,
                    invoiced_minor=sums.get("invoiced", 0),
                    released_minor=sums.get("released", 0),
                    credited_minor=sums.get("credited", 0),
                )
                balance = row.closing_minor
                if (sums or balance) and (first is None or period >= first) and (last is None or period <= last):
                    found.append(row)
        return found

    def _periods(self) -> list[str]:
        """Name the periods from the first in which something happened to the last, months without any included."""
        named = {period for by_period in self._sums.values() for period in by_period}
        if not named:
            return []
        years = range(int(min(named)[:4]), int(max(named)[:4]) + 1)
        months = {f"{year}-{month:02d}" for year in years for month in range(1, 13)}
        return sorted(named | {month for month in months if min(named) < month < max(named)})

    def closing_minor(self, last: str | None = None) -> int:
        """Return what is left on the balance account after a period; after all of them it is nothing."""
        rows = {row.account: row.closing_minor for row in self.rows(None, last)}
        return sum(rows.values())
