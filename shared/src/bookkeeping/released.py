"""Deferred revenue as Exact released it against the schedule that was asked for: every period in which another amount stands.

Exact takes a deferred line off its revenue account in the entry's period, and puts a part of it back in each period of its days.
What an account has in a period of these lines is compared; cents of conversion and rounding are nobody's doing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bookkeeping.deferral import Method
from bookkeeping.journal import Entry
from bookkeeping.periods import Periods
from bookkeeping.reconciliation import Difference, Found
from bookkeeping.roll_forward import movements


def compare_releases(entry: Entry, lines: Sequence[Found], periods: Periods, method: Method | None) -> list[Difference]:
    """Return the periods in which the ledger releases otherwise than was asked for; amounts debit positive, by their account.

    `entry` is in the division's currency. Without a `method`, since the configuration does not tell Exact's, only that all
    that was deferred is released in the end is compared.
    """
    expected: Counter[tuple[str, str]] = Counter()
    for moved in movements(entry, periods, method or "per_period"):
        expected[moved.account, moved.period] += moved.amount_minor if moved.kind == "invoiced" else -moved.amount_minor
    found: Counter[tuple[str, str]] = Counter()
    accounts = {account for account, _ in expected}
    for line in lines:
        if line.account in accounts:
            found[line.account, f"{line.year}-{line.period:02d}"] += line.base_minor
    cents = sum(line.first is not None for line in entry.lines)
    if method is None:
        totals = Counter[str]()
        for (account, _), amount in found.items():
            totals[account] += amount
        return [
            Difference(kind="edited", what="deferral", place=account, booked=0, found=totals[account])
            for account in sorted(accounts)
            if abs(totals[account]) > cents
        ]
    return [
        Difference(kind="edited", what="deferral", place=f"{place[0]} {place[1]}", booked=expected[place], found=found[place])
        for place in sorted(expected.keys() | found.keys())
        if abs(found[place] - expected[place]) > cents
    ]
