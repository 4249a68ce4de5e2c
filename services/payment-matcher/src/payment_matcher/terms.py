"""The parts of each of our receivables as Exact showed them last: how much of them Exact has matched, and with what.

Exact splits a receivable when only a part of it is matched, and each part keeps its own id from then on. It does not say what it
matched with what; but a credit note that it matched, and that Chargebee still has to give, settled an invoice without money.
"""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from contracts.facts import DocumentRef, ReceivableObserved
from payment_matcher import lines
from payment_matcher.decision import HUNDREDTHS
from payment_matcher.tables import credit_notes, intents, terms

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
    }
    insert = database.insert(terms).values(division=fact.division, term_id=fact.term_id, **values)
    await connection.execute(insert.on_conflict_do_update(index_elements=["division", "term_id"], set_=values))
    was_matched = before is not None and bool(before.is_matched)
    if was_matched == is_matched(fact):
        return "none"
    return "taken_back" if was_matched else "matched"


async def matched_hundredths(connection: AsyncConnection, document: DocumentRef) -> int:
    """How much of a booking of an invoice Exact has matched, in hundredths of its currency."""
    mine = (terms.c.site == document.site, terms.c.number == document.number, terms.c.suffix == document.suffix)
    invoices = terms.c.kind == document.kind
    total = await connection.scalar(sa.select(sa.func.sum(terms.c.amount_hundredths)).where(*mine, invoices, terms.c.is_matched))
    return int(total or 0)


async def money_hundredths(connection: AsyncConnection, fact: ReceivableObserved, decimals: int) -> int | None:
    """How much of what Exact matched of an account's invoices may be money that is not in Chargebee yet.

    What a credit note settled in Exact while Chargebee still has it to give is no money; what was recorded is there already, also
    by a decision about a bank line that Exact matched later. None where Exact did not say the account.
    """
    if not fact.account_id:
        return None
    to_hundredths = HUNDREDTHS if decimals == 0 else 1
    mine = (terms.c.division == fact.division, terms.c.account_id == fact.account_id, terms.c.currency == fact.currency)
    invoices = sa.select(sa.func.sum(terms.c.amount_hundredths)).where(*mine, terms.c.is_matched, terms.c.kind == "invoice")
    same_term = (intents.c.division == terms.c.division) & (intents.c.term_id == terms.c.term_id)
    recorded = sa.select(sa.func.sum(intents.c.amount_minor)).select_from(intents.join(terms, same_term)).where(*mine)
    notes = (
        sa.select(sa.func.sum(terms.c.amount_hundredths).label("matched"), credit_notes.c.available_minor)
        .join(credit_notes, (credit_notes.c.site == terms.c.site) & (credit_notes.c.number == terms.c.number))
        .where(*mine, terms.c.is_matched, terms.c.kind == "credit_note", terms.c.suffix == "")
        .group_by(credit_notes.c.site, credit_notes.c.number, credit_notes.c.available_minor)
    )
    unused: int = sum(
        min(-int(row.matched), int(row.available_minor) * to_hundredths)
        for row in await connection.execute(notes)
        if row.matched is not None and row.matched < 0
    )
    matched = int(await connection.scalar(invoices) or 0)
    decided = await lines.money_in_both(connection, fact.division, fact.account_id, fact.currency)
    return matched - unused - decided - int(await connection.scalar(recorded) or 0) * to_hundredths


async def fold_credit_note(
    database: Database, connection: AsyncConnection, *, key: tuple[str, str], version: int, available_minor: int
) -> None:
    """Keep how much of a credit note Chargebee still has to give; an older or equal version changes nothing."""
    site, number = key
    row = {"resource_version": version, "available_minor": available_minor}
    statement = database.insert(credit_notes).values(site=site, number=number, **row)
    newer = credit_notes.c.resource_version < version
    await connection.execute(statement.on_conflict_do_update(index_elements=["site", "number"], set_=row, where=newer))


def on_account(division: int, account_id: str, *, besides: str = "") -> sa.Select[tuple[int, str]]:
    """Select the terms that stand on an account, but for one; none where Exact did not say the account."""
    on_it = (terms.c.division == division, terms.c.account_id == account_id, terms.c.account_id != "")
    return sa.select(terms.c.division, terms.c.term_id).where(*on_it, terms.c.term_id != besides)


def on_account_of(site: str, number: str) -> sa.Select[tuple[int, str]]:
    """Select the terms that stand on the same accounts as a credit note's."""
    own = terms.alias("own")
    of_note = (own.c.site == site, own.c.number == number, own.c.kind == "credit_note", own.c.account_id != "")
    same = (own.c.division == terms.c.division) & (own.c.account_id == terms.c.account_id)
    return sa.select(terms.c.division, terms.c.term_id).join(own, same).where(*of_note)
