"""What customers still owe, as sync/Cashflow/PaymentTerms shows it: read by row version, kept, and told.

The endpoint sends receipts and payments of the whole division and can be filtered by Timestamp only. A receivable stands there
with a negative amount, since it is still to be received.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.database import Database
from contracts.commands import PostEntry
from contracts.facts import ReceivableObserved
from exact_writer import announce, bank_lines, journal, odata, payloads, payment_terms
from exact_writer.calls import DivisionCalls
from exact_writer.mirror import PAYMENT_TERMS, Mirror
from exact_writer.row_versions import Follower, Rows
from exact_writer.tables import receivables

ENDPOINT: Final = "sync/Cashflow/PaymentTerms"
RECEIPT: Final = 20
_SELECT: Final = (
    "ID",
    "LineType",
    "Status",
    "IsFullyPaid",
    "LastPaymentDate",
    "TransactionEntryID",
    "YourRef",
    "Currency",
    "AmountFC",
    "Description",
    "Account",
    *bank_lines.TERM_SELECT,
)


async def poll(division: int, database: Database, clock: Clock, calls: DivisionCalls, mirror: Mirror) -> int:
    """Read what changed since the last time and tell it; returns how many receivables were told.

    The first reading of a division, and the one after it was moved, tell only those of our own entries, and the bank lines that
    are not matched or were told before: its past may be long. Raises what calls raise.
    """
    follower = Follower(division, database=database, clock=clock, calls=calls)
    base = mirror.versions_base
    _, is_known = await follower.known(PAYMENT_TERMS)
    told = 0

    async def store(connection: AsyncConnection, rows: Rows) -> None:
        nonlocal told
        receipts = [row for row in rows if int(row["LineType"] or 0) == RECEIPT]
        observed = [_observe(division, row, base) for row in receipts]
        ours = await journal.owners(connection, division, sorted({fact.entry_id for fact in observed}))
        facts = [_with_owner(fact, ours.get(fact.entry_id, ())) for fact in observed]
        await _keep(database, connection, observed, [str(row["TransactionID"]) for row in receipts])
        news = [fact for fact in facts if fact.document is not None or is_known]
        await announce.receivables(connection, news, clock.now())
        told += len(news)
        shown = [bank_lines.of_term(division, row, mirror) for row in receipts]
        lines = [line for line in shown if line is not None and line.entry_id not in ours]
        await bank_lines.tell(connection, lines, clock.now(), with_past=is_known)

    async def prepare(rows: Rows) -> None:
        await mirror.learn_journals(odata.code(row["Journal"]) for row in rows)

    async def drop_missing(connection: AsyncConnection, rows: Rows) -> None:
        del rows  # after the whole list it matters only what was in none of its pages
        await payment_terms.forget_missing(connection, division, base, clock.now())

    at_end = None if is_known else drop_missing
    await follower.follow(PAYMENT_TERMS, ENDPOINT, _SELECT, store, prepare=prepare, at_end=at_end)
    return told


async def tell_again(connection: AsyncConnection, division: int, entry_id: str, command: PostEntry, now: datetime) -> None:
    """Tell the receivables of an entry that turned out to be ours only after they were seen."""
    rows = await connection.execute(
        sa.select(receivables.c.record).where(receivables.c.division == division, receivables.c.entry_id == entry_id)
    )
    seen = [msgspec.json.decode(bytes(row.record), type=ReceivableObserved) for row in rows]
    facts = [_of(fact, command) for fact in seen if command.mode != "ledger" or _is_of(fact, command)]
    await announce.receivables(connection, facts, now)


def _observe(division: int, row: Mapping[str, Any], base: int) -> ReceivableObserved:
    currency = odata.code(row["Currency"]) or "EUR"
    return ReceivableObserved(
        division=division,
        term_id=str(row["ID"]),
        timestamp=base + int(row["Timestamp"]),
        entry_id=str(row["TransactionEntryID"] or ""),
        your_ref=row["YourRef"],
        currency=currency,
        amount_minor=-int((Decimal(row["AmountFC"] or 0) * 100).to_integral_value()),
        is_fully_paid=bool(row["IsFullyPaid"]),
        status=int(row["Status"] or 0),
        last_payment_date=odata.day_in(row["LastPaymentDate"]),
        description=row["Description"] or "",
        account_id=str(row["Account"] or ""),
        entry_number=int(row["EntryNumber"] or 0),
    )


def _with_owner(fact: ReceivableObserved, commands: Sequence[PostEntry]) -> ReceivableObserved:
    """Add the document that a receivable is of: that of its entry, or the one that its line names where the entry has several."""
    owners = [command for command in commands if command.mode != "ledger" or _is_of(fact, command)]
    return _of(fact, owners[0]) if len(owners) == 1 else fact


def _is_of(fact: ReceivableObserved, command: PostEntry) -> bool:
    """Whether a receivable comes of the customer's line of a command of mode ledger."""
    return any(
        line.is_receivable and fact.description == payloads.general_description(line, command.your_ref) for line in command.lines
    )


def _of(fact: ReceivableObserved, command: PostEntry) -> ReceivableObserved:
    # A general entry has no YourRef; the reference stands in its lines.
    return msgspec.structs.replace(fact, document=command.document, your_ref=fact.your_ref or command.your_ref)


async def _keep(
    database: Database, connection: AsyncConnection, facts: Sequence[ReceivableObserved], line_ids: Sequence[str]
) -> None:
    for fact, line_id in zip(facts, line_ids, strict=True):
        values = {"entry_id": fact.entry_id, "timestamp": fact.timestamp, "record": msgspec.json.encode(fact), "line_id": line_id}
        insert = database.insert(receivables).values(division=fact.division, term_id=fact.term_id, **values)
        await connection.execute(insert.on_conflict_do_update(index_elements=["division", "term_id"], set_=values))
