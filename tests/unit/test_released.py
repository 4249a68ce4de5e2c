"""What Exact releases of deferred revenue is compared with the schedule, period by period."""

from __future__ import annotations

from calendar import monthrange
from datetime import date

import pytest

from bookkeeping.journal import Entry, Line, Role
from bookkeeping.periods import Period, Periods
from bookkeeping.reconciliation import Found
from bookkeeping.released import compare_releases

ENDS = [date(2026, month, monthrange(2026, month)[1]) for month in range(1, 13)]
MONTHS = [Period(year=2026, number=end.month, starts=end.replace(day=1), ends=end, is_open=True) for end in ENDS]
PERIODS = Periods(MONTHS, known_until=ENDS[-1])


def sale(amount_minor: int = 100) -> Entry:
    """Revenue that is earned from January to March."""
    revenue = Line(role=Role.REVENUE, account="8000", amount_minor=-amount_minor, first=date(2026, 1, 1), last=ENDS[2])
    debt = Line(role=Role.RECEIVABLE, account="1300", amount_minor=amount_minor)
    day = date(2026, 1, 5)
    return Entry(kind="sales", journal="70", reference="INV-1", entry_date=day, currency="EUR", lines=(debt, revenue))


def shown(*amounts: tuple[int, int]) -> list[Found]:
    """What the revenue account has of the deferral: by period, debit positive."""
    return [
        Found(account="8000", amount_minor=each, base_minor=each, day=date(2026, period, 1), year=2026, period=period)
        for period, each in amounts
    ]


CASES = {
    "as asked for": ([(1, 100), (1, -33), (2, -33), (3, -34)], []),
    "a cent of rounding": ([(1, 100), (1, -34), (2, -33), (3, -33)], []),
    # February and March release the same, within the cent.
    "a month later": ([(1, 100), (2, -33), (3, -33), (4, -34)], ["8000 2026-01", "8000 2026-04"]),
    "all at once": ([(1, 100), (1, -100)], ["8000 2026-01", "8000 2026-02", "8000 2026-03"]),
    "nothing of it": ([], ["8000 2026-01", "8000 2026-02", "8000 2026-03"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_period_with_another_release_is_named(name: str) -> None:
    amounts, places = CASES[name]
    found = compare_releases(sale(), shown(*amounts), PERIODS, "per_period")
    assert [each.place for each in found] == places


def test_without_the_setting_only_what_is_never_released_is_named() -> None:
    by_days = shown((1, 100), (1, -28), (2, -37), (3, -35))
    assert compare_releases(sale(), by_days, PERIODS, None) == []
    (found,) = compare_releases(sale(), shown((1, 100), (1, -28), (2, -37)), PERIODS, None)
    assert (found.place, found.booked, found.found) == ("8000", 0, 35)
