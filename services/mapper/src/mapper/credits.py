"""What was credited of an invoice before a credit note, by date and number, in whatever order the notes arrive.

Chargebee's invoice lists its credit notes and is changed before a note is told of, so the list says which notes to wait for.
One that was made later and dated back cannot be waited for: what is booked of the notes after its date, it leaves to them.
"""

from __future__ import annotations

from datetime import tzinfo

from bookkeeping.bookings import booking_of
from bookkeeping.deferral import UnreadableInstantError
from contracts import chargebee
from mapper.lives import newest_life
from mapper.store import ISSUED, Store
from mapper.translate import CreditsBefore, credits_of


async def credits_before(
    store: Store, site: str, note: chargebee.CreditNote, invoice: chargebee.Invoice, zone: tzinfo
) -> CreditsBefore:
    """Return the credits of an invoice's lines before a note; voided ones count when they were voided after it.

    Those after it that are booked already count, too, while the note itself is not.
    """
    found = CreditsBefore({})
    listed = {each.cn_id: each for each in (*invoice.issued_credit_notes, *invoice.adjustment_credit_notes) if each.cn_id}
    if note.number not in listed and not (note.deleted or note.status == "voided" or invoice.deleted):
        return CreditsBefore({}, f"invoice:{invoice.id}")
    own = (note.date or 0, note.number)
    ordered = sorted((each.cn_date or 0, number) for number, each in listed.items())
    for _, number in (each for each in ordered if each < own):
        seen = await newest_life(store, site, "credit_note", number, chargebee.CreditNote)
        if seen is None:
            return CreditsBefore({}, f"credit_note:{number}")
        if stood(seen, note):
            _add(found, seen, zone)
    after = [number for each, number in ordered if (each, number) > own]
    if after and not await _is_booked(store, site, note.number):
        for number in after:
            seen = await newest_life(store, site, "credit_note", number, chargebee.CreditNote)
            if seen is not None and await _is_booked(store, site, number):
                _add(found, seen, zone)
    return found


def _add(found: CreditsBefore, note: chargebee.CreditNote, zone: tzinfo) -> None:
    try:
        taken = credits_of(note, zone)
    except UnreadableInstantError:
        return  # it is held for that itself
    for key, credit in taken.items():
        found.by_line.setdefault(key, []).append(credit)


async def _is_booked(store: Store, site: str, number: str) -> bool:
    """Tell whether a note's booking is issued, and stands."""
    issued = [booking_of(row.key.suffix) for row in await store.rows_of(site, "credit_note", number) if row.state in ISSUED]
    return bool(issued) and not max(issued, key=lambda each: (each.life, each.step)).is_reversal


def stood(earlier: chargebee.CreditNote, note: chargebee.CreditNote) -> bool:
    """Tell whether a note stood when another one was made; what is a write-off and takes none, the division's rules say."""
    return not earlier.deleted and (earlier.status != "voided" or (earlier.voided_at or 0) > (note.date or 0))
