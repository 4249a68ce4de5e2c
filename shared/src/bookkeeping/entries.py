"""From any document to its entry, and back again by a reversal."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import replace
from datetime import date

from bookkeeping.deferral import credit_portions
from bookkeeping.documents import CreditNote, Document, ExchangeDifference, Invoice, Payout, Product, VatReclaim, WithheldTax
from bookkeeping.exchange_differences import difference_entry
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.mapping import Mapping
from bookkeeping.modes import in_mode
from bookkeeping.money import allocate
from bookkeeping.payments import money_entry, withheld_entry
from bookkeeping.rejections import Rejection, SetAside
from bookkeeping.sales import sales_entry
from bookkeeping.settlements import payout_entry
from bookkeeping.telling import tell
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
    if isinstance(document, Payout):
        return payout_entry(document, mapping)
    if isinstance(document, ExchangeDifference):
        return difference_entry(document, mapping)
    return money_entry(document, mapping)


def reverse(entry: Entry, day: date, mapping: Mapping) -> Entry:
    """Make the mirror of an entry on another day, under the same number with `/R`; nothing is ever deleted.

    What a deferred line has earned until that day is taken back at once, what is left over the rest of its service period.
    """
    lines: list[Line] = []
    for line in entry.lines:
        if line.first is None or line.last is None:
            lines.append(replace(line, amount_minor=-line.amount_minor, vat_minor=-line.vat_minor))
            continue
        portions = credit_portions(
            -line.amount_minor, day, line.amount_minor, (line.first, line.last), None, method=mapping.deferral_method
        )
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
        description=mapping.texts.reversal(entry.description),
        explanation=(tell("mirror", date=entry.entry_date, day=day),),
    )
