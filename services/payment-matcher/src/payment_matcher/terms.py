"""The parts of each of our receivables as Exact showed them last: how much of them Exact has matched, and with what.

Exact splits a receivable when only a part of it is matched, and each part keeps its own id from then on. It does not say what it
matched with what; but what our own documents on an account settled of each other was settled without money.
"""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from bookkeeping.money import decimals_of
from contracts.facts import DocumentRef, ReceivableObserved
from payment_matcher.decision import HUNDREDTHS
from payment_matcher.tables import intents, terms

MATCHED = 50  # Status of sync/Cashflow/PaymentTerms


def is_matched(fact: ReceivableObserved) -> bool:
    """Whether Exact settled this part with something."""
    return fact.is_fully_paid or fact.status == MATCHED


Change = Literal["matched", "taken_back", "paid_otherwise", "none"]


async def fold(database: Database, connection: AsyncConnection, document: DocumentRef, fact: ReceivableObserved) -> Change:
    """Keep the newest state of a part; says whether Exact matched it since, took back that it was, or matched it anew."""
    key = (terms.c.division == fact.division, terms.c.term_id == fact.term_id)
    columns = (terms.c.timestamp, terms.c.is_matched, terms.c.paid_on)
    before = (await connection.execute(sa.select(*columns).where(*key))).one_or_none()
    if before is not None and before.timestamp > fact.timestamp:
        return "none"
    values = {
        "site": document.site,
        "number": document.number,
        "suffix": document.suffix,
        "kind": document.kind,
        "account_id": fact.account_id,
        "currency": fact.currency,
        "timestamp": fact.timestamp,
        "amount_hundredths": fact.amount_minor,
        "is_matched": is_matched(fact),
        "entry_id": fact.entry_id,
        "entry_number": fact.entry_number,
        "paid_on": fact.last_payment_date,
    }
    insert = database.insert(terms).values(division=fact.division, term_id=fact.term_id, **values)
    await connection.execute(insert.on_conflict_do_update(index_elements=["division", "term_id"], set_=values))
    was_matched = before is not None and bool(before.is_matched)
    if was_matched == is_matched(fact):
        # Exact has the day of the payment with what was paid; another day is another payment.
        days = (before.paid_on if before is not None else None, fact.last_payment_date)
        return "paid_otherwise" if was_matched and None not in days and days[0] != days[1] else "none"
    return "taken_back" if was_matched else "matched"


async def is_open(connection: AsyncConnection, division: int, term_id: str) -> bool:
    """Whether a part was last seen without a match."""
    state = await connection.scalar(sa.select(terms.c.is_matched).where(terms.c.division == division, terms.c.term_id == term_id))
    return state is not None and not state


async def matched_hundredths(connection: AsyncConnection, document: DocumentRef) -> int:
    """How much of a booking of an invoice Exact has matched, in hundredths of its currency."""
    mine = (terms.c.site == document.site, terms.c.number == document.number, terms.c.suffix == document.suffix)
    invoices = terms.c.kind == document.kind
    total = await connection.scalar(sa.select(sa.func.sum(terms.c.amount_hundredths)).where(*mine, invoices, terms.c.is_matched))
    return int(total or 0)


async def left_hundredths(connection: AsyncConnection, seen: ReceivableObserved, *, besides: str) -> int:
    """How much of a matched part, as it stands now, is recorded in no other payment of it than `besides`, in hundredths."""
    mine = (terms.c.division == seen.division, terms.c.term_id == seen.term_id)
    now = await connection.scalar(sa.select(terms.c.amount_hundredths).where(*mine))
    of_term = (intents.c.division == seen.division, intents.c.term_id == seen.term_id, intents.c.reference != besides)
    query = sa.select(sa.func.sum(intents.c.amount_minor)).where(*of_term, intents.c.transaction_id.is_not(None))
    recorded = int(await connection.scalar(query) or 0) * (HUNDREDTHS if decimals_of(seen.currency) == 0 else 1)
    return min(seen.amount_minor, seen.amount_minor if now is None else int(now)) - recorded


def on_account(division: int, account_id: str, *, besides: str = "") -> sa.Select[tuple[int, str]]:
    """Select the terms that stand on an account, but for one; none where Exact did not say the account."""
    on_it = (terms.c.division == division, terms.c.account_id == account_id, terms.c.account_id != "")
    return sa.select(terms.c.division, terms.c.term_id).where(*on_it, terms.c.term_id != besides)


def of_invoice(site: str, number: str) -> sa.Select[tuple[int, str]]:
    """Select the parts of an invoice."""
    mine = (terms.c.site == site, terms.c.number == number, terms.c.kind == "invoice")
    return sa.select(terms.c.division, terms.c.term_id).where(*mine)


async def accounts_of(connection: AsyncConnection, site: str, number: str) -> list[tuple[int, str]]:
    """Return the divisions and accounts on which an invoice stands in Exact."""
    mine = (terms.c.site == site, terms.c.number == number, terms.c.kind == "invoice", terms.c.account_id != "")
    rows = await connection.execute(sa.select(terms.c.division, terms.c.account_id).where(*mine).distinct())
    return [(int(row.division), str(row.account_id)) for row in rows]
