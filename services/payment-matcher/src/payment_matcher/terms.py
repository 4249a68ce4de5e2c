"""The parts of each of our receivables as Exact showed them last: how much of them Exact has matched, and with what.

Exact splits a receivable when only a part of it is matched, and each part keeps its own id from then on. It does not say what it
matched with what; but what our own documents on an account settled of each other was settled without money.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from bookkeeping.money import decimals_of
from contracts.facts import DocumentRef, ReceivableObserved
from payment_matcher import lines
from payment_matcher.decision import HUNDREDTHS
from payment_matcher.tables import account_owners, bank_lines, intents, terms

MATCHED = 50  # Status of sync/Cashflow/PaymentTerms


def is_matched(fact: ReceivableObserved) -> bool:
    """Whether Exact settled this part with something."""
    return fact.is_fully_paid or fact.status == MATCHED


Change = Literal["matched", "taken_back", "none"]


async def fold(database: Database, connection: AsyncConnection, document: DocumentRef, fact: ReceivableObserved) -> Change:
    """Keep the newest state of a part; says whether Exact matched it since, or took back that it was."""
    key = (terms.c.division == fact.division, terms.c.term_id == fact.term_id)
    before = (await connection.execute(sa.select(terms.c.timestamp, terms.c.is_matched).where(*key))).one_or_none()
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
        return "none"
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


async def money_hundredths(connection: AsyncConnection, division: int, account_id: str, currency: str) -> int | None:
    """How much of what Exact matched on an account may be money that is not in Chargebee yet, in hundredths.

    Exact matches debit with credit, so what our own documents (invoices, credit notes, online payments, refunds) leave
    over of each other was settled by what is not ours: money from the bank, or to it, which is known by its own lines. What was
    recorded is in Chargebee already, also by a decision about a bank line that Exact matched later. None where Exact did not say
    the account.
    """
    if not account_id:
        return None
    mine = (terms.c.division == division, terms.c.account_id == account_id, terms.c.currency == currency)
    own = await _own_hundredths(connection, *mine)
    same_term = (intents.c.division == terms.c.division) & (intents.c.term_id == terms.c.term_id)
    recorded = sa.select(sa.func.sum(intents.c.amount_minor)).select_from(intents.join(terms, same_term)).where(*mine)
    in_both = await lines.money_in_both(connection, division, account_id, currency)
    paid_out = await lines.money_out(connection, division, account_id, currency)
    to_hundredths = HUNDREDTHS if decimals_of(currency) == 0 else 1
    of_suspense = await _recorded_of_suspense(connection, division, account_id, currency) * to_hundredths
    # What came in on the account itself explains so much of it; only the rest can be what a person moved there.
    moved = min(of_suspense, max(0, own + paid_out - await lines.money_in(connection, division, account_id, currency)))
    return own + paid_out - in_both - moved - int(await connection.scalar(recorded) or 0) * to_hundredths


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


def on_account(division: int, account_id: str, *, besides: str = "") -> sa.Select[tuple[int, str]]:
    """Select the terms that stand on an account, but for one; none where Exact did not say the account."""
    on_it = (terms.c.division == division, terms.c.account_id == account_id, terms.c.account_id != "")
    return sa.select(terms.c.division, terms.c.term_id).where(*on_it, terms.c.term_id != besides)
