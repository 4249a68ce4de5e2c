"""When a booking's days of release are no rule's: closed periods moved them, or other credit notes left them.

Made again, such a booking would take other days. That is no reason to tell a person of a changed rule, or to book it anew.
"""

from __future__ import annotations

from backbone import event_log
from backbone.event_log import Position, Recorded
from bookkeeping.bookings import booking_of
from bookkeeping.journal import Entry
from contracts import chargebee
from contracts.facts import DocumentPlanned
from contracts.messages import unseal
from mapper.lives import newest_life, resource_id
from mapper.store import ISSUED, Row, Store


async def planned_of(store: Store, row: Row) -> DocumentPlanned | None:
    """Return what was told when the entry of a booking was made."""
    found = await _told(store, row)
    return found[1] if found is not None else None


async def are_days_given(store: Store, row: Row, made: Entry | None) -> bool:
    """Tell whether something else than today's rules decided over which days a booking is released, where they defer it too."""
    if made is None or not any(line.last is not None for line in made.lines):
        return False
    planned = await planned_of(store, row)
    is_moved = planned is not None and any(move.kind == "deferral" for move in planned.moves)
    return is_moved or await _was_order_other(store, row)


async def _was_order_other(store: Store, row: Row) -> bool:
    """Tell whether the notes of one invoice were made in another order than that of their dates: one was dated back."""
    site = row.key.site
    note = await store.resource(site, "credit_note", resource_id(row.key), chargebee.CreditNote)
    number = note.reference_invoice_id if note is not None and row.key.kind == "credit_note" else None
    invoice = await newest_life(store, site, "invoice", number, chargebee.Invoice)
    if invoice is None:
        return False
    listed = (*invoice.issued_credit_notes, *invoice.adjustment_credit_notes)
    dated = sorted((each.cn_date or 0, each.cn_id) for each in listed if each.cn_id)
    made = [place for _, number in dated if (place := await _place(store, site, number)) is not None]
    return made != sorted(made)


async def _place(store: Store, site: str, number: str) -> Position | None:
    """Return where the log tells of the booking of a note that stands; None while it has none."""
    issued = [row for row in await store.rows_of(site, "credit_note", number) if row.state in ISSUED]
    newest = max(issued, key=_order, default=None)
    if newest is None or booking_of(newest.key.suffix).is_reversal:
        return None
    found = await _told(store, newest)
    return found[0].position if found is not None else None


def _order(row: Row) -> tuple[int, int]:
    booking = booking_of(row.key.suffix)
    return booking.life, booking.step


async def _told(store: Store, row: Row) -> tuple[Recorded, DocumentPlanned] | None:
    stream = f"document/{row.key.site}/{row.key.kind}/{row.key.number}"
    for recorded in await event_log.read_stream(store.connection, stream):
        if recorded.envelope.type == DocumentPlanned.TYPE:
            message = unseal(recorded.envelope)
            if isinstance(message, DocumentPlanned) and message.command_id == row.command_id:
                return recorded, message
    return None
