"""What was booked against what the ledger shows of it: every difference with its kind.

An entry that nobody touched shows the same amounts on the same accounts and VAT codes, in the same period and on the same day.
What differs was changed by somebody, but for cents where Exact computes the VAT, and a foreign currency's cents of conversion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from bookkeeping.journal import Entry

Kind = Literal[
    "rounding",
    "missing",
    "doubled",
    "by_hand",
    "period_moved",
    "edited",
    "exchange_rate",
    "waiting",
    "unread",
    "held",
    "set_aside",
    "not_ours",
    "accepted",
    "linked",
    "differs",
]
What = Literal["amount", "account", "vat", "date", "period", "rate", "dimension", "reference", "customer", "deferral"]
# Kinds that need nobody: they have their reason, or pass by themselves, or wait where `kruispost status` shows them.
EXPLAINED: frozenset[Kind] = frozenset(("rounding", "waiting", "held", "set_aside", "not_ours", "accepted", "linked"))
VAT = "VAT "  # before a VAT code, as postings name what Exact books on the account of that code


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One line of the ledger: in minor units of the entry's currency and, as `base_minor`, of the division's; debit is positive.

    Lines that release deferred revenue are not among them: they come of the entry and move nothing between it and the document.
    """

    account: str
    amount_minor: int
    base_minor: int
    day: date
    year: int
    period: int
    vat_code: str | None = None
    is_vat: bool = False
    cost_center: str | None = None
    cost_unit: str | None = None

    @property
    def place(self) -> str:
        """The account, or the VAT code for what Exact booked of it."""
        return f"{VAT}{self.vat_code}" if self.is_vat else self.account


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What one side says and the other does not. Amounts are minor units where `what` is an amount, else texts are compared."""

    kind: Kind
    what: What
    place: str = ""
    booked: str | int = ""
    found: str | int = ""

    @property
    def amount_minor(self) -> int:
        """By how much an amount differs; 0 for what is no amount."""
        if isinstance(self.booked, int) and isinstance(self.found, int):
            return self.found - self.booked
        return 0


def places(entry: Entry) -> Counter[str]:
    """Sum an entry by account, and by VAT code for its VAT, in minor units."""
    sums: Counter[str] = Counter()
    for line in entry.lines:
        sums[line.account] += line.amount_minor
        if line.vat_minor:
            sums[f"{VAT}{line.vat_code}"] += line.vat_minor
    return sums


def compare(
    entry: Entry, lines: Sequence[Found], *, currency: str, period: tuple[int, int] | None, computes_vat: bool
) -> list[Difference]:
    """Return what the ledger shows otherwise than it was booked; none where nobody touched it.

    `currency` is the division's, `period` the year and period that Exact reported the entry in. `computes_vat` says that Exact
    made a sales invoice of it and computed the VAT itself, so that cents may differ without a hand in it.
    """
    found = Counter[str]()
    for line in lines:
        found[line.place] += line.amount_minor
    differences = _amounts(places(entry), found, len(entry.lines), cents_may_differ=computes_vat, kind="edited")
    if not differences and entry.currency != currency and entry.exchange_rate is not None:
        differences = _base_amounts(entry, lines, currency)
    if not differences:
        differences = _dimensions(entry, lines)
    own = [line for line in lines if not line.is_vat]
    moved = sorted({(line.year, line.period) for line in own} - {period}) if period is not None else []
    if period is not None and moved:
        differences.append(Difference(kind="period_moved", what="period", booked=_name(period), found=_name(moved[0])))
    days = sorted({line.day for line in own} - {entry.entry_date})
    if days:
        booked, shown = entry.entry_date.isoformat(), days[0].isoformat()
        differences.append(Difference(kind="edited", what="date", booked=booked, found=shown))
    return differences


def _amounts(booked: Counter[str], found: Counter[str], lines: int, *, cents_may_differ: bool, kind: Kind) -> list[Difference]:
    differing = [place for place in sorted(booked.keys() | found.keys()) if booked[place] != found[place]]
    if not differing:
        return []
    if cents_may_differ and all(abs(found[place] - booked[place]) <= lines for place in differing):
        kind = "rounding"
    new = {place for place in differing if place not in booked or place not in found}
    return [
        Difference(kind=kind, what=_what(place, moved=bool(new)), place=place, booked=booked[place], found=found[place])
        for place in differing
    ]


def _what(place: str, *, moved: bool) -> What:
    if place.startswith(VAT):
        return "vat"
    return "account" if moved else "amount"


def _base_amounts(entry: Entry, lines: Sequence[Found], currency: str) -> list[Difference]:
    """Compare in the division's currency: cents of conversion are rounding, more is another rate."""
    booked, found = places(entry.in_currency(currency)), Counter[str]()
    for line in lines:
        found[line.place] += line.base_minor
    differences = _amounts(booked, found, len(entry.lines), cents_may_differ=True, kind="exchange_rate")
    return [
        Difference(kind=each.kind, what="rate", place=each.place, booked=each.booked, found=each.found) for each in differences
    ]


def _dimensions(entry: Entry, lines: Iterable[Found]) -> list[Difference]:
    """Compare cost centres and units of accounts that were booked with one; Exact may fill in its own on others."""
    booked, found = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    with_one = {line.account for line in entry.lines if line.cost_center or line.cost_unit}
    for line in entry.lines:
        booked[line.account, _dimension(line.cost_center, line.cost_unit)] += line.amount_minor
    for each in lines:
        if not each.is_vat:
            found[each.account, _dimension(each.cost_center, each.cost_unit)] += each.amount_minor
    differing = sorted(account for account in with_one if _of(booked, account) != _of(found, account))
    return [
        Difference(
            kind="edited",
            what="dimension",
            place=account,
            booked=", ".join(sorted(_of(booked, account))),
            found=", ".join(sorted(_of(found, account))),
        )
        for account in differing
    ]


def _of(sums: Counter[tuple[str, str]], account: str) -> dict[str, int]:
    return {dimension: amount for (one, dimension), amount in sums.items() if one == account and amount}


def _dimension(cost_center: str | None, cost_unit: str | None) -> str:
    return " / ".join(part for part in (cost_center, cost_unit) if part) or "-"


def _name(period: tuple[int, int]) -> str:
    return f"{period[0]}-{period[1]:02d}"
