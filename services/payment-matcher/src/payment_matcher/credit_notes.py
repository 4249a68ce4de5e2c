"""Credit notes as Chargebee showed them last: how much of each it still has to give."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from contracts.facts import CreditNoteObserved
from payment_matcher.tables import credit_notes

TO_GIVE = "refund_due"  # the status of a credit note of which something is neither refunded nor used


async def fold(database: Database, connection: AsyncConnection, fact: CreditNoteObserved) -> None:
    """Keep the newest state of a credit note; an older or equal version changes nothing."""
    note = fact.resource
    is_there = not (fact.deleted or note.deleted) and note.status == TO_GIVE
    row = {
        "resource_version": fact.resource_version,
        "available_minor": note.amount_available if is_there else 0,
        "customer_id": note.customer_id or "",
        "currency": note.currency_code or "",
    }
    statement = database.insert(credit_notes).values(site=fact.site, number=note.number, **row)
    newer = credit_notes.c.resource_version < fact.resource_version
    await connection.execute(statement.on_conflict_do_update(index_elements=["site", "number"], set_=row, where=newer))
