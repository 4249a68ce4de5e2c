"""How much of what Exact matched on a customer's account may be money that Chargebee does not have yet.

Exact does not say what it matched with what, so this is told by the account as a whole.
"""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bookkeeping.money import decimals_of
from payment_matcher import by_hand, lines
from payment_matcher.decision import HUNDREDTHS
from payment_matcher.intents import reference_of, rest_of
from payment_matcher.tables import account_owners, bank_line_parts, bank_lines, intents, own_payments, terms


async def money_hundredths(
    connection: AsyncConnection, division: int, account_id: str, currency: str, *, may_pay_notes: bool = True
) -> int | None:
    """How much of what Exact matched on an account may be money that is not in Chargebee yet, in hundredths.

    Exact matches debit with credit, so what our own documents (invoices, credit notes, online payments, refunds) leave
    over of each other was settled by what is not ours: money from the bank, or to it, which is known by its own lines. What was
    recorded, by us or by hand, is in Chargebee already, also by a decision about a bank line that Exact matched later. None where
    Exact did not say the account. Without `may_pay_notes` it is as if nothing that came in and went out again by bank had paid a
    credit note out.
    """
    if not account_id:
        return None
    mine = (terms.c.division == division, terms.c.account_id == account_id, terms.c.currency == currency)
    own = await _own_hundredths(connection, *mine)
    same_term = (intents.c.division == terms.c.division) & (intents.c.term_id == terms.c.term_id)
    recorded = sa.select(sa.func.sum(intents.c.amount_minor)).select_from(intents.join(terms, same_term)).where(*mine)
    in_both = await money_in_both(connection, division, account_id, currency)
    paid_out = await money_out(connection, division, account_id, currency, may_pay_notes=may_pay_notes)
    to_hundredths = HUNDREDTHS if decimals_of(currency) == 0 else 1
    of_suspense = await _recorded_of_suspense(connection, division, account_id, currency) * to_hundredths
    # What came in on the account itself explains so much of it; only the rest can be what a person moved there.
    moved = min(of_suspense, max(0, own + paid_out - await money_in(connection, division, account_id, currency)))
    in_chargebee = int(await connection.scalar(recorded) or 0) + await _not_looked_up(connection, division, to_hundredths, *mine)
    money = own + paid_out - in_both - moved - in_chargebee * to_hundredths
    # What somebody recorded by hand is in Chargebee as well; it proves no lack, since what Exact matched may be something else.
    known = await by_hand.matched_hundredths(connection, division, account_id, currency) if money > 0 else 0
    return money - min(known, max(0, money))


async def _not_looked_up(
    connection: AsyncConnection, division: int, to_hundredths: int, *on_account: sa.ColumnElement[bool]
) -> int:
    """How much stands in Chargebee of parts whose turn to be looked up has not come, since this database was lost."""
    same_term = (intents.c.division == terms.c.division) & (intents.c.term_id == terms.c.term_id)
    recorded = sa.func.sum(sa.case((intents.c.transaction_id.is_not(None), intents.c.amount_minor), else_=0))
    amount = terms.c.amount_hundredths
    query = sa.select(terms.c.term_id).select_from(intents.join(terms, same_term)).where(*on_account)
    lacking = query.group_by(terms.c.term_id, amount).having(recorded * to_hundredths < amount)
    references = [made(division, term_id) for term_id in await connection.scalars(lacking) for made in (reference_of, rest_of)]
    is_known = sa.exists().where(intents.c.reference == own_payments.c.reference, intents.c.transaction_id.is_not(None))
    of_these = (own_payments.c.reference.in_(references), own_payments.c.stands, ~is_known)
    return int(await connection.scalar(sa.select(sa.func.sum(own_payments.c.amount_minor)).where(*of_these)) or 0)


async def at_most_hundredths(connection: AsyncConnection, division: int, account_id: str, currency: str) -> int | None:
    """Return the same where all that went out by bank had paid out what our own documents owed; below zero proves a lack."""
    money = await money_hundredths(connection, division, account_id, currency)
    if money is None:
        return None
    of_lines = (bank_lines.c.division == division, bank_lines.c.account_id == account_id, bank_lines.c.currency == currency)
    part, amount = bank_line_parts.c, bank_line_parts.c.amount_hundredths
    same = (bank_lines.c.division == part.division) & (bank_lines.c.line_id == part.line_id)
    went = sa.select(sa.func.sum(amount)).join(bank_lines, same).where(*of_lines, part.is_matched, amount < 0)
    out = -int(await connection.scalar(went.where(part.is_gone.is_(sa.false()))) or 0)
    of_terms = (terms.c.division == division, terms.c.account_id == account_id, terms.c.currency == currency)
    owed = sa.select(sa.func.sum(terms.c.amount_hundredths)).where(*of_terms, terms.c.is_matched, terms.c.amount_hundredths < 0)
    counted = await money_out(connection, division, account_id, currency)
    return money + max(0, min(out, -int(await connection.scalar(owed) or 0)) - counted)


