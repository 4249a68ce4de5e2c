"""Invoices of which Exact has another amount open than Chargebee has due: what has to be matched in Exact, or taken back there.

Also credit notes of which Exact has less open than Chargebee still has to give, such as one that was paid out by bank. Both sides
are those that were seen last. What a reversal takes back of a document counts with it, matched or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bookkeeping.money import decimals_of
from payment_matcher import open_items
from payment_matcher.decision import HUNDREDTHS, PAYABLE_STATUSES
from payment_matcher.intents import MILLISECONDS
from payment_matcher.open_items import OpenItem, Place
from payment_matcher.tables import credit_notes, intents, invoices, terms

Kind = Literal["invoice", "credit_note"]


@dataclass(frozen=True, kw_only=True)
class Unequal:
    """One such document, amounts in hundredths; the entry is the first in which some of it is open, else its first one.

    Of a credit note they are what we owe: `due_hundredths` is what Chargebee still has to give of it. `entry_id` is empty where
    nothing told the entry since it is kept. `is_under_way` where a payment of it is being recorded. `waiting_hundredths` is what
    Exact matched with it and is not recorded, `elsewhere_hundredths` what it matched of the account's money with something else
    though so much is due here, and `open_items` what stands open in Exact that it may have to be matched with.
    """

    kind: Kind
    division: int
    site: str
    number: str
    customer_id: str
    currency: str
    open_hundredths: int
    due_hundredths: int
    is_under_way: bool
    entry_id: str
    entry_number: int
    account_id: str
    waiting_hundredths: int = 0
    elsewhere_hundredths: int = 0
    open_items: tuple[OpenItem, ...] = ()

    @property
    def place(self) -> Place:
        """The customer's account in Exact."""
        return (self.division, self.account_id, self.currency)

    @property
    def asked_hundredths(self) -> int:
        """How much open items have to lower what is owed in Exact, so that both are the same; negative where they have to add."""
        if self.waiting_hundredths:
            return self.waiting_hundredths
        differs = self.open_hundredths - self.due_hundredths
        return differs if self.kind == "invoice" else -differs


async def read(connection: AsyncConnection, *, until: datetime, division: int | None = None) -> list[Unequal]:
    """Read those that did not change in Chargebee since `until`, by number; a later change may still be on its way to Exact."""
    is_payable = invoices.c.deleted.is_(sa.false()) & invoices.c.status.in_(sorted(PAYABLE_STATUSES))
    due = sa.case((is_payable, invoices.c.amount_due_minor), else_=0)
    return await _differing(connection, "invoice", invoices, due, until, division)


async def read_credit_notes(connection: AsyncConnection, *, until: datetime, division: int | None = None) -> list[Unequal]:
    """Read the credit notes of which Exact has less open than Chargebee still has to give, since the same moment.

    Where Exact has more open, another open item stands against it: the invoice that it was used for, or its refund.
    """
    due = credit_notes.c.available_minor
    found = await _differing(connection, "credit_note", credit_notes, due, until, division, due > 0)
    return [each for each in found if each.open_hundredths < each.due_hundredths]


async def with_open_items(connection: AsyncConnection, found: Sequence[Unequal]) -> list[Unequal]:
    """Add to each what stands open in Exact that a person may have to match it with."""
    items = await open_items.read(
        connection,
        [each.place for each in found if each.account_id],
        [(each.site, each.number) for each in found if each.kind == "invoice"],
    )
    return [
        replace(each, open_items=tuple(items.of(each.place, (each.site, each.number), each.asked_hundredths))) for each in found
    ]


async def _differing(
    connection: AsyncConnection,
    kind: Kind,
    table: sa.Table,
    due: sa.ColumnElement[Any],
    until: datetime,
    division: int | None,
    *conditions: sa.ColumnElement[bool],
) -> list[Unequal]:
    is_open = terms.c.is_matched.is_(sa.false())
    # A term is negative where we owe, as of a credit note.
    amount = terms.c.amount_hundredths if kind == "invoice" else -terms.c.amount_hundredths
    open_sum = sa.func.sum(sa.case((is_open, amount), else_=0))
    same = (terms.c.site == table.c.site) & (terms.c.number == table.c.number)
    # A resource version of Chargebee is the moment of the change, in milliseconds.
    settled = table.c.resource_version <= int(until.timestamp() * MILLISECONDS)
    where = [terms.c.kind == kind, terms.c.currency == table.c.currency, settled, *conditions]
    if division is not None:
        where.append(terms.c.division == division)
    by = (terms.c.division, table.c.site, table.c.number, table.c.customer_id, table.c.currency)
    query = (
        sa.select(*by, open_sum.label("open"), sa.func.max(due).label("due"))
        .select_from(terms.join(table, same))
        .where(*where)
        .group_by(*by)
        .having(open_sum != sa.func.max(due))
        .order_by(table.c.number, table.c.site)
    )
    found = []
    for row in (await connection.execute(query)).all():
        due_hundredths = int(row.due) * (HUNDREDTHS if decimals_of(row.currency) == 0 else 1)
        if int(row.open) != due_hundredths:
            found.append(await told_of(connection, kind, row, due_hundredths))
    return found


async def told_of(connection: AsyncConnection, kind: Kind, row: sa.Row[Any], due: int) -> Unequal:
    """Tell a document of `row`: its division, site, number, customer_id, currency and what is `open` of it in Exact."""
    mine = (terms.c.site == row.site, terms.c.number == row.number, terms.c.kind == kind)
    # Without the division, since SQLite would walk through all of it then, and a document has few.
    columns = (terms.c.division, terms.c.is_matched, terms.c.entry_number, terms.c.entry_id, terms.c.account_id)
    same = (await connection.execute(sa.select(*columns).where(*mine))).all()
    of_document = [each for each in same if each.division == row.division]
    entries = [(each.is_matched, each.entry_number, each.entry_id) for each in of_document if each.entry_id]
    _, entry_number, entry_id = min(entries, default=(False, 0, ""))
    under_way = sa.select(intents.c.reference).where(
        intents.c.site == row.site, intents.c.number == row.number, intents.c.outcome.is_(None)
    )
    return Unequal(
        kind=kind,
        division=row.division,
        site=row.site,
        number=row.number,
        customer_id=row.customer_id,
        currency=row.currency,
        open_hundredths=int(row.open),
        due_hundredths=due,
        is_under_way=kind == "invoice" and (await connection.execute(under_way.limit(1))).first() is not None,
        entry_id=entry_id,
        entry_number=entry_number,
        account_id=max((each.account_id for each in of_document), default=""),
    )
