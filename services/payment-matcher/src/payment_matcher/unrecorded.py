"""Money that Exact matched with an invoice and that is not recorded in Chargebee, since as much is open in Exact as is due there.

What Chargebee has on the invoice, such as a credit note that was used for it, a withheld tax or an online payment, stands open in
Exact, and the receipt was matched with the invoice without it. Both show the same amount, and yet it was paid. Once a person
matches what stands open, the money is recorded by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bookkeeping.money import decimals_of
from payment_matcher import account_money, open_items, unequal
from payment_matcher.decision import HUNDREDTHS, PAYABLE_STATUSES
from payment_matcher.intents import NO_MONEY
from payment_matcher.open_items import Place
from payment_matcher.tables import intents, invoices, terms
from payment_matcher.unequal import Unequal


async def read(connection: AsyncConnection, *, division: int | None = None) -> list[Unequal]:
    """Read these invoices by number, with what stands open in Exact on their account."""
    found: list[Unequal] = []
    left: dict[Place, int] = {}
    for row in await _matched_and_due(connection, division):
        place = (row.division, row.account_id, row.currency)
        if place not in left:
            left[place] = await account_money.money_hundredths(connection, *place, may_pay_notes=False) or 0
        to_hundredths = HUNDREDTHS if decimals_of(row.currency) == 0 else 1
        due = int(row.due) * to_hundredths
        unrecorded = min(left[place], int(row.matched) - int(row.recorded) * to_hundredths, due)
        if unrecorded > 0 and int(row.open) >= due:
            left[place] -= unrecorded
            told = await unequal.told_of(connection, "invoice", row, due)
            found.append(replace(told, waiting_hundredths=unrecorded))
    items = await open_items.read(connection, [each.place for each in found], [])
    # Without one of these a person has nothing to do: what Exact matched may be what another connector had booked.
    return await unequal.with_open_items(connection, [each for each in found if items.credits(each.place)])


async def with_money_elsewhere(connection: AsyncConnection, found: Sequence[Unequal]) -> list[Unequal]:
    """Add to the invoices of which Exact has less open how much of their account's money it matched, and is not recorded.

    Such as what came in by bank for an invoice whose direct debit failed, and was matched with the reversal of that debit.
    """
    left: dict[Place, int] = {}
    told = []
    for each in found:
        if each.kind == "invoice" and each.asked_hundredths < 0 and each.account_id:
            if each.place not in left:
                left[each.place] = await account_money.money_hundredths(connection, *each.place, may_pay_notes=False) or 0
            elsewhere = max(0, min(left[each.place], -each.asked_hundredths))
            left[each.place] -= elsewhere
            told.append(replace(each, elsewhere_hundredths=elsewhere))
        else:
            told.append(each)
    return told


async def _matched_and_due(connection: AsyncConnection, division: int | None) -> list[sa.Row[tuple[object, ...]]]:
    """Read the invoices with something due of which a part that Exact matched was taken for no money, and its amounts."""
    is_payable = invoices.c.deleted.is_(sa.false()) & invoices.c.status.in_(sorted(PAYABLE_STATUSES))
    of_term = (intents.c.division == terms.c.division) & (intents.c.term_id == terms.c.term_id)
    of_invoice = (invoices.c.site == terms.c.site) & (invoices.c.number == terms.c.number)
    was_no_money = sa.exists().where(of_term, intents.c.outcome == NO_MONEY)
    amount = sa.func.sum(intents.c.amount_minor)
    recorded = sa.select(amount).where(of_term, intents.c.transaction_id.is_not(None)).correlate(terms).scalar_subquery()
    is_open = terms.alias("other")
    of_same = (is_open.c.site == terms.c.site, is_open.c.number == terms.c.number, is_open.c.kind == "invoice")
    open_sum = sa.select(sa.func.sum(is_open.c.amount_hundredths)).where(*of_same, is_open.c.is_matched.is_(sa.false()))
    where = [was_no_money, terms.c.is_matched, terms.c.kind == "invoice", terms.c.account_id != ""]
    if division is not None:
        where.append(terms.c.division == division)
    query = (
        sa.select(
            *(terms.c.division, terms.c.account_id, terms.c.site, terms.c.number, terms.c.currency, invoices.c.customer_id),
            invoices.c.amount_due_minor.label("due"),
            terms.c.amount_hundredths.label("matched"),
            sa.func.coalesce(recorded, 0).label("recorded"),
            sa.func.coalesce(open_sum.correlate(terms).scalar_subquery(), 0).label("open"),
        )
        .select_from(terms.join(invoices, of_invoice))
        .where(*where, is_payable, invoices.c.amount_due_minor > 0)
        .order_by(terms.c.number, terms.c.site, terms.c.term_id)
    )
    return list((await connection.execute(query)).all())