async def _own_hundredths(connection: AsyncConnection, *on_account: sa.ColumnElement[bool]) -> int:
    """What our own documents on an account, as far as Exact has matched them, leave over of each other.

    An exchange difference closes documents in another currency, so it is no money of this one; unless Exact, which matches by
    equal amounts, may have taken it for one.
    """
    query = sa.select(terms.c.kind, terms.c.amount_hundredths).where(*on_account, terms.c.is_matched)
    matched = (await connection.execute(query)).all()
    others = Counter(int(row.amount_hundredths) for row in matched if row.kind != "application")
    own = sum(amount * count for amount, count in others.items())
    for row in matched:
        if row.kind == "application" and others[-int(row.amount_hundredths)] > 0:
            others[-int(row.amount_hundredths)] -= 1
            own += int(row.amount_hundredths)
    return own


async def _recorded_of_suspense(connection: AsyncConnection, division: int, account_id: str, currency: str) -> int:
    """How much was recorded, for the customers of an account, of bank lines that stood on no account of a customer.

    A person moves that money to the customer in Exact, by an entry that is neither ours nor a bank line, and Exact may match it
    there with whatever has the same amount.
    """
    on_account = (terms.c.division == division, terms.c.account_id == account_id, terms.c.kind == "invoice")
    of_invoice = (terms.c.site == intents.c.site, terms.c.number == intents.c.number)
    of_owner = (
        *(account_owners.c.division == division, account_owners.c.account_id == account_id),
        *(account_owners.c.site == intents.c.site, account_owners.c.customer_id == intents.c.customer_id),
    )
    of_line = (
        bank_lines.c.division == intents.c.division,
        intents.c.term_id == sa.literal(lines.MONEY_OF) + bank_lines.c.line_id,
        bank_lines.c.account_id == "",
        bank_lines.c.currency == currency,
    )
    whose = sa.exists().where(*on_account, *of_invoice) | ((intents.c.number == "") & sa.exists().where(*of_owner))
    recorded = (intents.c.division == division, intents.c.transaction_id.is_not(None), sa.exists().where(*of_line))
    return int(await connection.scalar(sa.select(sa.func.sum(intents.c.amount_minor)).where(*recorded, whose)) or 0)


async def money_in_both(connection: AsyncConnection, division: int, account_id: str, currency: str) -> int:
    """Return, in hundredths, how much of what Exact matched of an account's bank lines decisions had recorded already."""
    same = (bank_lines.c.division == division, bank_lines.c.account_id == account_id, bank_lines.c.currency == currency)
    found = await lines.load(connection, *same, bank_lines.c.round > 0)
    return sum(max(0, min(line.recorded_hundredths, line.matched_hundredths - line.base_hundredths)) for line in found)


async def money_in(connection: AsyncConnection, division: int, account_id: str, currency: str) -> int:
    """Return, in hundredths, how much of what Exact matched on an account came in by bank lines that stand there."""
    of_account = (bank_lines.c.division == division, bank_lines.c.account_id == account_id, bank_lines.c.currency == currency)
    part = bank_line_parts.c
    stands = (part.is_matched, part.is_gone.is_(sa.false()), part.amount_hundredths > 0)
    same = (bank_lines.c.division == part.division) & (bank_lines.c.line_id == part.line_id)
    amount = sa.select(sa.func.sum(part.amount_hundredths)).join(bank_lines, same).where(*of_account, *stands)
    return int(await connection.scalar(amount) or 0)


async def money_out(
    connection: AsyncConnection, division: int, account_id: str, currency: str, *, may_pay_notes: bool = True
) -> int:
    """Return, in hundredths, how much Exact matched on an account that went out by bank, which our own documents do not show.

    What came in by bank in the same amount was paid back, unless a credit note of that amount was paid out: Exact does not say.
    """
    came, of_came = bank_line_parts.alias("came"), bank_lines.alias("of_came")
    is_of = (of_came.c.division == came.c.division) & (of_came.c.line_id == came.c.line_id)
    on_account = (of_came.c.division == division, of_came.c.account_id == account_id, of_came.c.currency == currency)
    stands = (came.c.is_matched, came.c.is_gone.is_(sa.false()))
    amounts = sa.select(-came.c.amount_hundredths).join(of_came, is_of).where(*on_account, *stands)
    of_terms = (terms.c.division == division, terms.c.account_id == account_id, terms.c.currency == currency)
    notes = sa.select(terms.c.amount_hundredths).where(*of_terms, terms.c.kind == "credit_note", terms.c.is_matched)
    paid = bank_line_parts.c.amount_hundredths
    of_account = (
        bank_lines.c.division == division,
        bank_lines.c.account_id == account_id,
        bank_lines.c.currency == currency,
        bank_line_parts.c.is_matched,
        bank_line_parts.c.is_gone.is_(sa.false()),
        bank_line_parts.c.amount_hundredths < 0,
        paid.not_in(amounts) | paid.in_(notes) if may_pay_notes else paid.not_in(amounts),
    )
    same = (bank_lines.c.division == bank_line_parts.c.division) & (bank_lines.c.line_id == bank_line_parts.c.line_id)
    amount = sa.select(sa.func.sum(bank_line_parts.c.amount_hundredths)).join(bank_lines, same).where(*of_account)
    return -int(await connection.scalar(amount) or 0)
