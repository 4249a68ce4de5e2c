"""The parts of each invoice's receivable as Exact showed them last: how much of it Exact has matched with money.

Exact splits a receivable when only a part of it is matched, and each part keeps its own id from then on.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from contracts.facts import DocumentRef, ReceivableObserved
from payment_matcher.tables import terms

MATCHED = 50  # Status of sync/Cashflow/PaymentTerms


def is_matched(fact: ReceivableObserved) -> bool:
    """Whether Exact settled this part with something."""
    return fact.is_fully_paid or fact.status == MATCHED


async def fold(database: Database, connection: AsyncConnection, document: DocumentRef, fact: ReceivableObserved) -> bool:
    """Keep the newest state of a part; says whether it was matched before and is not any more."""
    key = (terms.c.division == fact.division, terms.c.term_id == fact.term_id)
    before = (await connection.execute(sa.select(terms.c.timestamp, terms.c.is_matched).where(*key))).one_or_none()
    if before is not None and before.timestamp > fact.timestamp:
        return False
    values = {
        "site": document.site,
        "number": document.number,
        "suffix": document.suffix,
        "timestamp": fact.timestamp,
        "amount_hundredths": fact.amount_minor,
        "is_matched": is_matched(fact),
    }
    insert = database.insert(terms).values(division=fact.division, term_id=fact.term_id, **values)
    await connection.execute(insert.on_conflict_do_update(index_elements=["division", "term_id"], set_=values))
    return before is not None and bool(before.is_matched) and not is_matched(fact)


async def matched_hundredths(connection: AsyncConnection, document: DocumentRef) -> int:
    """How much of a booking of an invoice Exact has matched, in hundredths of its currency."""
    mine = (terms.c.site == document.site, terms.c.number == document.number, terms.c.suffix == document.suffix)
    total = await connection.scalar(sa.select(sa.func.sum(terms.c.amount_hundredths)).where(*mine, terms.c.is_matched))
    return int(total or 0)
