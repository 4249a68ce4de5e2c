"""Payments that stand in Chargebee under our references, learned again from its side when this database was lost.

A reference derives from what was paid, so it says which receivable or which bank line a payment is of. What people decided about
bank lines is lost with the database; what came of it is found so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from bookkeeping.money import decimals_of
from contracts import envelope as envelopes
from contracts.envelope import Envelope
from contracts.facts import TransactionObserved
from payment_matcher import intents, lines
from payment_matcher.decision import HUNDREDTHS
from payment_matcher.lines import Line
from payment_matcher.tables import account_owners, bank_lines
from payment_matcher.tables import intents as intent_rows
from payment_matcher.tables import own_payments as table

ROUNDS_AT_MOST = 20  # decisions about one line, undone ones among them


@dataclass(frozen=True)
class OwnPayment:
    """One that nothing here accounts for."""

    site: str
    reference: str
    customer_id: str
    recorded: intents.Recorded
    numbers: tuple[str, ...]


async def fold(
    database: Database,
    connection: AsyncConnection,
    cause: Envelope,
    fact: TransactionObserved,
    paid_on: date | None,
    now: datetime,
) -> None:
    """Keep the newest state of a payment of ours; one that nobody here knows of is looked for among bank lines."""
    money = fact.resource
    reference = money.reference_number or ""
    if not reference.startswith(intents.REFERENCE_PREFIX) or money.type != "payment":
        return
    stands = money.status == "success" and not (fact.deleted or money.deleted)
    key = {"site": fact.site, "transaction_id": money.id}
    row = {
        "reference": reference,
        "resource_version": fact.resource_version,
        "stands": stands,
        "customer_id": money.customer_id or "",
        "currency": money.currency_code or "",
        "amount_minor": money.amount,
        "paid_on": paid_on,
        "numbers": msgspec.json.encode([each.invoice_id for each in money.linked_invoices if each.invoice_id]),
    }
    insert = database.insert(table).values(**key, **row)
    newer = table.c.resource_version < fact.resource_version
    kept = await connection.execute(insert.on_conflict_do_update(index_elements=list(key), set_=row, where=newer))
    if not (stands and kept.rowcount) or await intents.look_for(connection, reference, now):
        return
    if paid_on is not None:
        of_owner = (account_owners.c.site == fact.site, account_owners.c.customer_id == money.customer_id)
        is_owned = sa.exists().where(
            account_owners.c.division == bank_lines.c.division, account_owners.c.account_id == bank_lines.c.account_id, *of_owner
        )
        days = (bank_lines.c.day == paid_on) | ((bank_lines.c.day < paid_on) & is_owned)
        await _assign(
            database, connection, cause, await lines.load(connection, bank_lines.c.currency == money.currency_code, days)
        )


async def stands(connection: AsyncConnection, site: str, reference: str) -> bool:
    """Whether Chargebee was seen to have a payment with this reference."""
    query = sa.select(table.c.transaction_id).where(table.c.site == site, table.c.reference == reference, table.c.stands)
    return (await connection.execute(query.limit(1))).first() is not None


async def assign_to(database: Database, connection: AsyncConnection, cause: Envelope, division: int, line_id: str) -> None:
    """Give a bank line the payments that were made of it, where nothing here knows of them."""
    line = await lines.one(connection, division, line_id)
    if line is not None:
        await _assign(database, connection, cause, [line])


async def _assign(database: Database, connection: AsyncConnection, cause: Envelope, found: Iterable[Line]) -> None:
    for line in found:
        for payment in await _unknown(connection, line):
            for number in (*payment.numbers, ""):
                round_ = _round_of(line, payment, number)
                if round_:
                    await lines.lock(connection, line.division, line.line_id)
                    await _keep(database, connection, cause, line, payment, number)
                    await lines.note_round(connection, line.division, line.line_id, round_)


async def _keep(
    database: Database, connection: AsyncConnection, cause: Envelope, line: Line, payment: OwnPayment, number: str
) -> None:
    row = {
        "reference": payment.reference,
        "division": line.division,
        "term_id": lines.MONEY_OF + line.line_id,
        "site": payment.site,
        "number": number,
        "cause": envelopes.encode(cause),
        "state": "recorded",
        "attempts": 0,
        "due_at_ms": 0,
        "outcome": "found",
        "transaction_id": payment.recorded.transaction_id,
        "amount_minor": payment.recorded.amount_minor,
        "customer_id": payment.customer_id,
    }
    await connection.execute(database.insert(intent_rows).values(**row).on_conflict_do_nothing())


def _round_of(line: Line, payment: OwnPayment, number: str) -> int:
    """Return by which decision about a line a payment of an invoice was made; 0 for none."""
    for round_ in range(1, ROUNDS_AT_MOST + 1):
        if (
            intents.reference_of_line(line.division, lines.MONEY_OF + line.line_id, payment.site, number, round_)
            == payment.reference
        ):
            return round_
    return 0


async def _unknown(connection: AsyncConnection, line: Line) -> Sequence[OwnPayment]:
    """Read the payments that may be of a line and that nothing here accounts for.

    Chargebee takes no day before the invoice's, so that what the customer paid in advance has a later one than the line.
    """
    if line.day is None:
        return []
    most_minor = line.total_hundredths // (HUNDREDTHS if decimals_of(line.currency) == 0 else 1)
    is_customers = (table.c.site == line.site) & (table.c.customer_id == line.customer_id)
    query = sa.select(table).where(
        table.c.stands,
        table.c.currency == line.currency,
        table.c.amount_minor <= most_minor,
        (table.c.paid_on == line.day) | ((table.c.paid_on > line.day) & is_customers),
        ~sa.exists().where(intent_rows.c.reference == table.c.reference),
    )
    return [
        OwnPayment(
            site=row.site,
            reference=row.reference,
            customer_id=row.customer_id,
            recorded=intents.Recorded(row.transaction_id, row.amount_minor),
            numbers=tuple(msgspec.json.decode(bytes(row.numbers), type=list[str])),
        )
        for row in (await connection.execute(query)).all()
    ]
