"""Payments that somebody recorded by hand in Chargebee: money that stands there without a reference of ours.

The bank's statement books it in Exact. Once Exact has matched that receipt with the invoice, both books have the money.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from bookkeeping.money import decimals_of
from contracts.facts import TransactionObserved
from payment_matcher import intents
from payment_matcher.decision import HUNDREDTHS
from payment_matcher.tables import hand_payments as table
from payment_matcher.tables import intents as intent_rows
from payment_matcher.tables import invoices, terms

NO_GATEWAY = (None, "not_applicable")
_NO_INVOICE = ""


@dataclass(frozen=True)
class HandPayment:
    """What of one is on an invoice, in minor units."""

    site: str
    number: str
    transaction_id: str
    amount_minor: int


async def fold(database: Database, connection: AsyncConnection, fact: TransactionObserved) -> set[str]:
    """Keep on which invoices such a payment is; returns those on which that may have changed."""
    money = fact.resource
    is_ours = (money.reference_number or "").startswith(intents.REFERENCE_PREFIX)
    if is_ours or money.type != "payment" or money.gateway not in NO_GATEWAY:
        return set()
    mine = (table.c.site == fact.site, table.c.transaction_id == money.id)
    before = (await connection.execute(sa.select(table.c.number, table.c.resource_version).where(*mine))).all()
    if any(row.resource_version >= fact.resource_version for row in before):
        return set()
    stands = money.status == "success" and not (fact.deleted or money.deleted)
    on = {each.invoice_id: each.applied_amount for each in money.linked_invoices if each.invoice_id} if stands else {}
    await connection.execute(sa.delete(table).where(*mine))
    shared = {"site": fact.site, "transaction_id": money.id, "resource_version": fact.resource_version}
    rows = [{**shared, "number": number, "amount_minor": amount} for number, amount in {_NO_INVOICE: 0, **on}.items()]
    await connection.execute(database.insert(table).values(rows).on_conflict_do_nothing())
    return {*on, *(str(row.number) for row in before)} - {_NO_INVOICE}


async def on_invoices(connection: AsyncConnection, site: str, numbers: set[str]) -> list[HandPayment]:
    """Read those on these invoices of a site."""
    query = sa.select(table).where(table.c.site == site, table.c.number.in_(sorted(numbers - {_NO_INVOICE})))
    rows = await connection.execute(query.order_by(table.c.number, table.c.transaction_id))
    return [HandPayment(row.site, row.number, row.transaction_id, int(row.amount_minor)) for row in rows]


async def matched_hundredths(connection: AsyncConnection, division: int, account_id: str, currency: str) -> int:
    """How much of them Exact has matched with their invoices on an account, in hundredths, as far as that is certain.

    What Exact matched with an invoice beyond what was recorded on it by us, and beyond what our own documents that Exact has
    matched on the account can have settled of it, is the receipt of such a payment.
    """
    on_account = (terms.c.division == division, terms.c.account_id == account_id, terms.c.currency == currency)
    of_term = (terms.c.site == table.c.site) & (terms.c.number == table.c.number)
    stands_here = sa.exists().where(of_term, *on_account, terms.c.kind == "invoice")
    by = (table.c.site, table.c.number)
    query = sa.select(*by, sa.func.sum(table.c.amount_minor).label("by_hand")).where(table.c.number != _NO_INVOICE, stands_here)
    found = (await connection.execute(query.group_by(*by))).all()
    if not found:
        return 0
    own = (*on_account, terms.c.is_matched, terms.c.kind != "invoice", terms.c.amount_hundredths < 0)
    credited = -int(await connection.scalar(sa.select(sa.func.sum(terms.c.amount_hundredths)).where(*own)) or 0)
    to_hundredths = HUNDREDTHS if decimals_of(currency) == 0 else 1
    total = 0
    for row in found:
        hand = int(row.by_hand) * to_hundredths
        matched, recorded, settled = await _of_invoice(connection, division, row.site, row.number, to_hundredths)
        others = max(0, settled - hand - recorded)
        total += max(0, min(hand, matched - recorded - min(others, credited)))
    return total


async def _of_invoice(
    connection: AsyncConnection, division: int, site: str, number: str, to_hundredths: int
) -> tuple[int, int, int]:
    """Return what Exact matched of an invoice, what we recorded on it, and what Chargebee has on it in all, in hundredths."""
    same = (terms.c.site == site, terms.c.number == number, terms.c.kind == "invoice", terms.c.division == division)
    matched = await connection.scalar(sa.select(sa.func.sum(terms.c.amount_hundredths)).where(*same, terms.c.is_matched))
    ours = (intent_rows.c.site == site, intent_rows.c.number == number, intent_rows.c.transaction_id.is_not(None))
    recorded = await connection.scalar(sa.select(sa.func.sum(intent_rows.c.amount_minor)).where(*ours))
    known = sa.select(invoices.c.total_minor - invoices.c.amount_due_minor).where(
        invoices.c.site == site, invoices.c.number == number
    )
    settled = await connection.scalar(known)
    return int(matched or 0), int(recorded or 0) * to_hundredths, int(settled or 0) * to_hundredths
