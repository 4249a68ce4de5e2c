"""What takes an invoice back, in part or whole, after the invoice's own booking: its rate, and the days it is released over.

It only reads. Under `exchange_rates: exact` the rate is known once Exact has answered; a release may have been moved out of
closed periods. So a document that needs either waits until the invoice is booked.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from bookkeeping.bookings import booking_of
from bookkeeping.documents import CreditedLine, CreditNote, Document, VatReclaim, WithheldTax
from bookkeeping.journal import Entry
from bookkeeping.mapping import Mapping
from bookkeeping.rejections import Rejection, reject
from bookkeeping.sales import is_deferred_credit
from bookkeeping.write_offs import is_write_off
from contracts import chargebee
from contracts.commands import PostEntry
from mapper.account_holders import rate_to_be
from mapper.issue import booked_entry
from mapper.lives import newest_life, newest_number, resource_id, waits_for
from mapper.store import ISSUED, OPEN_STATES, Key, Row, Store
from mapper.subjects import Subject, fingerprint_of, product_ids


@dataclass(frozen=True, slots=True)
class _Booked:
    """How an invoice is booked: its row and command, None while that is not so; `is_to_come` when it may still be."""

    row: Row | None
    command: PostEntry | None
    is_to_come: bool


async def as_booked(store: Store, subject: Subject, document: Document, name: str) -> Document | Rejection:
    """Return a credit note, write-off or withheld tax with the rate and the days of the invoice's own booking, or let it wait."""
    if isinstance(document, VatReclaim):
        note = await as_booked(store, subject, document.note, name)
        return replace(document, note=note) if isinstance(note, CreditNote) else note if isinstance(note, Rejection) else document
    mapping = subject.mapping
    if mapping is None or not isinstance(document, CreditNote | WithheldTax):
        return document
    number = document.invoice if isinstance(document, WithheldTax) else document.reference_invoice
    is_foreign = document.currency != mapping.currency
    is_deferred = _may_be_deferred(document, mapping)
    if number is None or not (is_foreign or is_deferred):
        return document
    booked = await _booked(store, subject.key.site, number)
    if booked.command is None and booked.is_to_come:
        store.stand_still()
    waiting = reject("waiting_for_booked_invoice", waits_for=waits_for(number), invoice=number, document=name)
    if is_foreign:
        rate = await _rate(store, subject, mapping, booked, number, document.currency)
        if rate is None and mapping.exchange_rates.policy == "exact" and booked.row is not None and booked.row.state == "booked":
            # A replay, or an answer that comes again, tells the rate.
            waits = waits_for(number)
            return reject("booked_rate_unknown", waits_for=waits, document=name, booked=f"invoice {number}")
        if rate is None and mapping.exchange_rates.policy == "exact" and (booked.is_to_come or booked.row is not None):
            return waiting
        document = replace(document, reference_rate=rate)
    if not isinstance(document, CreditNote) or not is_deferred:
        return document
    if booked.command is None:
        products = await store.products(subject.key.site, product_ids(document))
        return waiting if booked.is_to_come and is_deferred_credit(document, mapping, products) else document
    invoice = await newest_life(store, subject.key.site, "invoice", number, chargebee.Invoice)
    is_as_booked = invoice is not None and booked.row is not None and booked.row.fingerprint == fingerprint_of(invoice)
    lines = (
        replace(line, credited=_released(line.credited, booked.command, is_as_booked=is_as_booked))
        if line.credited is not None
        else line
        for line in document.lines
    )
    return replace(document, lines=tuple(lines))


def _may_be_deferred(document: CreditNote | WithheldTax, mapping: Mapping) -> bool:
    if not isinstance(document, CreditNote) or is_write_off(document, mapping):
        return False  # a write-off takes no revenue back
    return any(line.credited is not None for line in document.lines)


async def credits_as_booked(store: Store, key: Key, receivable_account: str) -> list[Entry]:
    """Return the credit notes of an invoice that are booked and not taken back, each as it is booked; none for other kinds."""
    if key.kind != "invoice":
        return []
    invoice = await store.resource(key.site, "invoice", resource_id(key), chargebee.Invoice)
    listed = (*invoice.issued_credit_notes, *invoice.adjustment_credit_notes) if invoice is not None else ()
    found = []
    for number in dict.fromkeys(each.cn_id for each in listed if each.cn_id):
        last = _last([row for row in await store.rows_of(key.site, "credit_note", number) if row.state in ISSUED])
        if last is not None and last.command is not None and not booking_of(last.key.suffix).is_reversal:
            command = msgspec.json.decode(last.command, type=PostEntry)
            found.append(booked_entry(command, command.your_ref, receivable_account))
    return found


def _released(credited: CreditedLine, command: PostEntry, *, is_as_booked: bool) -> CreditedLine:
    """Return an invoice's line as it is released by its booking: from the first day on that its last one is deferred from.

    All lines that end on one day were moved to the same day, or not at all; one that none ends with was released at once,
    unless the invoice was changed since.
    """
    starts = [
        line.from_date
        for line in command.lines
        if line.from_date is not None and line.to_date == credited.service_to and line.from_date >= credited.service_from
    ]
    if starts:
        return replace(credited, released_from=min(starts))
    return replace(credited, at_once=True) if is_as_booked else credited


async def _rate(store: Store, subject: Subject, mapping: Mapping, booked: _Booked, number: str, currency: str) -> Decimal | None:
    """Return the rate that an invoice is booked at, or will be; None where that is not known."""
    command = booked.command
    if command is None or booked.row is None:
        invoice = await newest_life(store, subject.key.site, "invoice", number, chargebee.Invoice)
        return rate_to_be(invoice, subject) if invoice is not None and mapping.exchange_rates.policy != "exact" else None
    told = Decimal(booked.row.exchange_rate) if booked.row.exchange_rate is not None else None
    return (command.exchange_rate or told) if command.currency == currency else None


async def _booked(store: Store, site: str, number: str) -> _Booked:
    rows = await store.rows_of(site, "invoice", number)
    life = await newest_number(store, site, "invoice", number)
    states = [row for row in rows if booking_of(row.key.suffix).life == life and not booking_of(row.key.suffix).is_reversal]
    last = _last([row for row in states if row.state in ISSUED and row.command is not None])
    command = msgspec.json.decode(last.command, type=PostEntry) if last is not None and last.command is not None else None
    return _Booked(last, command, last is None and any(row.state in OPEN_STATES for row in states))


def _last(rows: list[Row]) -> Row | None:
    return max(rows, key=lambda row: (booking_of(row.key.suffix).life, booking_of(row.key.suffix).step), default=None)
