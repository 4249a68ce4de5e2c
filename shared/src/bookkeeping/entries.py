"""From any document to its entry, into an open period, and back again by a reversal."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import replace
from datetime import date

from bookkeeping.deferral import credit_portions
from bookkeeping.documents import CreditNote, Document, Invoice, Product, VatReclaim, WithheldTax
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.mapping import Mapping
from bookkeeping.modes import in_mode
from bookkeeping.money import allocate
from bookkeeping.payments import money_entry, withheld_entry
from bookkeeping.periods import Period, Periods
from bookkeeping.rejections import Rejection, SetAside, reject
from bookkeeping.sales import sales_entry
from bookkeeping.write_offs import is_write_off, reclaim_entry, write_off_entry


def make_entry(document: Document, mapping: Mapping, products: MappingOf[str, Product]) -> Entry | Rejection | SetAside:
    """Make the balanced entry of a document, or say why it cannot be booked now, or why it is not to be booked."""
    if isinstance(document, VatReclaim):
        return reclaim_entry(document, mapping)
    if isinstance(document, CreditNote) and is_write_off(document, mapping):
        return write_off_entry(document, mapping)
    if isinstance(document, Invoice | CreditNote):
        made = sales_entry(document, mapping, products)
        return in_mode(made, mapping) if isinstance(made, Entry) else made
    if isinstance(document, WithheldTax):
        return withheld_entry(document, mapping)
    return money_entry(document, mapping)


def place_in_period(entry: Entry, name: str, periods: Periods, mapping: Mapping) -> Entry | Rejection:
    """Report the entry in the first open period of its journal when its own is closed; the entry keeps its legal date.

    Deferred lines that start in a closed period start on the first open day, over what is left of their range. Every move is
    told in the explanation. Returns the rejection `period_closed` when the policy is to hold, or no later period is open.
    """
    own = periods.of(entry.entry_date)
    moved = entry
    if own is not None and not own.is_open:
        following = periods.first_open_after(own)
        if following is None or mapping.period_policy == "hold":
            return _closed(entry, name, own, no_later=following is None and mapping.period_policy == "move")
        moved = replace(
            entry,
            reporting_year=following.year,
            reporting_period=following.number,
            explanation=(*entry.explanation, f"Period {own} of journal {entry.journal} is closed: reported in {following}."),
        )
    if all(line.first is None for line in moved.lines):
        return moved
    notes: list[str] = []
    lines = tuple(_start_in_open(line, periods, notes) for line in moved.lines)
    return replace(moved, lines=lines, explanation=(*moved.explanation, *notes)) if notes else moved


def _closed(entry: Entry, name: str, own: Period, *, no_later: bool) -> Rejection:
    rest = ", and no later one is known to be open" if no_later else ""
    return reject("period_closed", document=name, date=entry.entry_date.isoformat(), period=own, journal=entry.journal, rest=rest)


def _start_in_open(line: Line, periods: Periods, notes: list[str]) -> Line:
    if line.first is None or line.last is None:
        return line
    start = periods.first_open_day(line.first)
    if start is None or start == line.first:
        return line
    if start > line.last:
        notes.append(f"'{line.description}': its whole service period lies in closed periods, so it is not deferred.")
        return replace(line, first=None, last=None)
    notes.append(f"'{line.description}': deferral starts on {start} instead of {line.first}, which is in a closed period.")
    return replace(line, first=start)


def reverse(entry: Entry, day: date, mapping: Mapping) -> Entry:
    """Make the mirror of an entry on another day, under the same number with `/R`; nothing is ever deleted.

    What a deferred line has earned until that day is taken back at once, what is left over the rest of its service period.
    """
    lines: list[Line] = []
    for line in entry.lines:
        if line.first is None or line.last is None:
            lines.append(replace(line, amount_minor=-line.amount_minor, vat_minor=-line.vat_minor))
            continue
        portions = credit_portions(-line.amount_minor, day, line.amount_minor, (line.first, line.last), None)
        taxes = allocate(-line.vat_minor, [abs(portion.amount_minor) or 1 for portion in portions] or [1])
        lines += [
            replace(line, amount_minor=portion.amount_minor, vat_minor=tax, first=portion.first, last=portion.last)
            for portion, tax in zip(portions, taxes, strict=True)
        ]
    journal = entry.journal
    if entry.kind == "sales":
        debt = sum(line.amount_minor for line in lines if line.role is Role.RECEIVABLE)
        journal = mapping.journal("credit_notes" if debt < 0 else "invoices", entry.currency)
    return replace(
        entry,
        journal=journal,
        reference=f"{entry.reference}/R",
        entry_date=day,
        due_date=None,
        reporting_year=None,
        reporting_period=None,
        lines=tuple(lines),
        description=f"Reversal of {entry.description[:1].lower()}{entry.description[1:]}",
        explanation=(f"Mirror of the entry of {entry.entry_date}, booked on {day}.",),
    )
