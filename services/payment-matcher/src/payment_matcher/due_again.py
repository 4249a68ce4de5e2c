"""Invoices that are due in Chargebee though Exact has all of them matched: a write-off was undone there, or a payment failed.

They are not proposed, since Exact may have matched the very money that is about to be recorded. A person who knows that a line
pays one names it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_matcher.decision import PAYABLE_STATUSES
from payment_matcher.lines import Line
from payment_matcher.settled_invoices import numbers_in
from payment_matcher.tables import intents, invoices, terms

AT_ONCE = 500


@dataclass(frozen=True)
class DueAgain:
    """One such invoice, in minor units."""

    site: str
    number: str
    customer_id: str
    currency: str
    due_minor: int


async def of_lines(connection: AsyncConnection, lines: Collection[Line]) -> dict[str, list[DueAgain]]:
    """Read those that lines of a division name, or that are of the customer on whose account they stand, by the line's id."""
    words = {line.line_id: numbers_in(line.text) for line in lines}
    payers = sorted({(line.site, line.customer_id) for line in lines if line.customer_id})
    named = await _find(connection, [(number,) for number in sorted(set().union(*words.values()))], invoices.c.number)
    owed = await _find(connection, payers, invoices.c.site, invoices.c.customer_id)
    found: dict[str, list[DueAgain]] = {}
    for line in lines:
        mine = {one for one in owed if (one.site, one.customer_id) == (line.site, line.customer_id)}
        mine |= {one for one in named if one.number in words[line.line_id]}
        fitting = sorted((one for one in mine if one.currency == line.currency), key=lambda one: (one.number, one.site))
        if fitting:
            found[line.line_id] = fitting
    return found


async def _find(connection: AsyncConnection, wanted: Sequence[tuple[str, ...]], *columns: sa.Column[str]) -> list[DueAgain]:
    of_invoice = (terms.c.site == invoices.c.site, terms.c.number == invoices.c.number, terms.c.kind == "invoice")
    stands = sa.exists().where(*of_invoice)
    is_open = sa.exists().where(*of_invoice, terms.c.is_matched.is_(sa.false()))
    same = (intents.c.site == invoices.c.site, intents.c.number == invoices.c.number)
    is_being_paid = sa.exists().where(*same, intents.c.outcome.is_(None))
    is_due = (invoices.c.amount_due_minor > 0, invoices.c.deleted.is_(sa.false()))
    is_payable = invoices.c.status.in_(sorted(PAYABLE_STATUSES))
    where = (*is_due, is_payable, stands, ~is_open, ~is_being_paid)
    found = []
    for first in range(0, len(wanted), AT_ONCE):
        among = sa.tuple_(*columns).in_(wanted[first : first + AT_ONCE])
        rows = (await connection.execute(sa.select(invoices).where(among, *where).order_by(invoices.c.number))).all()
        found += [DueAgain(row.site, row.number, row.customer_id, row.currency, int(row.amount_due_minor)) for row in rows]
    return found
