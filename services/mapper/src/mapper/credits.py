"""What was credited of an invoice before a credit note, by date and number, in whatever order the notes arrive.

Chargebee's invoice lists its credit notes and is changed before a note is told of, so the list says which notes to wait for.
"""

from __future__ import annotations

from datetime import tzinfo

from bookkeeping.deferral import UnreadableInstantError
from contracts import chargebee
from mapper.lives import newest_life
from mapper.store import Store
from mapper.translate import CreditsBefore, credits_of


async def credits_before(
    store: Store, site: str, note: chargebee.CreditNote, invoice: chargebee.Invoice, zone: tzinfo
) -> CreditsBefore:
    """Return the credits of an invoice's lines before a note; voided ones count when they were voided after it."""
    found = CreditsBefore({})
    listed = {each.cn_id: each for each in (*invoice.issued_credit_notes, *invoice.adjustment_credit_notes) if each.cn_id}
    if note.number not in listed and not (note.deleted or note.status == "voided" or invoice.deleted):
        return CreditsBefore({}, f"invoice:{invoice.id}")
    own = (note.date or 0, note.number)
    earlier = sorted((each.cn_date or 0, number) for number, each in listed.items() if (each.cn_date or 0, number) < own)
    for _, number in earlier:
        seen = await newest_life(store, site, "credit_note", number, chargebee.CreditNote)
        if seen is None:
            return CreditsBefore({}, f"credit_note:{number}")
        if stood(seen, note):
            try:
                taken = credits_of(seen, zone)
            except UnreadableInstantError:
                continue  # it is held for that itself
            for key, credit in taken.items():
                found.by_line.setdefault(key, []).append(credit)
    return found


def stood(earlier: chargebee.CreditNote, note: chargebee.CreditNote) -> bool:
    """Tell whether a note stood when another one was made; what is a write-off and takes none, the division's rules say."""
    return not earlier.deleted and (earlier.status != "voided" or (earlier.voided_at or 0) > (note.date or 0))
