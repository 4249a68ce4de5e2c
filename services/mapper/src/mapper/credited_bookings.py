"""What takes an invoice back, in part or whole, after the invoice's own booking: its rate, and the days it is released over.

It only reads. Under `exchange_rates: exact` the rate is known once Exact has answered; a release may have been moved out of
closed periods. So a document that needs either waits until the invoice is booked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from bookkeeping.bookings import booking_of
from bookkeeping.documents import CreditedLine, CreditNote, Document, VatReclaim, WithheldTax
from bookkeeping.entries import reverse, undo
from bookkeeping.journal import Entry
from bookkeeping.mapping import Mapping
from bookkeeping.rejections import Rejection, reject
from bookkeeping.sales import is_deferred_credit
from bookkeeping.write_offs import is_write_off, normal_reason
from contracts import chargebee
from contracts.commands import PostEntry
from mapper.account_holders import rate_to_be
from mapper.credits import stood
from mapper.issue import booked_entry
from mapper.lives import newest_life, newest_number, resource_id, waits_for
from mapper.store import ISSUED, OPEN_STATES, Key, Row, Store
from mapper.subjects import Subject, fingerprint_of, is_void, product_ids

AFTER_OTHERS = frozenset(("waiting_for_booked_invoice", "waiting_for_credits", "waiting_for_both_bookings"))
_STRUCTS: dict[str, type[chargebee.Invoice | chargebee.CreditNote]] = {
    "invoice": chargebee.Invoice,
    "credit_note": chargebee.CreditNote,
}


@dataclass(frozen=True, slots=True)
class _Booked:
    """How a document is booked: its row and command, None while that is not so; `is_to_come` when it may still be."""

    row: Row | None
    command: PostEntry | None
    is_to_come: bool

    def entry(self, mapping: Mapping) -> Entry | None:
        """Return the entry that was booked, in whatever way."""
        if self.command is None or self.row is None:
            return None
        return booked_entry(self.command, self.command.your_ref, mapping.receivable_account, self.row.exchange_rate)


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
    is_deferred, is_rounded = _may_be_deferred(document, mapping), _is_rounded(document, mapping)
    if number is None or not (is_foreign or is_deferred or is_rounded):
        return document
    booked = await _booked(store, subject.key.site, number)
    if booked.command is None and booked.is_to_come:
        store.stand_still()
    if is_foreign or is_rounded:
        complete = _at_the_rate if is_foreign else _beside_others
        completed = await complete(store, subject, mapping, document, booked, name)
        if isinstance(completed, Rejection):
            return completed
        document = completed
    if not isinstance(document, CreditNote) or not is_deferred:
        return document
    if booked.command is None:
        products = await store.products(subject.key.site, product_ids(document))
        return _waiting(number, name) if booked.is_to_come and is_deferred_credit(document, mapping, products) else document
    invoice = await newest_life(store, subject.key.site, "invoice", number, chargebee.Invoice)
    is_as_booked = invoice is not None and booked.row is not None and booked.row.fingerprint == fingerprint_of(invoice)
    lines = (
        replace(line, credited=_released(line.credited, booked.command, is_as_booked=is_as_booked))
        if line.credited is not None
        else line
        for line in document.lines
    )
    return replace(document, lines=tuple(lines))


def _waiting(number: str, name: str) -> Rejection:
    return reject("waiting_for_booked_invoice", waits_for=waits_for(number), invoice=number, document=name)


async def _at_the_rate(
    store: Store, subject: Subject, mapping: Mapping, document: CreditNote | WithheldTax, booked: _Booked, name: str
) -> CreditNote | WithheldTax | Rejection:
    """Return what takes an invoice in another currency back with its rate, and with what the other credits leave of it."""
    number = (document.invoice if isinstance(document, WithheldTax) else document.reference_invoice) or ""
    rate = await _rate(store, subject, mapping, booked, number, document.currency)
    if rate is None and mapping.exchange_rates.policy == "exact" and booked.row is not None and booked.row.state == "booked":
        # A replay, or an answer that comes again, tells the rate.
        return reject("booked_rate_unknown", waits_for=waits_for(number), document=name, booked=f"invoice {number}")
    if rate is None and mapping.exchange_rates.policy == "exact" and (booked.is_to_come or booked.row is not None):
        return _waiting(number, name)
    at_rate = replace(document, reference_rate=rate)
    return at_rate if rate is None else await _beside_others(store, subject, mapping, at_rate, booked, name)


async def _beside_others(
    store: Store, subject: Subject, mapping: Mapping, document: CreditNote | WithheldTax, booked: _Booked, name: str
) -> CreditNote | WithheldTax | Rejection:
    """Return a note with what the invoice and its other notes are booked as, where it completes the credit of the invoice."""
    if isinstance(document, WithheldTax) or is_write_off(document, mapping):
        return document
    beside = await _completed(store, subject, document, booked, mapping, name)
    return beside if isinstance(beside, Rejection) else replace(document, beside=beside)


def _may_be_deferred(document: CreditNote | WithheldTax, mapping: Mapping) -> bool:
    if not isinstance(document, CreditNote) or is_write_off(document, mapping):
        return False  # a write-off takes no revenue back
    return any(line.credited is not None for line in document.lines)


def _is_rounded(document: CreditNote | WithheldTax, mapping: Mapping) -> bool:
    """Tell whether a note takes the tax out of discounts that are shown: each note of an invoice rounds that by itself."""
    if mapping.discounts is None or not isinstance(document, CreditNote) or is_write_off(document, mapping):
        return False
    return document.tax_inclusive and any(line.discounts for line in document.lines)


async def _completed(
    store: Store, subject: Subject, document: CreditNote, booked: _Booked, mapping: Mapping, name: str
) -> tuple[Entry, ...] | Rejection:
    """Return how the invoice and its other notes are booked, where a note brings what is credited to the whole of the invoice.

    By date and number it is the last that does, and it waits until the others are booked. One that was made later, but dated
    before them, completes what they left open: so the order in which notes arrive decides nothing. A note that is not the last
    finds nothing left where the last one is booked already.
    """
    site, number = subject.key.site, document.reference_invoice
    invoice = await newest_life(store, site, "invoice", number, chargebee.Invoice)
    note = await store.resource(site, "credit_note", resource_id(subject.key), chargebee.CreditNote)
    never_booked = booked.command is None and not booked.is_to_come
    if invoice is None or note is None or number is None or never_booked or document.total_minor == invoice.total:
        return ()
    others = await _notes_beside(store, site, mapping, note, invoice)
    if others is None:
        return reject("waiting_for_credits", waits_for=f"invoice:{number}", document=name, missing=f"invoice {number}")
    earlier = [each for each in others if (each.made_at, each.number) < (note.date or 0, note.number)]
    is_last = document.total_minor + sum(each.total_minor for each in earlier) == invoice.total
    beside = earlier if is_last else others
    if not beside or document.total_minor + sum(each.total_minor for each in beside) != invoice.total:
        return ()
    bookings = [(f"invoice {number}", waits_for(number), booked, True)]
    for other in beside:
        waits = waits_for(other.number) if other.is_known else f"credit_note:{other.number}"
        bookings.append(
            (f"credit note {other.number}", waits, await _booked(store, site, other.number, "credit_note"), other.is_known)
        )
    missing = next((each for each in bookings if each[2].command is None), None)
    if missing is None:
        return tuple(each for *_, found, _ in bookings if (each := found.entry(mapping)) is not None)
    what, waits, found, is_known = missing
    if not is_last or not (found.is_to_come or not is_known):
        return ()
    store.stand_still()
    return reject("waiting_for_credits", waits_for=waits, document=name, missing=what)


@dataclass(frozen=True, slots=True)
class _Note:
    """Another note of an invoice: its instant and number, and what it credits; `is_known` once it was seen itself."""

    made_at: int
    number: str
    total_minor: int
    is_known: bool


async def _notes_beside(
    store: Store, site: str, mapping: Mapping, note: chargebee.CreditNote, invoice: chargebee.Invoice
) -> list[_Note] | None:
    """Return the notes that stand beside one and credit revenue; None while the invoice does not list that one itself."""
    listed = {each.cn_id: each for each in (*invoice.issued_credit_notes, *invoice.adjustment_credit_notes) if each.cn_id}
    if note.number not in listed and not (note.deleted or note.status == "voided" or invoice.deleted):
        return None
    found = []
    for number, each in sorted(listed.items()):
        seen = await newest_life(store, site, "credit_note", number, chargebee.CreditNote) if number != note.number else note
        if number == note.number or each.cn_total == 0:
            continue
        if seen is None:
            if each.cn_status != "voided":
                found.append(_Note(each.cn_date or 0, number, each.cn_total, is_known=False))
            continue
        reason = normal_reason(seen.create_reason_code or seen.reason_code)
        is_written_off = seen.type == "adjustment" and mapping.writes_off(reason)
        if not is_written_off and stood(seen, note) and stood(note, seen):
            found.append(_Note(seen.date or 0, number, seen.total, is_known=True))
    return found


async def mirror_of(store: Store, key: Key, entry: Entry, day: date | None, mapping: Mapping) -> Entry:
    """Return the mirror of a document's booking on a day; without one, that of what was wrong from the start."""
    if day is None:
        return undo(entry, mapping)
    credited = await _credits_as_booked(store, key, mapping.receivable_account)
    return reverse(entry, max(day, entry.entry_date), mapping, credited)


async def _credits_as_booked(store: Store, key: Key, receivable_account: str) -> list[Entry]:
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


async def _booked(store: Store, site: str, number: str, kind: str = "invoice") -> _Booked:
    rows = await store.rows_of(site, kind, number)
    life = await newest_number(store, site, kind, number)
    rows = [row for row in rows if booking_of(row.key.suffix).life == life]
    newest = _last([row for row in rows if row.state in ISSUED])
    if newest is not None and booking_of(newest.key.suffix).is_reversal:
        resource = await newest_life(store, site, kind, number, _STRUCTS[kind])
        if resource is not None and not (resource.deleted or is_void(resource)):
            return _Booked(None, None, is_to_come=True)  # it is booked anew, by other rules or in its changed state
    states = [row for row in rows if not booking_of(row.key.suffix).is_reversal]
    last = _last([row for row in states if row.state in ISSUED and row.command is not None])
    command = msgspec.json.decode(last.command, type=PostEntry) if last is not None and last.command is not None else None
    return _Booked(last, command, last is None and any(row.state in OPEN_STATES for row in states))


def _last(rows: list[Row]) -> Row | None:
    return max(rows, key=lambda row: (booking_of(row.key.suffix).life, booking_of(row.key.suffix).step), default=None)
